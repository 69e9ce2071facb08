/** Retry-After (RFC 9110 §10.2.3): seconds, or an HTTP-date. */

import { parseHttpDate } from './http-date.ts'

/** How many ms to wait from `now` (epoch ms); undefined when the field cannot be read. */
export function parseRetryAfter(text: string, now: number): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const at = parseHttpDate(text)
  return at === undefined ? undefined : Math.max(0, at - now)
}

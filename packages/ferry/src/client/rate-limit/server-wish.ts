/**
 * Reads from a response whether the server wants fewer requests, and from when on it wants more: a
 * pure function, for the limiter and for retries.
 */
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { parseHttpDate } from '../../protocol/semantics/http-date.ts'
import { exhaustedForMs, parseRateLimitFields } from '../../protocol/semantics/rate-limit-fields.ts'
import { parseRetryAfter } from '../../protocol/semantics/retry-after.ts'

/** What the reading needs of a response. */
export interface ResponseSigns {
  readonly status: number
  readonly headers: HeaderFields
}

/** What a server wishes; durations in ms, undefined where it says nothing. */
export interface ServerWish {
  /** The request was refused because there are too many: 429, or 503 with Retry-After. */
  readonly refused: boolean
  readonly retryAfterMs: number | undefined
  /** Until an exhausted quota is whole again. */
  readonly resetMs: number | undefined
}

/** Reads the wish of a response; `now` in epoch ms. */
export function readServerWish({ status, headers }: ResponseSigns, now: number): ServerWish {
  const retryAfter = headers.get('retry-after')
  const date = headers.get('date')
  // Instants are the server's: its own clock tells how far off they are, however wrong ours is.
  const serverNow = (date === undefined ? undefined : parseHttpDate(date)) ?? now
  const retryAfterMs = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, serverNow)
  // RFC 6585 §4; RFC 9110 §15.6.4: Retry-After with 503 tells of an overload that passes.
  const refused = status === 429 || (status === 503 && retryAfterMs !== undefined)
  const quotas = parseRateLimitFields(headers, serverNow)
  return { refused, retryAfterMs, resetMs: exhaustedForMs(quotas, { refused: status === 429 }) }
}

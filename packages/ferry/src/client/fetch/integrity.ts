/**
 * Subresource Integrity (https://w3c.github.io/webappsec-subresource-integrity/): whether content is
 * what somebody said it would be. Pure.
 */
import { hash } from 'node:crypto'

/** From weak to strong (SRI §3.2). */
const ALGORITHMS = ['sha256', 'sha384', 'sha512'] as const

/**
 * Tells whether bytes have one of the digests of the strongest algorithm that is named, such as
 * `sha384-…` in base64 or base64url. With no algorithm that we know there is nothing to hold against
 * them: true.
 */
export function matchesIntegrity(bytes: Uint8Array, metadata: string): boolean {
  const digests = metadata.split(/[\t\n\f\r ]+/).map((item) => item.split('?', 1)[0] ?? '')
  for (const algorithm of ALGORITHMS.toReversed()) {
    const wanted = digests.filter((item) => item.toLowerCase().startsWith(`${algorithm}-`))
    if (wanted.length === 0) continue
    const actual = hash(algorithm, bytes, 'base64url')
    return wanted.some((item) => toBase64Url(item.slice(algorithm.length + 1)) === actual)
  }
  return true
}

function toBase64Url(text: string): string {
  return text
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/={1,2}$/, '')
}

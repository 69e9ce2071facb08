/** Which content codings a response has: the field Content-Encoding, as a decision (RFC 9110 §8.4). */
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { parseTokenList } from '../../protocol/semantics/grammar.ts'

/** A content coding that can be decoded. */
export type ContentCoding = 'gzip' | 'deflate' | 'br' | 'zstd'

/** What is to be decoded, in the order in which it was encoded; or why that cannot be done. */
export type CodingPlan =
  | { readonly type: 'decode'; readonly codings: readonly ContentCoding[] }
  | { readonly type: 'refuse'; readonly reason: string }

/** What can be decoded, as a value of Accept-Encoding; in the order in which browsers say it. */
export const ACCEPT_ENCODING = 'gzip, deflate, br, zstd'

// Nobody compresses twice on purpose; each stage costs memory and multiplies what a bomb does.
// undici has the same limit.
const MAX_CODINGS = 5

// RFC 9110 §8.4.1.3: x-gzip is the same as gzip. `compress` (LZW) is nowhere in use.
const CODINGS: ReadonlyMap<string, ContentCoding> = new Map([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
  ['zstd', 'zstd'],
])

/** Decides what to decode; undefined when the content is not encoded. */
export function planDecoding(headers: HeaderFields): CodingPlan | undefined {
  const value = headers.get('content-encoding')
  if (value === undefined) return undefined
  // RFC 9110 §8.4.1: names are compared without case. identity is reserved for Accept-Encoding (§12.5.3),
  // but servers send it.
  const names = parseTokenList(value).filter((name) => name !== 'identity')
  if (names.length === 0) return undefined
  if (names.length > MAX_CODINGS) {
    return refuse(`${names.length} content codings, more than ${MAX_CODINGS}`)
  }
  const codings: ContentCoding[] = []
  for (const name of names) {
    const coding = CODINGS.get(name)
    if (coding === undefined) return refuse(`content coding ${JSON.stringify(name)} is unknown`)
    codings.push(coding)
  }
  return { type: 'decode', codings }
}

function refuse(reason: string): CodingPlan {
  return { type: 'refuse', reason }
}

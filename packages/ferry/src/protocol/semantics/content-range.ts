/** Range and Content-Range (RFC 9110 §14): on the wire both ends are inclusive. */

/** `bytes first-last/complete`; undefined where the wire says `*`. */
export interface ContentRange {
  readonly first: number
  readonly last: number
  /** Bytes of the whole representation. */
  readonly complete: number | undefined
}

/** `bytes` with `*` for the range, the answer of a 416. */
export interface UnsatisfiedRange {
  readonly complete: number
}

const SATISFIED = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i
const UNSATISFIED = /^bytes \*\/(\d+)$/i

/** Formats a Range for one slice; without `last` it reaches to the end. */
export function formatRange(first: number, last?: number): string {
  return `bytes=${first}-${last ?? ''}`
}

/** Reads the Content-Range of a 206; undefined when it is not one that can be trusted. */
export function parseContentRange(text: string): ContentRange | undefined {
  const match = SATISFIED.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2])
  const complete = match[3] === '*' ? undefined : Number(match[3])
  if (![first, last, complete ?? 0].every(Number.isSafeInteger)) return undefined
  // RFC 9110 §14.4: "invalid if last-pos is less than first-pos or complete-length not above last-pos"
  if (last < first || (complete !== undefined && complete <= last)) return undefined
  return { first, last, complete }
}

/** Reads the Content-Range of a 416. */
export function parseUnsatisfiedRange(text: string): UnsatisfiedRange | undefined {
  const match = UNSATISFIED.exec(text)
  return match === null ? undefined : { complete: Number(match[1]) }
}

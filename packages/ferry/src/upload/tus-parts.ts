/** The parts of an upload by tus: one, or several that are put together. Pure, but for what they note. */
import { HttpUrl } from '../transport/http-url.ts'
import type { NoteState } from './upload-protocol.ts'

/** One upload at the server: the source from `start` on. */
export interface TusPart {
  readonly start: number
  /** Exclusive; undefined for one that goes to the end of a source whose size is not known yet. */
  readonly end: number | undefined
  url: HttpUrl | undefined
  /** The first byte that the server lacks, counted in the source. */
  offset: number
  /** The most that this run has sent; undefined when an earlier one has sent, too. */
  sentTo: number | undefined
  isLengthTold: boolean
  /** Epoch ms. */
  expiresAt: number | undefined
}

/** What was noted of an upload. */
export interface TusNote {
  readonly parts: TusPart[]
  /** They may have been put together already. */
  readonly isJoining: boolean
}

// Less would cost more in requests than it brings.
const MIN_PART_BYTES = 1_048_576

/** Divides a source evenly; into one part when its size is unknown or it is small. */
export function planParts(size: number | undefined, parallel: number): TusPart[] {
  const most = size === undefined ? 1 : Math.max(1, Math.floor(size / MIN_PART_BYTES))
  const count = Math.min(parallel, most)
  if (size === undefined || count === 1) return [createPart(0, size)]
  const length = Math.ceil(size / count)
  return Array.from({ length: count }, (_, index) =>
    createPart(index * length, Math.min(size, (index + 1) * length)),
  )
}

export function writeTusNote(parts: readonly TusPart[], isJoining: boolean): NoteState {
  return {
    parts: parts.map(({ url, start, end }) => ({ url: url?.href, start, end })),
    isJoining,
  }
}

/** Undefined for what was noted of another protocol or does not cover a source of that size. */
export function readTusNote(
  state: NoteState | undefined,
  size: number | undefined,
): TusNote | undefined {
  const noted = state?.['parts']
  if (!Array.isArray(noted) || noted.length === 0) return undefined
  const parts: TusPart[] = []
  for (const { url, start, end } of noted as Partial<Record<string, unknown>>[]) {
    const expected = parts.length === 0 ? 0 : parts.at(-1)?.end
    if (start !== expected || (end !== undefined && typeof end !== 'number')) return undefined
    const part = createPart(start as number, end as number | undefined)
    // Without one it was never created, or nobody was told.
    if (typeof url === 'string') {
      part.url = HttpUrl.parse(url)
      part.sentTo = undefined
    }
    parts.push(part)
  }
  const end = parts.at(-1)?.end
  if (end !== undefined && size !== undefined && end !== size) return undefined
  return { parts, isJoining: state?.['isJoining'] === true }
}

function createPart(start: number, end: number | undefined): TusPart {
  return {
    start,
    end,
    url: undefined,
    offset: start,
    sentTo: start,
    isLengthTold: false,
    expiresAt: undefined,
  }
}

/** Numbers of bytes in fields of upload protocols. Pure. */
import { RemoteProtocolError } from '../../errors.ts'
import type { HeaderFields } from '../semantics/header-fields.ts'

// 16 digits are more than a number is exact; the check for a safe integer draws the line.
const DIGITS = /^\d{1,16}$/

/** Reads decimal bytes; undefined for anything else. */
export function parseByteCount(text: string | undefined): number | undefined {
  const bytes = DIGITS.test(text ?? '') ? Number(text) : Number.NaN
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/**
 * Reads a field that an answer has to have.
 * @throws {RemoteProtocolError} when it is missing or no number of bytes
 */
export function requireByteCount(headers: HeaderFields, field: string): number {
  const text = headers.get(field)
  const bytes = parseByteCount(text)
  if (bytes !== undefined) return bytes
  const found = text === undefined ? 'it is missing' : `it is ${JSON.stringify(text.slice(0, 40))}`
  throw new RemoteProtocolError(`Cannot read ${field} of the answer: ${found}`)
}

/** What a server says of one upload. */
export interface UploadStand {
  /** The first byte that it lacks. */
  readonly offset: number
  /** Undefined while nobody has told it. */
  readonly length: number | undefined
  /** When it may be given up, in epoch ms; undefined when that is not said. */
  readonly expiresAt: number | undefined
}

/** What the offset of a server is held against. */
export interface KnownStand {
  /** Bytes of the source; undefined while unknown. */
  readonly size: number | undefined
  /** The most that can have arrived; undefined when an earlier run has sent, too. */
  readonly sentTo: number | undefined
}

/**
 * Checks that a server says nothing that cannot be: more than was sent, or another length.
 * @throws {RemoteProtocolError}
 */
export function checkStand({ offset, length }: UploadStand, { size, sentTo }: KnownStand): void {
  const most = Math.min(size ?? Number.POSITIVE_INFINITY, sentTo ?? Number.POSITIVE_INFINITY)
  if (offset > most) {
    throw new RemoteProtocolError(
      `Cannot go on: the server claims to have ${offset} bytes of the upload, and there were ${most}`,
    )
  }
  if (length === undefined || size === undefined || length === size) return
  throw new RemoteProtocolError(
    `Cannot go on: the server expects ${length} bytes of the upload, and there are ${size}`,
  )
}

// What proxies and servers are set to when nobody has thought of large files, largest first.
const USUAL_LIMITS = [67_108_864, 8_388_608, 1_000_000, 262_144, 65_536]

/**
 * The size of pieces to try after one of `bytes` was too large: what the server has named, else the
 * next usual limit; undefined when there is no smaller one.
 */
export function smallerPiece(bytes: number, named: number | undefined): number | undefined {
  if (named !== undefined && named > 0 && named < bytes) return named
  return USUAL_LIMITS.find((limit) => limit < bytes)
}

/**
 * What an upload takes next, and what it refuses: pure decisions over what is known of it. Each gives
 * the error to refuse with, or undefined. Offsets are bytes from the start of the file.
 */
import { UploadError } from '../errors.ts'
import { extentOf, isFull, offsetOf, type UploadFacts } from './upload-record.ts'

/** Bytes that somebody wants to write. */
export interface WriteRequest {
  readonly offset: number
  /** How many there will be; undefined when that is not known. */
  readonly contentLength: number | undefined
  /** Only where the upload stands now. */
  readonly contiguous: boolean
  /** The whole ends where they end. */
  readonly final: boolean
}

/** Pieces of one upload that lie apart: each costs memory and room in the journal. */
export const MAX_SPANS = 10_000

/** An upload, with what is being noted of it. */
export interface KnownUpload {
  readonly id: string
  readonly facts: UploadFacts
  /** Also when that is only being journaled. */
  readonly length: number | undefined
}

/** Whether bytes may be written. */
export function decideWrite(
  upload: KnownUpload,
  request: WriteRequest,
  maxUploadBytes: number,
): UploadError | undefined {
  const { offset, contentLength, contiguous, final } = request
  const { id, facts } = upload
  if (facts.completed !== undefined) {
    return new UploadError('upload-complete', `Cannot write to upload ${id}: it is finished`)
  }
  // Only the last bytes of a whole are told to be final.
  const isPart = final ? decideFinish(facts) : undefined
  if (isPart !== undefined) return isPart
  const expected = offsetOf(facts)
  if (contiguous && offset !== expected) {
    return new UploadError(
      'offset-mismatch',
      `Cannot append to upload ${id} at ${offset}: it stands at ${expected}`,
      { detail: { expectedOffset: expected, providedOffset: offset } },
    )
  }
  const isApart =
    facts.spans.startBefore(offset) === offset && facts.spans.endFrom(offset) === offset
  if (isApart && facts.spans.count >= MAX_SPANS) {
    return new UploadError(
      'quota-exceeded',
      `Cannot write to upload ${id}: it is in ${MAX_SPANS} pieces already`,
      { detail: { limit: 'spans' } },
    )
  }
  const end = offset + (contentLength ?? 0)
  const tooFar = decideEnd(upload, end, maxUploadBytes)
  if (tooFar !== undefined || !final || contentLength === undefined) return tooFar
  return decideLength(upload, end, maxUploadBytes)
}

/** Whether content may go on up to `end`, after what was said of its length. */
export function decideContent(
  id: string,
  content: { readonly offset: number; readonly contentLength: number | undefined; end: number },
): UploadError | undefined {
  const { offset, contentLength, end } = content
  if (contentLength === undefined || end <= offset + contentLength) return undefined
  return new UploadError(
    'length-mismatch',
    `Cannot take more bytes for upload ${id}: only ${contentLength} were announced`,
    { detail: { expectedLength: contentLength, providedLength: end - offset } },
  )
}

/** Whether bytes up to `end` may come. */
export function decideEnd(
  upload: KnownUpload,
  end: number,
  maxUploadBytes: number,
): UploadError | undefined {
  const { id, length } = upload
  if (length !== undefined && end > length) {
    return new UploadError(
      'length-mismatch',
      `Cannot take bytes up to ${end} of upload ${id}: its length is ${length}`,
      { detail: { expectedLength: length, providedLength: end } },
    )
  }
  return end > maxUploadBytes ? tooLarge(end, maxUploadBytes) : undefined
}

/** Whether this can be the length of the whole. */
export function decideLength(
  upload: KnownUpload,
  length: number,
  maxUploadBytes: number,
): UploadError | undefined {
  const { id, facts } = upload
  const expected = upload.length ?? Math.max(length, extentOf(facts))
  if (length !== expected) {
    return new UploadError(
      'length-mismatch',
      `Cannot set the length of upload ${id} to ${length}: ` +
        (upload.length === undefined ? `it has bytes up to ${expected}` : `it is ${expected}`),
      { detail: { expectedLength: expected, providedLength: length } },
    )
  }
  return length > maxUploadBytes ? tooLarge(length, maxUploadBytes) : undefined
}

/** Whether it may ever be finished, and get a name. */
export function decideFinish({ header }: UploadFacts): UploadError | undefined {
  if (header.finish !== 'as-part') return undefined
  return new UploadError(
    'upload-is-part',
    `Cannot finish upload ${header.id}: it is only a part of what is to be put together`,
  )
}

/** Whether every byte is there. */
export function decideComplete(facts: UploadFacts): UploadError | undefined {
  if (isFull(facts)) return undefined
  const { length, spans } = facts
  const { id } = facts.header
  const end = length ?? Number.POSITIVE_INFINITY
  const gap = spans.firstGap({ start: 0, end }) as { start: number; end: number }
  const missing = length === undefined ? undefined : [gap.start, gap.end]
  return new UploadError(
    'upload-incomplete',
    `Cannot finish upload ${id}: ` +
      (length === undefined
        ? 'its length is unknown'
        : `bytes ${gap.start} to ${gap.end - 1} of ${length} are missing`),
    { detail: { length, missing } },
  )
}

/** The error for more than the server takes. */
export function tooLarge(bytes: number, maxBytes: number): UploadError {
  return new UploadError(
    'upload-too-large',
    `Cannot take ${bytes} bytes: at most ${maxBytes} are allowed`,
    { detail: { maxBytes } },
  )
}

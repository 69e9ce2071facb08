/** Takes a stream of bytes whole: the bytes of a content, of a body, of any iterable of pieces. */
import { StreamError } from '../errors.ts'
import { checkPiece, type ContentInit, toContent } from './content.ts'
import { openContent } from './request-stream.ts'

/** Bounds on what is read. */
export interface ReadStreamOptions {
  /** @defaultValue unlimited */
  readonly maxBytes?: number | undefined
}

/**
 * Reads a stream to its end and gives its bytes, copied.
 * @throws {StreamError} when there are more than `maxBytes`; the stream is ended then
 */
export async function readStreamToBytes(
  stream: ContentInit,
  options: ReadStreamOptions = {},
): Promise<Buffer> {
  return Buffer.concat(await streamToList(stream, options))
}

/** As `readStreamToBytes()`, but gives the pieces as they came, each copied. */
export async function streamToList(
  stream: ContentInit,
  { maxBytes = Number.POSITIVE_INFINITY }: ReadStreamOptions = {},
): Promise<Buffer[]> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of openContent(toContent(stream))) {
    checkPiece(piece)
    length += piece.length
    if (length > maxBytes) {
      throw new StreamError(`Cannot read the stream: more than ${maxBytes} bytes`)
    }
    // The source may use its memory again.
    pieces.push(Buffer.from(piece))
  }
  return pieces
}

/**
 * Forms with files as content: multipart/form-data (RFC 7578), written as browsers write it (WHATWG
 * HTML §4.10.22.7).
 *
 *     part → head, value, CRLF → … → closing boundary
 *
 * No value is gathered: streamed ones are opened one after the other when it is their turn, and
 * opened again for another attempt. The length is exact where every part knows its own.
 */
import { randomBytes } from 'node:crypto'
import type { Content, StreamedContent } from '../../transport/content.ts'
import { createRequestStream } from '../../transport/request-stream.ts'
import type { FormPart } from './multipart-form.ts'
import { formatPart, partsOf } from './multipart-part.ts'
import type { TypedContent } from './typed-content.ts'

// Bytes that stand beside each other become one piece up to here: heads and short values.
const JOINED_BYTES = 65_536

/**
 * Makes content of a form: the platform's FormData, a MultipartForm, or any list of parts.
 *
 * It is sent with its length when every part has one, and can be sent again when every part can: so
 * it is with text, bytes, Blobs and `fileContent()`. With a stream among them it is sent chunked,
 * once. Text of a FormData has its line ends made CRLF, as browsers do; that of other parts goes as
 * it is.
 *
 * Sending throws {LocalProtocolError} when a part gives more or fewer bytes than its length.
 * @throws {LocalProtocolError} when a value cannot be sent, or a field of a part cannot stand there
 * @example
 * const form = new MultipartForm().addField('title', 'Sea').addField('photo', await openAsBlob(path))
 * const { content, contentType } = multipartContent(form)
 */
export function multipartContent(form: FormData | Iterable<FormPart>): TypedContent {
  // Cannot stand in a value but by guessing 128 bits. RFC 2046 §5.1.1: at most 70 characters.
  const boundary = `ferry-form-${randomBytes(16).toString('hex')}`
  const pieces: Content[] = []
  for (const part of partsOf(form)) {
    const { head, content } = formatPart(part)
    pieces.push(Buffer.from(`--${boundary}\r\n${head}\r\n`), content, CRLF)
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`))
  return {
    content: toOneContent(joinBytes(pieces)),
    contentType: `multipart/form-data; boundary=${boundary}`,
  }
}

const CRLF = Buffer.from('\r\n')

/** Makes one piece of short bytes that stand beside each other. */
function joinBytes(pieces: readonly Content[]): Content[] {
  const joined: Content[] = []
  let run: Uint8Array[] = []
  let runBytes = 0
  const endRun = (): void => {
    if (runBytes > 0) joined.push(Buffer.concat(run, runBytes))
    run = []
    runBytes = 0
  }
  for (const piece of pieces) {
    const isLong = !(piece instanceof Uint8Array) || piece.length > JOINED_BYTES
    if (isLong || runBytes + piece.length > JOINED_BYTES) endRun()
    if (isLong) {
      joined.push(piece)
    } else {
      run.push(piece)
      runBytes += piece.length
    }
  }
  endRun()
  return joined
}

function toOneContent(pieces: readonly Content[]): Content {
  const [first] = pieces
  if (pieces.length === 1 && first instanceof Uint8Array) return first
  const length = pieces.reduce<number | undefined>(
    (sum, piece) =>
      sum === undefined || piece.length === undefined ? undefined : sum + piece.length,
    0,
  )
  const replayable = pieces.every((piece) => piece instanceof Uint8Array || piece.replayable)
  const content: StreamedContent = {
    length,
    replayable,
    open: (signal) => readPieces(pieces, signal),
  }
  return Object.freeze(content)
}

async function* readPieces(
  pieces: readonly Content[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  for (const piece of pieces) {
    // Two parts with wrong lengths could make up for each other, so each is held against its own.
    if (piece instanceof Uint8Array) yield piece
    else yield* createRequestStream(piece).open(signal)
    // A source that was ended in the middle looks as if it were over.
    if (signal?.aborted === true) return
  }
}

/**
 * The body of a fetch as content that can be sent (WHATWG Fetch §5.2, "extract a body"): what is in
 * memory with its length and as often as needed, a stream once, as it comes.
 */
import { checkPiece, type StreamedContent } from '../../transport/content.ts'
import type { RequestBodyInit } from '../content/body-content.ts'

type BodySource = NonNullable<RequestInit['body']>

// WHATWG Fetch §4.7, step 9: what may be held of a stream so that it can be sent again.
const MAX_HELD_BYTES = 65_536

/**
 * Makes content of the `body` of an init, and says in `headers` what it is where the client would not.
 * @throws {TypeError} for a stream without `duplex: 'half'`, or one that is in use; for an object that
 * is no body, of which the platform would send `[object Object]`
 */
export function fetchBody(
  source: BodySource,
  headers: Headers,
  duplex: string | undefined,
): RequestBodyInit {
  if (source instanceof URLSearchParams) {
    if (!headers.has('content-type')) {
      headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8')
    }
    return source.toString()
  }
  if (source instanceof Blob || source instanceof FormData) return source
  // Copied: the caller may use the memory again while we still wait for a connection.
  if (ArrayBuffer.isView(source)) {
    return Uint8Array.from(new Uint8Array(source.buffer, source.byteOffset, source.byteLength))
  }
  if (source instanceof ArrayBuffer) return new Uint8Array(source.slice(0))
  if (source instanceof ReadableStream || isAsyncIterable(source)) {
    checkStream(source, duplex)
    return new WebStreamContent(toReader(source))
  }
  return toText(source)
}

/**
 * Takes the body of a Request, which does not tell what it was made of. What is there at once is sent
 * with its length, and again where that is needed; anything else as it comes.
 */
export async function takeRequestBody(request: Request): Promise<RequestBodyInit> {
  const { body, bodyUsed } = request
  if (bodyUsed || body === null || body.locked) {
    throw new TypeError('Cannot send the body of the Request: it has been read, or is being read')
  }
  const reader = body.getReader() as PieceReader
  const held: Uint8Array[] = []
  let heldBytes = 0
  let ahead: Promise<ReadResult> | undefined
  // One piece may be all, however long it is: text and bytes come so.
  while (heldBytes < MAX_HELD_BYTES || held.length === 1) {
    ahead = reader.read()
    const result = await Promise.race([ahead, endOfTurn()])
    if (result === undefined) break
    ahead = undefined
    if (result.done) return Buffer.concat(held, heldBytes)
    checkPiece(result.value)
    held.push(result.value)
    heldBytes += result.value.length
  }
  return new WebStreamContent(reader, held, ahead)
}

type PieceReader = ReadableStreamDefaultReader<unknown>
type ReadResult = Awaited<ReturnType<PieceReader['read']>>

/** A web stream, read once. Ending it cancels the stream, also while a piece is waited for. */
class WebStreamContent implements StreamedContent {
  readonly replayable = false
  readonly #reader: PieceReader
  readonly #held: readonly Uint8Array[]
  #ahead: Promise<ReadResult> | undefined
  #opened = false

  /** `held` was read already, and `ahead` is being read. */
  constructor(reader: PieceReader, held: readonly Uint8Array[] = [], ahead?: Promise<ReadResult>) {
    this.#reader = reader
    this.#held = held
    this.#ahead = ahead
    // It may fail before anybody waits for it.
    ahead?.catch(() => {})
  }

  open(signal?: AbortSignal): AsyncIterable<Uint8Array> {
    if (this.#opened) throw new TypeError('Cannot send the body a second time: it is a stream')
    this.#opened = true
    const cancel = (): void => this.#cancel(signal?.reason)
    if (signal?.aborted === true) cancel()
    else signal?.addEventListener('abort', cancel, { once: true })
    return this.#read()
  }

  async *#read(): AsyncGenerator<Uint8Array, void> {
    let hasEnded = false
    try {
      for (const piece of this.#held) yield piece
      for (;;) {
        const next = this.#ahead ?? this.#reader.read()
        this.#ahead = undefined
        const { done, value } = await next
        if (done) break
        checkPiece(value)
        yield value
      }
      hasEnded = true
    } finally {
      if (!hasEnded) this.#cancel()
    }
  }

  #cancel(reason?: unknown): void {
    this.#reader.cancel(reason).catch(() => {})
  }
}

function endOfTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(resolve, undefined))
}

function toReader(source: ReadableStream | AsyncIterable<unknown>): PieceReader {
  const stream = source instanceof ReadableStream ? source : ReadableStream.from(source)
  return stream.getReader() as PieceReader
}

/** WHATWG Fetch §5.2 and §5.4, step 38. */
function checkStream(source: object, duplex: string | undefined): void {
  if (duplex !== 'half') {
    throw new TypeError("Cannot send a stream as body: it needs duplex: 'half' beside it")
  }
  if (source instanceof ReadableStream && source.locked) {
    throw new TypeError('Cannot send a stream as body: it is being read by somebody else')
  }
}

function isAsyncIterable(source: unknown): source is AsyncIterable<unknown> {
  return typeof source === 'object' && source !== null && Symbol.asyncIterator in source
}

/** What the platform would make text of, but for objects that say nothing about themselves. */
function toText(source: unknown): string {
  if (Object(source) === source && (source as object).toString === Object.prototype.toString) {
    throw new TypeError('Cannot send a plain object as body: use JSON.stringify()')
  }
  return String(source)
}

/**
 * What a message can carry as its content, brought into one of two shapes when the message is made:
 * bytes, or a stream that is opened when it is sent.
 *
 * Nothing is read here, not even to learn a length. Bytes of the caller are not copied: they must
 * not change until they are sent.
 */
import { LocalProtocolError } from '../errors.ts'

/** Content that comes piece by piece, of a length that may be unknown. */
export interface StreamedContent {
  /** Bytes; undefined sends it chunked. */
  readonly length?: number | undefined
  /** Whether `open` may be called again, and then gives the same bytes. */
  readonly replayable: boolean
  /**
   * Called once for each sending; throws where the bytes cannot be had again.
   *
   * The sender asks for one piece at a time. **A source may use the memory of a piece again as soon
   * as the next one is asked for**: by then the sender has copied it or handed it to the system. When
   * sending stops early the sender calls `return()` of the iterator, which is where a source closes
   * what it has opened; `signal` aborts then, also while a piece is being waited for.
   */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** Content of a message, as it is kept. */
export type Content = Uint8Array | StreamedContent

/**
 * What content can be made from. Text becomes UTF-8; arrays of bytes are copied as a list, not byte
 * by byte; other iterables, WHATWG streams and Node's Readable are read once, when they are sent.
 */
export type ContentInit =
  | string
  | Uint8Array
  | ArrayBufferView
  | ArrayBuffer
  | Blob
  | StreamedContent
  | Iterable<Uint8Array>
  | AsyncIterable<Uint8Array>

/**
 * Brings content into the shape in which it is kept.
 * @throws {LocalProtocolError} when it is nothing that can be sent
 */
export function toContent(init: ContentInit): Content {
  if (typeof init === 'string') return encodeText(init)
  if (init instanceof Uint8Array) return init
  if (isStreamed(init)) return checkStreamed(init)
  if (ArrayBuffer.isView(init)) return new Uint8Array(init.buffer, init.byteOffset, init.byteLength)
  if (init instanceof ArrayBuffer) return new Uint8Array(init)
  if (init instanceof Blob) return blobContent(init)
  if (typeof init === 'object' && init !== null) {
    if (Array.isArray(init)) return listContent(init)
    if (Symbol.asyncIterator in init || Symbol.iterator in init) return new OneShotContent(init)
  }
  throw new LocalProtocolError(
    `Cannot send content of type ${nameOf(init)}: expected text, bytes, a Blob, a stream or pieces`,
  )
}

/** Bytes of content, without reading any; undefined when it is unknown. */
export function calculateContentLength(init: ContentInit): number | undefined {
  const content = toContent(init)
  // A stream that is sent chunked may know its length all the same.
  return 'contentLength' in content ? (content.contentLength as number) : content.length
}

/** Whether content has no bytes, without reading any; undefined when that is unknown. */
export function isStreamEmpty(init: ContentInit): boolean | undefined {
  const length = calculateContentLength(init)
  return length === undefined ? undefined : length === 0
}

/** Throws unless a number can be a length in bytes. */
export function checkLength(length: number): void {
  if (Number.isSafeInteger(length) && length >= 0) return
  throw new LocalProtocolError(`Cannot send content of ${String(length)} bytes: not a length`)
}

/** Throws unless a piece is bytes: streams with an encoding give text, those of objects anything. */
export function checkPiece(piece: unknown): asserts piece is Uint8Array {
  if (piece instanceof Uint8Array) return
  throw new TypeError(`Cannot send a piece of type ${nameOf(piece)}: expected Uint8Array`)
}

/** Browsers have the one, and Node is ten times as fast with the other. */
function encodeText(text: string): Uint8Array {
  return typeof Buffer === 'undefined' ? new TextEncoder().encode(text) : Buffer.from(text)
}

function isStreamed(init: unknown): init is StreamedContent {
  return (
    typeof init === 'object' && init !== null && 'open' in init && typeof init.open === 'function'
  )
}

function checkStreamed(content: StreamedContent): StreamedContent {
  if (content.length !== undefined) checkLength(content.length)
  return content
}

function blobContent(blob: Blob): StreamedContent {
  return Object.freeze({ length: blob.size, replayable: true, open: () => blob.stream() })
}

function listContent(pieces: readonly unknown[]): StreamedContent {
  const kept: Uint8Array[] = []
  let length = 0
  for (const piece of pieces) {
    checkPiece(piece)
    kept.push(piece)
    length += piece.length
  }
  return Object.freeze({
    length,
    replayable: true,
    open: () => new PieceIterator(kept),
  })
}

/** An iterable that can be read only once. */
class OneShotContent implements StreamedContent {
  readonly replayable = false
  readonly #source: Iterable<unknown> | AsyncIterable<unknown>
  #opened = false

  constructor(source: Iterable<unknown> | AsyncIterable<unknown>) {
    this.#source = source
    Object.freeze(this)
  }

  get length(): undefined {
    return undefined
  }

  open(signal?: AbortSignal): AsyncIterable<Uint8Array> {
    if (this.#opened) {
      throw new TypeError(
        'Cannot send the content a second time: it came from an iterable that is read only once',
      )
    }
    this.#opened = true
    return new PieceIterator(this.#source, signal)
  }
}

const DONE = { done: true, value: undefined } as const

/**
 * Any iterable as an iterator of checked pieces, which can be ended while a piece is waited for: a
 * generator would let its `return()` wait for that piece.
 */
class PieceIterator implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #source: Iterable<unknown> | AsyncIterable<unknown>
  readonly #pieces: Iterator<unknown> | AsyncIterator<unknown>
  #ended = false
  /** Ends the wait for a piece. */
  #release: (() => void) | undefined

  constructor(source: Iterable<unknown> | AsyncIterable<unknown>, signal?: AbortSignal) {
    this.#source = source
    this.#pieces = iterate(source)
    signal?.addEventListener('abort', () => void this.return().catch(() => {}), { once: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#ended) return DONE
    const { done, value } = await this.#pull()
    if (this.#ended) return DONE
    if (done === true) {
      this.#ended = true
      return DONE
    }
    try {
      checkPiece(value)
    } catch (error) {
      await this.return()
      throw error
    }
    return { done: false, value }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#ended) return DONE
    this.#ended = true
    const waiting = this.#release !== undefined
    this.#release?.()
    // A Readable that nothing comes from would hear of `return()` only after its next piece.
    if (waiting) destroyReadable(this.#source)
    const closed = this.#pieces.return?.()
    if (waiting) Promise.resolve(closed).catch(() => {})
    else await closed
    return DONE
  }

  #pull(): Promise<IteratorResult<unknown>> {
    return new Promise((resolve, reject) => {
      this.#release = () => resolve(DONE)
      Promise.resolve(this.#pieces.next())
        .then(resolve, reject)
        .finally(() => (this.#release = undefined))
    })
  }
}

function iterate(
  source: Iterable<unknown> | AsyncIterable<unknown>,
): Iterator<unknown> | AsyncIterator<unknown> {
  if (source instanceof ReadableStream) return readWebStream(source)
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}

/** The stream's own iterator would cancel it only after the piece that is waited for. */
function readWebStream(stream: ReadableStream<unknown>): AsyncIterator<unknown> {
  const reader = stream.getReader()
  return {
    async next() {
      const result = await reader.read()
      if (result.done) reader.releaseLock()
      return result as IteratorResult<unknown>
    },
    async return() {
      await reader.cancel()
      reader.releaseLock()
      return DONE
    },
  }
}

function destroyReadable(source: object): void {
  if ('destroy' in source && typeof source.destroy === 'function') source.destroy()
}

function nameOf(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value
}

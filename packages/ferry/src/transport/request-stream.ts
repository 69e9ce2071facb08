/**
 * Content that tells how far it has been sent, and holds what is sent against what was announced.
 * Nothing is read before it is sent.
 */
import { LocalProtocolError, StreamError } from '../errors.ts'
import {
  calculateContentLength,
  checkLength,
  type Content,
  type ContentInit,
  type StreamedContent,
  toContent,
} from './content.ts'

/** How far a stream has come. */
export interface StreamProgress {
  /** Bytes so far. */
  readonly bytes: number
  /** Bytes in all; undefined when that is unknown. */
  readonly total: number | undefined
}

/** Settings of a request stream. */
export interface RequestStreamOptions {
  /** Bytes in all; needed only where the source does not tell. */
  readonly contentLength?: number | undefined
  /** Sends it chunked although its length is known, for trailers, say. @defaultValue false */
  readonly chunked?: boolean | undefined
  /** Called when a piece has been handed on: once the one after it, or the end, is asked for. */
  readonly onProgress?: ((progress: StreamProgress) => void) | undefined
}

// Bytes in memory are given in pieces of this size, so that their progress can be told.
const PIECE_BYTES = 65_536

/**
 * Content of a request that can also be iterated by itself: again and again when it is made from
 * text, bytes or arrays, once when it is made from an iterable.
 */
export class RequestStream implements StreamedContent, AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Bytes in all; undefined when that is unknown. */
  readonly contentLength: number | undefined
  /** Whether it is sent chunked. */
  readonly chunked: boolean
  readonly replayable: boolean
  readonly #content: Content
  readonly #onProgress: RequestStreamOptions['onProgress']
  readonly #closing = new AbortController()
  #bytesRead = 0

  /** Use `createRequestStream()`. */
  constructor(source: ContentInit, options: RequestStreamOptions = {}) {
    this.#content = toContent(source)
    this.contentLength = agreedLength(calculateContentLength(this.#content), options.contentLength)
    this.chunked = options.chunked ?? this.contentLength === undefined
    this.replayable = this.#content instanceof Uint8Array || this.#content.replayable
    this.#onProgress = options.onProgress
    if (!this.chunked && this.contentLength === undefined) {
      throw new LocalProtocolError(
        'Cannot send content of unknown length unless chunked: give contentLength, or leave chunked out',
      )
    }
    Object.freeze(this)
  }

  /** What is announced when it is sent; undefined when it is sent chunked. */
  get length(): number | undefined {
    return this.chunked ? undefined : this.contentLength
  }

  /** Bytes given in the iteration that was begun last. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /**
   * Begins to read it.
   * @throws {StreamError} after `close()`, {TypeError} the second time where it is read only once.
   * The iteration throws {LocalProtocolError} when there are more or fewer bytes than announced.
   */
  open(signal?: AbortSignal): AsyncIterable<Uint8Array> {
    this.#throwIfClosed()
    const own = this.#closing.signal
    const either = signal === undefined ? own : AbortSignal.any([signal, own])
    return this.#read(openContent(this.#content, either), either)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.open()[Symbol.asyncIterator]()
  }

  /** Ends whatever reads it, with an error, and closes a source that has begun to be read. Idempotent. */
  close(): void {
    this.#closing.abort()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  async *#read(
    pieces: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    const total = this.contentLength
    let bytes = 0
    this.#bytesRead = 0
    for await (const piece of pieces) {
      bytes += piece.length
      if (total !== undefined && bytes > total) throw lengthError(total, `at least ${bytes}`)
      this.#bytesRead = bytes
      yield piece
      this.#throwIfClosed()
      this.#onProgress?.({ bytes, total })
    }
    this.#throwIfClosed()
    if (!signal.aborted && total !== undefined && bytes < total) {
      throw lengthError(total, String(bytes))
    }
  }

  #throwIfClosed(): void {
    if (this.closed) throw new StreamError('Cannot read the request stream: it was closed')
  }
}

/**
 * Makes content that reports its progress and checks its length.
 * @throws {LocalProtocolError} when the source is nothing that can be sent, or its length is known
 * and not the one announced
 * @example
 * const stream = createRequestStream(pieces(), { onProgress: ({ bytes }) => console.log(bytes) })
 * const request = HttpRequest.create({ method: 'POST', url, stream })
 */
export function createRequestStream(
  source: ContentInit,
  options: RequestStreamOptions = {},
): RequestStream {
  return new RequestStream(source, options)
}

/** Opens content of either shape. */
export function openContent(content: Content, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  return content instanceof Uint8Array ? readSlices(content) : content.open(signal)
}

// oxlint-disable-next-line typescript/require-await -- the senders take an asynchronous iterable
async function* readSlices(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

/** The length that source and caller agree on. */
export function agreedLength(
  known: number | undefined,
  announced: number | undefined,
): number | undefined {
  if (announced !== undefined) checkLength(announced)
  if (known !== undefined && announced !== undefined && known !== announced) {
    throw lengthError(announced, String(known))
  }
  return announced ?? known
}

function lengthError(announced: number, given: string): LocalProtocolError {
  return new LocalProtocolError(
    `Cannot send the content: ${announced} bytes announced, ${given} given`,
  )
}

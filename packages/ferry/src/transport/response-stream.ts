/**
 * Bodies of responses that come from elsewhere than a connection: from memory, from an iterable, or
 * from another body, whose progress is to be told.
 *
 *     source → flow → ResponseBody → whoever takes it
 *
 * A flow asks its source for a piece, gives it to the body, and waits while the body is full. The
 * body then holds some 64 KiB, as one from a connection does.
 */
import { StreamError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { Flow } from './connection.ts'
import { calculateContentLength, type ContentInit, toContent } from './content.ts'
import { openContent, agreedLength, type StreamProgress } from './request-stream.ts'
import { ResponseBody } from './response-body.ts'

// What a body holds anyway; so much need not wait for a turn.
const DIRECT_BYTES = 65_536

/** Settings of a body. */
export interface ResponseStreamOptions {
  /** Bytes in all; needed only where the source does not tell. */
  readonly contentLength?: number | undefined
  /** Fields after the content; those of a body that is wrapped are kept. */
  readonly trailers?: HeaderFieldsInit | undefined
  /** Called when a piece has been given to the body. */
  readonly onProgress?: ((progress: StreamProgress) => void) | undefined
}

/**
 * Makes a body from content, or wraps one that was received. It is taken like any other: by
 * `bytes()`, `pipe()` or iteration, once; whoever has it takes it to its end or cancels it, which
 * ends the source.
 *
 * Taking it fails with a StreamError when there are more or fewer bytes than announced.
 * @throws {LocalProtocolError} when a length is known and not the one announced
 * @example
 * const body = createResponseStream(response.body, { onProgress: ({ bytes }) => console.log(bytes) })
 */
export function createResponseStream(
  source: ContentInit | ResponseBody,
  options: ResponseStreamOptions = {},
): ResponseBody {
  if (source instanceof ResponseBody) return wrapBody(source, options)
  return new ContentFlow(source, options).body
}

/** Gives content to a body. */
class ContentFlow implements Flow {
  readonly body: ResponseBody
  readonly #counter: Counter
  readonly #trailers: HeaderFields
  readonly #stopping = new AbortController()
  #ended = false
  #paused = false
  /** Ends the wait for the body. */
  #wake: (() => void) | undefined

  constructor(source: ContentInit, options: ResponseStreamOptions) {
    const content = toContent(source)
    const total = agreedLength(calculateContentLength(content), options.contentLength)
    this.#counter = new Counter({
      total,
      expected: total,
      onProgress: options.onProgress,
    })
    this.#trailers = HeaderFields.from(options.trailers)
    const isDirect = content instanceof Uint8Array && content.length <= DIRECT_BYTES
    const run = (): void => void this.#run(openContent(content, this.#stopping.signal))
    this.body = new ResponseBody(this, total, isDirect ? undefined : run)
    if (isDirect) this.#giveAll(content)
  }

  resume(): void {
    this.#paused = false
    this.#wake?.()
  }

  abort(reason: Error): void {
    this.#end(() => this.body.fail(reason))
  }

  #giveAll(content: Uint8Array): void {
    try {
      this.#give(content)
      this.#end(() => this.body.complete(this.#trailers))
    } catch (error) {
      this.abort(error as Error)
    }
  }

  async #run(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const piece of pieces) {
        if (!this.#ended) this.#give(piece)
        while (this.#paused && !this.#ended) {
          await new Promise<void>((resolve) => (this.#wake = resolve))
        }
        if (this.#ended) return
      }
      this.#counter.finish()
      this.#end(() => this.body.complete(this.#trailers))
    } catch (error) {
      this.abort(error as Error)
    }
  }

  #give(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#counter.add(piece.length)
    const { buffer, byteOffset, length } = piece
    this.#paused = !this.body.receive(Buffer.from(buffer, byteOffset, length))
  }

  #end(tell: () => void): void {
    if (this.#ended) return
    this.#ended = true
    tell()
    this.#stopping.abort()
    this.#wake?.()
  }
}

/** Counts what passes, and holds it against what was announced. */
class Counter {
  readonly #total: number | undefined
  readonly #expected: number | undefined
  readonly #onProgress: ResponseStreamOptions['onProgress']
  #bytes = 0

  constructor(options: {
    /** For progress. */
    readonly total: number | undefined
    /** What must come, neither more nor less. */
    readonly expected: number | undefined
    readonly onProgress: ResponseStreamOptions['onProgress']
  }) {
    this.#total = options.total
    this.#expected = options.expected
    this.#onProgress = options.onProgress
  }

  add(length: number): void {
    this.#bytes += length
    if (this.#expected !== undefined && this.#bytes > this.#expected) throw this.#error('more')
    this.#onProgress?.({ bytes: this.#bytes, total: this.#total })
  }

  finish(): void {
    if (this.#expected !== undefined && this.#bytes < this.#expected) throw this.#error('fewer')
  }

  #error(word: 'more' | 'fewer'): StreamError {
    const bytes = this.#bytes
    return new StreamError(
      `Cannot take the response: ${word} bytes than the ${this.#expected} announced, ${bytes}`,
      { bytesReceived: bytes, expectedBytes: this.#expected },
    )
  }
}

/** Passes on what a body receives, without a promise for each piece; begins when it is taken. */
function wrapBody(source: ResponseBody, options: ResponseStreamOptions): ResponseBody {
  const total = agreedLength(source.length, options.contentLength)
  const counter = new Counter({
    total,
    // The source holds its own length against what comes; HEAD announces one and brings nothing.
    expected: options.contentLength,
    onProgress: options.onProgress,
  })
  let resume = (): void => {}
  const finish = async (): Promise<void> => {
    await source.pipe({
      start: (flow) => (resume = () => flow.resume()),
      buffer: () => body.receiveBuffer(),
      write: (bytes) => {
        counter.add(bytes.length)
        return body.receive(bytes)
      },
    })
    counter.finish()
    body.complete(HeaderFields.from(options.trailers ?? source.trailers))
  }
  const abort = (reason: Error): void => {
    source.cancel(reason)
    if (!source.used) body.fail(reason)
  }
  const body = new ResponseBody({ resume: () => resume(), abort }, total, () => {
    finish().catch((error: Error) => body.fail(error))
  })
  return body
}

/**
 * Where the bytes of a request come from, as a source that pushes: a readable of Node's by its events,
 * which costs a third of what its iterator does, and anything that can be iterated.
 */
import { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/** What an upload can be written from. */
export type UploadContent = Readable | AsyncIterable<Uint8Array>

/** Takes what a source pushes; `onEnd` or `onError` comes last, once. */
export interface ByteSink {
  /** The chunk is the sink's from now on: nobody changes it. */
  onChunk(chunk: Uint8Array): void
  onEnd(): void
  onError(error: Error): void
}

/** Pushes bytes into a sink. */
export interface ByteSource {
  /** Whether nobody else has the memory of a chunk: the sink may free it. */
  readonly givesChunksAway: boolean
  start(sink: ByteSink): void
  /** A few chunks may still come. */
  pause(): void
  resume(): void
  /** Nothing is called from now on. What the bytes come from stays open: its owner may answer. */
  cancel(): void
}

/** The source of some content. */
export function sourceOf(content: UploadContent): ByteSource {
  return content instanceof Readable ? new ReadableSource(content) : new IterableSource(content)
}

class ReadableSource implements ByteSource {
  readonly #readable: Readable
  readonly #isRequest: boolean
  #sink: ByteSink | undefined

  constructor(readable: Readable) {
    this.#readable = readable
    this.#isRequest = readable instanceof IncomingMessage
  }

  /** The parser of node:http copies each chunk of a request into memory of its own. */
  get givesChunksAway(): boolean {
    return this.#isRequest && this.#readable.listenerCount('data') <= 1
  }

  start(sink: ByteSink): void {
    this.#sink = sink
    const readable = this.#readable
    if (readable.readableEnded || readable.destroyed) {
      const end = (): void => (readable.readableEnded ? this.#onEnd() : this.#onClose())
      queueMicrotask(end)
      return
    }
    // These stay: an error without a listener would end the process.
    readable.on('error', this.#onError)
    readable.on('end', this.#onEnd)
    readable.on('close', this.#onClose)
    readable.on('data', this.#onData)
  }

  pause(): void {
    this.#readable.pause()
  }

  resume(): void {
    if (this.#sink !== undefined) this.#readable.resume()
  }

  cancel(): void {
    this.#sink = undefined
    this.#readable.off('data', this.#onData)
    this.#readable.pause()
  }

  readonly #onData = (chunk: Uint8Array): void => this.#sink?.onChunk(chunk)

  readonly #onEnd = (): void => {
    const sink = this.#sink
    this.#sink = undefined
    sink?.onEnd()
  }

  readonly #onError = (error: Error): void => {
    const sink = this.#sink
    this.#sink = undefined
    sink?.onError(error)
  }

  /** A request whose connection broke closes without an end, and not always with an error. */
  readonly #onClose = (): void => this.#onError(new Error('the connection broke'))
}

class IterableSource implements ByteSource {
  readonly givesChunksAway = false
  readonly #iterator: AsyncIterator<Uint8Array>
  #sink: ByteSink | undefined
  #isPaused = false
  #isPulling = false

  constructor(iterable: AsyncIterable<Uint8Array>) {
    this.#iterator = iterable[Symbol.asyncIterator]()
  }

  start(sink: ByteSink): void {
    this.#sink = sink
    void this.#pull()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    void this.#pull()
  }

  cancel(): void {
    this.#sink = undefined
    // It may never answer; nobody waits for it.
    this.#iterator.return?.()?.catch(() => {})
  }

  async #pull(): Promise<void> {
    if (this.#isPulling) return
    this.#isPulling = true
    try {
      while (this.#sink !== undefined && !this.#isPaused) {
        const { done, value } = await this.#iterator.next()
        if (done !== true) this.#sink?.onChunk(value)
        else this.#finish()
      }
    } catch (error) {
      const sink = this.#sink
      this.#sink = undefined
      sink?.onError(error as Error)
    } finally {
      this.#isPulling = false
    }
  }

  #finish(): void {
    const sink = this.#sink
    this.#sink = undefined
    sink?.onEnd()
  }
}

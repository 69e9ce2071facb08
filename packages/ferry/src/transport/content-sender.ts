/**
 * Sends the content of one request, from memory or piece by piece from its source, at the pace at
 * which the peer takes it. How it is framed is the business of its sink.
 *
 *     held → sending → sent
 *       └──────┴─────→ stopped
 *
 * The source may use the memory of a chunk again as soon as it is asked for the next one: small
 * chunks are copied, large ones waited for until the system has them. Does not know what comes back.
 */
import type { Clock } from '../clock.ts'
import { LocalProtocolError } from '../errors.ts'
import { checkPiece, type StreamedContent } from './content.ts'
import type { ContentSink, OnTaken } from './content-sink.ts'
import type { RequestContent } from './http-request.ts'
import { type RequestTrailers, resolveTrailers } from './request-trailers.ts'

/** Whom a sender tells how it ended; nobody is told after `stop()`. */
export interface ContentSenderOwner {
  onContentSent(): void
  onContentFailed(error: Error): void
}

/** What a sender works with. */
export interface ContentSenderOptions {
  readonly sink: ContentSink
  readonly clock: Clock
  readonly content: RequestContent
  readonly trailers: RequestTrailers | undefined
  readonly owner: ContentSenderOwner
}

export type ContentSenderState = 'held' | 'sending' | 'sent' | 'stopped'

// A piece that is copied costs less than waiting for it to leave; beyond this the copy costs more.
const COPIED_CHUNK_BYTES = 16_384
// What may be on its way to the system before the source is asked for more.
const MAX_UNFLUSHED_BYTES = 65_536
/** Large pieces go in slices, two at a time: each that leaves shows that the peer still takes something. */
const SLICE_BYTES = 131_072

/** The sending of one content. */
export class ContentSender {
  #state: ContentSenderState = 'held'
  readonly #options: ContentSenderOptions
  readonly #stopping = new AbortController()
  #unflushedBytes = 0
  /** When the peer took something last, while we wait for it to take more. */
  #stalledSince: number | undefined
  #onFlushed: (() => void) | undefined
  #sentBytes = 0
  /** Bytes that the source has given. */
  #givenBytes = 0

  constructor(options: ContentSenderOptions) {
    this.#options = options
  }

  get state(): ContentSenderState {
    return this.#state
  }

  /** Bytes handed to the sink, framing included. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** How long the peer has taken nothing although there is something to send; 0 when it is not to blame. */
  stalledMs(now: number): number {
    return this.#stalledSince === undefined ? 0 : now - this.#stalledSince
  }

  /** Begins to send; no effect a second time or after `stop()`. */
  start(): void {
    if (this.#state !== 'held') return
    this.#state = 'sending'
    this.#send().then(
      () => this.#finish(),
      (error: Error) => this.#fail(error),
    )
  }

  /** Sends no more; the source is let go. Idempotent. */
  stop(): void {
    if (this.#state === 'sent' || this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#stalledSince = undefined
    this.#stopping.abort()
    this.#options.sink.stop?.()
    this.#onFlushed?.()
  }

  #finish(): void {
    if (this.#state !== 'sending') return
    this.#state = 'sent'
    this.#options.owner.onContentSent()
  }

  #fail(error: Error): void {
    if (this.#state !== 'sending') return
    this.stop()
    this.#options.owner.onContentFailed(error)
  }

  #isStopped(): boolean {
    return this.#state === 'stopped'
  }

  async #send(): Promise<void> {
    const { content, trailers, sink } = this.#options
    if (content instanceof Uint8Array) {
      await this.#sendSlices(content)
    } else {
      await this.#sendPieces(content)
      if (!this.#isStopped()) checkLength(this.#givenBytes, content.length, true)
    }
    if (!this.#isStopped()) this.#sentBytes += sink.end(resolveTrailers(trailers))
  }

  async #sendPieces(content: StreamedContent): Promise<void> {
    for await (const chunk of content.open(this.#stopping.signal)) {
      if (this.#isStopped()) return
      checkPiece(chunk)
      this.#givenBytes += chunk.length
      checkLength(this.#givenBytes, content.length)
      if (chunk.length > 0) await this.#sendChunk(chunk)
      // It may have been stopped meanwhile; then the source is not asked for more.
      if (this.#isStopped()) return
    }
  }

  async #sendSlices(bytes: Uint8Array): Promise<void> {
    const { sink } = this.#options
    for (let at = 0; at < bytes.length && !this.#isStopped(); at += SLICE_BYTES) {
      const slice = bytes.subarray(at, at + SLICE_BYTES)
      this.#sentBytes += sink.send(slice, this.#startFlush(slice.length))
      await this.#flushed(SLICE_BYTES)
    }
    await this.#flushed(0)
  }

  async #sendChunk(chunk: Uint8Array): Promise<void> {
    if (chunk.length > COPIED_CHUNK_BYTES) {
      await this.#sendSlices(chunk)
      return
    }
    this.#sentBytes += this.#options.sink.sendCopy(chunk, this.#startFlush(chunk.length))
    if (this.#unflushedBytes > MAX_UNFLUSHED_BYTES) await this.#flushed(MAX_UNFLUSHED_BYTES / 2)
  }

  /** Counts bytes that go to the sink. @returns what the sink calls as it takes them */
  #startFlush(length: number): OnTaken {
    this.#unflushedBytes += length
    return (taken) => {
      this.#unflushedBytes -= taken
      if (this.#stalledSince !== undefined) this.#stalledSince = this.#options.clock.now()
      this.#onFlushed?.()
    }
  }

  /** Waits until no more than so many bytes are on their way to the system. */
  async #flushed(bytes: number): Promise<void> {
    this.#stalledSince = this.#options.clock.now()
    while (this.#unflushedBytes > bytes && !this.#isStopped()) {
      await new Promise<void>((resolve) => (this.#onFlushed = resolve))
    }
    this.#stalledSince = undefined
    this.#onFlushed = undefined
  }
}

function checkLength(given: number, announced: number | undefined, atEnd = false): void {
  if (announced === undefined || (atEnd ? given === announced : given <= announced)) return
  throw new LocalProtocolError(
    `Cannot send the content: ${announced} bytes announced, ${given} given`,
  )
}

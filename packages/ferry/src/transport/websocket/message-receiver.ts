/**
 * The receiving half of a WebSocket: bytes of a stream in, messages and control frames out.
 *
 * Owns the reader of frames, what has come and is not taken, and the pauses of the stream: while too
 * much is held, or while the reader is still inflating. Does not answer and does not close.
 */
import { RemoteProtocolError, StreamError } from '../../errors.ts'
import type { NetworkStream, StreamReader } from '../../net/network-backend.ts'
import { CLOSE_CODES } from './close-codes.ts'
import { FrameCollector } from './frame-collector.ts'
import type { MessageDeflate } from './message-deflate.ts'
import { MessageQueue, type WebSocketMessage } from './message-queue.ts'
import { Receiver } from './ws-frames.ts'

/** What is told, in the order of the wire. */
export interface ReceiverEvents {
  onPing(payload: Buffer): void
  onPong(payload: Buffer): void
  /** A Close frame; nothing is told after it but the end. Code 1005 when it had none. */
  onClose(code: number, reason: string): void
  /** The peer broke the rules or a limit; nothing is told after it but the end. */
  onViolation(error: Error, closeCode: number): void
  /** The peer's bytes have ended, and all that came is told. */
  onEnd(cause: Error | undefined): void
}

interface ReceiverSettings {
  readonly deflate: MessageDeflate | undefined
  readonly maxMessageBytes: number
  readonly maxHeldBytes: number
  /** For messages: whom the bytes are from. */
  readonly where: string
}

// Pieces of a frame that is not whole: beyond what FrameCollector leaves of the longest.
const MAX_CHUNKS = 16_384
// As the ws client has it.
const MAX_FRAGMENTS = 16_384

/** What the errors of the package mean (RFC 6455 §7.4.1); all others break the rules of frames. */
const CLOSE_CODE_OF: Readonly<Record<string, number>> = {
  WS_ERR_INVALID_UTF8: CLOSE_CODES.invalidText,
  Z_DATA_ERROR: CLOSE_CODES.invalidText,
  Z_BUF_ERROR: CLOSE_CODES.invalidText,
  Z_NEED_DICT: CLOSE_CODES.invalidText,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: CLOSE_CODES.tooBig,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: CLOSE_CODES.tooBig,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: CLOSE_CODES.policy,
}

/** Reads one stream from `start()` on; never closes it. */
export class MessageReceiver implements StreamReader {
  readonly #stream: NetworkStream
  readonly #settings: ReceiverSettings
  readonly #events: ReceiverEvents
  readonly #receiver: Receiver
  readonly #collector: FrameCollector
  readonly #queue: MessageQueue
  #receivedBytes = 0
  /** The reader of frames is busy inflating. */
  #busy = false
  #paused = false
  /** Messages are thrown away. */
  #drops = false
  /** No frame is looked at any more. */
  #done = false
  #end: { readonly cause: Error | undefined } | undefined

  constructor(stream: NetworkStream, settings: ReceiverSettings, events: ReceiverEvents) {
    this.#stream = stream
    this.#settings = settings
    this.#events = events
    this.#queue = new MessageQueue(settings.maxHeldBytes, () => this.#onRoom())
    this.#collector = new FrameCollector((chunk) => this.#feed(chunk))
    const { deflate, maxMessageBytes } = settings
    if (deflate !== undefined) deflate.hasRoom = () => this.#drops || !this.#queue.full
    this.#receiver = new Receiver({
      extensions: deflate === undefined ? {} : { 'permessage-deflate': deflate },
      maxPayload: maxMessageBytes,
      maxBufferedChunks: MAX_CHUNKS,
      maxFragments: MAX_FRAGMENTS,
    })
    this.#receiver
      .on('message', (bytes: Buffer, isBinary: boolean) => this.#onMessage(bytes, isBinary))
      .on('ping', (payload: Buffer) => events.onPing(payload))
      .on('pong', (payload: Buffer) => events.onPong(payload))
      .on('conclude', (code: number, reason: Buffer) => {
        this.#done = true
        events.onClose(code, reason.toString())
      })
      .on('error', (error) => this.#onViolation(error))
      .on('drain', () => {
        this.#busy = false
        this.#throttle()
      })
      .on('finish', () => {
        if (this.#end !== undefined) events.onEnd(this.#end.cause)
      })
  }

  /** Bytes that came from the peer so far. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  get paused(): boolean {
    return this.#paused
  }

  start(): void {
    this.#stream.read(this)
  }

  take(signal?: AbortSignal): Promise<WebSocketMessage | undefined> {
    return this.#queue.take(signal)
  }

  /** Throws away what comes from now on, so that a Close behind it can be seen. */
  drop(): void {
    this.#drops = true
    this.#onRoom()
  }

  /** Ends the messages; those that are held are still given. */
  end(error?: Error): void {
    this.#queue.end(error)
  }

  /** Ends the messages at once. */
  abort(error: Error): void {
    this.#queue.abort(error)
  }

  onBytes(bytes: Buffer): void {
    this.#receivedBytes += bytes.length
    if (!this.#done) this.#collector.take(bytes)
  }

  nextBuffer(): Buffer | undefined {
    return this.#collector.nextBuffer()
  }

  onEnd(): void {
    this.#onOver(undefined)
  }

  onError(error: Error): void {
    this.#onOver(error)
  }

  /** What came before the end is told first, if it has still to be inflated. */
  #onOver(cause: Error | undefined): void {
    this.#end = { cause }
    if (this.#done) this.#events.onEnd(cause)
    else this.#receiver.end()
  }

  #feed(chunk: Buffer): void {
    if (this.#done) return
    // A long chunk is always answered with false, even when it has been read already.
    if (this.#receiver.write(chunk) || this.#receiver.writableLength === 0) return
    this.#busy = true
    this.#throttle()
  }

  #onMessage(bytes: Buffer, isBinary: boolean): void {
    if (this.#drops) return
    this.#queue.push(isBinary ? bytes : bytes.toString(), bytes.length)
    if (this.#queue.full) this.#throttle()
  }

  #onRoom(): void {
    this.#settings.deflate?.proceed()
    this.#throttle()
  }

  #throttle(): void {
    const pause = this.#busy || (this.#queue.full && !this.#drops)
    if (pause === this.#paused) return
    this.#paused = pause
    if (pause) this.#stream.pause()
    else this.#stream.resume()
  }

  #onViolation(error: Error & { readonly code?: string }): void {
    this.#done = true
    this.#busy = false
    this.#throttle()
    const { where, maxMessageBytes } = this.#settings
    const closeCode = CLOSE_CODE_OF[error.code ?? ''] ?? CLOSE_CODES.protocolError
    const what = `Cannot receive a message from ${where}`
    const told =
      closeCode === CLOSE_CODES.tooBig
        ? new StreamError(`${what}: longer than ${maxMessageBytes} bytes`, { cause: error })
        : closeCode === CLOSE_CODES.policy
          ? new StreamError(`${what}: it comes in too many parts`, { cause: error })
          : new RemoteProtocolError(`${what}: ${error.message}`, {
              cause: error,
              detail: { closeCode },
            })
    this.#events.onViolation(told, closeCode)
    if (this.#end !== undefined) this.#events.onEnd(this.#end.cause)
  }
}

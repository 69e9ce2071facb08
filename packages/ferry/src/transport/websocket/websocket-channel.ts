/**
 * An open WebSocket (RFC 6455), seen from the client.
 *
 * Owns the stream and the states open → closing → closed: which frames may still go out, what ends
 * the messages, and that nothing is left open. Reading and writing of frames are in
 * message-receiver.ts and message-sender.ts; the handshake is over when a channel is made.
 */
import { StreamError } from '../../errors.ts'
import type { NetworkStream } from '../../net/network-backend.ts'
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'
import type { ConnectionFacts } from '../connection.ts'
import { throwLater } from '../throw-later.ts'
import type { HttpUrl } from '../http-url.ts'
import { BROKEN, checkClose, CLOSE_CODES, type CloseOutcome } from './close-codes.ts'
import type { MessageDeflate } from './message-deflate.ts'
import type { WebSocketMessage } from './message-queue.ts'
import { MessageReceiver } from './message-receiver.ts'
import { MessageSender, type SendOptions } from './message-sender.ts'
import type { MessageInit } from './piece-reader.ts'
import { Pings } from './pings.ts'
import type { WebSocketSettings } from './websocket-options.ts'

/** open: messages go both ways; closing: none goes out any more; closed: the stream is. */
export type WebSocketState = 'open' | 'closing' | 'closed'

/** Takes the messages of a socket by callback. */
export interface WebSocketListener {
  readonly onMessage: (message: WebSocketMessage) => void | Promise<void>
  /** After a clean close. */
  readonly onClose?: ((outcome: CloseOutcome) => void) | undefined
  /** It ended otherwise: as `receive()` would throw. */
  readonly onError?: ((error: Error) => void) | undefined
}

/** What the handshake has brought. */
export interface ChannelInit {
  readonly url: HttpUrl
  readonly stream: NetworkStream
  readonly head: ResponseHead
  readonly connection: ConnectionFacts | undefined
  readonly protocol: string | undefined
  readonly extensions: string
  readonly deflate: MessageDeflate | undefined
  readonly settings: WebSocketSettings
  readonly signal: AbortSignal | undefined
  /** Is called once, when the stream is closed. */
  readonly onClosed: () => void
}

/**
 * An open WebSocket, made by `connectWebSocket()`. Whoever has it closes it: by `await using`,
 * `close()` or `terminate()`. It keeps the process alive until then, unless `background` was set.
 *
 * Messages are taken by `for await`, or one by one with `receive()`, by one taker at a time. Leaving
 * the loop does not close the socket. The loop ends after a clean close; it throws when the socket
 * ended otherwise, after all that came before. While more than `maxHeldBytes` are not taken, nothing
 * is read, and so no ping of the server answered.
 */
export class WebSocketChannel implements AsyncDisposable, AsyncIterable<WebSocketMessage> {
  /** Without credentials; its scheme is http or https. */
  readonly url: HttpUrl
  /** The head of the response that opened it: status 101, or 200 over HTTP/2. */
  readonly head: ResponseHead
  /** The connection that carries it. */
  readonly connection: ConnectionFacts | undefined
  /** The subprotocol that the server chose; undefined when none was offered. */
  readonly protocol: string | undefined
  /** The extensions in use, as a field would say it; empty without any. */
  readonly extensions: string
  /** Fulfilled when the stream is closed, however that came; never rejects. */
  readonly closed: Promise<CloseOutcome>
  readonly #init: ChannelInit
  readonly #receiver: MessageReceiver
  readonly #sender: MessageSender
  readonly #pings: Pings
  readonly #resolveClosed: (outcome: CloseOutcome) => void
  #state: WebSocketState = 'open'
  /** The peer's Close, once it has come. */
  #peerClose: CloseOutcome | undefined
  #peerEnded = false
  /** Our Close is with the system. */
  #closeSent = false
  /** What ended the messages, where that was not a clean close. */
  #error: Error | undefined
  #cancelTimer: (() => void) | undefined

  /** @internal */
  constructor(init: ChannelInit) {
    this.#init = init
    const { stream, settings, deflate, url } = init
    this.url = url
    this.head = init.head
    this.connection = init.connection
    this.protocol = init.protocol
    this.extensions = init.extensions
    const { promise, resolve } = Promise.withResolvers<CloseOutcome>()
    this.closed = promise
    this.#resolveClosed = resolve
    this.#sender = new MessageSender(stream, {
      deflate,
      compressThreshold: settings.compressThreshold,
      onBroken: (error) => this.#failWith(error, CLOSE_CODES.internalError),
    })
    this.#receiver = new MessageReceiver(
      stream,
      { ...settings, deflate, where: url.label },
      {
        onPing: (payload) => this.#onPing(payload),
        onPong: (payload) => this.#pings.onPong(payload),
        onClose: (code, reason) => this.#onPeerClose(code, reason),
        onViolation: (error, closeCode) => this.#failWith(error, closeCode),
        onEnd: (cause) => this.#onStreamEnd(cause),
      },
    )
    this.#pings = new Pings({
      clock: settings.clock,
      intervalMs: settings.pingIntervalMs,
      pongTimeoutMs: settings.pongTimeoutMs,
      send: (payload) => this.#sender.ping(payload),
      receivedBytes: () => this.#receiver.receivedBytes,
      isPaused: () => this.#receiver.paused,
      onSilence: (error) => this.#finish(error),
    })
    if (settings.background) stream.setIdle(true)
    init.signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#receiver.start()
  }

  get state(): WebSocketState {
    return this.#state
  }

  /** Bytes that were sent and are not yet with the system. */
  get bufferedBytes(): number {
    return this.#sender.bufferedBytes
  }

  /**
   * Sends one message: text, bytes, or an iterable of either, whose pieces go out as they come, each
   * in a frame of its own; pings may pass between them, other messages wait.
   *
   * Fulfilled when the stream has taken it, which waits for a slow peer; that says nothing of the
   * peer's having read it. Messages go out in the order of the calls. Bytes must not change until
   * then. When an iterable fails after its first piece, the socket is closed with 1011.
   * @throws {StreamError} when the socket is closing or closed, or breaks meanwhile
   * @throws `signal.reason`; what the iterable throws
   */
  send(message: MessageInit, options: SendOptions = {}): Promise<void> {
    return this.#sender.send(message, options)
  }

  /**
   * Takes the next message; undefined after a clean close.
   * @throws {StreamError} when the connection broke or a message was over a limit
   * @throws {RemoteProtocolError} when the server broke the rules
   * @throws {TimeoutError} phase `body`, when a ping was not answered
   * @throws `signal.reason` of `options`, without losing a message, or of the socket's own signal
   */
  receive(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<WebSocketMessage | undefined> {
    return this.#receiver.take(options.signal)
  }

  /**
   * Takes every message by callback, in order, until the socket ends; instead of iterating. Then
   * exactly one of `onError` and `onClose` is called. A listener that gives a promise gets the next
   * message when that is fulfilled. What a callback throws is an uncaught exception.
   */
  listen(listener: WebSocketListener): void {
    void this.#tellAll(listener)
  }

  async #tellAll({ onMessage, onClose, onError }: WebSocketListener): Promise<void> {
    try {
      for (;;) {
        const message = await this.#receiver.take()
        if (message === undefined) break
        await callBack(() => onMessage(message))
      }
    } catch (error) {
      await callBack(() => onError?.(error as Error))
      return
    }
    const outcome = await this.closed
    await callBack(() => onClose?.(outcome))
  }

  [Symbol.asyncIterator](): AsyncIterator<WebSocketMessage> {
    // A generator would cost three promises a message.
    return {
      next: async () => {
        const value = await this.#receiver.take()
        return value === undefined ? { done: true, value } : { done: false, value }
      },
    }
  }

  /**
   * Sends a ping and gives the ms until its answer, which stands behind what the server sent before
   * it: messages that nobody takes hold it up.
   * @throws {RangeError} when `payload` is longer than 125 bytes
   * @throws {StreamError} when the socket ends first; `signal.reason`
   */
  ping(
    payload?: string | Uint8Array,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<number> {
    if (this.#state !== 'open') return Promise.reject(this.#notOpen('send a ping'))
    return this.#pings.ping(payload, options.signal)
  }

  /**
   * Says goodbye and waits for the server to do the same, for `closeTimeoutMs`; then the stream is
   * closed in any case. What was handed to `send()` before goes out before, but a message in the
   * middle of its pieces is broken off. Messages that come afterwards are dropped. Idempotent.
   * @throws {RangeError} when a client may not send that code, or `reason` is longer than 123 bytes
   */
  close(code: number = CLOSE_CODES.normal, reason = ''): Promise<CloseOutcome> {
    try {
      checkClose(code, reason)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    if (this.#state === 'open') {
      this.#leave(code, reason)
      this.#receiver.drop()
    }
    return this.closed
  }

  /** Closes the stream at once, without a goodbye. Idempotent. */
  terminate(): void {
    this.#finish(new StreamError(`The WebSocket to ${this.url.label} was terminated`))
  }

  /** Closes it and waits until the stream is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  readonly #onAbort = (): void => {
    const reason = this.#init.signal?.reason as Error
    if (this.#state !== 'closed') this.#receiver.abort(reason)
    this.#finish(reason)
  }

  #onPing(payload: Buffer): void {
    if (this.#state === 'open') this.#sender.pong(payload)
  }

  /** RFC 6455 §5.5.1: a Close is answered with one, with the same code. */
  #onPeerClose(code: number, reason: string): void {
    this.#peerClose = { code, reason, wasClean: true }
    if (this.#state === 'open') this.#leave(code === CLOSE_CODES.noStatus ? undefined : code, '')
  }

  /** Sends our Close. The server is to close the connection (RFC 6455 §7.1.1), but not to take for ever. */
  #leave(code: number | undefined, reason: string): void {
    this.#state = 'closing'
    this.#sender.stop(this.#notOpen('send a message'))
    this.#sender.close(code, reason, () => this.#onCloseSent())
    const { clock, closeTimeoutMs } = this.#init.settings
    this.#cancelTimer = clock.after(closeTimeoutMs, () => {
      const what = `The WebSocket to ${this.url.label} was not closed by its server`
      this.#finish(new StreamError(`${what} within ${closeTimeoutMs} ms`))
    })
  }

  #onCloseSent(): void {
    this.#closeSent = true
    if (this.#peerEnded) this.#onStreamEnd(undefined)
    else if (this.#error !== undefined) this.#init.stream.end()
  }

  /** Fails the connection (RFC 6455 §7.1.7): tells why, then ends our side. */
  #failWith(error: Error, closeCode: number): void {
    this.#error ??= error
    this.#receiver.drop()
    this.#receiver.end(error)
    this.#pings.stop(error)
    // Not closed yet: with bytes unread that would reset the connection, and our Close could be lost.
    if (this.#state === 'open') this.#leave(closeCode, '')
    else if (this.#closeSent) this.#init.stream.end()
  }

  #onStreamEnd(cause: Error | undefined): void {
    if (cause === undefined && this.#peerClose !== undefined && !this.#closeSent) {
      // A server in a hurry still gets its answer.
      this.#peerEnded = true
      return
    }
    const what = `The connection to ${this.url.label} ended without a Close`
    const options = { bytesReceived: this.#receiver.receivedBytes }
    this.#finish(new StreamError(what, cause === undefined ? options : { ...options, cause }))
  }

  /** Closes the stream and settles all that waits; `error` counts unless the close was clean. */
  #finish(error: Error): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#cancelTimer?.()
    const { stream, deflate, signal, onClosed } = this.#init
    signal?.removeEventListener('abort', this.#onAbort)
    const isClean = this.#peerClose !== undefined && this.#error === undefined
    this.#error ??= isClean ? undefined : error
    const outcome = isClean ? this.#peerClose : undefined
    this.#sender.fail(this.#error ?? this.#notOpen('go on'))
    this.#pings.stop(this.#error ?? this.#notOpen('go on'))
    this.#receiver.end(this.#error)
    // Over HTTP/2 a stream that was not ended would be reset.
    if (isClean) stream.end()
    stream.close()
    deflate?.close()
    onClosed()
    this.#resolveClosed(outcome ?? BROKEN)
  }

  #notOpen(what: string): StreamError {
    return new StreamError(`Cannot ${what}: the WebSocket to ${this.url.label} is ${this.#state}`)
  }
}

async function callBack(call: () => void | Promise<void>): Promise<void> {
  try {
    await call()
  } catch (thrown) {
    throwLater(thrown)
  }
}

/**
 * One exchange on an HTTP/2 connection: what its stream brings, and what waits for a slow reader.
 *
 * Content that comes while the reader has paused is held; its window is not opened again meanwhile,
 * so that it is never more than that. What the reader's callbacks throw ends this exchange, not the
 * connection.
 */
import { RemoteProtocolError, type StreamError } from '../errors.ts'
import { HeldBytes } from '../net/held-bytes.ts'
import { nameOfErrorCode } from '../protocol/http2/error-code.ts'
import type { Http2Stream, StreamFailure, StreamHandler } from '../protocol/http2/http2-stream.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { ExchangeTask } from './connection.ts'
import { RunningExchange, type RunningExchangeOwner } from './running-exchange.ts'

/** What an exchange asks of its connection. */
export interface Http2ExchangeOwner extends RunningExchangeOwner {
  /** When the bytes came that are being read, on the pool's clock. */
  readonly readAt: number
  /** Lets the peer send as much again. */
  consume(stream: Http2Stream, bytes: number): void
  /** Its task is being told that all is over. */
  onComplete(exchange: Http2Exchange): void
  /** Sends no more of a request whose response is still wanted. */
  stopContent(stream: Http2Stream): void
  /** The response has come to its end; content may be held for its reader. */
  onResponseEnd(exchange: Http2Exchange): void
  /** The peer agreed to another protocol on the stream. */
  handOver(exchange: Http2Exchange, head: ResponseHead): void
  /** The stream is over; the exchange has not been told why. */
  onStreamFailure(exchange: Http2Exchange, error: Error, unprocessed: boolean): void
}

/** An exchange under way. */
export class Http2Exchange extends RunningExchange implements StreamHandler {
  /** Set as soon as the stream is open. */
  stream: Http2Stream | undefined
  /** As it stands on the wire: CONNECT for a WebSocket. */
  readonly method: string
  readonly #connection: Http2ExchangeOwner
  #held: HeldBytes | undefined
  #isDelivering = false
  #cancelDeadline: (() => void) | undefined
  /** Content is queued whose end is not in frames, though no sender has it any more. */
  #isQueued = false
  /** When a part of the content was put into a frame last. */
  #takenAt = 0
  /** Of a response that has ended, while its content is held. */
  #trailers: HeaderFields | undefined

  constructor(connection: Http2ExchangeOwner, task: ExchangeTask, method: string, now: number) {
    super(connection, task, now)
    this.#connection = connection
    this.method = method
  }

  /** The response has come to its end, whether or not its reader has taken it all. */
  get isWhole(): boolean {
    return this.stream?.part === 'ended'
  }

  /** Content was queued whole; it may have to wait for windows. */
  noteQueued(now: number): void {
    this.#isQueued = true
    this.#takenAt = now
    this.suspendReading()
  }

  /** Its response is whole, and nobody looks at its deadline any more: it does so itself. */
  outliveConnection(): void {
    this.stopSending()
    const { clock } = this.#connection
    const leftMs = this.task.totalDeadline - clock.now()
    if (this.hasEnded || leftMs === Number.POSITIVE_INFINITY) return
    const onDeadline = (): void => {
      const error = this.findTimeout(clock.now())
      if (error !== undefined) this.abort(error)
    }
    this.#cancelDeadline = clock.after(Math.max(0, leftMs), onDeadline, { background: true })
  }

  // ── StreamHandler

  onInformation(head: ResponseHead): void {
    this.noteBytes(this.#connection.readAt)
    this.#guard(() => {
      if (head.status === 100) this.startSending()
      this.task.onInformation(head)
    })
  }

  onHead(head: ResponseHead, length: number | undefined): void {
    const { readAt } = this.#connection
    this.noteBytes(readAt)
    if (this.method === 'CONNECT' && head.status < 300) {
      this.#connection.handOver(this, head)
      return
    }
    this.noteHead(head.status, length, readAt)
    try {
      this.task.onHead(head, length, readAt)
    } catch (thrown) {
      this.abort(thrown as Error)
    }
  }

  onContent(bytes: Buffer, start: number, end: number): void {
    this.noteBytes(this.#connection.readAt)
    this.bytesReceived += end - start
    const content = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    if (this.paused || this.#isDelivering) this.#hold(content)
    else this.#give(content)
  }

  onEnd(trailers: HeaderFields): void {
    this.#connection.onResponseEnd(this)
    // What is held is ours: the stream, and with it the connection, is free.
    if (this.#held !== undefined && this.#held.length > 0) this.#trailers = trailers
    else this.#complete(trailers)
  }

  onFailure(failure: StreamFailure): void {
    const unprocessed = failure.type === 'unprocessed'
    const error =
      failure.type === 'fault'
        ? new RemoteProtocolError(`Cannot read the response: ${failure.fault.message}`, {
            detail: { http2Code: failure.fault.code },
          })
        : this.#describeReset(failure.code, unprocessed)
    this.#connection.onStreamFailure(this, error, unprocessed)
  }

  onContentFramed(): void {
    this.#takenAt = this.#connection.clock.now()
  }

  onSent(): void {
    if (this.isSending) return
    this.#isQueued = false
    this.extendReading(this.#connection.clock.now())
  }

  onSendingRefused(): void {
    this.stopSending()
  }

  /** Also of content that was queued without a sender, and of a request that may become a tunnel. */
  override stopSending(): void {
    super.stopSending()
    if (this.stream !== undefined) this.#connection.stopContent(this.stream)
  }

  /** Content that the sender is done with may still wait for windows. */
  override onContentSent(): void {
    super.onContentSent()
    const { stream } = this
    if (stream?.maySend === true && !stream.sendingStopped)
      this.noteQueued(this.#connection.clock.now())
  }

  protected override stalledMs(now: number): number {
    return this.#isQueued ? now - this.#takenAt : super.stalledMs(now)
  }

  override end(error?: Error): void {
    this.#cancelDeadline?.()
    super.end(error)
  }

  // ── Flow

  override resume(): void {
    if (!this.paused) return
    super.resume()
    this.#deliver()
  }

  #give(content: Buffer): void {
    let more = true
    try {
      more = this.task.onContent(content)
    } catch (thrown) {
      this.abort(thrown as Error)
      return
    }
    if (!more) this.paused = true
    if (this.stream !== undefined) this.#connection.consume(this.stream, content.length)
  }

  #hold(content: Buffer): void {
    this.#held ??= new HeldBytes()
    this.#held.push(content)
    if (this.stream !== undefined) this.stream.heldBack = true
  }

  /** Gives what is held; a reader may pause again, or give up, meanwhile. */
  #deliver(): void {
    if (this.#held === undefined || this.#isDelivering) return
    this.#isDelivering = true
    while (!this.paused && !this.hasEnded) {
      const content = this.#held.shift()
      if (content === undefined) break
      // Its reader did not keep up with this one, however quick it is now.
      if (this.stream !== undefined) this.stream.heldBack = true
      this.#give(content)
    }
    this.#isDelivering = false
    const trailers = this.#trailers
    if (trailers === undefined || this.#held.length > 0 || this.hasEnded) return
    this.#trailers = undefined
    this.#complete(trailers)
  }

  #complete(trailers: HeaderFields): void {
    this.#cancelDeadline?.()
    this.endReading()
    this.#connection.onComplete(this)
    this.task.onComplete(trailers, this.#connection.readAt)
  }

  #describeReset(code: number, unprocessed: boolean): StreamError {
    const what = unprocessed ? 'the server did not take it up' : 'the server ended the stream'
    return this.describeLoss(`${what} (${nameOfErrorCode(code)})`)
  }

  #guard(call: () => void): void {
    try {
      call()
    } catch (thrown) {
      this.abort(thrown as Error)
    }
  }
}

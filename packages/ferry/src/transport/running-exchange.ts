/**
 * One exchange on a connection: how far it has come both ways, and when it is too late.
 * Owns the sending of content and the wait for 100 (Continue); the connection owns the reading.
 */
import type { Clock } from '../clock.ts'
import { StreamError, TimeoutError } from '../errors.ts'
import type { ExchangeTask, Flow } from './connection.ts'
import { ContentSender, type ContentSenderOwner } from './content-sender.ts'
import type { ContentSink } from './content-sink.ts'
import type { HttpRequest, RequestContent } from './http-request.ts'

/** What an exchange asks of its connection. */
export interface RunningExchangeOwner {
  readonly clock: Clock
  resumeReading(exchange: RunningExchange): void
  giveUp(exchange: RunningExchange, reason: Error): void
  onRequestSent(exchange: RunningExchange): void
}

/** An exchange under way. */
export class RunningExchange implements Flow, ContentSenderOwner {
  readonly task: ExchangeTask
  readonly startedAt: number
  /** A byte of a response has come. */
  started = false
  headReceived = false
  paused = false
  bytesReceived = 0
  sender: ContentSender | undefined
  readonly #owner: RunningExchangeOwner
  /** The content's length as announced, once the head is here. */
  #length: number | undefined
  /** When to hear from the peer next; never, while it is our turn. */
  #readDeadline: number
  #cancelContinueTimer: (() => void) | undefined
  #hasEnded = false

  constructor(owner: RunningExchangeOwner, task: ExchangeTask, now: number) {
    this.#owner = owner
    this.task = task
    this.startedAt = now
    this.#readDeadline = now + task.timeouts.headersTimeoutMs
  }

  /** Its task has been told of the end, or is told next. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** The request is on its way in full. */
  get isSent(): boolean {
    return this.sender === undefined || this.sender.state === 'sent'
  }

  get isSending(): boolean {
    return this.sender?.state === 'sending'
  }

  /** Bytes that the sender has sent. */
  get sentBytes(): number {
    return this.sender?.sentBytes ?? 0
  }

  // ── Sending

  /** Sends the content: at once, or when the server says so or lets the wait run out. */
  openSender(sink: ContentSink): void {
    const { request, timeouts } = this.task
    const { clock } = this.#owner
    this.sender = new ContentSender({
      sink,
      clock,
      content: request.content as RequestContent,
      trailers: request.trailers,
      owner: this,
    })
    if (expectsContinue(request)) {
      this.#cancelContinueTimer = clock.after(timeouts.continueTimeoutMs, () => this.startSending())
    } else {
      this.startSending()
    }
  }

  /** Lets held content go; no effect when it is not held. */
  startSending(): void {
    this.#cancelContinueTimer?.()
    if (this.sender?.state !== 'held') return
    this.suspendReading()
    this.task.trace?.start('send-body')
    this.sender.start()
  }

  /** The head, and content that goes with it, is with the system; called only while traced. */
  onHeadSent(): void {
    const { trace } = this.task
    if (this.#hasEnded) return
    trace?.end('send-head')
    if (this.sender === undefined && !this.started) trace?.start('wait')
  }

  onContentSent(): void {
    const { trace } = this.task
    trace?.end('send-body')
    if (!this.started) trace?.start('wait')
    this.extendReading(this.#owner.clock.now())
    this.#owner.onRequestSent(this)
  }

  onContentFailed(error: Error): void {
    this.#owner.giveUp(this, error)
  }

  // ── Receiving

  noteBytes(now: number): void {
    if (!this.started) {
      this.started = true
      const { trace } = this.task
      trace?.end('wait')
      trace?.start('read-head')
    }
    if (this.headReceived && !this.isSending) this.extendReading(now)
  }

  noteHead(status: number, length: number | undefined, now: number): void {
    this.headReceived = true
    this.#length = length
    const { trace } = this.task
    trace?.end('read-head')
    trace?.start('read-body')
    // RFC 9112 §9.5: whoever is told that the request is not wanted stops sending it. Content that
    // was held for a 100 (Continue) is not sent after a final response either (RFC 9110 §10.1.1).
    if (status >= 300 || this.sender?.state === 'held') this.stopSending()
    if (!this.isSending) this.extendReading(now)
  }

  stopSending(): void {
    this.#cancelContinueTimer?.()
    if (this.isSending) this.task.trace?.end('send-body')
    this.sender?.stop()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (!this.isSending) this.extendReading(this.#owner.clock.now())
    this.#owner.resumeReading(this)
  }

  abort(reason: Error): void {
    this.#owner.giveUp(this, reason)
  }

  // ── Ending

  /** The response is whole; content may still be on its way. */
  endReading(): void {
    this.#hasEnded = true
    const { trace } = this.task
    trace?.end('read-head')
    trace?.end('read-body')
  }

  /** How long the peer has taken nothing of what there is to send; 0 when it is not to blame. */
  protected stalledMs(now: number): number {
    return this.sender?.stalledMs(now) ?? 0
  }

  /** Lets go of everything; the task is told by the connection. */
  end(error?: Error): void {
    this.#hasEnded = true
    if (error !== undefined) this.task.trace?.fail(error)
    this.stopSending()
  }

  /** The error that ends it now, when its time has run out. */
  findTimeout(now: number): TimeoutError | undefined {
    const { timeouts, totalDeadline, request } = this.task
    const what = `${request.method} ${request.url.label}`
    const { totalTimeoutMs, bodyTimeoutMs, headersTimeoutMs } = timeouts
    if (now >= totalDeadline) {
      return new TimeoutError(
        'total',
        totalTimeoutMs,
        `Cannot finish ${what}: it took longer than ${totalTimeoutMs} ms`,
      )
    }
    if (this.stalledMs(now) >= bodyTimeoutMs) {
      return new TimeoutError(
        'body',
        bodyTimeoutMs,
        `Cannot send the content of ${what}: the server took nothing for ${bodyTimeoutMs} ms`,
      )
    }
    if (now < this.#readDeadline || (this.paused && !this.task.untaken)) return undefined
    if (this.paused) {
      return new TimeoutError(
        'body',
        bodyTimeoutMs,
        `Cannot keep the response to ${what}: nobody took its content for ${bodyTimeoutMs} ms`,
      )
    }
    if (this.headReceived) {
      return new TimeoutError(
        'body',
        bodyTimeoutMs,
        `Cannot read on from ${what}: nothing came for ${bodyTimeoutMs} ms`,
      )
    }
    return new TimeoutError(
      'headers',
      headersTimeoutMs,
      `Cannot read the response to ${what}: no head within ${headersTimeoutMs} ms`,
    )
  }

  /** The error for a connection that broke under it. */
  describeLoss(why: string, cause?: Error): StreamError {
    const { method, url } = this.task.request
    const announced = this.#length === undefined ? '' : ` of ${this.#length}`
    const got = this.headReceived
      ? `after ${this.bytesReceived}${announced} bytes`
      : 'before the response'
    return new StreamError(`Cannot finish ${method} ${url.label}: ${why} ${got}`, {
      cause,
      bytesReceived: this.bytesReceived,
      expectedBytes: this.#length,
    })
  }

  /** It is our turn: the peer is not waited for. */
  protected suspendReading(): void {
    this.#readDeadline = Number.POSITIVE_INFINITY
  }

  /** It is the peer's turn: counts from now on how long it takes. */
  protected extendReading(now: number): void {
    const { bodyTimeoutMs, headersTimeoutMs } = this.task.timeouts
    this.#readDeadline = now + (this.headReceived ? bodyTimeoutMs : headersTimeoutMs)
  }
}

/** Whether content is to be held back until the server asks for it (RFC 9110 §10.1.1). */
export function expectsContinue(request: HttpRequest): boolean {
  return request.headers.get('expect')?.toLowerCase() === '100-continue'
}

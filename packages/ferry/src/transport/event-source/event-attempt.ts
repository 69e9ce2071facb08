/**
 * One request of a subscription and its response, up to the end of either.
 *
 * Owns the exchange and the idle timer, and lets go of both before it tells its end, exactly once.
 * Does not decide what follows.
 */
import { RemoteProtocolError, StreamError, TimeoutError } from '../../errors.ts'
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'
import type { Exchange, ResponseHandler } from '../connection.ts'
import type { HttpRequest } from '../http-request.ts'
import { EventDecoder } from './event-decoder.ts'
import { decideResponse } from './event-response.ts'
import type { EventSourceSettings, EventStreamOpening } from './event-source-options.ts'
import type { AttemptEnd } from './next-retry.ts'

/** Whom an attempt tells. */
export interface EventAttemptOwner {
  /** Whether the response has to wait; `resume()` lets it go on. */
  readonly isFull: boolean
  onOpen(opening: EventStreamOpening): void
  onEvent(type: string | undefined, data: string): void
  onId(id: string): void
  onRetryField(retryMs: number): void
  onComment(text: string): void
  onEnd(end: AttemptEnd): void
}

/**
 * A response that held for so long was no failure, even without an event: between us and a quiet
 * server there may be proxies that cut what stands still, the impatient ones after 30 s.
 */
const SETTLED_MS = 10_000

/** A request for events on its way, or their stream. */
export class EventAttempt implements ResponseHandler {
  readonly #request: HttpRequest
  readonly #settings: EventSourceSettings
  readonly #owner: EventAttemptOwner
  #exchange: Exchange | undefined
  #decoder: EventDecoder | undefined
  /** Undefined until the response has begun. */
  #openedAt: number | undefined
  #hasEvent = false
  #isPaused = false
  /** When something came last; kept only where there is an idle timeout. */
  #heardAt = 0
  #cancelIdleTimer: (() => void) | undefined
  /** Why we gave the exchange up, before it has told its end; or how it has ended. */
  #end: AttemptEnd | undefined

  constructor(request: HttpRequest, settings: EventSourceSettings, owner: EventAttemptOwner) {
    this.#request = request
    this.#settings = settings
    this.#owner = owner
  }

  /** Sends the request. The end may be told before this returns. */
  start(): void {
    const { pool, poolTimeoutMs, headersTimeoutMs } = this.#settings
    const exchange = pool.dispatch(this.#request, this, {
      poolTimeoutMs,
      headersTimeoutMs,
      // Events may be far apart, and there is no last one.
      bodyTimeoutMs: Number.POSITIVE_INFINITY,
      totalTimeoutMs: Number.POSITIVE_INFINITY,
    })
    if (this.#end === undefined) this.#exchange = exchange
  }

  /** It gave an event, or held for a while; asked at its end. */
  get wasGood(): boolean {
    if (this.#hasEvent || this.#openedAt === undefined) return this.#hasEvent
    return this.#settings.clock.now() - this.#openedAt >= SETTLED_MS
  }

  /** Lets a response go on that had to wait. */
  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#noteHeard()
    this.#exchange?.resume()
  }

  /** Gives it up; its owner is not told. Idempotent. */
  cancel(): void {
    this.#giveUp({ type: 'dismissed' }, new StreamError('The events were given up'))
  }

  // ── ResponseHandler

  onHead(head: ResponseHead, _length: number | undefined, exchange: Exchange): void {
    this.#exchange = exchange
    const { retryStatuses, clock } = this.#settings
    const { url } = this.#request
    const decision = decideResponse(head, { url, retryStatuses, now: Date.now() })
    if (decision.type === 'open') {
      this.#openedAt = clock.now()
      this.#decoder = this.#createDecoder()
      this.#watchIdle()
      const { version, headers } = head
      this.#owner.onOpen({ version, headers, connection: exchange.connection })
    } else if (decision.type === 'dismissed') {
      // Its end is here already, and the connection stays.
      this.#tell(decision)
    } else {
      this.#giveUpAndTell(decision)
    }
  }

  onContent(bytes: Buffer): boolean {
    if (this.#end !== undefined) return true
    this.#noteHeard()
    this.#decoder?.push(bytes)
    // A callback may have ended it meanwhile.
    this.#isPaused = this.#end === undefined && this.#owner.isFull
    return !this.#isPaused
  }

  onComplete(): void {
    const { method, url } = this.#request
    const message = `Cannot go on with ${method} ${url.label}: the server ended the response`
    this.#tell({ type: 'ended', error: new StreamError(message) })
  }

  onError(error: Error): void {
    // Through a pool that was closed it would fail again.
    this.#tell({ type: this.#settings.pool.closed ? 'refused' : 'lost', error })
  }

  #createDecoder(): EventDecoder {
    const { maxEventBytes, onComment } = this.#settings
    const owner = this.#owner
    // After the end nothing counts any more, though the rest of a read may still be parsed.
    return new EventDecoder({
      maxEventBytes,
      onEvent: (type, data) => {
        if (this.#end !== undefined) return
        this.#hasEvent = true
        owner.onEvent(type, data)
      },
      onId: (id) => this.#end === undefined && owner.onId(id),
      onRetry: (retryMs) => this.#end === undefined && owner.onRetryField(retryMs),
      onComment: onComment && ((text) => void (this.#end === undefined && owner.onComment(text))),
      onTooLarge: () => this.#giveUpAndTell({ type: 'refused', error: this.#tooLarge() }),
    })
  }

  #tooLarge(): RemoteProtocolError {
    const { maxEventBytes } = this.#settings
    const message = `Cannot read the events of ${this.#request.url.label}`
    return new RemoteProtocolError(`${message}: one is larger than ${maxEventBytes} bytes`)
  }

  // ── Time

  #noteHeard(): void {
    if (this.#cancelIdleTimer !== undefined) this.#heardAt = this.#settings.clock.now()
  }

  /** One timer that looks now and then, rather than one for each piece. */
  #watchIdle(delayMs: number = this.#settings.idleTimeoutMs): void {
    const { clock, idleTimeoutMs } = this.#settings
    if (idleTimeoutMs === Number.POSITIVE_INFINITY) return
    const check = (): void => {
      // While we let the server wait, its silence is our doing.
      const leftMs = this.#isPaused ? idleTimeoutMs : this.#heardAt + idleTimeoutMs - clock.now()
      if (leftMs > 0) this.#watchIdle(leftMs)
      else this.#giveUpAndTell({ type: 'lost', error: this.#idle() })
    }
    if (this.#cancelIdleTimer === undefined) this.#heardAt = clock.now()
    this.#cancelIdleTimer = clock.after(delayMs, check, { background: true })
  }

  #idle(): TimeoutError {
    const { idleTimeoutMs } = this.#settings
    const { method, url } = this.#request
    const message = `Cannot read on from ${method} ${url.label}: nothing came for ${idleTimeoutMs} ms`
    return new TimeoutError('body', idleTimeoutMs, message)
  }

  // ── Ending

  #giveUpAndTell(end: Exclude<AttemptEnd, { readonly type: 'dismissed' }>): void {
    if (this.#giveUp(end, end.error)) this.#owner.onEnd(end)
  }

  /** @returns whether it had not ended before */
  #giveUp(end: AttemptEnd, reason: Error): boolean {
    if (this.#end !== undefined) return false
    this.#end = end
    this.#cancelIdleTimer?.()
    // Tells `onError`, which finds that the end is known.
    this.#exchange?.abort(reason)
    return true
  }

  #tell(end: AttemptEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#cancelIdleTimer?.()
    this.#owner.onEnd(end)
  }
}

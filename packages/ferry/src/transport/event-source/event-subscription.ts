/**
 * Events of a server over as many responses as it takes (HTML §9.2).
 *
 *     connecting → open → waiting → connecting → …   → closed
 *
 * Owns the attempt that runs, the wait between two, and what has come and was not taken; all of it
 * ends with the state `closed`. Whether and when to connect again is decided in next-retry.ts.
 */
import type { HttpRequest } from '../http-request.ts'
import { throwLater } from '../throw-later.ts'
import { EventAttempt, type EventAttemptOwner } from './event-attempt.ts'
import { EventQueue, type EventsEnd, type ServerEvent } from './event-queue.ts'
import { withLastEventId } from './event-request.ts'
import type { EventSourceSettings, EventStreamOpening } from './event-source-options.ts'
import { type AttemptEnd, nextRetry } from './next-retry.ts'

/** waiting: between two attempts; closed: no event comes any more, though some may still be held. */
export type EventSubscriptionState = 'connecting' | 'open' | 'waiting' | 'closed'

/**
 * The events of a server, in order. Whoever opens it closes it: by leaving a `for await` over it,
 * `close()`, `await using` or the signal. It can be iterated once.
 */
export class EventSubscription
  implements AsyncIterableIterator<ServerEvent, undefined, void>, AsyncDisposable
{
  readonly #request: HttpRequest
  readonly #settings: EventSourceSettings
  readonly #queue: EventQueue
  readonly #owner: EventAttemptOwner
  #state: EventSubscriptionState = 'connecting'
  #lastEventId: string
  #retryMs: number
  /** Attempts in a row that came to nothing. */
  #failures = 0
  #attempt: EventAttempt | undefined
  /** Undefined in `waiting` too, when the time is over and only room is missing. */
  #cancelWait: (() => void) | undefined

  /** @internal */
  constructor(request: HttpRequest, lastEventId: string, settings: EventSourceSettings) {
    this.#request = request
    this.#settings = settings
    this.#lastEventId = lastEventId
    this.#retryMs = settings.retryMs
    this.#queue = new EventQueue(settings.maxHeldBytes, () => this.#onRoom())
    this.#owner = this.#createOwner()
  }

  get state(): EventSubscriptionState {
    return this.#state
  }

  /** The last id that has come, also with an event that is still held; empty when none has. */
  get lastEventId(): string {
    return this.#lastEventId
  }

  /** What the server wants between two attempts, or the caller while it has not said. */
  get retryMs(): number {
    return this.#retryMs
  }

  /** For people and tests: `GET http://h/events open, 2 held`. */
  toString(): string {
    const { method, url } = this.#request
    return `${method} ${url.label} ${this.#state}, ${this.#queue.size} held`
  }

  /**
   * Gives the next event; done when the server wants no more requests, or after `close()`.
   * @throws {HttpStatusError} {RemoteProtocolError} {ConnectError} {TimeoutError} {StreamError}
   * {LocalProtocolError} once, when it has failed for good; or `signal.reason`
   */
  next(): Promise<IteratorResult<ServerEvent, undefined>> {
    return this.#queue.next()
  }

  /** Closes; called when a `for await` is left. */
  async return(): Promise<IteratorResult<ServerEvent, undefined>> {
    await this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Ends it: what is held is dropped, the connection closed, no timer left. Idempotent. */
  close(): Promise<void> {
    this.#finish({ ok: true })
    this.#queue.drop()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal Connects for the first time. */
  start(): void {
    const { signal } = this.#settings
    if (signal?.aborted === true) {
      this.#onAbort()
    } else {
      signal?.addEventListener('abort', this.#onAbort, { once: true })
      this.#connect()
    }
  }

  readonly #onAbort = (): void => {
    this.#finish({ ok: false, error: this.#settings.signal?.reason as unknown })
    this.#queue.drop()
  }

  #createOwner(): EventAttemptOwner {
    const queue = this.#queue
    const { onComment } = this.#settings
    return {
      get isFull() {
        return queue.isFull
      },
      onOpen: (opening) => this.#onOpen(opening),
      onEvent: (type = 'message', data) =>
        queue.push({ type, data, lastEventId: this.#lastEventId }),
      onId: (id) => (this.#lastEventId = id),
      onRetryField: (retryMs) => (this.#retryMs = retryMs),
      onComment: (text) => callBack(() => onComment?.(text)),
      onEnd: (end) => this.#onEnd(end),
    }
  }

  #connect(): void {
    this.#state = 'connecting'
    let request: HttpRequest
    try {
      request = withLastEventId(this.#request, this.#lastEventId)
    } catch (error) {
      this.#finish({ ok: false, error })
      return
    }
    this.#attempt = new EventAttempt(request, this.#settings, this.#owner)
    this.#attempt.start()
  }

  #onOpen(opening: EventStreamOpening): void {
    this.#state = 'open'
    const { onOpen } = this.#settings
    if (onOpen !== undefined) callBack(() => onOpen(opening))
  }

  #onEnd(end: AttemptEnd): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    this.#failures = attempt?.wasGood === true ? 0 : this.#failures + 1
    const progress = {
      end,
      failures: this.#failures,
      retryMs: this.#retryMs,
      replayable: this.#request.replayable,
      random: this.#settings.random(),
    }
    const decision = nextRetry(progress, this.#settings)
    if (decision.type === 'wait') this.#wait(decision.delayMs, end)
    else this.#finish(toEventsEnd(decision.error))
  }

  #wait(delayMs: number, end: AttemptEnd): void {
    const { clock, onRetry } = this.#settings
    this.#state = 'waiting'
    // In the foreground: whoever waits for an event has nothing else that keeps the process alive.
    this.#cancelWait = clock.after(delayMs, () => {
      this.#cancelWait = undefined
      // Each response may bring a read more than there is room for, so there must be some.
      if (!this.#queue.isFull) this.#connect()
    })
    if (onRetry === undefined || end.type === 'dismissed') return
    const { error: reason } = end
    callBack(() => onRetry({ attempt: this.#failures + 1, delayMs, reason }))
  }

  #onRoom(): void {
    this.#attempt?.resume()
    if (this.#state === 'waiting' && this.#cancelWait === undefined) this.#connect()
  }

  #finish(end: EventsEnd): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#settings.signal?.removeEventListener('abort', this.#onAbort)
    this.#cancelWait?.()
    this.#cancelWait = undefined
    this.#attempt?.cancel()
    this.#attempt = undefined
    this.#queue.end(end)
  }
}

function toEventsEnd(error: Error | undefined): EventsEnd {
  return error === undefined ? { ok: true } : { ok: false, error }
}

/** A mistake in a callback must not end the events, nor pass in silence. */
function callBack(callback: () => void): void {
  try {
    callback()
  } catch (thrown) {
    throwLater(thrown)
  }
}

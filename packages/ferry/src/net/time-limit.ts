/**
 * One limit for a piece of work of several steps: its time, and the caller's abort.
 * Owns the timer and the listener on the caller's signal; both are gone after `end()`.
 */
import type { Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'

/** What bounds the work. */
export interface TimeLimitOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** What was attempted, as the beginning of the message: `Cannot connect to a:1`. */
  readonly attempted: string
}

// The longest that a timer of the platform can wait; beyond it a limit is none.
const MAX_TIMEOUT_MS = 2_147_483_647

/** A running limit. Whoever makes it ends it. */
export class TimeLimit {
  readonly #giveUp = new AbortController()
  readonly #stopped: Promise<never>
  readonly #callerSignal: AbortSignal | undefined
  readonly #onAbort = (): void => this.#stop(this.#callerSignal?.reason)
  readonly #cancelTimer: () => void
  readonly #reject: (reason: unknown) => void

  /** @throws `signal.reason` when the signal is aborted already */
  constructor(clock: Clock, { timeoutMs, signal, attempted }: TimeLimitOptions) {
    signal?.throwIfAborted()
    const { promise, reject } = Promise.withResolvers<never>()
    this.#stopped = promise
    this.#reject = reject
    // Nothing may be racing against it at the moment it comes.
    promise.catch(() => {})
    this.#callerSignal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    const message = `${attempted}: not done within ${timeoutMs} ms`
    this.#cancelTimer =
      timeoutMs > MAX_TIMEOUT_MS
        ? () => {}
        : clock.after(timeoutMs, () => this.#stop(new TimeoutError('connect', timeoutMs, message)))
  }

  /** Aborted, with the error to throw, when the time is up or the caller aborts. */
  get signal(): AbortSignal {
    return this.#giveUp.signal
  }

  /** Gives what the work gives, or rejects when the limit is reached first; the work then goes on. */
  race<Value>(work: Promise<Value>): Promise<Value> {
    return Promise.race([this.#stopped, work])
  }

  /** The work is over, one way or the other. Idempotent. */
  end(): void {
    this.#cancelTimer()
    this.#callerSignal?.removeEventListener('abort', this.#onAbort)
  }

  #stop(reason: unknown): void {
    this.end()
    this.#reject(reason)
    this.#giveUp.abort(reason)
  }
}

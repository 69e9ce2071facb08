/**
 * What ends a call: the caller's signal, its limit of time, the closing of its client. Made when a call
 * has to wait for something that does not look at these by itself; the first that ends it counts.
 */
import type { Clock } from '../clock.ts'
import { onAbort } from '../transport/on-abort.ts'

/** What ends a call, and when. */
export interface CallLimitOptions {
  readonly clock: Clock
  /** On the clock; Infinity for no limit. */
  readonly deadline: number
  readonly signals: readonly (AbortSignal | undefined)[]
  /** The error for the end of the time. */
  readonly onDeadline: () => Error
}

/** A limit that runs. Whoever makes it lets it go, at the end of the call. */
export class CallLimit implements Disposable {
  readonly #controller = new AbortController()
  readonly #stopListening: readonly (() => void)[]
  readonly #cancelTimer: (() => void) | undefined

  constructor({ clock, deadline, signals, onDeadline }: CallLimitOptions) {
    const watched = signals.filter((signal) => signal !== undefined)
    for (const { aborted, reason } of watched) if (aborted) this.#controller.abort(reason)
    this.#stopListening = watched.map((signal) =>
      onAbort(signal, () => this.#controller.abort(signal.reason)),
    )
    if (deadline === Number.POSITIVE_INFINITY) return
    // Timers of the platform drop fractions, and would come early.
    const leftMs = Math.max(0, Math.ceil(deadline - clock.now()))
    this.#cancelTimer = clock.after(leftMs, () => this.#controller.abort(onDeadline()))
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Waits for something that may never come; rejects with the reason of the end. */
  race<Value>(promise: Promise<Value>): Promise<Value> {
    const { signal } = this
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error)
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
      const settle = (): void => signal.removeEventListener('abort', onAbort)
      promise.finally(settle).then(resolve, reject)
    })
  }

  /** The time no longer counts: the head is here. */
  stopTime(): void {
    this.#cancelTimer?.()
  }

  /** Lets go of timer and signals. */
  [Symbol.dispose](): void {
    this.stopTime()
    for (const stop of this.#stopListening) stop()
  }
}

/**
 * A clock that stands still until a test moves it, so that nothing waits and every order is exact.
 *
 * Owns the timers and the order in which they run: by due time, then by when they were set. Callbacks
 * run inside `advance()`, at their own instant; promises they settle go on when the test next awaits.
 */
import type { Clock } from '../clock.ts'

interface Timer {
  readonly dueAt: number
  readonly callback: () => void
}

/** A clock moved by hand. */
export class FakeClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  /** Starts at `startAt` ms: not 0, so that a forgotten instant does not pass for a real one. */
  constructor(startAt = 1_000_000) {
    this.#now = startAt
  }

  /** Timers that are set and have not run. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueAt: this.#now + Math.max(0, delayMs), callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Moves on by `ms` and runs what becomes due on the way, also what those callbacks set. */
  advance(ms: number): void {
    const target = this.#now + ms
    for (let next = this.#nextUntil(target); next !== undefined; next = this.#nextUntil(target)) {
      this.#timers.delete(next)
      this.#now = next.dueAt
      next.callback()
    }
    this.#now = target
  }

  #nextUntil(target: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueAt <= target && (next === undefined || timer.dueAt < next.dueAt)) next = timer
    }
    return next
  }
}

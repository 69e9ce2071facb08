/**
 * When the next request may start so that a rate is kept. Pure; time is given.
 *
 * A token bucket, kept as the instant at which it would be full again, and beside it a record of the
 * last starts. The bucket spaces: `burst` starts at once after a rest, then evenly. The record bounds:
 * with r starts per second, r whole, no second [t, t + 1000) ever sees more than r + burst − 1, however
 * late timers are. (r broken: ⌈r⌉ + burst − 1 in the time that ⌈r⌉ starts take.)
 */
import { SlowDown } from './slow-down.ts'

// Timers come a millisecond or so late. The next start is not put off by that, or 1000/s would become
// 600/s; what is late by more than this is lost, as it would be for a bucket that is full.
const MAX_LATENESS_MS = 5

/** A rate, and what has been used of it. */
export class Pace {
  readonly #spacingMs: number
  readonly #burst: number
  readonly #windowMs: number
  readonly #maxInWindow: number
  readonly #slowDown = new SlowDown()
  /** The last `maxInWindow` starts, as a ring. */
  readonly #starts: number[] = []
  #oldest = 0
  #fullAt = Number.NEGATIVE_INFINITY
  #factor = 1

  constructor(requestsPerSecond: number, burst: number) {
    const perWindow = Math.ceil(requestsPerSecond)
    this.#spacingMs = 1000 / requestsPerSecond
    this.#burst = burst
    this.#windowMs = (perWindow / requestsPerSecond) * 1000
    this.#maxInWindow = perWindow + burst - 1
  }

  /** When the next start is due: now, if that is not ahead. While slowed down, it may come nearer. */
  dueAt(now: number): number {
    this.#adapt(now)
    const tokenAt = this.#fullAt - (this.#burst - 1) * this.#spacing
    const oldest = this.#starts.length < this.#maxInWindow ? undefined : this.#starts[this.#oldest]
    return oldest === undefined ? tokenAt : Math.max(tokenAt, oldest + this.#windowMs)
  }

  /** Notes a start. `waited`: it was due before, and a timer came late. */
  take(now: number, { waited }: { readonly waited: boolean }): void {
    this.#adapt(now)
    this.#fullAt = Math.max(this.#fullAt, waited ? now - MAX_LATENESS_MS : now) + this.#spacing
    if (this.#starts.length < this.#maxInWindow) {
      this.#starts.push(now)
    } else {
      this.#starts[this.#oldest] = now
      this.#oldest = (this.#oldest + 1) % this.#maxInWindow
    }
  }

  /** Slows down; see `SlowDown`. */
  cut(now: number, growsFrom: number): void {
    this.#slowDown.cut(now, growsFrom)
    this.#adapt(now)
  }

  /** What is kept of the rate, from 1/16 to 1. */
  factorAt(now: number): number {
    return this.#slowDown.factorAt(now)
  }

  /** Whether all that was used is whole again: a new one would be the same. */
  isRested(now: number): boolean {
    const newest = this.#starts.at(this.#oldest - 1)
    return (
      this.#fullAt <= now &&
      this.factorAt(now) === 1 &&
      (newest === undefined || newest + this.#windowMs <= now)
    )
  }

  get #spacing(): number {
    return this.#spacingMs / this.#factor
  }

  /** What is missing in the bucket fills up at the rate of now. */
  #adapt(now: number): void {
    const factor = this.factorAt(now)
    if (factor === this.#factor) return
    if (this.#fullAt > now) this.#fullAt = now + ((this.#fullAt - now) * this.#factor) / factor
    this.#factor = factor
  }
}

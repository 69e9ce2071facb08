/**
 * Limiters for calls that name a rate of their own: one for each number, so that calls which ask for
 * the same rate share it. One that has come to rest is forgotten when there are many.
 */
import type { Clock } from '../../clock.ts'
import { RateLimiter } from './rate-limiter.ts'

// A program names a few rates; one that computes them must not fill the memory.
const MAX_KEPT = 64

/** Limiters of one client, by their rate. */
export class LimitersByRate {
  readonly #clock: Clock | undefined
  readonly #limiters = new Map<number, RateLimiter>()

  constructor(clock: Clock | undefined) {
    this.#clock = clock
  }

  /** @throws {ConfigError} when the rate is no number above 0 */
  limiterOf(requestsPerSecond: number): RateLimiter {
    const known = this.#limiters.get(requestsPerSecond)
    if (known !== undefined) return known
    const limiter = new RateLimiter({ requestsPerSecond, clock: this.#clock })
    if (this.#limiters.size >= MAX_KEPT) this.#forgetIdle()
    this.#limiters.set(requestsPerSecond, limiter)
    return limiter
  }

  #forgetIdle(): void {
    for (const [rate, limiter] of this.#limiters) {
      if (limiter.isIdle) this.#limiters.delete(rate)
    }
  }
}

/**
 * A limiter for each origin, all with the same limits. One that has come to rest is forgotten when
 * others are added, so that a crawl through many origins does not fill the memory; no timer is needed.
 */
import { type RateLimitOptions, resolveRateLimitOptions } from './rate-limit-options.ts'
import { RateLimiter, type RateLimiterSource } from './rate-limiter.ts'

// So few cost nothing.
const MIN_SWEEP_SIZE = 64

/** Limiters by origin. */
export class OriginRateLimiters implements RateLimiterSource {
  readonly #options: RateLimitOptions
  readonly #limiters = new Map<string, RateLimiter>()
  #sweepSize = MIN_SWEEP_SIZE

  /** @throws {ConfigError} when a number cannot be used */
  constructor(options: RateLimitOptions) {
    resolveRateLimitOptions(options)
    this.#options = options
  }

  /** How many are kept. */
  get size(): number {
    return this.#limiters.size
  }

  /**
   * The limiter of an origin, by `Origin.key`. Not to be kept beyond a request: one that is idle may be
   * forgotten, and another made in its place.
   */
  limiterFor(originKey: string): RateLimiter {
    const known = this.#limiters.get(originKey)
    if (known !== undefined) return known
    if (this.#limiters.size >= this.#sweepSize) this.#forgetIdle()
    const limiter = new RateLimiter(this.#options)
    this.#limiters.set(originKey, limiter)
    return limiter
  }

  #forgetIdle(): void {
    for (const [key, limiter] of this.#limiters) {
      if (limiter.isIdle) this.#limiters.delete(key)
    }
    // Twice what is in use: so the sweeps cost each new member a fixed time.
    this.#sweepSize = Math.max(MIN_SWEEP_SIZE, this.#limiters.size * 2)
  }
}

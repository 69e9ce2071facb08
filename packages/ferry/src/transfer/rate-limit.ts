/**
 * A limit on bytes per second that may be changed while it holds, and that may stand under another:
 * that of one transfer under that of all. Pure; time is given.
 */
import { ConfigError } from '../errors.ts'
import { TokenBucket } from './token-bucket.ts'

/** A limit for whatever takes from it; share one to limit several transfers together. */
export class RateLimit {
  readonly #parent: RateLimit | undefined
  #bucket: TokenBucket | undefined

  /**
   * @param bytesPerSecond undefined for no limit (yet)
   * @throws {ConfigError} when it is no number above 0
   */
  constructor(bytesPerSecond?: number, parent?: RateLimit) {
    this.#parent = parent
    this.bytesPerSecond = bytesPerSecond
  }

  /** What it lets through itself; undefined for no limit. May be set at any time. */
  get bytesPerSecond(): number | undefined {
    return this.#bucket?.bytesPerSecond
  }

  set bytesPerSecond(bytesPerSecond: number | undefined) {
    if (bytesPerSecond !== undefined && !(bytesPerSecond > 0)) {
      throw new ConfigError(
        'bytesPerSecond',
        `Cannot limit to ${bytesPerSecond} bytes per second: expected a number above 0`,
      )
    }
    this.#bucket = bytesPerSecond === undefined ? undefined : new TokenBucket(bytesPerSecond)
  }

  /** What can come through in the end: the least of its own limit and those above it. */
  get effectiveBytesPerSecond(): number | undefined {
    const own = this.bytesPerSecond
    const above = this.#parent?.effectiveBytesPerSecond
    return own === undefined || above === undefined ? (own ?? above) : Math.min(own, above)
  }

  /** Takes bytes that have passed; returns how many ms to pause before the next. */
  take(bytes: number, now: number): number {
    const above = this.#parent?.take(bytes, now) ?? 0
    return Math.max(above, this.#bucket?.take(bytes, now) ?? 0)
  }
}

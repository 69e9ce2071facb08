/** A limit on a rate: tokens flow in evenly and are taken as bytes pass. Pure; time is given. */

// The bucket holds a tenth of a second, so that short-term speed stays near the limit.
const BURST_SECONDS = 0.1

/** Tells how long to pause so that a rate is kept. */
export class TokenBucket {
  readonly bytesPerSecond: number
  #tokens = 0
  #at: number | undefined

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond
  }

  /** Takes bytes that have passed; returns how many ms to pause before the next. */
  take(bytes: number, now: number): number {
    const elapsedMs = now - (this.#at ?? now)
    this.#at = now
    const burst = this.bytesPerSecond * BURST_SECONDS
    this.#tokens = Math.min(burst, this.#tokens + (elapsedMs / 1000) * this.bytesPerSecond) - bytes
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.bytesPerSecond) * 1000
  }
}

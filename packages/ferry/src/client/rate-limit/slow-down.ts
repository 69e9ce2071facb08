/**
 * How far below its limit a limiter stays after a server has refused requests. Pure; time is given.
 *
 * Additive increase, multiplicative decrease: each refusal halves the rate, down to a sixteenth, and
 * from the end of the server's pause it grows back by a twentieth of the limit each second. Refusals
 * come in swarms, one for each request that was on its way: those within a second of a cut, or within
 * the pause, belong to that cut.
 */

const CUT_FACTOR = 0.5
const LOWEST_FACTOR = 1 / 16
const GROWTH_PER_SECOND = 1 / 20
const CUT_INTERVAL_MS = 1000

/** A factor on a rate, from 1/16 to 1. */
export class SlowDown {
  #cutTo = 1
  #growsFrom = Number.NEGATIVE_INFINITY
  #nextCutAt = Number.NEGATIVE_INFINITY

  factorAt(now: number): number {
    const grownMs = Math.max(0, now - this.#growsFrom)
    return Math.min(1, this.#cutTo + (GROWTH_PER_SECOND * grownMs) / 1000)
  }

  /** A request was refused; `growsFrom` is when the server wants requests again. */
  cut(now: number, growsFrom: number): void {
    if (now >= this.#nextCutAt) {
      this.#cutTo = Math.max(LOWEST_FACTOR, this.factorAt(now) * CUT_FACTOR)
      this.#nextCutAt = now + CUT_INTERVAL_MS
    }
    this.#growsFrom = Math.max(this.#growsFrom, growsFrom)
    this.#nextCutAt = Math.max(this.#nextCutAt, growsFrom)
  }
}

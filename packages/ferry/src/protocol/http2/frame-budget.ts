/**
 * Bounds what frames that lead nowhere may cost us: PING, SETTINGS, PRIORITY, empty DATA, frames for
 * streams that are gone (RFC 9113 §10.5). What is useful, and time, give back what those take.
 */
import { ConnectionFault } from './error-code.ts'

const MAX_CREDIT = 2000
// Those for 256 MiB of content, more than windows hold.
const MAX_UPDATES = 1_000_000
// A peer may well send a few each second, for days.
const CREDIT_PER_SECOND = 20

/** Credit of one connection. */
export class FrameBudget {
  #credit = MAX_CREDIT
  /** Window updates that what we have sent may be answered with; they may come late, and all at once. */
  #updates = 0
  #refilledAt: number | undefined

  /** Content that we have sent. */
  earnUpdates(count: number): void {
    this.#updates = Math.min(MAX_UPDATES, this.#updates + count)
  }

  /**
   * A window update. `now` in ms.
   * @throws {ConnectionFault} when there were too many
   */
  spendUpdate(now: number): void {
    if (this.#updates >= 1) this.#updates--
    else this.spend(1, now)
  }

  /** A frame that brought something on. */
  earn(credit: number): void {
    this.#credit = Math.min(MAX_CREDIT, this.#credit + credit)
  }

  /**
   * A frame that did not. `now` in ms.
   * @throws {ConnectionFault} when there were too many
   */
  spend(cost: number, now: number): void {
    const elapsedMs = Math.max(0, now - (this.#refilledAt ?? now))
    this.#refilledAt = now
    this.earn((elapsedMs / 1000) * CREDIT_PER_SECOND)
    this.#credit -= cost
    if (this.#credit >= 0) return
    throw new ConnectionFault('ENHANCE_YOUR_CALM', 'too many frames that bring nothing on')
  }
}

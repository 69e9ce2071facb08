/**
 * One timer for all deadlines of a pool: a check every quarter of the shortest of them, between
 * 10 and 250 ms. Late by at most that much, it spares a timer for each request.
 */
import type { Clock } from '../clock.ts'

const LONGEST_INTERVAL_MS = 250
const SHORTEST_INTERVAL_MS = 10

/** Calls back again and again while there is something to watch; does not keep the process alive. */
export class CoarseTimer {
  readonly #clock: Clock
  readonly #check: () => boolean
  readonly #baseIntervalMs: number
  #intervalMs: number
  #cancel: (() => void) | undefined

  /** `timeouts` are those that hold always; `check` tells whether there is anything left to watch. */
  constructor(clock: Clock, timeouts: readonly number[], check: () => boolean) {
    this.#clock = clock
    this.#check = check
    this.#baseIntervalMs = intervalFor(timeouts)
    this.#intervalMs = this.#baseIntervalMs
  }

  /** Checks often enough for these too, until nothing is left to watch. */
  sharpen(timeouts: readonly number[]): void {
    const intervalMs = intervalFor(timeouts)
    if (intervalMs >= this.#intervalMs) return
    this.#intervalMs = intervalMs
    if (this.#cancel === undefined) return
    this.stop()
    this.start()
  }

  start(): void {
    this.#cancel ??= this.#clock.after(this.#intervalMs, () => this.#tick(), { background: true })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #tick(): void {
    this.#cancel = undefined
    if (this.#check()) this.start()
    else this.#intervalMs = this.#baseIntervalMs
  }
}

function intervalFor(timeouts: readonly number[]): number {
  const quarter = Math.floor(Math.min(...timeouts) / 4)
  return Math.min(LONGEST_INTERVAL_MS, Math.max(SHORTEST_INTERVAL_MS, quarter))
}

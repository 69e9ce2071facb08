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
  #intervalMs = LONGEST_INTERVAL_MS
  #cancel: (() => void) | undefined

  /** `check` tells whether there is anything left to watch. */
  constructor(clock: Clock, check: () => boolean) {
    this.#clock = clock
    this.#check = check
  }

  /** Checks often enough for these, from now on. */
  sharpen(timeouts: Readonly<Record<string, number>> | object, ...more: readonly number[]): void {
    const shortest = Math.min(...(Object.values(timeouts) as number[]), ...more)
    const intervalMs = Math.max(SHORTEST_INTERVAL_MS, Math.floor(shortest / 4))
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
    else this.#intervalMs = LONGEST_INTERVAL_MS
  }
}

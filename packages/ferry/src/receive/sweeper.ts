/** Calls from time to time what looks for things that are over, one call at a time. */
import type { Clock } from '../clock.ts'
import { CommitRounds } from '../transfer/commit-rounds.ts'

/** Sweeps until it is closed. */
export class Sweeper {
  readonly #rounds: CommitRounds<'all'>
  readonly #clock: Clock
  readonly #intervalMs: number
  #cancel: () => void

  constructor(sweep: () => Promise<void>, options: { clock: Clock; intervalMs: number }) {
    this.#rounds = new CommitRounds(sweep)
    this.#clock = options.clock
    this.#intervalMs = options.intervalMs
    this.#cancel = this.#plan()
  }

  /** Sweeps now; resolves when a sweep has ended that began after this call. */
  run(): Promise<void> {
    return this.#rounds.join('all')
  }

  /** Resolves when no sweep is running, and none will. */
  async close(): Promise<void> {
    this.#cancel()
    await this.#rounds.settled('all')
  }

  #plan(): () => void {
    const run = (): void => {
      this.#cancel = this.#plan()
      // What could not be removed now may be the next time.
      this.run().catch(() => {})
    }
    return this.#clock.after(this.#intervalMs, run, { background: true })
  }
}

/** What several ask for at the same time is done in one step: they share one sync of the disk. */

/** Does one step; says of each what became of it, in order. */
export type RunBatch<Item, Outcome> = (items: readonly Item[]) => Promise<readonly Outcome[]>

interface Waiting<Item, Outcome> {
  readonly item: Item
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

// One step must not keep others from the database for long.
const MAX_BATCH = 256

export class BatchQueue<Item, Outcome> {
  readonly #run: RunBatch<Item, Outcome>
  #waiting: Waiting<Item, Outcome>[] = []
  #isRunning = false

  constructor(run: RunBatch<Item, Outcome>) {
    this.#run = run
  }

  /** Resolves with what became of it, when that is so for good. */
  add(item: Item): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#isRunning) return
      this.#isRunning = true
      // The others of this turn come, too.
      queueMicrotask(() => void this.#runAll())
    })
  }

  async #runAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting
      this.#waiting = []
      for (let at = 0; at < waiting.length; at += MAX_BATCH) {
        await this.#runBatch(waiting.slice(at, at + MAX_BATCH))
      }
    }
    this.#isRunning = false
  }

  async #runBatch(batch: readonly Waiting<Item, Outcome>[]): Promise<void> {
    try {
      const outcomes = await this.#run(batch.map(({ item }) => item))
      for (const [at, { resolve }] of batch.entries()) resolve(outcomes[at] as Outcome)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}

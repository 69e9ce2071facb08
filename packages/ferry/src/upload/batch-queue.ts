/** Items that senders are done with at the same time go together: they share one sync of the disk. */
import { itemGone, leaseLost } from './outbox-errors.ts'

/** An item in the hands of its sender. */
export interface HeldItem {
  readonly id: string
  readonly token: string
}

/** What became of one: `gone` was not there any more, `lost` not its sender's. */
export type DoneOutcome = 'done' | 'gone' | 'lost'

/** Removes items for good, in one step; says of each what became of it, in order. */
export type RemoveItems = (items: readonly HeldItem[]) => Promise<readonly DoneOutcome[]>

interface Waiting {
  readonly item: HeldItem
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class DoneQueue {
  readonly #remove: RemoveItems
  #waiting: Waiting[] = []
  #isRunning = false

  constructor(remove: RemoveItems) {
    this.#remove = remove
  }

  /** Resolves when the item is gone for good. */
  add(item: HeldItem): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#isRunning) return
      this.#isRunning = true
      // The others of this turn come, too.
      queueMicrotask(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      await this.#removeAll(batch)
    }
    this.#isRunning = false
  }

  async #removeAll(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#remove(batch.map(({ item }) => item))
      for (const [at, { item, resolve, reject }] of batch.entries()) {
        if (outcomes[at] === 'done') resolve()
        else reject(outcomes[at] === 'gone' ? itemGone(item.id) : leaseLost(item.id))
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}

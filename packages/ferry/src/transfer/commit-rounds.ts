/**
 * Commits in rounds: whoever asks while one is running joins the next, so that many acknowledgements
 * cost one sync. Knows nothing of what a commit does.
 */

/** One commit at a time for each item; items do not wait for each other. */
export class CommitRounds<Item> {
  readonly #commit: (item: Item) => Promise<void>
  readonly #running = new Map<Item, Promise<void>>()
  readonly #next = new Map<Item, Promise<void>>()

  constructor(commit: (item: Item) => Promise<void>) {
    this.#commit = commit
  }

  /** Resolves when a commit that began after this call has ended; rejects with its failure. */
  join(item: Item): Promise<void> {
    const waiting = this.#next.get(item)
    if (waiting !== undefined) return waiting
    const running = this.#running.get(item)
    if (running === undefined) return this.#start(item)
    const begin = (): Promise<void> => {
      this.#next.delete(item)
      return this.#start(item)
    }
    // Its failure was told to those who had joined it.
    const next = running.then(begin, begin)
    this.#next.set(item, next)
    return next
  }

  /** Resolves when no commit of the item is running or waits; never rejects. */
  async settled(item: Item): Promise<void> {
    for (;;) {
      const last = this.#next.get(item) ?? this.#running.get(item)
      if (last === undefined) return
      await last.catch(() => {})
    }
  }

  #start(item: Item): Promise<void> {
    const running = this.#commit(item).finally(() => {
      if (this.#running.get(item) === running) this.#running.delete(item)
    })
    this.#running.set(item, running)
    return running
  }
}

/**
 * The order in which several senders take items: that of adding, but items of one file name go one
 * after another. Servers that know a file only by the last segment of its name would mix what comes
 * at the same time. Pure; each item costs the same, however many there are.
 */

/** Items to be sent. */
export class SendingOrder<Item extends { readonly name: string }> {
  readonly #items: readonly Item[]
  /** By their place: the next one of the same file name. */
  readonly #followers = new Map<Item, number>()
  /** Places of those that have one of their file name before them. */
  readonly #waiting = new Set<number>()
  /** Places of those that had, and may be taken now. Never more than are under way at once. */
  readonly #freed = new Set<number>()
  #next = 0

  constructor(items: readonly Item[]) {
    this.#items = items
    const last = new Map<string, Item>()
    for (const [place, item] of items.entries()) {
      const name = fileNameOf(item)
      const before = last.get(name)
      last.set(name, item)
      if (before === undefined) continue
      this.#followers.set(before, place)
      this.#waiting.add(place)
    }
  }

  /** The next item; undefined when nothing is left but what waits for one that was taken. */
  take(): Item | undefined {
    while (this.#waiting.has(this.#next)) this.#next++
    const place = Math.min(this.#next, ...this.#freed)
    if (!this.#freed.delete(place)) this.#next++
    return this.#items[place]
  }

  /** Tells that an item that was taken is not under way any more. */
  done(item: Item): void {
    const follower = this.#followers.get(item)
    if (follower !== undefined) this.#freed.add(follower)
  }
}

function fileNameOf({ name }: { readonly name: string }): string {
  return name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
}

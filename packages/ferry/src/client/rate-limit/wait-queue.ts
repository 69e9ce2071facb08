/** A queue that members may leave from its middle; every step takes the same time, however long it is. */

/** First in, first out. */
export class WaitQueue<Member> {
  readonly #members = new Set<Member>()
  // Kept, and so always at the first member: a fresh one would walk over all that have left.
  readonly #order = this.#members.values()
  #first: Member | undefined

  get size(): number {
    return this.#members.size
  }

  get first(): Member | undefined {
    // Asked on an empty set, the iterator would end for good.
    if (this.#members.size > 0 && this.#first === undefined) this.#first = this.#order.next().value
    return this.#first
  }

  /** Adds one that has not been a member before. */
  add(member: Member): void {
    this.#members.add(member)
  }

  delete(member: Member): void {
    this.#members.delete(member)
    if (member === this.#first) this.#first = undefined
  }
}

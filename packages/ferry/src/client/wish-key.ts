/**
 * Names what a call wishes of its connections, so that calls with equal wishes share them: literals by
 * what they say, however often they are written down; functions and instances of classes by what they
 * are. The names hold secrets (keys, passwords), and are for a map in memory alone.
 */
export class WishKeys {
  readonly #numbers = new WeakMap<object, number>()
  #nextNumber = 1

  /** Equal for equal wishes. */
  keyOf(wishes: readonly unknown[]): string {
    return wishes.map((wish) => this.#nameOf(wish)).join(' ')
  }

  #nameOf(wish: unknown): string {
    if (typeof wish === 'function') return this.#numberOf(wish)
    if (typeof wish !== 'object' || wish === null) return JSON.stringify(wish) ?? '-'
    if (Array.isArray(wish)) return `[${wish.map((one) => this.#nameOf(one)).join(',')}]`
    if (wish instanceof Uint8Array) {
      const { buffer, byteOffset, length } = wish
      return `bytes ${Buffer.from(buffer, byteOffset, length).toString('base64')}`
    }
    if (!isPlain(wish)) return this.#numberOf(wish)
    const members = Object.entries(wish)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${JSON.stringify(name)}:${this.#nameOf(value)}`)
    return `{${members.join(',')}}`
  }

  #numberOf(wish: object): string {
    let number = this.#numbers.get(wish)
    if (number === undefined) {
      number = this.#nextNumber++
      this.#numbers.set(wish, number)
    }
    return `#${number}`
  }
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === Object.prototype || prototype === null
}

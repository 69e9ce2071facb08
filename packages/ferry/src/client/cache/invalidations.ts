/**
 * What was invalidated while responses were on their way: those were made before, and must not be
 * stored after (RFC 9111 §4.4).
 */

// Each some hundred bytes; a response slower than so many changes is not stored.
const MAX_KEYS = 1000

/** Remembers the last invalidations. */
export class Invalidations {
  readonly #keys = new Map<string, number>()
  #now = 0
  #forgottenUntil = 0

  /** The instant, to compare with later. */
  get now(): number {
    return this.#now
  }

  add(key: string): void {
    this.#keys.delete(key)
    this.#keys.set(key, ++this.#now)
    const [oldest] = this.#keys
    if (this.#keys.size <= MAX_KEYS || oldest === undefined) return
    this.#keys.delete(oldest[0])
    this.#forgottenUntil = oldest[1]
  }

  /** Whether the key was, or may have been, invalidated after that instant. */
  happenedSince(key: string, instant: number): boolean {
    return Math.max(this.#keys.get(key) ?? 0, this.#forgottenUntil) > instant
  }
}

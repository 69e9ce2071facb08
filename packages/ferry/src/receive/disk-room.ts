/**
 * The room on a disk, looked at once a second at most: a look for each chunk that comes costs more
 * than writing a small one. In between, what was let in counts as written.
 */
import type { Clock } from '../clock.ts'

// What others write within such a time has to fit into the reserve.
const MAX_AGE_MS = 1000

/** How much room there is. */
export class DiskRoom {
  readonly #look: () => Promise<number | undefined>
  readonly #clock: Clock
  #freeBytes: number | undefined
  #lookedAt = Number.NEGATIVE_INFINITY

  /** @param look gives the free bytes; undefined where nobody can tell */
  constructor(look: () => Promise<number | undefined>, clock: Clock) {
    this.#look = look
    this.#clock = clock
  }

  /**
   * Takes room for so many bytes, unless less than the reserve would be left.
   * @returns the free bytes when there is no room; undefined when there is, or nobody can tell
   */
  async take(bytes: number, reserveBytes: number): Promise<number | undefined> {
    const now = this.#clock.now()
    if (now - this.#lookedAt < MAX_AGE_MS && this.#takeKnown(bytes, reserveBytes)) return undefined
    this.#freeBytes = await this.#look()
    this.#lookedAt = now
    if (this.#takeKnown(bytes, reserveBytes)) return undefined
    return this.#freeBytes
  }

  /** So much may have been written that nobody has taken: the next look is a new one. */
  forget(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY
  }

  #takeKnown(bytes: number, reserveBytes: number): boolean {
    if (this.#freeBytes === undefined) return true
    if (this.#freeBytes - bytes < reserveBytes) return false
    this.#freeBytes -= bytes
    return true
  }
}

/**
 * Limits how often somebody may do something: evenly, with so many at once in between. Pure; time is
 * given.
 */

/** How often. */
export interface Rate {
  readonly perSecond: number
  /** How many may come at once. */
  readonly burst: number
}

// Of those who come now and then nothing has to be known; of others they are the last that came.
const MAX_KNOWN = 10_000

/** Counts for each who comes. */
export class RequestRate {
  readonly #intervalMs: number
  /** How early one may come. */
  readonly #toleranceMs: number
  /** When the next one of somebody would be in time; those who came last stand last. */
  readonly #dueAt = new Map<string, number>()

  constructor({ perSecond, burst }: Rate) {
    this.#intervalMs = 1000 / perSecond
    this.#toleranceMs = (burst - 1) * this.#intervalMs
  }

  /** How many ms somebody has to wait; 0 when one may be taken. */
  waitMs(who: string, now: number): number {
    const dueAt = this.#dueAt.get(who) ?? now
    return Math.max(0, dueAt - now - this.#toleranceMs)
  }

  /** Takes one, where that is in time; gives how many ms to wait otherwise. */
  take(who: string, now: number): number {
    const waitMs = this.waitMs(who, now)
    if (waitMs > 0) return waitMs
    const dueAt = Math.max(this.#dueAt.get(who) ?? now, now) + this.#intervalMs
    this.#dueAt.delete(who)
    this.#dueAt.set(who, dueAt)
    const [first] = this.#dueAt.keys()
    if (this.#dueAt.size > MAX_KNOWN) this.#dueAt.delete(first as string)
    return 0
  }
}

/**
 * Gives what counts as one peer: its address; with IPv6, whose hosts have as many as they like, its
 * network of 64 bits.
 */
export function peerOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '')
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.toLowerCase().split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  return `${groups.slice(0, 4).join(':')}::/64`
}

/**
 * Who holds what among the tabs of an origin, by Web Locks: the browser itself gives a lock back when
 * its tab is closed or dies.
 */
import type { LockManager } from './idb-types.ts'

export class TabLocks {
  readonly #manager: LockManager
  readonly #prefix: string
  /** What this one holds, and how it lets go. */
  readonly #held = new Map<string, () => void>()

  /** @param prefix what tells the locks of one database from all others of the origin */
  constructor(manager: LockManager, prefix: string) {
    this.#manager = manager
    this.#prefix = prefix
  }

  /** Takes a lock at once or not at all. */
  take(name: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const held = (lock: object | null): Promise<void> => {
        resolve(lock !== null)
        if (lock === null) return Promise.resolve()
        return new Promise((release) => this.#held.set(name, release))
      }
      this.#manager.request(this.#prefix + name, { ifAvailable: true }, held).catch(reject)
    })
  }

  /** Whether this one holds a lock. */
  has(name: string): boolean {
    return this.#held.has(name)
  }

  /** Idempotent. */
  release(name: string): void {
    this.#held.get(name)?.()
    this.#held.delete(name)
  }

  releaseAll(): void {
    for (const name of [...this.#held.keys()]) this.release(name)
  }

  /** The names of the locks that any tab holds. */
  async list(): Promise<ReadonlySet<string>> {
    const { held = [] } = await this.#manager.query()
    const names = held.flatMap(({ name }) => (name?.startsWith(this.#prefix) ? [name] : []))
    return new Set(names.map((name) => name.slice(this.#prefix.length)))
  }
}

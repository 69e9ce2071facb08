/** Tells soon when something in folders may have changed; who wants to be sure looks now and then. */
import { type FSWatcher, watch } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A burst of changes is one. */
const BURST_MS = 100

/** Watches folders, each by itself. Whoever makes it disposes of it. */
export class FolderHints implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>()
  /** Resolved at the next change. */
  #change = Promise.withResolvers<void>()

  /**
   * Watches these, and no others any more.
   * @returns whether the system can watch them all; otherwise only looking helps
   */
  follow(folders: readonly string[]): boolean {
    const wanted = new Set(folders)
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
    return folders.map((folder) => this.#watch(folder)).every(Boolean)
  }

  /** Resolves soon after the next change, at the latest after `ms`. @throws `signal.reason` */
  async next(ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    await Promise.race([
      this.#change.promise,
      sleep(ms, undefined, { signal: either }).catch(() => {}),
    ])
    over.abort()
    signal.throwIfAborted()
    await sleep(BURST_MS, undefined, { signal }).catch(() => {})
    this.#change = Promise.withResolvers()
    signal.throwIfAborted()
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  /** @returns false when the system cannot watch one more */
  #watch(folder: string): boolean {
    if (this.#watchers.has(folder)) return true
    try {
      const watcher = watch(folder, () => this.#change.resolve())
      this.#watchers.set(folder, watcher)
      // It may be gone, or the system has no more of them.
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(folder)
      })
      return true
    } catch {
      return false
    }
  }
}

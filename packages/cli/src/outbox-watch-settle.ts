/** Which files have come to rest: have not changed for a while, from one look to the next. Knows no clock. */
import type { FileVersion } from './outbox-watch-scan.ts'

/** A file that is at rest. */
export interface SettledFile {
  readonly path: string
  readonly version: FileVersion
}

interface Seen {
  readonly version: FileVersion
  /** When this version was seen first. */
  readonly since: number
  readonly isTold: boolean
}

/** What was seen of a folder's files. Instants are ms on one clock. */
export class SettleBook {
  readonly #settleMs: number
  readonly #seen = new Map<string, Seen>()

  /** @param settleMs how long a file must not have changed */
  constructor(settleMs: number) {
    this.#settleMs = settleMs
  }

  /**
   * Notes what there is now.
   * @returns what has come to rest since the last time: each version once
   */
  note(files: ReadonlyMap<string, FileVersion>, now: number): SettledFile[] {
    for (const path of this.#seen.keys()) if (!files.has(path)) this.#seen.delete(path)
    const settled: SettledFile[] = []
    for (const [path, version] of files) {
      const seen = this.#seen.get(path)
      if (seen?.version.identity !== version.identity) {
        this.#seen.set(path, { version, since: now, isTold: false })
      } else if (!seen.isTold && now - seen.since >= this.#settleMs) {
        this.#seen.set(path, { ...seen, isTold: true })
        settled.push({ path, version })
      }
    }
    return settled
  }

  /** Has a file told again, when it has been at rest for as long once more. */
  forget(path: string): void {
    this.#seen.delete(path)
  }

  /** The same for each file that has this version. */
  forgetVersion(identity: string): void {
    for (const [path, { version }] of this.#seen) {
      if (version.identity === identity) this.#seen.delete(path)
    }
  }

  /** In how many ms the next file may be at rest; undefined when none is on its way there. */
  msToNext(now: number): number | undefined {
    let next: number | undefined
    for (const { since, isTold } of this.#seen.values()) {
      if (isTold) continue
      const left = Math.max(0, since + this.#settleMs - now)
      next = Math.min(next ?? left, left)
    }
    return next
  }
}

/** Gives the outbox what comes to rest in a folder, by reference, and has it sent. */
import { access, constants } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import { isFerryError } from 'ferry/errors'
import type { HttpUrl } from 'ferry/transport'
import { FileSource, type NewItem, type Outbox, type OutboxItem } from 'ferry/upload'
import { reasonOf } from './fetch-system-errors.ts'
import { FolderHints } from './outbox-watch-hints.ts'
import type { WatchMemory } from './outbox-watch-memory.ts'
import type { WatchedItem, WatchQueue } from './outbox-watch-queue.ts'
import { type FolderScan, lookAtFile, scanFolder } from './outbox-watch-scan.ts'
import { SettleBook, type SettledFile } from './outbox-watch-settle.ts'
import { metadataFor, targetOf } from './send-outbox.ts'

/** What a watch works with. All of it belongs to the caller. */
export interface WatchParts {
  readonly dir: string
  readonly url: HttpUrl
  readonly outbox: Outbox
  readonly memory: WatchMemory
  readonly queue: WatchQueue
  readonly reporter: { note(sentence: string): void }
  readonly signal: AbortSignal
}

// Where the system tells nothing, of what is on other machines say, or has told too little.
const LOOK_MS = 10_000
// Of the time, at most, is spent on looking.
const LOOKING_SHARE = 1 / 20
// At once, so that a folder of many files does not cost one sync each.
const MAX_BATCH = 1000
const REMIND_MS = 3_600_000

/** A folder that is watched. Disposing of it leaves it alone. */
export class WatchedFolder implements Disposable {
  readonly #parts: WatchParts
  readonly #settling: SettleBook
  readonly #hints = new FolderHints()
  /** When each sentence about what is wrong was told last. */
  readonly #told = new Map<string, number>()

  constructor(parts: WatchParts, { settle }: { readonly settle: number }) {
    this.#parts = parts
    this.#settling = new SettleBook(settle * 1000)
  }

  /** Goes on until the signal: throws its reason. @throws {TransferError} as outbox and memory do */
  async watch(): Promise<never> {
    const { signal } = this.#parts
    await this.#goOn()
    for (;;) {
      const startedAt = performance.now()
      await this.#look()
      const now = performance.now()
      const atLeast = (now - startedAt) / LOOKING_SHARE
      const wanted = Math.min(this.#settling.msToNext(now) ?? LOOK_MS, LOOK_MS)
      await this.#hints.next(Math.max(wanted, atLeast), signal)
    }
  }

  /** What was taken cannot be sent any more: has what there is now sent, under whatever name. */
  changed({ path, identity }: Pick<WatchedItem, 'path' | 'identity'>): void {
    this.#parts.memory.forget(identity, path)
    this.#settling.forgetVersion(identity)
  }

  [Symbol.dispose](): void {
    this.#hints[Symbol.dispose]()
  }

  /** Sends what an earlier run has left in the outbox. */
  async #goOn(): Promise<void> {
    const { outbox, url, dir, memory, queue } = this.#parts
    const left = (await outbox.list()).flatMap((item) => {
      const file = fileOf(item)
      const isOurs = targetOf(item) === url.href && item.metadata['watched'] === dir
      return isOurs && file !== undefined ? [{ item, file }] : []
    })
    // It may have ended before these were remembered.
    memory.take(left.map(({ file }) => file))
    queue.add(left.map(({ item, file }) => watchedItem(item, file)))
  }

  async #look(): Promise<void> {
    const problems: string[] = []
    const scan = await this.#scan(problems)
    if (scan !== undefined) {
      if (!this.#hints.follow(scan.folders)) {
        problems.push('The system cannot watch more folders; they are looked through now and then')
      }
      problems.push(...scan.problems)
      const settled = this.#settling.note(scan.files, performance.now())
      const fresh = settled.filter((file) => !this.#isKnown(file, scan))
      await this.#takeAll(fresh, problems)
    }
    this.#tell(problems)
  }

  /** Not each time that something is found wrong again. */
  #tell(problems: readonly string[]): void {
    const now = performance.now()
    for (const [sentence, at] of this.#told) if (now - at > REMIND_MS) this.#told.delete(sentence)
    for (const sentence of problems) {
      if (this.#told.has(sentence)) continue
      this.#told.set(sentence, now)
      this.#parts.reporter.note(sentence)
    }
  }

  async #scan(problems: string[]): Promise<FolderScan | undefined> {
    const { dir } = this.#parts
    try {
      return await scanFolder(dir)
    } catch (cause) {
      const reason = reasonOf(cause as NodeJS.ErrnoException).replace('file', 'folder')
      problems.push(`Cannot look into ${dir}: ${reason}; waiting for it`)
      return undefined
    }
  }

  /** Another name of a version that was taken is a new file, unless the old name is gone. */
  #isKnown(file: SettledFile, { files }: FolderScan): boolean {
    const { memory } = this.#parts
    const { identity } = file.version
    if (memory.has(file)) return true
    const paths = memory.pathsOf(identity)
    return paths.length > 0 && paths.every((path) => files.get(path)?.identity !== identity)
  }

  async #takeAll(fresh: readonly SettledFile[], problems: string[]): Promise<void> {
    for (let start = 0; start < fresh.length; start += MAX_BATCH) {
      const some = fresh.slice(start, start + MAX_BATCH)
      try {
        await this.#take(some, problems)
      } catch (error) {
        this.#parts.signal.throwIfAborted()
        if (!isFerryError(error, 'no-space') && !isFerryError(error, 'locked')) throw error
        problems.push(`${error.message}; trying again`)
        for (const { path } of fresh.slice(start)) this.#settling.forget(path)
        return
      }
    }
  }

  /** From when the outbox has them, it is the outbox that answers for them. */
  async #take(files: readonly SettledFile[], problems: string[]): Promise<void> {
    const { outbox, memory, queue, signal } = this.#parts
    const described: { file: SettledFile; item: NewItem }[] = []
    for (const file of files) {
      const item = await this.#describe(file, problems)
      if (item !== undefined) described.push({ file, item })
    }
    if (described.length === 0) return
    const items = await outbox.add(
      described.map(({ item }) => item),
      { signal },
    )
    try {
      memory.take(described.map(({ file }) => file))
    } catch (error) {
      // What nobody remembers would be added once more.
      for (const { id } of items) await outbox.remove(id)
      throw error
    }
    queue.add(
      items.map((item, index) =>
        watchedItem(item, (described[index] as { file: SettledFile }).file),
      ),
    )
  }

  /** Undefined when it cannot be read, or is another version by now: then it is looked at again. */
  async #describe(file: SettledFile, problems: string[]): Promise<NewItem | undefined> {
    const { dir, url } = this.#parts
    const { path, version } = file
    try {
      await access(path, constants.R_OK)
      await using source = await FileSource.open(path)
      const { size, fingerprint } = source
      if ((await lookAtFile(path))?.identity === version.identity) {
        const { identity, stamp } = version
        return {
          name: relative(dir, path).replaceAll(sep, '/'),
          metadata: { ...metadataFor(url), watched: dir, identity, stamp },
          content: { mode: 'reference', path, size, fingerprint, sha256: undefined },
        }
      }
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if (code === 'EACCES') problems.push(`Cannot read ${path}: permission denied; trying again`)
    }
    this.#settling.forget(path)
    return undefined
  }
}

/** The version of a file that an item of a watched folder refers to. */
function fileOf({ content, metadata }: OutboxItem): WatchedFile | undefined {
  const { identity, stamp } = metadata
  if (content.mode !== 'reference' || identity === undefined || stamp === undefined)
    return undefined
  return { path: content.path, version: { identity, stamp } }
}

interface WatchedFile {
  readonly path: string
  readonly version: { readonly identity: string; readonly stamp: string }
}

function watchedItem({ id, name }: OutboxItem, { path, version }: WatchedFile): WatchedItem {
  return { id, name, path, identity: version.identity }
}

/**
 * The open files of uploads: opened when somebody needs them, kept open for a while, since chunks of
 * one upload come one after another, and never more than a bounded number without a user.
 */
import type { BlobStore, UploadBlob } from './blob-store.ts'
import type { JournalStore, UploadJournal } from './journal-store.ts'

/** What is open of one upload. */
export interface UploadFiles {
  readonly blob: UploadBlob
  readonly journal: UploadJournal
}

interface Entry {
  readonly files: Promise<UploadFiles>
  users: number
  /** Closed by its last user, and opened anew for the next. */
  isRetired: boolean
}

// Two descriptors each; systems give a process 1,024 at least.
const MAX_IDLE = 64

/** Lends open files. */
export class FilePool {
  readonly #blobs: BlobStore
  readonly #journals: JournalStore
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new Set<Promise<void>>()
  #idle = 0

  constructor(blobs: BlobStore, journals: JournalStore) {
    this.#blobs = blobs
    this.#journals = journals
  }

  /** Lends the files of an upload for as long as the work takes. */
  async use<Result>(id: string, work: (files: UploadFiles) => Promise<Result>): Promise<Result> {
    const entry = this.#take(id)
    try {
      return await work(await entry.files)
    } finally {
      this.#giveBack(id, entry)
    }
  }

  /** Has the files closed as soon as nobody uses them. */
  retire(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    entry.isRetired = true
    this.#entries.delete(id)
    if (entry.users > 0) return
    this.#idle--
    this.#close(entry)
  }

  /** Closes everything; nobody may use it any more. */
  async close(): Promise<void> {
    for (const id of [...this.#entries.keys()]) this.retire(id)
    await Promise.all(this.#closing)
  }

  #take(id: string): Entry {
    const found = this.#entries.get(id)
    const entry = found ?? { files: this.#open(id), users: 0, isRetired: false }
    if (found?.users === 0) this.#idle--
    entry.users++
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    return entry
  }

  #giveBack(id: string, entry: Entry): void {
    entry.users--
    if (entry.users > 0) return
    if (entry.isRetired) {
      this.#close(entry)
      return
    }
    this.#idle++
    for (const [other, { users }] of this.#entries) {
      if (this.#idle <= MAX_IDLE) break
      if (users === 0) this.retire(other)
    }
    // Files that could not be opened are tried again.
    entry.files.catch(() => this.retire(id))
  }

  async #open(id: string): Promise<UploadFiles> {
    const blob = await this.#blobs.open(id)
    try {
      return { blob, journal: await this.#journals.open(id) }
    } catch (error) {
      await blob.close()
      throw error
    }
  }

  #close({ files }: Entry): void {
    const closing = files
      .then(({ blob, journal }) => Promise.all([blob.close(), journal.close()]))
      // What was to be kept is synced; a file that does not close has nothing more to tell.
      .catch(() => {})
      .then(() => {
        this.#closing.delete(closing)
      })
    this.#closing.add(closing)
  }
}

/**
 * Journals as files `<id>.journal`: one record a line behind its checksum, only ever appended. A file
 * comes into being whole, under another name first; what an earlier process left half is removed.
 * So it is with a shorter one that takes the place of a long one.
 */
import { constants } from 'node:fs'
import {
  type FileHandle,
  lstat,
  open,
  readdir,
  readFile,
  rename,
  truncate,
  unlink,
} from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../transfer/files.ts'
import { formatRecord, parseRecords } from '../transfer/record-log.ts'
import type { AppendOptions, JournalStore, UploadJournal } from './journal-store.ts'
import { WRITE_IN_PLACE } from './disk-blob-store.ts'
import { storeError } from './store-error.ts'

const SUFFIX = '.journal'
// The folder is the server's own: a link in it is somebody's trick. (Windows has no such flag.)
const READ_NO_LINK = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)

/** Keeps journals in a folder that nobody else writes into. */
export class DiskJournalStore implements JournalStore {
  readonly #folder: string
  /** Journals whose last append failed: what stands behind the good records has to go. */
  readonly #torn = new Set<string>()

  constructor(folder: string) {
    this.#folder = folder
  }

  async create(id: string, header: object): Promise<UploadJournal> {
    const isThere = (await lstat(this.#pathOf(id)).catch(() => undefined)) !== undefined
    if (isThere) throw new Error(`There is a journal ${id} already`)
    return await this.#writeWhole(id, [header])
  }

  async open(id: string): Promise<UploadJournal> {
    const path = this.#pathOf(id)
    try {
      if (this.#torn.has(id)) await this.recover(id)
      const handle = await open(path, WRITE_IN_PLACE)
      const { size } = await handle.stat().catch(async (cause: unknown) => {
        await handle.close()
        throw cause
      })
      return this.#journalOf(id, handle, size)
    } catch (cause) {
      throw storeError(`Cannot write ${path}`, cause)
    }
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.#folder)
    return names
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length))
  }

  async recover(id: string): Promise<unknown[]> {
    const path = this.#pathOf(id)
    try {
      const bytes = await readFile(path, { flag: READ_NO_LINK })
      const text = bytes.toString()
      const records = parseRecords(text)
      const lines = text.split('\n', records.length)
      const goodBytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
      // A file without a single good record is not ours to change.
      if (records.length > 0 && goodBytes < bytes.length) await truncate(path, goodBytes)
      this.#torn.delete(id)
      return records
    } catch (cause) {
      throw storeError(`Cannot read ${path}`, cause)
    }
  }

  async rewrite(id: string, records: readonly object[]): Promise<void> {
    await (await this.#writeWhole(id, records)).close()
    this.#torn.delete(id)
  }

  async remove(id: string): Promise<void> {
    const path = this.#pathOf(id)
    this.#torn.delete(id)
    await unlink(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') throw storeError(`Cannot remove ${path}`, cause)
    })
  }

  async #writeWhole(id: string, records: readonly object[]): Promise<UploadJournal> {
    const path = this.#pathOf(id)
    const fresh = `${path}.new`
    const bytes = Buffer.from(records.map(formatRecord).join(''))
    let handle: FileHandle | undefined
    try {
      handle = await openFresh(fresh)
      await writeFully(handle, bytes, 0)
      await handle.datasync()
      await rename(fresh, path)
    } catch (cause) {
      await handle?.close().catch(() => {})
      await unlink(fresh).catch(() => {})
      throw storeError(`Cannot create ${path}`, cause)
    }
    await syncFolder(this.#folder)
    return this.#journalOf(id, handle, bytes.length)
  }

  #journalOf(id: string, handle: FileHandle, size: number): UploadJournal {
    return new DiskJournal({
      path: this.#pathOf(id),
      handle,
      size,
      onTorn: () => this.#torn.add(id),
    })
  }

  #pathOf(id: string): string {
    return join(this.#folder, id + SUFFIX)
  }
}

class DiskJournal implements UploadJournal {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #onTorn: () => void
  /** Up to where there are good records. */
  #size: number
  #failure: Error | undefined

  constructor(file: { path: string; handle: FileHandle; size: number; onTorn: () => void }) {
    this.#path = file.path
    this.#handle = file.handle
    this.#size = file.size
    this.#onTorn = file.onTorn
  }

  get size(): number {
    return this.#size
  }

  async append(records: readonly object[], { durable }: AppendOptions): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const bytes = Buffer.from(records.map(formatRecord).join(''))
    try {
      await writeFully(this.#handle, bytes, this.#size)
      if (durable) await this.#handle.datasync()
      this.#size += bytes.length
    } catch (cause) {
      this.#failure = storeError(`Cannot write ${this.#path}`, cause)
      this.#onTorn()
      // A record that was not acknowledged may not come back to life.
      await this.#handle.truncate(this.#size).catch(() => {})
      throw this.#failure
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** What an earlier attempt has left under this name is nobody's. */
async function openFresh(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    await unlink(path)
    return await open(path, 'wx', 0o600)
  }
}

async function writeFully(handle: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}

/** An upload core on a folder: finished files in it, everything else in `.ferry` inside it. */
import { lstat, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TransferError } from '../errors.ts'
import { FileLock } from '../transfer/file-lock.ts'
import { syncFolder } from '../transfer/files.ts'
import { makeFolders } from '../transfer/make-folders.ts'
import { DiskBlobStore } from './disk-blob-store.ts'
import { DiskJournalStore } from './disk-journal-store.ts'
import { storeError } from './store-error.ts'
import { UploadCore } from './upload-core.ts'
import type { UploadCoreOptions } from './upload-options.ts'

/** A core and the lock on its folder. Whoever opens it closes it. */
export class UploadFolder implements AsyncDisposable {
  readonly core: UploadCore
  readonly #lock: FileLock

  private constructor(core: UploadCore, lock: FileLock) {
    this.core = core
    this.#lock = lock
  }

  /**
   * Opens a folder for uploads, and makes it where it is missing.
   * @throws {TransferError} locked, when another process receives into it; not-writable
   */
  static async open(
    folder: string,
    options: Omit<UploadCoreOptions, 'blobs' | 'journals'> = {},
  ): Promise<UploadFolder> {
    const own = join(folder, '.ferry')
    const uploads = join(own, 'uploads')
    await makeFolder(folder)
    await makeOwnFolder(own)
    await makeOwnFolder(uploads)
    await syncFolder(own)
    await syncFolder(folder)
    const lock = await FileLock.take(join(own, 'lock'))
    try {
      const core = await UploadCore.open({
        ...options,
        blobs: new DiskBlobStore({ folder: uploads, target: folder }),
        journals: new DiskJournalStore(uploads),
      })
      return new UploadFolder(core, lock)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** Closes the core, then lets others have the folder. Idempotent. */
  async close(): Promise<void> {
    await this.core.close()
    await this.#lock.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function makeFolder(path: string): Promise<void> {
  await makeFolders(path).catch((cause: unknown) => {
    throw storeError(`Cannot create ${path}`, cause)
  })
}

/** Nobody else may look into it, and a link in its place is not followed. */
async function makeOwnFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw storeError(`Cannot create ${path}`, cause)
  })
  if ((await lstat(path)).isDirectory()) return
  throw new TransferError('not-writable', `Cannot receive into ${path}: it is no folder`)
}

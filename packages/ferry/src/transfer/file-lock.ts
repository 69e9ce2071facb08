/**
 * A lock on a file name that the operating system itself gives back when its holder dies, kill -9
 * included, so that there are no stale locks to guess about.
 *
 * Node offers no file locking of its own; SQLite's exclusive transaction is a kept implementation of
 * it on every platform (see decisions/0004-locks.md). The lock file stays empty.
 */
import { stat, unlink } from 'node:fs/promises'
import type { DatabaseSync } from 'node:sqlite'
import { TransferError } from '../errors.ts'

const SQLITE_BUSY = 5

/** A held lock. */
export class FileLock implements AsyncDisposable {
  readonly #path: string
  #database: DatabaseSync | undefined

  private constructor(path: string, database: DatabaseSync) {
    this.#path = path
    this.#database = database
  }

  /**
   * Takes the lock at once or not at all.
   * @throws {TransferError} locked: another process, or this one, holds it
   */
  static async take(path: string): Promise<FileLock> {
    // Loaded here, since most users of the library never need SQLite.
    const { DatabaseSync } = await import('node:sqlite')
    for (;;) {
      const file = await identityOf(path)
      // Only SQLite may open the file: closing any other descriptor of it would drop the lock.
      const database = new DatabaseSync(path, { timeout: 0 })
      try {
        database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
      } catch (cause) {
        database.close()
        if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause
        throw new TransferError('locked', `Cannot take ${path}: another transfer holds it`, {
          cause,
        })
      }
      // The last holder may have removed the file between our opening and locking it. A file that
      // was not there at the first look is taken in a second round.
      if (file !== undefined && file === (await identityOf(path)))
        return new FileLock(path, database)
      database.close()
    }
  }

  /** Gives the lock back and removes its file. Idempotent. */
  async release(): Promise<void> {
    const database = this.#database
    this.#database = undefined
    if (database === undefined) return
    await unlink(this.#path).catch(() => {})
    database.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}

/** Tells a file from any other; the inode alone does not, since a removed file's is soon used again. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found && `${found.dev}:${found.ino}:${found.birthtimeNs}:${found.ctimeNs}`
}

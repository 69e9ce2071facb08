/**
 * A lock on a file name that the operating system itself gives back when its holder dies, kill -9
 * included, so that there are no stale locks to guess about.
 *
 * Node offers no file locking of its own; SQLite's exclusive transaction is a kept implementation of
 * it on every platform (see decisions/0004-locks.md). The lock file stays empty.
 */
import { stat, unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { TransferError } from '../errors.ts'

const SQLITE_BUSY = 5

/** A held lock. */
export class FileLock implements AsyncDisposable {
  readonly #path: string
  /** Of the locked file, which cannot be used again while we hold it. */
  readonly #inode: string
  #database: DatabaseSync | undefined

  private constructor(path: string, inode: string, database: DatabaseSync) {
    this.#path = path
    this.#inode = inode
    this.#database = database
  }

  /**
   * Takes the lock at once or not at all.
   * @throws {TransferError} locked: another process, or this one, holds it
   * @throws the system's error, when there can be no file of that name
   */
  static async take(path: string): Promise<FileLock> {
    // Loaded here, since most users of the library never need SQLite.
    const { DatabaseSync } = await import('node:sqlite')
    for (;;) {
      const file = await lookAt(path)
      // Only SQLite may open the file: closing any other descriptor of it would drop the lock.
      const database = openDatabase(DatabaseSync, path)
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
      if (file !== undefined && file.identity === (await lookAt(path))?.identity)
        return new FileLock(path, file.inode, database)
      database.close()
    }
  }

  /** Whether the lock still keeps others out: somebody may have removed its file. */
  async isHeld(): Promise<boolean> {
    const found = await lookAt(this.#path).catch(() => undefined)
    return this.#database !== undefined && found?.inode === this.#inode
  }

  /** Gives the lock back and removes its file, unless that is another's by now. Idempotent. */
  async release(): Promise<void> {
    const held = await this.isHeld()
    const database = this.#database
    this.#database = undefined
    if (database === undefined) return
    if (held) await unlink(this.#path).catch(() => {})
    database.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}

/** SQLite takes no path that is longer, whatever the system does. */
const MAX_PATH_BYTES = 512

function openDatabase(Database: typeof DatabaseSync, path: string): DatabaseSync {
  // SQLite keeps a journal beside the file.
  if (Buffer.byteLength(resolve(`${path}-journal`)) > MAX_PATH_BYTES) {
    throw Object.assign(new Error(`The path is too long for a lock: ${path}`), {
      code: 'ENAMETOOLONG',
    })
  }
  return new Database(path, { timeout: 0 })
}

/**
 * What tells a file from any other: its inode while it is open, its times beside that otherwise,
 * since a removed file's inode is soon used again. undefined where there is none.
 */
async function lookAt(path: string): Promise<{ inode: string; identity: string } | undefined> {
  try {
    const { dev, ino, birthtimeNs, ctimeNs } = await stat(path, { bigint: true })
    const inode = `${dev}:${ino}`
    return { inode, identity: `${inode}:${birthtimeNs}:${ctimeNs}` }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
}

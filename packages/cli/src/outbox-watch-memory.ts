/**
 * What a watched folder has given to the outbox, in a database beside it: one for each folder and URL.
 * It is kept open for one process alone, so that nobody else watches the same meanwhile; the system
 * ends that with the process, however it ends.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { TransferError } from 'ferry/errors'
import type { FileVersion } from './outbox-watch-scan.ts'

/** A version of a file that the outbox has, or had. */
export interface TakenFile {
  readonly path: string
  readonly version: Pick<FileVersion, 'identity' | 'stamp'>
}

// Of a digest: enough to tell folders apart.
const KEY_DIGITS = 16
// The codes of SQLite.
const BUSY = 5
const FULL = 13

// Numbers of inodes and disks are not the same after every mount: hence the second way to find one.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS taken (
    identity TEXT NOT NULL, path TEXT NOT NULL, stamp TEXT NOT NULL, PRIMARY KEY (identity, path)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS taken_places ON taken (path, stamp);
`

/** Where the memory of a folder is kept. */
export function memoryPathOf(
  outboxPath: string,
  { dir, url }: { readonly dir: string; readonly url: string },
): string {
  const key = createHash('sha256').update(`${dir}\0${url}`).digest('hex').slice(0, KEY_DIGITS)
  return `${outboxPath.replace(/\.db$/, '')}-watch-${key}.db`
}

/** Whoever opens it closes it. Calls return when a power cut cannot undo what they have done. */
export class WatchMemory implements Disposable {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #findPlace: StatementSync
  readonly #findPaths: StatementSync
  readonly #take: StatementSync
  readonly #forget: StatementSync

  private constructor(path: string, database: DatabaseSync) {
    this.#path = path
    this.#database = database
    this.#findPlace = database.prepare('SELECT 1 FROM taken WHERE path = ? AND stamp = ?')
    this.#findPaths = database.prepare('SELECT path FROM taken WHERE identity = ?')
    this.#take = database.prepare('INSERT OR REPLACE INTO taken VALUES (?, ?, ?)')
    this.#forget = database.prepare('DELETE FROM taken WHERE identity = ? AND path = ?')
  }

  /**
   * @throws {TransferError} locked, when another process has it; outbox-unusable, not-writable,
   * no-space, disk-failed
   */
  static open(path: string): WatchMemory {
    let database: DatabaseSync | undefined
    try {
      // Names of files are not for others to read.
      closeSync(openSync(path, 'a', 0o600))
      database = new DatabaseSync(path)
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL')
      // The lock is taken with the first write.
      database.exec(`BEGIN EXCLUSIVE; ${SCHEMA} COMMIT`)
      return new WatchMemory(path, database)
    } catch (cause) {
      database?.close()
      throw memoryError(path, cause)
    }
  }

  /** Whether this version was taken under this name. */
  has({ path, version }: TakenFile): boolean {
    return this.#findPlace.get(path, version.stamp) !== undefined
  }

  /** Under which names a version was taken. */
  pathsOf(identity: string): string[] {
    return this.#findPaths.all(identity).map((row) => row['path'] as string)
  }

  /** Remembers all of them, or none. */
  take(files: readonly TakenFile[]): void {
    this.#write(() => {
      for (const { path, version } of files) this.#take.run(version.identity, path, version.stamp)
    })
  }

  /** As if it had not been taken. */
  forget(identity: string, path: string): void {
    this.#write(() => this.#forget.run(identity, path))
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  #write(work: () => void): void {
    try {
      this.#database.exec('BEGIN')
      work()
      this.#database.exec('COMMIT')
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw memoryError(this.#path, cause)
    }
  }
}

function memoryError(path: string, cause: unknown): TransferError {
  const { errcode = 0, message } = cause as { errcode?: number; message: string }
  const code = errcode & 0xff
  if (code === BUSY) {
    return new TransferError(
      'locked',
      'Cannot watch the folder: another ferry watches it for the same URL',
      { cause },
    )
  }
  const isFull = code === FULL || (cause as NodeJS.ErrnoException).code === 'ENOSPC'
  return new TransferError(
    isFull ? 'no-space' : 'outbox-unusable',
    `Cannot remember in ${path} what was sent: ${isFull ? 'the disk is full' : message}`,
    { cause },
  )
}

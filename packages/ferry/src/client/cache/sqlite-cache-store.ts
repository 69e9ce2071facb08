/**
 * A cache store in one file, which several processes may use at a time. SQLite keeps them apart; each
 * change is one transaction.
 *
 * A cache may be lost but not be wrong: the file is not synced, one of another layout is begun anew,
 * and what a crash of the machine left half-written is for SQLite's log to undo.
 */
import { open } from 'node:fs/promises'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { ConfigError } from '../../errors.ts'
import type { CacheEntry, CacheStore } from './cache-store.ts'
import { type CacheStoreOptions, checkMaxBytes, sizeOf } from './memory-cache-store.ts'

const DEFAULT_MAX_BYTES = 268_435_456
// How long one process waits for another's change; they take a millisecond or so.
const BUSY_TIMEOUT_MS = 1000
const LAYOUT = 1
// `used` counts uses, so that the order is exact whatever the clock does.
const SCHEMA = `
  DROP TABLE IF EXISTS entries;
  DROP TABLE IF EXISTS total;
  CREATE TABLE entries (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, variant TEXT NOT NULL, head TEXT NOT NULL,
    body BLOB NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL, put INTEGER NOT NULL,
    UNIQUE (key, variant)
  ) STRICT;
  CREATE INDEX entries_used ON entries (used);
  CREATE TABLE total (bytes INTEGER NOT NULL) STRICT;
  INSERT INTO total VALUES (0);
  CREATE TRIGGER entries_put AFTER INSERT ON entries
    BEGIN UPDATE total SET bytes = bytes + new.bytes; END;
  CREATE TRIGGER entries_dropped AFTER DELETE ON entries
    BEGIN UPDATE total SET bytes = bytes - old.bytes; END;
  PRAGMA user_version = ${LAYOUT};
`
const NEXT_USE = '(SELECT coalesce(max(used), 0) + 1 FROM entries)'

/**
 * Opens a store in a file, which is made when it is not there, for its owner alone. Every call takes
 * well under a millisecond but for the reading and writing of content.
 * @throws {ConfigError} when the file cannot be a cache
 */
export async function openSqliteCacheStore(
  path: string,
  options: CacheStoreOptions = {},
): Promise<CacheStore> {
  const maxBytes = checkMaxBytes(options.maxBytes ?? DEFAULT_MAX_BYTES)
  const { DatabaseSync: Database } = await import('node:sqlite')
  // Only when it is new: to close another descriptor of an open file would drop SQLite's locks.
  const created = await open(path, 'wx', 0o600).catch(() => undefined)
  await created?.close()
  let database: DatabaseSync | undefined
  try {
    database = new Database(path, { timeout: BUSY_TIMEOUT_MS })
    prepare(database)
    return new SqliteCacheStore(database, maxBytes)
  } catch (error) {
    database?.close()
    throw new ConfigError(
      'path',
      `Cannot open ${path} as a cache: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function prepare(database: DatabaseSync): void {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  transact(database, () => {
    const found = database.prepare('PRAGMA user_version').get()?.['user_version']
    if (found !== LAYOUT) database.exec(SCHEMA)
  })
}

function transact(database: DatabaseSync, change: () => void): void {
  // The lock for writing first: a reader that becomes a writer may find that it cannot.
  database.exec('BEGIN IMMEDIATE')
  try {
    change()
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

class SqliteCacheStore implements CacheStore {
  readonly #database: DatabaseSync
  readonly #maxBytes: number
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>

  constructor(database: DatabaseSync, maxBytes: number) {
    this.#database = database
    this.#maxBytes = maxBytes
    this.#statements = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, text]) => [name, database.prepare(text)]),
    ) as Record<keyof typeof STATEMENTS, StatementSync>
  }

  find(key: string): CacheEntry[] {
    return this.#statements.find
      .all(key)
      .map(({ head }) => JSON.parse(head as string) as CacheEntry)
  }

  readBody(id: string): Uint8Array | undefined {
    const row = this.#statements.readBody.get(id)
    if (row === undefined) return undefined
    this.#statements.use.run(id)
    return row['body'] as Uint8Array
  }

  put(entry: CacheEntry, body: Uint8Array): void {
    const { id, key, variant } = entry
    const bytes = sizeOf(entry, body)
    transact(this.#database, () => {
      this.#statements.replace.run(key, variant)
      if (bytes > this.#maxBytes) return
      this.#statements.put.run(id, key, variant, JSON.stringify(entry), body, bytes)
      while ((this.#statements.total.get()?.['bytes'] as number) > this.#maxBytes) {
        this.#statements.dropOldest.run()
      }
    })
  }

  update(entry: CacheEntry): void {
    this.#statements.update.run(JSON.stringify(entry), entry.id)
  }

  remove(key: string): void {
    this.#statements.remove.run(key)
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }
}

const STATEMENTS = {
  find: 'SELECT head FROM entries WHERE key = ? ORDER BY put DESC',
  readBody: 'SELECT body FROM entries WHERE id = ?',
  use: `UPDATE entries SET used = ${NEXT_USE} WHERE id = ?`,
  put: `INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ${NEXT_USE}, ${NEXT_USE})`,
  replace: 'DELETE FROM entries WHERE key = ? AND variant = ?',
  update: 'UPDATE entries SET head = ? WHERE id = ?',
  remove: 'DELETE FROM entries WHERE key = ?',
  total: 'SELECT bytes FROM total',
  dropOldest: 'DELETE FROM entries WHERE id = (SELECT id FROM entries ORDER BY used LIMIT 1)',
} as const

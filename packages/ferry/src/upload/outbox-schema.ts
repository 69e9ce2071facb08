/**
 * The layout of an outbox in SQLite, and how its file is opened and brought to it.
 *
 * The file may be one of the Python client of IndexedCP, whose table `chunks` (id, file_name,
 * chunk_index, data) stays untouched: ours all begin with `outbox_`, and what SQLite keeps once a
 * file (`user_version`, `application_id`) is not ours to set.
 */
import type { DatabaseSync } from 'node:sqlite'
import { TransferError } from '../errors.ts'

/** With 1, the content of all items was in rows. */
const LAYOUT = 2

/** In place of `state =`: without its first half SQLite reads every item, not the index of few. */
export const UNSETTLED = "state <> 'there' AND state ="

const PAGE_BYTES = 16_384

/** How much is in the log before it is carried over to the file; the sync that costs is then rare. */
const LOG_BYTES = 67_108_864

// Pages in memory; measured, more makes nothing faster here, and the default takes 30 MB.
const CACHE_KIB = 4096

const RANDOM_NAME = 'lower(hex(randomblob(8)))'

// Layout: `content` names the folder of files (outbox-content.ts).
// Items: `state` is adding, there or gone; `place` is the order. `holder` is who adds or sends it.
// Parts: a row stays until its item is trimmed; without bytes, they are in a file.
const SCHEMA = `
  CREATE TABLE outbox_layout (
    version INTEGER NOT NULL, places INTEGER NOT NULL, content TEXT NOT NULL
  ) STRICT;
  INSERT INTO outbox_layout VALUES (${LAYOUT}, 0, ${RANDOM_NAME});
  CREATE TABLE outbox_holders (
    token TEXT PRIMARY KEY, boot TEXT NOT NULL, space TEXT NOT NULL, pid INTEGER NOT NULL,
    start TEXT NOT NULL, until_wall INTEGER NOT NULL, until_uptime INTEGER NOT NULL,
    duration INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE outbox_items (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, place INTEGER NOT NULL,
    holder TEXT, name TEXT NOT NULL, type TEXT, size INTEGER NOT NULL, added_at INTEGER NOT NULL,
    metadata TEXT NOT NULL, part_bytes INTEGER, kept_from INTEGER NOT NULL, sha256 TEXT,
    path TEXT, fingerprint TEXT, note TEXT
  ) STRICT;
  CREATE INDEX outbox_unsettled ON outbox_items (state, holder) WHERE state <> 'there';
  CREATE TABLE outbox_parts (
    key INTEGER PRIMARY KEY, item INTEGER NOT NULL, part INTEGER NOT NULL, sha256 TEXT NOT NULL,
    bytes BLOB NOT NULL, UNIQUE (item, part)
  ) STRICT;
`

const UPGRADE = `
  ALTER TABLE outbox_layout ADD COLUMN content TEXT NOT NULL DEFAULT '';
  UPDATE outbox_layout SET version = ${LAYOUT}, content = ${RANDOM_NAME};
`

/**
 * Makes an open database an outbox, unless it is one.
 * @throws {TransferError} `outbox-unusable`: it is of a newer layout
 * @throws SQLite's own errors
 */
export function prepareOutbox(database: DatabaseSync): void {
  // Both count only before anything is written; later the second would be a change to the file.
  if (readNumber(database, 'PRAGMA page_count') === 0) {
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`)
  }
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  const pageBytes = readNumber(database, 'PRAGMA page_size')
  database.exec(`PRAGMA wal_autocheckpoint = ${Math.ceil(LOG_BYTES / pageBytes)}`)
  database.exec(`PRAGMA journal_size_limit = ${LOG_BYTES}; PRAGMA cache_size = -${CACHE_KIB}`)
  database.exec('BEGIN IMMEDIATE')
  try {
    const known = database
      .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'outbox_layout'")
      .get()
    if (known === undefined) database.exec(SCHEMA)
    const layout = readNumber(database, 'SELECT version FROM outbox_layout')
    // What is in rows is read as before; who knows no files may not come upon them.
    if (layout < LAYOUT) database.exec(UPGRADE)
    if (layout > LAYOUT) {
      throw new TransferError(
        'outbox-unusable',
        `it has layout ${layout}, which a newer Ferry has made; this one knows ${LAYOUT}`,
      )
    }
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** The one number that a statement gives. */
export function readNumber(database: DatabaseSync, text: string): number {
  const [value] = Object.values(database.prepare(text).get() ?? {})
  return value as number
}

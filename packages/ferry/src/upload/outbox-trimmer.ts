/**
 * Clears away what is gone from an outbox, a little at a time, and gives the room back to the file
 * system: the file stays below twice what it holds, plus 16 MiB, so that what has to be moved for it is
 * never more than what was freed.
 */
import type { OutboxConnection } from './outbox-connection.ts'
import type { OutboxContent } from './outbox-content.ts'
import type { Row } from './outbox-rows.ts'
import { UNSETTLED } from './outbox-schema.ts'

/** What is done in one step, so that others get their turn: parts, and pages of the file. */
const STEP_PARTS = 32
const STEP_PAGES = 512
/** What the file may be larger than it has to be, beside as much again as it holds. */
const SPARE_BYTES = 16_777_216
/** The mode of a file that can shrink; one that somebody else has made may have another. */
const INCREMENTAL = 2

export class OutboxTrimmer {
  readonly #connection: OutboxConnection
  readonly #content: OutboxContent
  /** Crashes have left files only before, and failures when somebody says so. */
  #areStraysGone = false
  /** Whether the file was made smaller in the log only, so far. */
  #hasShrunk = false

  constructor(connection: OutboxConnection, content: OutboxContent) {
    this.#connection = connection
    this.#content = content
  }

  /** Has files looked for that belong to no item. */
  expectStrays(): void {
    this.#areStraysGone = false
  }

  /** Does one step, without waiting for anybody. @returns whether there is more to do */
  step(): boolean {
    return this.#connection.withoutWaiting(
      () => this.#clearStrays() || this.#clearItem() || this.#shrink(),
    )
  }

  /** Deletes some of an item's parts before one. @returns whether there may be more */
  deleteParts(id: string, before: number): boolean {
    const { changes } = this.#connection.transact('NORMAL', () =>
      this.#connection
        .sql(
          `DELETE FROM outbox_parts WHERE key IN
            (SELECT key FROM outbox_parts WHERE part < ? AND
              item = (SELECT key FROM outbox_items WHERE id = ?) LIMIT ${STEP_PARTS})`,
        )
        .run(before, id),
    )
    return Number(changes) === STEP_PARTS
  }

  /** Whether it had to be looked for them. */
  #clearStrays(): boolean {
    if (this.#areStraysGone) return false
    // Those that cannot be removed are left to the next opening.
    this.#areStraysGone = true
    const item = this.#connection.sql('SELECT 1 FROM outbox_items WHERE id = ?')
    this.#content.removeStrays((id) => item.get(id) !== undefined)
    return true
  }

  /** Whether there was one that is gone. */
  #clearItem(): boolean {
    const connection = this.#connection
    const gone = connection
      .sql(
        `SELECT id, size, part_bytes, kept_from
          FROM outbox_items WHERE ${UNSETTLED} 'gone' LIMIT 1`,
      )
      .get()
    if (gone === undefined) return false
    const id = gone['id'] as string
    if (this.#clearFiles(gone)) return true
    if (this.deleteParts(id, Number.MAX_SAFE_INTEGER)) return true
    // What was dropped before may have left a file: one that could not be removed, or a crash.
    if (gone['part_bytes'] !== null) this.#clearDropped(gone)
    connection.transact('NORMAL', () =>
      connection.sql('DELETE FROM outbox_items WHERE id = ?').run(id),
    )
    return true
  }

  #clearDropped({ id, size, part_bytes }: Row): void {
    const content = { id: id as string, partBytes: part_bytes as number }
    const end = size as number
    for (let start = 0; start < end;) start = this.#content.remove(content, { start, end })
  }

  /** Removes some of an item's files. @returns whether there were any to remove */
  #clearFiles({ id, size, part_bytes, kept_from }: Row): boolean {
    const span = { start: kept_from as number, end: size as number }
    if (part_bytes === null || span.start >= span.end) return false
    const content = { id: id as string, partBytes: part_bytes as number }
    const keptFrom = this.#content.remove(content, span)
    this.#connection.transact('NORMAL', () =>
      this.#connection
        .sql('UPDATE outbox_items SET kept_from = ? WHERE id = ?')
        .run(keptFrom, content.id),
    )
    return true
  }

  #shrink(): boolean {
    const connection = this.#connection
    const pageBytes = connection.readNumber('PRAGMA page_size')
    const freeBytes = connection.readNumber('PRAGMA freelist_count') * pageBytes
    const usedBytes = connection.readNumber('PRAGMA page_count') * pageBytes - freeBytes
    const canShrink = connection.readNumber('PRAGMA auto_vacuum') === INCREMENTAL
    if (canShrink && freeBytes > usedBytes + SPARE_BYTES) {
      connection.setDurability('NORMAL')
      // To write a little anew takes less than to cut off much that is free, page by page.
      const isLittle = usedBytes <= SPARE_BYTES
      connection.execute(isLittle ? 'VACUUM' : `PRAGMA incremental_vacuum(${STEP_PAGES})`)
      this.#hasShrunk = true
      return true
    }
    // Now the file itself.
    if (this.#hasShrunk) connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    this.#hasShrunk = false
    return false
  }
}

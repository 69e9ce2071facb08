/**
 * The outbox in a database of SQLite, with the content of large items in files beside it; several
 * processes may use it at a time. Every call here blocks for as long as the disk takes, so it belongs
 * into a thread of its own (outbox-thread.ts).
 *
 * Items come in two steps: their rows and parts are written piece by piece, one small transaction
 * each, in the state `adding` of their adder; one synced transaction then makes all of them `there`.
 * What is removed becomes `gone` in one transaction and is cleared away by `trim()` in small ones.
 * So no call holds the file for longer than a few parts take, whatever the size of an item.
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { TransferError } from '../errors.ts'
import { termFrom, type LeaseTime } from './lease-state.ts'
import type { OutboxConnection } from './outbox-connection.ts'
import { type ContentItem, endOfSegments, fitsRow, OutboxContent } from './outbox-content.ts'
import { itemGone, leaseLost, partDamaged } from './outbox-errors.ts'
import { isFree, ITEM_COLUMNS, readItem, type Row } from './outbox-rows.ts'
import { checkRoom } from './outbox-room.ts'
import { UNSETTLED } from './outbox-schema.ts'
import { OutboxTrimmer } from './outbox-trimmer.ts'
import type { NewReferencedContent, OutboxItem, OutboxMetadata, OutboxPart } from './outbox.ts'
import { identifyProcess, type ProcessIdentity } from './process-identity.ts'

/** A step of adding an item: its beginning, a part, its end; all three at once for a small one. */
export interface StageStep {
  readonly id: string
  readonly begin?: {
    readonly name: string
    readonly type: string | undefined
    readonly metadata: OutboxMetadata
    /** The bytes of a part, for stored content. */
    readonly content: number | NewReferencedContent
  }
  readonly part?: Uint8Array<ArrayBuffer>
  /** The digest of all parts, hexadecimal; undefined for a reference, which brings its own. */
  readonly end?: { readonly sha256: string | undefined }
}

/** One who adds or sends, and the time it is. */
export interface Holding {
  readonly token: string
  readonly time: LeaseTime
  readonly durationMs: number
}

/** An item in the hands of its sender. */
export interface HeldItem {
  readonly id: string
  readonly token: string
}

/** A change to one item, for good but for a lease. */
export type ItemChange =
  /** Gives it to a holder. */
  | { readonly type: 'lease'; readonly id: string; readonly holding: Holding }
  /** Keeps what its sender notes for the next run, as JSON. */
  | ({ readonly type: 'note'; readonly note: string } & HeldItem)
  /** Removes it, for its sender. */
  | ({ readonly type: 'done' } & HeldItem)
  /** Removes it, unless a sender has it. */
  | { readonly type: 'remove'; readonly id: string; readonly time: LeaseTime }

/**
 * What became of a change: `gone` was not there any more; `lost`, another one has it. A lease gives
 * what was leased.
 */
export type ChangeOutcome = OutboxItem | 'done' | 'gone' | 'lost'

/** In place of the bytes of a part that is in a file; no part is without any. */
const IN_FILE = new Uint8Array(0)

/** How long clearing up may hold up the closing. */
const CLOSE_MS = 1000

export class OutboxDatabase {
  readonly #connection: OutboxConnection
  readonly #trimmer: OutboxTrimmer
  readonly #self: ProcessIdentity = identifyProcess()
  readonly #content: OutboxContent
  #isUntrimmed = true
  /** What each adder is adding. */
  readonly #adding = new Map<string, ContentItem>()

  constructor(connection: OutboxConnection) {
    this.#connection = connection
    this.#content = new OutboxContent(contentFolderOf(connection))
    this.#trimmer = new OutboxTrimmer(connection, this.#content)
  }

  /** Makes somebody an adder, and has what ended ones have left cleared away. */
  begin(holding: Holding): void {
    this.#connection.transact('NORMAL', () => {
      this.#sweep(holding.time)
      this.#hold(holding)
    })
  }

  /** Takes steps of adding, in order, for one adder. Gives the memory of the parts back. */
  stage(holding: Holding, steps: readonly StageStep[]): ArrayBuffer[] {
    const memory: ArrayBuffer[] = []
    const room = { rowBytes: 0, fileBytes: 0 }
    for (const step of steps) {
      if (step.part === undefined) continue
      memory.push(step.part.buffer)
      room[isForRow(step) ? 'rowBytes' : 'fileBytes'] += step.part.length
    }
    const before = this.#adding.get(holding.token)
    try {
      checkRoom(this.#connection, room)
      const writes = this.#connection.transact('NORMAL', () => {
        this.#renewHeld(holding)
        return steps.flatMap((step) => this.#stageStep(holding, step))
      })
      for (const write of writes) write()
    } catch (error) {
      // Nothing more is taken for its items: the adder fails.
      this.#adding.delete(holding.token)
      for (const id of [before?.id, ...steps.map((step) => step.id)]) {
        if (id !== undefined) this.#content.drop(id)
      }
      // Its rows may be gone already, before its file was made.
      this.#trimmer.expectStrays()
      this.#isUntrimmed = true
      throw error
    }
    return memory
  }

  /** Makes what an adder has brought part of the outbox, for good, in the order of its steps. */
  keep(holding: Holding): OutboxItem[] {
    const { token, time } = holding
    this.#content.keepNames()
    return this.#connection.transact('FULL', () => {
      this.#renewHeld(holding)
      const found = this.#connection
        .sql(`SELECT key FROM outbox_items WHERE ${UNSETTLED} 'adding' AND holder = ? ORDER BY key`)
        .all(token)
      let place = this.#connection.readNumber('SELECT places FROM outbox_layout')
      for (const { key } of found) {
        this.#connection
          .sql("UPDATE outbox_items SET state = 'there', holder = NULL, place = ? WHERE key = ?")
          .run(++place, key as number)
      }
      this.#connection.sql('UPDATE outbox_layout SET places = ?').run(place)
      this.#connection.sql('DELETE FROM outbox_holders WHERE token = ?').run(token)
      return found.map(({ key }) => this.#read(`${SELECT} WHERE key = ?`, key as number, time)[0]!)
    })
  }

  /** Ends holdings: what their adders have brought is gone, what their senders have is free. */
  release(tokens: readonly string[]): void {
    for (const token of tokens) {
      const item = this.#adding.get(token)
      if (item !== undefined) this.#content.drop(item.id)
      this.#adding.delete(token)
    }
    this.#isUntrimmed = true
    this.#connection.transact('NORMAL', () => {
      for (const token of tokens) {
        this.#connection
          .sql(`UPDATE outbox_items SET state = 'gone' WHERE ${UNSETTLED} 'adding' AND holder = ?`)
          .run(token)
        this.#connection.sql('DELETE FROM outbox_holders WHERE token = ?').run(token)
      }
    })
  }

  /** Ends the holdings of those that have ended; what they were adding is cleared away. */
  sweep(time: LeaseTime): void {
    this.#connection.transact('NORMAL', () => this.#sweep(time))
  }

  list(time: LeaseTime): OutboxItem[] {
    // Another process may have left it to whoever is there.
    const gone = `SELECT 1 FROM outbox_items WHERE ${UNSETTLED} 'gone' LIMIT 1`
    this.#isUntrimmed ||= this.#connection.sql(gone).get() !== undefined
    return this.#read(`${SELECT} WHERE state = 'there' ORDER BY place`, undefined, time)
  }

  get(id: string, time: LeaseTime): OutboxItem | undefined {
    return this.#read(`${SELECT} WHERE state = 'there' AND id = ?`, id, time)[0]
  }

  /** Makes changes, all of them or, when it throws, none. @returns what became of each */
  change(changes: readonly ItemChange[]): ChangeOutcome[] {
    const isForGood = changes.some(({ type }) => type !== 'lease')
    return this.#connection.transact(isForGood ? 'FULL' : 'NORMAL', () =>
      changes.map((change) => this.#changeItem(change)),
    )
  }

  /** Begins the holder's time anew. */
  renew(id: string, holding: Holding): void {
    this.#connection.transact('NORMAL', () => {
      this.#checkHeld(id, holding.token)
      this.#renewHeld(holding)
    })
  }

  /** As `renew()`, for an adder. */
  touch(holding: Holding): void {
    this.#connection.transact('NORMAL', () => this.#renewHeld(holding))
  }

  readPart(id: string, token: string, part: number): OutboxPart {
    const item = this.#checkHeld(id, token)
    const row = this.#connection
      .sql('SELECT sha256, bytes FROM outbox_parts WHERE item = ? AND part = ?')
      .get(item['key'] as number, part)
    if (row === undefined) {
      // Whoever asks for a part that the item should have finds the database damaged.
      const offset = part * ((item['part_bytes'] as number | null) ?? Number.NaN)
      const expected = offset >= (item['kept_from'] as number) && offset < (item['size'] as number)
      if (Number.isSafeInteger(part) && expected) throw partDamaged(id, part)
      throw new RangeError(`Cannot read part ${part} of item ${id}: it has no such part`)
    }
    const partBytes = item['part_bytes'] as number
    const offset = part * partBytes
    const inRow = row['bytes'] as Uint8Array
    const length = Math.min(partBytes, (item['size'] as number) - offset)
    const bytes = inRow.length > 0 ? inRow : this.#content.read({ id, partBytes }, offset, length)
    const sha256 = row['sha256'] as string
    if (bytes === undefined || hash('sha256', bytes, 'hex') !== sha256) throw partDamaged(id, part)
    return { offset, bytes, sha256 }
  }

  /** @returns where what is kept begins */
  dropParts(id: string, token: string, offset: number): number {
    const item = this.#checkHeld(id, token)
    const partBytes = item['part_bytes'] as number | null
    const kept = item['kept_from'] as number
    const size = item['size'] as number
    if (partBytes === null) return kept
    const before = offset >= size ? Math.ceil(size / partBytes) : Math.floor(offset / partBytes)
    const keptFrom = Math.max(kept, Math.min(size, before * partBytes))
    const content = { id, partBytes }
    const filesEnd = fitsRow(size, partBytes) ? 0 : endOfSegments(content, keptFrom, size)
    // Files may not go while a power cut can still bring the row back as it was.
    this.#connection.transact(filesEnd > kept ? 'FULL' : 'NORMAL', () => {
      this.#checkHeld(id, token)
      this.#connection.sql('UPDATE outbox_items SET kept_from = ? WHERE id = ?').run(keptFrom, id)
    })
    this.#isUntrimmed = true
    for (let start = kept; start < filesEnd;) {
      start = this.#content.remove(content, { start, end: filesEnd })
    }
    while (this.#trimmer.deleteParts(id, before)) continue
    return keptFrom
  }

  /** Whether there may be something to clear away. */
  get isUntrimmed(): boolean {
    return this.#isUntrimmed
  }

  /** Clears a little of what is gone away. @returns whether there is more to do */
  trim(): boolean {
    this.#isUntrimmed = this.#trimmer.step()
    return this.#isUntrimmed
  }

  /** Clears up for a moment, then closes the file; the next one to open it goes on. */
  close(): void {
    const deadline = performance.now() + CLOSE_MS
    try {
      while (performance.now() < deadline && this.trim()) continue
    } catch {
      // Another process is at it, or will be: what is left is cleared away at the next opening.
    }
    this.#content.close()
    this.#connection.close()
  }

  #sweep(time: LeaseTime): void {
    this.#isUntrimmed = true
    for (const row of this.#connection.sql('SELECT * FROM outbox_holders').all()) {
      if (!isFree(row, time, this.#self)) continue
      this.#connection.sql('DELETE FROM outbox_holders WHERE token = ?').run(row['token'] as string)
    }
    this.#connection
      .sql(
        `UPDATE outbox_items SET state = 'gone'
          WHERE ${UNSETTLED} 'adding' AND holder NOT IN (SELECT token FROM outbox_holders)`,
      )
      .run()
  }

  #changeItem(change: ItemChange): ChangeOutcome {
    const { type, id } = change
    const row = this.#find(id)
    if (row === undefined) return 'gone'
    if (type === 'lease' || type === 'remove') {
      const time = type === 'lease' ? change.holding.time : change.time
      if (!isFree(row, time, this.#self)) return 'lost'
    } else if (!isHeldBy(row, change.token)) {
      return 'lost'
    }
    if (type === 'note') {
      this.#connection.sql('UPDATE outbox_items SET note = ? WHERE id = ?').run(change.note, id)
      return 'done'
    }
    this.#connection
      .sql('DELETE FROM outbox_holders WHERE token = ?')
      .run(row['holder'] as string | null)
    if (type !== 'lease') {
      this.#removeRow(row)
      return 'done'
    }
    const { holding } = change
    this.#hold(holding)
    this.#connection.sql('UPDATE outbox_items SET holder = ? WHERE id = ?').run(holding.token, id)
    return this.get(id, holding.time) ?? 'gone'
  }

  /** Writes the rows of a step. @returns what is to be written to files when they are there */
  #stageStep(holding: Holding, step: StageStep): (() => void)[] {
    const { id, begin, part } = step
    const { token } = holding
    const writes: (() => void)[] = []
    if (begin !== undefined) this.#stageBegin(holding, id, begin)
    const adding = this.#adding.get(token)
    if (adding === undefined) return writes
    if (part !== undefined) {
      const inRow = isForRow(step)
      const offset = this.#stagePart(adding, part, { inRow })
      if (!inRow) writes.push(() => this.#content.write(adding, offset, part))
    }
    if (step.end === undefined) return writes
    this.#adding.delete(token)
    this.#connection
      .sql('UPDATE outbox_items SET sha256 = ? WHERE id = ?')
      .run(step.end.sha256 ?? null, id)
    writes.push(() => this.#content.finish(id))
    return writes
  }

  #stageBegin(
    { token, time }: Holding,
    id: string,
    { name, type, metadata, content }: NonNullable<StageStep['begin']>,
  ): void {
    const partBytes = typeof content === 'number' ? content : null
    const file = typeof content === 'number' ? undefined : content
    this.#connection
      .sql(
        `INSERT INTO outbox_items (id, state, place, holder, name, type, size, added_at, metadata,
          part_bytes, kept_from, sha256, path, fingerprint)
        VALUES (?, 'adding', 0, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
      )
      .run(
        id,
        token,
        name,
        type ?? null,
        file?.size ?? 0,
        time.wallMs,
        JSON.stringify(metadata),
        partBytes,
        file?.sha256 ?? null,
        file?.path ?? null,
        file?.fingerprint ?? null,
      )
    if (partBytes !== null) this.#adding.set(token, { id, partBytes })
  }

  /** @returns where the part begins */
  #stagePart(
    { id, partBytes }: ContentItem,
    bytes: Uint8Array,
    { inRow }: { inRow: boolean },
  ): number {
    const { key, size } = this.#connection
      .sql("SELECT key, size FROM outbox_items WHERE id = ? AND state = 'adding'")
      .get(id) as Record<'key' | 'size', number>
    this.#connection
      .sql('INSERT INTO outbox_parts (item, part, sha256, bytes) VALUES (?, ?, ?, ?)')
      .run(key, size / partBytes, hash('sha256', bytes, 'hex'), inRow ? bytes : IN_FILE)
    this.#connection
      .sql('UPDATE outbox_items SET size = size + ? WHERE key = ?')
      .run(bytes.length, key)
    return size
  }

  #hold({ token, time, durationMs }: Holding): void {
    const { boot, space, pid, start } = this.#self
    const { untilWallMs, untilUptimeMs } = termFrom(time, durationMs)
    this.#connection
      .sql('INSERT OR REPLACE INTO outbox_holders VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(token, boot, space, pid, start, untilWallMs, untilUptimeMs, durationMs)
  }

  #renewHeld({ token, time, durationMs }: Holding): void {
    const { untilWallMs, untilUptimeMs } = termFrom(time, durationMs)
    const { changes } = this.#connection
      .sql('UPDATE outbox_holders SET until_wall = ?, until_uptime = ? WHERE token = ?')
      .run(untilWallMs, untilUptimeMs, token)
    if (changes === 0) throw new TransferError('locked', 'another process took this one for ended')
  }

  /** The row of an item that the holder has. */
  #checkHeld(id: string, token: string): Row {
    const row = this.#find(id)
    if (row === undefined) throw itemGone(id)
    if (!isHeldBy(row, token)) throw leaseLost(id)
    return row
  }

  #find(id: string): Row | undefined {
    return this.#connection
      .sql(`SELECT key, ${ITEM_COLUMNS} FROM ${ITEMS} WHERE state = 'there' AND id = ?`)
      .get(id)
  }

  #read(text: string, value: string | number | undefined, time: LeaseTime): OutboxItem[] {
    const rows =
      value === undefined ? this.#connection.sql(text).all() : this.#connection.sql(text).all(value)
    return rows.map((row) => readItem(row, time, this.#self))
  }

  /** What has files, or more parts than one, is cleared away later. */
  #removeRow({ key, size, part_bytes: partBytes }: Row): void {
    this.#isUntrimmed ||= partBytes !== null
    if (partBytes !== null && !fitsRow(size as number, partBytes as number)) {
      this.#connection
        .sql("UPDATE outbox_items SET state = 'gone', holder = NULL WHERE key = ?")
        .run(key as number)
      return
    }
    this.#connection.sql('DELETE FROM outbox_parts WHERE item = ?').run(key as number)
    this.#connection.sql('DELETE FROM outbox_items WHERE key = ?').run(key as number)
  }
}

/** Small content goes into the row of its only part. */
function isForRow({ begin, part, end }: StageStep): boolean {
  if (begin === undefined || end === undefined) return false
  return fitsRow(part?.length ?? 0, begin.content as number)
}

/** Of this very database: another one in the same place has nothing to do with its files. */
function contentFolderOf(connection: OutboxConnection): string {
  const row = connection.sql('SELECT content FROM outbox_layout').get()
  return join(`${connection.path}-content`, row?.['content'] as string)
}

/** The holder of a row may be named there but have given it back. */
function isHeldBy(row: Row, token: string): boolean {
  return row['holder'] === token && row['token'] === token
}

const ITEMS = 'outbox_items LEFT JOIN outbox_holders ON token = holder'
const SELECT = `SELECT ${ITEM_COLUMNS} FROM ${ITEMS}`

/**
 * The outbox in one file of SQLite, which several processes may use at a time. Every call here blocks
 * for as long as the disk takes, so it belongs into a thread of its own (outbox-thread.ts).
 *
 * Items come in two steps: their rows and parts are written piece by piece, one small transaction
 * each, in the state `adding` of their adder; one synced transaction then makes all of them `there`.
 * What is removed becomes `gone` in one transaction and is cleared away by `trim()` in small ones.
 * So no call holds the file for longer than a few parts take, whatever the size of an item.
 */
import { createHash, type Hash, hash } from 'node:crypto'
import { TransferError } from '../errors.ts'
import { termFrom, type LeaseTime } from './lease-state.ts'
import type { OutboxConnection } from './outbox-connection.ts'
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
  readonly end?: true
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

/** What a sender notes for the next run, as JSON. */
export interface HeldNote extends HeldItem {
  readonly note: string
}

/** What became of a change to a held item: `gone` was not there any more, `lost` not its sender's. */
export type HeldOutcome = 'done' | 'gone' | 'lost'

/** How long clearing up may hold up the closing. */
const CLOSE_MS = 1000

export class OutboxDatabase {
  readonly #connection: OutboxConnection
  readonly #trimmer: OutboxTrimmer
  readonly #self: ProcessIdentity = identifyProcess()
  /** Of what each adder is adding: the digest of the whole so far. */
  readonly #hashes = new Map<string, Hash>()

  constructor(connection: OutboxConnection) {
    this.#connection = connection
    this.#trimmer = new OutboxTrimmer(connection)
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
    for (const { part } of steps) if (part !== undefined) memory.push(part.buffer)
    checkRoom(
      this.#connection,
      memory.reduce((sum, { byteLength }) => sum + byteLength, 0),
    )
    this.#connection.transact('NORMAL', () => {
      this.#renewHeld(holding)
      for (const step of steps) this.#stageStep(holding, step)
    })
    return memory
  }

  /** Makes what an adder has brought part of the outbox, for good, in the order of its steps. */
  keep(holding: Holding): OutboxItem[] {
    const { token, time } = holding
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
    this.#connection.transact('NORMAL', () => {
      for (const token of tokens) {
        this.#hashes.delete(token)
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
    return this.#read(`${SELECT} WHERE state = 'there' ORDER BY place`, undefined, time)
  }

  get(id: string, time: LeaseTime): OutboxItem | undefined {
    return this.#read(`${SELECT} WHERE state = 'there' AND id = ?`, id, time)[0]
  }

  /** Gives the item to the holder; undefined when another one has it, or it is not there. */
  lease(id: string, holding: Holding): OutboxItem | undefined {
    return this.#connection.transact('NORMAL', () => {
      const row = this.#find(id)
      if (row === undefined || !isFree(row, holding.time, this.#self)) return undefined
      this.#connection
        .sql('DELETE FROM outbox_holders WHERE token = ?')
        .run(row['holder'] as string | null)
      this.#hold(holding)
      this.#connection.sql('UPDATE outbox_items SET holder = ? WHERE id = ?').run(holding.token, id)
      return this.get(id, holding.time)
    })
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
    const bytes = row['bytes'] as Uint8Array
    const sha256 = row['sha256'] as string
    if (hash('sha256', bytes, 'hex') !== sha256) throw partDamaged(id, part)
    return { offset: part * (item['part_bytes'] as number), bytes, sha256 }
  }

  /** @returns where what is kept begins */
  dropParts(id: string, token: string, offset: number): number {
    const { key, keptFrom, before } = this.#connection.transact('NORMAL', () => {
      const item = this.#checkHeld(id, token)
      const partBytes = item['part_bytes'] as number | null
      const kept = item['kept_from'] as number
      const size = item['size'] as number
      if (partBytes === null) return { key: 0, keptFrom: kept, before: 0 }
      const before = offset >= size ? Math.ceil(size / partBytes) : Math.floor(offset / partBytes)
      const keptFrom = Math.max(kept, Math.min(size, before * partBytes))
      this.#connection.sql('UPDATE outbox_items SET kept_from = ? WHERE id = ?').run(keptFrom, id)
      return { key: item['key'] as number, keptFrom, before }
    })
    while (this.#trimmer.deleteParts(key, before)) continue
    return keptFrom
  }

  /** Notes something for each item, for who has it. */
  setNotes(notes: readonly HeldNote[]): HeldOutcome[] {
    return this.#connection.transact('FULL', () =>
      notes.map((held) =>
        this.#changeHeld(held, () => {
          this.#connection
            .sql('UPDATE outbox_items SET note = ? WHERE id = ?')
            .run(held.note, held.id)
        }),
      ),
    )
  }

  /** Removes items, each for who has it. */
  done(items: readonly HeldItem[]): HeldOutcome[] {
    return this.#connection.transact('FULL', () =>
      items.map((held) =>
        this.#changeHeld(held, (row) => {
          this.#removeRow(row)
          this.#connection.sql('DELETE FROM outbox_holders WHERE token = ?').run(held.token)
        }),
      ),
    )
  }

  /** Removes items that nobody has; false for those that are not there, or that somebody has. */
  remove(ids: readonly string[], time: LeaseTime): boolean[] {
    return this.#connection.transact('FULL', () => ids.map((id) => this.#removeOne(id, time)))
  }

  /** Clears a little of what is gone away. @returns whether there is more to do */
  trim(): boolean {
    return this.#trimmer.step()
  }

  /** Clears up for a moment, then closes the file; the next one to open it goes on. */
  close(): void {
    const deadline = performance.now() + CLOSE_MS
    try {
      while (performance.now() < deadline && this.trim()) continue
    } catch {
      // Another process is at it, or will be: what is left is cleared away at the next opening.
    }
    this.#connection.close()
  }

  #sweep(time: LeaseTime): void {
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

  #changeHeld({ id, token }: HeldItem, change: (row: Row) => void): HeldOutcome {
    const row = this.#find(id)
    if (row === undefined) return 'gone'
    if (!isHeldBy(row, token)) return 'lost'
    change(row)
    return 'done'
  }

  #removeOne(id: string, time: LeaseTime): boolean {
    const row = this.#find(id)
    if (row === undefined || !isFree(row, time, this.#self)) return false
    this.#connection
      .sql('DELETE FROM outbox_holders WHERE token = ?')
      .run(row['holder'] as string | null)
    this.#removeRow(row)
    return true
  }

  #stageStep(holding: Holding, { id, begin, part, end }: StageStep): void {
    const { token } = holding
    if (begin !== undefined) this.#stageBegin(holding, id, begin)
    if (part !== undefined) this.#stagePart(token, id, part)
    if (end !== true) return
    const whole = this.#hashes.get(token)
    this.#hashes.delete(token)
    if (whole === undefined) return
    this.#connection
      .sql('UPDATE outbox_items SET sha256 = ? WHERE id = ?')
      .run(whole.digest('hex'), id)
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
    if (file === undefined) this.#hashes.set(token, createHash('sha256'))
  }

  #stagePart(token: string, id: string, bytes: Uint8Array): void {
    const item = this.#connection
      .sql("SELECT key, size, part_bytes FROM outbox_items WHERE id = ? AND state = 'adding'")
      .get(id) as Record<'key' | 'size' | 'part_bytes', number>
    this.#hashes.get(token)?.update(bytes)
    this.#connection
      .sql('INSERT INTO outbox_parts (item, part, sha256, bytes) VALUES (?, ?, ?, ?)')
      .run(item.key, item.size / item.part_bytes, hash('sha256', bytes, 'hex'), bytes)
    this.#connection
      .sql('UPDATE outbox_items SET size = size + ? WHERE key = ?')
      .run(bytes.length, item.key)
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

  /** What has parts is cleared away later. */
  #removeRow({ key, part_bytes: partBytes }: Row): void {
    const change =
      partBytes === null
        ? 'DELETE FROM outbox_items WHERE key = ?'
        : "UPDATE outbox_items SET state = 'gone', holder = NULL WHERE key = ?"
    this.#connection.sql(change).run(key as number)
  }
}

/** The holder of a row may be named there but have given it back. */
function isHeldBy(row: Row, token: string): boolean {
  return row['holder'] === token && row['token'] === token
}

const ITEMS = 'outbox_items LEFT JOIN outbox_holders ON token = holder'
const SELECT = `SELECT ${ITEM_COLUMNS} FROM ${ITEMS}`

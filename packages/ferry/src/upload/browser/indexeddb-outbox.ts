/**
 * The outbox in a browser: items and parts in IndexedDB, leases by Web Locks. It survives closing the
 * tab and the end of the browser, as long as nobody clears the data of the site and the browser does
 * not need the room (`navigator.storage.persist()` asks it not to).
 *
 * Imports nothing of Node. A page needs a secure context for it: https, or localhost.
 */
import { createSHA256 } from 'hash-wasm'
import { ConfigError } from '../../errors.ts'
import { itemGone, leaseLost, partDamaged } from '../outbox-errors.ts'
import { checkName, checkPartBytes, cutParts } from '../outbox-parts.ts'
import type {
  NewItem,
  NewStoredContent,
  Outbox,
  OutboxAddOptions,
  OutboxItem,
  OutboxLease,
  OutboxPart,
} from '../outbox.ts'
import {
  IdbOutboxStore,
  type ItemRecord,
  type PartRecord,
  resultOf,
  type Stores,
  type TransactionKind,
} from './idb-store.ts'
import type { BrowserScope } from './idb-types.ts'
import { TabLocks } from './tab-locks.ts'

/** Which outbox is opened. */
export interface IndexedDbOutboxOptions {
  /** One origin may have several. @defaultValue indexcp */
  readonly name?: string | undefined
}

/**
 * Opens an outbox of this origin, which is made when it is not there. All tabs share it; an item that a
 * tab has leased is free once the tab lets go of it, is closed or dies, and no sooner: `durationMs` of a
 * lease means nothing here, and its end is told as Infinity. Whoever opens it closes it.
 * @throws {ConfigError} where there is no IndexedDB or no Web Locks
 * @throws {TransferError} `outbox-unusable`, `no-space`, `disk-failed`
 */
export async function openIndexedDbOutbox({
  name = 'indexcp',
}: IndexedDbOutboxOptions = {}): Promise<Outbox> {
  const { indexedDB: factory, IDBKeyRange: ranges, navigator } = globalThis as BrowserScope
  if (factory === undefined || ranges === undefined || navigator?.locks === undefined) {
    throw new ConfigError(
      'outbox',
      'Cannot open an outbox here: expected a page of https or localhost, with IndexedDB and Web Locks',
    )
  }
  // IndexedCP keeps `chunks` under the name itself.
  const database = `ferry-outbox-${name}`
  const store = await IdbOutboxStore.open(database, factory, ranges)
  const outbox = new IndexedDbOutbox(store, new TabLocks(navigator.locks, `${database}:`))
  try {
    await outbox.sweep()
    return outbox
  } catch (error) {
    await outbox.close()
    throw error
  }
}

class IndexedDbOutbox implements Outbox {
  readonly #store: IdbOutboxStore
  readonly #locks: TabLocks
  #isClosed = false

  constructor(store: IdbOutboxStore, locks: TabLocks) {
    this.#store = store
    this.#locks = locks
  }

  /** Removes what tabs were adding that are not there any more. */
  async sweep(): Promise<void> {
    // In this order: who adds takes the lock before the first record.
    const staged = (await this.#readAll()).filter(({ adder }) => adder !== undefined)
    if (staged.length === 0) return
    const held = await this.#locks.list()
    const left = staged.filter(({ adder }) => !held.has(lockOfAdder(adder)))
    await this.#deleteStaged(left.map(({ id }) => id))
  }

  async add(
    items: Iterable<NewItem> | AsyncIterable<NewItem>,
    options: OutboxAddOptions = {},
  ): Promise<OutboxItem[]> {
    const { signal } = options
    signal?.throwIfAborted()
    const adder = crypto.randomUUID()
    const ids: string[] = []
    await this.#locks.take(lockOfAdder(adder))
    try {
      for await (const item of items) {
        const id = crypto.randomUUID()
        ids.push(id)
        await this.#stage({ id, adder }, item, options)
      }
      signal?.throwIfAborted()
      return await this.#keep(ids)
    } catch (error) {
      // What cannot be removed now is when the outbox is opened again.
      await this.#deleteStaged(ids).catch(() => {})
      throw error
    } finally {
      this.#locks.release(lockOfAdder(adder))
    }
  }

  async list(): Promise<OutboxItem[]> {
    const records = (await this.#readAll()).filter(({ adder }) => adder === undefined)
    const held = await this.#locks.list()
    return records.toSorted((a, b) => a.place - b.place).map((record) => toItem(record, held))
  }

  async get(id: string): Promise<OutboxItem | undefined> {
    const record = await this.#find(id)
    return record && toItem(record, await this.#locks.list())
  }

  async lease(id: string): Promise<OutboxLease | undefined> {
    this.#throwIfClosed()
    if (!(await this.#locks.take(lockOfItem(id)))) return undefined
    const item = await this.get(id).catch((error: unknown) => {
      this.#locks.release(lockOfItem(id))
      throw error
    })
    if (item !== undefined) return new IndexedDbLease(this.#store, this.#locks, item)
    this.#locks.release(lockOfItem(id))
    return undefined
  }

  async remove(id: string): Promise<boolean> {
    const lease = await this.lease(id)
    await lease?.done()
    return lease !== undefined
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#locks.releaseAll()
    this.#store.close()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #stage(
    by: { readonly id: string; readonly adder: string },
    { name, type, metadata = {}, content }: NewItem,
    options: OutboxAddOptions,
  ): Promise<void> {
    const common = { ...by, name: checkName(name), type, metadata, note: undefined, place: 0 }
    const record = { ...common, addedAt: Date.now() }
    if (content.mode === 'reference') {
      const { size, ...referenced } = content
      await this.#put({ ...record, size, content: referenced })
    } else {
      await this.#stageParts(record, content, options)
    }
  }

  async #stageParts(
    common: Omit<ItemRecord, 'size' | 'content'>,
    content: NewStoredContent,
    { signal, onProgress }: OutboxAddOptions,
  ): Promise<void> {
    const partBytes = checkPartBytes(content.partBytes)
    const stored = { mode: 'stored', partBytes, keptFrom: 0 } as const
    const { id, name } = common
    const whole = await createSHA256()
    let size = 0
    let index = 0
    // Before the first part, so that no part is ever without its item.
    await this.#put({ ...common, size, content: { ...stored, sha256: '' } })
    for await (const bytes of cutParts(content.pieces, { partBytes, signal })) {
      whole.update(bytes)
      const part: PartRecord = { sha256: await digestOf(bytes), bytes }
      const key = [id, index++]
      // What is large is in a file of its own, which later transactions do not make lasting.
      await this.#change('add to the outbox', 'strict', ({ parts }) =>
        resultOf(parts.put(part, key)),
      )
      size += bytes.length
      onProgress?.(name, size)
    }
    await this.#put({ ...common, size, content: { ...stored, sha256: whole.digest('hex') } })
    if (size === 0) onProgress?.(name, 0)
  }

  async #put(record: ItemRecord): Promise<void> {
    await this.#change('add to the outbox', 'relaxed', ({ items }) => resultOf(items.put(record)))
  }

  /** Makes what was brought part of the outbox, for good. */
  async #keep(ids: readonly string[]): Promise<OutboxItem[]> {
    return await this.#change('add to the outbox', 'strict', async ({ items }) => {
      const records = (await resultOf(items.getAll())) as ItemRecord[]
      const byId = new Map(records.map((record) => [record.id, record]))
      let place = records.reduce((last, record) => Math.max(last, record.place), 0)
      const kept: OutboxItem[] = []
      for (const id of ids) {
        const record = byId.get(id)
        if (record === undefined) throw leaseLost(id)
        const next = { ...record, place: ++place, adder: undefined }
        await resultOf(items.put(next))
        kept.push(toItem(next, new Set()))
      }
      return kept
    })
  }

  async #deleteStaged(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await this.#change('clear the outbox', 'relaxed', async (stores) => {
        const record = (await resultOf(stores.items.get(id))) as ItemRecord | undefined
        // It may have become part of the outbox since somebody looked.
        if (record?.adder !== undefined) await deleteItem(this.#store, stores, id)
      })
    }
  }

  async #find(id: string): Promise<ItemRecord | undefined> {
    const record = await this.#change('read the outbox', 'read', ({ items }) =>
      resultOf(items.get(id)),
    )
    const found = record as ItemRecord | undefined
    return found?.adder === undefined ? found : undefined
  }

  async #readAll(): Promise<ItemRecord[]> {
    const all = await this.#change('read the outbox', 'read', ({ items }) =>
      resultOf(items.getAll()),
    )
    return all as ItemRecord[]
  }

  async #change<Result>(
    attempt: string,
    kind: TransactionKind,
    work: (stores: Stores) => Promise<Result>,
  ): Promise<Result> {
    this.#throwIfClosed()
    return await this.#store.transact(attempt, kind, work)
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new TypeError('Cannot use the outbox: it is closed')
  }
}

class IndexedDbLease implements OutboxLease {
  readonly #store: IdbOutboxStore
  readonly #locks: TabLocks
  #item: OutboxItem

  constructor(store: IdbOutboxStore, locks: TabLocks, item: OutboxItem) {
    this.#store = store
    this.#locks = locks
    this.#item = item
  }

  get item(): OutboxItem {
    return this.#item
  }

  async renew(): Promise<void> {
    await this.#change('keep an item of the outbox', 'read', () => Promise.resolve())
  }

  async readPart(index: number): Promise<OutboxPart> {
    const { id, size, content } = this.#item
    const partBytes = content.mode === 'stored' ? content.partBytes : Number.NaN
    const offset = index * partBytes
    const part = await this.#change('read the outbox', 'read', async (record, { parts }) => {
      const keptFrom = record.content.mode === 'stored' ? record.content.keptFrom : 0
      const isThere = Number.isSafeInteger(index) && offset >= keptFrom && offset < size
      if (!isThere) {
        throw new RangeError(`Cannot read part ${index} of item ${id}: it has no such part`)
      }
      return (await resultOf(parts.get([id, index]))) as PartRecord | undefined
    })
    if (part === undefined || (await digestOf(part.bytes)) !== part.sha256) {
      throw partDamaged(id, index)
    }
    return { offset, bytes: part.bytes, sha256: part.sha256 }
  }

  async dropParts(offset: number): Promise<void> {
    const content = await this.#change(
      'clear parts of the outbox',
      'relaxed',
      async (record, { items, parts }) => {
        const { id, size, content: kept } = record
        if (kept.mode === 'reference') return kept
        const { partBytes } = kept
        const before = offset >= size ? Math.ceil(size / partBytes) : Math.floor(offset / partBytes)
        const keptFrom = Math.max(kept.keptFrom, Math.min(size, before * partBytes))
        if (before > 0) await resultOf(parts.delete(this.#store.partsOf(id, 0, before)))
        await resultOf(items.put({ ...record, content: { ...kept, keptFrom } }))
        return { ...kept, keptFrom }
      },
    )
    this.#item = { ...this.#item, content }
  }

  async setNote(note: unknown): Promise<void> {
    const kept: unknown = JSON.parse(JSON.stringify(note) ?? 'null')
    await this.#change('keep a note in the outbox', 'strict', (record, { items }) =>
      resultOf(items.put({ ...record, note: kept })),
    )
    this.#item = { ...this.#item, note: kept }
  }

  async done(): Promise<void> {
    await this.#change('remove an item of the outbox', 'strict', ({ id }, stores) =>
      deleteItem(this.#store, stores, id),
    )
    await this.release()
  }

  release(): Promise<void> {
    this.#locks.release(lockOfItem(this.#item.id))
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  async #change<Result>(
    attempt: string,
    kind: TransactionKind,
    work: (record: ItemRecord, stores: Stores) => Promise<Result>,
  ): Promise<Result> {
    const { id } = this.#item
    return await this.#store.transact(attempt, kind, async (stores) => {
      const record = (await resultOf(stores.items.get(id))) as ItemRecord | undefined
      if (record === undefined) throw itemGone(id)
      if (!this.#locks.has(lockOfItem(id))) throw leaseLost(id)
      return await work(record, stores)
    })
  }
}

async function deleteItem(
  store: IdbOutboxStore,
  { items, parts }: Stores,
  id: string,
): Promise<void> {
  await resultOf(items.delete(id))
  await resultOf(parts.delete(store.partsOf(id)))
}

function toItem(
  { place: _place, adder: _adder, ...item }: ItemRecord,
  held: ReadonlySet<string>,
): OutboxItem {
  const isHeld = held.has(lockOfItem(item.id))
  return { ...item, leasedUntil: isHeld ? Number.POSITIVE_INFINITY : undefined }
}

function lockOfItem(id: string): string {
  return `item:${id}`
}

function lockOfAdder(adder: string | undefined): string {
  return `adder:${adder ?? ''}`
}

async function digestOf(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

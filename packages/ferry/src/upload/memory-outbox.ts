/** The outbox in memory: for what need not survive the process, and for tests. */
import { hash, randomUUID } from 'node:crypto'
import { checkLeaseDuration, isOver, leftMs, type LeaseTerm, termFrom } from './lease-state.ts'
import type { LeaseTime } from './lease-state.ts'
import type { StageStep } from './outbox-database.ts'
import { itemGone, leaseLost, partDamaged } from './outbox-errors.ts'
import { OutboxStager } from './outbox-stager.ts'
import type {
  LeaseOptions,
  NewItem,
  Outbox,
  OutboxAddOptions,
  OutboxItem,
  OutboxLease,
  OutboxPart,
} from './outbox.ts'

/** How an outbox in memory tells the time. */
export interface MemoryOutboxOptions {
  /** Epoch ms. @defaultValue Date.now */
  readonly now?: (() => number) | undefined
  /** Monotonic ms. @defaultValue performance.now */
  readonly uptimeMs?: (() => number) | undefined
}

/** Makes an empty outbox. Closing it empties it. */
export function createMemoryOutbox(options: MemoryOutboxOptions = {}): Outbox {
  return new MemoryOutbox(options)
}

/** An item as it is kept; `parts` by number. */
interface Kept {
  item: OutboxItem
  readonly parts: Map<number, Omit<OutboxPart, 'offset'>>
  lease: { readonly token: string; readonly term: LeaseTerm } | undefined
}

/** There is one system, which never starts anew. */
const BOOT = 'memory'

class MemoryOutbox implements Outbox {
  readonly #now: () => number
  readonly #uptimeMs: () => number
  /** In order of adding. */
  readonly #items = new Map<string, Kept>()
  #isClosed = false

  constructor(options: MemoryOutboxOptions) {
    this.#now = options.now ?? Date.now
    this.#uptimeMs = options.uptimeMs ?? (() => performance.now())
  }

  async add(
    items: Iterable<NewItem> | AsyncIterable<NewItem>,
    options: OutboxAddOptions = {},
  ): Promise<OutboxItem[]> {
    const { signal } = options
    const staged = new Staged(this.#now())
    const stager = new OutboxStager((steps) => staged.take(steps), options)
    signal?.throwIfAborted()
    for await (const item of items) await stager.add(item)
    await stager.flush()
    signal?.throwIfAborted()
    this.#throwIfClosed()
    for (const kept of staged.items) this.#items.set(kept.item.id, kept)
    return staged.items.map(({ item }) => item)
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async list(): Promise<OutboxItem[]> {
    this.#throwIfClosed()
    return [...this.#items.values()].map((kept) => this.#snapshot(kept))
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async get(id: string): Promise<OutboxItem | undefined> {
    this.#throwIfClosed()
    const kept = this.#items.get(id)
    return kept && this.#snapshot(kept)
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async lease(id: string, options: LeaseOptions = {}): Promise<OutboxLease | undefined> {
    this.#throwIfClosed()
    const durationMs = checkLeaseDuration(options.durationMs)
    const kept = this.#items.get(id)
    if (kept === undefined || this.#isLeased(kept)) return undefined
    const token = randomUUID()
    const renew = (): void => {
      kept.lease = { token, term: termFrom(this.#time(), durationMs) }
    }
    renew()
    return new MemoryOutboxLease(token, {
      item: this.#snapshot(kept),
      renew,
      find: () => this.#items.get(id),
      remove: () => void this.#items.delete(id),
    })
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async remove(id: string): Promise<boolean> {
    this.#throwIfClosed()
    const kept = this.#items.get(id)
    if (kept === undefined || this.#isLeased(kept)) return false
    return this.#items.delete(id)
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#items.clear()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #snapshot(kept: Kept): OutboxItem {
    const time = this.#time()
    const { item, lease } = kept
    const leasedUntil =
      lease !== undefined && this.#isLeased(kept)
        ? time.wallMs + leftMs(lease.term, time)
        : undefined
    return { ...item, leasedUntil }
  }

  #isLeased({ lease }: Kept): boolean {
    return lease !== undefined && !isOver(lease.term, this.#time(), false)
  }

  #time(): LeaseTime {
    return { wallMs: this.#now(), uptimeMs: this.#uptimeMs(), boot: BOOT }
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new TypeError('Cannot use the outbox: it is closed')
  }
}

/** What is being added. */
class Staged {
  readonly items: Kept[] = []
  readonly #addedAt: number

  constructor(addedAt: number) {
    this.#addedAt = addedAt
  }

  take(steps: readonly StageStep[]): Promise<ArrayBuffer[]> {
    for (const step of steps) this.#takeStep(step)
    // The parts stay where they are.
    return Promise.resolve([])
  }

  #takeStep({ id, begin, part, end }: StageStep): void {
    if (begin !== undefined) this.#begin(id, begin)
    const kept = this.items.at(-1)
    if (kept === undefined) return
    const { item } = kept
    if (part !== undefined) {
      kept.parts.set(kept.parts.size, { bytes: part, sha256: hash('sha256', part, 'hex') })
      kept.item = { ...item, size: item.size + part.length }
    }
    if (end?.sha256 !== undefined && item.content.mode === 'stored') {
      kept.item = { ...kept.item, content: { ...item.content, sha256: end.sha256 } }
    }
  }

  #begin(id: string, { content, ...begin }: NonNullable<StageStep['begin']>): void {
    const item = { id, ...begin, addedAt: this.#addedAt, note: undefined, leasedUntil: undefined }
    const kept = { parts: new Map(), lease: undefined }
    if (typeof content === 'number') {
      const stored = { mode: 'stored', partBytes: content, keptFrom: 0, sha256: '' } as const
      this.items.push({ ...kept, item: { ...item, size: 0, content: stored } })
    } else {
      const { size, ...referenced } = content
      this.items.push({ ...kept, item: { ...item, size, content: referenced } })
    }
  }
}

/** What a lease does to its outbox. */
interface LeasedItem {
  readonly item: OutboxItem
  readonly renew: () => void
  readonly find: () => Kept | undefined
  readonly remove: () => void
}

class MemoryOutboxLease implements OutboxLease {
  readonly #token: string
  readonly #leased: LeasedItem
  #item: OutboxItem

  constructor(token: string, leased: LeasedItem) {
    this.#token = token
    this.#leased = leased
    this.#item = leased.item
  }

  get item(): OutboxItem {
    return this.#item
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async renew(): Promise<void> {
    this.#held()
    this.#leased.renew()
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async readPart(index: number): Promise<OutboxPart> {
    const { item, parts } = this.#held()
    const part = parts.get(index)
    if (part === undefined || item.content.mode === 'reference') {
      throw new RangeError(`Cannot read part ${index} of item ${item.id}: it has no such part`)
    }
    if (hash('sha256', part.bytes, 'hex') !== part.sha256) throw partDamaged(item.id, index)
    return { ...part, offset: index * item.content.partBytes }
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async dropParts(offset: number): Promise<void> {
    const kept = this.#held()
    const { content, size } = kept.item
    if (content.mode === 'reference') return
    const { partBytes } = content
    let { keptFrom } = content
    for (const index of [...kept.parts.keys()]) {
      const end = Math.min(size, (index + 1) * partBytes)
      if (end > offset) continue
      kept.parts.delete(index)
      keptFrom = Math.max(keptFrom, end)
    }
    this.#change(kept, { content: { ...content, keptFrom } })
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async setNote(note: unknown): Promise<void> {
    this.#change(this.#held(), { note: JSON.parse(JSON.stringify(note) ?? 'null') })
  }

  // oxlint-disable-next-line typescript/require-await -- the port is asynchronous
  async done(): Promise<void> {
    this.#held()
    this.#leased.remove()
  }

  release(): Promise<void> {
    const kept = this.#leased.find()
    if (kept?.lease?.token === this.#token) kept.lease = undefined
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  #change(kept: Kept, change: Partial<OutboxItem>): void {
    kept.item = { ...kept.item, ...change }
    this.#item = { ...this.#item, ...change }
  }

  #held(): Kept {
    const kept = this.#leased.find()
    if (kept === undefined) throw itemGone(this.#item.id)
    if (kept.lease?.token !== this.#token) throw leaseLost(this.#item.id)
    return kept
  }
}

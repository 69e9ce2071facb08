/** The two stores of an outbox in IndexedDB, and transactions over them. */
import { TransferError, type TransferErrorCode } from '../../errors.ts'
import type { OutboxItem } from '../outbox.ts'
import type {
  IdbDatabase,
  IdbFactory,
  IdbKeyRange,
  IdbKeyRanges,
  IdbRequest,
  IdbStore,
  IdbTransaction,
} from './idb-types.ts'

const VERSION = 1

/** An item as it is kept. */
export interface ItemRecord extends Omit<OutboxItem, 'leasedUntil'> {
  /** The order; 0 while it is being added. */
  readonly place: number
  /** Who is adding it; undefined once it is there. */
  readonly adder: string | undefined
}

/** A part as it is kept, under the id of its item and its number. */
export interface PartRecord {
  readonly sha256: string
  readonly bytes: Uint8Array
}

/**
 * read: at the same time as others that read · relaxed: changes, which a crash of the system may undo ·
 * strict: changes that survive a power cut
 */
export type TransactionKind = 'read' | 'relaxed' | 'strict'

/** The stores within a transaction; each promise must be the only thing waited for. */
export interface Stores {
  readonly items: IdbStore
  readonly parts: IdbStore
}

export class IdbOutboxStore {
  readonly #database: IdbDatabase
  readonly #ranges: IdbKeyRanges
  readonly #name: string

  private constructor(name: string, database: IdbDatabase, ranges: IdbKeyRanges) {
    this.#name = name
    this.#database = database
    this.#ranges = ranges
    // A page of a later version wants to change it.
    database.onversionchange = () => database.close()
  }

  /** @throws {TransferError} `outbox-unusable`, `disk-failed` */
  static async open(
    name: string,
    factory: IdbFactory,
    ranges: IdbKeyRanges,
  ): Promise<IdbOutboxStore> {
    try {
      const request = factory.open(name, VERSION)
      request.onupgradeneeded = () => {
        request.result.createObjectStore('items', { keyPath: 'id' })
        request.result.createObjectStore('parts')
      }
      return new IdbOutboxStore(name, await resultOf(request), ranges)
    } catch (cause) {
      throw storeError(`Cannot open the outbox ${name}`, cause)
    }
  }

  /** The parts of an item from `start` up to, not including, `end`. */
  partsOf(id: string, start: number = 0, end: number = Number.POSITIVE_INFINITY): IdbKeyRange {
    return this.#ranges.bound([id, start], [id, end], false, true)
  }

  /** Runs one transaction, which is over when `work` is. */
  async transact<Result>(
    attempt: string,
    kind: TransactionKind,
    work: (stores: Stores) => Promise<Result>,
  ): Promise<Result> {
    try {
      const mode = kind === 'read' ? 'readonly' : 'readwrite'
      const durability = kind === 'strict' ? 'strict' : 'relaxed'
      const stores = ['items', 'parts']
      const transaction = this.#database.transaction(stores, mode, { durability })
      const over = new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve()
        transaction.onabort = () => reject(transaction.error ?? new Error('it was aborted'))
      })
      over.catch(() => {})
      const items = transaction.objectStore('items')
      const parts = transaction.objectStore('parts')
      const result = await work({ items, parts }).catch((error: unknown) => {
        abort(transaction)
        throw error
      })
      await over
      return result
    } catch (cause) {
      throw storeError(`Cannot ${attempt} ${this.#name}`, cause)
    }
  }

  close(): void {
    this.#database.close()
  }
}

function abort(transaction: IdbTransaction): void {
  try {
    transaction.abort()
  } catch {
    // A request that failed has ended it.
  }
}

/** What a request gives. */
export function resultOf<Result>(request: IdbRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('the request failed'))
  })
}

const CODES: Readonly<Record<string, [code: TransferErrorCode, reason: string]>> = {
  QuotaExceededError: ['no-space', 'the browser gives no more room'],
  VersionError: ['outbox-unusable', 'it is of a newer Ferry'],
}

function storeError(attempt: string, cause: unknown): unknown {
  if (!(cause instanceof DOMException)) return cause
  const [code, reason] = CODES[cause.name] ?? ['disk-failed', cause.message]
  return new TransferError(code, `${attempt}: ${reason}`, { cause })
}

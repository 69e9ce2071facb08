/** The two stores of an outbox in IndexedDB, and transactions over them. */
import { ConfigError, TransferError, type TransferErrorCode } from '../../errors.ts'
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
  readonly #name: string
  readonly #factory: IdbFactory
  readonly #ranges: IdbKeyRanges
  /** Undefined after the browser has closed it: it is opened again when it is needed. */
  #database: Promise<IdbDatabase> | undefined
  #isClosed = false

  private constructor(name: string, factory: IdbFactory, ranges: IdbKeyRanges) {
    this.#name = name
    this.#factory = factory
    this.#ranges = ranges
  }

  /**
   * @throws {TransferError} `outbox-unusable`, `disk-failed`
   * @throws {ConfigError} where the browser lets the page keep nothing
   */
  static async open(
    name: string,
    factory: IdbFactory,
    ranges: IdbKeyRanges,
  ): Promise<IdbOutboxStore> {
    const store = new IdbOutboxStore(name, factory, ranges)
    try {
      await store.#connect()
      return store
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
      const database = await this.#connect()
      const transaction = database.transaction(stores, mode, { durability })
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
    this.#isClosed = true
    void this.#database?.then(
      (database) => database.close(),
      () => {},
    )
    this.#database = undefined
  }

  async #connect(): Promise<IdbDatabase> {
    if (this.#isClosed) throw new TypeError('Cannot use the outbox: it is closed')
    if (this.#database === undefined) {
      const opening = this.#openDatabase(() => this.#forget(opening))
      this.#database = opening
      opening.catch(() => this.#forget(opening))
    }
    return await this.#database
  }

  #forget(database: Promise<IdbDatabase>): void {
    if (this.#database === database) this.#database = undefined
  }

  /** @param onClosed told when the browser has closed it */
  async #openDatabase(onClosed: () => void): Promise<IdbDatabase> {
    const request = this.#factory.open(this.#name, VERSION)
    request.onupgradeneeded = () => {
      request.result.createObjectStore('items', { keyPath: 'id' })
      request.result.createObjectStore('parts')
    }
    const database = await resultOf(request)
    // Its files were cleared away, or cannot be read.
    database.onclose = onClosed
    // A page of a later version wants to change it, or somebody to clear it away.
    database.onversionchange = () => {
      onClosed()
      database.close()
    }
    return database
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
  NotFoundError: ['outbox-unusable', 'it is no outbox'],
}

/** An error of the browser in the words of the outbox; others as they are. */
function storeError(attempt: string, cause: unknown): unknown {
  if (!(cause instanceof DOMException)) return cause
  if (cause.name === 'SecurityError') {
    return new ConfigError('outbox', `${attempt}: the browser lets this page keep nothing`)
  }
  const [code, reason] = CODES[cause.name] ?? ['disk-failed', cause.message]
  return new TransferError(code, `${attempt}: ${reason}`, { cause })
}

/**
 * As much of IndexedDB and Web Locks as the outbox uses. The types of the whole would bring those of a
 * page into code for Node, too.
 *
 * @see https://w3c.github.io/IndexedDB/ and https://w3c.github.io/web-locks/
 */

export interface IdbRequest<Result> {
  readonly result: Result
  readonly error: DOMException | null
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}

export interface IdbOpenRequest extends IdbRequest<IdbDatabase> {
  onupgradeneeded: (() => void) | null
}

export interface IdbFactory {
  open(name: string, version: number): IdbOpenRequest
}

export interface IdbDatabase {
  createObjectStore(name: string, options?: { keyPath: string | string[] }): unknown
  transaction(
    stores: readonly string[],
    mode: 'readonly' | 'readwrite',
    options: { durability: 'strict' | 'relaxed' },
  ): IdbTransaction
  close(): void
  onversionchange: (() => void) | null
  onclose: (() => void) | null
}

export interface IdbTransaction {
  readonly error: DOMException | null
  objectStore(name: string): IdbStore
  abort(): void
  oncomplete: (() => void) | null
  onabort: (() => void) | null
}

export interface IdbStore {
  get(key: IdbKey): IdbRequest<unknown>
  getAll(): IdbRequest<unknown[]>
  put(value: unknown, key?: IdbKey): IdbRequest<unknown>
  delete(key: IdbKey | IdbKeyRange): IdbRequest<unknown>
}

export type IdbKey = string | readonly (string | number)[]

/** Opaque. */
export interface IdbKeyRange {
  readonly lower: unknown
}

export interface IdbKeyRanges {
  bound(lower: IdbKey, upper: IdbKey, lowerOpen: boolean, upperOpen: boolean): IdbKeyRange
}

export interface LockManager {
  request(
    name: string,
    options: { ifAvailable: boolean },
    callback: (lock: object | null) => Promise<void>,
  ): Promise<void>
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>
}

/** What a page has, where it is served safely. */
export interface BrowserScope {
  readonly indexedDB?: IdbFactory
  readonly IDBKeyRange?: IdbKeyRanges
  readonly navigator?: { readonly locks?: LockManager }
}

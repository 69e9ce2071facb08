/** A cache store in memory, gone with the process. */
import { ConfigError } from '../../errors.ts'
import type { CacheEntry, CacheStore } from './cache-store.ts'

/** Settings of a store. */
export interface CacheStoreOptions {
  /** Most bytes that it holds, heads included. @defaultValue 64 MiB in memory, 256 MiB in a file */
  readonly maxBytes?: number | undefined
}

const DEFAULT_MAX_BYTES = 67_108_864

interface Stored {
  readonly entry: CacheEntry
  readonly body: Uint8Array
  readonly bytes: number
}

/** Makes a store in memory. */
export function createMemoryCacheStore(options: CacheStoreOptions = {}): CacheStore {
  return new MemoryCacheStore(checkMaxBytes(options.maxBytes ?? DEFAULT_MAX_BYTES))
}

/** Throws unless a store can have that size. */
export function checkMaxBytes(maxBytes: number): number {
  if (maxBytes >= 0) return maxBytes
  throw new ConfigError('maxBytes', `Cannot use maxBytes ${String(maxBytes)}: expected 0 or more`)
}

/** What an entry counts for: its content, and its head as text. */
export function sizeOf(entry: CacheEntry, body: Uint8Array): number {
  return body.length + JSON.stringify(entry).length
}

class MemoryCacheStore implements CacheStore {
  readonly #maxBytes: number
  /** By id, the one used last at the end. */
  readonly #stored = new Map<string, Stored>()
  /** Ids by key, the oldest first. */
  readonly #ids = new Map<string, Set<string>>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  find(key: string): CacheEntry[] {
    const ids = [...(this.#ids.get(key) ?? [])].reverse()
    return ids.map((id) => (this.#stored.get(id) as Stored).entry)
  }

  readBody(id: string): Uint8Array | undefined {
    const stored = this.#stored.get(id)
    if (stored === undefined) return undefined
    this.#stored.delete(id)
    this.#stored.set(id, stored)
    return stored.body
  }

  put(entry: CacheEntry, body: Uint8Array): void {
    const { id, key, variant } = entry
    for (const other of this.find(key)) if (other.variant === variant) this.#drop(other.id)
    const bytes = sizeOf(entry, body)
    if (bytes > this.#maxBytes) return
    this.#stored.set(id, { entry, body, bytes })
    const ids = this.#ids.get(key) ?? new Set()
    this.#ids.set(key, ids.add(id))
    this.#bytes += bytes
    for (const oldest of this.#stored.keys()) {
      if (this.#bytes <= this.#maxBytes) break
      this.#drop(oldest)
    }
  }

  update(entry: CacheEntry): void {
    const stored = this.#stored.get(entry.id)
    if (stored !== undefined) this.#stored.set(entry.id, { ...stored, entry })
  }

  remove(key: string): void {
    for (const id of [...(this.#ids.get(key) ?? [])]) this.#drop(id)
  }

  close(): void {
    this.#stored.clear()
    this.#ids.clear()
    this.#bytes = 0
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }

  #drop(id: string): void {
    const stored = this.#stored.get(id)
    if (stored === undefined) return
    this.#stored.delete(id)
    this.#bytes -= stored.bytes
    const { key } = stored.entry
    const ids = this.#ids.get(key)
    ids?.delete(id)
    if (ids?.size === 0) this.#ids.delete(key)
  }
}

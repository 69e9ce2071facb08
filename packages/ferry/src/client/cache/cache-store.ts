/** The port to where cached responses are kept, and the record that is kept of one. */
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'

/** A stored response without its content. */
export interface CacheEntry {
  /** Of this content: another one under the same URL has another. */
  readonly id: string
  /** Of the URL; not the URL itself, which may hold secrets. */
  readonly key: string
  /** Tells apart the responses of one URL that depend on the request (RFC 9111 §4.1). */
  readonly variant: string
  /** The fields of the request that `variant` was made from, in lower case. */
  readonly vary: readonly string[]
  readonly status: number
  readonly statusText: string
  readonly version: ResponseHead['version']
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** When the request was sent, or the last one that confirmed the response; epoch ms. */
  readonly requestedAt: number
  /** When its head came; epoch ms. */
  readonly receivedAt: number
}

type Awaitable<Value> = Value | Promise<Value>

/**
 * Keeps responses, and drops those used longest ago when they become too many bytes. What a method
 * throws never fails a request: see `onStoreError` of `cacheResponses()`. Whoever opens a store
 * closes it.
 */
export interface CacheStore extends AsyncDisposable {
  /** All entries of a key, the newest first; looking is no use. */
  find(key: string): Awaitable<readonly CacheEntry[]>
  /** The content of an entry, which counts as its use; undefined when it is gone. */
  readBody(id: string): Awaitable<Uint8Array | undefined>
  /** Keeps a response in the place of the one with the same key and variant. Takes the bytes over. */
  put(entry: CacheEntry, body: Uint8Array): Awaitable<void>
  /** Puts an entry in the place of the one with the same `id`, whose content stays; no effect when that is gone. */
  update(entry: CacheEntry): Awaitable<void>
  /** Drops all entries of a key. */
  remove(key: string): Awaitable<void>
  /** Idempotent. */
  close(): Awaitable<void>
}

/**
 * Digests of whole uploads: begun while the bytes come, where they come in order and there is a free
 * place, and otherwise when all are there. Hashing is the store's work; here is decided whose turn it
 * is, since each may take a thread.
 */
import type { BlobDigest, BlobStore } from './blob-store.ts'
import type { DigestAlgorithm } from './digest.ts'
import type { UploadEntry } from './upload-entry.ts'
import { offsetOf } from './upload-record.ts'
import { interrupted } from './upload-writer.ts'

// A thread takes some 20 ms of a processor and a few MB; more of them than disks and processors
// can feed would only wait for each other.
const MAX_OPEN = 4
// Less is hashed at the end sooner than a thread has started.
const BEGIN_FROM_BYTES = 16_777_216

interface OpenDigest {
  readonly entry: UploadEntry
  readonly algorithm: string
  readonly digest: BlobDigest
  /** Somebody waits for its result. */
  isAwaited: boolean
}

/** The digests of one core that are being computed. */
export class WholeDigests {
  readonly #blobs: BlobStore
  readonly #open = new Map<string, OpenDigest>()
  #waiting: (() => void)[] = []
  #isClosed = false

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  /** Tells that more bytes of an upload will not change any more. */
  advance(entry: UploadEntry): void {
    const { digest, header } = entry.facts
    const algorithm = digest?.algorithm ?? header.wantDigest
    const end = offsetOf(entry.facts)
    if (algorithm === undefined || end < BEGIN_FROM_BYTES || this.#isClosed) return
    const open = this.#open.get(entry.id)
    if (open === undefined && this.#open.size >= MAX_OPEN) return
    if (open !== undefined && open.algorithm !== algorithm) return
    const current = open ?? this.#begin(entry, algorithm)
    current.digest.advance(end)
  }

  /**
   * The digest of a whole upload, hexadecimal.
   * @throws {UploadError} upload-interrupted, when it was dropped meanwhile
   */
  async finish(entry: UploadEntry, algorithm: DigestAlgorithm): Promise<string> {
    const open = await this.#take(entry, algorithm)
    try {
      return await open.digest.finish(entry.facts.length as number)
    } catch (error) {
      if (this.#open.get(entry.id) === open) throw error
      throw interrupted(entry.id, 'closed')
    } finally {
      this.drop(entry.id)
    }
  }

  /** Ends the work on an upload: whoever waits for it gets an error. */
  drop(id: string): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    this.#open.delete(id)
    // It was only read: nothing can be lost.
    open.digest.close().catch(() => {})
    this.#waiting.shift()?.()
  }

  /** Gives up the places of uploads to which nothing comes any more. */
  dropIdle(): void {
    for (const [id, { entry, isAwaited }] of this.#open) {
      if (!isAwaited && entry.writes.size === 0) this.drop(id)
    }
  }

  /** Ends all work. */
  close(): void {
    this.#isClosed = true
    for (const id of this.#open.keys()) this.drop(id)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  /** The one that was begun, or a new one as soon as there is a place. */
  async #take(entry: UploadEntry, algorithm: DigestAlgorithm): Promise<OpenDigest> {
    for (;;) {
      if (this.#isClosed || entry.isGone) throw interrupted(entry.id, 'closed')
      const open = this.#open.get(entry.id)
      if (open?.algorithm !== algorithm) this.drop(entry.id)
      if (open === undefined && this.#open.size >= MAX_OPEN) this.#dropOneAhead()
      if (this.#open.size < MAX_OPEN || this.#open.has(entry.id)) {
        const taken = this.#open.get(entry.id) ?? this.#begin(entry, algorithm)
        taken.isAwaited = true
        return taken
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Whoever is finished goes before those that still receive. */
  #dropOneAhead(): void {
    const ahead = [...this.#open].find(([, { isAwaited }]) => !isAwaited)
    if (ahead !== undefined) this.drop(ahead[0])
  }

  #begin(entry: UploadEntry, algorithm: DigestAlgorithm): OpenDigest {
    const digest = this.#blobs.openDigest(entry.id, algorithm)
    const open: OpenDigest = { entry, algorithm, digest, isAwaited: false }
    this.#open.set(entry.id, open)
    return open
  }
}

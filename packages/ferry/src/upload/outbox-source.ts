/**
 * An item of the outbox as what is sent: its stored parts, or the file that it refers to. Whoever has
 * the lease renews it and, once all is delivered, calls its `done()`.
 */
import type { Span } from '../transfer/span.ts'
import type { Content } from '../transport/content.ts'
import { FileSource } from './file-source.ts'
import type { OutboxItem, OutboxLease, StoredContent } from './outbox.ts'
import type { UploadSource } from './upload-source.ts'

/** How an item is sent. */
export interface OutboxSourceOptions {
  /**
   * Keeps the bytes that the server has acknowledged until the item is done, so that it can be sent
   * anew to a server that has lost them.
   * @defaultValue false, which gives their room back at once
   */
  readonly keepAcknowledged?: boolean | undefined
}

/**
 * Opens what a lease is for. Closing the source leaves the lease as it is.
 * @throws {TransferError} `source-changed` when the file is not the one that was added, or not there
 */
export async function openOutboxSource(
  lease: OutboxLease,
  options: OutboxSourceOptions = {},
): Promise<UploadSource> {
  const { name, type, content } = lease.item
  if (content.mode === 'stored') return new StoredSource(lease, content, options)
  const { path, fingerprint, sha256 } = content
  return await FileSource.open(path, { name, type, fingerprint, sha256 })
}

class StoredSource implements UploadSource {
  readonly name: string
  readonly type: string | undefined
  readonly size: number
  readonly fingerprint: string
  readonly sha256: string
  readonly maxPieceBytes: number = Number.POSITIVE_INFINITY
  readonly #lease: OutboxLease
  readonly #partBytes: number
  readonly #keepAcknowledged: boolean

  constructor(
    lease: OutboxLease,
    { partBytes, sha256 }: StoredContent,
    options: OutboxSourceOptions,
  ) {
    const { id, name, type, size }: OutboxItem = lease.item
    this.name = name
    this.type = type
    this.size = size
    // What is stored never changes.
    this.fingerprint = id
    this.sha256 = sha256
    this.#lease = lease
    this.#partBytes = partBytes
    this.#keepAcknowledged = options.keepAcknowledged ?? false
  }

  get keptFrom(): number {
    const { content } = this.#lease.item
    return content.mode === 'stored' ? content.keptFrom : 0
  }

  prepare(start: number, maxBytes: number): Promise<number> {
    return Promise.resolve(Math.min(this.size, start + maxBytes))
  }

  async content(span: Span): Promise<Content> {
    const { start, end } = span
    if (start === end) return new Uint8Array(0)
    const index = Math.floor(start / this.#partBytes)
    // One part, or less of it, is what most requests are for.
    if (end <= (index + 1) * this.#partBytes) return await this.#readWithin(index, span)
    return { length: end - start, replayable: true, open: () => this.#read(span) }
  }

  async release(offset: number): Promise<void> {
    if (!this.#keepAcknowledged) await this.#lease.dropParts(offset)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async *#read({ start, end }: Span): AsyncGenerator<Uint8Array, void> {
    for (let offset = start; offset < end;) {
      const piece = await this.#readWithin(Math.floor(offset / this.#partBytes), {
        start: offset,
        end,
      })
      offset += piece.length
      yield piece
    }
  }

  /** As much of a span as one part has. */
  async #readWithin(index: number, { start, end }: Span): Promise<Uint8Array> {
    const { offset, bytes } = await this.#lease.readPart(index)
    return bytes.subarray(start - offset, end - offset)
  }
}

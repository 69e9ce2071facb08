/** The parts that an outbox has stored of an item, as what is sent. */
import type { Span } from '../transfer/span.ts'
import type { Content } from '../transport/content.ts'
import type { OutboxItem, OutboxLease, OutboxPart, StoredContent } from './outbox.ts'
import type { UploadSource } from './upload-source.ts'

// In one write with the head of its request.
const SMALL_BYTES = 65_536

/** How an item is sent. */
export interface StoredSourceOptions {
  /**
   * Keeps the bytes that the server has acknowledged until the item is done, so that it can be sent
   * anew to a server that has lost them.
   * @defaultValue false, which gives their room back at once
   */
  readonly keepAcknowledged?: boolean | undefined
}

/** The stored content of what a lease is for; closing it leaves the lease as it is. */
export class StoredSource implements UploadSource {
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
    options: StoredSourceOptions,
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
    const isWithin = end <= (index + 1) * this.#partBytes
    if (isWithin && end - start <= SMALL_BYTES) return (await this.#readWithin(index, span)).bytes
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
      const index = Math.floor(offset / this.#partBytes)
      const { bytes, release } = await this.#readWithin(index, { start: offset, end })
      offset += bytes.length
      yield bytes
      // It was taken, now that more is asked for: left to the collector, many of them would gather.
      release?.()
    }
  }

  /** As much of a span as one part has. */
  async #readWithin(index: number, { start, end }: Span): Promise<OutboxPart> {
    const part = await this.#lease.readPart(index)
    return { ...part, bytes: part.bytes.subarray(start - part.offset, end - part.offset) }
  }
}

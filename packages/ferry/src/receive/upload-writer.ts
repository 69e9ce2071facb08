/**
 * One request's bytes on their way into a blob: collects chunks, writes them in blocks, holds the
 * source back when the disk is slow. Never waits for the source once it was stopped; what had come is
 * written all the same. Knows nothing of journals: it tells which bytes are in the blob.
 */
import type { Hash } from 'node:crypto'

import { UploadError } from '../errors.ts'
import type { Span, SpanSet } from '../transfer/span.ts'
import type { UploadBlob } from './blob-store.ts'
import type { ByteSink, ByteSource } from './byte-source.ts'
import { compareHex, createDigestHash, type Digest } from './digest.ts'

// A write costs about as much as copying 100 KiB; larger blocks gain little and fall out of the cache.
const BLOCK_BYTES = 262_144
const MAX_BLOCK_BYTES = 1_048_576
// Of one write; systems take at most 1,024.
const MAX_BLOCK_CHUNKS = 512
// What waits for the disk before the source has to.
const MAX_QUEUED_BYTES = 4_194_304
const RESUME_BYTES = 1_048_576

/** What a writer works with. */
export interface WriterOptions {
  /** For messages. */
  readonly id: string
  readonly offset: number
  readonly blob: UploadBlob
  /** Bytes that are never changed any more: others in their place are an error. */
  readonly committed: SpanSet
  /** Checked before anything counts as written. */
  readonly digest: Digest | undefined
  /** All counts as written together, once all has come; with a digest it always does. */
  readonly whole?: boolean
  /** How often the blob may have lost what was written to it and not committed. */
  readonly losses: () => number
  /** Throws when bytes up to `end` may not come. */
  readonly admit: (end: number) => void
  /** Bytes have come from the source. */
  readonly onReceived: (bytes: number) => void
  /** Bytes take room in the blob from now on. */
  readonly onStored: (span: Span) => void
  /** Bytes are in the blob; not called for those that it may have lost again. */
  readonly onWritten: (span: Span) => void
}

/** Writes what one source brings. */
export class UploadWriter implements ByteSink {
  readonly #options: WriterOptions
  readonly #source: ByteSource
  readonly #hash: Hash | undefined
  readonly #isWhole: boolean
  /** The losses before the first byte went to the blob. */
  #firstLosses = 0
  readonly #ended = Promise.withResolvers<Error | undefined>()
  #hasEnded = false
  #failure: Error | undefined
  /** Where the next byte from the source belongs. */
  #received: number
  /** Up to where all is in the blob. */
  #written: number
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #isWriting = false
  #isPaused = false
  #flushers: { readonly until: number; readonly done: () => void }[] = []

  /** @throws {UploadError} digest-unsupported */
  constructor(source: ByteSource, options: WriterOptions) {
    this.#source = source
    this.#options = options
    this.#received = options.offset
    this.#written = options.offset
    this.#hash = options.digest === undefined ? undefined : createDigestHash(options.digest)
    this.#isWhole = options.whole === true || this.#hash !== undefined
  }

  /** Where the next byte from the source belongs. */
  get position(): number {
    return this.#received
  }

  /** Whether the source waits for the disk, and not the other way round. */
  get isHeldBack(): boolean {
    return this.#isPaused
  }

  /** Resolves when the source has ended and all is written; undefined, or why it ended early. */
  async run(): Promise<Error | undefined> {
    if (!this.#hasEnded) this.#source.start(this)
    return this.#ended.promise
  }

  /** Resolves when what has come so far is written, or cannot be. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#flushers.push({ until: this.#received, done: resolve })
      this.#pump()
    })
  }

  /**
   * Resolves when everything is written and has the right digest.
   * @throws {UploadError} digest-mismatch: nothing counts as written
   * @throws the failure of the disk
   */
  async finish(): Promise<void> {
    await this.flush()
    if (this.#failure !== undefined) throw this.#failure
    const { digest, id, offset } = this.#options
    if (!this.#isWhole) return
    if (digest !== undefined && this.#hash !== undefined) {
      const actual = this.#hash.digest('hex')
      const wrong = compareHex(`the piece of upload ${id} at ${offset}`, digest, actual)
      if (wrong !== undefined) throw wrong
    }
    const span = { start: offset, end: this.#written }
    if (span.end > offset) this.#count(span, this.#firstLosses)
  }

  /** Takes nothing more from the source; what has come is written. */
  stop(reason: Error): void {
    if (this.#hasEnded) return
    this.#source.cancel()
    this.#end(reason)
  }

  onChunk(chunk: Uint8Array): void {
    if (this.#hasEnded || chunk.length === 0) return
    try {
      this.#options.admit(this.#received + chunk.length)
    } catch (error) {
      this.stop(error as Error)
      return
    }
    this.#hash?.update(chunk)
    this.#received += chunk.length
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    this.#options.onReceived(chunk.length)
    if (this.#received - this.#written > MAX_QUEUED_BYTES && !this.#isPaused) {
      this.#isPaused = true
      this.#source.pause()
    }
    this.#pump()
  }

  onEnd(): void {
    this.#end(undefined)
  }

  onError(cause: Error): void {
    this.#end(interrupted(this.#options.id, 'lost', cause))
  }

  #end(reason: Error | undefined): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#ended.resolve(reason)
  }

  #pump(): void {
    if (this.#isWriting) return
    this.#settle()
    const chunks = this.#failure === undefined ? this.#takeBlock() : []
    if (chunks.length === 0) return
    this.#isWriting = true
    void this.#writeBlock(chunks)
  }

  async #writeBlock(chunks: readonly Uint8Array[]): Promise<void> {
    const start = this.#written
    const lossesBefore = this.#options.losses()
    if (start === this.#options.offset) this.#firstLosses = lossesBefore
    let end = start
    for (const { length } of chunks) end += length
    try {
      await this.#write(chunks, { start, end })
      this.#written = end
      if (this.#source.givesChunksAway) free(chunks)
      this.#options.onStored({ start, end })
      if (!this.#isWhole) this.#count({ start, end }, lossesBefore)
    } catch (error) {
      this.#failure = error as Error
      this.stop(this.#failure)
    }
    this.#isWriting = false
    this.#pump()
    if (this.#isPaused && this.#received - this.#written <= RESUME_BYTES) {
      this.#isPaused = false
      if (!this.#hasEnded) this.#source.resume()
    }
  }

  /** Tells of bytes, unless the blob may have lost them since the first of them went there. */
  #count(span: Span, lossesBefore: number): void {
    if (this.#options.losses() === lossesBefore) this.#options.onWritten(span)
  }

  /** Tells those who wait for a place that is written, or never will be. */
  #settle(): void {
    const isSettled = ({ until }: { until: number }): boolean =>
      this.#failure !== undefined || until <= this.#written
    const settled = this.#flushers.filter(isSettled)
    if (settled.length === 0) return
    this.#flushers = this.#flushers.filter((flusher) => !isSettled(flusher))
    for (const { done } of settled) done()
  }

  /** What is to be written next; nothing while more may join it. */
  #takeBlock(): Uint8Array[] {
    const isEnough = this.#queuedBytes >= BLOCK_BYTES || this.#queue.length >= MAX_BLOCK_CHUNKS
    if (!isEnough && this.#flushers.length === 0) return []
    let bytes = 0
    let count = 0
    for (const { length } of this.#queue) {
      if (count > 0 && bytes + length > MAX_BLOCK_BYTES) break
      bytes += length
      if (++count === MAX_BLOCK_CHUNKS) break
    }
    this.#queuedBytes -= bytes
    return this.#queue.splice(0, count)
  }

  async #write(chunks: readonly Uint8Array[], span: Span): Promise<void> {
    const { blob, committed } = this.#options
    const gaps = committed.gapsWithin(span)
    const [gap] = gaps
    if (gap?.start === span.start && gap.end === span.end) {
      await blob.write(chunks, span.start)
      return
    }
    const bytes = Buffer.concat(chunks)
    await this.#compare(bytes, span, gaps)
    for (const { start, end } of gaps) {
      await blob.write([bytes.subarray(start - span.start, end - span.start)], start)
    }
  }

  /** Bytes that were acknowledged stay as they are; the same ones may come again. */
  async #compare(bytes: Buffer, span: Span, gaps: readonly Span[]): Promise<void> {
    const { blob, id } = this.#options
    const held = await blob.read(span.start, bytes.length)
    let from = span.start
    for (const gap of [...gaps, { start: span.end, end: span.end }]) {
      const [first, last] = [from - span.start, gap.start - span.start]
      if (!bytes.subarray(first, last).equals(held.subarray(first, last))) {
        throw new UploadError(
          'content-mismatch',
          `Cannot change bytes ${from} to ${gap.start - 1} of upload ${id}: others are acknowledged`,
          { detail: { start: from, end: gap.start } },
        )
      }
      from = gap.end
    }
  }
}

/** Why bytes stopped coming. */
export type InterruptReason = 'lost' | 'replaced' | 'slow' | 'closed'

const REASONS: Readonly<Record<InterruptReason, string>> = {
  lost: 'the connection broke',
  replaced: 'a newer request took over',
  slow: 'bytes came too slowly',
  closed: 'the server ends',
}

/** The error for bytes that stopped coming. */
export function interrupted(id: string, reason: InterruptReason, cause?: Error): UploadError {
  return new UploadError(
    'upload-interrupted',
    `Cannot go on receiving upload ${id}: ${REASONS[reason]}`,
    { ...(cause === undefined ? {} : { cause }), detail: { reason } },
  )
}

/**
 * Gives memory back at once. Otherwise only full collections would find it, some twenty for each GiB,
 * which cost more than all the rest of receiving.
 */
function free(chunks: readonly Uint8Array[]): void {
  for (const { length, buffer } of chunks) {
    // Memory that is shared holds other bytes, too.
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
  }
}

/** One upload in the memory of a core: what its journal tells, and what is under way. */
import { type Span, SpanSet } from '../transfer/span.ts'
import type { UploadStatus } from './upload-options.ts'
import { extentOf, offsetOf, type UploadFacts, type UploadRecord } from './upload-record.ts'
import type { UploadWriter } from './upload-writer.ts'

/** The state of one upload. */
export class UploadEntry {
  readonly facts: UploadFacts
  /** In the blob by now, and to be journaled. */
  readonly written: SpanSet = new SpanSet()
  /** To be journaled together with what is written. */
  readonly pending: UploadRecord[] = []
  /** Acknowledged before it was journaled, where that is allowed. */
  readonly promised: SpanSet = new SpanSet()
  readonly writes: Set<ActiveWrite> = new Set()
  /** Bytes that count for its owner. */
  chargedBytes: number
  /** When the last bytes came, on the core's clock. */
  activeAt: number
  /** The work of finishing it, while that goes on. */
  finishing: Promise<void> | undefined
  /** The work of showing it under its final name, while that goes on. */
  exposing: Promise<void> | undefined
  /** Its file has its final name, whether or not the journal says so yet. */
  publishedAs: string | undefined
  /** Nobody may use it any more. */
  isGone = false
  #losses = 0

  constructor(facts: UploadFacts, activeAt: number) {
    this.facts = facts
    this.activeAt = activeAt
    this.chargedBytes = facts.length ?? extentOf(facts)
  }

  get id(): string {
    return this.facts.header.id
  }

  get owner(): string | undefined {
    return this.facts.header.owner
  }

  /** How often the blob may have lost what was written and not committed. */
  get losses(): number {
    return this.#losses
  }

  /**
   * Counts nothing any more that is not committed. A system that cannot sync may drop whatever was
   * written up to then, also what came after the sync had begun, and tells so only once.
   */
  noteLoss(): void {
    this.#losses++
    this.written.remove({ start: 0, end: Number.POSITIVE_INFINITY })
  }

  /** What is told of it; `now` on the core's clock, `epochNow` in epoch ms. */
  status({ now, epochNow }: { now: number; epochNow: number }): UploadStatus {
    const { facts, promised } = this
    const { header, completed } = facts
    const spans = promised.count === 0 ? facts.spans : new SpanSet([...facts.spans, ...promised])
    const left = header.expiresInMs - (now - this.activeAt)
    return {
      id: header.id,
      state: completed === undefined ? 'unfinished' : 'completed',
      offset: promised.count === 0 ? offsetOf(facts) : spans.endFrom(0),
      spans: [...spans],
      length: facts.length,
      name: completed?.name ?? facts.exposedAs ?? header.name,
      metadata: header.metadata,
      owner: header.owner,
      door: header.door,
      createdAt: header.createdAt,
      expiresAt: completed === undefined ? epochNow + Math.max(0, left) : undefined,
      isReceiving: this.writes.size > 0,
    }
  }
}

/** A request that writes, from before its files are open to after its last commit. */
export class ActiveWrite {
  /** What it may write. */
  readonly span: Span
  readonly #committed = Promise.withResolvers<void>()
  readonly #settled = Promise.withResolvers<void>()
  #writer: UploadWriter | undefined
  #reason: Error | undefined

  constructor(span: Span) {
    this.span = span
  }

  /** Resolves when it has committed what it could. */
  get committed(): Promise<void> {
    return this.#committed.promise
  }

  /** Resolves when the upload was finished too, where it had brought the last bytes. */
  get settled(): Promise<void> {
    return this.#settled.promise
  }

  begin(writer: UploadWriter): void {
    this.#writer = writer
    if (this.#reason !== undefined) writer.stop(this.#reason)
  }

  stop(reason: Error): void {
    this.#reason ??= reason
    this.#writer?.stop(reason)
  }

  noteCommit(): void {
    this.#committed.resolve()
  }

  settle(): void {
    this.#settled.resolve()
  }
}

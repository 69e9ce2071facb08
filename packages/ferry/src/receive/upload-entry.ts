/** One upload in the memory of a core: what its journal tells, and what is under way. */
import { type Span, SpanSet } from '../transfer/span.ts'
import type { Activity } from './upload-lifetime.ts'
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
  /** Takes room in the blob, whether or not it will count. */
  readonly stored: SpanSet
  /** Bytes that count for its owner. */
  chargedBytes: number
  /** The length that is being journaled. */
  pendingLength: number | undefined
  /** Resolves when that is among the records to be journaled. */
  announcing: Promise<void> = Promise.resolve()
  /** When the last bytes came. */
  activity: Activity
  /** What is being added to its journal: one thing after another. */
  appending: Promise<void> = Promise.resolve()
  /** Its journal has failed, and is not to be trusted before it was written anew. */
  isJournalTorn = false
  /** Longer than that, its journal is written anew; undefined before the first look at it. */
  journalLimit: number | undefined
  /** Its end is being told. */
  isAnnouncing = false
  /** How many put its bytes together with others just now. */
  borrowers = 0
  /** The work of finishing it, while that goes on. */
  finishing: Promise<void> | undefined
  /** The work of showing it under its final name, while that goes on. */
  exposing: Promise<void> | undefined
  /** Its file has its final name, whether or not the journal says so yet. */
  publishedAs: string | undefined
  /** No byte was ever written behind its end, by no process and after no power cut. */
  isTidy = false
  /** Nobody may use it any more. */
  isGone = false
  #losses = 0

  constructor(facts: UploadFacts, activity: Activity) {
    this.facts = facts
    this.activity = activity
    this.stored = facts.spans.copy()
    this.chargedBytes = facts.length ?? extentOf(facts)
  }

  get id(): string {
    return this.facts.header.id
  }

  get owner(): string | undefined {
    return this.facts.header.owner
  }

  /** Bytes of the whole, also when that is only being journaled. */
  get length(): number | undefined {
    return this.pendingLength ?? this.facts.length
  }

  /** What it takes of the room, and of what its owner may have. */
  get bytes(): { readonly bytes: number; readonly storedBytes: number } {
    return { bytes: this.chargedBytes, storedBytes: this.stored.bytes }
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

  /**
   * What is told of it.
   * @param expiresAt epoch ms
   */
  status(expiresAt: number): UploadStatus {
    const { facts, promised } = this
    const { header, completed } = facts
    const spans = promised.count === 0 ? facts.spans : new SpanSet([...facts.spans, ...promised])
    return {
      id: header.id,
      state: completed === undefined ? 'unfinished' : 'completed',
      offset: promised.count === 0 ? offsetOf(facts) : spans.endFrom(0),
      spans: [...spans],
      length: facts.length,
      digest: facts.digest,
      name: completed?.name ?? facts.exposedAs ?? header.name,
      metadata: header.metadata,
      notes: header.notes ?? {},
      finish: header.finish,
      owner: header.owner,
      door: header.door,
      createdAt: header.createdAt,
      expiresAt: completed === undefined ? expiresAt : undefined,
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

/**
 * Keeps account of what is in the partial file: brings it to the disk, and only then says so in the
 * journal. Knows nothing of responses: whoever adds a span vouches for its bytes.
 *
 * A failure is final. A system reports a failed write-back once and counts the pages as clean then,
 * so a second sync that succeeds proves nothing.
 */
import { type Span, SpanSet } from '../transfer/span.ts'
import type { PartFile } from './part-file.ts'
import type { Journal } from './resume-record.ts'
import type { SegmentWriter } from './segment-writer.ts'

/** The account of one partial file. */
export class SpanKeeper {
  readonly #file: PartFile
  readonly #onAdded: (span: Span) => void
  /** In the file, though perhaps not synced. */
  #written: SpanSet
  #journal: Journal | undefined
  #keeping: Promise<void> | undefined
  #failure: Error | undefined

  /** @param onAdded is told of each span that has come to be in the file */
  constructor(file: PartFile, written: SpanSet, onAdded: (span: Span) => void = () => {}) {
    this.#file = file
    this.#written = written
    this.#onAdded = onAdded
  }

  /** Bytes that are in the file. */
  get bytes(): number {
    return this.#written.bytes
  }

  /** Whether spans are being brought to the disk now. */
  get isBusy(): boolean {
    return this.#keeping !== undefined
  }

  add(span: Span): void {
    this.#written.add(span)
    this.#onAdded(span)
  }

  /** How far every byte from the first on is in the file. */
  get prefixEnd(): number {
    return this.#written.endFrom(0)
  }

  /** A span that was added has turned out to be wrong; resolves when the journal says so, too. */
  async reject(span: Span): Promise<void> {
    this.#written.remove(span)
    // What is being noted may hold the span.
    await this.#keeping
    await this.#journal?.remove(span)
  }

  /** The first bytes that are in the file; undefined when there are none. */
  get firstSpan(): Span | undefined {
    const [first] = this.#written
    return first
  }

  covers(span: Span): boolean {
    return this.#written.covers(span)
  }

  /** From where up to `at` every byte is in the file. */
  startBefore(at: number): number {
    return this.#written.startBefore(at)
  }

  /** Notes spans in this journal from now on, and closes it at the end. */
  begin(journal: Journal): void {
    this.#journal = journal
  }

  /**
   * Brings to the disk what the writers hold and what is written, and notes it.
   * @throws {TransferError} the first failure, now and for ever
   */
  async keep(writers: readonly SegmentWriter[]): Promise<void> {
    const keeping = this.#keep(writers)
    this.#keeping = keeping
    try {
      await keeping
    } finally {
      if (this.#keeping === keeping) this.#keeping = undefined
    }
  }

  async #keep(writers: readonly SegmentWriter[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const journal = this.#journal
    if (journal === undefined) return
    try {
      await Promise.all(writers.map((writer) => writer.flush()))
      const written = this.#written.copy()
      await this.#file.sync()
      await journal.append(written)
    } catch (error) {
      this.#failure = error as Error
      throw error
    }
  }

  /** Nothing in the file counts any longer. */
  async forget(): Promise<void> {
    this.#written = new SpanSet()
    await this.#closeJournal()
  }

  /** Keeps what has come, for the last time. */
  async close(): Promise<void> {
    try {
      await this.#keeping
      await this.keep([])
    } finally {
      await this.#closeJournal()
    }
  }

  async #closeJournal(): Promise<void> {
    const journal = this.#journal
    this.#journal = undefined
    // It may be noting something now; whether that fails is told to whoever asked for it.
    await this.#keeping?.catch(() => {})
    await journal?.close()
  }
}

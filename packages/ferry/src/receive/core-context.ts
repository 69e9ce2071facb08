/**
 * What the steps of a core share: stores, open files, accounts and listeners, and the one way in which
 * an upload's journal grows: synced data first, then the record, then everything that builds on it.
 */
import type { Span, SpanSet } from '../transfer/span.ts'
import { throwLater } from '../transport/throw-later.ts'
import { CommitRounds } from './commit-rounds.ts'
import type { UploadBlob } from './blob-store.ts'
import { FilePool } from './file-pool.ts'
import type { AppendOptions, UploadJournal } from './journal-store.ts'
import type { UploadEntry } from './upload-entry.ts'
import type { CoreSettings, UploadEvent, UploadListener } from './upload-options.ts'
import { applyRecord, toPairs, type UploadFacts, type UploadRecord } from './upload-record.ts'
import { Usage } from './usage.ts'

/** Shared by the steps of one core. */
export class CoreContext {
  readonly settings: CoreSettings
  readonly blobs: FilePool<UploadBlob>
  readonly journals: FilePool<UploadJournal>
  readonly usage: Usage
  readonly listeners: Set<UploadListener> = new Set()
  readonly #rounds = new CommitRounds((entry: UploadEntry) => this.#commit(entry))

  constructor(settings: CoreSettings) {
    this.settings = settings
    this.blobs = new FilePool((id) => settings.blobs.open(id))
    this.journals = new FilePool((id) => settings.journals.open(id))
    this.usage = new Usage(settings.limits)
  }

  emit(type: UploadEvent['type'], entry: UploadEntry): void {
    if (this.listeners.size === 0) return
    const upload = entry.status(this.time())
    for (const listener of this.listeners) {
      try {
        listener({ type, upload })
      } catch (error) {
        throwLater(error)
      }
    }
  }

  time(): { now: number; epochNow: number } {
    const { clock, now } = this.settings
    return { now: clock.now(), epochNow: now() }
  }

  /** Resolves when everything that is written and pending now survives as the settings promise. */
  commit(entry: UploadEntry): Promise<void> {
    return this.#rounds.join(entry)
  }

  /** Resolves when no commit of the upload is under way. */
  settled(entry: UploadEntry): Promise<void> {
    return this.#rounds.settled(entry)
  }

  /** Adds records that survive a power cut; the facts follow. */
  note(entry: UploadEntry, records: readonly UploadRecord[]): Promise<void> {
    return this.#append(entry, records, { durable: true })
  }

  /** Closes the files of an upload as soon as nobody uses them. */
  retire(id: string): void {
    this.blobs.retire(id)
    this.journals.retire(id)
  }

  /** Closes all files; nobody may use them any more. */
  async close(): Promise<void> {
    await Promise.all([this.blobs.close(), this.journals.close()])
  }

  async #commit(entry: UploadEntry): Promise<void> {
    const { ack, boot, now } = this.settings
    const spans = entry.written.copy()
    // The pieces before their bytes: a crash in between leaves a piece without bytes, which does not
    // count, and never bytes that belong to no piece.
    const pending = entry.pending.splice(0)
    const pieces = pending.filter(({ type }) => type === 'piece')
    const records: UploadRecord[] = pending.filter(({ type }) => type !== 'piece')
    const added = findNews(entry.facts, spans, records)
    const durable = ack === 'durable'
    if (added.length > 0) {
      const bound = durable ? {} : { boot }
      records.unshift({ type: 'spans', spans: toPairs(added), at: now(), ...bound })
    }
    records.unshift(...pieces)
    try {
      if (durable && added.length > 0) await this.#sync(entry)
      if (records.length > 0) await this.#append(entry, records, { durable })
    } finally {
      // After a failure too: what the journal does not tell has to come again.
      for (const span of spans) entry.written.remove(span)
      for (const span of spans) entry.promised.remove(span)
    }
    if (added.length === 0) return
    entry.activeAt = this.settings.clock.now()
    this.emit('progress', entry)
  }

  /** Waits until the bytes of an upload survive a power cut; a failure costs all uncommitted ones. */
  async #sync(entry: UploadEntry): Promise<void> {
    try {
      await this.blobs.use(entry.id, (blob) => blob.sync())
    } catch (error) {
      entry.noteLoss()
      throw error
    }
  }

  async #append(
    entry: UploadEntry,
    records: readonly UploadRecord[],
    options: AppendOptions,
  ): Promise<void> {
    try {
      await this.journals.use(entry.id, (journal) => journal.append(records, options))
    } catch (error) {
      // A journal takes nothing more after a failure; the next one to need it opens it anew.
      this.journals.retire(entry.id)
      throw error
    }
    for (const record of records) applyRecord(entry.facts, record)
  }
}

/** What the journal does not tell yet, and nothing beyond the length of the whole. */
function findNews(
  facts: UploadFacts,
  written: SpanSet,
  records: readonly UploadRecord[],
): readonly Span[] {
  const told = records.find((record) => record.type === 'length')
  const length = told?.length ?? facts.length ?? Number.POSITIVE_INFINITY
  return [...written].flatMap(({ start, end }) =>
    facts.spans.gapsWithin({ start, end: Math.min(end, length) }),
  )
}

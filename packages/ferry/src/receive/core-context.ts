/**
 * What the steps of a core share: stores, open files, accounts and listeners, and the one way in which
 * an upload's journal grows: synced data first, then the record, then everything that builds on it.
 */
import { throwLater } from '../transport/throw-later.ts'
import { CommitRounds } from './commit-rounds.ts'
import { FilePool } from './file-pool.ts'
import type { UploadEntry } from './upload-entry.ts'
import type { CoreSettings, UploadEvent, UploadListener } from './upload-options.ts'
import { applyRecord, toPairs, type UploadRecord } from './upload-record.ts'
import { Usage } from './usage.ts'

/** Shared by the steps of one core. */
export class CoreContext {
  readonly settings: CoreSettings
  readonly files: FilePool
  readonly usage: Usage
  readonly listeners: Set<UploadListener> = new Set()
  readonly #rounds = new CommitRounds((entry: UploadEntry) => this.#commit(entry))

  constructor(settings: CoreSettings) {
    this.settings = settings
    this.files = new FilePool(settings.blobs, settings.journals)
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
  async note(entry: UploadEntry, records: readonly UploadRecord[]): Promise<void> {
    await this.files.use(entry.id, ({ journal }) =>
      this.#append(entry, journal.append(records, { durable: true }), records),
    )
  }

  async #commit(entry: UploadEntry): Promise<void> {
    const { facts, written } = entry
    const spans = written.copy()
    const added = [...spans].flatMap((span) => facts.spans.gapsWithin(span))
    const records: UploadRecord[] = entry.pending.splice(0)
    if (added.length > 0) {
      records.unshift({ type: 'spans', spans: toPairs(added), at: this.settings.now() })
    }
    if (records.length === 0) return
    const durable = this.settings.ack === 'durable'
    try {
      await this.files.use(entry.id, async ({ blob, journal }) => {
        if (durable && added.length > 0) await blob.sync()
        await this.#append(entry, journal.append(records, { durable }), records)
      })
    } finally {
      // After a failed sync too: the system may have dropped the bytes, so they have to come again.
      for (const span of spans) written.remove(span)
      for (const span of spans) entry.promised.remove(span)
    }
    if (added.length === 0) return
    entry.activeAt = this.settings.clock.now()
    this.emit('progress', entry)
  }

  async #append(
    entry: UploadEntry,
    appending: Promise<void>,
    records: readonly UploadRecord[],
  ): Promise<void> {
    try {
      await appending
    } catch (error) {
      // A journal takes nothing more after a failure; the next one to need it opens it anew.
      this.files.retire(entry.id)
      throw error
    }
    for (const record of records) applyRecord(entry.facts, record)
  }
}

/**
 * What the steps of a core share: stores, open files, accounts and listeners, and the one way in which
 * an upload's journal grows: synced data first, then the record, then everything that builds on it.
 */
import { UploadError } from '../errors.ts'
import type { Span, SpanSet } from '../transfer/span.ts'
import { throwLater } from '../transport/throw-later.ts'
import type { UploadBlob } from './blob-store.ts'
import { CommitRounds } from '../transfer/commit-rounds.ts'
import { DiskRoom } from './disk-room.ts'
import { FilePool } from './file-pool.ts'
import { snapshotOf } from './journal-snapshot.ts'
import type { AppendOptions, UploadJournal } from './journal-store.ts'
import type { UploadEntry } from './upload-entry.ts'
import { type Instant, keepMsOf, msLeft } from './upload-lifetime.ts'
import type {
  CoreSettings,
  UploadEvent,
  UploadListener,
  UploadOutbox,
  UploadStatus,
} from './upload-options.ts'
import { Turns } from './turns.ts'
import { applyRecord, toPairs, type UploadRecord } from './upload-record.ts'
import { Usage } from './usage.ts'
import { WholeDigests } from './whole-digests.ts'

// All of them wait for one sync of the folder, and have a journal open meanwhile.
const MAX_MAKING = 32

/** Shared by the steps of one core. */
export class CoreContext {
  readonly settings: CoreSettings
  readonly blobs: FilePool<UploadBlob>
  readonly journals: FilePool<UploadJournal>
  readonly digests: WholeDigests
  readonly usage: Usage
  readonly room: DiskRoom
  readonly listeners: Set<UploadListener> = new Set()
  /** For those who make uploads: what they have open before the pools have it is bounded, too. */
  readonly making: Turns = new Turns(MAX_MAKING)
  readonly #outbox: UploadOutbox | undefined
  readonly #rounds = new CommitRounds((entry: UploadEntry) => this.#commit(entry))
  #isClosing = false

  constructor(settings: CoreSettings, outbox?: UploadOutbox) {
    this.settings = settings
    this.blobs = new FilePool((id) => settings.blobs.open(id))
    this.journals = new FilePool((id) => settings.journals.open(id))
    this.digests = new WholeDigests(settings.blobs)
    this.usage = new Usage(settings.limits)
    this.room = new DiskRoom(() => settings.blobs.freeBytes(), settings.clock)
    this.#outbox = outbox
  }

  /** Tells of what has happened; that an upload is finished by `announce`, until somebody has heard. */
  emit(type: UploadEvent['type'], entry: UploadEntry): void {
    const isOwed = type === 'completed'
    if (this.listeners.size === 0 && (isOwed || this.#outbox === undefined)) return
    const event = this.#eventOf(type, entry)
    for (const listener of this.listeners) tell(listener, event)
    if (this.#outbox !== undefined && !isOwed) void deliver(this.#outbox, event)
  }

  /** Tells that an upload is finished, unless that was heard before; notes when it has been heard. */
  async announce(entry: UploadEntry): Promise<void> {
    const outbox = this.#outbox
    if (outbox === undefined || !this.owesNews(entry) || entry.isAnnouncing) return
    entry.isAnnouncing = true
    const hearing = deliver(outbox, this.#eventOf('completed', entry))
    const isLater = hearing instanceof Promise
    const isHeard = isLater ? await hearing : hearing
    // Nobody waits at the end for those who hear slowly.
    if (isHeard && !entry.isGone && !(isLater && this.#isClosing)) {
      // Where the record is lost, it is told once more.
      await this.#append(entry, [{ type: 'announced' }], { durable: false }).catch(() => {})
      this.retire(entry.id)
    }
    entry.isAnnouncing = false
  }

  /** Whether it is still to be heard that an upload is finished. */
  owesNews({ facts }: UploadEntry): boolean {
    return this.#outbox !== undefined && facts.completed !== undefined && !facts.isAnnounced
  }

  time(): Instant {
    const { clock, now } = this.settings
    return { now: clock.now(), epochNow: now() }
  }

  statusOf(entry: UploadEntry): UploadStatus {
    return entry.status(this.settings.now() + Math.max(0, this.msLeft(entry)))
  }

  /** How many ms an upload is kept from now on without anything coming. */
  msLeft(entry: UploadEntry): number {
    return msLeft(entry.activity, keepMsOf(entry.facts, this.settings), this.time())
  }

  /** Something has come just now. */
  touch(entry: UploadEntry): void {
    entry.activity = { at: this.settings.clock.now() }
  }

  /** Counts bytes of an upload as being on the disk. */
  noteStored(entry: UploadEntry, span: Span): void {
    const before = entry.stored.bytes
    entry.stored.add(span)
    this.usage.store(entry.stored.bytes - before)
  }

  /** Cuts off what is in a blob from `length` on. */
  async truncate(entry: UploadEntry, blob: UploadBlob, length: number): Promise<void> {
    await blob.truncate(length)
    const before = entry.stored.bytes
    entry.stored.remove({ start: length, end: Number.POSITIVE_INFINITY })
    this.usage.store(entry.stored.bytes - before)
  }

  /** Resolves when everything that is written and pending now survives as the settings promise. */
  commit(entry: UploadEntry): Promise<void> {
    return this.#rounds.join(entry)
  }

  /** Resolves when nothing is being committed or noted of the upload. */
  async settled(entry: UploadEntry): Promise<void> {
    await this.#rounds.settled(entry)
    await entry.appending
  }

  /** Adds records that survive a power cut; the facts follow. */
  note(entry: UploadEntry, records: readonly UploadRecord[]): Promise<void> {
    return this.#append(entry, records, { durable: true })
  }

  /**
   * Waits until the bytes of an upload survive a power cut. A failure costs all uncommitted ones; where
   * it may cost acknowledged ones too, the upload is lost for good: a second try would succeed
   * whether or not they are there.
   */
  async sync(entry: UploadEntry): Promise<void> {
    const unsynced = entry.facts.unsynced.copy()
    try {
      await this.blobs.use(entry.id, (blob) => blob.sync())
    } catch (error) {
      entry.noteLoss()
      if (entry.facts.unsynced.count > 0) await this.#lose(entry)
      throw error
    }
    for (const span of unsynced) entry.facts.unsynced.remove(span)
  }

  /** Closes the files of an upload as soon as nobody uses them. */
  retire(id: string): void {
    this.blobs.retire(id)
    this.journals.retire(id)
  }

  /** Begins the end: what takes long is left to the next start. */
  beginClose(): void {
    this.#isClosing = true
    this.digests.close()
  }

  /** Closes all files; nobody may use them any more. */
  async close(): Promise<void> {
    await Promise.all([this.blobs.close(), this.journals.close()])
  }

  #eventOf(type: UploadEvent['type'], entry: UploadEntry): UploadEvent {
    // Progress is told once for each further number of bytes, everything else once.
    const id = type === 'progress' ? `${type}-${entry.facts.spans.bytes}` : type
    return { id: `${entry.id}-${id}`, type, upload: this.statusOf(entry) }
  }

  async #commit(entry: UploadEntry): Promise<void> {
    const { ack, boot, now } = this.settings
    if (entry.facts.isLost) throw lostUpload(entry.id)
    const spans = entry.written.copy()
    // The pieces before their bytes: a crash in between leaves a piece without bytes, which does not
    // count, and never bytes that belong to no piece.
    const pending = entry.pending.splice(0)
    const pieces = pending.filter(({ type }) => type === 'piece')
    const records: UploadRecord[] = pending.filter(({ type }) => type !== 'piece')
    const added = findNews(entry, spans)
    const durable = ack === 'durable'
    if (added.length > 0) {
      const bound = durable ? {} : { boot }
      records.unshift({ type: 'spans', spans: toPairs(added), at: now(), ...bound })
    }
    records.unshift(...pieces)
    try {
      if (durable && added.length > 0) await this.sync(entry)
      if (records.length > 0) await this.#append(entry, records, { durable })
    } finally {
      // After a failure too: what the journal does not tell has to come again.
      for (const span of spans) entry.written.remove(span)
      for (const span of spans) entry.promised.remove(span)
      if (pending.some(({ type }) => type === 'length')) entry.pendingLength = undefined
    }
    if (added.length === 0) return
    this.touch(entry)
    this.digests.advance(entry)
    this.emit('progress', entry)
  }

  async #lose(entry: UploadEntry): Promise<void> {
    const { id } = entry
    entry.facts.isLost = true
    this.digests.drop(id)
    for (const write of entry.writes) write.stop(lostUpload(id))
    // Without a journal a start does not believe the bytes either.
    await this.note(entry, [{ type: 'lost' }])
      .catch(() => this.settings.journals.remove(id))
      .catch(() => {})
  }

  /** One after another for each upload: a journal takes one append at a time. */
  #append(
    entry: UploadEntry,
    records: readonly UploadRecord[],
    options: AppendOptions,
  ): Promise<void> {
    const appended = entry.appending.then(() => this.#appendNow(entry, records, options))
    entry.appending = appended.catch(() => {})
    return appended
  }

  async #appendNow(
    entry: UploadEntry,
    records: readonly UploadRecord[],
    options: AppendOptions,
  ): Promise<void> {
    const { id } = entry
    if (entry.isJournalTorn) await this.#rewriteJournal(entry)
    let size: number
    try {
      size = await this.journals.use(id, async (journal) => {
        await journal.append(records, options)
        return journal.size
      })
    } catch (error) {
      // A journal takes nothing more after a failure; the next one to need it opens it anew.
      this.journals.retire(id)
      entry.isJournalTorn = true
      throw error
    }
    for (const record of records) applyRecord(entry.facts, record)
    entry.journalLimit ??= this.settings.maxJournalBytes
    if (size <= entry.journalLimit) return
    await this.#rewriteJournal(entry)
    const shortest = await this.journals.use(id, (journal) => Promise.resolve(journal.size))
    // So that the work of rewriting stays in proportion to what was added.
    entry.journalLimit = Math.max(this.settings.maxJournalBytes, shortest * 2)
  }

  /** Puts the shortest journal in place of a long or doubtful one; where that fails, it stays. */
  async #rewriteJournal(entry: UploadEntry): Promise<void> {
    const { boot, journals } = this.settings
    this.journals.retire(entry.id)
    try {
      await journals.rewrite(entry.id, snapshotOf(entry.facts, boot))
      entry.isJournalTorn = false
    } catch {
      // The one that is there is right as well, and will be tried again.
    }
  }
}

/** The error for an upload of which acknowledged bytes may be gone. */
export function lostUpload(id: string): UploadError {
  return new UploadError(
    'upload-lost',
    `Cannot go on with upload ${id}: the disk has failed, and may have lost bytes of it`,
  )
}

/** Whether an event was heard. */
function deliver(outbox: UploadOutbox, event: UploadEvent): boolean | Promise<boolean> {
  try {
    const hearing = outbox(event)
    if (!(hearing instanceof Promise)) return true
    return hearing.then(
      () => true,
      () => false,
    )
  } catch (error) {
    throwLater(error)
    return false
  }
}

function tell(listener: UploadListener, event: UploadEvent): void {
  try {
    listener(event)
  } catch (error) {
    throwLater(error)
  }
}

/** What the journal does not tell yet, and nothing beyond the length of the whole. */
function findNews(
  { facts, length = Number.POSITIVE_INFINITY }: UploadEntry,
  written: SpanSet,
): readonly Span[] {
  return [...written].flatMap(({ start, end }) =>
    facts.spans.gapsWithin({ start, end: Math.min(end, length) }),
  )
}

/**
 * The heart of the receiving side: uploads with an identity, filled by whoever knows their id, one
 * span after another or in any order, acknowledged when they are safe, published when they are whole.
 * Knows nothing of HTTP: the doors turn requests into these calls.
 *
 * Readers never wait. A writer ends the older ones in its way, commits what had come of them, and
 * only then looks where the upload stands.
 */
import { abortable } from '../clock.ts'
import { UploadError } from '../errors.ts'
import type { Span } from '../transfer/span.ts'
import type { UploadContent } from './byte-source.ts'
import { concatenateUploads, noteUse } from './concatenate-uploads.ts'
import { CoreContext, lostUpload } from './core-context.ts'
import { createEntry } from './create-entry.ts'
import { createDigestHash, type Digest } from './digest.ts'
import { exposeUpload } from './expose-upload.ts'
import { finishUpload } from './finish-upload.ts'
import { announceLength } from './receive-content.ts'
import { recoverUploads, removeUpload } from './recover-uploads.ts'
import { Sweeper } from './sweeper.ts'
import { decideFinish, decideLength, decideWrite, type WriteRequest } from './upload-decisions.ts'
import type { UploadEntry } from './upload-entry.ts'
import {
  type CreateUpload,
  fillDefaults,
  type UploadCoreOptions,
  type UploadEvent,
  type UploadListener,
  type UploadProblem,
  type UploadStatus,
  type WriteOptions,
} from './upload-options.ts'
import { isDue } from './upload-record.ts'
import { interrupted } from './upload-writer.ts'
import { clearWay, endWriters, runWrite } from './write-turns.ts'

/** Receives uploads into a store. Whoever opens it closes it. */
export class UploadCore implements AsyncDisposable {
  /** What the start has found that it could not use; it was left alone. */
  readonly problems: readonly UploadProblem[]
  readonly #context: CoreContext
  readonly #entries: Map<string, UploadEntry>
  readonly #sweeper: Sweeper
  /** What is being done for others, each of which a close lets come to its end. */
  readonly #operations = new Set<Promise<unknown>>()
  /** Ends what may take long. */
  readonly #ending = new AbortController()
  #closing: Promise<void> | undefined

  private constructor(
    context: CoreContext,
    found: {
      readonly entries: readonly UploadEntry[]
      readonly problems: readonly UploadProblem[]
    },
  ) {
    this.#context = context
    this.#entries = new Map(found.entries.map((entry) => [entry.id, entry]))
    this.problems = found.problems
    const { clock, sweepIntervalMs } = context.settings
    this.#sweeper = new Sweeper(() => this.#sweep(), { clock, intervalMs: sweepIntervalMs })
  }

  /**
   * Opens the stores, which nothing else may use, and brings to an end what an earlier process had
   * begun: finished uploads get their names, removed ones go, the others stand where they were
   * acknowledged.
   */
  static async open(options: UploadCoreOptions): Promise<UploadCore> {
    const context = new CoreContext(fillDefaults(options), options.onEvent)
    try {
      return new UploadCore(context, await recoverUploads(context))
    } catch (error) {
      await context.close()
      throw error
    }
  }

  /** The largest upload that it takes; undefined for any. */
  get maxUploadBytes(): number | undefined {
    const { maxUploadBytes } = this.#limits
    return maxUploadBytes === Number.MAX_SAFE_INTEGER ? undefined : maxUploadBytes
  }

  /** How long a sender may send nothing, in ms. */
  get idleTimeoutMs(): number {
    return this.#limits.idleTimeoutMs
  }

  /** Calls the listener for everything that happens from now on; the returned function ends that. */
  subscribe(listener: UploadListener): () => void {
    const { listeners } = this.#context
    // Its own, so that one may be added twice.
    const own: UploadListener = (event: UploadEvent) => listener(event)
    listeners.add(own)
    return () => listeners.delete(own)
  }

  /**
   * Makes an upload that survives a power cut; an empty one of known length is finished at once.
   * @throws {UploadError} upload-too-large, quota-exceeded, insufficient-storage, digest-unsupported
   */
  create(upload: CreateUpload = {}, signal?: AbortSignal): Promise<UploadStatus> {
    return this.#run(signal, async () => {
      checkBytes(upload.length ?? 0)
      const entry = await createEntry(this.#context, upload)
      this.#entries.set(entry.id, entry)
      this.#context.emit('created', entry)
      if (isDue(entry.facts)) await finishUpload(this.#context, entry)
      return this.#statusOf(entry)
    })
  }

  /** @throws {UploadError} upload-not-found, upload-expired, upload-lost */
  status(id: string): UploadStatus {
    return this.#statusOf(this.#find(id))
  }

  /** Every upload that is known: unfinished ones, and for a while the finished. */
  *list(): Generator<UploadStatus, void> {
    for (const entry of this.#entries.values())
      if (!entry.isGone && !entry.facts.isLost) yield this.#statusOf(entry)
  }

  /**
   * Writes where the upload stands, and nowhere else; ends every other writer of it.
   * @param offset has to be the upload's, as a check
   * @throws {UploadError} offset-mismatch, with both offsets; and as `write` does
   */
  append(
    id: string,
    offset: number,
    content: UploadContent,
    options: WriteOptions = {},
  ): Promise<UploadStatus> {
    return this.#write(id, { offset, contiguous: true }, content, options)
  }

  /**
   * Writes anywhere, in any order; ends the writers whose bytes it would meet. Resolves when the
   * bytes are acknowledged, and, where they were the last, the file has its name. Bytes that were
   * acknowledged before never change; the same may come again.
   *
   * The content is not closed, whatever happens. Of content that is longer than it may be, nothing is
   * written from the chunk on that goes too far.
   * @throws {UploadError} upload-interrupted when not all has come: what has is kept;
   *   upload-complete, upload-expired, upload-is-part, upload-lost, upload-too-large,
   *   length-mismatch, content-mismatch, digest-mismatch, quota-exceeded, insufficient-storage
   */
  write(
    id: string,
    offset: number,
    content: UploadContent,
    options: WriteOptions = {},
  ): Promise<UploadStatus> {
    return this.#write(id, { offset, contiguous: false }, content, options)
  }

  /** What has been acknowledged, from `offset` on; fewer bytes where a gap or the end comes first. */
  read(id: string, span: Span, signal?: AbortSignal): Promise<Buffer> {
    return this.#run(signal, async () => {
      const { facts } = this.#find(id)
      const end = Math.min(span.end, facts.spans.endFrom(span.start))
      if (end <= span.start || facts.completed !== undefined) return Buffer.alloc(0)
      return this.#context.blobs.use(id, (blob) => blob.read(span.start, end - span.start))
    })
  }

  /**
   * Sets the length of the whole, once.
   * @throws {UploadError} length-mismatch, upload-too-large, quota-exceeded, insufficient-storage
   */
  setLength(id: string, length: number, signal?: AbortSignal): Promise<UploadStatus> {
    return this.#run(signal, async () => {
      checkBytes(length)
      // What is being committed counts; what comes later is held to the length.
      await abortable(this.#context.settled(this.#find(id)), signal)
      const entry = this.#find(id)
      const refusal = decideLength(entry, length, this.#limits.maxUploadBytes)
      if (refusal !== undefined) throw refusal
      if (entry.facts.length === length) return this.#statusOf(entry)
      await announceLength(this.#context, entry, length)
      await abortable(this.#commitAndFinish(entry), signal)
      return this.#statusOf(entry)
    })
  }

  /** Where the acknowledged pieces of an upload end that were appended as such, in their order. */
  pieceEnds(id: string): number[] {
    const { facts } = this.#find(id)
    const offset = facts.spans.endFrom(0)
    return facts.pieceEnds.filter((end) => end <= offset)
  }

  /**
   * Shows an upload under its final name before it is finished: what is acknowledged, and it may be
   * a part of what is on its way. Again, it tells the same. On file systems without hard links
   * nothing is seen until it is finished.
   * @throws {UploadError} upload-is-part
   * @throws {TransferError} target-exists, by the policy `fail`
   */
  expose(id: string, signal?: AbortSignal): Promise<UploadStatus> {
    return this.#run(signal, async () => {
      const entry = this.#find(id)
      const refusal = decideFinish(entry.facts)
      if (refusal !== undefined) throw refusal
      await exposeUpload(this.#context, entry)
      return this.#statusOf(entry)
    })
  }

  /** Ends every writer of an upload, and resolves when what came of them is committed. */
  interrupt(id: string, signal?: AbortSignal): Promise<UploadStatus> {
    return this.#run(signal, async () => {
      const entry = this.#find(id)
      await abortable(endWriters(entry, entry.writes), signal)
      return this.status(id)
    })
  }

  /**
   * Finishes an upload: every byte has to be there. Again, it tells the same.
   * @throws {UploadError} upload-is-part, upload-incomplete, digest-mismatch, digest-unsupported,
   *   upload-lost
   * @throws {TransferError} target-exists
   */
  complete(
    id: string,
    options: { readonly digest?: Digest | undefined; readonly signal?: AbortSignal } = {},
  ): Promise<UploadStatus> {
    const { digest, signal } = options
    return this.#run(signal, async () => {
      const entry = this.#find(id)
      if (entry.facts.completed !== undefined) return this.#statusOf(entry)
      const refusal = decideFinish(entry.facts)
      if (refusal !== undefined) throw refusal
      if (digest !== undefined) createDigestHash(digest)
      await abortable(endWriters(entry, entry.writes), signal)
      entry.pending.push(...(digest === undefined ? [] : [{ type: 'digest', digest } as const]))
      await abortable(this.#commitAndFinish(entry, { isTold: true }), signal)
      return this.#statusOf(entry)
    })
  }

  /**
   * Puts uploads together, one behind the other, to a new one that is finished at once. They have to
   * have every byte, and stay for a while: see `keepCompletedMs`.
   * @throws {UploadError} upload-incomplete, and as `create` does
   */
  concatenate(
    ids: readonly string[],
    upload: Omit<CreateUpload, 'length' | 'finish'> = {},
    signal?: AbortSignal,
  ): Promise<UploadStatus> {
    return this.#run(signal, async () => {
      const parts = ids.map((id) => this.#find(id))
      const ends = AbortSignal.any([this.#ending.signal, ...(signal === undefined ? [] : [signal])])
      const entry = await concatenateUploads(this.#context, { parts, upload, signal: ends })
      this.#entries.set(entry.id, entry)
      this.#context.emit('created', entry)
      await finishUpload(this.#context, entry)
      await noteUse(this.#context, parts)
      return this.#statusOf(entry)
    })
  }

  /** Ends an upload and removes its bytes; a finished file stays, and only its record goes. */
  terminate(id: string, signal?: AbortSignal): Promise<void> {
    return this.#run(signal, async () => {
      await this.#remove(this.#findAny(id), 'terminated')
    })
  }

  /** Removes what has expired: unfinished uploads, and the records of finished ones. */
  sweep(): Promise<void> {
    return this.#sweeper.run()
  }

  /** Ends every writer, keeps what came, and closes the files. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #limits(): CoreContext['settings']['limits'] {
    return this.#context.settings.limits
  }

  #write(
    id: string,
    where: Pick<WriteRequest, 'offset' | 'contiguous'>,
    content: UploadContent,
    options: WriteOptions,
  ): Promise<UploadStatus> {
    const { offset, contiguous } = where
    const { contentLength, final = false, signal } = options
    return this.#run(signal, async () => {
      checkBytes(offset, contentLength ?? 0, offset + (contentLength ?? 0))
      const entry = this.#find(id)
      const span = { start: offset, end: offset + (contentLength ?? Number.POSITIVE_INFINITY) }
      const place = contiguous ? undefined : span
      // Looked at anew after each wait: between the last look and our own entry nobody may come in.
      for (let way = clearWay(entry, place); way !== undefined; way = clearWay(entry, place)) {
        await way
      }
      // It may have been finished or removed meanwhile.
      this.#checkOpen(signal)
      this.#find(id)
      const request = { offset, contentLength, contiguous, final }
      const refusal = decideWrite(entry, request, this.#limits.maxUploadBytes)
      if (refusal !== undefined) throw refusal
      await runWrite(this.#context, { ...options, entry, offset, content })
      return this.#statusOf(entry)
    })
  }

  async #commitAndFinish(entry: UploadEntry, options: { isTold?: boolean } = {}): Promise<void> {
    await this.#context.commit(entry)
    if (options.isTold === true || isDue(entry.facts)) await finishUpload(this.#context, entry)
  }

  async #remove(entry: UploadEntry, type: 'terminated' | 'expired'): Promise<void> {
    entry.isGone = true
    try {
      // Whoever waits for it would be waited for.
      this.#context.digests.drop(entry.id)
      await endWriters(entry, entry.writes)
      await entry.finishing?.catch(() => {})
      await this.#context.settled(entry)
      await this.#context.note(entry, [{ type: 'removed' }])
      this.#context.retire(entry.id)
      await removeUpload(this.#context, entry.id)
    } catch (error) {
      entry.isGone = false
      throw error
    }
    this.#entries.delete(entry.id)
    if (entry.facts.completed !== undefined) return
    this.#context.usage.close(entry.owner, entry.bytes)
    this.#context.emit(type, entry)
  }

  async #sweep(): Promise<void> {
    this.#context.digests.dropIdle()
    for (const entry of [...this.#entries.values()]) {
      if (this.#context.owesNews(entry)) void this.#context.announce(entry)
      else if (this.#hasExpired(entry)) await this.#remove(entry, 'expired')
    }
  }

  async #close(): Promise<void> {
    this.#ending.abort(closed())
    await this.#sweeper.close()
    this.#context.beginClose()
    const writes = [...this.#entries.values()].flatMap((entry) =>
      [...entry.writes].map((write) => {
        write.stop(interrupted(entry.id, 'closed'))
        return write.settled
      }),
    )
    await Promise.all(writes)
    await Promise.allSettled(this.#operations)
    for (const entry of this.#entries.values()) {
      await entry.finishing?.catch(() => {})
      await this.#context.settled(entry)
    }
    await this.#context.close()
  }

  #hasExpired(entry: UploadEntry): boolean {
    if (entry.isGone || entry.writes.size > 0 || entry.finishing !== undefined) return false
    return entry.borrowers === 0 && this.#context.msLeft(entry) <= 0
  }

  #find(id: string): UploadEntry {
    const entry = this.#findAny(id)
    if (entry.facts.isLost) throw lostUpload(id)
    return entry
  }

  #findAny(id: string): UploadEntry {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.isGone) {
      throw new UploadError('upload-not-found', `Cannot find upload ${JSON.stringify(id)}`)
    }
    if (entry.facts.completed === undefined && this.#hasExpired(entry)) {
      throw new UploadError('upload-expired', `Cannot go on with upload ${id}: it has expired`)
    }
    return entry
  }

  /** Nothing is begun once a close has. */
  async #run<Result>(
    signal: AbortSignal | undefined,
    work: () => Promise<Result>,
  ): Promise<Result> {
    this.#checkOpen(signal)
    const operation = work()
    this.#operations.add(operation)
    try {
      return await operation
    } finally {
      this.#operations.delete(operation)
    }
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closing === undefined) return
    throw closed()
  }

  #statusOf(entry: UploadEntry): UploadStatus {
    return this.#context.statusOf(entry)
  }
}

function closed(): UploadError {
  return new UploadError('upload-interrupted', 'Cannot use the uploads: the server ends', {
    detail: { reason: 'closed' },
  })
}

/** @throws {RangeError} doors read numbers from the wire, and have checked them */
function checkBytes(...counts: readonly number[]): void {
  for (const bytes of counts) {
    if (Number.isSafeInteger(bytes) && bytes >= 0) continue
    throw new RangeError(`Cannot use ${bytes} as a number of bytes`)
  }
}

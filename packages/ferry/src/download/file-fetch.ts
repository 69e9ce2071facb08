/**
 * Fetches one version of a file into its partial file over as many connections as help.
 *
 * Owns the connections: how many there are, and what each one does next. What happens when one fails
 * is in fetch-troubles.ts. Decisions are in planner.ts, connection-count.ts, remotes.ts and laggards.ts,
 * requests in span-fetcher.ts, spans in work-list.ts, syncing and journal in span-keeper.ts.
 */
import type { RetryPolicy } from '../client/retry/retry-policy.ts'
import { StreamError, TransferError } from '../errors.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { COUNT_TICK_MS } from './connection-count.ts'
import { DownloadPace } from './download-pace.ts'
import { FetchTroubles } from './fetch-troubles.ts'
import type { HostLimits } from './host-limits.ts'
import { type Identity, isTold } from './identity.ts'
import { findLaggards } from './laggards.ts'
import { checkFreeSpace } from '../transfer/files.ts'
import { PieceGuard } from './piece-guard.ts'
import { chooseRemote, hasOther, noteSpeeds, type Remote } from './remotes.ts'
import { Journal, type ResumeRecord } from './resume-record.ts'
import { SpanFetcher, type SpanFetcherContext } from './span-fetcher.ts'
import { SpanKeeper } from './span-keeper.ts'
import { type Assignment, WorkList } from './work-list.ts'
import {
  type ConnectionProgress,
  createWorker,
  cursorOf,
  silentMs,
  toProgress,
  type Worker,
} from './worker.ts'

/** What a fetch works with; all of it belongs to the caller. */
export interface FileFetchContext extends SpanFetcherContext {
  /** What an earlier run has left; undefined begins anew. */
  readonly record: ResumeRecord | undefined
  readonly maxConnections: number
  readonly maxRetries: number
  readonly retryPolicy: RetryPolicy
  /** Shared with other downloads. */
  readonly hosts: HostLimits
  readonly signal: AbortSignal
  readonly onEvent: (event: FetchEvent) => void
}

/** Trouble that is being dealt with. */
export type FetchEvent =
  /** A new try begins after a failure, in `delayMs`. */
  | {
      readonly type: 'retry'
      readonly error: Error
      readonly attempt: number
      readonly delayMs: number
    }
  /** A place that should have the file is no longer asked. */
  | { readonly type: 'mirror-dropped'; readonly url: string; readonly error: Error }
  /** A piece does not have its digest, and comes again. */
  | { readonly type: 'bad-piece'; readonly span: Span; readonly error: Error }

// At most this much work is lost to a kill, plus the time that a sync takes.
const JOURNAL_INTERVAL_MS = 500

/** Ends a request whose bytes another connection brings. */
class Superseded extends Error {}

/** One fetch; `run` may be called once. */
export class FileFetch {
  readonly #context: FileFetchContext
  readonly #list: WorkList
  readonly #keeper: SpanKeeper
  readonly #fetcher: SpanFetcher
  readonly #working = new Set<Promise<void>>()
  readonly #done = Promise.withResolvers<void>()
  readonly #pace: DownloadPace
  readonly #guard: PieceGuard
  readonly #troubles: FetchTroubles
  #lastId = 0
  #stopped = false
  #lastKeptAt = 0

  constructor(context: FileFetchContext) {
    const { record, file } = context
    const held = record?.spans ?? new SpanSet()
    this.#context = context
    this.#list = new WorkList(record?.identity.size, held)
    this.#pace = new DownloadPace(context.clock.now())
    this.#keeper = new SpanKeeper(file, held.copy(), (span) => this.#noteWritten(span))
    this.#guard = this.#createGuard()
    this.#fetcher = new SpanFetcher(context, this.#list, this.#keeper, {
      onHead: (latencyMs) => this.#pace.noteHead(latencyMs),
      onBegin: (size) => this.#guard.begin(size, []),
      onWritten: (span, remote) => this.#guard.noteRemote(span, remote),
    })
    if (record?.identity.size !== undefined) this.#guard.begin(record.identity.size, held)
    this.#troubles = new FetchTroubles(context, this.#list, this.#fetcher, (error) =>
      this.#stop(error),
    )
    // A failure may come while nobody waits for the end yet.
    this.#done.promise.catch(() => {})
  }

  /** The version that is fetched; undefined before the first response. */
  get identity(): Identity | undefined {
    return this.#fetcher.identity
  }

  /** Whether a later fetch can go on with what this one has brought. */
  get isResumable(): boolean {
    return this.#fetcher.canContinue && !this.#fetcher.rangesIgnored
  }

  /** Bytes that came over the network. */
  get fetchedBytes(): number {
    return this.#fetcher.fetchedBytes
  }

  /** Bytes of the file that are here, those of an earlier run included. */
  get heldBytes(): number {
    return this.identity?.size === undefined ? this.fetchedBytes : this.#list.heldBytes
  }

  /** When the server's file was modified, in epoch ms; undefined when it does not tell. */
  get modifiedAt(): number | undefined {
    return this.#fetcher.modifiedAt
  }

  /** Requests that were sent. */
  get requests(): number {
    return this.#fetcher.requests
  }

  get connections(): ConnectionProgress[] {
    return [...this.#list.workers.values()].map(toProgress)
  }

  /**
   * Resolves when every byte is in the file and synced; rejects, with what has come so far synced and
   * journaled, on a failure that no further try can mend, or with the signal's reason.
   */
  async run(): Promise<void> {
    const { signal, clock, record, remotes, folder, journalPath } = this.#context
    const onAbort = (): void => this.#stop(signal.reason as Error)
    signal.addEventListener('abort', onAbort)
    let cancelTick = (): void => {}
    const tick = (): void => {
      this.#tick()
      cancelTick = clock.after(COUNT_TICK_MS, tick)
    }
    try {
      signal.throwIfAborted()
      if (record !== undefined) {
        await checkFreeSpace(folder, (record.identity.size ?? 0) - record.spans.bytes)
        const { source } = remotes[0] as Remote
        this.#keeper.begin(await Journal.create(journalPath, { ...record, source }))
      }
      this.#lastKeptAt = clock.now()
      this.#spawn()
      cancelTick = clock.after(COUNT_TICK_MS, tick)
      await this.#done.promise
    } catch (error) {
      // What fails on the way out is less telling than what came first.
      await this.#windUp().catch(() => {})
      throw error
    } finally {
      cancelTick()
      signal.removeEventListener('abort', onAbort)
    }
    await this.#windUp()
    this.#checkWritten()
    // Of a file of unknown size only the finished one shows its pieces.
    if (!this.#guard.hasBegun) await this.#context.verifier.checkPieces(this.#keeper.prefixEnd)
  }

  /** Ends every connection and keeps what has come. */
  async #windUp(): Promise<void> {
    this.#stopped = true
    for (const { stopping } of this.#list.workers.values()) {
      stopping.abort(new StreamError('stopped'))
    }
    await Promise.all(this.#working)
    await this.#guard.close()
    await this.#keeper.close()
  }

  /** The last line of defence against a file with holes, whatever the code above got wrong. */
  #checkWritten(): void {
    const size = this.identity?.size
    if (size === undefined || this.#keeper.covers({ start: 0, end: size })) return
    throw new TransferError(
      'size-mismatch',
      `Cannot accept ${this.#context.file.path}: ${size - this.#keeper.bytes} of its ${size} bytes are missing`,
    )
  }

  #stop(error: Error): void {
    this.#stopped = true
    this.#done.reject(error)
  }

  // ── Connections

  /** Starts connections up to the number that is thought best, as far as there is work. */
  #spawn(): void {
    const { workers } = this.#list
    while (!this.#stopped && workers.size < this.#allowed()) {
      const remote = this.#chooseRemote()
      const assignment = remote && this.#claim(remote)
      if (remote === undefined || assignment === undefined) break
      const now = this.#context.clock.now()
      this.#context.hosts.take(remote.url.origin.key, now)
      const worker = createWorker({ id: ++this.#lastId, remote, now }, assignment.span)
      worker.hedged = assignment.hedged
      workers.set(worker.id, worker)
      const work = this.#work(worker)
        .catch((error: unknown) => this.#stop(error as Error))
        .finally(() => this.#working.delete(work))
      this.#working.add(work)
    }
    if (this.#stopped || !this.#isNothingLeft()) return
    this.#stopped = true
    this.#done.resolve()
  }

  /** No connection fetches anything and nothing is unclaimed; some may wait to try again in vain. */
  #isNothingLeft(): boolean {
    const waiting = [...this.#list.workers.values()].every(({ state }) => state === 'waiting')
    return waiting && this.#list.isAllAssigned && this.#guard.isSettled
  }

  #allowed(): number {
    const { verifier } = this.#context
    const { identity } = this
    const isSafe = verifier.isProvable || (identity !== undefined && isTold(identity))
    return this.isResumable && isSafe ? Math.min(this.#pace.level, this.#ceiling()) : 1
  }

  /** The most connections that may be used now: ours, and what the hosts take. */
  #ceiling(): number {
    const { remotes, hosts, clock, maxConnections } = this.#context
    const now = clock.now()
    const names = new Set(
      remotes.filter(({ error }) => error === undefined).map(({ url }) => url.origin.key),
    )
    let taken = 0
    for (const name of names) taken += hosts.allowed(name, now)
    return Math.max(1, Math.min(maxConnections, taken))
  }

  #chooseRemote(worker?: Worker): Remote | undefined {
    const { remotes, hosts, clock } = this.#context
    const now = clock.now()
    const inUse = new Set([...this.#list.workers.values()].map(({ remote }) => remote))
    return chooseRemote(remotes, {
      now,
      isVersionKnown: this.identity !== undefined,
      isInUse: (remote) => inUse.has(remote),
      // Its own place is open to whoever has it.
      isOpen: (remote) => remote === worker?.remote || hosts.isOpen(remote.url.origin.key, now),
    })
  }

  /** Finds work for a free connection to `remote`. */
  #claim(remote: Remote): Assignment | undefined {
    return this.#list.claim({
      now: this.#context.clock.now(),
      newBytesPerSecond: remote.bytesPerSecond === 0 ? this.#typicalSpeed() : remote.bytesPerSecond,
      latencyMs: this.#pace.latencyMs,
      silentLimitMs: this.#pace.patience.silentMs,
      onReplace: (worker) => this.#giveUp(worker),
    })
  }

  /** Ends a request whose span has been handed on. */
  #giveUp(worker: Worker): void {
    this.#pace.noteGivenUp()
    worker.stopping.abort(new Superseded())
  }

  #typicalSpeed(): number {
    const speeds = [...this.#list.workers.values()].map(({ meter }) => meter.bytesPerSecond)
    const known = speeds.filter((speed) => speed > 0).sort((one, other) => one - other)
    return known[known.length >> 1] ?? 0
  }

  /** One connection's life: spans one after another, until there are none or it is not wanted. */
  async #work(worker: Worker): Promise<void> {
    try {
      for (;;) {
        const error = await this.#fetchSpan(worker)
        if (this.#stopped) break
        if (error !== undefined && !(await this.#troubles.mayTryAgain(worker, error))) break
        if (this.#stopped || this.#list.workers.size > this.#allowed()) break
        if (!this.#takeNext(worker)) break
      }
    } finally {
      this.#list.workers.delete(worker.id)
      this.#context.hosts.release(worker.remote.url.origin.key)
    }
    this.#spawn()
  }

  /** Fetches what the worker has been given; undefined when there is nothing to complain of. */
  async #fetchSpan(worker: Worker): Promise<Error | undefined> {
    worker.stopping = new AbortController()
    try {
      const outcome = await this.#fetcher.fetch(worker)
      if (outcome === 'ranges-ignored') this.#troubles.noteIgnoredRange(worker)
      if (outcome === 'taken') {
        worker.failures = 0
        worker.remote.failures = 0
      }
      return undefined
    } catch (error) {
      if (worker.stopping.signal.reason instanceof Superseded) return undefined
      // What has to be forgotten again was no progress.
      if (cursorOf(worker) > worker.start && this.#fetcher.canContinue) worker.failures = 0
      return error as Error
    } finally {
      this.#list.release(worker)?.stopping.abort(new Superseded())
    }
  }

  /** Gives the worker its next span, from wherever is best now. */
  #takeNext(worker: Worker): boolean {
    const { hosts, clock } = this.#context
    const remote = this.#chooseRemote(worker)
    const assignment = remote && this.#claim(remote)
    if (remote === undefined || assignment === undefined) return false
    const now = clock.now()
    if (remote !== worker.remote) {
      hosts.release(worker.remote.url.origin.key)
      hosts.take(remote.url.origin.key, now)
      worker.remote = remote
      worker.meter.reset()
    }
    worker.state = 'requesting'
    worker.requestedAt = now
    worker.heardAt = now
    worker.start = assignment.span.start
    worker.end = assignment.span.end
    worker.hedged = assignment.hedged
    return true
  }

  // ── Pieces

  #noteWritten(span: Span): void {
    this.#context.verifier.advance(this.#keeper.prefixEnd)
    this.#guard.note(span)
  }

  #createGuard(): PieceGuard {
    const { verifier, file, maxRetries, remotes, onEvent } = this.#context
    return new PieceGuard({
      verifier,
      keeper: this.#keeper,
      list: this.#list,
      path: file.path,
      maxRetries,
      onBad: (span, error, remote) => {
        onEvent({ type: 'bad-piece', span, error })
        if (remote !== undefined && hasOther(remotes, remote)) this.#dropWithWork(remote, error)
      },
      onSettled: () => this.#spawn(),
      onError: (error) => this.#stop(error),
    })
  }

  /** What it is bringing now is as doubtful as what it has brought. */
  #dropWithWork(remote: Remote, error: Error): void {
    this.#troubles.drop(remote, error)
    for (const worker of this.#list.workers.values()) {
      if (worker.remote === remote) worker.stopping.abort(new Superseded())
    }
  }

  // ── Time

  #tick(): void {
    const { clock } = this.#context
    const now = clock.now()
    const workers = [...this.#list.workers.values()]
    for (const worker of workers) {
      worker.meter.note(now, worker.totalBytes)
      // Nothing can come to one that does not listen.
      if (worker.writer?.isPaused === true) worker.heardAt = now
    }
    for (const remote of this.#context.remotes) {
      const speeds = workers
        .filter((worker) => worker.remote === remote)
        .map(({ meter }) => meter.bytesPerSecond)
      noteSpeeds(remote, speeds)
    }
    this.#fetcher.notePace()
    this.#pace.tick(now, {
      fetchedBytes: this.fetchedBytes,
      saturated: workers.filter(wasReceiving).length >= this.#allowed(),
      ceiling: this.#ceiling(),
      remainingBytes: this.#list.remainingBytes,
    })
    if (this.isResumable) this.#giveUpLaggards(now, workers)
    this.#spawn()
    if (now - this.#lastKeptAt >= JOURNAL_INTERVAL_MS && !this.#keeper.isBusy) {
      this.#lastKeptAt = now
      const writers = workers.flatMap(({ writer }) => writer ?? [])
      this.#keeper.keep(writers).catch((error: unknown) => this.#stop(error as Error))
    }
  }

  #giveUpLaggards(now: number, workers: readonly Worker[]): void {
    // Under a limit it is we who are slow.
    const isLimited = this.#context.limit.effectiveBytesPerSecond !== undefined
    const busy = workers.filter((worker) => worker.state !== 'waiting' && !worker.unproven)
    const fares = busy.map((worker) => ({
      id: worker.id,
      bytesPerSecond: worker.meter.bytesPerSecond,
      silentMs: silentMs(worker, now),
      requestMs: isLimited ? 0 : now - worker.requestedAt,
      remainingBytes: worker.end - cursorOf(worker),
    }))
    for (const id of findLaggards(fares, this.#pace.patience)) {
      const worker = this.#list.workers.get(id)
      if (worker === undefined) continue
      this.#list.release(worker)
      this.#giveUp(worker)
    }
  }
}

/** Its response comes, and nothing of ours has held it back since the last tick: no limit, no slow disk. */
function wasReceiving({ state, writer }: Worker): boolean {
  return writer?.takePaused() !== true && state === 'receiving'
}

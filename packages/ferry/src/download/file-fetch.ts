/**
 * Fetches one version of a file into its partial file over as many connections as help.
 *
 * Owns the connections' work: who fetches which span, and what happens when one fails. Decisions are
 * in planner.ts, connection-count.ts and response-decision.ts, syncing and journal in span-keeper.ts.
 *
 * A byte counts as fetched once its response has passed decideResponse and can no longer be
 * disproved: at once where the response has announced its length, which then agrees with its range,
 * otherwise when the response has ended where it should.
 */
import { type Clock, wait } from '../clock.ts'
import type { RequestClient } from '../client/http-client.ts'
import { backoffDelayMs, isRetryableError } from '../client/retry-policy.ts'
import {
  ConnectError,
  HttpStatusError,
  isFerryError,
  NetworkError,
  StreamError,
  TransferError,
} from '../errors.ts'
import { formatRange } from '../protocol/semantics/content-range.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { TokenBucket } from '../transfer/token-bucket.ts'
import {
  COUNT_TICK_MS,
  type ConnectionCount,
  INITIAL_CONNECTION_COUNT,
  nextConnectionCount,
} from './connection-count.ts'
import { canBeContinued, type Identity, ifRangeOf } from './identity.ts'
import { checkFreeSpace, type PartFile } from './part-file.ts'
import { planNextSpan } from './planner.ts'
import { decideResponse } from './response-decision.ts'
import { Journal, type ResumeRecord } from './resume-record.ts'
import { BlockPool, SegmentWriter } from './segment-writer.ts'
import type { Source } from './source.ts'
import { SpanKeeper } from './span-keeper.ts'
import {
  type ConnectionProgress,
  createWorker,
  cursorOf,
  toClaim,
  toProgress,
  type Worker,
} from './worker.ts'

/** What a fetch works with; all of it belongs to the caller. */
export interface FileFetchContext {
  readonly client: RequestClient
  readonly url: HttpUrl
  /** What the journal keeps of the URL. */
  readonly source: Source
  readonly headers: HeaderFields
  readonly file: PartFile
  readonly folder: string
  readonly journalPath: string
  /** What an earlier run has left; undefined begins anew. */
  readonly record: ResumeRecord | undefined
  readonly maxConnections: number
  readonly maxRetries: number
  readonly limitBytesPerSecond: number | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  /** A new try begins after a failure, in `delayMs`. */
  readonly onRetry: (error: Error, attempt: number, delayMs: number) => void
}

// Long enough that a request more costs nothing, short enough that a connection whose span was
// shortened ends near the cut and can be kept.
const MAX_RANGE_BYTES = 67_108_864
// At most this much work is lost to a kill, plus the time that a sync takes.
const JOURNAL_INTERVAL_MS = 500
// With a rate limit, reads are kept small so that the limit holds from moment to moment.
const LIMITED_WINDOWS_PER_SECOND = 20
const MIN_LIMITED_WINDOW_BYTES = 4096
/** Retries, limits of time and the meaning of bytes are the download's own business. */
const UNTOUCHED = { retries: 0, timeoutMs: Number.POSITIVE_INFINITY, decompress: false } as const

/** One fetch; `run` may be called once. */
export class FileFetch {
  readonly #context: FileFetchContext
  readonly #blocks = new BlockPool()
  readonly #workers = new Map<number, Worker>()
  readonly #working = new Set<Promise<void>>()
  readonly #bucket: TokenBucket | undefined
  readonly #done = Promise.withResolvers<void>()
  readonly #keeper: SpanKeeper
  #identity: Identity | undefined
  /** Fetched or being fetched. */
  #assigned: SpanSet
  #count: ConnectionCount = INITIAL_CONNECTION_COUNT
  /** Lowered when the server refuses further connections. */
  #ceiling: number
  /** The server has answered a range as it should. */
  #rangesWork = false
  #rangesIgnored = false
  #conditional = true
  #fetchedBytes = 0
  #lastTickBytes = 0
  #lastId = 0
  #stopped = false
  #lastKeptAt = 0

  constructor(context: FileFetchContext) {
    this.#context = context
    this.#identity = context.record?.identity
    this.#assigned = context.record?.spans.copy() ?? new SpanSet()
    this.#keeper = new SpanKeeper(context.file, this.#assigned.copy())
    this.#ceiling = context.maxConnections
    // A failure may come while nobody waits for the end yet.
    this.#done.promise.catch(() => {})
    const limit = context.limitBytesPerSecond
    this.#bucket = limit === undefined ? undefined : new TokenBucket(limit)
  }

  /** The version that is fetched; undefined before the first response. */
  get identity(): Identity | undefined {
    return this.#identity
  }

  /** Whether a later fetch can go on with what this one has brought. */
  get isResumable(): boolean {
    return this.#canContinue() && !this.#rangesIgnored
  }

  /** Bytes that came over the network. */
  get fetchedBytes(): number {
    return this.#fetchedBytes
  }

  /** Bytes of the file that are here, those of an earlier run included. */
  get heldBytes(): number {
    if (this.#identity?.size === undefined) return this.#fetchedBytes
    let bytes = this.#assigned.bytes
    for (const worker of this.#workers.values()) bytes -= worker.end - cursorOf(worker)
    return bytes
  }

  get connections(): ConnectionProgress[] {
    return [...this.#workers.values()].map(toProgress)
  }

  /**
   * Resolves when every byte is in the file and synced; rejects, with what has come so far synced and
   * journaled, on a failure that no further try can mend, or with the signal's reason.
   */
  async run(): Promise<void> {
    const { signal, clock, record, source, folder, journalPath } = this.#context
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
  }

  /** Ends every connection and keeps what has come. */
  async #windUp(): Promise<void> {
    this.#stopped = true
    for (const worker of this.#workers.values()) worker.stopping.abort(new StreamError('stopped'))
    await Promise.all(this.#working)
    await this.#keeper.close()
  }

  /** The last line of defence against a file with holes, whatever the code above got wrong. */
  #checkWritten(): void {
    const size = this.#identity?.size
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

  /** Starts connections up to the number that is thought best, as far as there is work. */
  #spawn(): void {
    while (!this.#stopped && this.#workers.size < this.#allowed()) {
      const span = this.#claimSpan()
      if (span === undefined) break
      const worker = createWorker(++this.#lastId, span)
      this.#workers.set(worker.id, worker)
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
    const size = this.#identity?.size
    const workers = [...this.#workers.values()]
    if (workers.length === 0) return true
    if (size === undefined || workers.some(({ state }) => state !== 'waiting')) return false
    return this.#assigned.covers({ start: 0, end: size })
  }

  #allowed(): number {
    return this.isResumable ? Math.min(this.#count.level, this.#ceiling) : 1
  }

  #canContinue(): boolean {
    return this.#identity !== undefined && canBeContinued(this.#identity)
  }

  /** Finds work for a free connection and marks it as assigned. */
  #claimSpan(): Span | undefined {
    const size = this.#identity?.size
    if (this.#identity === undefined || size === undefined) {
      const everything = { start: 0, end: Number.POSITIVE_INFINITY }
      if (this.#assigned.count > 0) return undefined
      this.#assigned.add(everything)
      return everything
    }
    // What is to be read to its end anyway is not split.
    const claims = [...this.#workers.values()].filter(({ unproven }) => !unproven).map(toClaim)
    const plan = planNextSpan(size, this.#assigned, claims, this.#typicalSpeed())
    if (plan.type === 'none') return undefined
    if (plan.type === 'take') {
      this.#assigned.add(plan.span)
      return plan.span
    }
    const victim = this.#workers.get(plan.claimId) as Worker
    const span = { start: plan.at, end: victim.end }
    victim.end = plan.at
    victim.writer?.setEnd(plan.at)
    return span
  }

  #typicalSpeed(): number {
    const speeds = [...this.#workers.values()].map(({ meter }) => meter.bytesPerSecond)
    const known = speeds.filter((speed) => speed > 0)
    return known.length === 0 ? 0 : known.reduce((sum, speed) => sum + speed, 0) / known.length
  }

  /** One connection's life: spans one after another, until there are none or it is not wanted. */
  async #work(worker: Worker): Promise<void> {
    for (;;) {
      try {
        await this.#fetchSpan(worker)
        worker.failures = 0
      } catch (error) {
        // What has to be forgotten again was no progress.
        if (cursorOf(worker) > worker.start && this.#canContinue()) worker.failures = 0
        this.#releaseRest(worker)
        if (this.#stopped || !(await this.#mayTryAgain(worker, error as Error))) break
      }
      if (this.#stopped || this.#workers.size > this.#allowed()) break
      const span = this.#claimSpan()
      if (span === undefined) break
      worker.state = 'requesting'
      worker.start = span.start
      worker.end = span.end
    }
    this.#workers.delete(worker.id)
    this.#spawn()
  }

  /** Decides after a failure; waits where waiting is part of the answer. */
  async #mayTryAgain(worker: Worker, error: Error): Promise<boolean> {
    const { maxRetries, onRetry, clock } = this.#context
    const neverReached = error instanceof ConnectError && this.#fetchedBytes === 0
    const mayRetry = !neverReached && isRetryableError(error) && worker.failures < maxRetries
    const turnedAway = worker.receivedBytes === 0 || !mayRetry
    if (turnedAway && isOfServer(error) && this.#othersDeliver(worker)) {
      this.#doWithFewer({ rangesFail: isFerryError(error, 'range-mismatch') })
      return false
    }
    worker.receivedBytes = 0
    if (!mayRetry) {
      this.#stop(error)
      return false
    }
    worker.failures++
    if (this.#identity !== undefined && !this.#canContinue()) await this.#forget()
    const delayMs = backoffDelayMs(error, worker.failures + 1, Math.random(), Date.now())
    worker.state = 'waiting'
    onRetry(error, worker.failures, delayMs)
    await wait(delayMs, worker.stopping.signal, clock).catch(() => {})
    return true
  }

  /** Another connection brings bytes, or has and asks for more; one that tries again may be as lost. */
  #othersDeliver(worker: Worker): boolean {
    return [...this.#workers.values()].some(
      (other) =>
        other !== worker &&
        other.totalBytes > 0 &&
        (other.state === 'receiving' || (other.state === 'requesting' && other.failures === 0)),
    )
  }

  /**
   * One connection was turned away while others work: the server wants fewer, or has backends of
   * which some do not go along. A real change shows when the last connection needs a range.
   */
  #doWithFewer({ rangesFail }: { rangesFail: boolean }): void {
    this.#ceiling = Math.max(1, this.#workers.size - 1)
    // A server that gets ranges wrong is left to the connection that asked for none.
    if (rangesFail && !this.#rangesWork) this.#rangesIgnored = true
  }

  /** Without a validator nothing that has come can be continued. */
  async #forget(): Promise<void> {
    this.#identity = undefined
    this.#assigned = new SpanSet()
    await this.#keeper.forget()
    await this.#context.file.setLength(0)
  }

  /** Sends one request and takes its content, or learns from it why not. */
  async #fetchSpan(worker: Worker): Promise<void> {
    const range = this.#rangeOf(worker)
    const ifRange = this.#conditional && range !== undefined ? this.#ifRange() : undefined
    const response = await this.#request(worker, range, ifRange)
    try {
      const decision = decideResponse(
        {
          url: this.#context.url.label,
          range,
          conditional: ifRange !== undefined,
          identity: this.#identity,
        },
        { status: response.status, headers: response.headers, length: response.body.length },
      )
      switch (decision.type) {
        case 'content':
          if (range !== undefined) this.#rangesWork = true
          await this.#adopt(decision.identity, response.headers)
          await this.#take(worker, response, decision.start, decision.end)
          return
        case 'whole':
          await this.#takeWhole(worker, response, decision.end)
          return
        case 'unconditional':
          this.#conditional = false
          this.#releaseRest(worker)
          return
        case 'refused':
          throw statusError(response)
        case 'changed':
        case 'broken':
          throw decision.error
      }
    } finally {
      response.body.cancel()
    }
  }

  #request(
    worker: Worker,
    range: Span | undefined,
    ifRange: string | undefined,
  ): Promise<HttpResponse> {
    let { headers } = this.#context
    headers = headers.with('Accept-Encoding', 'identity')
    if (range !== undefined)
      headers = headers.with('Range', formatRange(range.start, range.end - 1))
    if (ifRange !== undefined) headers = headers.with('If-Range', ifRange)
    worker.receivedBytes = 0
    return this.#context.client.send(new HttpRequest('GET', this.#context.url, { headers }), {
      signal: worker.stopping.signal,
      ...UNTOUCHED,
    })
  }

  /** The range to ask for; undefined asks for the whole, as the first request of a file does. */
  #rangeOf(worker: Worker): Span | undefined {
    if (!Number.isFinite(worker.end) || this.#rangesIgnored) return undefined
    return { start: worker.start, end: Math.min(worker.end, worker.start + MAX_RANGE_BYTES) }
  }

  #ifRange(): string | undefined {
    return this.#identity === undefined ? undefined : ifRangeOf(this.#identity)
  }

  /** Takes over what the first response of a version tells: makes room, starts the journal. */
  async #adopt(identity: Identity, headers: HeaderFields): Promise<void> {
    if (this.#identity !== undefined) return
    this.#identity = identity
    if (headers.get('accept-ranges')?.toLowerCase() === 'none') this.#rangesIgnored = true
    const { size } = identity
    const { file, folder, journalPath, source } = this.#context
    if (size !== undefined) {
      // At once: from now on somebody may look, or ask for work.
      this.#assigned = new SpanSet([{ start: 0, end: size }])
      for (const worker of this.#workers.values()) worker.end = size
      await checkFreeSpace(folder, size)
    }
    this.#keeper.begin(
      await Journal.create(journalPath, { source, identity, spans: new SpanSet() }),
    )
    // After the journal: a file of some size without one would be nobody's.
    if (size !== undefined) await file.setLength(size)
  }

  /** The server has sent everything instead of a range; one connection can still use that. */
  async #takeWhole(worker: Worker, response: HttpResponse, end: number | undefined): Promise<void> {
    if (this.#workers.size > 1) {
      this.#doWithFewer({ rangesFail: true })
      this.#releaseRest(worker)
      return
    }
    this.#rangesIgnored = true
    const size = this.#identity?.size ?? Number.POSITIVE_INFINITY
    worker.end = size
    this.#assigned.add({ start: worker.start, end: size })
    await this.#take(worker, response, 0, end)
  }

  /** Writes the content of a response that starts at `start` as far as the worker's span wants it. */
  async #take(
    worker: Worker,
    response: HttpResponse,
    start: number,
    end: number | undefined,
  ): Promise<void> {
    const { body } = response
    const satisfied = new StreamError('Enough of the response has come')
    const unproven = body.length === undefined
    const pending = new SpanSet()
    const written = unproven ? pending : this.#keeper
    const writer = new SegmentWriter(
      this.#context.file,
      this.#blocks,
      {
        onWritten: (from, to) => written.add({ start: from, end: to }),
        onReceived: (bytes) => this.#noteReceived(worker, bytes),
        onSatisfied: () => {
          if (worker.end < worker.responseEnd && !unproven) body.cancel(satisfied)
        },
      },
      {
        position: start,
        cursor: worker.start,
        end: worker.end,
        responseEnd: end,
        maxWindowBytes: this.#windowBytes(),
      },
    )
    worker.writer = writer
    worker.unproven = unproven
    worker.responseEnd = end ?? Number.POSITIVE_INFINITY
    worker.state = 'receiving'
    let isGood = !unproven
    try {
      await body.pipe(writer)
      if (!Number.isFinite(worker.end)) worker.end = writer.cursor
      checkArrived(writer.cursor, Math.min(worker.end, worker.responseEnd))
      if (unproven) checkArrived(writer.position, end ?? 0)
      isGood = true
    } catch (error) {
      if (error !== satisfied) throw error
    } finally {
      worker.responseEnd = 0
      worker.unproven = false
      await writer.close()
      // Not before its writes have ended: what is fetched instead goes to the same place.
      if (!isGood) worker.writer = undefined
    }
    for (const span of pending) this.#keeper.add(span)
    worker.start = writer.cursor
    worker.writer = undefined
    this.#releaseRest(worker)
  }

  #noteReceived(worker: Worker, bytes: number): number {
    worker.receivedBytes += bytes
    worker.totalBytes += bytes
    this.#fetchedBytes += bytes
    return this.#bucket?.take(bytes, this.#context.clock.now()) ?? 0
  }

  #windowBytes(): number | undefined {
    const limit = this.#bucket?.bytesPerSecond
    return (
      limit && Math.max(MIN_LIMITED_WINDOW_BYTES, Math.ceil(limit / LIMITED_WINDOWS_PER_SECOND))
    )
  }

  /**
   * Gives back what a worker has not fetched. A neighbour whose response reaches over it takes it:
   * it was cut off from there.
   */
  #releaseRest(worker: Worker): void {
    const start = cursorOf(worker)
    const { end } = worker
    worker.start = start
    worker.end = start
    worker.writer = undefined
    if (start >= end) return
    for (const other of this.#workers.values()) {
      if (other.end !== start || other.responseEnd <= start || other === worker) continue
      if (other.writer?.cursor === start) continue
      other.end = Math.min(end, other.responseEnd)
      other.writer?.setEnd(other.end)
      this.#assigned.remove({ start: other.end, end })
      return
    }
    this.#assigned.remove({ start, end })
  }

  #tick(): void {
    const now = this.#context.clock.now()
    for (const worker of this.#workers.values()) {
      worker.meter.note(now, worker.totalBytes)
    }
    const bytes = this.#fetchedBytes - this.#lastTickBytes
    this.#lastTickBytes = this.#fetchedBytes
    const working = [...this.#workers.values()].filter(({ state }) => state === 'receiving').length
    this.#count = nextConnectionCount(this.#count, {
      bytesPerSecond: (bytes * 1000) / COUNT_TICK_MS,
      saturated: working >= this.#allowed(),
      ceiling: this.#ceiling,
    })
    if (this.#workers.size > 0) this.#spawn()
    if (now - this.#lastKeptAt >= JOURNAL_INTERVAL_MS && !this.#keeper.isBusy) {
      this.#lastKeptAt = now
      const writers = [...this.#workers.values()].flatMap(({ writer }) => writer ?? [])
      this.#keeper.keep(writers).catch((error: unknown) => this.#stop(error as Error))
    }
  }
}

/** The server, or the way to it, is to blame: another connection may fare better. */
function isOfServer(error: Error): boolean {
  return (
    error instanceof NetworkError ||
    isFerryError(error, 'range-mismatch') ||
    isFerryError(error, 'representation-changed')
  )
}

/** @throws {StreamError} when a response that seemed whole has ended before its announced end */
function checkArrived(cursor: number, end: number): void {
  if (cursor >= end) return
  throw new StreamError(`Cannot go on: the response ended at ${cursor} instead of ${end}`)
}

/** @throws {TransferError} size-mismatch, when fewer or more bytes are there than the server had */
export async function checkLength(file: PartFile, size: number): Promise<void> {
  const length = await file.length()
  if (length === size) return
  throw new TransferError(
    'size-mismatch',
    `Cannot accept ${file.path}: expected ${size} bytes, got ${length}`,
  )
}

/** The error for a response whose status is not acceptable. */
function statusError(response: HttpResponse): HttpStatusError {
  const { status, statusText, url } = response
  const words = statusText === '' ? String(status) : `${status} ${statusText}`
  return new HttpStatusError(`Cannot fetch ${url.label}: the server answered ${words}`, response)
}

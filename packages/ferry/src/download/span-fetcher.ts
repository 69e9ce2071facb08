/**
 * Fetches spans, one request each: asks, has the answer judged (response-decision.ts), and writes what
 * may be written. Knows nothing of other connections but what the list of work tells.
 *
 * A byte counts as fetched once its response has passed decideResponse and can no longer be
 * disproved: at once where the response has announced its length, which then agrees with its range,
 * otherwise when the response has ended where it should.
 */
import type { Clock } from '../clock.ts'
import type { RequestClient } from '../client/http-client.ts'
import { HttpStatusError, StreamError, TransferError } from '../errors.ts'
import { formatRange } from '../protocol/semantics/content-range.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { parseHttpDate } from '../protocol/semantics/http-date.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import {
  canBeContinued,
  haveSameContent,
  type Identity,
  identityOf,
  ifRangeOf,
  isTold,
} from './identity.ts'
import type { Verifier } from './integrity/verifier.ts'
import { checkFreeSpace } from '../transfer/files.ts'
import type { PartFile } from './part-file.ts'
import type { Remote } from './remotes.ts'
import { type Decision, decideResponse } from './response-decision.ts'
import { Journal } from './resume-record.ts'
import { BlockPool, SegmentWriter } from './segment-writer.ts'
import type { SpanKeeper } from './span-keeper.ts'
import type { WorkList } from './work-list.ts'
import type { Worker } from './worker.ts'

/** What the fetching of spans works with; all of it belongs to the caller. */
export interface SpanFetcherContext {
  readonly client: RequestClient
  /** The places that have the file; the first one's version is fetched. */
  readonly remotes: readonly Remote[]
  readonly headers: HeaderFields
  readonly file: PartFile
  readonly folder: string
  readonly journalPath: string
  readonly limit: RateLimit
  readonly clock: Clock
  readonly verifier: Verifier
  /** Other places are believed to have the same file. */
  readonly trustsMirrors: boolean
  /** Bytes that the file must have; undefined when that is not known. */
  readonly size: number | undefined
  /** The file may not have more. */
  readonly maxSizeBytes: number
  /** The most bytes to read at once. */
  readonly maxReadBytes: number
  /** Its blocks are taken at once. */
  readonly isReserved: boolean
  /** An answer to a request for the whole file that has come already, and from where. */
  readonly opening: { readonly response: HttpResponse; readonly remote: Remote } | undefined
}

/**
 * taken: content was written, though not always all that was wanted · again: ask once more ·
 * ranges-ignored: the whole file came instead of a range, and was not used
 */
export type FetchOutcome = 'taken' | 'again' | 'ranges-ignored'

/** What others have to hear at once. */
export interface SpanFetcherEvents {
  /** The head of a response has come. */
  onHead(latencyMs: number): void
  /**
   * The size is known from now on.
   * @throws when nothing of that size can be fetched
   */
  onBegin(size: number): void
  /** Bytes are in the file that the remote has brought. */
  onWritten(span: Span, remote: Remote): void
}

// Long enough that a request more costs nothing, short enough that a connection whose span was
// shortened ends near the cut and can be kept.
const MAX_RANGE_BYTES = 67_108_864
// What is compared where no validator tells versions apart: of two files that differ, chance makes
// none agree over so many bytes, and zeros at a place can only be had by looking at another one.
const OVERLAP_BYTES = 65_536
// With a rate limit, reads are kept small so that the limit holds from moment to moment.
const LIMITED_WINDOWS_PER_SECOND = 20
const MIN_LIMITED_WINDOW_BYTES = 4096
/** Retries, limits of time and the meaning of bytes are the download's own business. */
const UNTOUCHED = { retries: 0, timeoutMs: Number.POSITIVE_INFINITY, decompress: false } as const

/** Nothing proves that another place has the same file. */
export class UnprovenMirror extends TransferError {}

/** Fetches spans of one version of a file. */
export class SpanFetcher {
  readonly #context: SpanFetcherContext
  readonly #list: WorkList
  readonly #keeper: SpanKeeper
  readonly #events: SpanFetcherEvents
  readonly #blocks = new BlockPool()
  #opening: SpanFetcherContext['opening']
  #identity: Identity | undefined
  /** Who has told the version. */
  #teller: Remote | undefined
  #rangesIgnored = false
  #fetchedBytes = 0
  #requests = 0
  #modifiedAt: number | undefined
  /** The limit that the writers go by, in bytes per second. */
  #pace: number | undefined

  constructor(
    context: SpanFetcherContext,
    list: WorkList,
    keeper: SpanKeeper,
    events: SpanFetcherEvents,
  ) {
    this.#context = context
    this.#list = list
    this.#keeper = keeper
    this.#events = events
    this.#opening = context.opening
    this.#pace = context.limit.effectiveBytesPerSecond
    this.#identity = context.remotes[0]?.identity
    this.#teller = this.#identity && context.remotes[0]
  }

  /** The version that is fetched; undefined before the first response. */
  get identity(): Identity | undefined {
    return this.#identity
  }

  /** Bytes that came over the network. */
  get fetchedBytes(): number {
    return this.#fetchedBytes
  }

  get requests(): number {
    return this.#requests
  }

  /** When the server's file was modified, in epoch ms; undefined when it does not tell. */
  get modifiedAt(): number | undefined {
    return this.#modifiedAt
  }

  /** The server sends everything whatever is asked for. */
  get rangesIgnored(): boolean {
    return this.#rangesIgnored
  }

  /** From now on nothing but the whole is asked for. */
  ignoreRanges(): void {
    this.#rangesIgnored = true
  }

  /** Later responses can bring what this one does not. */
  get canContinue(): boolean {
    return this.#identity !== undefined && canBeContinued(this.#identity)
  }

  /** Without a size, nothing that has come can be continued: it has to come again. */
  async forget(): Promise<void> {
    this.#identity = undefined
    this.#teller = undefined
    for (const remote of this.#context.remotes) remote.identity = undefined
    this.#list.forget()
    await this.#keeper.forget()
    await this.#context.file.setLength(0)
  }

  /** Lets a limit hold that has been changed while content comes. */
  notePace(): void {
    const limit = this.#context.limit.effectiveBytesPerSecond
    if (limit === this.#pace) return
    this.#pace = limit
    for (const { writer } of this.#list.workers.values()) writer?.setPace(this.#windowBytes())
  }

  /** Sends one request and takes its content, or learns from it why not. */
  async fetch(worker: Worker): Promise<FetchOutcome> {
    const { remote } = worker
    const { clock } = this.#context
    if (this.#identity !== undefined && remote.identity === undefined) await this.#compare(worker)
    const overlap = await this.#overlapOf(worker)
    const range = this.#rangeOf(worker, overlap?.length ?? 0)
    const ifRange = remote.conditional && range !== undefined ? this.#ifRangeOf(remote) : undefined
    worker.requestedAt = clock.now()
    worker.heardAt = worker.requestedAt
    const response = await this.#request(worker, range, ifRange)
    try {
      this.#events.onHead(clock.now() - worker.requestedAt)
      worker.heardAt = clock.now()
      // The wait for the head says nothing of how fast the content will be.
      worker.meter.reset()
      worker.meter.note(worker.heardAt, worker.totalBytes)
      const decision = this.#decide(remote, response, range, ifRange)
      switch (decision.type) {
        case 'content':
          this.#noteHead(remote, response)
          if (range !== undefined) remote.rangesWork = true
          await this.#adopt(remote, decision.identity, response.headers)
          await this.#take(worker, response, decision, overlap)
          return 'taken'
        case 'whole':
          // One connection can still use that, if it is the only one.
          if (this.#list.workers.size > 1) return 'ranges-ignored'
          this.#noteHead(remote, response)
          this.#rangesIgnored = true
          await this.#adopt(remote, decision.identity, response.headers)
          this.#list.extend(worker, this.#identity?.size ?? Number.POSITIVE_INFINITY)
          await this.#take(worker, response, decision, overlap)
          return 'taken'
        case 'unconditional':
          remote.conditional = false
          return 'again'
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

  #decide(
    remote: Remote,
    { status, headers, body }: HttpResponse,
    range: Span | undefined,
    ifRange: string | undefined,
  ): Decision {
    const asked = {
      url: remote.url.label,
      range,
      conditional: ifRange !== undefined,
      identity: this.#expectedOf(remote),
      isProvable: this.#context.verifier.isProvable,
    }
    return decideResponse(asked, { status, headers, length: body.length })
  }

  /** The first that is asked of another place is something that is here. */
  async #compare(worker: Worker): Promise<void> {
    const { remote } = worker
    const writers = [...this.#list.workers.values()].flatMap(({ writer }) => writer ?? [])
    await Promise.all(writers.map((writer) => writer.flush()))
    const held = this.#keeper.firstSpan
    if (held === undefined) return
    const range = { start: Math.max(held.start, held.end - OVERLAP_BYTES), end: held.end }
    const here = await this.#context.file.read(range.start, range.end - range.start)
    const response = await this.#request(worker, range, undefined)
    try {
      const decision = this.#decide(remote, response, range, undefined)
      if (decision.type === 'changed' || decision.type === 'broken') throw decision.error
      if (decision.type === 'refused') throw statusError(response)
      if (decision.type !== 'content') throw noRangesError(remote)
      await this.#adopt(remote, decision.identity, response.headers)
      const came = await response.body.bytes(here.length)
      this.#noteReceived(worker, came.length)
      if (came.equals(here)) return
      remote.identity = undefined
      throw new TransferError(
        'representation-changed',
        `Cannot use ${remote.url.label}: it has another file, which differs between ${range.start} and ${range.end}`,
      )
    } finally {
      response.body.cancel()
    }
  }

  /** Learns what does not depend on the bytes. */
  #noteHead(remote: Remote, { status, headers }: HttpResponse): void {
    // What another place says of its own file proves nothing of this one.
    const isTeller = this.#identity === undefined || remote === this.#teller
    if (isTeller) this.#context.verifier.noteHeaders(status, headers)
    const lastModified = headers.get('last-modified')
    if (lastModified !== undefined) this.#modifiedAt ??= parseHttpDate(lastModified)
  }

  async #request(
    worker: Worker,
    range: Span | undefined,
    ifRange: string | undefined,
  ): Promise<HttpResponse> {
    this.#requests++
    const opening = this.#opening
    this.#opening = undefined
    if (opening !== undefined && range === undefined && opening.remote === worker.remote) {
      const { body } = opening.response
      const { signal } = worker.stopping
      signal.addEventListener('abort', () => body.cancel(signal.reason as Error), { once: true })
      return opening.response
    }
    opening?.response.body.cancel()
    let headers = this.#context.headers.with('Accept-Encoding', 'identity')
    if (range !== undefined) {
      headers = headers.with('Range', formatRange(range.start, range.end - 1))
    }
    if (ifRange !== undefined) headers = headers.with('If-Range', ifRange)
    return await this.#context.client.send(new HttpRequest('GET', worker.remote.url, { headers }), {
      signal: worker.stopping.signal,
      ...UNTOUCHED,
    })
  }

  /** The range to ask for; undefined asks for the whole, as the first request of a file does. */
  #rangeOf({ start, end }: Worker, overlapBytes: number): Span | undefined {
    if (!Number.isFinite(end) || this.#rangesIgnored) return undefined
    return { start: start - overlapBytes, end: Math.min(end, start + MAX_RANGE_BYTES) }
  }

  /** What is here just before a span, where nothing else shows that the rest is of the same version. */
  async #overlapOf({ remote, start, end }: Worker): Promise<Buffer | undefined> {
    const known = remote.identity
    if (!Number.isFinite(end) || (known !== undefined && isTold(known))) return undefined
    const from = Math.max(this.#keeper.startBefore(start), start - OVERLAP_BYTES)
    if (from === start) return undefined
    return await this.#context.file.read(from, start - from)
  }

  #ifRangeOf({ identity }: Remote): string | undefined {
    return identity === undefined ? undefined : ifRangeOf(identity)
  }

  /** What a response of a remote has to agree with: its own validators, and the size of all. */
  #expectedOf({ identity }: Remote): Identity | undefined {
    if (identity !== undefined || this.#identity?.size === undefined) return identity
    return { size: this.#identity.size }
  }

  /** Takes over what the first response of a remote tells. */
  async #adopt(remote: Remote, identity: Identity, headers: HeaderFields): Promise<void> {
    if (remote.identity !== undefined) return
    if (this.#identity === undefined) {
      await this.#begin(remote, identity, headers)
      return
    }
    // Its answer may have been judged by the size alone.
    const own = identityOf(headers, this.#identity.size)
    this.#checkMirror(remote, own)
    remote.identity = own
  }

  /** The first response of all: makes room, starts the journal. */
  async #begin(remote: Remote, identity: Identity, headers: HeaderFields): Promise<void> {
    const { file, folder, journalPath } = this.#context
    const { size } = identity
    this.#checkSize(size ?? 0, `it has ${size} bytes`)
    this.#checkExpectedSize(size)
    remote.identity = identity
    this.#identity = identity
    this.#teller = remote
    if (headers.get('accept-ranges')?.toLowerCase() === 'none') this.#rangesIgnored = true
    if (size !== undefined) {
      // At once: from now on somebody may look, or ask for work.
      this.#list.setSize(size)
      this.#events.onBegin(size)
      await checkFreeSpace(folder, size)
    }
    const { source } = remote
    this.#keeper.begin(
      await Journal.create(journalPath, { source, identity, spans: new SpanSet() }),
    )
    // After the journal: a file of some size without one would be nobody's.
    if (size === undefined) return
    await file.setLength(size)
    if (this.#context.isReserved) await file.reserve(size)
  }

  /** @throws {UnprovenMirror} */
  #checkMirror(remote: Remote, identity: Identity): void {
    const { verifier, trustsMirrors, remotes } = this.#context
    if (verifier.isProvable || trustsMirrors) return
    if (this.#identity !== undefined && haveSameContent(identity, this.#identity)) return
    throw new UnprovenMirror(
      'representation-changed',
      `Cannot use ${remote.url.label} beside ${remotes[0]?.url.label}: nothing proves that both have the same file`,
    )
  }

  /** Writes the content of a response that starts at `start` as far as the worker's span wants it. */
  async #take(
    worker: Worker,
    response: HttpResponse,
    { start, end }: { readonly start: number; readonly end: number | undefined },
    overlap: Buffer | undefined,
  ): Promise<void> {
    const { body } = response
    const satisfied = new StreamError('Enough of the response has come')
    const unproven = body.length === undefined
    const pending = new SpanSet()
    const { remote } = worker
    const written = unproven ? pending : this.#keeper
    const writer = new SegmentWriter(
      this.#context.file,
      this.#blocks,
      {
        onWritten: (from, to) => {
          this.#events.onWritten({ start: from, end: to }, remote)
          written.add({ start: from, end: to })
        },
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
        overlap,
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
      await writer.close()
      // Not before its writes have ended: what is fetched instead goes to the same place. Until then
      // nobody may go by how far it has come.
      if (!isGood) worker.writer = undefined
      worker.unproven = false
    }
    for (const span of pending) this.#keeper.add(span)
    // Another may have taken over the span meanwhile.
    if (worker.writer === writer) {
      worker.start = writer.cursor
      worker.writer = undefined
    }
  }

  #noteReceived(worker: Worker, bytes: number): number {
    const now = this.#context.clock.now()
    worker.heardAt = now
    worker.totalBytes += bytes
    this.#fetchedBytes += bytes
    if (this.#identity?.size === undefined) this.#checkSize(this.#fetchedBytes, 'it goes on')
    return this.#context.limit.take(bytes, now)
  }

  /** @throws {TransferError} too-large */
  #checkSize(size: number, what: string): void {
    const { maxSizeBytes, remotes } = this.#context
    if (size <= maxSizeBytes) return
    throw new TransferError(
      'too-large',
      `Cannot fetch ${remotes[0]?.url.label}: ${what}, and no more than ${maxSizeBytes} bytes are wanted`,
      { detail: { maxSizeBytes } },
    )
  }

  /** @throws {TransferError} size-mismatch */
  #checkExpectedSize(size: number | undefined): void {
    const { size: expected, remotes } = this.#context
    if (expected === undefined || size === undefined || size === expected) return
    throw new TransferError(
      'size-mismatch',
      `Cannot fetch ${remotes[0]?.url.label}: it has ${size} bytes, and ${expected} were expected`,
      { detail: { size, expected } },
    )
  }

  #windowBytes(): number {
    const { limit, maxReadBytes } = this.#context
    const { effectiveBytesPerSecond: bytesPerSecond } = limit
    if (bytesPerSecond === undefined) return maxReadBytes
    // All connections together: the last read of each need not be waited for.
    const reads = LIMITED_WINDOWS_PER_SECOND * Math.max(1, this.#list.workers.size)
    const window = Math.ceil(bytesPerSecond / reads)
    return Math.min(maxReadBytes, Math.max(MIN_LIMITED_WINDOW_BYTES, window))
  }
}

/** @throws {StreamError} when a response that seemed whole has ended before its announced end */
function checkArrived(cursor: number, end: number): void {
  if (cursor >= end) return
  throw new StreamError(`Cannot go on: the response ended at ${cursor} instead of ${end}`)
}

/** The error for a place that sends everything where other places are to be had. */
export function noRangesError({ url }: Remote): TransferError {
  return new TransferError(
    'range-mismatch',
    `Cannot use the answer of ${url.label}: it sent the whole file instead of a range`,
  )
}

/** The error for a response whose status is not acceptable. */
export function statusError(response: HttpResponse): HttpStatusError {
  const { status, statusText, url } = response
  const words = statusText === '' ? String(status) : `${status} ${statusText}`
  return new HttpStatusError(`Cannot fetch ${url.label}: the server answered ${words}`, response)
}

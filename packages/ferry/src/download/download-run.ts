/**
 * One run of a download: find its place, lock, resume or begin, fetch, verify, publish. The target
 * appears at once and whole, or not at all; what a run that fails has brought is kept for the next.
 */
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import { HttpClient, type RequestClient } from '../client/http-client.ts'
import { isFerryError, NetworkError, TransferError } from '../errors.ts'
import { WANT_REPR_DIGEST } from '../protocol/semantics/digest-fields.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { parseHttpDate } from '../protocol/semantics/http-date.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import { importAria2Part, isBegunByAria2 } from './aria2-import.ts'
import {
  DEFAULT_MAX_CONNECTIONS,
  DEFAULT_MAX_RETRIES,
  type DownloadOptions,
  type DownloadProof,
  type DownloadResult,
} from './download-options.ts'
import { FileFetch } from './file-fetch.ts'
import { HostLimits } from './host-limits.ts'
import { canBeContinued, isTold } from './identity.ts'
import type { Checksum } from './integrity/checksum.ts'
import { Verifier } from './integrity/verifier.ts'
import { publishFile } from '../transfer/files.ts'
import { findFreePath } from '../transfer/naming/free-path.ts'
import { fileNameOf } from './naming/file-name.ts'
import { type Opening, openDownload } from './opening.ts'
import { PartFile } from './part-file.ts'
import { checkFolder, PartPlace } from './part-place.ts'
import { createRemote, type Remote } from './remotes.ts'
import { policyOf } from './retry-download.ts'
import { loadResumeRecord, removeJournal, type ResumeRecord } from './resume-record.ts'
import { mayContinueFrom, sourceOf } from './source.ts'
import { UnprovenMirror } from './span-fetcher.ts'

/** What a run works with. */
export interface DownloadRunContext {
  /** The places that have the file, the preferred one first. */
  readonly urls: readonly HttpUrl[]
  /** A path, or a folder into which the server's name goes. */
  readonly target: { readonly path: string; readonly isFolder: boolean }
  readonly options: DownloadOptions
  readonly clock: Clock
  readonly limit: RateLimit
  readonly onVerifying: () => void
  readonly onPlace: (place: PartPlace) => void
}

// A file that changes again and again while it is fetched is not worth an endless loop.
const MAX_RESTARTS = 3
/** What all downloads share that are given no other. */
const SHARED_HOSTS = new HostLimits()

/** The run; `run` may be called once. */
export class DownloadRun {
  readonly #context: DownloadRunContext
  readonly #headers: HeaderFields
  #fetch: FileFetch | undefined
  /** A response whose content has not been taken yet. */
  #opening: Opening | undefined
  /** By fetches that were begun anew since. */
  #fetchedBefore = 0
  #resumedBytes = 0

  constructor(context: DownloadRunContext) {
    this.#context = context
    const headers = HeaderFields.from(context.options.headers)
    this.#headers = headers.has('want-repr-digest')
      ? headers
      : headers.with('Want-Repr-Digest', WANT_REPR_DIGEST)
  }

  get fetch(): FileFetch | undefined {
    return this.#fetch
  }

  get resumedBytes(): number {
    return this.#resumedBytes
  }

  get fetchedBytes(): number {
    return this.#fetchedBefore + (this.#fetch?.fetchedBytes ?? 0)
  }

  /** @throws the signal's reason; what has come is kept then */
  async run(signal: AbortSignal): Promise<DownloadResult> {
    const startedAt = this.#context.clock.now()
    signal.throwIfAborted()
    const { options, target } = this.#context
    await using client = new OwnedClient(options.client)
    const remotes = await this.#createRemotes()
    // Before anything is asked for that could not be kept.
    if (target.isFolder) await checkFolder(target.path)
    const guessed = target.isFolder ? await this.#guessPath(remotes) : target.path
    const opened = await this.#open(remotes, { guessed, client: client.client, signal })
    // What nobody has taken by then is of no use.
    using _opening = { [Symbol.dispose]: () => opened?.response.body.cancel() }
    this.#opening = opened
    const place = await this.#findPlace(remotes, guessed, opened)
    const done = async (
      outcome: DownloadResult['outcome'],
      checksum?: Checksum,
      proof?: DownloadProof,
    ): Promise<DownloadResult> => ({
      outcome,
      path: place.target,
      size: (await stat(place.target)).size,
      fetchedBytes: this.fetchedBytes,
      resumedBytes: this.#resumedBytes,
      elapsedMs: this.#context.clock.now() - startedAt,
      checksum,
      proof,
    })
    if (opened !== undefined && (await this.#isNoNewer(opened, place))) {
      await place.clearRemains()
      return done('not-modified')
    }
    if (await this.#isToSkip(place)) return done('skipped')
    // Whoever waits for the same file shall not find it locked by one that ends now.
    signal.throwIfAborted()
    await using _lock = await place.lock()
    await using _leftover = { [Symbol.asyncDispose]: () => place.removeEmptyPart() }
    // Whoever held the lock before may have finished.
    if (await this.#isToSkip(place)) return done('skipped')
    const { checksum, proof } = await this.#fetchWhole(place, remotes, {
      client: client.client,
      signal,
    })
    return done('fetched', checksum, proof)
  }

  // ── Where it goes

  async #createRemotes(): Promise<Remote[]> {
    const { urls } = this.#context
    return Promise.all(urls.map(async (url) => createRemote(url, await sourceOf(url))))
  }

  /** Asks the server where its answer has to be known before anything can begin. */
  async #open(
    remotes: readonly Remote[],
    { guessed, client, signal }: Means & { readonly guessed: string | undefined },
  ): Promise<Opening | undefined> {
    const { target, options } = this.#context
    const modifiedAt =
      options.ifNewer === true && !target.isFolder
        ? (await stat(target.path).catch(() => undefined))?.mtimeMs
        : undefined
    if (guessed !== undefined && modifiedAt === undefined) return undefined
    return openDownload(remotes, {
      client,
      headers: this.#headers,
      maxRetries: options.maxRetries ?? DEFAULT_MAX_RETRIES,
      modifiedAt,
      signal,
    })
  }

  /** Also where the server has not compared: it cannot, for a name that it has yet to tell. */
  async #isNoNewer({ isNotModified, response }: Opening, { target }: PartPlace): Promise<boolean> {
    if (isNotModified || this.#context.options.ifNewer !== true) return isNotModified
    const found = await stat(target).catch(() => undefined)
    const modifiedAt = parseHttpDate(response.headers.get('last-modified') ?? '')
    return found !== undefined && modifiedAt !== undefined && modifiedAt <= found.mtimeMs
  }

  /** A part of this file under the URL's own name spares the question what it is called. */
  async #guessPath(remotes: readonly Remote[]): Promise<string | undefined> {
    const { target, urls } = this.#context
    for (const url of urls) {
      const place = new PartPlace(join(target.path, fileNameOf(url)))
      if (await this.#isPartOf(place, remotes)) return place.target
    }
    return undefined
  }

  async #isPartOf(place: PartPlace, remotes: readonly Remote[]): Promise<boolean> {
    const record = await loadResumeRecord(place.journalPath).catch(() => undefined)
    if (record === undefined) return false
    const fits = await Promise.all(
      remotes.map(({ url }) => mayContinueFrom(record.source, url, record.identity)),
    )
    return fits.includes(true)
  }

  async #findPlace(
    remotes: readonly Remote[],
    guessed: string | undefined,
    opened: Opening | undefined,
  ): Promise<PartPlace> {
    const { target, options, onPlace } = this.#context
    // Without a guess the server has been asked.
    let path = guessed ?? join(target.path, (opened as Opening).name)
    if (options.onExists === 'rename') {
      path = await findFreePath(dirname(path), basename(path), (candidate) =>
        this.#isTaken(candidate, remotes),
      )
    }
    const place = new PartPlace(path)
    await place.check()
    onPlace(place)
    return place
  }

  /** By a file, or by a part of another file. */
  async #isTaken(path: string, remotes: readonly Remote[]): Promise<boolean> {
    const place = new PartPlace(path)
    if (await place.targetExists()) return true
    if ((await place.partSize()) === undefined) return false
    return !(await this.#isPartOf(place, remotes))
  }

  /** @throws {TransferError} target-exists, when nothing else is to be done about it */
  async #isToSkip(place: PartPlace): Promise<boolean> {
    const { onExists = 'fail', ifNewer } = this.#context.options
    if (!(await place.targetExists()) || onExists === 'overwrite' || ifNewer === true) return false
    if (await isBegunByAria2(place)) return false
    await place.clearRemains()
    if (onExists === 'skip') return true
    throw new TransferError(
      'target-exists',
      `Cannot write ${place.target}: a file of that name exists`,
    )
  }

  // ── What comes

  /** Fetches, verifies and publishes; once anew where what has come proves wrong and may be stale. */
  async #fetchWhole(
    place: PartPlace,
    remotes: Remote[],
    means: Means,
  ): Promise<{ checksum: Checksum | undefined; proof: DownloadProof }> {
    for (let isAnew = false; ; isAnew = true) {
      await using verifier = new Verifier(place.partPath, this.#context.options)
      await using file = await this.#fetchVersion(place, remotes, { ...means, verifier })
      // It can be stopped until here.
      means.signal.throwIfAborted()
      this.#context.onVerifying()
      try {
        const checksum = await verifier.finish(await file.length(), means.signal)
        means.signal.throwIfAborted()
        // Publishing goes by name; nothing else is to be found there than what was written.
        await place.checkOurs(file)
        await this.#publish(place, file)
        return { checksum, proof: this.#proofOf(verifier) }
      } catch (error) {
        if (!isFerryError(error, 'checksum-mismatch') || isAnew || !this.#isPatched(remotes)) {
          throw error
        }
        await this.#restart(place, remotes, error)
        this.#leaveToFirst(remotes, error)
      }
    }
  }

  /** Nobody knows which place has brought what is wrong: one alone has the best chance. */
  #leaveToFirst([first, ...others]: readonly Remote[], error: Error): void {
    for (const remote of others) {
      if (first?.error !== undefined || remote.error !== undefined) continue
      remote.error = error
      this.#context.options.onEvent?.({ type: 'mirror-dropped', url: remote.url.label, error })
    }
  }

  /** The file is made of what came at different times, or from different places. */
  #isPatched(remotes: readonly Remote[]): boolean {
    const used = remotes.filter(({ identity }) => identity !== undefined)
    return this.#resumedBytes > 0 || used.length > 1
  }

  /** Fetches until every byte of one version is in the file; the caller closes it. */
  async #fetchVersion(
    place: PartPlace,
    remotes: Remote[],
    means: Means & { readonly verifier: Verifier },
  ): Promise<PartFile> {
    let record = await this.#loadRecord(place, remotes)
    let last: Error | undefined
    for (let restarts = 0; ; restarts++) {
      try {
        return await this.#fetchOnce(place, { ...means, remotes, record })
      } catch (error) {
        if (restarts === MAX_RESTARTS || !isWorthARestart(error, remotes)) throw error
        if (last?.message === (error as Error).message) throw contradiction(last)
        last = error as Error
        await this.#restart(place, remotes, error as Error)
        means.verifier.reset()
        record = undefined
      }
    }
  }

  async #fetchOnce(
    place: PartPlace,
    means: Means & {
      readonly verifier: Verifier
      readonly remotes: readonly Remote[]
      readonly record: ResumeRecord | undefined
    },
  ): Promise<PartFile> {
    const { record } = means
    const opening = this.#opening
    this.#opening = undefined
    const { options, clock, limit } = this.#context
    const file = await PartFile.open(place.partPath)
    try {
      // Something may have been appended to the file meanwhile; what was cut off comes again.
      await file.setLength(record?.identity.size ?? 0)
      const fetch = new FileFetch({
        ...means,
        opening,
        headers: this.#headers,
        file,
        folder: place.folder,
        journalPath: place.journalPath,
        limit,
        clock,
        trustsMirrors: options.trustMirrors === true,
        size: options.size,
        maxSizeBytes: options.maxSizeBytes ?? Number.POSITIVE_INFINITY,
        isReserved: options.allocation === 'reserved',
        maxConnections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
        maxRetries: options.maxRetries ?? DEFAULT_MAX_RETRIES,
        retryPolicy: policyOf(options.retryDelayMs),
        maxReadBytes: options.maxReadBytes ?? Number.POSITIVE_INFINITY,
        hosts: options.hosts ?? SHARED_HOSTS,
        onEvent: (event) => options.onEvent?.(event),
      })
      this.#fetchedBefore = this.fetchedBytes
      this.#resumedBytes = record?.spans.bytes ?? 0
      this.#fetch = fetch
      await fetch.run()
      await file.checkLength(fetch.identity?.size ?? options.size ?? (await file.length()))
      await file.sync()
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Discards what is here, for it is not of what is there now; `onChange: 'fail'` keeps it. */
  async #restart(place: PartPlace, remotes: Remote[], error: Error): Promise<void> {
    if (this.#context.options.onChange === 'fail') throw error
    await place.checkOurs()
    this.#context.options.onEvent?.({ type: 'restart', error })
    await place.discard()
    beginAnew(remotes)
  }

  /** What an earlier run has left and can be continued; other files of our names are cleared away. */
  async #loadRecord(place: PartPlace, remotes: Remote[]): Promise<ResumeRecord | undefined> {
    const { options } = this.#context
    if (await isBegunByAria2(place)) await importAria2Part(place, (remotes[0] as Remote).source)
    const record = await loadResumeRecord(place.journalPath)
    const partSize = await place.partSize()
    if (partSize === undefined || record === undefined) {
      await this.#checkForeignPart(place, partSize ?? 0)
      await place.discard()
      return undefined
    }
    if (options.fresh === true) {
      await place.discard()
      return undefined
    }
    const primary = await findRemoteOf(record, remotes)
    if (primary === undefined) {
      await this.#restart(place, remotes, otherSource(place.partPath, record, remotes))
      return undefined
    }
    if (!canBeContinued(record.identity) || record.identity.size === 0) {
      await place.discard()
      return undefined
    }
    primary.identity = record.identity
    remotes.splice(remotes.indexOf(primary), 1)
    remotes.unshift(primary)
    record.spans.remove({ start: partSize, end: Number.POSITIVE_INFINITY })
    if (options.checksum === undefined) {
      const isUntold = options.pieces === undefined && !isTold(record.identity)
      if (isUntold) keepComparable(record)
      keepUnconfirmed(record)
    }
    return record
  }

  /** A partial file without a journal, even an unreadable one, is not ours to overwrite. */
  async #checkForeignPart(place: PartPlace, size: number): Promise<void> {
    if (size === 0 || (await place.hasJournal()) || this.#context.options.fresh === true) return
    throw new TransferError(
      'target-exists',
      `Cannot use ${place.partPath}: it has ${size} bytes but no journal that says which are good`,
    )
  }

  async #publish(place: PartPlace, file: PartFile): Promise<void> {
    const { options } = this.#context
    const { remoteTime = options.ifNewer === true, onExists, ifNewer } = options
    const modifiedAt = remoteTime ? this.#fetch?.modifiedAt : undefined
    if (modifiedAt !== undefined) await file.setModifiedAt(modifiedAt)
    if (options.makeExecutable === true) await file.makeExecutable()
    await publishFile(place.partPath, place.target, {
      overwrite: onExists === 'overwrite' || ifNewer === true,
    })
    await removeJournal(place.journalPath)
  }

  #proofOf(verifier: Verifier): DownloadProof {
    if (verifier.isProvable) return 'digest'
    if (this.#resumedBytes === 0 && this.#fetch?.requests === 1) return 'single-response'
    const identity = this.#fetch?.identity
    return identity !== undefined && isTold(identity) ? 'validator' : 'overlap'
  }
}

/** What fetching takes. */
interface Means {
  readonly client: RequestClient
  readonly signal: AbortSignal
}

/** The file has changed, or only places are left whose file is perhaps another one. */
function isWorthARestart(error: unknown, remotes: readonly Remote[]): boolean {
  if (isFerryError(error, 'representation-changed')) return true
  const isOfServer = error instanceof NetworkError || isFerryError(error, 'range-mismatch')
  return isOfServer && remotes.some((remote) => remote.error instanceof UnprovenMirror)
}

/** The same change a second time is none: the server says one thing of the whole, and another of a part. */
function contradiction(cause: Error): TransferError {
  return new TransferError(
    'range-mismatch',
    `${cause.message}, and so again after a new beginning: the server contradicts itself`,
    { cause },
  )
}

/** Puts those first that have not failed; another place than the first may have another version. */
function beginAnew(remotes: Remote[]): void {
  for (const remote of remotes) {
    remote.identity = undefined
    remote.conditional = true
    if (remote.error instanceof UnprovenMirror) remote.error = undefined
  }
  if (remotes.every(({ error }) => error !== undefined)) {
    for (const remote of remotes) remote.error = undefined
  }
  remotes.sort((one, other) => Number(one.error !== undefined) - Number(other.error !== undefined))
}

/** The place that a part is from. */
async function findRemoteOf(
  { source, identity }: ResumeRecord,
  remotes: readonly Remote[],
): Promise<Remote | undefined> {
  for (const remote of remotes) {
    if (await mayContinueFrom(source, remote.url, identity)) return remote
  }
  return undefined
}

/**
 * A whole part is published only when its version is confirmed, by a checksum or by the server: its
 * last byte is fetched again, on the condition that nothing has changed.
 */
function keepUnconfirmed({ spans, identity: { size = 0 } }: ResumeRecord): void {
  if (spans.covers({ start: 0, end: size })) spans.remove({ start: size - 1, end: size })
}

/**
 * What is here is compared with the server's where something is fetched right behind it; behind the end
 * of the file there is nothing, so that its last byte comes again.
 */
function keepComparable({ spans, identity: { size = 0 } }: ResumeRecord): void {
  spans.remove({ start: size - 1, end: size })
}

function otherSource(
  partPath: string,
  { source }: ResumeRecord,
  [remote]: readonly Remote[],
): TransferError {
  const label = remote?.url.label ?? ''
  const what = label.split('?', 1)[0] === source.url ? 'that URL with another query' : source.url
  return new TransferError(
    'representation-changed',
    `Cannot go on with ${partPath} from ${label}: it holds a part of ${what}`,
  )
}

/** Closes the client only when it was made here. */
class OwnedClient implements AsyncDisposable {
  readonly client: RequestClient
  readonly #own: HttpClient | undefined

  constructor(shared: RequestClient | undefined) {
    // Several connections are to carry the file; over HTTP/2 one would carry it all.
    this.#own = shared === undefined ? new HttpClient({ http2: 'off' }) : undefined
    this.client = shared ?? (this.#own as HttpClient)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#own?.close()
  }
}

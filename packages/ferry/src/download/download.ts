/**
 * One download from beginning to end: lock, resume or begin, fetch, verify, publish.
 *
 * Owns the files beside the target: `NAME.part` holds the bytes, `NAME.part.journal` says which of
 * them are good, `NAME.part.lock` keeps a second process out. The target itself appears at once and
 * whole, or not at all.
 */
import { access, constants, lstat, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { HttpClient, type RequestClient } from '../client/http-client.ts'
import { ConfigError, isFerryError, TransferError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { FileLock } from '../transfer/file-lock.ts'
import { SpeedMeter } from '../transfer/speed-meter.ts'
import { checkDigest, type Checksum, digestFile } from './checksum.ts'
import { checkLength, FileFetch } from './file-fetch.ts'
import { canBeContinued } from './identity.ts'
import { fileError, PartFile, publishFile } from './part-file.ts'
import { loadResumeRecord, removeJournal, type ResumeRecord } from './resume-record.ts'
import { mayContinueFrom, sourceOf } from './source.ts'
import type { ConnectionProgress } from './worker.ts'

/** Settings of a download. */
export interface DownloadOptions {
  /** Fields of every request. */
  readonly headers?: HeaderFieldsInit
  /** The most connections to use; fewer are used unless more make it faster. @defaultValue 8 */
  readonly maxConnections?: number | undefined
  /** Tries in a row that may bring nothing. @defaultValue 5 */
  readonly maxRetries?: number | undefined
  /** Bytes per second. @defaultValue no limit */
  readonly limitBytesPerSecond?: number | undefined
  /** What the file must have. */
  readonly checksum?: Checksum | undefined
  /** Replaces the target when it exists; otherwise that is an error. @defaultValue false */
  readonly overwrite?: boolean | undefined
  /** Discards what an earlier run has left. @defaultValue false */
  readonly fresh?: boolean | undefined
  /** What to do when the file at the server has become another one. @defaultValue 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined
  /** Shared; its owner closes it. @defaultValue a client of the download's own */
  readonly client?: RequestClient
  /** Stops the download; what has come is kept for the next run. */
  readonly signal?: AbortSignal | undefined
  /** Told of trouble that is being dealt with. */
  readonly onEvent?: (event: DownloadEvent) => void
  readonly clock?: Clock
}

/** Trouble that is being dealt with. */
export type DownloadEvent =
  | {
      readonly type: 'retry'
      readonly error: Error
      readonly attempt: number
      readonly delayMs: number
    }
  | { readonly type: 'restart'; readonly error: Error }

export type DownloadState = 'queued' | 'running' | 'verifying' | 'completed' | 'failed'

/** A look at a download. */
export interface DownloadProgress {
  readonly state: DownloadState
  /** Bytes in all; undefined when not known (yet). */
  readonly size: number | undefined
  /** Bytes of the file that are here. */
  readonly receivedBytes: number
  /**
   * Whether a next run can go on with them: the server has named the version and knows ranges.
   * Otherwise it begins anew.
   */
  readonly resumable: boolean
  /** Those of them that an earlier run had left. */
  readonly resumedBytes: number
  readonly bytesPerSecond: number
  readonly connections: readonly ConnectionProgress[]
}

/** A finished download. */
export interface DownloadResult {
  readonly path: string
  readonly size: number
  /** Bytes that came over the network in this run. */
  readonly fetchedBytes: number
  /** Bytes that an earlier run had left. */
  readonly resumedBytes: number
  readonly elapsedMs: number
  /** The digest that was checked. */
  readonly checksum: Checksum | undefined
}

// A file that changes again and again while it is fetched is not worth an endless loop.
const MAX_RESTARTS = 3
const DEFAULT_MAX_CONNECTIONS = 8
const DEFAULT_MAX_RETRIES = 5
const PART_SUFFIX = '.part'
// Of the files beside the partial one; SQLite makes it.
const LONGEST_SUFFIX = '.lock-journal'
// What a download sets itself.
const OWN_FIELDS = ['range', 'if-range'] as const

/**
 * Starts a download of `url` into the file `target`.
 * @throws {ConfigError} at once, for a URL or option that cannot be used; everything else comes
 * through `result`
 */
export function download(
  url: string | URL,
  target: string,
  options: DownloadOptions = {},
): Download {
  return new Download(HttpUrl.parse(url), resolve(target), options)
}

/** A running download. */
export class Download {
  readonly url: HttpUrl
  /** Where the finished file will be. */
  readonly target: string
  /** Where its bytes are until then. */
  readonly partPath: string
  /**
   * Settles at the end. Rejects with a FerryError, or with the signal's reason; what has come is
   * then kept for the next run.
   */
  readonly result: Promise<DownloadResult>
  readonly #options: DownloadOptions
  readonly #headers: HeaderFields
  readonly #clock: Clock
  readonly #meter = new SpeedMeter()
  #state: DownloadState = 'queued'
  #fetch: FileFetch | undefined
  /** By fetches that were begun anew since. */
  #fetchedBefore = 0
  #resumedBytes = 0
  #lock: FileLock | undefined

  /** @internal use download() */
  constructor(url: HttpUrl, target: string, options: DownloadOptions) {
    checkOptions(options)
    this.#headers = HeaderFields.from(options.headers)
    checkHeaders(this.#headers)
    this.url = url
    this.target = target
    this.partPath = target + PART_SUFFIX
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.result = this.#run()
  }

  get state(): DownloadState {
    return this.#state
  }

  /** How far it is; call it about as often as it is shown, since speed is measured between calls. */
  progress(): DownloadProgress {
    this.#meter.note(this.#clock.now(), this.#fetchedBytes)
    return {
      state: this.#state,
      size: this.#fetch?.identity?.size,
      receivedBytes: this.#fetch?.heldBytes ?? 0,
      resumable: this.#fetch?.isResumable ?? false,
      resumedBytes: this.#resumedBytes,
      bytesPerSecond: this.#meter.bytesPerSecond,
      connections: this.#fetch?.connections ?? [],
    }
  }

  async #run(): Promise<DownloadResult> {
    const startedAt = this.#clock.now()
    try {
      this.#options.signal?.throwIfAborted()
      await this.#checkTarget()
      await using lock = await this.#takeLock()
      this.#lock = lock
      await using _leftover = { [Symbol.asyncDispose]: () => this.#removeEmptyPart() }
      // Whoever held the lock before may have finished.
      await this.#checkTarget()
      this.#state = 'running'
      await using file = await this.#fetchVersion()
      const size = await file.length()
      this.#state = 'verifying'
      await this.#verify()
      // Publishing goes by name; nothing else is to be found there than what was written.
      await this.#checkOurs(file)
      await publishFile(this.partPath, this.target, { overwrite: this.#options.overwrite === true })
      await removeJournal(this.#journalPath)
      this.#state = 'completed'
      return {
        path: this.target,
        size,
        fetchedBytes: this.#fetchedBytes,
        resumedBytes: this.#resumedBytes,
        elapsedMs: this.#clock.now() - startedAt,
        checksum: this.#options.checksum,
      }
    } catch (error) {
      this.#state = 'failed'
      throw error
    }
  }

  get #journalPath(): string {
    return `${this.partPath}.journal`
  }

  get #fetchedBytes(): number {
    return this.#fetchedBefore + (this.#fetch?.fetchedBytes ?? 0)
  }

  async #checkTarget(): Promise<void> {
    const folder = dirname(this.target)
    await access(folder, constants.W_OK).catch((cause: unknown) => {
      throw fileError(`Cannot write into ${folder}`, cause)
    })
    await checkNames(this.partPath)
    const found = await lstat(this.target).catch(() => undefined)
    if (found?.isDirectory() === true) {
      throw new TransferError('not-writable', `Cannot write ${this.target}: it is a folder`)
    }
    if (found !== undefined && this.#options.overwrite !== true) {
      throw new TransferError(
        'target-exists',
        `Cannot write ${this.target}: a file of that name exists`,
      )
    }
  }

  async #takeLock(): Promise<FileLock> {
    try {
      return await FileLock.take(`${this.partPath}.lock`)
    } catch (cause) {
      if (!isFerryError(cause, 'locked')) throw fileError(`Cannot lock ${this.partPath}`, cause)
      throw new TransferError(
        'locked',
        `Cannot write ${this.target}: another download is writing it now`,
        { cause },
      )
    }
  }

  /**
   * Nobody else can write what we hold the lock for, unless somebody has removed the lock's file or
   * the partial one, which then may be another run's by now.
   */
  async #checkOurs(file?: PartFile): Promise<void> {
    const isOurs = (await this.#lock?.isHeld()) === true && (await file?.isInPlace()) !== false
    if (isOurs) return
    throw new TransferError(
      'locked',
      `Cannot finish ${this.target}: somebody has removed or replaced ${this.partPath}, or its lock, meanwhile`,
      { detail: { replaced: true } },
    )
  }

  /** Fetches until every byte of one version is in the file; the caller closes it. */
  async #fetchVersion(): Promise<PartFile> {
    let record = await this.#loadRecord()
    await using client = new OwnedClient(this.#options.client)
    for (let restarts = 0; ; restarts++) {
      try {
        return await this.#fetchOnce(client.client, record)
      } catch (error) {
        if (!isFerryError(error, 'representation-changed') || restarts === MAX_RESTARTS) throw error
        await this.#restart(error)
        record = undefined
      }
    }
  }

  /** Discards what is here, for it is not of what is there now; `onChange: 'fail'` keeps it. */
  async #restart(error: Error): Promise<void> {
    if (this.#options.onChange === 'fail') throw error
    await this.#checkOurs()
    this.#options.onEvent?.({ type: 'restart', error })
    await this.#discard()
  }

  async #fetchOnce(client: RequestClient, record: ResumeRecord | undefined): Promise<PartFile> {
    const file = await PartFile.open(this.partPath)
    try {
      // Something may have been appended to the file meanwhile; what was cut off comes again.
      await file.setLength(record?.identity.size ?? 0)
      const fetch = await this.#createFetch(client, file, record)
      this.#fetchedBefore = this.#fetchedBytes
      this.#resumedBytes = record?.spans.bytes ?? 0
      this.#fetch = fetch
      await fetch.run()
      await checkLength(file, fetch.identity?.size ?? (await file.length()))
      await file.sync()
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async #createFetch(
    client: RequestClient,
    file: PartFile,
    record: ResumeRecord | undefined,
  ): Promise<FileFetch> {
    const { signal, maxConnections, maxRetries, limitBytesPerSecond } = this.#options
    return new FileFetch({
      client,
      url: this.url,
      source: await sourceOf(this.url),
      headers: this.#headers,
      file,
      folder: dirname(this.target),
      journalPath: this.#journalPath,
      record,
      maxConnections: maxConnections ?? DEFAULT_MAX_CONNECTIONS,
      maxRetries: maxRetries ?? DEFAULT_MAX_RETRIES,
      limitBytesPerSecond,
      clock: this.#clock,
      signal: signal ?? new AbortController().signal,
      onRetry: (error, attempt, delayMs) =>
        this.#options.onEvent?.({ type: 'retry', error, attempt, delayMs }),
    })
  }

  /** What an earlier run has left and can be continued; other files of our names are cleared away. */
  async #loadRecord(): Promise<ResumeRecord | undefined> {
    const record = await loadResumeRecord(this.#journalPath)
    const part = await stat(this.partPath).catch(() => undefined)
    if (part === undefined || record === undefined) {
      await this.#checkForeignPart(part?.size ?? 0)
      await this.#discard()
      return undefined
    }
    if (this.#options.fresh === true) {
      await this.#discard()
      return undefined
    }
    if (!(await mayContinueFrom(record.source, this.url, record.identity))) {
      await this.#restart(otherSource(this.partPath, record.source.url, this.url))
      return undefined
    }
    if (!canBeContinued(record.identity) || record.identity.size === 0) {
      await this.#discard()
      return undefined
    }
    record.spans.remove({ start: part.size, end: Number.POSITIVE_INFINITY })
    if (this.#options.checksum === undefined) keepUnconfirmed(record)
    return record
  }

  /** A partial file without a journal, even an unreadable one, is not ours to overwrite. */
  async #checkForeignPart(size: number): Promise<void> {
    const journal = await stat(this.#journalPath).catch(() => undefined)
    if (size === 0 || journal !== undefined || this.#options.fresh === true) return
    throw new TransferError(
      'target-exists',
      `Cannot use ${this.partPath}: it has ${size} bytes but no journal that says which are good`,
    )
  }

  /** A run that got no response leaves nothing behind. */
  async #removeEmptyPart(): Promise<void> {
    if ((await this.#lock?.isHeld()) !== true) return
    const part = await stat(this.partPath).catch(() => undefined)
    const journal = await stat(this.#journalPath).catch(() => undefined)
    if (part?.size === 0 && journal === undefined) await unlink(this.partPath)
  }

  /** In this order: a crash between both leaves a journal without a file, not a file of unknown origin. */
  async #discard(): Promise<void> {
    await unlink(this.partPath).catch(() => {})
    await removeJournal(this.#journalPath)
  }

  async #verify(): Promise<void> {
    const { checksum, signal } = this.#options
    if (checksum === undefined) return
    const actual = await digestFile(this.partPath, checksum.algorithm, { signal })
    checkDigest(this.partPath, checksum, actual)
  }
}

/**
 * A whole part is published only when its version is confirmed, by a checksum or by the server: its
 * last byte is fetched again, on the condition that nothing has changed.
 */
function keepUnconfirmed({ spans, identity: { size = 0 } }: ResumeRecord): void {
  if (spans.covers({ start: 0, end: size })) spans.remove({ start: size - 1, end: size })
}

function otherSource(partPath: string, known: string, url: HttpUrl): TransferError {
  const { label } = url
  const what = label.split('?', 1)[0] === known ? 'that URL with another query' : known
  return new TransferError(
    'representation-changed',
    `Cannot go on with ${partPath} from ${label}: it holds a part of ${what}`,
  )
}

/** @throws {TransferError} when the longest name that a download needs is too long for the system */
async function checkNames(partPath: string): Promise<void> {
  try {
    await lstat(`${partPath}${LONGEST_SUFFIX}`)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENAMETOOLONG') return
    throw fileError(`Cannot write ${partPath}`, cause)
  }
}

/** @throws {ConfigError} when a number is one that could end a download before it is whole, or never */
function checkOptions({ maxConnections, maxRetries, limitBytesPerSecond }: DownloadOptions): void {
  if (maxConnections !== undefined && !(Number.isInteger(maxConnections) && maxConnections >= 1)) {
    throw new ConfigError(
      'maxConnections',
      `Cannot use ${maxConnections} as maxConnections: expected a whole number from 1`,
    )
  }
  if (maxRetries !== undefined && !(maxRetries >= 0)) {
    throw new ConfigError(
      'maxRetries',
      `Cannot use ${maxRetries} as maxRetries: expected a number from 0`,
    )
  }
  if (limitBytesPerSecond !== undefined && !(limitBytesPerSecond > 0)) {
    throw new ConfigError(
      'limitBytesPerSecond',
      `Cannot use ${limitBytesPerSecond} as limitBytesPerSecond: expected a number above 0`,
    )
  }
}

/** @throws {ConfigError} for a field that would make an answer another than the one asked for */
function checkHeaders(headers: HeaderFields): void {
  const own = OWN_FIELDS.find((name) => headers.has(name))
  if (own === undefined) return
  throw new ConfigError(
    'headers',
    `Cannot send the field ${own}: a download asks for the ranges that it needs by itself`,
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

/** Whether an earlier run has left something to go on with for this target. */
export async function partialFileExists(target: string): Promise<boolean> {
  const part = await stat(resolve(target) + PART_SUFFIX).catch(() => undefined)
  return part?.isFile() === true
}

/**
 * The one-call download of the HTTP helper: told with that helper's words and units, and answered with
 * a status instead of an error. Everything else is `download()`.
 */
import { resolve } from 'node:path'
import { HttpClient, type RequestClient } from '../client/http-client.ts'
import { ConfigError, isFerryError, NetworkError } from '../errors.ts'
import type { HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import { download } from './download.ts'

/** How a download has ended. */
export const DownloadStatus = {
  /** The file is there, whole. */
  DONE: 'DONE',
  /** Not all has come; the next call goes on with it. */
  PARTIAL: 'PARTIAL',
  /** The target was there, and was not touched. */
  ALREADY_EXISTS: 'ALREADY_EXISTS',
  /** The request failed, and nothing has come. */
  HTTP_ERROR: 'HTTP_ERROR',
} as const

export type DownloadStatus = (typeof DownloadStatus)[keyof typeof DownloadStatus]

/** Settings; the helper's own spellings are taken, too. */
export interface DownloadWithResumeOptions {
  /** Fields of every request. */
  readonly headers?: HeaderFieldsInit | undefined
  /** Lets its owner execute the file. @defaultValue false */
  readonly makeExecutable?: boolean | undefined
  /** The most bytes to read at once. @defaultValue what is fastest */
  readonly chunkSize?: number | undefined
  /** What sends the requests; its owner closes it. @defaultValue a client of the call's own */
  readonly poolManager?: RequestClient | undefined
  /** Tries in a row that may bring nothing. @defaultValue 10 */
  readonly maxRetries?: number | undefined
  /** Seconds to wait for a connection, a head, or more content; not with `poolManager`. @defaultValue 5 */
  readonly timeout?: number | undefined
  /** Seconds between tries, unless the server names others. @defaultValue 1 */
  readonly waitInterval?: number | undefined
  /** Replaces the target when it exists. @defaultValue false */
  readonly overwriteExisting?: boolean | undefined
  /** Goes on with what an earlier call has left. @defaultValue true */
  readonly resumeExisting?: boolean | undefined
  readonly signal?: AbortSignal | undefined

  readonly make_executable?: boolean | undefined
  readonly chunk_size?: number | undefined
  readonly pool_manager?: RequestClient | undefined
  readonly poll_manager?: RequestClient | undefined
  readonly max_retries?: number | undefined
  readonly wait_interval?: number | undefined
  readonly overwrite_existing?: boolean | undefined
  readonly resume_existing?: boolean | undefined
  readonly resume_from_existing_part_file?: boolean | undefined
}

/** What has come of it. */
export interface DownloadWithResumeResult {
  readonly status: DownloadStatus
  /** Where the file is, or would be. */
  readonly path: string
  /** Why it is not there: with PARTIAL and HTTP_ERROR. */
  readonly error: Error | undefined
}

const DEFAULT_MAX_RETRIES = 10
const DEFAULT_TIMEOUT_SECONDS = 5
const DEFAULT_WAIT_SECONDS = 1

/**
 * Downloads `url` to `target`, and goes on with what an earlier call has left; the target appears whole
 * or not at all. A folder as target takes the name that the server gives.
 * @throws {TransferError} when the file cannot be written
 * @throws {ConfigError} for an option that cannot be used
 */
export async function downloadWithResume(
  url: string | URL,
  target: string,
  options: DownloadWithResumeOptions = {},
): Promise<DownloadWithResumeResult> {
  const settings = readSettings(options)
  await using own = new OwnClient(settings.client, settings.timeoutMs)
  const run = download(url, target, {
    headers: options.headers ?? {},
    client: own.client,
    // As the helper: one connection, in order.
    maxConnections: 1,
    maxRetries: settings.maxRetries,
    retryDelayMs: settings.waitMs,
    maxReadBytes: settings.chunkSize,
    makeExecutable: settings.makeExecutable,
    onExists: settings.overwrite ? 'overwrite' : 'skip',
    fresh: !settings.resume,
    signal: options.signal,
  })
  try {
    const { outcome, path } = await run.result
    const status = outcome === 'skipped' ? 'ALREADY_EXISTS' : 'DONE'
    return { status, path, error: undefined }
  } catch (error) {
    if (!(error instanceof NetworkError) && !isFerryError(error, 'range-mismatch')) throw error
    const { receivedBytes, resumable } = run.progress()
    const isKept = receivedBytes > 0 && resumable
    return { status: isKept ? 'PARTIAL' : 'HTTP_ERROR', path: resolve(run.target), error }
  }
}

interface Settings {
  readonly client: RequestClient | undefined
  readonly maxRetries: number
  readonly timeoutMs: number
  readonly waitMs: number
  readonly chunkSize: number | undefined
  readonly makeExecutable: boolean
  readonly overwrite: boolean
  readonly resume: boolean
}

function readSettings(options: DownloadWithResumeOptions): Settings {
  const { timeout = DEFAULT_TIMEOUT_SECONDS } = options
  const waitInterval = options.waitInterval ?? options.wait_interval ?? DEFAULT_WAIT_SECONDS
  checkSeconds('timeout', timeout)
  checkSeconds('waitInterval', waitInterval)
  return {
    client: options.poolManager ?? options.pool_manager ?? options.poll_manager,
    maxRetries: options.maxRetries ?? options.max_retries ?? DEFAULT_MAX_RETRIES,
    timeoutMs: timeout * 1000,
    waitMs: waitInterval * 1000,
    chunkSize: options.chunkSize ?? options.chunk_size,
    makeExecutable: options.makeExecutable ?? options.make_executable ?? false,
    overwrite: options.overwriteExisting ?? options.overwrite_existing ?? false,
    resume:
      options.resumeExisting ??
      options.resume_existing ??
      options.resume_from_existing_part_file ??
      true,
  }
}

function checkSeconds(option: string, value: number): void {
  if (value >= 0 && value < Number.POSITIVE_INFINITY) return
  throw new ConfigError(option, `Cannot use ${value} as ${option}: expected seconds, 0 or more`)
}

/** A client with these limits of time, unless the caller has one. */
class OwnClient implements AsyncDisposable {
  readonly client: RequestClient
  readonly #own: HttpClient | undefined

  constructor(shared: RequestClient | undefined, timeoutMs: number) {
    const limits = {
      connectTimeoutMs: timeoutMs,
      headersTimeoutMs: timeoutMs,
      bodyTimeoutMs: timeoutMs,
    }
    this.#own = shared === undefined ? new HttpClient({ http2: 'off', ...limits }) : undefined
    this.client = shared ?? (this.#own as HttpClient)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#own?.close()
  }
}

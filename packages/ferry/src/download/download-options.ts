/** What a download may be told, and what it tells; checked when it is given. */
import type { Clock } from '../clock.ts'
import type { RequestClient } from '../client/http-client.ts'
import { ConfigError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import type { FetchEvent } from './file-fetch.ts'
import type { HostLimits } from './host-limits.ts'
import type { Checksum } from './integrity/checksum.ts'
import type { PieceHashes } from './integrity/piece-checker.ts'
import type { ConnectionProgress } from './worker.ts'

/** Settings of a download. */
export interface DownloadOptions {
  /** Fields of every request. */
  readonly headers?: HeaderFieldsInit
  /**
   * Other places that have the same file. They help where a checksum, piece hashes or their entity
   * tags prove that it is the same, and take over where the first place fails.
   */
  readonly mirrors?: readonly (string | URL)[] | undefined
  /** Mirrors are believed to have the same file if its size is. @defaultValue false */
  readonly trustMirrors?: boolean | undefined
  /** The most connections to use; fewer are used unless more make it faster. @defaultValue 8 */
  readonly maxConnections?: number | undefined
  /**
   * The account of connections to each host, shared with other downloads.
   * @defaultValue one that all downloads share, with 16 connections to a host
   */
  readonly hosts?: HostLimits | undefined
  /** Tries in a row that may bring nothing. @defaultValue 5 */
  readonly maxRetries?: number | undefined
  /** The wait between tries in ms, always the same. @defaultValue 500, doubled with each, with jitter */
  readonly retryDelayMs?: number | undefined
  /** Bytes per second; can be changed while it runs. @defaultValue no limit */
  readonly limitBytesPerSecond?: number | undefined
  /** A limit on bytes per second that others share; both hold. */
  readonly limit?: RateLimit | undefined
  /** What the file must have. */
  readonly checksum?: Checksum | undefined
  /** What its pieces must have: each one is checked when it has come, and bad ones come again. */
  readonly pieces?: PieceHashes | undefined
  /** Bytes that the file must have. */
  readonly size?: number | undefined
  /** The most bytes that it may have. @defaultValue no limit */
  readonly maxSizeBytes?: number | undefined
  /**
   * What to do when the target exists: `fail` with target-exists, `overwrite` it, `skip` the
   * download, or `rename` the new file to `name (1).ext`. @defaultValue 'fail'
   */
  readonly onExists?: OnExists | undefined
  /**
   * Fetches only what is newer than the target, which is replaced then (RFC 9110 §13.1.3).
   * @defaultValue false
   */
  readonly ifNewer?: boolean | undefined
  /** Gives the file the server's time of modification. @defaultValue true with `ifNewer` */
  readonly remoteTime?: boolean | undefined
  /** Lets its owner execute the file. @defaultValue false */
  readonly makeExecutable?: boolean | undefined
  /**
   * sparse: the file gets its length at once and its blocks as bytes come · reserved: its blocks, too,
   * where the system can do so. @defaultValue 'sparse'
   */
  readonly allocation?: 'sparse' | 'reserved' | undefined
  /** The most bytes to read from a connection at once. @defaultValue what is fastest */
  readonly maxReadBytes?: number | undefined
  /** Discards what an earlier run has left. @defaultValue false */
  readonly fresh?: boolean | undefined
  /** What to do when the file at the server has become another one. @defaultValue 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined
  /** Shared; its owner closes it. @defaultValue a client of the download's own */
  readonly client?: RequestClient | undefined
  /** Stops the download; what has come is kept for the next run. */
  readonly signal?: AbortSignal | undefined
  /** Told of trouble that is being dealt with. */
  readonly onEvent?: ((event: DownloadEvent) => void) | undefined
  readonly clock?: Clock | undefined
}

/** What to do when the target exists. */
export type OnExists = 'fail' | 'overwrite' | 'skip' | 'rename'

/** Trouble that is being dealt with, and turns that a download takes. */
export type DownloadEvent =
  | FetchEvent
  /** What has come is not of what is there now: all of it comes again. */
  | { readonly type: 'restart'; readonly error: Error }
  /** The server's answer has named the file. */
  | { readonly type: 'named'; readonly path: string }
  | { readonly type: 'state'; readonly state: DownloadState }

/** queued → running → verifying → completed; paused and back to running; failed or cancelled. */
export type DownloadState =
  | 'queued'
  | 'running'
  | 'paused'
  | 'verifying'
  | 'completed'
  | 'failed'
  | 'cancelled'

/**
 * What shows that the file is the one that the server had: a digest · one response that brought it all
 * · a validator that every response named · only that responses agreed where they overlap
 */
export type DownloadProof = 'digest' | 'single-response' | 'validator' | 'overlap'

/** A look at a download. */
export interface DownloadProgress {
  readonly state: DownloadState
  /** Bytes in all; undefined when not known (yet). */
  readonly size: number | undefined
  /** Bytes of the file that are here. */
  readonly receivedBytes: number
  /** Whether a next run can go on with them; otherwise it begins anew. */
  readonly resumable: boolean
  /** Those of them that an earlier run had left. */
  readonly resumedBytes: number
  /** Bytes that came over the network, those that were fetched twice included. */
  readonly fetchedBytes: number
  readonly bytesPerSecond: number
  /** Seconds that the rest will take at this speed; undefined when not known. */
  readonly remainingSeconds: number | undefined
  readonly connections: readonly ConnectionProgress[]
}

/** A finished download. */
export interface DownloadResult {
  /** skipped: the target was there · not-modified: it was, and the server has nothing newer */
  readonly outcome: 'fetched' | 'skipped' | 'not-modified'
  readonly path: string
  readonly size: number
  /** Bytes that came over the network. */
  readonly fetchedBytes: number
  /** Bytes that an earlier run had left. */
  readonly resumedBytes: number
  readonly elapsedMs: number
  /** The digest that was checked: the one asked for, else one that the server has named. */
  readonly checksum: Checksum | undefined
  /** What shows that the file is right; undefined where nothing was fetched. */
  readonly proof: DownloadProof | undefined
}

export const DEFAULT_MAX_CONNECTIONS = 8
export const DEFAULT_MAX_RETRIES = 5
// What a download sets itself.
const OWN_FIELDS = ['range', 'if-range'] as const

/** @throws {ConfigError} when a number is one that could end a download before it is whole, or never */
export function checkOptions(options: DownloadOptions): void {
  const { maxConnections = 1, maxRetries = 0, limitBytesPerSecond = 1, size = 0 } = options
  const { maxSizeBytes = 0 } = options
  if (!(Number.isInteger(maxConnections) && maxConnections >= 1)) {
    refuse('maxConnections', maxConnections, 'a whole number from 1')
  }
  if (!(maxRetries >= 0)) refuse('maxRetries', maxRetries, 'a number from 0')
  if (!(limitBytesPerSecond > 0)) {
    refuse('limitBytesPerSecond', limitBytesPerSecond, 'a number above 0')
  }
  if (!(Number.isSafeInteger(size) && size >= 0)) refuse('size', size, 'a whole number from 0')
  if (!(maxSizeBytes >= 0)) refuse('maxSizeBytes', maxSizeBytes, 'a number from 0')
  const { retryDelayMs = 0, maxReadBytes = 1 } = options
  if (!(retryDelayMs >= 0)) refuse('retryDelayMs', retryDelayMs, 'milliseconds, 0 or more')
  if (!(Number.isInteger(maxReadBytes) && maxReadBytes >= 1)) {
    refuse('maxReadBytes', maxReadBytes, 'a whole number from 1')
  }
  checkHeaders(HeaderFields.from(options.headers))
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

function refuse(name: keyof DownloadOptions, value: unknown, expected: string): never {
  throw new ConfigError(name, `Cannot use ${String(value)} as ${name}: expected ${expected}`)
}

/** What an upload may be told, and what it tells, wherever it runs; checked when it is given. */
import type { Clock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import { NEWEST_INTEROP_VERSION, OLDEST_INTEROP_VERSION } from '../protocol/upload/ietf-messages.ts'
import type { HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { RateLimit } from '../transfer/rate-limit.ts'
import type { WaitReason } from './retry-upload.ts'
import type { CredentialProvider } from './upload-http.ts'
import type {
  ProtocolEvent,
  ProtocolSettings,
  UploadNote,
  UploadProtocolName,
} from './upload-protocol.ts'

/** Settings of an upload, whatever carries it. */
export interface UploadSettings {
  /** What the server is told it is called. @defaultValue the last segment of a path; 'upload' */
  readonly name?: string | undefined
  /** Its media type. @defaultValue that of a Blob; none */
  readonly type?: string | undefined
  /** @defaultValue what the server tells of itself, and the URL */
  readonly protocol?: UploadProtocolName | undefined
  /** Fields of every request. */
  readonly headers?: HeaderFieldsInit | undefined
  /** Asked for at the beginning, and once more when what it gave is refused. */
  readonly credentials?: CredentialProvider | undefined
  /**
   * The most bytes of one request. @defaultValue by IndexedCP 8 MiB, or 1 MiB of a stream and to servers
   * that know no ids; else all, as far as the server lets it
   */
  readonly chunkBytes?: number | undefined
  /** Requests at once, where the server can take them. @defaultValue 4 by IndexedCP; else 1 */
  readonly parallel?: number | undefined
  /**
   * Sends digests, which the server holds what arrives against: of each request, and of the whole
   * where it can be read before. That costs the time to read it twice. @defaultValue false
   */
  readonly checksum?: boolean | undefined
  /**
   * Sends content with the request that creates the upload, which saves one exchange. When its answer
   * is lost, nobody can tell whether the file is there. @defaultValue false
   */
  readonly createWithContent?: boolean | undefined
  /**
   * What to do when the server may have a piece and cannot be asked: `stop` with delivery-in-doubt,
   * or `resend` it, which may double it. @defaultValue 'stop'
   */
  readonly onDoubt?: 'stop' | 'resend' | undefined
  /** Of the IETF's draft, 3 to 9. @defaultValue 9 */
  readonly interopVersion?: number | undefined
  /** What the server is told beside the name, by tus. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Failures in a row that may bring nothing. @defaultValue 10 */
  readonly maxRetries?: number | undefined
  /** The first wait between tries, doubled with each, with jitter. @defaultValue 500 */
  readonly retryDelayMs?: number | undefined
  /** @defaultValue 30 000 */
  readonly maxRetryDelayMs?: number | undefined
  /**
   * While the server cannot be reached: `wait` without limit, or `fail` after `maxRetries`.
   * @defaultValue 'wait' once it has been reached, 'fail' before
   */
  readonly offline?: 'wait' | 'fail' | undefined
  /** How long the server may take nothing of what is sent. @defaultValue 60 000 */
  readonly stallTimeoutMs?: number | undefined
  /** How long the server may take to answer when it has everything. @defaultValue 300 000 */
  readonly answerTimeoutMs?: number | undefined
  /** Bytes per second; can be changed while it runs. @defaultValue no limit */
  readonly limitBytesPerSecond?: number | undefined
  /** A limit on bytes per second that others share; both hold. */
  readonly limit?: RateLimit | undefined
  /** What an earlier run has noted: goes on with that, where source and URL are the same. */
  readonly saved?: UploadNote | undefined
  /** Keeps a note for a later run; resolves when it is kept. The last one counts. */
  readonly onNote?: ((note: UploadNote) => void | Promise<void>) | undefined
  /** Stops the upload; what has been acknowledged stays at the server. */
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: UploadEvent) => void) | undefined
  readonly clock?: Clock | undefined
}

/** queued → running ⇄ waiting → completed; paused and back to running; failed or cancelled. */
export type UploadState =
  | 'queued'
  | 'running'
  | 'waiting'
  | 'paused'
  | 'completed'
  | 'failed'
  | 'cancelled'

/** Trouble that is being dealt with, and turns that an upload takes. */
export type UploadEvent =
  | ProtocolEvent
  | { readonly type: 'state'; readonly state: UploadState }
  /** The server speaks it, or it was asked for. */
  | { readonly type: 'protocol'; readonly protocol: UploadProtocolName }
  | {
      readonly type: 'retry'
      readonly error: Error
      readonly reason: WaitReason
      readonly attempt: number
      readonly delayMs: number
    }
  /** Credentials were refused, and are asked for once more. */
  | { readonly type: 'credentials'; readonly error: Error }
  /** The upload is created anew: the server has lost it, or what was noted is of something else. */
  | { readonly type: 'restart'; readonly error: Error }

/** A look at an upload. */
export interface UploadProgress {
  readonly state: UploadState
  /** Undefined until it is known. */
  readonly protocol: UploadProtocolName | undefined
  /** Bytes in all; undefined while a stream goes on. */
  readonly size: number | undefined
  /** Bytes that the server has acknowledged. */
  readonly acknowledgedBytes: number
  /** These, and what is on its way. */
  readonly sentBytes: number
  /** Those of them that an earlier run had brought. */
  readonly resumedBytes: number
  /** Bytes that went over the network, those that were sent twice included. */
  readonly transmittedBytes: number
  /** When the server may give up what it has, in epoch ms; undefined when it does not say. */
  readonly expiresAt: number | undefined
  readonly bytesPerSecond: number
  /** Seconds that the rest will take at this speed; undefined when not known. */
  readonly remainingSeconds: number | undefined
}

/** A finished upload. */
export interface UploadResult {
  readonly protocol: UploadProtocolName
  /** As the sender calls it. */
  readonly name: string
  /** As the server calls it; undefined when it does not say. */
  readonly remoteName: string | undefined
  /** Of the upload, where it has one. */
  readonly uploadUrl: string | undefined
  readonly size: number
  readonly transmittedBytes: number
  readonly resumedBytes: number
  readonly elapsedMs: number
}

const PROTOCOLS: readonly UploadProtocolName[] = ['indexedcp', 'tus', 'ietf']

/** @throws {ConfigError} when an option cannot be used */
export function checkUploadSettings(options: Omit<UploadSettings, 'onEvent'>): void {
  const { protocol, interopVersion = NEWEST_INTEROP_VERSION } = options
  if (protocol !== undefined && !PROTOCOLS.includes(protocol)) {
    refuse('protocol', protocol, PROTOCOLS.join(', '))
  }
  checkCount(options, 'chunkBytes')
  checkCount(options, 'parallel')
  const isKnown =
    interopVersion >= OLDEST_INTEROP_VERSION && interopVersion <= NEWEST_INTEROP_VERSION
  if (!Number.isInteger(interopVersion) || !isKnown) {
    refuse(
      'interopVersion',
      interopVersion,
      `${OLDEST_INTEROP_VERSION} to ${NEWEST_INTEROP_VERSION}`,
    )
  }
  for (const name of ['stallTimeoutMs', 'answerTimeoutMs', 'limitBytesPerSecond'] as const) {
    const value = options[name]
    if (value !== undefined && !(value > 0)) refuse(name, value, 'a number above 0')
  }
}

/** What protocols go by. */
export function protocolSettingsOf(options: UploadSettings): ProtocolSettings {
  return {
    chunkBytes: options.chunkBytes,
    parallel: options.parallel,
    checksum: options.checksum ?? false,
    createWithContent: options.createWithContent ?? false,
    onDoubt: options.onDoubt ?? 'stop',
    interopVersion: options.interopVersion ?? NEWEST_INTEROP_VERSION,
    metadata: options.metadata ?? {},
  }
}

function checkCount(
  options: Pick<UploadSettings, 'chunkBytes' | 'parallel'>,
  name: 'chunkBytes' | 'parallel',
): void {
  const value = options[name]
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return
  refuse(name, value, 'a whole number from 1')
}

function refuse(name: keyof UploadSettings, value: unknown, expected: string): never {
  throw new ConfigError(name, `Cannot use ${String(value)} as ${name}: expected ${expected}`)
}

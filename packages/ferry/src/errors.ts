/**
 * Every error that Ferry throws on purpose, in one tree.
 *
 *     FerryError                  code, message, cause; toJSON() gives { code, message, detail }
 *     ├── NetworkError            a request failed, for whatever reason
 *     │   ├── ConnectError        no connection: resolve | connect | tls | proxy
 *     │   ├── TimeoutError        too slow: pool | connect | headers | body | attempt | total
 *     │   ├── ProtocolError       the rules of the wire were broken
 *     │   │   ├── LocalProtocolError    by us or by our caller
 *     │   │   └── RemoteProtocolError   by the peer
 *     │   ├── StreamError         the connection broke in the middle of an exchange
 *     │   └── HttpStatusError     a response arrived whose status is not acceptable
 *     ├── TransferError           the file could not be carried whole; the code says why
 *     ├── UploadError             a step of an upload is refused at the receiving side
 *     └── ConfigError             an option that cannot be used
 *
 * Programming mistakes are TypeError and RangeError. An abort rejects with `signal.reason`, untouched.
 * Branch on the class or on `code`; never on the message. Messages name what was attempted first,
 * then what was expected and what came; they carry no credentials.
 */

/** Why an error happened: the closed list that callers and exit codes switch over. */
export type ErrorCode =
  | 'resolve-failed'
  | 'connect-failed'
  | 'tls-failed'
  | 'proxy-failed'
  | 'timeout'
  | 'queue-full'
  | 'local-protocol'
  | 'remote-protocol'
  | 'connection-lost'
  | 'http-status'
  | TransferErrorCode
  | UploadErrorCode
  | 'config'

/** Why a file could not be carried whole. */
export type TransferErrorCode =
  | 'size-mismatch'
  | 'representation-changed'
  | 'checksum-mismatch'
  | 'range-mismatch'
  | 'too-large'
  | 'no-space'
  | 'not-writable'
  | 'target-exists'
  | 'locked'
  | 'disk-failed'
  | 'source-changed'
  | 'delivery-in-doubt'
  | 'outbox-unusable'

/** Why the receiving side refuses a step of an upload. */
export type UploadErrorCode =
  | 'upload-not-found'
  | 'upload-expired'
  | 'upload-complete'
  | 'upload-incomplete'
  | 'upload-is-part'
  | 'upload-lost'
  | 'upload-interrupted'
  | 'upload-too-large'
  | 'offset-mismatch'
  | 'length-mismatch'
  | 'content-mismatch'
  | 'digest-mismatch'
  | 'digest-unsupported'
  | 'quota-exceeded'
  | 'insufficient-storage'
  | 'name-refused'

/** Facts beside the sentence; what `toJSON()` gives as `detail`. */
export type ErrorDetail = Readonly<Record<string, unknown>>

/** The root of every error that Ferry throws on purpose. */
export class FerryError extends Error {
  readonly code: ErrorCode
  readonly detail: ErrorDetail
  /** The brand that `isFerryError` looks for: also on errors of another installed copy. */
  readonly isFerryError: true = true

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { detail?: ErrorDetail } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = new.target.name
    this.code = code
    this.detail = options.detail ?? {}
  }

  toJSON(): { code: ErrorCode; message: string; detail: ErrorDetail } {
    return { code: this.code, message: this.message, detail: this.detail }
  }
}

/** What a client was doing when a request failed. */
export interface FailedRequest {
  readonly method: string
  /** Without credentials and query. */
  readonly url: string
  /** How often it was sent, or tried to be; 0 when it could not even be tried. */
  readonly attempts: number
}

/** A request failed, for whatever reason: what callers of a client catch. */
export class NetworkError extends FerryError {
  #request: FailedRequest | undefined

  /** Undefined for a request that no client has sent. */
  get method(): string | undefined {
    return this.#request?.method
  }

  /** Without credentials and query. */
  get url(): string | undefined {
    return this.#request?.url
  }

  /** How often it was sent, or tried to be. */
  get attempts(): number | undefined {
    return this.#request?.attempts
  }

  /**
   * Says which request it was, once, and how its attempts went: `words` go behind the message, `detail`
   * beside what there is.
   * @internal For the client.
   */
  describe(
    request: FailedRequest,
    { words = '', detail }: { readonly words?: string; readonly detail?: ErrorDetail } = {},
  ): this {
    if (this.#request !== undefined) return this
    this.#request = request
    this.message = nameRequest(this.message, request) + words
    if (detail !== undefined) {
      const { detail: own } = this
      Object.assign(this, { detail: { ...own, ...detail } })
    }
    return this
  }

  override toJSON(): ReturnType<FerryError['toJSON']> {
    const { code, message, detail } = super.toJSON()
    return { code, message, detail: { ...detail, ...this.#request } }
  }
}

/** `Cannot GET http://h/x: ` before what went wrong, which then need not name the request again. */
function nameRequest(message: string, { method, url }: FailedRequest): string {
  if (/^Cannot \S+ https?:/.test(message)) return message
  const what = `${method} ${url}`
  let reason = message
  for (const link of [' to ', ' of ', ' from ', ' ']) {
    const at = reason.indexOf(link + what)
    const end = at + link.length + what.length
    // Another URL may begin with this one.
    if (at !== -1 && /^(?:$|[\s:,])/.test(reason.slice(end))) {
      reason = reason.slice(0, at) + reason.slice(end)
    }
  }
  const words = reason.replace(/^Cannot go on: /, '').replace(/^Cannot /, 'cannot ')
  return `Cannot ${what}: ${words}`
}

/** The step of getting a connection that failed. */
export type ConnectPhase = 'resolve' | 'connect' | 'tls' | 'proxy'

/** No connection could be had. */
export class ConnectError extends NetworkError {
  readonly phase: ConnectPhase

  constructor(
    phase: ConnectPhase,
    message: string,
    options: ErrorOptions & { detail?: ErrorDetail } = {},
  ) {
    super(`${phase}-failed`, message, options)
    this.phase = phase
  }
}

/** The limit that ran out. */
export type TimeoutPhase = 'pool' | 'connect' | 'headers' | 'body' | 'attempt' | 'total'

/** Something took longer than its limit. */
export class TimeoutError extends NetworkError {
  readonly phase: TimeoutPhase
  readonly timeoutMs: number

  constructor(phase: TimeoutPhase, timeoutMs: number, message: string) {
    super('timeout', message, { detail: { phase, timeoutMs } })
    this.phase = phase
    this.timeoutMs = timeoutMs
  }
}

/** The rules of the wire were broken. */
export abstract class ProtocolError extends NetworkError {}

/** We, or the caller through us, tried to send what the protocol forbids. */
export class LocalProtocolError extends ProtocolError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('local-protocol', message, options)
  }
}

/** The peer sent what the protocol forbids, or what could be read in two ways. */
export class RemoteProtocolError extends ProtocolError {
  constructor(message: string, options: ErrorOptions & { detail?: ErrorDetail } = {}) {
    super('remote-protocol', message, options)
  }
}

/** The connection broke in the middle of an exchange. */
export class StreamError extends NetworkError {
  /** Bytes of content that had arrived. */
  readonly bytesReceived: number
  /** Bytes of content that the peer had announced; undefined when it had not. */
  readonly expectedBytes: number | undefined
  /** The bound of ours that the content went beyond; undefined when that was not the reason. */
  readonly maxBytes: number | undefined

  constructor(
    message: string,
    options: ErrorOptions & {
      bytesReceived?: number
      expectedBytes?: number | undefined
      maxBytes?: number
    } = {},
  ) {
    const { bytesReceived = 0, expectedBytes, maxBytes } = options
    super('connection-lost', message, {
      ...options,
      detail: { bytesReceived, expectedBytes, ...(maxBytes === undefined ? {} : { maxBytes }) },
    })
    this.bytesReceived = bytesReceived
    this.expectedBytes = expectedBytes
    this.maxBytes = maxBytes
  }
}

/** A response arrived whose status is not acceptable. */
export class HttpStatusError extends NetworkError {
  readonly status: number
  readonly statusText: string
  /** Name and value of each field of the response. */
  readonly headers: Iterable<readonly [name: string, value: string]>
  /** The beginning of what the server said, when it was text. */
  readonly excerpt: string | undefined

  constructor(
    message: string,
    response: {
      status: number
      statusText: string
      headers: Iterable<readonly [string, string]>
      excerpt?: string | undefined
    },
  ) {
    const { status, statusText, headers, excerpt } = response
    super('http-status', message, { detail: { status, statusText } })
    this.status = status
    this.statusText = statusText
    this.headers = headers
    this.excerpt = excerpt
  }
}

/** The file could not be carried whole; every byte that was good is kept. */
export class TransferError extends FerryError {
  declare readonly code: TransferErrorCode

  constructor(
    code: TransferErrorCode,
    message: string,
    options: ErrorOptions & { detail?: ErrorDetail } = {},
  ) {
    super(code, message, options)
  }
}

/** A step of an upload is refused at the receiving side; every byte acknowledged before is kept. */
export class UploadError extends FerryError {
  declare readonly code: UploadErrorCode

  constructor(
    code: UploadErrorCode,
    message: string,
    options: ErrorOptions & { detail?: ErrorDetail } = {},
  ) {
    super(code, message, options)
  }
}

/** An option that cannot be used. */
export class ConfigError extends FerryError {
  readonly option: string

  constructor(option: string, message: string) {
    super('config', message, { detail: { option } })
    this.option = option
  }
}

/** Tells whether a value is an error of Ferry's (also of another installed copy), and of that code. */
export function isFerryError(value: unknown, code?: ErrorCode): value is FerryError {
  return (
    value instanceof Error &&
    (value as Partial<FerryError>).isFerryError === true &&
    (code === undefined || (value as FerryError).code === code)
  )
}

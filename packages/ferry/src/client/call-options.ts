/** What a call of the client may be told, and what a client may be told for all of its calls. */
import type { HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import type { TlsOptions } from '../net/network-backend.ts'
import type { ConnectionPool } from '../transport/connection-pool.ts'
import type {
  ConnectionPoolOptions,
  ExchangeOptions,
  Http2Choice,
  ProxyChoice,
} from '../transport/pool-options.ts'
import type { StreamProgress } from '../transport/request-stream.ts'
import type { TrailersInit } from '../transport/request-trailers.ts'
import type { ResponseBody } from '../transport/response-body.ts'
import type { ClientResponse } from './client-response.ts'
import type { RequestBodyInit } from './content/body-content.ts'
import type { ParamsInit } from './content/params.ts'
import type { CookieJar } from './cookies/cookie-jar.ts'
import type { ExchangeListener } from './exchange-event.ts'
import type { Interceptor } from './interceptor.ts'
import type { RequestLogger } from './interceptors/log-requests.ts'
import type { RateLimiterSource } from './rate-limit/rate-limiter.ts'
import type { RetryOptions } from './retry/retry-policy.ts'
import type { RetryEvent } from './retry-event.ts'

/** What a call gives, by the name of the format. */
export interface FormatResults<Json = unknown> {
  /** The content, parsed; undefined when there is none. */
  readonly json: Json
  readonly text: string
  readonly bytes: Buffer
  /** The content as it comes; its receiver takes it to the end or cancels it. */
  readonly stream: ResponseBody
  /** Status, fields and content; its receiver takes the content to the end or cancels it. */
  readonly response: ClientResponse
}

/** What becomes of a response. */
export type ResponseFormat = keyof FormatResults

/** What both a client and each of its calls may be told; durations in ms. */
export interface CommonOptions
  extends RetryOptions, Omit<ExchangeOptions, 'signal' | 'onInformation' | 'totalTimeoutMs'> {
  /** What URLs without a scheme are added to; it may have a path. */
  readonly baseUrl?: string | undefined
  /**
   * Added to the query; those of a call beside those of the client. False adds none, those of the
   * client neither: the URL goes as it is.
   */
  readonly params?: ParamsInit | false | undefined
  /**
   * For everything: all attempts, the waits between them, and the content, unless it is given as it
   * comes (`stream`, `response`); then up to the head. @defaultValue 30 000
   */
  readonly timeoutMs?: number | undefined
  /** For one attempt, in the same manner. @defaultValue Infinity */
  readonly attemptTimeoutMs?: number | undefined
  /** Whether a status of 400 or more is an HttpStatusError. @defaultValue true */
  readonly raiseForStatus?: boolean | undefined
  /** Is told before each wait; what it throws fails the call. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
  /** Is told of each request that goes out, and of its response: see `ExchangeEvent`. */
  readonly onExchange?: ExchangeListener | undefined
  /** Redirections followed; 0 gives the redirection itself, for `call.response`. @defaultValue 10 */
  readonly maxRedirects?: number | undefined
  /**
   * False leaves content as it came, and asks for no coding: Accept-Encoding is sent only where
   * `headers` have it. @defaultValue true
   */
  readonly decompress?: boolean | undefined
  /** Most content that is read whole, decoded. @defaultValue 100 MiB */
  readonly maxBytes?: number | undefined
  /**
   * A URL, say; `'environment'` reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; false goes straight.
   * @defaultValue 'environment'
   */
  readonly proxy?: false | ProxyChoice | undefined
  /** False accepts any certificate: for tests and emergencies. @defaultValue true */
  readonly verifySsl?: boolean | undefined
  readonly tls?: TlsOptions | undefined
  /** @defaultValue 'alpn' */
  readonly http2?: Http2Choice | undefined
  /** Resolving, connecting, tunnel and TLS together. @defaultValue 10 000 */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Requests a second, evenly; 0 for no limit. A call's is in the place of the client's, and shared by
   * all calls of the client that name the same number. @defaultValue 0
   */
  readonly maxRateLimit?: number | undefined
  /** A limit that several clients share, instead of `maxRateLimit`. */
  readonly rateLimiter?: RateLimiterSource | undefined
  /**
   * Is told of each attempt, without secrets: see `logRequests()`. What it throws fails the call.
   * @defaultValue none
   */
  readonly logger?: RequestLogger | undefined
  /**
   * True keeps cookies in memory; false for a call neither sends nor keeps any. @defaultValue none are
   * kept
   */
  readonly cookies?: boolean | CookieJar | undefined
  /**
   * Fields that are secret besides Authorization, Cookie and Proxy-Authorization: not sent on to
   * another origin. Those whose names speak of keys, tokens or secrets are anyway. A call's are added
   * to the client's.
   */
  readonly secretHeaders?: readonly string[] | undefined
}

/** Settings of one call. */
export interface CallOptions<Format extends ResponseFormat = ResponseFormat> extends CommonOptions {
  /** Beside those of the client, over which they win; undefined takes one of the client's away. */
  readonly headers?: HeaderFieldsInit | Readonly<Record<string, string | undefined>> | undefined
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent urlencoded. */
  readonly form?: ParamsInit | undefined
  /** Sent as it is; `FormData` and `MultipartForm` as multipart/form-data. */
  readonly body?: RequestBodyInit | undefined
  readonly trailers?: TrailersInit | undefined
  readonly responseFormat?: Format | undefined
  readonly signal?: AbortSignal | undefined
  /** Inside those of the client. */
  readonly interceptors?: readonly Interceptor[] | undefined
  readonly onInformation?: ExchangeOptions['onInformation']
  /**
   * The response whose server has named the URL. Secrets go no further than a redirection from there
   * would take them: to no other origin.
   */
  readonly linkedFrom?: ClientResponse | undefined
  /** What it throws fails the call, as with `onDownloadProgress`. */
  readonly onUploadProgress?: ((progress: StreamProgress) => void) | undefined
  readonly onDownloadProgress?: ((progress: StreamProgress) => void) | undefined
}

/** Settings of a client. */
export interface HttpClientOptions<Format extends ResponseFormat = ResponseFormat>
  extends CommonOptions, Omit<ConnectionPoolOptions, keyof CommonOptions | 'totalTimeoutMs'> {
  /** Fields of every request. */
  readonly headers?: HeaderFieldsInit | undefined
  /** @defaultValue 'json' */
  readonly responseFormat?: Format | undefined
  readonly interceptors?: readonly Interceptor[] | undefined
  /** Shared; its owner closes it. Calls with a `proxy`, `tls` and the like of their own use others. */
  readonly pool?: ConnectionPool | undefined
}

/**
 * The HTTP client: base URL, fields, formats, retries, a limit on the rate, interceptors, redirections,
 * cookies and proxies, on pools of its own or a shared one.
 *
 * Owns the options and what becomes of a response; how a request is sent is in request-sender.ts.
 */
import { type Clock, systemClock } from '../clock.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { createResponseStream } from '../transport/response-stream.ts'
import { ACCEPT_ENCODING } from './body/content-codings.ts'
import { withDownloadProgress } from './body/download-progress.ts'
import {
  buildRequest,
  mergeHeaders,
  type RequestDefaults,
  withCredentials,
} from './build-request.ts'
import type {
  CallOptions,
  FormatResults,
  HttpClientOptions,
  ResponseFormat,
} from './call-options.ts'
import {
  type CallSettings,
  isStreamed,
  resolveCallSettings,
  resolveClientSettings,
} from './call-settings.ts'
import { ClientPools } from './client-pools.ts'
import { ClientResponse } from './client-response.ts'
import { HttpCall } from './http-call.ts'
import { RequestSender, type SentRequest } from './request-sender.ts'

/** What a call gives: by its own format, else by that of its client. */
export type CallResult<
  Client extends ResponseFormat,
  Call extends ResponseFormat | undefined,
  Json,
> = FormatResults<Json>[Call extends ResponseFormat ? Call : Client]

type Url = string | URL | HttpUrl

/** What sends requests as they are, and gives responses as they come: every HttpClient. */
export type RequestClient = Pick<HttpClient, 'send'>

const NO_OPTIONS: CallOptions = Object.freeze({})
// What is read of a refusal that nobody asked to see.
const MAX_EXCERPT_BYTES = 65_536

/** An HTTP client. Whoever makes it closes it; `await using` does. */
export class HttpClient<Format extends ResponseFormat = 'json'> implements AsyncDisposable {
  readonly #options: HttpClientOptions<Format>
  readonly #settings: CallSettings
  readonly #defaults: RequestDefaults
  readonly #pools: ClientPools
  readonly #clock: Clock
  readonly #poolTotalTimeoutMs: number

  /** @throws {ConfigError} when an option cannot be used */
  constructor(options: HttpClientOptions<Format> = {}) {
    this.#options = options
    this.#settings = resolveClientSettings(options)
    this.#clock = options.clock ?? systemClock
    const { timeoutMs } = this.#settings
    this.#poolTotalTimeoutMs = options.pool === undefined ? timeoutMs : Number.NaN
    this.#pools = new ClientPools({ ...options, timeoutMs })
    this.#defaults = {
      baseUrl: options.baseUrl,
      headers: defaultHeaders(options, this.#settings),
      params: options.params,
    }
  }

  get<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>> {
    return this.request('GET', url, options)
  }

  post<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>> {
    return this.request('POST', url, options)
  }

  put<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>> {
    return this.request('PUT', url, options)
  }

  patch<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>> {
    return this.request('PATCH', url, options)
  }

  delete<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>> {
    return this.request('DELETE', url, options)
  }

  options<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>> {
    return this.request('OPTIONS', url, options)
  }

  /** Gives the response itself: its fields are all there is. */
  head(url: Url, options?: CallOptions): HttpCall<ClientResponse> {
    return this.request('HEAD', url, { ...options, responseFormat: 'response' })
  }

  /** Gives the response with its content as it comes; whoever gets it takes or cancels it. */
  stream(method: string, url: Url, options?: CallOptions): HttpCall<ClientResponse> {
    return this.request(method, url, { ...options, responseFormat: 'response' })
  }

  /**
   * Sends a request. Awaiting the call gives what `responseFormat` says; `call.response` gives status
   * and fields as well.
   *
   * Rejects with {HttpStatusError} for a status of 400 or more (see `raiseForStatus`),
   * {ConnectError}, {TimeoutError}, {StreamError}, {RemoteProtocolError}: all of them NetworkErrors;
   * {LocalProtocolError} and {ConfigError} for what cannot be sent; or `signal.reason`.
   */
  request<Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    method: string,
    url: Url,
    options: CallOptions & { readonly responseFormat?: Call } = NO_OPTIONS as CallOptions & {
      readonly responseFormat?: Call
    },
  ): HttpCall<CallResult<Format, Call, Json>> {
    const format = options.responseFormat ?? this.#settings.responseFormat
    const response = this.#call(method, url, options)
    const read = READERS[format] as (
      response: ClientResponse,
    ) => Promise<CallResult<Format, Call, Json>>
    return new HttpCall(response, read)
  }

  /**
   * Sends a request as it is, with what the client adds of fields, and gives the response as it comes,
   * whatever its status: for programs that look after the rest themselves.
   * @throws as `request`, but for HttpStatusError
   */
  async send(request: HttpRequest, options: CallOptions = NO_OPTIONS): Promise<HttpResponse> {
    const settings = resolveCallSettings(options, this.#settings)
    const headers = mergeHeaders(this.#defaults.headers, request.headers)
    const sent = request.withHeaders(withCredentials(headers, request.url))
    const { response } = await this.#sender(sent, options, settings, false).send()
    return response
  }

  /** A client with further options over these, on the same connections where they allow it. */
  extend<Other extends ResponseFormat = Format>(
    options: HttpClientOptions<Other>,
  ): HttpClient<Other> {
    const pool = options.pool ?? this.#pools.poolFor({})
    const headers = mergeHeaders(HeaderFields.from(this.#options.headers), options.headers)
    const interceptors = [...(this.#options.interceptors ?? []), ...(options.interceptors ?? [])]
    const merged = { ...this.#options, ...options, headers, interceptors, pool }
    return new HttpClient<Other>(merged as HttpClientOptions<Other>)
  }

  /** Closes the client's own connections; those of a shared pool stay. Idempotent. */
  close(): Promise<void> {
    return this.#pools.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #call(method: string, url: Url, options: CallOptions): Promise<ClientResponse> {
    const settings = resolveCallSettings(options, this.#settings)
    const request = buildRequest(method, url, options, this.#defaults)
    const sender = this.#sender(request, options, settings, !isStreamed(settings))
    const sent = await sender.send()
    const response = this.#toResponse(sent, options, settings)
    if (settings.raiseForStatus && response.status >= 400) {
      // It may say more than the status does; if it does not come, the status has to do.
      await response.excerpt(MAX_EXCERPT_BYTES)
      throw sender.describe(response.toError())
    }
    return response
  }

  #sender(
    request: HttpRequest,
    options: CallOptions,
    settings: CallSettings,
    isWhole: boolean,
  ): RequestSender {
    const { signal, onInformation } = options
    return new RequestSender(request, {
      pool: this.#pools.poolFor(options),
      settings,
      clock: this.#clock,
      signal,
      onInformation,
      isWhole,
      poolTotalTimeoutMs: this.#poolTotalTimeoutMs,
    })
  }

  #toResponse(
    { response, bytes, request, attempts }: SentRequest,
    { onDownloadProgress }: CallOptions,
    { maxBytes }: CallSettings,
  ): ClientResponse {
    const shown =
      onDownloadProgress === undefined
        ? response
        : response.replaceBody(
            withDownloadProgress(
              bytes === undefined ? response.body : createResponseStream(bytes),
              onDownloadProgress,
            ),
          )
    return new ClientResponse(shown, { request, attempts, maxBytes, bytes })
  }
}

/** How each format is made of a response. */
const READERS: { readonly [Name in ResponseFormat]: (response: ClientResponse) => unknown } = {
  json: (response) => response.json(),
  text: (response) => response.text(),
  bytes: (response) => response.bytes(),
  stream: (response) => response.body,
  response: (response) => response,
}

function defaultHeaders(
  { headers }: HttpClientOptions,
  { responseFormat, decompress }: CallSettings,
): HeaderFields {
  let own = HeaderFields.from(headers)
  if (!own.has('accept')) {
    own = own.append('Accept', responseFormat === 'json' ? 'application/json, */*;q=0.5' : '*/*')
  }
  if (decompress && !own.has('accept-encoding'))
    own = own.append('Accept-Encoding', ACCEPT_ENCODING)
  if (!own.has('user-agent')) own = own.append('User-Agent', 'ferry')
  return own
}

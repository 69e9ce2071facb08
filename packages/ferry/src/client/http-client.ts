/**
 * The HTTP client: base URL, fields, formats, retries, a limit on the rate, interceptors, redirections,
 * cookies and proxies, on pools of its own or a shared one.
 *
 * Owns the options and what becomes of a response; how a request is sent is in request-sender.ts.
 */
import { type Clock, systemClock } from '../clock.ts'
import { ConfigError, type HttpStatusError, NetworkError, StreamError } from '../errors.ts'
import { isToken } from '../protocol/semantics/grammar.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { buildRequest, joinUrl, mergeHeaders, withCredentials } from './build-request.ts'
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
import { encodeParams, type ParamsInit } from './content/params.ts'
import { checkCallOptions, checkClientOptions } from './check-options.ts'
import {
  checkBaseUrl,
  type ClientDefaults,
  createDefaults,
  defaultsFor,
} from './client-defaults.ts'
import { ClientPools } from './client-pools.ts'
import { ClientResponse } from './client-response.ts'
import { createFetch, type Fetch, type FetchClient } from './fetch/create-fetch.ts'
import { HttpCall } from './http-call.ts'
import { RequestSender } from './request-sender.ts'

/** What a call gives: by its own format, else by that of its client. */
export type CallResult<
  Client extends ResponseFormat,
  Call extends ResponseFormat | undefined,
  Json,
> = FormatResults<Json>[Call extends ResponseFormat ? Call : Client]

type Url = string | URL | HttpUrl

/** Sends a request with one method: as `HttpClient.request()`. */
interface MethodCall<Format extends ResponseFormat> {
  <Json = unknown, Call extends ResponseFormat | undefined = undefined>(
    url: Url,
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>>
  /** For `get<User>(url, { responseFormat: 'json' })`: what is named by hand is not found out. */
  <Json>(url: Url, options: JsonCallOptions): HttpCall<Json>
}

type JsonCallOptions = CallOptions & { readonly responseFormat: 'json' }

/** What sends requests as they are, and gives responses as they come: every HttpClient. */
export type RequestClient = Pick<HttpClient, 'send'>

const NO_OPTIONS: CallOptions = Object.freeze({})
// What is read of a refusal that nobody asked to see.
const MAX_EXCERPT_BYTES = 65_536

/** What a client made by `extend()` has in common with the one that it was made from. */
interface SharedParts {
  readonly pools: ClientPools | undefined
  readonly limiters: CallSettings['limiters']
  readonly jar: CallSettings['jar']
}

// It is only a courtesy.
const MAX_EXCERPT_MS = 1000
/** What a client may say of its connections; a client with others has pools of its own. */
const CONNECTION_NAMES: readonly (keyof HttpClientOptions)[] = [
  'proxy',
  'verifySsl',
  'tls',
  'http2',
  'backend',
  'socketPath',
  'connectTimeoutMs',
  'idleTimeoutMs',
  'maxConnections',
  'maxConnectionsPerOrigin',
  'maxConnectionAgeMs',
  'maxRequestsPerConnection',
  'pingIntervalMs',
  'pingTimeoutMs',
  'trace',
]

/** An HTTP client. Whoever makes it closes it; `await using` does. */
export class HttpClient<Format extends ResponseFormat = 'json'> implements AsyncDisposable {
  readonly #options: HttpClientOptions<Format>
  readonly #settings: CallSettings
  readonly #defaults: ClientDefaults
  readonly #pools: ClientPools
  readonly #ownsPools: boolean
  readonly #closing = new AbortController()
  #fetch: Fetch | undefined
  readonly #clock: Clock
  readonly #poolTotalTimeoutMs: number | undefined

  /** @throws {ConfigError} when an option cannot be used */
  constructor(options?: HttpClientOptions<Format>)
  /** @internal For `extend()`. */
  constructor(options: HttpClientOptions<Format>, shared?: SharedParts)
  constructor(options: HttpClientOptions<Format> = {}, shared?: SharedParts) {
    checkClientOptions(options)
    this.#options = options
    if (options.pool !== undefined) checkSharedPool(options)
    const settings = resolveClientSettings(options)
    const { timeoutMs } = settings
    this.#settings =
      shared === undefined
        ? settings
        : {
            ...settings,
            limiters: shared.limiters ?? settings.limiters,
            jar: shared.jar ?? settings.jar,
          }
    this.#clock = options.clock ?? systemClock
    this.#ownsPools = shared?.pools === undefined
    this.#pools = shared?.pools ?? new ClientPools({ ...options, timeoutMs })
    const isOwnPool = this.#ownsPools && options.pool === undefined
    this.#poolTotalTimeoutMs = isOwnPool ? timeoutMs : undefined
    this.#defaults = createDefaults(options)
  }

  readonly get: MethodCall<Format> = this.#methodCall('GET')
  readonly post: MethodCall<Format> = this.#methodCall('POST')
  readonly put: MethodCall<Format> = this.#methodCall('PUT')
  readonly patch: MethodCall<Format> = this.#methodCall('PATCH')
  readonly delete: MethodCall<Format> = this.#methodCall('DELETE')
  readonly options: MethodCall<Format> = this.#methodCall('OPTIONS')

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
    options?: CallOptions & { readonly responseFormat?: Call },
  ): HttpCall<CallResult<Format, Call, Json>>
  request<Json>(method: string, url: Url, options: JsonCallOptions): HttpCall<Json>
  request(method: string, url: Url, options: CallOptions = NO_OPTIONS): HttpCall<unknown> {
    const format = options.responseFormat ?? this.#settings.responseFormat
    return new HttpCall(this.#call(method, url, options), READERS[format])
  }

  /**
   * Sends a request as it is, with what the client adds of fields, and gives the response as it comes,
   * whatever its status: for programs that look after the rest themselves.
   * @throws as `request`, but for HttpStatusError
   */
  async send(request: HttpRequest, options: CallOptions = NO_OPTIONS): Promise<HttpResponse> {
    const settings = this.#settingsFor(options)
    const defaults = settings.decompress ? this.#defaults.decoded : this.#defaults.coded
    const headers = mergeHeaders(defaults.any.headers, request.headers)
    const sent = request.withHeaders(withCredentials(headers, request.url))
    const sender = this.#sender(sent, options, settings, false)
    try {
      const { response } = await sender.send()
      response.body.explainFailure((error) => sender.describe(error))
      return response
    } catch (error) {
      throw sender.explain(error)
    } finally {
      sender[Symbol.dispose]()
    }
  }

  /**
   * The platform's `fetch` on this client, with its fields, limits and connections; see `createFetch()`.
   * It may be handed on by itself.
   */
  get fetch(): Fetch {
    return (this.#fetch ??= createFetch(this as unknown as FetchClient))
  }

  /**
   * A client with further options over these: fields, parameters and interceptors are added, others
   * replaced. It uses the same connections, unless its options speak of connections, and the same limit
   * on the rate and cookies, unless it has its own. Closing it leaves what is shared open.
   */
  extend<Other extends ResponseFormat = Format>(
    options: HttpClientOptions<Other>,
  ): HttpClient<Other> {
    const given = definedOf(options)
    const parent = this.#options
    const merged = {
      ...parent,
      ...given,
      headers: mergeHeaders(HeaderFields.from(parent.headers), options.headers),
      interceptors: [...(parent.interceptors ?? []), ...(options.interceptors ?? [])],
      params: mergeParams(parent.params, options.params),
    } as HttpClientOptions<Other>
    const isElsewhere = 'pool' in given || CONNECTION_NAMES.some((name) => name in given)
    const limits = given.maxRateLimit !== undefined || given.rateLimiter !== undefined
    // What the parent has shared does not go with what is asked for here.
    const own = {
      ...merged,
      ...(isElsewhere && given.pool === undefined ? { pool: undefined } : {}),
      ...(given.maxRateLimit === undefined ? {} : { rateLimiter: given.rateLimiter }),
    }
    return new HttpClient<Other>(own, {
      pools: isElsewhere ? undefined : this.#pools,
      limiters: limits ? undefined : this.#settings.limiters,
      jar: given.cookies === undefined ? this.#settings.jar : undefined,
    })
  }

  /**
   * Ends every call, and closes the client's own connections; those of a shared pool stay. Content that
   * is given as it comes goes on there. A closed client makes no more calls. Idempotent.
   */
  async close(): Promise<void> {
    this.#closing.abort(new StreamError('Cannot go on: the client was closed'))
    if (this.#ownsPools) await this.#pools.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #methodCall(method: string): MethodCall<Format> {
    const call = (url: Url, options?: CallOptions): HttpCall<unknown> =>
      this.request(method, url, options)
    return call as MethodCall<Format>
  }

  async #call(method: string, url: Url, options: CallOptions): Promise<ClientResponse> {
    const settings = this.#settingsFor(options)
    const request = this.#build(method, url, options, settings)
    const sender = this.#sender(request, options, settings, !isStreamed(settings))
    try {
      const { response: received, bytes } = await sender.send()
      const { request: answered, attempts } = sender
      const { maxBytes } = settings
      const response = new ClientResponse(received, {
        request: answered,
        attempts,
        maxBytes,
        bytes,
        secretsOrigin: sender.secretsOrigin,
      })
      if (!settings.raiseForStatus || response.status < 400) return response
      throw await this.#refuse(response, sender.limit.signal)
    } catch (error) {
      throw sender.explain(error)
    } finally {
      sender[Symbol.dispose]()
    }
  }

  /** @throws as `buildRequest()`, with the request named where its URL can be read */
  #build(method: string, url: Url, options: CallOptions, settings: CallSettings): HttpRequest {
    const usual = defaultsFor(settings, this.#defaults)
    const { baseUrl } = options
    const defaults = baseUrl === undefined ? usual : { ...usual, baseUrl }
    try {
      return buildRequest(method, url, options, defaults)
    } catch (error) {
      // What is no method names no request.
      if (!(error instanceof NetworkError) || !isToken(method)) throw error
      const { label } = HttpUrl.parse(joinUrl(url, defaults.baseUrl))
      throw error.describe({ method, url: label, attempts: 0 })
    }
  }

  /** The error for a status that is not accepted, with the beginning of what the server says. */
  async #refuse(response: ClientResponse, signal: AbortSignal): Promise<HttpStatusError> {
    // It may say more than the status does; if it does not come soon, the status has to do.
    const cancel = this.#clock.after(MAX_EXCERPT_MS, () => response.cancel(), { background: true })
    await response.excerpt(MAX_EXCERPT_BYTES, signal)
    cancel()
    this.#closing.signal.throwIfAborted()
    return response.toError()
  }

  #settingsFor(options: CallOptions): CallSettings {
    if (options === NO_OPTIONS) return this.#settings
    checkCallOptions(options)
    if (options.baseUrl !== undefined) checkBaseUrl(options.baseUrl)
    return resolveCallSettings(options, this.#settings)
  }

  #sender(
    request: HttpRequest,
    options: CallOptions,
    settings: CallSettings,
    isWhole: boolean,
  ): RequestSender {
    const { signal, onInformation, onDownloadProgress, linkedFrom } = options
    return new RequestSender(request, {
      pool: this.#pools.poolFor(options),
      settings,
      clock: this.#clock,
      signal,
      closing: this.#closing.signal,
      onInformation,
      onDownloadProgress,
      linkedFrom,
      isWhole,
      poolTotalTimeoutMs: this.#poolTotalTimeoutMs,
    })
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

/** @throws {ConfigError} when there are options for connections that are made already */
function checkSharedPool(options: HttpClientOptions): void {
  const name = CONNECTION_NAMES.find((each) => options[each] !== undefined)
  if (name === undefined) return
  throw new ConfigError(
    name,
    `Cannot use ${name} together with pool: the connections of a shared pool are its own`,
  )
}

/** What of some options says something: undefined says nothing. */
function definedOf<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<Options>
}

function mergeParams(
  parent: ParamsInit | false | undefined,
  own: ParamsInit | false | undefined,
): ParamsInit | false | undefined {
  if (!parent || !own) return own ?? parent
  return new URLSearchParams(`${encodeParams(parent)}&${encodeParams(own)}`)
}

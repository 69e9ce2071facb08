/**
 * The HTTP client: requests with default fields, redirects, credentials from URLs, retries and one
 * deadline over everything, on a pool of its own or a shared one.
 */
import { wait } from '../clock.ts'
import { HttpStatusError, NetworkError, TimeoutError } from '../errors.ts'
import { formatBasicCredentials } from '../protocol/semantics/basic-credentials.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import type { ConnectionPoolOptions } from '../transport/pool-options.ts'
import { HttpRequest, type HttpRequestInit } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { decideRedirect } from './redirect.ts'
import { backoffDelayMs, isRetryableError, isRetryableStatus } from './retry-policy.ts'

/** Settings of a client; those of its pool apply when it makes one. */
export interface HttpClientOptions extends ConnectionPoolOptions {
  /** Fields of every request; those of a call win. */
  readonly headers?: HeaderFieldsInit
  /** Redirections followed in one call. @defaultValue 10 */
  readonly maxRedirects?: number
  /** Further tries after a failed one, for idempotent requests. @defaultValue 0 */
  readonly retries?: number
  /** Shared; its owner closes it. @defaultValue a pool of the client's own */
  readonly pool?: ConnectionPool | undefined
}

/** Settings of one call. */
export interface RequestOptions extends HttpRequestInit {
  readonly signal?: AbortSignal | undefined
  /** Limit on everything up to the response's head, retries included; in ms. */
  readonly timeoutMs?: number
  readonly retries?: number
}

const DEFAULT_MAX_REDIRECTS = 10
// A discarded body shorter than this is read to its end, which keeps the connection.
const MAX_DRAIN_BYTES = 65_536

/** An HTTP client. Whoever makes it closes it. */
export class HttpClient implements AsyncDisposable {
  readonly #pool: ConnectionPool
  readonly #ownsPool: boolean
  readonly #headers: HeaderFields
  readonly #maxRedirects: number
  readonly #retries: number

  constructor(options: HttpClientOptions = {}) {
    this.#pool = options.pool ?? new ConnectionPool(options)
    this.#ownsPool = options.pool === undefined
    this.#headers = HeaderFields.from(options.headers)
    this.#maxRedirects = options.maxRedirects ?? DEFAULT_MAX_REDIRECTS
    this.#retries = options.retries ?? 0
  }

  /**
   * Sends a request and gives the final response, whatever its status. `response.url` tells where it
   * came from. The caller takes its body to the end or cancels it.
   * @throws {NetworkError} when there is no response, {TimeoutError} phase `total`, or `signal.reason`
   */
  async request(
    method: string,
    url: string | URL | HttpUrl,
    options: RequestOptions = {},
  ): Promise<HttpResponse> {
    const request = this.#prepare(new HttpRequest(method, url, options))
    const { timeoutMs } = options
    if (timeoutMs === undefined) return this.#sendWithRetries(request, options, options.signal)
    const deadline = new AbortController()
    const timer = setTimeout(
      () =>
        deadline.abort(
          new TimeoutError(
            'total',
            timeoutMs,
            `Cannot ${method} ${request.url.label}: no response within ${timeoutMs} ms`,
          ),
        ),
      timeoutMs,
    )
    const signal =
      options.signal === undefined
        ? deadline.signal
        : AbortSignal.any([options.signal, deadline.signal])
    try {
      return await this.#sendWithRetries(request, options, signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Closes the client's own pool; a shared one stays open. */
  async close(): Promise<void> {
    if (this.#ownsPool) await this.#pool.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #sendWithRetries(
    request: HttpRequest,
    options: RequestOptions,
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    const retries =
      request.idempotent && request.replayable ? (options.retries ?? this.#retries) : 0
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt > retries
      let failure: unknown
      try {
        const response = await this.#follow(request, signal)
        if (isLast || !isRetryableStatus(response.status)) return response
        failure = statusError(response)
        await discard(response)
      } catch (error) {
        if (isLast || signal?.aborted === true || !isRetryableError(error)) throw error
        failure = error
      }
      await wait(backoffDelayMs(failure, attempt + 1, Math.random(), Date.now()), signal)
    }
  }

  async #follow(request: HttpRequest, signal: AbortSignal | undefined): Promise<HttpResponse> {
    let current = request
    for (let redirects = 0; ; redirects++) {
      const response = await this.#pool.request(current, { signal })
      const next = decideRedirect(current, response)
      if (next === undefined) return response
      await discard(response)
      if (redirects === this.#maxRedirects) {
        throw new NetworkError(
          'remote-protocol',
          `Cannot ${request.method} ${request.url.label}: more than ${this.#maxRedirects} redirections`,
        )
      }
      current = next
    }
  }

  /** Adds the client's fields, and the credentials of the URL unless the call has its own. */
  #prepare(request: HttpRequest): HttpRequest {
    let { headers } = request
    for (const [name, value] of this.#headers) {
      if (!request.headers.has(name)) headers = headers.append(name, value)
    }
    const { credentials } = request.url
    if (credentials !== undefined && !headers.has('authorization')) {
      headers = headers.append('Authorization', formatBasicCredentials(credentials))
    }
    return headers === request.headers ? request : request.withHeaders(headers)
  }
}

/** The error for a response whose status is not acceptable. */
export function statusError(response: HttpResponse): HttpStatusError {
  const { status, statusText, url } = response
  const words = statusText === '' ? String(status) : `${status} ${statusText}`
  return new HttpStatusError(`Cannot fetch ${url.label}: the server answered ${words}`, response)
}

/** Gives the connection of an unwanted response back, reading a short body to its end. */
async function discard(response: HttpResponse): Promise<void> {
  const { body } = response
  if ((body.length ?? Number.POSITIVE_INFINITY) > MAX_DRAIN_BYTES) body.cancel()
  else await body.bytes(MAX_DRAIN_BYTES).catch(() => {})
}

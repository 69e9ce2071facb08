/**
 * Sends a request for the client, whatever that takes: attempts and the waits between them, the limit
 * on the rate, redirections, cookies, interceptors, decoding. What is to be done is decided elsewhere
 * (decide-retry.ts, redirect.ts, rate-limiter.ts); this is the order of it:
 *
 *     interceptors around the call → attempts → interceptors around each → redirections → limit → pool
 */
import { type Clock, wait } from '../clock.ts'
import { NetworkError, RemoteProtocolError, StreamError, TimeoutError } from '../errors.ts'
import type { ConnectionPool } from '../transport/connection-pool.ts'
import type { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { ExchangeOptions } from '../transport/pool-options.ts'
import { createResponseStream } from '../transport/response-stream.ts'
import { decodeBody } from './body/decode-body.ts'
import { withDownloadProgress } from './body/download-progress.ts'
import { CallLimit } from './call-limit.ts'
import type { CallOptions } from './call-options.ts'
import type { CallSettings } from './call-settings.ts'
import { tellExchange } from './exchange-event.ts'
import { type Interceptor, sendThrough } from './interceptor.ts'
import { discardBody } from './interceptors/discard-body.ts'
import type { Permit } from './rate-limit/permit.ts'
import type { RateLimiter } from './rate-limit/rate-limiter.ts'
import { decideRedirect } from './redirect.ts'
import { withoutSecrets } from './secret-fields.ts'
import { type AttemptOutcome, outcomeOf } from './retry/attempt-outcome.ts'
import { decideRetry } from './retry/decide-retry.ts'
import {
  type AttemptRecord,
  describeAttempts,
  formatDuration,
  recordAttempt,
} from './retry/describe-attempts.ts'

/** What a request is sent with. */
export interface SendOptions {
  readonly pool: ConnectionPool
  readonly settings: CallSettings
  readonly clock: Clock
  /** The caller's. */
  readonly signal: AbortSignal | undefined
  /** Of the client; its reason is what calls that wait fail with. */
  readonly closing: AbortSignal
  readonly onInformation: ExchangeOptions['onInformation']
  readonly onDownloadProgress: CallOptions['onDownloadProgress']
  readonly linkedFrom: CallOptions['linkedFrom']
  /** Content is read as part of each attempt; otherwise limits of time hold up to the head. */
  readonly isWhole: boolean
  /**
   * The pool's own limit for an exchange, which need not be told again; undefined for a pool that
   * others use too, whose closing is not the client's.
   */
  readonly poolTotalTimeoutMs: number | undefined
}

/** What came of it. */
export interface ReceivedResponse {
  readonly response: HttpResponse
  /** The content, where it was read as part of the attempt. */
  readonly bytes: Buffer | undefined
  readonly failure?: never
}

/** What an attempt has come to. */
type AttemptResult = ReceivedResponse | { readonly response?: never; readonly failure: unknown }

/** The sending of one request; `send()` may be called once. Whoever makes it disposes of it. */
export class RequestSender implements Disposable {
  readonly #request: HttpRequest
  readonly #options: SendOptions
  readonly #startedAt: number
  readonly #deadline: number
  readonly #records: AttemptRecord[] = []
  #attempts = 0
  /** When the last attempt began. */
  #attemptAt = 0
  #attemptDeadline = Number.POSITIVE_INFINITY
  #last: HttpRequest
  /** A redirection has led to another origin. */
  #hasLeft = false
  /** The wait that the server asked for in vain, in ms. */
  #askedMs: number | undefined
  #limit: CallLimit | undefined

  constructor(request: HttpRequest, options: SendOptions) {
    const { clock, settings } = options
    this.#request = request
    this.#last = request
    this.#options = options
    this.#startedAt = clock.now()
    this.#deadline = this.#startedAt + settings.timeoutMs
  }

  /**
   * What ends the call where the pool does not see to it: in waits, queues and interceptors. Made when
   * it is first needed.
   */
  get limit(): CallLimit {
    const { clock, signal, closing } = this.#options
    this.#limit ??= new CallLimit({
      clock,
      deadline: this.#deadline,
      signals: [signal, closing],
      onDeadline: () => this.#timeout('total'),
    })
    return this.#limit
  }

  /** The request that was sent last, of several. */
  get request(): HttpRequest {
    return this.#last
  }

  /** The origin that secrets went to; undefined when the way to it had left one. */
  get secretsOrigin(): string | undefined {
    const { key } = this.#last.url.origin
    return this.#hasLeft || !this.#takesSecrets(key) ? undefined : key
  }

  /** How often it was tried. */
  get attempts(): number {
    return this.#attempts
  }

  /** @throws what `explain()` makes an error for the caller of */
  send(): Promise<ReceivedResponse> {
    const { settings, signal, closing } = this.#options
    signal?.throwIfAborted()
    closing.throwIfAborted()
    return settings.aroundCall.length === 0
      ? this.#sendWithRetries(this.#request)
      : this.#sendThroughCall()
  }

  /**
   * Gives the error for the caller: one of ours says which request it was and how often it was tried;
   * after an abort it is `signal.reason` as it is.
   */
  explain(error: unknown): unknown {
    const { signal } = this.#options
    if (signal?.aborted === true) return signal.reason
    return error instanceof Error ? this.describe(error) : error
  }

  /** The same for content that breaks off later, whose taker may have chosen the error. */
  describe(error: Error): Error {
    const { closing } = this.#options
    if (!(error instanceof NetworkError)) return error
    // All calls of a client end with the same one when it is closed.
    const own = error === closing.reason ? new StreamError(error.message) : error
    const { method, url } = this.#request
    const elapsedMs = this.#options.clock.now() - this.#startedAt
    const { text, detail } = describeAttempts(this.#records, elapsedMs)
    const asked =
      this.#askedMs === undefined
        ? ''
        : `, not tried again: the server asks to wait ${formatDuration(this.#askedMs)}`
    const words = (text === '' ? '' : `, ${text}`) + asked
    return own.describe({ method, url: url.label, attempts: this.#attempts }, { words, detail })
  }

  /** Lets go of what has limited the call; the content of its response is not limited by it. */
  [Symbol.dispose](): void {
    this.#limit?.[Symbol.dispose]()
  }

  async #sendThroughCall(): Promise<ReceivedResponse> {
    const response = await this.#through(this.#options.settings.aroundCall, this.#request, {
      attempt: 1,
      send: async (request) => {
        const { response: inner, bytes } = await this.#sendWithRetries(request)
        return bytes === undefined ? inner : inner.replaceBody(createResponseStream(bytes))
      },
    })
    return { response, bytes: undefined }
  }

  /** Interceptors may wait for whatever they like; the call does not wait longer than it may. */
  #through(
    interceptors: readonly Interceptor[],
    request: HttpRequest,
    how: { attempt: number; send: (request: HttpRequest) => Promise<HttpResponse> },
  ): Promise<HttpResponse> {
    const { limit } = this
    const { decompress: decoded } = this.#options.settings
    const late = sendThrough(interceptors, request, { ...how, decoded, signal: limit.signal })
    const response = limit.race(late)
    response.catch(() => {
      // Nobody is left to take what comes too late.
      late.then(({ body }) => body.cancel()).catch(() => {})
    })
    return response
  }

  // ── Attempts

  async #sendWithRetries(request: HttpRequest): Promise<ReceivedResponse> {
    const { clock } = this.#options
    for (;;) {
      const number = ++this.#attempts
      const result = await this.#attempt(request, number)
      const { response } = result
      if (response !== undefined && !this.#isRetryable(response.status)) {
        if (number > 1) this.#note(number, result)
        return result
      }
      const outcome = this.#note(number, result)
      const delayMs = await this.#delayBefore(request, number, result, outcome)
      if (delayMs === undefined) return this.#finish(result)
      if (response !== undefined) await discardBody(response, clock)
      this.#tellRetry(outcome, number, delayMs)
      await wait(delayMs, this.limit.signal, clock)
    }
  }

  /** Keeps what an error is to say of an attempt. */
  #note(number: number, result: AttemptResult): AttemptOutcome {
    const outcome = this.#outcomeOf(result)
    const durationMs = this.#options.clock.now() - this.#attemptAt
    this.#records.push(recordAttempt(number, outcome, durationMs))
    return outcome
  }

  #isRetryable(status: number): boolean {
    return this.#options.settings.retry.retryStatuses.has(status)
  }

  /** The last of several attempts, whose content has not been read in case there were another. */
  async #finish(result: AttemptResult): Promise<ReceivedResponse> {
    if (result.response === undefined) throw result.failure
    const { response } = result
    try {
      return { response, bytes: await this.#readWhole(response) }
    } catch (error) {
      throw this.#translate(error)
    }
  }

  #outcomeOf({ response, failure }: AttemptResult): AttemptOutcome {
    if (response !== undefined) {
      const { status, headers } = response
      return { type: 'response', status, headers }
    }
    const { signal, closing } = this.#options
    const isOver = signal?.aborted === true || closing.aborted
    return isOver ? { type: 'aborted' } : outcomeOf(failure)
  }

  /** @returns undefined when there is no further try */
  async #delayBefore(
    request: HttpRequest,
    number: number,
    { response }: AttemptResult,
    outcome: AttemptOutcome,
  ): Promise<number | undefined> {
    const { clock, settings } = this.#options
    const decision = decideRetry(
      {
        number,
        method: request.method,
        replayable: request.replayable,
        outcome,
        elapsedMs: clock.now() - this.#startedAt,
        totalTimeoutMs: settings.timeoutMs,
        random: Math.random(),
        now: Date.now(),
      },
      settings.retry,
    )
    if (decision.type === 'stop') {
      this.#askedMs = decision.askedMs
      return undefined
    }
    const { shouldRetry } = settings.retry
    if (shouldRetry === undefined) return decision.delayMs
    try {
      const asked = Promise.resolve(shouldRetry({ attempt: number, outcome, decision }))
      return (await this.limit.race(asked)) ? decision.delayMs : undefined
    } catch (error) {
      response?.body.cancel()
      throw error
    }
  }

  #tellRetry(outcome: AttemptOutcome, attempt: number, delayMs: number): void {
    const { reason } = this.#records.at(-1) as AttemptRecord
    const error =
      outcome.type === 'error' && outcome.error instanceof Error ? outcome.error : undefined
    const status = outcome.type === 'response' ? outcome.status : undefined
    this.#options.settings.onRetry?.({ attempt, reason, error, status, delayMs })
  }

  async #attempt(request: HttpRequest, attempt: number): Promise<AttemptResult> {
    const { settings, clock } = this.#options
    this.#attemptAt = clock.now()
    this.#hasLeft = false
    this.#attemptDeadline = this.#attemptAt + settings.attemptTimeoutMs
    try {
      const response =
        settings.aroundAttempt.length === 0
          ? await this.#follow(request, await this.#sendOne(request, 0), 0)
          : await this.#through(settings.aroundAttempt, request, {
              attempt,
              send: async (one) => this.#follow(one, await this.#sendOne(one, 0), 0),
            })
      // What is tried again is not read, unless it was the last try.
      const isRead = !this.#isRetryable(response.status)
      return { response, bytes: isRead ? await this.#readWhole(response) : undefined }
    } catch (error) {
      return { failure: this.#translate(error) }
    }
  }

  /** The content, where it is wanted whole; that of an error is only quoted. */
  #readWhole(response: HttpResponse): Promise<Buffer> | undefined {
    const { settings, isWhole } = this.#options
    if (!isWhole || (settings.raiseForStatus && response.status >= 400)) return undefined
    return response.body.bytes(settings.maxBytes)
  }

  /** Whose time has run out: that of the attempt, or of all of them. */
  #translate(error: unknown): unknown {
    if (!(error instanceof TimeoutError) || error.phase !== 'total') return error
    return this.#timeout(this.#phase)
  }

  /** The limit that comes first. */
  get #phase(): 'attempt' | 'total' {
    return this.#attemptDeadline < this.#deadline ? 'attempt' : 'total'
  }

  #timeout(phase: 'attempt' | 'total'): TimeoutError {
    const { settings } = this.#options
    const { method, url } = this.#request
    const limitMs = phase === 'total' ? settings.timeoutMs : settings.attemptTimeoutMs
    return new TimeoutError(
      phase,
      limitMs,
      `Cannot ${method} ${url.label}: not done within ${limitMs} ms`,
    )
  }

  // ── One attempt

  /** The response that one leads to in the end; itself, decoded, where it is no redirection. */
  #follow(
    request: HttpRequest,
    response: HttpResponse,
    redirects: number,
  ): HttpResponse | Promise<HttpResponse> {
    const { maxRedirects } = this.#options.settings
    const next = maxRedirects === 0 ? undefined : this.#decideRedirect(request, response)
    if (next === undefined) return this.#decode(response, request)
    return this.#redirect(next, response, redirects + 1)
  }

  async #redirect(
    next: HttpRequest,
    response: HttpResponse,
    redirects: number,
  ): Promise<HttpResponse> {
    const { clock, settings } = this.#options
    const { maxRedirects } = settings
    await discardBody(response, clock)
    if (redirects > maxRedirects) {
      const { method, url } = this.#request
      throw new RemoteProtocolError(
        `Cannot ${method} ${url.label}: more than ${maxRedirects} redirections`,
      )
    }
    this.#hasLeft ||= next.url.origin.key !== response.url.origin.key
    return this.#follow(next, await this.#sendOne(next, redirects), redirects)
  }

  #decideRedirect(request: HttpRequest, response: HttpResponse): HttpRequest | undefined {
    try {
      return decideRedirect(request, response, this.#options.settings.secretHeaders)
    } catch (error) {
      response.body.cancel()
      throw error
    }
  }

  #sendOne(request: HttpRequest, redirects: number): Promise<HttpResponse> {
    const { limiters, jar, onExchange, secretHeaders } = this.#options.settings
    // Here, since interceptors add credentials too.
    const sent = this.#takesSecrets(request.url.origin.key)
      ? request
      : request.withHeaders(withoutSecrets(request.headers, secretHeaders))
    this.#last = sent
    const isPlain = limiters === undefined && jar === undefined && onExchange === undefined
    return isPlain ? this.#exchange(sent) : this.#sendObserved(sent, redirects)
  }

  /** Whether secrets may go to an origin: to any that the program itself names. */
  #takesSecrets(originKey: string): boolean {
    const { linkedFrom } = this.#options
    return linkedFrom === undefined || linkedFrom.secretsOrigin === originKey
  }

  /** Within the limit on the rate, with cookies, and telling of it. */
  async #sendObserved(request: HttpRequest, redirects: number): Promise<HttpResponse> {
    const { limiters, jar, onExchange } = this.#options.settings
    const limiter = limiters?.limiterFor(request.url.origin.key)
    const permit = limiter === undefined ? undefined : await this.#acquire(limiter)
    let response: HttpResponse | undefined
    try {
      const sent = jar === undefined ? request : await withCookies(request, jar)
      const facts = { request: sent, attempt: this.#attempts, redirects }
      const send = (): Promise<HttpResponse> => this.#exchange(sent)
      response = await (onExchange === undefined ? send() : tellExchange(onExchange, facts, send))
      if (permit !== undefined) response.body.onEnd(() => permit.release())
      limiter?.note(response)
      if (jar !== undefined) await keepCookies(response, jar)
      return response
    } catch (error) {
      if (response === undefined) permit?.release()
      else response.body.cancel()
      throw error
    }
  }

  #acquire(limiter: RateLimiter): Permit | Promise<Permit> {
    return limiter.tryAcquire() ?? limiter.acquire({ signal: this.limit.signal })
  }

  #exchange(request: HttpRequest): Promise<HttpResponse> {
    const { pool, settings, signal, onInformation, isWhole, poolTotalTimeoutMs, clock } =
      this.#options
    const deadline = Math.min(this.#deadline, this.#attemptDeadline)
    const leftMs = Math.ceil(deadline - clock.now())
    if (leftMs <= 0) return Promise.reject(this.#timeout(this.#phase))
    if (!isWhole) return this.#exchangeHead(request, leftMs)
    // What closes the client ends its calls on the pool of somebody else too.
    const ending = poolTotalTimeoutMs === undefined ? this.limit.signal : signal
    const totalTimeoutMs = leftMs === poolTotalTimeoutMs ? undefined : leftMs
    const isUsual = ending === undefined && onInformation === undefined
    if (isUsual && totalTimeoutMs === undefined) return pool.request(request, settings.timeouts)
    return pool.request(request, {
      ...settings.timeouts,
      signal: ending,
      onInformation,
      totalTimeoutMs,
    })
  }

  /** The limits of time end with the head; the caller's signal goes on. */
  async #exchangeHead(request: HttpRequest, leftMs: number): Promise<HttpResponse> {
    const { pool, settings, signal, closing, onInformation, clock } = this.#options
    const exchange = {
      ...settings.timeouts,
      totalTimeoutMs: Number.POSITIVE_INFINITY,
      onInformation,
    }
    const isPoolOwn = this.#options.poolTotalTimeoutMs !== undefined
    // A pool of the client's own is closed with it.
    if (leftMs === Number.POSITIVE_INFINITY && isPoolOwn) {
      return pool.request(request, { ...exchange, signal })
    }
    const limit = new CallLimit({
      clock,
      deadline: clock.now() + leftMs,
      signals: [signal, closing],
      onDeadline: () => this.#timeout(this.#phase),
    })
    try {
      const response = await pool.request(request, { ...exchange, signal: limit.signal })
      limit.stopTime()
      response.body.onEnd(() => limit[Symbol.dispose]())
      return response
    } catch (error) {
      limit[Symbol.dispose]()
      throw error
    }
  }

  /** As the caller sees it: decoded, and its progress told. */
  #decode(response: HttpResponse, { method, url }: HttpRequest): HttpResponse {
    const { settings, onDownloadProgress } = this.#options
    let { body } = response
    if (settings.decompress && response.headers.has('content-encoding')) {
      body = decodeBody(body, response.headers, { what: `${method} ${url.label}` })
    }
    if (onDownloadProgress !== undefined) body = withDownloadProgress(body, onDownloadProgress)
    return body === response.body ? response : response.replaceBody(body)
  }
}

async function withCookies(
  request: HttpRequest,
  jar: NonNullable<CallSettings['jar']>,
): Promise<HttpRequest> {
  if (request.headers.has('cookie')) return request
  const cookies = await jar.getCookies(request.url)
  return cookies === '' ? request : request.withHeader('Cookie', cookies)
}

async function keepCookies(
  { url, headers }: HttpResponse,
  jar: NonNullable<CallSettings['jar']>,
): Promise<void> {
  const lines = headers.getAll('set-cookie')
  if (lines.length > 0) await jar.setCookies(url, lines)
}

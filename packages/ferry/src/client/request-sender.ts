/**
 * Sends a request for the client, whatever that takes: attempts and the waits between them, the limit
 * on the rate, redirections, cookies, interceptors, decoding. What is to be done is decided elsewhere
 * (decide-retry.ts, redirect.ts, rate-limiter.ts); this is the order of it:
 *
 *     interceptors around the call → attempts → interceptors around each → redirections → limit → pool
 */
import { type Clock, wait } from '../clock.ts'
import { NetworkError, TimeoutError } from '../errors.ts'
import type { ConnectionPool } from '../transport/connection-pool.ts'
import type { HttpRequest } from '../transport/http-request.ts'
import type { HttpResponse } from '../transport/http-response.ts'
import type { ExchangeOptions } from '../transport/pool-options.ts'
import { createResponseStream } from '../transport/response-stream.ts'
import { decodeBody } from './body/decode-body.ts'
import type { CallSettings } from './call-settings.ts'
import { sendThrough } from './interceptor.ts'
import { discardBody } from './interceptors/discard-body.ts'
import type { Permit } from './rate-limit/permit.ts'
import type { RateLimiter } from './rate-limit/rate-limiter.ts'
import { decideRedirect } from './redirect.ts'
import { type AttemptOutcome, outcomeOf } from './retry/attempt-outcome.ts'
import { decideRetry } from './retry/decide-retry.ts'
import { type AttemptRecord, describeAttempts, recordAttempt } from './retry/describe-attempts.ts'

/** What a request is sent with. */
export interface SendOptions {
  readonly pool: ConnectionPool
  readonly settings: CallSettings
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
  readonly onInformation: ExchangeOptions['onInformation']
  /** Content is read as part of each attempt; otherwise limits of time hold up to the head. */
  readonly isWhole: boolean
  /** The pool's own limit for an exchange, which need not be told again. */
  readonly poolTotalTimeoutMs: number
}

/** What came of it. */
export interface SentRequest {
  readonly response: HttpResponse
  /** The content, where it was read as part of the attempt. */
  readonly bytes: Buffer | undefined
  /** The request that was answered, the last of several. */
  readonly request: HttpRequest
  readonly attempts: number
}

/** What came of one attempt. */
interface Received {
  readonly response: HttpResponse
  readonly bytes: Buffer | undefined
}

/** The sending of one request; `send()` may be called once. */
export class RequestSender {
  readonly #request: HttpRequest
  readonly #options: SendOptions
  readonly #startedAt: number
  readonly #deadline: number
  readonly #records: AttemptRecord[] = []
  #attempts = 0
  #last: HttpRequest

  constructor(request: HttpRequest, options: SendOptions) {
    const { clock, settings } = options
    this.#request = request
    this.#last = request
    this.#options = options
    this.#startedAt = clock.now()
    this.#deadline = this.#startedAt + settings.timeoutMs
  }

  /**
   * @throws {NetworkError} which says how often and how it was tried; `signal.reason` as it is
   */
  async send(): Promise<SentRequest> {
    const { settings, signal } = this.#options
    try {
      const { response, bytes } =
        settings.aroundCall.length === 0
          ? await this.#sendWithRetries(this.#request)
          : await this.#sendThroughCall()
      return { response, bytes, request: this.#last, attempts: this.#attempts }
    } catch (error) {
      if (signal?.aborted === true) throw error
      throw this.describe(error)
    }
  }

  /** Says in an error which request it was and how often it was tried. */
  describe(error: unknown): unknown {
    if (!(error instanceof NetworkError)) return error
    const { method, url } = this.#request
    const elapsedMs = this.#options.clock.now() - this.#startedAt
    const { text } = describeAttempts(this.#records, elapsedMs)
    const request = { method, url: url.label, attempts: this.#attempts }
    return error.describe(request, text === '' ? undefined : text)
  }

  async #sendThroughCall(): Promise<Received> {
    const { settings, signal } = this.#options
    const response = await sendThrough(settings.aroundCall, this.#request, {
      attempt: 1,
      signal,
      send: async (request) => {
        const { response: inner, bytes } = await this.#sendWithRetries(request)
        return bytes === undefined ? inner : inner.replaceBody(createResponseStream(bytes))
      },
    })
    return { response, bytes: undefined }
  }

  // ── Attempts

  async #sendWithRetries(request: HttpRequest): Promise<Received> {
    const { clock, settings } = this.#options
    for (;;) {
      const number = ++this.#attempts
      const attemptAt = clock.now()
      let received: Received | undefined
      let failure: unknown
      try {
        received = await this.#attempt(request, number)
        if (!settings.retry.retryStatuses.has(received.response.status)) return received
      } catch (error) {
        failure = this.#translate(error)
      }
      const outcome = this.#outcomeOf(received, failure)
      this.#records.push(recordAttempt(number, outcome, clock.now() - attemptAt))
      const delayMs = await this.#delayBefore(request, number, outcome)
      if (delayMs === undefined) {
        if (received === undefined) throw failure
        return received
      }
      if (received !== undefined) await discardBody(received.response)
      this.#tellRetry(outcome, number, delayMs)
      await wait(delayMs, this.#options.signal, clock)
    }
  }

  #outcomeOf(received: Received | undefined, failure: unknown): AttemptOutcome {
    if (received !== undefined) {
      const { status, headers } = received.response
      return { type: 'response', status, headers }
    }
    return this.#options.signal?.aborted === true ? { type: 'aborted' } : outcomeOf(failure)
  }

  /** @returns undefined when there is no further try */
  async #delayBefore(
    request: HttpRequest,
    number: number,
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
    if (decision.type === 'stop') return undefined
    const { shouldRetry } = settings.retry
    if (shouldRetry === undefined) return decision.delayMs
    return (await shouldRetry({ attempt: number, outcome, decision }))
      ? decision.delayMs
      : undefined
  }

  #tellRetry(outcome: AttemptOutcome, attempt: number, delayMs: number): void {
    const { reason } = this.#records.at(-1) as AttemptRecord
    const error =
      outcome.type === 'error' && outcome.error instanceof Error ? outcome.error : undefined
    const status = outcome.type === 'response' ? outcome.status : undefined
    this.#options.settings.onRetry?.({ attempt, reason, error, status, delayMs })
  }

  async #attempt(request: HttpRequest, attempt: number): Promise<Received> {
    const { settings, signal, isWhole } = this.#options
    const send = (one: HttpRequest): Promise<HttpResponse> => this.#follow(one)
    const response =
      settings.aroundAttempt.length === 0
        ? await this.#follow(request)
        : await sendThrough(settings.aroundAttempt, request, { attempt, signal, send })
    if (!isWhole) return { response, bytes: undefined }
    return { response, bytes: await response.body.bytes(settings.maxBytes) }
  }

  /** Whose time has run out: that of the attempt, or of all of them. */
  #translate(error: unknown): unknown {
    if (!(error instanceof TimeoutError) || error.phase !== 'total') return error
    const { clock, settings } = this.#options
    const { method, url } = this.#request
    const isOver = clock.now() >= this.#deadline
    const limitMs = isOver ? settings.timeoutMs : settings.attemptTimeoutMs
    return new TimeoutError(
      isOver ? 'total' : 'attempt',
      limitMs,
      `Cannot ${method} ${url.label}: not done within ${limitMs} ms`,
    )
  }

  // ── One attempt

  async #follow(request: HttpRequest): Promise<HttpResponse> {
    const { maxRedirects, secretHeaders } = this.#options.settings
    let current = request
    for (let redirects = 0; ; redirects++) {
      this.#last = current
      const response = await this.#sendOne(current)
      if (maxRedirects === 0) return response
      const next = decideRedirect(current, response, secretHeaders)
      if (next === undefined) return response
      await discardBody(response)
      if (redirects === maxRedirects) {
        throw new NetworkError(
          'remote-protocol',
          `Cannot ${request.method} ${request.url.label}: more than ${maxRedirects} redirections`,
        )
      }
      current = next
    }
  }

  async #sendOne(request: HttpRequest): Promise<HttpResponse> {
    const { limiters, jar } = this.#options.settings
    const limiter = limiters?.limiterFor(request.url.origin.key)
    const permit = limiter === undefined ? undefined : await this.#acquire(limiter)
    let response: HttpResponse
    try {
      const sent = jar === undefined ? request : await withCookies(request, jar)
      response = await this.#exchange(sent)
    } catch (error) {
      permit?.release()
      throw error
    }
    if (permit !== undefined) response.body.onEnd(() => permit.release())
    limiter?.note(response)
    if (jar !== undefined) await keepCookies(response, jar)
    return this.#decode(response, request)
  }

  #acquire(limiter: RateLimiter): Permit | Promise<Permit> {
    const permit = limiter.tryAcquire()
    if (permit !== undefined) return permit
    const { clock, signal } = this.#options
    const timeoutMs = Math.max(1, this.#deadline - clock.now())
    return limiter.acquire({ signal, timeoutMs })
  }

  #exchange(request: HttpRequest): Promise<HttpResponse> {
    const { pool, settings, signal, onInformation, isWhole, poolTotalTimeoutMs, clock } =
      this.#options
    const leftMs = this.#deadline - clock.now()
    const totalTimeoutMs = Math.max(1, Math.min(leftMs, settings.attemptTimeoutMs))
    if (!isWhole) return this.#exchangeHead(request, totalTimeoutMs)
    return pool.request(request, {
      ...settings.timeouts,
      signal,
      onInformation,
      totalTimeoutMs: totalTimeoutMs === poolTotalTimeoutMs ? undefined : totalTimeoutMs,
    })
  }

  /** The limit of time ends with the head. */
  async #exchangeHead(request: HttpRequest, timeoutMs: number): Promise<HttpResponse> {
    const { pool, settings, signal, onInformation, clock } = this.#options
    const options = {
      ...settings.timeouts,
      totalTimeoutMs: Number.POSITIVE_INFINITY,
      onInformation,
    }
    if (timeoutMs === Number.POSITIVE_INFINITY) return pool.request(request, { ...options, signal })
    const deadline = new AbortController()
    const cancel = clock.after(timeoutMs, () => {
      const what = `${request.method} ${request.url.label}`
      deadline.abort(
        new TimeoutError('total', timeoutMs, `Cannot ${what}: no response within ${timeoutMs} ms`),
      )
    })
    try {
      return await pool.request(request, {
        ...settings.timeouts,
        totalTimeoutMs: Number.POSITIVE_INFINITY,
        onInformation,
        signal: signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]),
      })
    } finally {
      cancel()
    }
  }

  #decode(response: HttpResponse, { method, url }: HttpRequest): HttpResponse {
    if (!this.#options.settings.decompress) return response
    const body = decodeBody(response.body, response.headers, { what: `${method} ${url.label}` })
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

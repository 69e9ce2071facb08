/** The settings of one call, with those of its client and every default in their place. */
import { ConfigError } from '../errors.ts'
import type { ExchangeOptions } from '../transport/pool-options.ts'
import type {
  CallOptions,
  CommonOptions,
  HttpClientOptions,
  ResponseFormat,
} from './call-options.ts'
import type { CookieJar } from './cookies/cookie-jar.ts'
import { createCookieJar } from './cookies/create-cookie-jar.ts'
import type { Interceptor } from './interceptor.ts'
import { logRequests } from './interceptors/log-requests.ts'
import { RateLimiter, type RateLimiterSource } from './rate-limit/rate-limiter.ts'
import { DEFAULT_RETRY_POLICY, resolveRetryPolicy, type RetryPolicy } from './retry/retry-policy.ts'

/** How a call is made. */
export interface CallSettings {
  readonly responseFormat: ResponseFormat
  readonly raiseForStatus: boolean
  /** For everything, or up to the head: see `isStreamed`. */
  readonly timeoutMs: number
  readonly attemptTimeoutMs: number
  /** Limits on the parts of an exchange; those left out are the pool's. */
  readonly timeouts: ExchangeOptions
  readonly retry: RetryPolicy
  readonly onRetry: CommonOptions['onRetry']
  readonly onExchange: CommonOptions['onExchange']
  readonly limiters: RateLimiterSource | undefined
  readonly aroundCall: readonly Interceptor[]
  readonly aroundAttempt: readonly Interceptor[]
  readonly maxRedirects: number
  readonly secretHeaders: readonly string[]
  readonly jar: CookieJar | undefined
  readonly decompress: boolean
  readonly maxBytes: number
}

const TIMEOUT_NAMES = [
  'poolTimeoutMs',
  'headersTimeoutMs',
  'bodyTimeoutMs',
  'continueTimeoutMs',
] as const
/** Names of what a call may set for itself, besides the request and the connection. */
const CALL_NAMES = [
  'responseFormat',
  'raiseForStatus',
  'timeoutMs',
  'attemptTimeoutMs',
  ...TIMEOUT_NAMES,
  'retries',
  'retryDelayMs',
  'maxRetryDelayMs',
  'retryBackoff',
  'jitter',
  'retryStatuses',
  'retryMethods',
  'retryOnTimeout',
  'maxRetryAfterMs',
  'shouldRetry',
  'onRetry',
  'onExchange',
  'interceptors',
  'maxRedirects',
  'decompress',
  'maxBytes',
] as const satisfies readonly (keyof CallOptions)[]

const FORMATS: Readonly<Record<ResponseFormat, true>> = {
  json: true,
  text: true,
  bytes: true,
  stream: true,
  response: true,
}

/**
 * The settings of a client, for a call that says nothing.
 * @throws {ConfigError} when one cannot be used
 */
export function resolveClientSettings(options: HttpClientOptions): CallSettings {
  const { cookies = false, secretHeaders = [], logger } = options
  // Innermost: it tells of what is really sent.
  const interceptors = [
    ...(options.interceptors ?? []),
    ...(logger === undefined ? [] : [logRequests(logger)]),
  ]
  return {
    responseFormat: formatOf(options.responseFormat ?? 'json'),
    raiseForStatus: options.raiseForStatus ?? true,
    timeoutMs: durationOf('timeoutMs', options.timeoutMs ?? 30_000),
    attemptTimeoutMs: durationOf(
      'attemptTimeoutMs',
      options.attemptTimeoutMs ?? Number.POSITIVE_INFINITY,
    ),
    timeouts: timeoutsOf(options),
    retry: resolveRetryPolicy(options, DEFAULT_RETRY_POLICY),
    onRetry: options.onRetry,
    onExchange: options.onExchange,
    limiters: limitersOf(options),
    aroundCall: interceptors.filter(({ scope }) => scope !== 'attempt'),
    aroundAttempt: interceptors.filter(({ scope }) => scope === 'attempt'),
    maxRedirects: countOf('maxRedirects', options.maxRedirects ?? 10),
    secretHeaders,
    jar: typeof cookies === 'boolean' ? (cookies ? createCookieJar() : undefined) : cookies,
    decompress: options.decompress ?? true,
    // What a program can hold without noticing; more is for a stream.
    maxBytes: countOf('maxBytes', options.maxBytes ?? 104_857_600),
  }
}

/**
 * The settings of a call: its own, else those of the client, which are given back when there is none.
 * @throws {ConfigError} when one cannot be used
 */
export function resolveCallSettings(options: CallOptions, client: CallSettings): CallSettings {
  if (CALL_NAMES.every((name) => options[name] === undefined)) return client
  const { interceptors = [] } = options
  return {
    ...client,
    responseFormat: formatOf(options.responseFormat ?? client.responseFormat),
    raiseForStatus: options.raiseForStatus ?? client.raiseForStatus,
    timeoutMs: durationOf('timeoutMs', options.timeoutMs ?? client.timeoutMs),
    attemptTimeoutMs: durationOf(
      'attemptTimeoutMs',
      options.attemptTimeoutMs ?? client.attemptTimeoutMs,
    ),
    timeouts: { ...client.timeouts, ...timeoutsOf(options) },
    retry: resolveRetryPolicy(options, client.retry),
    onRetry: options.onRetry ?? client.onRetry,
    onExchange: options.onExchange ?? client.onExchange,
    aroundCall: [...client.aroundCall, ...interceptors.filter(({ scope }) => scope !== 'attempt')],
    aroundAttempt: [
      ...client.aroundAttempt,
      ...interceptors.filter(({ scope }) => scope === 'attempt'),
    ],
    maxRedirects: countOf('maxRedirects', options.maxRedirects ?? client.maxRedirects),
    decompress: options.decompress ?? client.decompress,
    maxBytes: countOf('maxBytes', options.maxBytes ?? client.maxBytes),
  }
}

/** Whether content is given as it comes, so that limits of time hold up to the head. */
export function isStreamed({ responseFormat }: CallSettings): boolean {
  return responseFormat === 'stream' || responseFormat === 'response'
}

function limitersOf({
  rateLimiter,
  maxRateLimit = 0,
  clock,
}: HttpClientOptions): RateLimiterSource | undefined {
  if (rateLimiter !== undefined || maxRateLimit === 0) return rateLimiter
  if (!(maxRateLimit > 0)) {
    throw new ConfigError(
      'maxRateLimit',
      `Cannot use maxRateLimit ${maxRateLimit}: expected 0 or more`,
    )
  }
  return new RateLimiter({ requestsPerSecond: maxRateLimit, clock })
}

function formatOf(value: ResponseFormat): ResponseFormat {
  if (value in FORMATS) return value
  const accepted = Object.keys(FORMATS).join(', ')
  throw new ConfigError(
    'responseFormat',
    `Cannot use responseFormat ${JSON.stringify(value)}: expected ${accepted}`,
  )
}

/** What is said of the limits on the parts of an exchange; a pool of the client's own has it too. */
function timeoutsOf(options: CommonOptions): ExchangeOptions {
  const given = TIMEOUT_NAMES.filter((name) => options[name] !== undefined)
  return Object.fromEntries(given.map((name) => [name, options[name]]))
}

function durationOf(name: string, value: number): number {
  // The types are for those who use them.
  if (typeof value === 'number' && value > 0) return value
  throw new ConfigError(name, `Cannot use ${name} ${String(value)}: expected milliseconds above 0`)
}

function countOf(name: string, value: number): number {
  if (value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY))
    return value
  throw new ConfigError(
    name,
    `Cannot use ${name} ${String(value)}: expected a whole number, 0 or above`,
  )
}

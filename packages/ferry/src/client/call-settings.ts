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
import { logRequests, type RequestLogger } from './interceptors/log-requests.ts'
import { LimitersByRate } from './rate-limit/limiters-by-rate.ts'
import type { RateLimiterSource } from './rate-limit/rate-limiter.ts'
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
  /** For calls with a rate of their own. */
  readonly limitersByRate: LimitersByRate
  /** Those of the client and of the call, in their order. */
  readonly interceptors: readonly Interceptor[]
  readonly logger: RequestLogger | undefined
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
  'maxRateLimit',
  'rateLimiter',
  'logger',
  'cookies',
  'secretHeaders',
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
  const { secretHeaders = [], interceptors = [], logger } = options
  const limitersByRate = new LimitersByRate(options.clock)
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
    limiters: limitersOf(options, { limiters: undefined, limitersByRate }),
    limitersByRate,
    ...chainsOf(interceptors, logger),
    maxRedirects: countOf('maxRedirects', options.maxRedirects ?? 10),
    secretHeaders,
    jar: jarOf(options.cookies, undefined),
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
  const { interceptors, logger, secretHeaders } = options
  const isSame = interceptors === undefined && logger === undefined
  return {
    ...client,
    ...(isSame
      ? {}
      : chainsOf([...client.interceptors, ...(interceptors ?? [])], logger ?? client.logger)),
    limiters: limitersOf(options, client),
    jar: jarOf(options.cookies, client.jar),
    secretHeaders:
      secretHeaders === undefined
        ? client.secretHeaders
        : [...client.secretHeaders, ...secretHeaders],
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
    maxRedirects: countOf('maxRedirects', options.maxRedirects ?? client.maxRedirects),
    decompress: options.decompress ?? client.decompress,
    maxBytes: countOf('maxBytes', options.maxBytes ?? client.maxBytes),
  }
}

/** Whether content is given as it comes, so that limits of time hold up to the head. */
export function isStreamed({ responseFormat }: CallSettings): boolean {
  return responseFormat === 'stream' || responseFormat === 'response'
}

function limitersOf(
  { rateLimiter, maxRateLimit }: CommonOptions,
  { limiters, limitersByRate }: Pick<CallSettings, 'limiters' | 'limitersByRate'>,
): RateLimiterSource | undefined {
  if (rateLimiter !== undefined) return rateLimiter
  if (maxRateLimit === undefined) return limiters
  if (maxRateLimit === 0) return undefined
  if (typeof maxRateLimit === 'number' && maxRateLimit > 0) {
    return limitersByRate.limiterOf(maxRateLimit)
  }
  throw new ConfigError(
    'maxRateLimit',
    `Cannot use maxRateLimit ${String(maxRateLimit)}: expected 0 or more`,
  )
}

type Chains = Pick<CallSettings, 'interceptors' | 'logger' | 'aroundCall' | 'aroundAttempt'>

function chainsOf(interceptors: readonly Interceptor[], logger: RequestLogger | undefined): Chains {
  // Innermost: it tells of what is really sent.
  const all = logger === undefined ? interceptors : [...interceptors, logRequests(logger)]
  return {
    interceptors,
    logger,
    aroundCall: all.filter(({ scope }) => scope !== 'attempt'),
    aroundAttempt: all.filter(({ scope }) => scope === 'attempt'),
  }
}

function jarOf(
  cookies: CommonOptions['cookies'],
  client: CookieJar | undefined,
): CookieJar | undefined {
  if (cookies === undefined) return client
  if (typeof cookies !== 'boolean') return cookies
  return cookies ? (client ?? createCookieJar()) : undefined
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

/**
 * Refuses options whose names or types nobody knows, before anything is sent: the types of TypeScript
 * are for those who use them. What a number or a word may be is checked where it is read.
 */
import { ConfigError } from '../errors.ts'
import type { CallOptions, HttpClientOptions } from './call-options.ts'
import { describeMisnamed } from './misnamed-options-table.ts'

type Name = keyof CallOptions | keyof HttpClientOptions

/** What an option has to be; undefined for what is checked elsewhere. */
interface Kind {
  readonly isFine: (value: unknown) => boolean
  readonly expected: string
}

const ANY: Kind = { isFine: () => true, expected: 'anything' }
const BOOLEAN: Kind = kind((value) => typeof value === 'boolean', 'true or false')
const FUNCTION: Kind = kind((value) => typeof value === 'function', 'a function')
const TEXT: Kind = kind((value) => typeof value === 'string', 'text')
const TEXTS: Kind = kind(
  (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  'a list of names',
)
const PARAMS: Kind = kind((value) => value === false || isObject(value), 'names with values')
const INTERCEPTORS: Kind = kind(
  (value) => Array.isArray(value) && value.every(isObject),
  'a list of interceptors',
)
const LOGGER: Kind = kind((value) => hasMethods(value, ['info', 'warn']), 'info() and warn()')
const LIMITER: Kind = kind((value) => hasMethods(value, ['limiterFor']), 'a RateLimiter')
const COOKIES: Kind = kind(
  (value) => typeof value === 'boolean' || hasMethods(value, ['getCookies', 'setCookies']),
  'true, false or a jar',
)
const OBJECT: Kind = kind(isObject, 'an object')
const SIGNAL: Kind = kind((value) => value instanceof AbortSignal, 'an AbortSignal')
const POOL: Kind = kind((value) => hasMethods(value, ['request', 'close']), 'a ConnectionPool')
const PROXY: Kind = kind(
  (value) => value === false || typeof value === 'string' || isObject(value) || isFunction(value),
  "a URL, a function, 'environment' or false",
)
const COUNT: Kind = kind((value) => typeof value === 'number', 'a number')

/** Options of clients and of their calls alike. */
const COMMON = {
  attemptTimeoutMs: COUNT,
  baseUrl: TEXT,
  bodyTimeoutMs: COUNT,
  connectTimeoutMs: COUNT,
  continueTimeoutMs: COUNT,
  cookies: COOKIES,
  decompress: BOOLEAN,
  headers: OBJECT,
  headersTimeoutMs: COUNT,
  http2: ANY,
  interceptors: INTERCEPTORS,
  jitter: ANY,
  logger: LOGGER,
  maxBytes: COUNT,
  maxRateLimit: COUNT,
  maxRedirects: COUNT,
  maxRetryAfterMs: COUNT,
  maxRetryDelayMs: COUNT,
  onExchange: FUNCTION,
  onRetry: FUNCTION,
  params: PARAMS,
  poolTimeoutMs: COUNT,
  proxy: PROXY,
  raiseForStatus: BOOLEAN,
  rateLimiter: LIMITER,
  responseFormat: ANY,
  retries: COUNT,
  retryBackoff: ANY,
  retryDelayMs: COUNT,
  retryMethods: OBJECT,
  retryOnTimeout: BOOLEAN,
  retryStatuses: OBJECT,
  secretHeaders: TEXTS,
  shouldRetry: FUNCTION,
  timeoutMs: COUNT,
  tls: OBJECT,
  verifySsl: BOOLEAN,
} as const satisfies Partial<Record<Name, Kind>>

const OF_CALLS: Readonly<Record<Exclude<keyof CallOptions, keyof typeof COMMON>, Kind>> = {
  body: ANY,
  form: OBJECT,
  json: ANY,
  linkedFrom: OBJECT,
  onDownloadProgress: FUNCTION,
  onInformation: FUNCTION,
  onUploadProgress: FUNCTION,
  signal: SIGNAL,
  trailers: ANY,
}

const OF_CLIENTS: Readonly<Record<Exclude<keyof HttpClientOptions, keyof typeof COMMON>, Kind>> = {
  backend: OBJECT,
  clock: OBJECT,
  idleTimeoutMs: COUNT,
  maxConnectionAgeMs: COUNT,
  maxConnections: COUNT,
  maxConnectionsPerOrigin: COUNT,
  maxRequestsPerConnection: COUNT,
  pingIntervalMs: COUNT,
  pingTimeoutMs: COUNT,
  pool: POOL,
  socketPath: TEXT,
  trace: FUNCTION,
}

const CALL_KINDS: ReadonlyMap<string, Kind> = new Map(Object.entries({ ...COMMON, ...OF_CALLS }))
const CLIENT_KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.entries({ ...COMMON, ...OF_CLIENTS }),
)

/** @throws {ConfigError} for the first option of a call that is none, or of another type */
export function checkCallOptions(options: CallOptions): void {
  for (const name in options) {
    const value = options[name as keyof CallOptions]
    if (value !== undefined) checkOption(name, value, CALL_KINDS)
  }
}

/** @throws {ConfigError} for the first option of a client that is none, or of another type */
export function checkClientOptions(options: HttpClientOptions): void {
  for (const name in options) {
    const value = options[name as keyof HttpClientOptions]
    if (value !== undefined) checkOption(name, value, CLIENT_KINDS)
  }
}

function checkOption(name: string, value: unknown, kinds: ReadonlyMap<string, Kind>): void {
  const known = kinds.get(name)
  if (known === undefined) throw new ConfigError(name, `Cannot use ${name}: ${whyNot(name, kinds)}`)
  if (known.isFine(value)) return
  // What it is may be a secret.
  throw new ConfigError(
    name,
    `Cannot use ${name}: expected ${known.expected}, got ${typeOf(value)}`,
  )
}

function whyNot(name: string, kinds: ReadonlyMap<string, Kind>): string {
  if (kinds === CALL_KINDS && CLIENT_KINDS.has(name)) {
    return 'it is an option of the client, not of a call'
  }
  if (kinds === CLIENT_KINDS && CALL_KINDS.has(name)) {
    return 'it is an option of a call, not of the client'
  }
  return describeMisnamed(name)
}

function kind(isFine: Kind['isFine'], expected: string): Kind {
  return { isFine, expected }
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : typeof value
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    isObject(value) && names.every((name) => isFunction((value as Record<string, unknown>)[name]))
  )
}

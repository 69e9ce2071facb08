/** What a pool and its exchanges may be told, with the defaults, checked when they are given. */
import type { Clock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import type { NetworkBackend, TlsOptions } from '../net/network-backend.ts'
import type { ProxyOptions } from '../net/proxy.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { PoolLimits } from './assign-requests.ts'
import type { ExchangeTimeouts } from './connection.ts'
import type { Origin } from './http-url.ts'
import type { TraceListener } from './trace.ts'

/** Where requests to an origin go instead; undefined for straight to it. */
export type ProxyChoice =
  | string
  | ProxyOptions
  | ((origin: Origin) => string | ProxyOptions | undefined)

/**
 * alpn: HTTP/2 where a TLS server agrees to it, HTTP/1.1 elsewhere · prior-knowledge: nothing but
 * HTTP/2, without TLS too (RFC 9113 §3.3) · off: HTTP/1.1 alone
 */
export type Http2Choice = 'alpn' | 'prior-knowledge' | 'off'

/** How HTTP/2 is spoken, with every default in its place; durations in ms. */
export interface Http2Settings {
  readonly choice: Http2Choice
  readonly pingIntervalMs: number
  readonly pingTimeoutMs: number
}

/** How long the parts of an exchange may take, in ms; `Infinity` for no limit. */
export interface TimeoutOptions {
  /** How long a request waits for a connection. @defaultValue 60 000 */
  readonly poolTimeoutMs?: number | undefined
  /** From the request's last byte to the head of its response. @defaultValue 60 000 */
  readonly headersTimeoutMs?: number | undefined
  /** Without a byte of content going either way. @defaultValue 60 000 */
  readonly bodyTimeoutMs?: number | undefined
  /** How long `Expect: 100-continue` holds the content back. @defaultValue 1000 */
  readonly continueTimeoutMs?: number | undefined
  /** For everything, waiting and reading the content included. @defaultValue Infinity */
  readonly totalTimeoutMs?: number | undefined
}

/** Settings of a pool; every duration in ms. */
export interface ConnectionPoolOptions extends Partial<PoolLimits>, TimeoutOptions {
  /** @defaultValue a NodeBackend */
  readonly backend?: NetworkBackend
  readonly tls?: TlsOptions | undefined
  /**
   * `http://`, `https://`, `socks5://` (names resolved here) or `socks5h://` (resolved by the proxy),
   * with credentials where needed. Requests for http origins are forwarded by an HTTP proxy, all
   * others go through a tunnel.
   */
  readonly proxy?: ProxyChoice | undefined
  /** A Unix domain socket to which every connection goes. */
  readonly socketPath?: string | undefined
  /** Resolving, connecting, tunnel and TLS together. @defaultValue 10 000 */
  readonly connectTimeoutMs?: number | undefined
  /** How long an idle connection is kept. @defaultValue 15 000 */
  readonly idleTimeoutMs?: number | undefined
  /** How old a connection may be when it takes a request. @defaultValue Infinity */
  readonly maxConnectionAgeMs?: number | undefined
  /** How many requests a connection carries. @defaultValue Infinity */
  readonly maxRequestsPerConnection?: number | undefined
  /** @defaultValue 'alpn' */
  readonly http2?: Http2Choice | undefined
  /**
   * How long an HTTP/2 connection with open streams may bring nothing before it is sent a PING.
   * @defaultValue 20 000
   */
  readonly pingIntervalMs?: number | undefined
  /** How long the server has to show a sign of life then. @defaultValue 10 000 */
  readonly pingTimeoutMs?: number | undefined
  /** Is told of each step; see also the diagnostics channel `ferry:transport`. */
  readonly trace?: TraceListener | undefined
  readonly clock?: Clock
}

/** Settings of one exchange. */
export interface ExchangeOptions extends TimeoutOptions {
  readonly signal?: AbortSignal | undefined
  /** Is told of 1xx responses: 103 (Early Hints), say. For `request()` and `upgrade()`. */
  readonly onInformation?: ((head: ResponseHead) => void) | undefined
}

/** Every timeout of an exchange, in ms. */
export interface PoolTimeouts extends ExchangeTimeouts {
  readonly poolTimeoutMs: number
}

/** Settings with every default in its place. */
export interface PoolSettings {
  readonly limits: PoolLimits
  readonly timeouts: PoolTimeouts
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly maxConnectionAgeMs: number
  readonly maxRequestsPerConnection: number
  readonly http2: Http2Settings
}

// A service can live with these: they bound descriptors, and a burst to one origin queues.
const DEFAULT_LIMITS: PoolLimits = { maxConnections: 256, maxConnectionsPerOrigin: 64 }
const DEFAULT_TIMEOUTS: PoolTimeouts = {
  poolTimeoutMs: 60_000,
  headersTimeoutMs: 60_000,
  bodyTimeoutMs: 60_000,
  // As curl waits.
  continueTimeoutMs: 1000,
  totalTimeoutMs: Number.POSITIVE_INFINITY,
}
const HTTP2_CHOICES: Readonly<Record<Http2Choice, true>> = {
  alpn: true,
  'prior-knowledge': true,
  off: true,
}
const TIMEOUT_NAMES = Object.keys(DEFAULT_TIMEOUTS) as (keyof PoolTimeouts)[]

/**
 * Fills in the defaults.
 * @throws {ConfigError} when a number cannot be used
 */
export function resolvePoolOptions(options: ConnectionPoolOptions): PoolSettings {
  return {
    limits: {
      maxConnections: countOf(options, 'maxConnections', DEFAULT_LIMITS.maxConnections),
      maxConnectionsPerOrigin: countOf(
        options,
        'maxConnectionsPerOrigin',
        DEFAULT_LIMITS.maxConnectionsPerOrigin,
      ),
    },
    timeouts: resolveTimeouts(options, DEFAULT_TIMEOUTS),
    connectTimeoutMs: durationOf(options, 'connectTimeoutMs', 10_000),
    idleTimeoutMs: durationOf(options, 'idleTimeoutMs', 15_000),
    maxConnectionAgeMs: durationOf(options, 'maxConnectionAgeMs', Number.POSITIVE_INFINITY),
    maxRequestsPerConnection: countOf(
      options,
      'maxRequestsPerConnection',
      Number.POSITIVE_INFINITY,
    ),
    http2: {
      choice: choiceOf(options.http2 ?? 'alpn'),
      // Below the half minute after which routers begin to forget a silent connection.
      pingIntervalMs: durationOf(options, 'pingIntervalMs', 20_000),
      pingTimeoutMs: durationOf(options, 'pingTimeoutMs', 10_000),
    },
  }
}

function choiceOf(value: Http2Choice): Http2Choice {
  if (value in HTTP2_CHOICES) return value
  const accepted = Object.keys(HTTP2_CHOICES).join(', ')
  throw new ConfigError('http2', `Cannot use http2 ${JSON.stringify(value)}: expected ${accepted}`)
}

/**
 * The timeouts of one exchange: its own where given, otherwise the defaults.
 * @throws {ConfigError} when a number cannot be used
 */
export function resolveTimeouts(options: TimeoutOptions, defaults: PoolTimeouts): PoolTimeouts {
  if (TIMEOUT_NAMES.every((name) => options[name] === undefined)) return defaults
  return Object.fromEntries(
    TIMEOUT_NAMES.map((name) => [name, durationOf(options, name, defaults[name])]),
  ) as unknown as PoolTimeouts
}

/** Names of options that are numbers. */
type NumberOption =
  | keyof PoolTimeouts
  | Exclude<keyof PoolSettings, 'http2'>
  | keyof PoolLimits
  | 'pingIntervalMs'
  | 'pingTimeoutMs'

type Numbers = { readonly [Name in NumberOption]?: unknown }

function durationOf(options: Numbers, name: NumberOption, defaultValue: number): number {
  const value = (options[name] as number | undefined) ?? defaultValue
  if (value > 0) return value
  throw new ConfigError(name, `Cannot use ${name} ${value}: expected milliseconds above 0`)
}

function countOf(options: Numbers, name: NumberOption, defaultValue: number): number {
  const value = (options[name] as number | undefined) ?? defaultValue
  if (value >= 1 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)) return value
  throw new ConfigError(name, `Cannot use ${name} ${value}: expected a whole number above 0`)
}

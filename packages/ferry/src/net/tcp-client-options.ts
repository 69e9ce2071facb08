/**
 * What a TcpClient may be told, with the defaults, checked when it is given.
 * A value of the wrong type is a TypeError, one that cannot be used a ConfigError that names it.
 */
import { type Clock, systemClock } from '../clock.ts'
import { ConfigError } from '../errors.ts'
import type { NetworkBackend, TlsOptions } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'

/** Settings of a client; durations in ms. */
export interface TcpClientOptions {
  /** A name or an address; IPv6 with or without brackets. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /**
   * For one attempt to connect, name and TLS included; for one read, whole; for one send, as long as
   * the peer takes nothing. `Infinity` for no limit. @defaultValue 5000
   */
  readonly timeoutMs?: number | undefined
  /** Further attempts to connect after a failed one. Nothing else is tried again. @defaultValue 3 */
  readonly retries?: number | undefined
  /** Before the first of them; doubled for each that follows, up to 30 s. @defaultValue 1000 */
  readonly retryDelayMs?: number | undefined
  /** By how much a wait may be longer, at random, as a part of itself: 0 to 1. @defaultValue 0.5 */
  readonly jitter?: number | undefined
  /** TLS from the first byte when given; see `startTls()` for later. @defaultValue none */
  readonly tls?: TlsOptions | undefined
  /**
   * A send that finds the connection lost connects again first. Bytes are never sent twice, and
   * never on a connection without the TLS that `startTls()` had begun. @defaultValue false
   */
  readonly reconnect?: boolean | undefined
  /** Limit on the speed, for each direction by itself. @defaultValue none */
  readonly bytesPerSecond?: number | undefined
  /** The longest line, its ending included, when a call names no limit. @defaultValue 65 536 */
  readonly maxLineBytes?: number | undefined
  /** @defaultValue a NodeBackend */
  readonly backend?: NetworkBackend | undefined
  readonly clock?: Clock | undefined
}

/** Settings with every default in its place. */
export interface TcpClientSettings {
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
  readonly retries: number
  readonly retryDelayMs: number
  readonly jitter: number
  readonly tls: TlsOptions | undefined
  readonly reconnect: boolean
  readonly bytesPerSecond: number | undefined
  readonly maxLineBytes: number
  readonly backend: NetworkBackend
  readonly clock: Clock
}

// As asyncio's StreamReader has it: a line of a text protocol is far shorter.
const DEFAULT_MAX_LINE_BYTES = 65_536
const MAX_PORT = 65_535
/** What belongs to a URL or a host with a port, not to a host. */
const NOT_IN_A_HOST = /[\s/@?#\\]/

/**
 * Fills in the defaults.
 * @throws {TypeError} for a value of the wrong type
 * @throws {ConfigError} for a host, port or number that cannot be used
 */
export function resolveTcpClientOptions(options: TcpClientOptions): TcpClientSettings {
  const { tls, reconnect = false, bytesPerSecond, clock = systemClock, backend } = options
  if (typeof reconnect !== 'boolean') throw wrongType('reconnect', 'a boolean', reconnect)
  if (tls !== undefined && (typeof tls !== 'object' || tls === null)) {
    throw wrongType('tls', 'an object', tls)
  }
  return {
    host: checkHost(options.host),
    port: checkNumber('port', options.port, isPort, `a whole number from 1 to ${MAX_PORT}`),
    timeoutMs: checkTimeout(options.timeoutMs ?? 5000),
    retries: checkNumber('retries', options.retries ?? 3, isCount, 'a whole number from 0'),
    retryDelayMs: checkNumber(
      'retryDelayMs',
      options.retryDelayMs ?? 1000,
      (value) => value > 0 && Number.isFinite(value),
      'milliseconds above 0',
    ),
    jitter: checkNumber(
      'jitter',
      options.jitter ?? 0.5,
      (value) => value >= 0 && value <= 1,
      'a number from 0 to 1',
    ),
    tls,
    reconnect,
    bytesPerSecond: bytesPerSecond === undefined ? undefined : checkRate(bytesPerSecond),
    maxLineBytes: checkLimit('maxLineBytes', options.maxLineBytes ?? DEFAULT_MAX_LINE_BYTES),
    backend: backend ?? new NodeBackend({ clock }),
    clock,
  }
}

/** Checks a limit of time, of the client or of one call. */
export function checkTimeout(value: number): number {
  return checkNumber('timeoutMs', value, (ms) => ms > 0, 'milliseconds above 0')
}

/** Checks a limit in bytes, of the client or of one call. */
export function checkLimit(name: string, value: number): number {
  return checkNumber(name, value, (bytes) => Number.isInteger(bytes) && bytes > 0, 'bytes above 0')
}

function checkRate(value: number): number {
  const isRate = (rate: number): boolean => rate > 0 && Number.isFinite(rate)
  return checkNumber('bytesPerSecond', value, isRate, 'bytes a second above 0')
}

function checkHost(host: unknown): string {
  if (typeof host !== 'string') throw wrongType('host', 'a string', host)
  const bare = host.replace(/^\[(.*:.*)\]$/, '$1')
  // A colon that does not come again stands before a port.
  const hasPort = bare.indexOf(':') !== bare.lastIndexOf(':') ? false : bare.includes(':')
  if (bare !== '' && !NOT_IN_A_HOST.test(bare) && !hasPort) return bare
  // What was given may be a URL with a password.
  throw new ConfigError('host', 'Cannot use host: expected a name or an address alone')
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= MAX_PORT
}

function isCount(value: number): boolean {
  return value >= 0 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)
}

function checkNumber(
  name: string,
  value: unknown,
  isUsable: (value: number) => boolean,
  expected: string,
): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value)
  if (isUsable(value)) return value
  throw new ConfigError(name, `Cannot use ${name} ${value}: expected ${expected}`)
}

function wrongType(name: string, expected: string, value: unknown): TypeError {
  const got = value === null ? 'null' : typeof value
  return new TypeError(`Cannot use ${name}: expected ${expected}, got ${got}`)
}

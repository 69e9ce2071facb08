/** What a WebSocket may be told, with the defaults, checked when they are given. */
import { constants } from 'node:buffer'
import type { Clock } from '../../clock.ts'
import { systemClock } from '../../clock.ts'
import { ConfigError } from '../../errors.ts'
import { isToken } from '../../protocol/semantics/grammar.ts'
import type { HeaderFieldsInit } from '../../protocol/semantics/header-fields.ts'
import type { ConnectionPool } from '../connection-pool.ts'

/** What to offer of permessage-deflate (RFC 7692 §7.1). */
export interface PerMessageDeflateOptions {
  /** Messages of fewer bytes are sent as they are. @defaultValue 1024 */
  readonly threshold?: number | undefined
  /** Asks the server to begin each message anew: less memory here, less compression. */
  readonly serverNoContextTakeover?: boolean | undefined
  /** We begin each message anew. */
  readonly clientNoContextTakeover?: boolean | undefined
  /** The largest window that the server may use, as a power of two: 8 to 15. */
  readonly serverMaxWindowBits?: number | undefined
  /** The largest window that we use, as a power of two: 8 to 15. */
  readonly clientMaxWindowBits?: number | undefined
}

/** Settings of one WebSocket; every duration in ms, `Infinity` for no limit. */
export interface WebSocketOptions {
  /**
   * Opens the connection, with its proxy, TLS and backend. It stays open when the socket closes; when
   * it closes, only a socket over HTTP/2 ends with it.
   * @defaultValue one of its own, closed with the socket
   */
  readonly pool?: ConnectionPool | undefined
  /** Further fields of the request: Authorization, Cookie, Origin. */
  readonly headers?: HeaderFieldsInit | undefined
  /** Subprotocols, the preferred first (RFC 6455 §1.9). The server must choose one of them. */
  readonly protocols?: readonly string[] | undefined
  /** Ends the handshake, and the socket at any time after it, with its `reason`. */
  readonly signal?: AbortSignal | undefined
  /** Whether to offer compression, and how. @defaultValue false */
  readonly perMessageDeflate?: boolean | PerMessageDeflateOptions | undefined
  /** The longest message to take, in bytes, after decompression. @defaultValue 16 MiB */
  readonly maxMessageBytes?: number | undefined
  /** With so many bytes of messages that nobody has taken, the server has to wait. @defaultValue 256 KiB */
  readonly maxHeldBytes?: number | undefined
  /** From the call to the open socket. @defaultValue 30 000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** How long the server may take to end its side of a close. @defaultValue 10 000 */
  readonly closeTimeoutMs?: number | undefined
  /** How often to send a ping. @defaultValue Infinity: none is sent */
  readonly pingIntervalMs?: number | undefined
  /** After a ping of `pingIntervalMs`, how long to wait for any sign of life. @defaultValue 10 000 */
  readonly pongTimeoutMs?: number | undefined
  /** Does not keep the process alive, if it has a connection to itself. @defaultValue false */
  readonly background?: boolean | undefined
  readonly clock?: Clock | undefined
}

/** Settings with every default in its place. */
export interface WebSocketSettings {
  readonly protocols: readonly string[]
  /** Undefined: not offered. */
  readonly deflate: PerMessageDeflateOptions | undefined
  readonly compressThreshold: number
  readonly maxMessageBytes: number
  readonly maxHeldBytes: number
  readonly handshakeTimeoutMs: number
  readonly closeTimeoutMs: number
  readonly pingIntervalMs: number
  readonly pongTimeoutMs: number
  readonly background: boolean
  readonly clock: Clock
}

// What several servers and clients take by default is between 1 and 100 MiB.
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024
// A little more than the largest single read of a stream.
const MAX_HELD_BYTES = 262_144
// Below it, compression costs more than it saves; ws has the same.
const COMPRESS_THRESHOLD = 1024

/**
 * Fills in the defaults.
 * @throws {ConfigError} when an option cannot be used
 */
export function resolveWebSocketOptions(options: WebSocketOptions): WebSocketSettings {
  const deflate = resolveDeflate(options.perMessageDeflate)
  return {
    protocols: checkProtocols(options.protocols ?? []),
    deflate,
    compressThreshold: countOf('threshold', deflate?.threshold ?? COMPRESS_THRESHOLD, { min: 0 }),
    // Text of more bytes may be too long for a string.
    maxMessageBytes: countOf('maxMessageBytes', options.maxMessageBytes ?? MAX_MESSAGE_BYTES, {
      max: constants.MAX_STRING_LENGTH,
    }),
    maxHeldBytes: countOf('maxHeldBytes', options.maxHeldBytes ?? MAX_HELD_BYTES),
    handshakeTimeoutMs: durationOf('handshakeTimeoutMs', options.handshakeTimeoutMs ?? 30_000),
    closeTimeoutMs: durationOf('closeTimeoutMs', options.closeTimeoutMs ?? 10_000),
    pingIntervalMs: durationOf('pingIntervalMs', options.pingIntervalMs ?? Infinity),
    pongTimeoutMs: durationOf('pongTimeoutMs', options.pongTimeoutMs ?? 10_000),
    background: options.background ?? false,
    clock: options.clock ?? systemClock,
  }
}

function resolveDeflate(
  given: WebSocketOptions['perMessageDeflate'],
): PerMessageDeflateOptions | undefined {
  if (given === undefined || given === false) return undefined
  if (given === true) return {}
  for (const name of ['serverMaxWindowBits', 'clientMaxWindowBits'] as const) {
    // RFC 7692 §7.1.2.1
    if (given[name] !== undefined) countOf(name, given[name], { min: 8, max: 15 })
  }
  return given
}

/** RFC 6455 §4.1: tokens, each of them once. */
function checkProtocols(protocols: readonly string[]): readonly string[] {
  for (const protocol of protocols) {
    if (typeof protocol === 'string' && isToken(protocol)) continue
    const shown = JSON.stringify(protocol)
    throw new ConfigError('protocols', `Cannot offer subprotocol ${shown}: not a token`)
  }
  if (new Set(protocols).size < protocols.length) {
    throw new ConfigError('protocols', 'Cannot offer a subprotocol twice')
  }
  return [...protocols]
}

function durationOf(name: string, value: number): number {
  if (value > 0) return value
  throw new ConfigError(name, `Cannot use ${name} ${value}: expected milliseconds above 0`)
}

function countOf(name: string, value: number, { min = 1, max = Infinity } = {}): number {
  if (value >= min && value <= max && (Number.isInteger(value) || value === Infinity)) return value
  const upTo = max === Infinity ? `from ${min}` : `from ${min} to ${max}`
  throw new ConfigError(name, `Cannot use ${name} ${value}: expected a whole number ${upTo}`)
}

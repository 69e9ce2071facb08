/** What a subscription may be told, with the defaults, checked when it is given. */
import { type Clock, systemClock } from '../../clock.ts'
import { ConfigError } from '../../errors.ts'
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'
import type { ConnectionFacts } from '../connection.ts'
import type { ConnectionPool } from '../connection-pool.ts'
import type { HttpRequest } from '../http-request.ts'
import type { EventRequestInit } from './event-request.ts'
import type { RetryLimits } from './next-retry.ts'

/** A response that carries events has begun. */
export interface EventStreamOpening {
  readonly version: ResponseHead['version']
  readonly headers: HeaderFields
  readonly connection: ConnectionFacts | undefined
}

/** There will be another attempt. */
export interface EventStreamRetry {
  /** Its number since the last event, or since the last response that held for a while; from 1. */
  readonly attempt: number
  /** How long it waits. */
  readonly delayMs: number
  /** Why it is needed: also a response that ended as it should is an error here. */
  readonly reason: Error
}

/** Settings of a subscription; durations in ms, `Infinity` for no limit. */
export interface EventSourceOptions extends EventRequestInit {
  /** Sends the requests; stays open, and is the caller's to close. */
  readonly pool: ConnectionPool
  /** Ends it, at any point: iterating throws `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Where to go on: the `lastEventId` of the last event that was worked on. @defaultValue '' */
  readonly lastEventId?: string | undefined
  /**
   * Whether to ask again when a response has ended or broken. Without, the end of the response is
   * the end of the events. @defaultValue true for methods that may be repeated (RFC 9110 §9.2.2)
   */
  readonly reconnect?: boolean | undefined
  /** The wait before the next attempt, until the server sends `retry`. @defaultValue 3000 */
  readonly retryMs?: number | undefined
  /** The longest wait, whatever the server asks for; jitter comes on top. @defaultValue 120 000 */
  readonly maxRetryMs?: number | undefined
  /** Attempts in a row that come to nothing before it fails. @defaultValue Infinity */
  readonly maxAttempts?: number | undefined
  /** By what part a wait is lengthened at most, at random: 0 to 1. @defaultValue 0.5 */
  readonly jitter?: number | undefined
  /** In [0, 1), for the jitter. @defaultValue Math.random */
  readonly random?: (() => number) | undefined
  /** Statuses that are waited out like a lost connection. @defaultValue 429, 502, 503, 504 */
  readonly retryStatuses?: Iterable<number> | undefined
  /** As of the pool: how long an attempt waits for a connection. */
  readonly poolTimeoutMs?: number | undefined
  /** As of the pool; servers may hold the head back until there is an event. */
  readonly headersTimeoutMs?: number | undefined
  /** Connects anew when nothing has come for so long, comments included. @defaultValue Infinity */
  readonly idleTimeoutMs?: number | undefined
  /** How large one event may be. @defaultValue 16 MiB */
  readonly maxEventBytes?: number | undefined
  /** How much may have come and not been taken before the server has to wait. @defaultValue 1 MiB */
  readonly maxHeldBytes?: number | undefined
  /** Called as soon as a response with events has begun, before the first of them. */
  readonly onOpen?: ((opening: EventStreamOpening) => void) | undefined
  /** Called when an attempt has ended and another will follow. */
  readonly onRetry?: ((retry: EventStreamRetry) => void) | undefined
  /** Called with the text of each comment, without its colon and a space after it. */
  readonly onComment?: ((text: string) => void) | undefined
  readonly clock?: Clock | undefined
}

/** Settings with every default in its place. */
export interface EventSourceSettings extends RetryLimits {
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal | undefined
  readonly retryMs: number
  readonly retryStatuses: ReadonlySet<number>
  readonly idleTimeoutMs: number
  readonly maxEventBytes: number
  readonly maxHeldBytes: number
  readonly poolTimeoutMs: number | undefined
  readonly headersTimeoutMs: number | undefined
  readonly onOpen: EventSourceOptions['onOpen']
  readonly onRetry: EventSourceOptions['onRetry']
  readonly onComment: EventSourceOptions['onComment']
}

const MIB = 1_048_576
// What proxies and overloaded servers say in passing. HTML §9.2.3 gives up at any status but 200.
const RETRY_STATUSES = [429, 502, 503, 504]

/**
 * Fills in the defaults.
 * @throws {ConfigError} when a number cannot be used
 */
export function resolveEventSourceOptions(
  options: EventSourceOptions,
  request: HttpRequest,
): EventSourceSettings {
  return {
    pool: options.pool,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    signal: options.signal,
    reconnect: options.reconnect ?? request.idempotent,
    // HTML §9.2.2: "in the region of a few seconds".
    retryMs: numberOf(options, 'retryMs', 3000, 0),
    maxRetryMs: numberOf(options, 'maxRetryMs', 120_000, 0),
    // A subscription is meant to outlive restarts and nights without a network.
    maxAttempts: numberOf(options, 'maxAttempts', Number.POSITIVE_INFINITY, 1),
    // Spreads those whom a restarted server has lost in the same moment.
    jitter: numberOf(options, 'jitter', 0.5, 0, 1),
    retryStatuses: new Set(options.retryStatuses ?? RETRY_STATUSES),
    idleTimeoutMs: numberOf(options, 'idleTimeoutMs', Number.POSITIVE_INFINITY, 1),
    maxEventBytes: numberOf(options, 'maxEventBytes', 16 * MIB, 1),
    // Some thousands of small events: enough for a read or two of a socket.
    maxHeldBytes: numberOf(options, 'maxHeldBytes', MIB, 1),
    poolTimeoutMs: optionalNumberOf(options, 'poolTimeoutMs'),
    headersTimeoutMs: optionalNumberOf(options, 'headersTimeoutMs'),
    onOpen: options.onOpen,
    onRetry: options.onRetry,
    onComment: options.onComment,
  }
}

type NumberOption =
  | 'retryMs'
  | 'maxRetryMs'
  | 'maxAttempts'
  | 'jitter'
  | 'idleTimeoutMs'
  | 'maxEventBytes'
  | 'maxHeldBytes'
  | 'poolTimeoutMs'
  | 'headersTimeoutMs'

/** A number from `min` to `max`, both inclusive. */
function numberOf(
  options: EventSourceOptions,
  name: NumberOption,
  defaultValue: number,
  min: number,
  max = Number.POSITIVE_INFINITY,
): number {
  const value = options[name] ?? defaultValue
  if (value >= min && value <= max) return value
  const range = max === Number.POSITIVE_INFINITY ? `at least ${min}` : `${min} to ${max}`
  throw new ConfigError(name, `Cannot use ${name} ${value}: expected ${range}`)
}

function optionalNumberOf(options: EventSourceOptions, name: NumberOption): number | undefined {
  return options[name] === undefined ? undefined : numberOf(options, name, 0, 1)
}

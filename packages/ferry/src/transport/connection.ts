/** The port between the pool and a protocol: one connection to one origin that carries exchanges. */
import type { ExtraInfo, NetworkStream } from '../net/network-backend.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { HttpRequest } from './http-request.ts'
import type { ExchangeTrace } from './trace.ts'

/** new: never used; active: carries an exchange; idle: carries none; closed: none again. */
export type ConnectionState = 'new' | 'active' | 'idle' | 'closed'

/** Takes one response. Exactly one of `onComplete`, `onUpgrade` and `onError` comes, once, last. */
export interface ResponseHandler {
  /** A 1xx response before the final one. */
  readonly onInformation?: ((head: ResponseHead) => void) | undefined
  /** The final head; `length` is that of the content in bytes, undefined when unknown. */
  onHead(head: ResponseHead, length: number | undefined, exchange: Exchange): void
  /**
   * Content; valid only until this returns. Returning false pauses until `resume()`; what came in
   * the same read is still given.
   */
  onContent(bytes: Buffer): boolean
  onComplete(trailers: HeaderFields): void
  /** `responseStarted` tells whether a byte of a response had come. */
  onError(error: Error, responseStarted: boolean): void
  /**
   * The connection speaks another protocol from here on: after 101, or 2xx to CONNECT (RFC 9110
   * §7.8, §9.3.6). The stream is the handler's to read and to close; what came after the head is
   * read first. Without this method such a response is an error.
   */
  onUpgrade?(head: ResponseHead, stream: NetworkStream, exchange: Exchange): void
  /**
   * Nobody has asked for the content yet. While it is held back for that reason the body timeout
   * runs: a response that is forgotten must not hold its connection for ever.
   */
  readonly untaken?: boolean
  /**
   * The memory that the next content should land in, at least one byte; undefined for any.
   * Content that lies there already when `onContent` is called need not be copied.
   */
  contentBuffer?(): Buffer | undefined
}

/** Holds back and lets go what comes. */
export interface Flow {
  /** Goes on after `onContent` returned false. */
  resume(): void
  /** Gives the exchange up; `onError(reason)` follows unless it had ended. */
  abort(reason: Error): void
}

/** How long the parts of an exchange took, in ms; undefined for what has not ended yet. */
export interface ExchangeTimings {
  /** Waiting for a connection, its opening included. */
  readonly queueMs: number | undefined
  /** From the request's first byte to the head of the response. */
  readonly headMs: number | undefined
  /** From the head to the end of the content. */
  readonly bodyMs: number | undefined
  /** What opening the connection took, when this exchange is the first on it. */
  readonly opening: OpeningTimings | undefined
}

/** How long the steps of opening a connection took, in ms; undefined for steps that were not taken. */
export interface OpeningTimings {
  readonly resolveMs: number | undefined
  readonly connectMs: number | undefined
  readonly proxyMs: number | undefined
  readonly tlsMs: number | undefined
}

/** The connection that carries an exchange. */
export interface ConnectionFacts {
  /** Its number in the pool. */
  readonly id: number
  /** Whether it had carried an exchange before. */
  readonly reused: boolean
  /** What is known of the two ends and of TLS, as it was when the connection was opened. */
  getExtraInfo<Name extends keyof ExtraInfo>(name: Name): ExtraInfo[Name]
}

/** The sender's hold on a running exchange. */
export interface Exchange extends Flow {
  readonly timings: ExchangeTimings
  /** Undefined while it waits for one. */
  readonly connection: ConnectionFacts | undefined
}

/** How long an exchange may stand still; checked by the pool's coarse timer. */
export interface ExchangeTimeouts {
  /** From the request's last byte to the response's head. */
  readonly headersTimeoutMs: number
  /** Without a byte of content going either way, unless our own source or reader is what is slow. */
  readonly bodyTimeoutMs: number
  /** How long content is held back for a 100 (Continue) that was asked for. */
  readonly continueTimeoutMs: number
  /** For all of it, waiting for a connection and reading the content included. */
  readonly totalTimeoutMs: number
}

/** How an exchange failed. */
export interface ExchangeFailure {
  /** A byte of a response had come. */
  readonly responseStarted: boolean
  /** The connection was lost, rather than the exchange given up or against the rules. */
  readonly isLoss: boolean
  /** The peer had said that it would close the connection. */
  readonly wasLeaving: boolean
  /** The peer says that it has done nothing with the request (RFC 9113 §8.7). */
  readonly unprocessed: boolean
}

/** One request as a connection takes it: what to send, and whom to tell. */
export interface ExchangeTask {
  readonly request: HttpRequest
  readonly timeouts: ExchangeTimeouts
  /** When all of it must be over, on the pool's clock. */
  readonly totalDeadline: number
  /** Undefined while nobody listens. */
  readonly trace: ExchangeTrace | undefined
  onInformation(head: ResponseHead): void
  /** `now` on the pool's clock. */
  onHead(head: ResponseHead, length: number | undefined, now: number): void
  onContent(bytes: Buffer): boolean
  contentBuffer(): Buffer | undefined
  onComplete(trailers: HeaderFields, now: number): void
  onError(error: Error, how: ExchangeFailure): void
  /** See `ResponseHandler.untaken`. */
  readonly untaken: boolean
  /** Whether a response that switches protocols is welcome. */
  readonly takesUpgrade: boolean
  onUpgrade(head: ResponseHead, stream: NetworkStream, now: number): void
}

/** What a connection has done so far. */
export interface ConnectionMetrics {
  readonly id: number
  readonly state: ConnectionState
  readonly requestCount: number
  /** Without what TLS adds. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly totalRequestTimeMs: number
  /** Undefined before the first has ended. */
  readonly lastRequestTimeMs: number | undefined
  readonly averageRequestTimeMs: number | undefined
  /** Exchanges that did not come to their end. */
  readonly errorsCount: number
  /** `errorsCount` by `requestCount`; 0 before the first. */
  readonly errorRate: number
  /** How long it has been idle; undefined while it is not. */
  readonly idleMs: number | undefined
}

/** One connection to one origin. */
export interface Connection {
  /** Its number in the pool. */
  readonly id: number
  readonly state: ConnectionState
  /** How many exchanges it could take now. */
  readonly capacity: number
  /** Exchanges that it takes at once, as far as is known; Infinity when the peer does not bound them. */
  readonly maxStreams: number
  /** Whether `maxStreams` is what the peer has told, and says that it takes any. */
  readonly isSettled: boolean
  /** Whether a request may ask it for another protocol; undefined while the peer has not told. */
  readonly takesUpgrades: boolean | undefined
  /** Its stream was handed over to another protocol; it is closed for us. */
  readonly upgraded: boolean
  /** Exchanges begun so far. */
  readonly exchanges: number
  /** When it became idle last, on the pool's clock. */
  readonly idleSince: number
  /** How long the peer says it keeps an idle connection, in ms; Infinity when it does not say. */
  readonly keepAliveMs: number
  readonly metrics: ConnectionMetrics
  /**
   * Starts an exchange; only while it has capacity. `now` on the pool's clock.
   * @throws {LocalProtocolError} when the request cannot be written; the task is not told
   */
  start(task: ExchangeTask, now: number): Flow
  /** Fails exchanges whose time has run out. `now` on the pool's clock. */
  checkTimeouts(now: number): void
  /** Closes at once; running exchanges fail with `reason`. Idempotent. */
  close(reason?: Error): void
}

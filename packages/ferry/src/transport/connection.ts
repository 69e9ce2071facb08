/** The port between the pool and a protocol: one connection to one origin that carries exchanges. */
import type { ResponseHead } from '../protocol/http1/response-parser.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { HttpRequest } from './http-request.ts'

/** new: never used; active: as many exchanges as it takes; idle: can take one; closed: none again. */
export type ConnectionState = 'new' | 'active' | 'idle' | 'closed'

/** Takes one response. Exactly one of `onComplete` and `onError` comes, once, last. */
export interface ResponseHandler {
  /** A 1xx response before the final one. */
  onInformation?(head: ResponseHead): void
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
   * The memory that the next content should land in, at least one byte; undefined for any.
   * Content that lies there already when `onContent` is called need not be copied.
   */
  contentBuffer?(): Buffer | undefined
}

/** The sender's hold on a running exchange. */
export interface Exchange {
  /** Goes on after `onContent` returned false. */
  resume(): void
  /** Gives the exchange up; `onError(reason)` follows unless it had ended. */
  abort(reason: Error): void
}

/** How long an exchange may stand still; checked about four times a second. */
export interface ExchangeTimeouts {
  /** From the request's last byte to the response's head. */
  readonly headersTimeoutMs: number
  /** Between two reads of content, while the reader is not the one who pauses. */
  readonly bodyTimeoutMs: number
}

/** One connection to one origin. */
export interface Connection {
  readonly state: ConnectionState
  /** Exchanges begun so far. */
  readonly exchanges: number
  /** When it became idle last, in ms of the pool's clock. */
  readonly idleSince: number
  /** Starts an exchange; only in state new or idle. */
  start(request: HttpRequest, handler: ResponseHandler, timeouts: ExchangeTimeouts): Exchange
  /** Fails exchanges whose time has run out. `now` in ms of the pool's clock. */
  checkTimeouts(now: number): void
  /** Closes at once; a running exchange fails with `reason`. Idempotent. */
  close(reason?: Error): void
}

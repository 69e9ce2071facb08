/**
 * One request on its way through the pool: first waiting for a connection, then running on one.
 *
 * Owns the rule for stale connections: a server may close a kept connection just as a request is
 * sent. Then, once, the request goes out again on a new connection, if nothing of a response had
 * come, the method is idempotent and the content can be sent again (RFC 9110 §9.2.2).
 */
import { StreamError } from '../errors.ts'
import type { ResponseHead } from '../protocol/http1/response-parser.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { Connection, Exchange, ExchangeTimeouts, ResponseHandler } from './connection.ts'
import type { HttpRequest } from './http-request.ts'

/** What a pool does for an exchange. */
export interface ExchangeOwner {
  /** Queues it again, for a new connection. */
  retryOnNewConnection(exchange: PooledExchange): void
  /** Forgets it while it waits. */
  forget(exchange: PooledExchange): void
}

/** A request in the pool. */
export class PooledExchange implements ResponseHandler, Exchange {
  readonly request: HttpRequest
  readonly timeouts: ExchangeTimeouts
  /** When waiting for a connection is over, on the pool's clock. */
  waitDeadline: number = Number.POSITIVE_INFINITY
  /** It may only run on a connection that has carried nothing yet. */
  needsNewConnection = false
  readonly #handler: ResponseHandler
  readonly #owner: ExchangeOwner
  #signal: AbortSignal | undefined
  #onAbort: (() => void) | undefined
  #connection: Connection | undefined
  #running: Exchange | undefined
  #givenUp = false
  #ended = false

  constructor(
    owner: ExchangeOwner,
    request: HttpRequest,
    handler: ResponseHandler,
    options: { timeouts: ExchangeTimeouts; signal: AbortSignal | undefined },
  ) {
    this.#owner = owner
    this.request = request
    this.#handler = handler
    this.timeouts = options.timeouts
    if (options.signal !== undefined) {
      const { signal } = options
      this.#signal = signal
      this.#onAbort = () => this.abort(signal.reason as Error)
      signal.addEventListener('abort', this.#onAbort)
    }
  }

  /** Runs on a connection that is new or idle. */
  startOn(connection: Connection): void {
    this.#connection = connection
    try {
      this.#running = connection.start(this.request, this, this.timeouts)
    } catch (error) {
      // The request cannot be written. Nobody else holds the connection now, so it must not linger.
      connection.close()
      this.#fail(error as Error, false)
    }
  }

  /** Ends it while it waits. */
  failWaiting(error: Error): void {
    this.#fail(error, false)
  }

  resume(): void {
    this.#running?.resume()
  }

  abort(reason: Error): void {
    if (this.#ended) return
    if (this.#running === undefined) {
      this.#owner.forget(this)
      this.#fail(reason, false)
    } else {
      this.#givenUp = true
      this.#running.abort(reason)
    }
  }

  onInformation(head: ResponseHead): void {
    this.#handler.onInformation?.(head)
  }

  onHead(head: ResponseHead, length: number | undefined): void {
    this.#handler.onHead(head, length, this)
  }

  onContent(bytes: Buffer): boolean {
    return this.#handler.onContent(bytes)
  }

  contentBuffer(): Buffer | undefined {
    return this.#handler.contentBuffer?.()
  }

  onComplete(trailers: HeaderFields): void {
    this.#end()
    this.#handler.onComplete(trailers)
  }

  onError(error: Error, responseStarted: boolean): void {
    const reused = (this.#connection?.exchanges ?? 0) > 1
    const { idempotent, replayable } = this.request
    // A reason to give up may be a StreamError as well: of the other half of a transfer, for instance.
    const stale = reused && !responseStarted && !this.#givenUp && error instanceof StreamError
    if (stale && idempotent && replayable && !this.needsNewConnection) {
      this.needsNewConnection = true
      this.#running = undefined
      this.#connection = undefined
      this.#owner.retryOnNewConnection(this)
      return
    }
    this.#fail(error, responseStarted)
  }

  #fail(error: Error, responseStarted: boolean): void {
    if (this.#ended) return
    this.#end()
    this.#handler.onError(error, responseStarted)
  }

  #end(): void {
    this.#ended = true
    if (this.#onAbort === undefined) return
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#signal = undefined
    this.#onAbort = undefined
  }
}

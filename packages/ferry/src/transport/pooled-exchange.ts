/**
 * One request on its way through the pool: first waiting for a connection, then running on one.
 *
 * Owns the rules for sending again. A server may close a kept connection just as a request is sent:
 * then, once, the request goes out on a new connection, if nothing of a response had come, the method
 * is idempotent and the content can be sent again (RFC 9110 §9.2.2). A server may also say that it has
 * not touched a request (RFC 9113 §8.7): then any method goes out again, a few times.
 */
import type { NetworkStream } from '../net/network-backend.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type {
  ConnectionFacts,
  Exchange,
  ExchangeFailure,
  ExchangeTask,
  ExchangeTimings,
  Flow,
  ResponseHandler,
} from './connection.ts'
import type { HttpRequest } from './http-request.ts'
import { onAbort } from './on-abort.ts'
import type { PooledConnection } from './origin-pool.ts'
import type { PoolTimeouts } from './pool-options.ts'
import { throwLater } from './throw-later.ts'
import type { ExchangeTrace } from './trace.ts'

/** What a pool does for an exchange. */
export interface ExchangeOwner {
  /**
   * Queues it again. `afterLoss`: only for a connection opened from now on; the closing of the old
   * one is told right after.
   */
  retry(exchange: PooledExchange, how: { readonly afterLoss: boolean }): void
  /** Forgets it while it waits. */
  forget(exchange: PooledExchange): void
}

/** What an exchange is made with. */
export interface PooledExchangeOptions {
  readonly timeouts: PoolTimeouts
  readonly signal: AbortSignal | undefined
  readonly trace: ExchangeTrace | undefined
  /** On the pool's clock. */
  readonly now: number
}

// Who reloads, or is full, says so once or twice; who says it always is not to be asked for ever.
const MAX_REFUSALS = 5
const MAX_LEAVINGS = 20
// Processes of a server that is being reloaded may each take a connection and leave at once.
const MAX_LOSSES_OF_LEAVING = 3

/** A request in the pool. */
export class PooledExchange implements ExchangeTask, Exchange {
  readonly request: HttpRequest
  readonly timeouts: PoolTimeouts
  readonly trace: ExchangeTrace | undefined
  readonly totalDeadline: number
  /** When waiting for a connection is over, on the pool's clock. */
  waitDeadline: number = Number.POSITIVE_INFINITY
  /** It may only run on connections with this number or a higher one; 0 before a loss. */
  minConnectionId = 0
  /** It is not sent again, whatever happens. */
  isFinal = false
  readonly #handler: ResponseHandler
  readonly #owner: ExchangeOwner
  #stopListening: (() => void) | undefined
  #pooled: PooledConnection | undefined
  #running: Flow | undefined
  #ended = false
  /** On the pool's clock. */
  readonly queuedAt: number
  #startedAt: number | undefined
  #headAt: number | undefined
  #endedAt: number | undefined
  #reused = false
  #refusals = 0
  #losses = 0

  constructor(
    owner: ExchangeOwner,
    request: HttpRequest,
    handler: ResponseHandler,
    { timeouts, signal, trace, now }: PooledExchangeOptions,
  ) {
    this.#owner = owner
    this.request = request
    this.#handler = handler
    this.timeouts = timeouts
    this.trace = trace
    this.totalDeadline = now + timeouts.totalTimeoutMs
    this.queuedAt = now
    trace?.start('queue')
    if (signal !== undefined) {
      this.#stopListening = onAbort(signal, () => this.abort(signal.reason as Error))
    }
  }

  get timings(): ExchangeTimings {
    return {
      queueMs: difference(this.queuedAt, this.#startedAt),
      headMs: difference(this.#startedAt, this.#headAt),
      bodyMs: difference(this.#headAt, this.#endedAt),
      opening: this.#reused ? undefined : this.#pooled?.opening,
    }
  }

  get connection(): ConnectionFacts | undefined {
    if (this.#pooled === undefined) return undefined
    const { connection, extraInfo } = this.#pooled
    return {
      id: connection.id,
      reused: this.#reused,
      getExtraInfo: (name) => extraInfo[name],
    }
  }

  get untaken(): boolean {
    return this.#handler.untaken === true
  }

  /** It is a request to switch protocols (RFC 9110 §7.8). */
  get asksForProtocol(): boolean {
    return this.takesUpgrade && this.request.headers.has('upgrade')
  }

  get takesUpgrade(): boolean {
    return this.#handler.onUpgrade !== undefined
  }

  /** Runs on a connection that has room. `now` on the pool's clock. */
  startOn(pooled: PooledConnection, now: number): void {
    const { connection } = pooled
    this.#pooled = pooled
    this.#startedAt = now
    this.#reused = connection.exchanges > 0
    if (this.trace !== undefined) {
      this.trace.connection = connection.id
      this.trace.end('queue')
    }
    try {
      this.#running = connection.start(this, now)
    } catch (error) {
      // The request cannot be written. A connection that nobody else holds must not linger.
      if (connection.state !== 'active') connection.close()
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
      this.#running.abort(reason)
    }
  }

  // ── ExchangeTask

  onInformation(head: ResponseHead): void {
    this.#handler.onInformation?.(head)
  }

  onHead(head: ResponseHead, length: number | undefined, now: number): void {
    this.#headAt = now
    this.#handler.onHead(head, length, this)
  }

  onContent(bytes: Buffer): boolean {
    return this.#handler.onContent(bytes)
  }

  contentBuffer(): Buffer | undefined {
    return this.#handler.contentBuffer?.()
  }

  onComplete(trailers: HeaderFields, now: number): void {
    this.#endedAt = now
    this.#end()
    try {
      this.#handler.onComplete(trailers)
    } catch (thrown) {
      throwLater(thrown)
    }
  }

  onUpgrade(head: ResponseHead, stream: NetworkStream, now: number): void {
    this.#headAt = now
    this.#endedAt = now
    this.#end()
    try {
      this.#handler.onUpgrade?.(head, stream, this)
    } catch (thrown) {
      stream.close()
      throwLater(thrown)
    }
  }

  onError(error: Error, failure: ExchangeFailure): void {
    if (this.#isSentAgain(failure)) return
    this.#fail(error, failure.responseStarted)
  }

  #isSentAgain({ responseStarted, isLoss, wasLeaving, unprocessed }: ExchangeFailure): boolean {
    const { idempotent, replayable } = this.request
    if (!replayable || this.isFinal) return false
    const isStale = isLoss && !responseStarted && (wasLeaving || this.#sharesConnection())
    const maxLosses = wasLeaving ? MAX_LOSSES_OF_LEAVING : 1
    if (isStale && idempotent && this.#losses < maxLosses) {
      this.#losses++
      this.#retry({ afterLoss: true })
      return true
    }
    // A server that leaves takes no notice of what it has not begun; one that refuses has to be let be.
    if (!unprocessed || this.#refusals >= (wasLeaving ? MAX_LEAVINGS : MAX_REFUSALS)) return false
    this.#refusals++
    this.#retry({ afterLoss: false })
    return true
  }

  /** Whether its connection has carried other exchanges, before or beside it. */
  #sharesConnection(): boolean {
    return (this.#pooled?.connection.exchanges ?? 0) > 1
  }

  #retry(how: { readonly afterLoss: boolean }): void {
    this.#running = undefined
    this.#pooled = undefined
    this.trace?.start('queue')
    this.#owner.retry(this, how)
  }

  #fail(error: Error, responseStarted: boolean): void {
    if (this.#ended) return
    this.#end()
    this.trace?.fail(error)
    try {
      this.#handler.onError(error, responseStarted)
    } catch (thrown) {
      throwLater(thrown)
    }
  }

  #end(): void {
    this.#ended = true
    this.#stopListening?.()
    this.#stopListening = undefined
  }
}

function difference(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : to - from
}

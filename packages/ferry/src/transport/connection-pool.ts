/**
 * Connections of many origins, kept and shared: who waits is served in order, who is idle is used
 * newest first so that cold ones age out.
 *
 * Owns every connection from opening to closing. All changes of state are synchronous; decisions are
 * in assign-requests.ts. Does not follow, decode, or retry (but for stale connections).
 */
import { type Clock, systemClock } from '../clock.ts'
import { type FerryError, StreamError, TimeoutError } from '../errors.ts'
import type { NetworkBackend, TlsOptions } from '../net/network-backend.ts'
import { NodeBackend } from '../net/node-backend.ts'
import { assignRequest, type OriginLoad, type PoolLimits } from './assign-requests.ts'
import type { Connection, Exchange, ExchangeTimeouts, ResponseHandler } from './connection.ts'
import { Http1Connection } from './http1-connection.ts'
import type { HttpRequest } from './http-request.ts'
import type { HttpResponse } from './http-response.ts'
import type { Origin } from './http-url.ts'
import { type ExchangeOwner, PooledExchange } from './pooled-exchange.ts'
import { receiveResponse } from './receive-response.ts'

/** Settings of a pool; every duration in ms. */
export interface ConnectionPoolOptions extends Partial<PoolLimits> {
  /** @defaultValue a NodeBackend */
  readonly backend?: NetworkBackend
  readonly tls?: TlsOptions | undefined
  /** How long a request waits for a connection. @defaultValue 60 000 */
  readonly poolTimeoutMs?: number | undefined
  /** Resolving, connecting and TLS together. @defaultValue 10 000 */
  readonly connectTimeoutMs?: number | undefined
  /** From the request to the head of its response. @defaultValue 60 000 */
  readonly headersTimeoutMs?: number | undefined
  /** Between two reads of content. @defaultValue 60 000 */
  readonly bodyTimeoutMs?: number | undefined
  /** How long an idle connection is kept. @defaultValue 15 000 */
  readonly idleTimeoutMs?: number | undefined
  readonly clock?: Clock
}

/** Settings of one exchange. */
export interface ExchangeOptions {
  readonly signal?: AbortSignal | undefined
}

// A service can live with these: they bound descriptors, and a burst to one origin queues.
const DEFAULT_LIMITS: PoolLimits = { maxConnections: 256, maxConnectionsPerOrigin: 64 }
// How exact timeouts are; one timer serves all connections.
const SWEEP_INTERVAL_MS = 250

/** The connections and the queue of one origin. */
interface OriginPool {
  readonly origin: Origin
  readonly connections: Set<Connection>
  /** Used as a stack: the last is the one used last. */
  readonly idle: Connection[]
  /** In the order of arrival. */
  readonly waiting: Set<PooledExchange>
  connecting: number
}

/** A pool of connections. Whoever makes it closes it. */
export class ConnectionPool implements AsyncDisposable, ExchangeOwner {
  readonly #limits: PoolLimits
  readonly #backend: NetworkBackend
  readonly #clock: Clock
  readonly #tls: TlsOptions
  readonly #timeouts: ExchangeTimeouts
  readonly #poolTimeoutMs: number
  readonly #connectTimeoutMs: number
  readonly #idleTimeoutMs: number
  readonly #origins = new Map<string, OriginPool>()
  readonly #closing = new AbortController()
  #open = 0
  #stopSweep: (() => void) | undefined

  constructor(options: ConnectionPoolOptions = {}) {
    this.#limits = {
      maxConnections: options.maxConnections ?? DEFAULT_LIMITS.maxConnections,
      maxConnectionsPerOrigin:
        options.maxConnectionsPerOrigin ?? DEFAULT_LIMITS.maxConnectionsPerOrigin,
    }
    this.#clock = options.clock ?? systemClock
    this.#backend = options.backend ?? new NodeBackend({ clock: this.#clock })
    this.#tls = options.tls ?? {}
    this.#timeouts = {
      headersTimeoutMs: options.headersTimeoutMs ?? 60_000,
      bodyTimeoutMs: options.bodyTimeoutMs ?? 60_000,
    }
    this.#poolTimeoutMs = options.poolTimeoutMs ?? 60_000
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 15_000
  }

  /**
   * Sends a request and gives its response once the head is here.
   * @throws {ConnectError} {TimeoutError} {StreamError} {RemoteProtocolError}, or `signal.reason`
   */
  request(request: HttpRequest, options: ExchangeOptions = {}): Promise<HttpResponse> {
    return receiveResponse(request, (handler) => this.dispatch(request, handler, options))
  }

  /** Sends a request and gives its response by callback, without a promise on the way. */
  dispatch(
    request: HttpRequest,
    handler: ResponseHandler,
    options: ExchangeOptions = {},
  ): Exchange {
    const { signal } = options
    const exchange = new PooledExchange(this, request, handler, {
      timeouts: this.#timeouts,
      signal,
    })
    if (signal?.aborted === true) {
      exchange.failWaiting(signal.reason as Error)
    } else if (this.#closing.signal.aborted) {
      exchange.failWaiting(poolClosed())
    } else {
      const pool = this.#originPool(request.url.origin)
      // The usual case of assignRequest(), without asking it: nobody waits and somebody is free.
      const idle = pool.waiting.size === 0 ? pool.idle.pop() : undefined
      if (idle !== undefined) {
        exchange.startOn(idle)
      } else {
        exchange.waitDeadline = this.#clock.now() + this.#poolTimeoutMs
        pool.waiting.add(exchange)
        this.#assign(pool)
      }
      this.#startSweep()
    }
    return exchange
  }

  /** The state in one line an origin, for people and tests: `http://h:80 active 1 idle 2 …`. */
  toString(): string {
    const lines = [...this.#origins.values()].map(
      ({ origin, connections, idle, waiting, connecting }) => {
        const active = connections.size - idle.length
        return `${origin.key} active ${active} idle ${idle.length} connecting ${connecting} waiting ${waiting.size}`
      },
    )
    return lines.length === 0 ? 'empty' : lines.join('\n')
  }

  /** Closes every connection; what runs or waits fails. Idempotent. */
  close(): Promise<void> {
    this.#closing.abort(poolClosed())
    this.#stopSweep?.()
    this.#stopSweep = undefined
    for (const pool of this.#origins.values()) {
      for (const exchange of [...pool.waiting]) {
        pool.waiting.delete(exchange)
        exchange.failWaiting(poolClosed())
      }
      for (const connection of [...pool.connections]) connection.close(poolClosed())
    }
    this.#origins.clear()
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal */
  retryOnNewConnection(exchange: PooledExchange): void {
    if (this.#closing.signal.aborted) {
      exchange.failWaiting(poolClosed())
      return
    }
    exchange.waitDeadline = this.#clock.now() + this.#poolTimeoutMs
    const pool = this.#originPool(exchange.request.url.origin)
    // It was first once already, so it goes before those who came later.
    const others = [...pool.waiting]
    pool.waiting.clear()
    for (const one of [exchange, ...others]) pool.waiting.add(one)
    this.#assign(pool)
  }

  /** @internal */
  forget(exchange: PooledExchange): void {
    this.#origins.get(exchange.request.url.origin.key)?.waiting.delete(exchange)
  }

  /** Serves waiting requests of an origin as far as that is possible now. */
  #assign(pool: OriginPool): void {
    for (const exchange of pool.waiting) {
      const load = this.#loadOf(pool, exchange)
      const idleElsewhere = this.#open < this.#limits.maxConnections ? 0 : this.#countIdle(pool)
      switch (assignRequest(load, { open: this.#open, idleElsewhere }, this.#limits)) {
        case 'use-idle':
          pool.waiting.delete(exchange)
          exchange.startOn(pool.idle.pop() as Connection)
          break
        case 'evict-idle':
          // Closing it frees a place, which `#assignOthers` gives away at once: to this origin too.
          this.#evictIdle(pool)
          return
        case 'open':
          void this.#connect(pool)
          break
        case 'wait':
          return
      }
    }
  }

  #loadOf(pool: OriginPool, exchange: PooledExchange): OriginLoad {
    if (exchange.needsNewConnection) {
      // They have been idle for longer than the one that proved stale: the stack gives newest first.
      while (pool.idle.length > 0) pool.idle[0]?.close()
    }
    return {
      waiting: pool.waiting.size,
      idle: pool.idle.length,
      connecting: pool.connecting,
      open: pool.connections.size + pool.connecting,
    }
  }

  async #connect(pool: OriginPool): Promise<void> {
    pool.connecting++
    this.#open++
    try {
      const connection = await this.#openConnection(pool)
      pool.connecting--
      pool.connections.add(connection)
      this.#onStateChange(pool, connection)
    } catch (error) {
      pool.connecting--
      this.#open--
      this.#failFirst(pool, error as Error)
    }
  }

  async #openConnection(pool: OriginPool): Promise<Connection> {
    const { scheme, host, port } = pool.origin
    const stream = await this.#backend.connect({
      host,
      port,
      tls: scheme === 'https' ? this.#tls : undefined,
      timeoutMs: this.#connectTimeoutMs,
      signal: this.#closing.signal,
    })
    const connection = new Http1Connection(stream, {
      clock: this.#clock,
      onStateChange: (changed) => this.#onStateChange(pool, changed),
    })
    if (this.#closing.signal.aborted) connection.close()
    if (connection.state === 'closed') {
      throw new StreamError(
        `Cannot use the connection to ${pool.origin.key}: it was closed at once`,
      )
    }
    return connection
  }

  /** A failed attempt was made for the request that has waited longest. */
  #failFirst(pool: OriginPool, error: Error): void {
    const [first] = pool.waiting
    if (first !== undefined) {
      pool.waiting.delete(first)
      first.failWaiting(error)
    }
    this.#assign(pool)
    this.#assignOthers(pool)
  }

  #onStateChange(pool: OriginPool, connection: Connection): void {
    if (connection.state === 'closed') {
      if (!pool.connections.delete(connection)) return
      this.#open--
      const at = pool.idle.indexOf(connection)
      if (at !== -1) pool.idle.splice(at, 1)
      this.#assign(pool)
      this.#assignOthers(pool)
      return
    }
    const [first] = pool.waiting
    if (first !== undefined && !(first.needsNewConnection && connection.exchanges > 0)) {
      pool.waiting.delete(first)
      first.startOn(connection)
      return
    }
    pool.idle.push(connection)
    if (first === undefined) this.#assignOthers(pool)
    else this.#assign(pool)
  }

  /** A connection has become free: other origins may have waited for the total to sink. */
  #assignOthers(pool: OriginPool): void {
    if (this.#open < this.#limits.maxConnections - 1) return
    for (const other of this.#origins.values()) {
      if (other !== pool && other.waiting.size > 0) this.#assign(other)
    }
  }

  #countIdle(except: OriginPool): number {
    let count = 0
    for (const pool of this.#origins.values()) if (pool !== except) count += pool.idle.length
    return count
  }

  #evictIdle(except: OriginPool): void {
    let oldest: Connection | undefined
    for (const pool of this.#origins.values()) {
      const first = pool.idle[0]
      if (pool === except || first === undefined) continue
      if (oldest === undefined || first.idleSince < oldest.idleSince) oldest = first
    }
    oldest?.close()
  }

  #originPool(origin: Origin): OriginPool {
    const known = this.#origins.get(origin.key)
    if (known !== undefined) return known
    const pool: OriginPool = {
      origin,
      connections: new Set(),
      idle: [],
      waiting: new Set(),
      connecting: 0,
    }
    this.#origins.set(origin.key, pool)
    return pool
  }

  #startSweep(): void {
    this.#stopSweep ??= this.#clock.after(SWEEP_INTERVAL_MS, () => this.#sweep(), {
      background: true,
    })
  }

  /** Times out what has stood still, closes what has been idle too long, forgets empty origins. */
  #sweep(): void {
    this.#stopSweep = undefined
    const now = this.#clock.now()
    for (const [key, pool] of this.#origins) {
      for (const exchange of [...pool.waiting]) {
        if (now >= exchange.waitDeadline) this.#timeOutWaiting(pool, exchange)
      }
      for (const connection of [...pool.connections]) connection.checkTimeouts(now)
      while (pool.idle[0] !== undefined && now - pool.idle[0].idleSince >= this.#idleTimeoutMs) {
        pool.idle[0].close()
      }
      if (pool.connections.size + pool.connecting + pool.waiting.size === 0) {
        this.#origins.delete(key)
      }
    }
    if (this.#origins.size > 0) this.#startSweep()
  }

  #timeOutWaiting(pool: OriginPool, exchange: PooledExchange): void {
    pool.waiting.delete(exchange)
    exchange.failWaiting(
      new TimeoutError(
        'pool',
        this.#poolTimeoutMs,
        `Cannot send ${exchange.request.method} ${exchange.request.url.label}: no connection became free within ${this.#poolTimeoutMs} ms`,
      ),
    )
  }
}

function poolClosed(): FerryError {
  return new StreamError('Cannot go on: the connection pool was closed')
}

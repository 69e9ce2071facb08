/**
 * Connections of many origins, kept and shared: who waits is served in order, who is idle is used
 * newest first so that cold ones age out.
 *
 * Owns every connection from opening to closing. All changes of state are synchronous; decisions are
 * in assign-requests.ts. Does not follow, decode, or retry (but for stale connections).
 */
import { type Clock, systemClock } from '../clock.ts'
import { type FerryError, StreamError, TimeoutError } from '../errors.ts'
import { NodeBackend } from '../net/node-backend.ts'
import { assignRequest, lifetimeOf, type OriginLoad, yieldsPlace } from './assign-requests.ts'
import { CoarseTimer } from './coarse-timer.ts'
import type { ConnectionMetrics, Exchange, ResponseHandler } from './connection.ts'
import { ConnectionOpener } from './connection-opener.ts'
import type { HttpRequest } from './http-request.ts'
import type { HttpResponse } from './http-response.ts'
import type { Origin } from './http-url.ts'
import { addCounts, OriginPool, type PoolCounts, type PooledConnection } from './origin-pool.ts'
import {
  type ConnectionPoolOptions,
  type ExchangeOptions,
  type PoolSettings,
  type PoolTimeouts,
  resolvePoolOptions,
  resolveTimeouts,
} from './pool-options.ts'
import { type ExchangeOwner, PooledExchange } from './pooled-exchange.ts'
import { receiveResponse, receiveUpgrade, type UpgradeOutcome } from './receive-response.ts'
import { ExchangeTrace, Tracer } from './trace.ts'

/** The state of a pool in numbers. */
export interface PoolMetrics extends PoolCounts {
  /** By origin, as in `Origin.key`; those that have nothing any more are left out. */
  readonly origins: Readonly<Record<string, PoolCounts>>
  /** Every open connection. */
  readonly connections: readonly (ConnectionMetrics & { readonly origin: string })[]
}

const NO_OPTIONS: ExchangeOptions = Object.freeze({})

/** A pool of connections. Whoever makes it closes it. */
export class ConnectionPool implements AsyncDisposable, ExchangeOwner {
  readonly #settings: PoolSettings
  readonly #clock: Clock
  readonly #tracer: Tracer
  readonly #opener: ConnectionOpener
  readonly #timer: CoarseTimer
  readonly #origins = new Map<string, OriginPool>()
  readonly #closing = new AbortController()
  /** Connections that are open or being opened. */
  #open = 0
  #exchanges = 0
  /** What origins that were forgotten had. */
  #past: PoolCounts = addCounts([])

  /** @throws {ConfigError} when an option cannot be used */
  constructor(options: ConnectionPoolOptions = {}) {
    this.#settings = resolvePoolOptions(options)
    this.#clock = options.clock ?? systemClock
    this.#tracer = new Tracer(options.trace, this.#clock)
    const { timeouts, idleTimeoutMs } = this.#settings
    this.#timer = new CoarseTimer(this.#clock, [...valuesOf(timeouts), idleTimeoutMs], () =>
      this.#sweep(),
    )
    this.#opener = new ConnectionOpener({
      backend: options.backend ?? new NodeBackend({ clock: this.#clock }),
      clock: this.#clock,
      tracer: this.#tracer,
      tls: options.tls ?? {},
      proxy: options.proxy,
      socketPath: options.socketPath,
      connectTimeoutMs: this.#settings.connectTimeoutMs,
      signal: this.#closing.signal,
    })
  }

  /**
   * Sends a request and gives its response once the head is here.
   * @throws {ConnectError} {TimeoutError} {StreamError} {RemoteProtocolError}, or `signal.reason`
   */
  request(request: HttpRequest, options: ExchangeOptions = NO_OPTIONS): Promise<HttpResponse> {
    return receiveResponse(request, options, (handler) => this.dispatch(request, handler, options))
  }

  /**
   * Asks to switch protocols (RFC 9110 §7.8), or for a tunnel by CONNECT (§9.3.6). An open stream
   * leaves the pool, is not counted in its limits, and is the caller's to close.
   * @throws as `request` does
   */
  upgrade(request: HttpRequest, options: ExchangeOptions = NO_OPTIONS): Promise<UpgradeOutcome> {
    return receiveUpgrade(request, options, (handler) => this.dispatch(request, handler, options))
  }

  /** Sends a request and gives its response by callback, without a promise on the way. */
  dispatch(
    request: HttpRequest,
    handler: ResponseHandler,
    options: ExchangeOptions = NO_OPTIONS,
  ): Exchange {
    const { signal } = options
    const now = this.#clock.now()
    const timeouts =
      options === NO_OPTIONS
        ? this.#settings.timeouts
        : resolveTimeouts(options, this.#settings.timeouts)
    const exchange = new PooledExchange(this, request, handler, {
      timeouts,
      signal,
      trace: this.#traceOf(request),
      now,
    })
    if (signal?.aborted === true) {
      exchange.failWaiting(signal.reason as Error)
    } else if (this.#closing.signal.aborted) {
      exchange.failWaiting(poolClosed())
    } else {
      if (timeouts !== this.#settings.timeouts) this.#timer.sharpen(valuesOf(timeouts))
      const pool = this.#originPool(request.url.origin)
      // The usual case of assignRequest(), without asking it: nobody waits and somebody is free.
      const idle = pool.waiting.size === 0 ? this.#popIdle(pool, now) : undefined
      if (idle !== undefined) {
        this.#startOn(pool, exchange, idle, now)
      } else {
        exchange.waitDeadline = now + timeouts.poolTimeoutMs
        pool.waiting.add(exchange)
        this.#assign(pool)
      }
      this.#timer.start()
    }
    return exchange
  }

  /** The state in one line an origin, for people and tests: `http://h:80 active 1 idle 2 …`. */
  toString(): string {
    return this.#origins.size === 0 ? 'empty' : [...this.#origins.values()].join('\n')
  }

  /** Numbers of now, and since the pool was made. */
  metrics(): PoolMetrics {
    const origins = [...this.#origins.values()]
    return {
      ...addCounts([this.#past, ...origins.map((pool) => pool.counts())]),
      origins: Object.fromEntries(origins.map((pool) => [pool.origin.key, pool.counts()])),
      connections: origins.flatMap(({ origin, connections }) =>
        [...connections].map(({ connection }) => ({ ...connection.metrics, origin: origin.key })),
      ),
    }
  }

  /** Closes every connection; what runs or waits fails. Idempotent. */
  close(): Promise<void> {
    this.#closing.abort(poolClosed())
    this.#timer.stop()
    for (const pool of this.#origins.values()) {
      for (const exchange of [...pool.waiting]) {
        pool.waiting.delete(exchange)
        exchange.failWaiting(poolClosed())
      }
      for (const { connection } of [...pool.connections]) connection.close(poolClosed())
    }
    // One that is being opened is closed, and its origin forgotten, in `#connect`.
    for (const pool of [...this.#origins.values()]) this.#forgetIfEmpty(pool)
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
    exchange.waitDeadline = this.#clock.now() + exchange.timeouts.poolTimeoutMs
    const pool = this.#originPool(exchange.request.url.origin)
    // It was first once already, so it goes before those who came later.
    // Served when the pool is told that the old connection is closed, which frees a place.
    pool.putFirst(exchange)
  }

  /** @internal */
  forget(exchange: PooledExchange): void {
    this.#origins.get(exchange.request.url.origin.key)?.waiting.delete(exchange)
  }

  #traceOf(request: HttpRequest): ExchangeTrace | undefined {
    if (!this.#tracer.active) return undefined
    return new ExchangeTrace(this.#tracer, {
      origin: request.url.origin.key,
      exchange: ++this.#exchanges,
      request: `${request.method} ${request.url.label}`,
    })
  }

  // ── Assigning

  /** Serves waiting requests of an origin as far as that is possible now. */
  #assign(pool: OriginPool): void {
    const now = this.#clock.now()
    for (const exchange of pool.waiting) {
      const load = this.#loadOf(pool, exchange, now)
      const { limits } = this.#settings
      const idleElsewhere = this.#open < limits.maxConnections ? 0 : this.#countIdle(pool)
      switch (assignRequest(load, { open: this.#open, idleElsewhere }, limits)) {
        case 'use-idle':
          pool.waiting.delete(exchange)
          this.#startOn(pool, exchange, pool.idle.pop() as PooledConnection, now)
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

  #loadOf(pool: OriginPool, exchange: PooledExchange, now: number): OriginLoad {
    // What has expired is of no use, and for an exchange that met a stale connection no idle one is:
    // all of them have been idle for longer, since the stack gives the newest first.
    for (const pooled of [...pool.idle]) {
      if (exchange.needsNewConnection || pooled.expiresAt <= now) pooled.connection.close()
    }
    return {
      waiting: pool.waiting.size,
      idle: pool.idle.length,
      connecting: pool.connecting,
      open: pool.connections.size + pool.connecting,
    }
  }

  #popIdle(pool: OriginPool, now: number): PooledConnection | undefined {
    for (;;) {
      const pooled = pool.idle.pop()
      if (pooled === undefined || pooled.expiresAt > now) return pooled
      pooled.connection.close()
    }
  }

  #startOn(
    pool: OriginPool,
    exchange: PooledExchange,
    pooled: PooledConnection,
    now: number,
  ): void {
    if (pooled.connection.exchanges > 0) pool.reused++
    exchange.startOn(pooled, now)
  }

  async #connect(pool: OriginPool): Promise<void> {
    pool.connecting++
    this.#open++
    let pooled: PooledConnection | undefined
    let failure: Error | undefined
    try {
      pooled = await this.#opener.open(pool.origin, (changed) => this.#onStateChange(pool, changed))
    } catch (error) {
      failure = error as Error
    }
    pool.connecting--
    if (pooled === undefined) {
      pool.failed++
      this.#open--
      this.#failFirst(pool, failure as Error)
    } else {
      pool.created++
      pool.connections.add(pooled)
      // The pool may have been closed between the opening and this turn.
      if (this.#closing.signal.aborted) pooled.connection.close()
      this.#onStateChange(pool, pooled)
    }
    if (this.#closing.signal.aborted) this.#forgetIfEmpty(pool)
  }

  /** A failed attempt was made for the request that has waited longest. */
  #failFirst(pool: OriginPool, error: Error): void {
    const [first] = pool.waiting
    if (first !== undefined) {
      pool.waiting.delete(first)
      first.failWaiting(error)
    }
    this.#assignAll(pool)
  }

  #onStateChange(pool: OriginPool, pooled: PooledConnection): void {
    const { connection } = pooled
    if (connection.state === 'closed') {
      if (!pool.remove(pooled)) return
      this.#open--
      this.#traceClose(pool, connection.id)
      this.#assignAll(pool)
      return
    }
    // It has become idle in this very turn.
    const now = connection.idleSince
    pooled.expiresAt = now + lifetimeOf(connection, now - pooled.openedAt, this.#settings)
    if (pooled.expiresAt <= now) {
      connection.close()
      return
    }
    if (pool.waiting.size === 0) {
      pool.idle.push(pooled)
      this.#assignOthers(pool)
      return
    }
    const [first] = pool.waiting
    const other = this.#findStarving(pool, now)
    if (first !== undefined && yieldsPlace(first.queuedAt, other?.queuedAt, now)) {
      // Closing it frees a place, which `#assignOthers` gives to whoever has waited longest.
      connection.close()
      return
    }
    if (first !== undefined && !(first.needsNewConnection && connection.exchanges > 0)) {
      pool.waiting.delete(first)
      this.#startOn(pool, first, pooled, now)
      return
    }
    pool.idle.push(pooled)
    this.#assign(pool)
  }

  #traceClose(pool: OriginPool, id: number): void {
    if (!this.#tracer.active) return
    this.#tracer.emit({
      step: 'close',
      phase: 'end',
      origin: pool.origin.key,
      connection: id,
      exchange: undefined,
      request: undefined,
    })
  }

  /** The total was reached: the origin whose first request has waited longest comes first. */
  #assignAll(pool: OriginPool): void {
    if (this.#open < this.#settings.limits.maxConnections - 1) {
      this.#assign(pool)
      return
    }
    for (const other of this.#waitingOrigins()) this.#assign(other)
  }

  /** A connection has become idle: other origins may have waited for the total to sink. */
  #assignOthers(pool: OriginPool): void {
    if (this.#open < this.#settings.limits.maxConnections - 1) return
    for (const other of this.#waitingOrigins()) if (other !== pool) this.#assign(other)
  }

  #waitingOrigins(): OriginPool[] {
    const origins = [...this.#origins.values()].filter(({ waiting }) => waiting.size > 0)
    return origins.sort((a, b) => a.queuedAt - b.queuedAt)
  }

  /** The other origin that waits longest for nothing but a place within the total. */
  #findStarving(pool: OriginPool, now: number): OriginPool | undefined {
    if (this.#open < this.#settings.limits.maxConnections) return undefined
    let longest: OriginPool | undefined
    for (const other of this.#origins.values()) {
      if (other === pool || other.queuedAt >= (longest?.queuedAt ?? now)) continue
      const open = other.connections.size + other.connecting
      if (open >= this.#settings.limits.maxConnectionsPerOrigin) continue
      if (other.connecting < other.waiting.size) longest = other
    }
    return longest
  }

  #countIdle(except: OriginPool): number {
    let count = 0
    for (const pool of this.#origins.values()) if (pool !== except) count += pool.idle.length
    return count
  }

  #evictIdle(except: OriginPool): void {
    let oldest: PooledConnection | undefined
    for (const pool of this.#origins.values()) {
      const first = pool.idle[0]
      if (pool === except || first === undefined) continue
      if (oldest === undefined || first.connection.idleSince < oldest.connection.idleSince) {
        oldest = first
      }
    }
    oldest?.connection.close()
  }

  #originPool(origin: Origin): OriginPool {
    const known = this.#origins.get(origin.key)
    if (known !== undefined) return known
    const pool = new OriginPool(origin)
    this.#origins.set(origin.key, pool)
    return pool
  }

  #forgetIfEmpty(pool: OriginPool): void {
    if (!pool.isEmpty) return
    this.#past = addCounts([this.#past, pool.counts()])
    this.#origins.delete(pool.origin.key)
  }

  // ── Time

  /**
   * Times out what has stood still, closes what has been idle too long, forgets empty origins.
   * @returns whether there is anything left to watch
   */
  #sweep(): boolean {
    const now = this.#clock.now()
    for (const pool of [...this.#origins.values()]) {
      for (const exchange of [...pool.waiting]) this.#checkWaiting(pool, exchange, now)
      for (const { connection } of [...pool.connections]) connection.checkTimeouts(now)
      for (const pooled of [...pool.idle]) {
        if (pooled.expiresAt <= now) pooled.connection.close()
      }
      this.#forgetIfEmpty(pool)
    }
    return this.#origins.size > 0
  }

  #checkWaiting(pool: OriginPool, exchange: PooledExchange, now: number): void {
    const { waitDeadline, totalDeadline, timeouts, request } = exchange
    if (now < waitDeadline && now < totalDeadline) return
    const what = `${request.method} ${request.url.label}`
    const { poolTimeoutMs, totalTimeoutMs } = timeouts
    pool.waiting.delete(exchange)
    exchange.failWaiting(
      now >= totalDeadline
        ? new TimeoutError(
            'total',
            totalTimeoutMs,
            `Cannot send ${what}: no connection became free within ${totalTimeoutMs} ms, the limit for all of it`,
          )
        : new TimeoutError(
            'pool',
            poolTimeoutMs,
            `Cannot send ${what}: no connection became free within ${poolTimeoutMs} ms`,
          ),
    )
  }
}

function valuesOf(timeouts: PoolTimeouts): number[] {
  return Object.values(timeouts) as number[]
}

function poolClosed(): FerryError {
  return new StreamError('Cannot go on: the connection pool was closed')
}

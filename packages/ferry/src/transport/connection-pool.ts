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
import type { Connection, ConnectionMetrics, Exchange, ResponseHandler } from './connection.ts'
import { ConnectionOpener } from './connection-opener.ts'
import type { HttpRequest } from './http-request.ts'
import type { HttpResponse } from './http-response.ts'
import type { Origin } from './http-url.ts'
import {
  addCounts,
  http1Name,
  OriginPool,
  type PoolCounts,
  type PooledConnection,
} from './origin-pool.ts'
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
import { repeatError } from './repeat-error.ts'
import { ExchangeTrace, Tracer } from './trace.ts'

/** The state of a pool in numbers. */
export interface PoolMetrics extends PoolCounts {
  /** By origin, as in `Origin.key`; those that have nothing any more are left out. */
  readonly origins: Readonly<Record<string, PoolCounts>>
  /** Every open connection. */
  readonly connections: readonly (ConnectionMetrics & { readonly origin: string })[]
}

const MAX_REMEMBERED_ORIGINS = 1000
// How long a busy connection takes no more requests for the sake of another origin.
const MAX_YIELD_MS = 2000

const NO_OPTIONS: ExchangeOptions = Object.freeze({})

/** A pool of connections. Whoever makes it closes it. */
export class ConnectionPool implements AsyncDisposable, ExchangeOwner {
  readonly #settings: PoolSettings
  readonly #clock: Clock
  readonly #tracer: Tracer
  readonly #opener: ConnectionOpener
  readonly #timer: CoarseTimer
  readonly #origins = new Map<string, OriginPool>()
  /** How many requests a connection took at once, by origin: also of origins that were forgotten. */
  readonly #streamsOf = new Map<string, number>()
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
    const { timeouts, idleTimeoutMs, http2 } = this.#settings
    this.#timer = new CoarseTimer(
      this.#clock,
      [...valuesOf(timeouts), idleTimeoutMs, http2.pingIntervalMs, http2.pingTimeoutMs],
      () => this.#sweep(),
    )
    this.#opener = new ConnectionOpener({
      backend: options.backend ?? new NodeBackend({ clock: this.#clock }),
      clock: this.#clock,
      tracer: this.#tracer,
      tls: options.tls ?? {},
      proxy: options.proxy,
      socketPath: options.socketPath,
      connectTimeoutMs: this.#settings.connectTimeoutMs,
      http2: this.#settings.http2,
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
      const pool = this.#poolFor(exchange)
      // The usual case of assignRequest(), without asking it: nobody waits and somebody is free.
      const isNext = pool.waiting.size === 0 && !this.#mustYield(pool, now, now)
      const free = isNext ? this.#takeFree(pool, exchange, now) : undefined
      if (free !== undefined) {
        this.#startOn(pool, exchange, free, now)
      } else {
        exchange.waitDeadline = now + timeouts.poolTimeoutMs
        pool.waiting.add(exchange)
        this.#assign(pool)
      }
      this.#timer.start()
    }
    return exchange
  }

  /** Whether `close()` has been called. */
  get closed(): boolean {
    return this.#closing.signal.aborted
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
      origins: countsByOrigin(origins),
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
  retry(exchange: PooledExchange, { afterLoss }: { readonly afterLoss: boolean }): void {
    if (this.#closing.signal.aborted) {
      exchange.failWaiting(poolClosed())
      return
    }
    exchange.waitDeadline = this.#clock.now() + exchange.timeouts.poolTimeoutMs
    if (afterLoss) exchange.minConnectionId = this.#opener.nextId
    const pool = this.#poolFor(exchange)
    pool.waiting.addReturned(exchange)
    // After a loss it is served when the pool is told that the old connection is closed, which frees
    // a place.
    if (!afterLoss) this.#assign(pool)
  }

  /** @internal */
  forget(exchange: PooledExchange): void {
    const { key } = exchange.request.url.origin
    for (const name of [key, http1Name(key)]) this.#origins.get(name)?.waiting.delete(exchange)
    // Others may have kept a place for it.
    this.#assignAllWaiting()
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
      if (this.#mustYield(pool, exchange.queuedAt, now)) return
      this.#closeUseless(pool, exchange, now)
      // A place that became free by that may be its own already.
      if (!pool.waiting.has(exchange)) continue
      const load = this.#loadOf(pool, exchange, now)
      const { limits } = this.#settings
      const idleElsewhere = this.#open < limits.maxConnections ? 0 : this.#countIdle(pool)
      switch (assignRequest(load, { open: this.#open, idleElsewhere }, limits)) {
        case 'use-free': {
          const free = this.#takeFree(pool, exchange, now)
          if (free === undefined) return
          pool.waiting.delete(exchange)
          this.#startOn(pool, exchange, free, now)
          break
        }
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

  /**
   * Closes what is of no use: idle connections that have expired, and, for an exchange that met a
   * stale connection, those that were idle then.
   */
  #closeUseless(pool: OriginPool, exchange: PooledExchange, now: number): void {
    for (const pooled of pool.idle) {
      const { id } = pooled.connection
      if (id < exchange.minConnectionId || pooled.expiresAt <= now) pooled.connection.close()
    }
  }

  #loadOf(pool: OriginPool, exchange: PooledExchange, now: number): OriginLoad {
    return {
      waiting: pool.waiting.size,
      free: pool.free.filter((pooled) => this.#canTake(pooled, exchange, now)).length,
      connecting: pool.connecting + pool.unsettled,
      streamsPerConnection: pool.streamsPerConnection,
      open: pool.open,
    }
  }

  /** The free connection that was used last and will do for an exchange. */
  #takeFree(pool: OriginPool, exchange: PooledExchange, now: number): PooledConnection | undefined {
    for (let index = pool.free.length - 1; index >= 0; index--) {
      const pooled = pool.free[index] as PooledConnection
      if (pooled.expiresAt <= now) {
        pooled.connection.close()
        continue
      }
      if (!this.#canTake(pooled, exchange, now)) continue
      // Full after this one.
      if (this.#capacityOf(pooled, now) === 1) pool.removeFree(pooled)
      return pooled
    }
    return undefined
  }

  #canTake(pooled: PooledConnection, exchange: PooledExchange, now: number): boolean {
    const { connection } = pooled
    if (this.#capacityOf(pooled, now) === 0 || connection.id < exchange.minConnectionId)
      return false
    // RFC 8441 §3: whether it takes another protocol must be known first.
    return !exchange.asksForProtocol || connection.takesUpgrades !== undefined
  }

  /** How many requests it may be given, its age and the number of those before taken into account. */
  #capacityOf({ connection, openedAt }: PooledConnection, now: number): number {
    const { maxRequestsPerConnection, maxConnectionAgeMs } = this.#settings
    if (now - openedAt >= maxConnectionAgeMs) return 0
    return Math.min(connection.capacity, maxRequestsPerConnection - connection.exchanges)
  }

  #startOn(
    pool: OriginPool,
    exchange: PooledExchange,
    pooled: PooledConnection,
    now: number,
  ): void {
    if (pooled.connection.exchanges > 0) pool.reused++
    pooled.expiresAt = Number.POSITIVE_INFINITY
    exchange.startOn(pooled, now)
  }

  async #connect(pool: OriginPool): Promise<void> {
    pool.connecting++
    this.#open++
    const startedAt = this.#clock.now()
    let pooled: PooledConnection | undefined
    let failure: Error | undefined
    try {
      pooled = await this.#opener.open({
        origin: pool.origin,
        http1Only: pool.http1Only,
        expectedStreams: pool.streamsPerConnection,
        onStateChange: (changed) => this.#onStateChange(pool, changed),
      })
    } catch (error) {
      failure = error as Error
    }
    pool.connecting--
    if (pooled === undefined) {
      pool.failed++
      this.#open--
      this.#failWaiting(pool, failure as Error, startedAt)
    } else {
      pool.created++
      pool.connections.add(pooled)
      this.#learn(pool, pooled.connection)
      // The pool may have been closed between the opening and this turn.
      if (this.#closing.signal.aborted) pooled.connection.close()
      this.#onStateChange(pool, pooled)
      // Others may have waited to see whether this one takes many.
      if (pool.waiting.size > 0) this.#assign(pool)
    }
    if (this.#closing.signal.aborted) this.#forgetIfEmpty(pool)
  }

  /**
   * A failed attempt was made for the request that has waited longest; where one connection was to
   * serve all, for all that waited when it began.
   */
  #failWaiting(pool: OriginPool, error: Error, startedAt: number): void {
    const hasOthers = pool.connections.size + pool.connecting > 0
    const shared = hasOthers ? 1 : pool.streamsPerConnection
    for (const [index, exchange] of [...pool.waiting].entries()) {
      if (index > 0 && (index >= shared || exchange.queuedAt > startedAt)) break
      pool.waiting.delete(exchange)
      exchange.failWaiting(index === 0 ? error : repeatError(error))
    }
    this.#assignAll(pool)
  }

  /** Takes note of how many requests connections of an origin take at once. */
  #learn(pool: OriginPool, { maxStreams, isSettled }: Connection): void {
    if (maxStreams === pool.streamsPerConnection || !isSettled) return
    pool.streamsPerConnection = maxStreams
    if (pool.http1Only) return
    if (this.#streamsOf.size >= MAX_REMEMBERED_ORIGINS) this.#streamsOf.clear()
    this.#streamsOf.set(pool.origin.key, maxStreams)
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
    this.#learn(pool, connection)
    const isIdle = connection.state !== 'active'
    if (isIdle && this.#endsIdle(pool, pooled)) return
    if (pool.waiting.size > 0) {
      this.#serve(pool, pooled)
      return
    }
    if (this.#capacityOf(pooled, connection.idleSince) > 0) pool.addFree(pooled)
    if (isIdle) this.#assignOthers(pool)
  }

  /** A connection has become idle in this very turn. @returns whether it was closed instead */
  #endsIdle(pool: OriginPool, pooled: PooledConnection): boolean {
    const { connection } = pooled
    const now = connection.idleSince
    pooled.expiresAt = now + lifetimeOf(connection, now - pooled.openedAt, this.#settings)
    if (pooled.expiresAt <= now) {
      connection.close()
      return true
    }
    const { first } = pool.waiting
    if (first === undefined) return false
    const other = this.#findStarving(pool, now)
    if (!yieldsPlace(first.queuedAt, other?.queuedAt, now)) return false
    // Closing it frees a place, which `#assignOthers` gives to whoever has waited longest.
    connection.close()
    return true
  }

  /** Gives a connection that has room to those who wait. */
  #serve(pool: OriginPool, pooled: PooledConnection): void {
    const now = this.#clock.now()
    for (;;) {
      const { first } = pool.waiting
      if (first === undefined || !this.#canTake(pooled, first, now)) break
      if (this.#mustYield(pool, first.queuedAt, now)) break
      pool.waiting.delete(first)
      this.#startOn(pool, first, pooled, now)
    }
    const hasRoom = this.#capacityOf(pooled, now) > 0
    if (hasRoom) pool.addFree(pooled)
    else pool.removeFree(pooled)
    // Those that it cannot take may need another: always so when it does not take one at a time.
    if (pool.waiting.size > 0 && (hasRoom || pooled.connection.maxStreams > 1)) this.#assign(pool)
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

  /** A request waits no longer, and others may have waited because of it. */
  #assignAllWaiting(): void {
    if (this.#open < this.#settings.limits.maxConnections) return
    for (const pool of this.#waitingOrigins()) this.#assign(pool)
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

  /**
   * Whether connections that carry many at once take no more requests, so that one of them becomes
   * idle and gives its place to an origin that waits for one.
   */
  #mustYield(pool: OriginPool, queuedAt: number, now: number): boolean {
    if (pool.streamsPerConnection <= 1 || this.#open < this.#settings.limits.maxConnections) {
      return false
    }
    const other = this.#findStarving(pool, now)
    // A connection that stays busy for so long, with an endless response perhaps, frees no place soon.
    if (other === undefined || now - other.queuedAt > MAX_YIELD_MS) return false
    return yieldsPlace(queuedAt, other.queuedAt, now)
  }

  /** The other origin that waits longest for nothing but a place within the total. */
  #findStarving(pool: OriginPool, now: number): OriginPool | undefined {
    if (this.#open < this.#settings.limits.maxConnections) return undefined
    const { limits } = this.#settings
    // As if one more were free.
    const room = { open: limits.maxConnections - 1, idleElsewhere: 0 }
    let longest: OriginPool | undefined
    for (const other of this.#origins.values()) {
      const { first } = other.waiting
      if (other === pool || first === undefined) continue
      if (first.queuedAt >= (longest?.queuedAt ?? now)) continue
      if (assignRequest(this.#loadOf(other, first, now), room, limits) === 'open') longest = other
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
      if (pool === except) continue
      for (const pooled of pool.idle) {
        const { idleSince } = pooled.connection
        if (oldest === undefined || idleSince < oldest.connection.idleSince) oldest = pooled
      }
    }
    oldest?.connection.close()
  }

  /**
   * Where an exchange waits. One that asks for another protocol goes by HTTP/1.1, which every server
   * takes for that, unless a connection is open whose server takes it over HTTP/2.
   */
  #poolFor(exchange: PooledExchange): OriginPool {
    const { origin } = exchange.request.url
    const known = this.#origins.get(origin.key)
    const isByAlpn = this.#settings.http2.choice === 'alpn' && this.#opener.mayMultiplex(origin)
    if (!exchange.asksForProtocol || !isByAlpn || (known !== undefined && takesUpgrades(known))) {
      return known ?? this.#addOrigin(origin, false)
    }
    return this.#origins.get(http1Name(origin.key)) ?? this.#addOrigin(origin, true)
  }

  #addOrigin(origin: Origin, http1Only: boolean): OriginPool {
    const mayMultiplex = !http1Only && this.#opener.mayMultiplex(origin)
    const streams = mayMultiplex ? (this.#streamsOf.get(origin.key) ?? Number.POSITIVE_INFINITY) : 1
    const pool = new OriginPool(origin, { streamsPerConnection: streams, http1Only })
    this.#origins.set(pool.name, pool)
    return pool
  }

  #forgetIfEmpty(pool: OriginPool): void {
    if (!pool.isEmpty) return
    this.#past = addCounts([this.#past, pool.counts()])
    this.#origins.delete(pool.name)
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
    this.#assignAllWaiting()
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

/** Whether a request for another protocol may go the usual way. */
function takesUpgrades({ connections }: OriginPool): boolean {
  for (const { connection } of connections) if (connection.takesUpgrades === true) return true
  return false
}

function countsByOrigin(pools: readonly OriginPool[]): Record<string, PoolCounts> {
  const counts: Record<string, PoolCounts> = {}
  for (const pool of pools) {
    const { key } = pool.origin
    const others = counts[key]
    counts[key] = others === undefined ? pool.counts() : addCounts([others, pool.counts()])
  }
  return counts
}

function valuesOf(timeouts: PoolTimeouts): number[] {
  return Object.values(timeouts) as number[]
}

function poolClosed(): FerryError {
  return new StreamError('Cannot go on: the connection pool was closed')
}

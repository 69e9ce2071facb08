/**
 * Decides how the pool serves the request that has waited longest for an origin: a pure function of
 * counts, so that every case can be written down in a table.
 */

/** Bounds on connections. */
export interface PoolLimits {
  readonly maxConnections: number
  readonly maxConnectionsPerOrigin: number
}

/** What an origin has and wants. */
export interface OriginLoad {
  /** Requests without a connection. */
  readonly waiting: number
  /** Connections that could take a request now. */
  readonly free: number
  /** Connections being opened, or not yet known to take as many as they may. */
  readonly connecting: number
  /** How many requests each of those is expected to take at once. */
  readonly streamsPerConnection: number
  /** All connections: free, full and being opened. */
  readonly open: number
}

/** What the pool has in all. */
export interface PoolLoad {
  readonly open: number
  /** Idle connections of other origins. */
  readonly idleElsewhere: number
}

/**
 * use-free: hand it a connection with room · open: open one for it · evict-idle: close the idle
 * connection of another origin that was used longest ago, then open · wait: nothing can be done now
 */
export type Assignment = 'use-free' | 'open' | 'evict-idle' | 'wait'

/** Decides for the first waiting request of an origin. */
export function assignRequest(origin: OriginLoad, pool: PoolLoad, limits: PoolLimits): Assignment {
  if (origin.waiting === 0) return 'wait'
  if (origin.free > 0) return 'use-free'
  // Those being opened will serve the waiting ones in their order.
  const { connecting, streamsPerConnection } = origin
  if (connecting > 0 && connecting * streamsPerConnection >= origin.waiting) return 'wait'
  if (origin.open >= limits.maxConnectionsPerOrigin) return 'wait'
  if (pool.open < limits.maxConnections) return 'open'
  return pool.idleElsewhere > 0 ? 'evict-idle' : 'wait'
}

/** What decides how long a connection may wait for its next request. */
export interface ConnectionUse {
  readonly exchanges: number
  /** How long the peer says it keeps an idle connection; Infinity when it does not say. */
  readonly keepAliveMs: number
}

/** Bounds on the life of one connection. */
export interface LifetimeLimits {
  readonly idleTimeoutMs: number
  readonly maxConnectionAgeMs: number
  readonly maxRequestsPerConnection: number
}

// A request must reach the server before it closes: what is on the way when it does is lost.
const KEEP_ALIVE_MARGIN_MS = 1000

/** How long a connection may be kept idle from now on, in ms; 0 or less when it is to be closed. */
export function lifetimeOf(use: ConnectionUse, ageMs: number, limits: LifetimeLimits): number {
  if (use.exchanges >= limits.maxRequestsPerConnection) return 0
  // Half of a short promise is still better than a new connection for each request.
  const hintMs = Math.max(use.keepAliveMs - KEEP_ALIVE_MARGIN_MS, use.keepAliveMs / 2)
  return Math.min(limits.idleTimeoutMs, hintMs, limits.maxConnectionAgeMs - ageMs)
}

// A new connection costs several round trips: taking turns at every request would cost more than it gives.
const STARVING_MS = 100

/**
 * Whether a connection that has become free, while the total is reached, gives its place to another
 * origin: when that one's first request waits longer than our own, and for long enough.
 */
export function yieldsPlace(
  ownQueuedAt: number,
  otherQueuedAt: number | undefined,
  now: number,
): boolean {
  if (otherQueuedAt === undefined) return false
  return otherQueuedAt < ownQueuedAt && now - otherQueuedAt >= STARVING_MS
}

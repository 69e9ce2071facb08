/**
 * The connections and the queue of one origin: who is free, who waits, what has been.
 * Only keeps the books; the pool decides and acts.
 */
import type { ExtraInfo } from '../net/network-backend.ts'
import type { Connection, OpeningTimings } from './connection.ts'
import type { Origin } from './http-url.ts'
import type { PooledExchange } from './pooled-exchange.ts'

/** A connection with what the pool knows of it. */
export interface PooledConnection {
  readonly connection: Connection
  readonly openedAt: number
  readonly opening: OpeningTimings
  /** Asked for at once: of a closed stream nothing can be learnt. */
  readonly extraInfo: ExtraInfo
  /** Until when it may take a request while idle, on the pool's clock. */
  expiresAt: number
}

/** How many of what there are now, and have been since the pool was made. */
export interface PoolCounts {
  /** Connections that were opened. */
  readonly created: number
  /** Exchanges that began on a connection that had carried one before. */
  readonly reused: number
  /** Connections that were handed over to another protocol. */
  readonly upgraded: number
  /** Connections that were closed. */
  readonly closed: number
  /** Connections that could not be opened. */
  readonly failed: number
  readonly active: number
  readonly idle: number
  readonly connecting: number
  /** Requests without a connection. */
  readonly waiting: number
}

/** What one origin has. */
export class OriginPool {
  readonly origin: Origin
  readonly connections: Set<PooledConnection> = new Set()
  /** Used as a stack: the last is the one used last. */
  readonly idle: PooledConnection[] = []
  /** In the order of arrival. */
  readonly waiting: Set<PooledExchange> = new Set()
  connecting = 0
  created = 0
  reused = 0
  upgraded = 0
  closed = 0
  failed = 0

  constructor(origin: Origin) {
    this.origin = origin
  }

  /** Since when its first request waits, on the pool's clock; Infinity when none does. */
  get queuedAt(): number {
    const [first] = this.waiting
    return first?.queuedAt ?? Number.POSITIVE_INFINITY
  }

  get isEmpty(): boolean {
    return this.connections.size + this.connecting + this.waiting.size === 0
  }

  /** Forgets a connection. @returns whether it was known */
  remove(pooled: PooledConnection): boolean {
    if (!this.connections.delete(pooled)) return false
    const at = this.idle.indexOf(pooled)
    if (at !== -1) this.idle.splice(at, 1)
    if (pooled.connection.upgraded) this.upgraded++
    else this.closed++
    return true
  }

  /** Puts a request before those that came later. */
  putFirst(exchange: PooledExchange): void {
    const others = [...this.waiting]
    this.waiting.clear()
    for (const one of [exchange, ...others]) this.waiting.add(one)
  }

  counts(): PoolCounts {
    const { created, reused, upgraded, closed, failed, connecting } = this
    return {
      created,
      reused,
      upgraded,
      closed,
      failed,
      active: this.connections.size - this.idle.length,
      idle: this.idle.length,
      connecting,
      waiting: this.waiting.size,
    }
  }

  toString(): string {
    const { active, idle, connecting, waiting } = this.counts()
    return `${this.origin.key} active ${active} idle ${idle} connecting ${connecting} waiting ${waiting}`
  }
}

/** The sum of what several origins have. */
export function addCounts(all: Iterable<PoolCounts>): PoolCounts {
  const sum = {
    created: 0,
    reused: 0,
    upgraded: 0,
    closed: 0,
    failed: 0,
    active: 0,
    idle: 0,
    connecting: 0,
    waiting: 0,
  }
  for (const counts of all) {
    for (const name of Object.keys(sum) as (keyof PoolCounts)[]) sum[name] += counts[name]
  }
  return sum
}

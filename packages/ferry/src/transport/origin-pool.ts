/**
 * The connections and the queue of one origin: who is free, who waits, what has been.
 * Only keeps the books; the pool decides and acts.
 */
import type { ExtraInfo } from '../net/network-backend.ts'
import type { Connection, OpeningTimings } from './connection.ts'
import type { Origin } from './http-url.ts'
import { RequestQueue } from './request-queue.ts'

/** A connection with what the pool knows of it. */
export interface PooledConnection {
  readonly connection: Connection
  readonly openedAt: number
  readonly opening: OpeningTimings
  /** Asked for at once: of a closed stream nothing can be learnt. */
  readonly extraInfo: ExtraInfo
  /** Until when it may take a request, on the pool's clock; Infinity while it carries one. */
  expiresAt: number
  /** It stands among those that have room. */
  isFree: boolean
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
  /** Those that have room. Used as a stack: the last is the one used last. */
  readonly free: PooledConnection[] = []
  readonly waiting: RequestQueue = new RequestQueue()
  /**
   * How many requests a connection takes at once, as far as is known: Infinity also before one has
   * been opened that may turn out to take many.
   */
  streamsPerConnection: number
  connecting = 0
  created = 0
  reused = 0
  upgraded = 0
  closed = 0
  failed = 0

  /** Its connections speak HTTP/1.1 although the origin may know HTTP/2. */
  readonly http1Only: boolean

  constructor(
    origin: Origin,
    options: { readonly streamsPerConnection: number; readonly http1Only: boolean },
  ) {
    this.origin = origin
    this.streamsPerConnection = options.streamsPerConnection
    this.http1Only = options.http1Only
  }

  /** `https://h:443`, or `https://h:443 (http/1.1)`. */
  get name(): string {
    const { key } = this.origin
    return this.http1Only ? http1Name(key) : key
  }

  /** Since when its first request waits, on the pool's clock; Infinity when none does. */
  get queuedAt(): number {
    return this.waiting.first?.queuedAt ?? Number.POSITIVE_INFINITY
  }

  /** Connections that are open or being opened. */
  get open(): number {
    return this.connections.size + this.connecting
  }

  get isEmpty(): boolean {
    return this.open + this.waiting.size === 0
  }

  /** Forgets a connection. @returns whether it was known */
  remove(pooled: PooledConnection): boolean {
    if (!this.connections.delete(pooled)) return false
    this.removeFree(pooled)
    if (pooled.connection.upgraded) this.upgraded++
    else this.closed++
    return true
  }

  addFree(pooled: PooledConnection): void {
    if (pooled.isFree) return
    pooled.isFree = true
    this.free.push(pooled)
  }

  removeFree(pooled: PooledConnection): void {
    if (!pooled.isFree) return
    pooled.isFree = false
    if (this.free.at(-1) === pooled) this.free.pop()
    else this.free.splice(this.free.indexOf(pooled), 1)
  }

  /** Those that carry nothing now. */
  get idle(): PooledConnection[] {
    const idle: PooledConnection[] = []
    for (const pooled of this.connections) {
      if (pooled.connection.state !== 'active') idle.push(pooled)
    }
    return idle
  }

  /** Connections that may yet turn out to take more, or fewer, than is known. */
  get unsettled(): number {
    let count = 0
    for (const { connection } of this.connections) {
      if (!connection.isSettled) count++
    }
    return count
  }

  counts(): PoolCounts {
    const { created, reused, upgraded, closed, failed, connecting } = this
    const idle = this.idle.length
    return {
      created,
      reused,
      upgraded,
      closed,
      failed,
      active: this.connections.size - idle,
      idle,
      connecting,
      waiting: this.waiting.size,
    }
  }

  toString(): string {
    const { active, idle, connecting, waiting } = this.counts()
    return `${this.name} active ${active} idle ${idle} connecting ${connecting} waiting ${waiting}`
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

/** What the part of an origin is called that only speaks HTTP/1.1. */
export function http1Name(key: string): string {
  return `${key} (http/1.1)`
}

/**
 * How a download goes along: its speed, how long heads take, and from these how many connections are
 * worth having and how patient to be with each. Decides by connection-count.ts and laggards.ts.
 */
import { SpeedMeter } from '../transfer/speed-meter.ts'
import {
  COUNT_TICK_MS,
  type ConnectionCount,
  INITIAL_CONNECTION_COUNT,
  nextConnectionCount,
} from './connection-count.ts'
import { type Patience, patienceAfter } from './laggards.ts'

// How many round trips a new connection takes to show what it can do.
const SETTLE_LATENCIES = 3
const MAX_SETTLE_TICKS = 10
// A server that was silent for a moment within this time sends in bursts.
const BURSTY_MS = 2000

/** What there is to know of a moment. */
export interface PaceFacts {
  /** Of all connections together, since the beginning. */
  readonly fetchedBytes: number
  /** Every connection has work, and its response comes. */
  readonly saturated: boolean
  /** The most connections that are allowed now. */
  readonly ceiling: number
  /** Undefined when not known. */
  readonly remainingBytes: number | undefined
}

/** The pace of one download. */
export class DownloadPace {
  readonly #meter = new SpeedMeter()
  #count: ConnectionCount = INITIAL_CONNECTION_COUNT
  #lastBytes = 0
  #lastAt: number
  /** Ticks in a row without a byte; and when there was one last. */
  #silentTicks = 0
  #silentAt = Number.NEGATIVE_INFINITY
  #latencyMs = 0
  /** Connections that were given up for being slow. */
  #givenUp = 0

  constructor(now: number) {
    this.#lastAt = now
  }

  /** How many connections are thought best. */
  get level(): number {
    return this.#count.level
  }

  /** How long the head of a response takes; 0 when not known. */
  get latencyMs(): number {
    return this.#latencyMs
  }

  /** How long to bear with a connection that is silent or slow. */
  get patience(): Patience {
    return patienceAfter(this.#givenUp, this.#latencyMs)
  }

  noteHead(latencyMs: number): void {
    this.#latencyMs = this.#latencyMs === 0 ? latencyMs : (this.#latencyMs + latencyMs) / 2
  }

  noteGivenUp(): void {
    this.#givenUp++
  }

  /** Is called every COUNT_TICK_MS; `now` in ms of the clock. */
  tick(now: number, { fetchedBytes, saturated, ceiling, remainingBytes }: PaceFacts): void {
    const elapsedMs = Math.max(1, now - this.#lastAt)
    const bytesPerSecond = ((fetchedBytes - this.#lastBytes) * 1000) / elapsedMs
    this.#lastAt = now
    this.#lastBytes = fetchedBytes
    this.#meter.note(now, fetchedBytes)
    this.#silentTicks = saturated && bytesPerSecond === 0 ? this.#silentTicks + 1 : 0
    if (this.#silentTicks > 0) this.#silentAt = now
    const { bytesPerSecond: steadyBytesPerSecond } = this.#meter
    const settleTicks = Math.ceil((SETTLE_LATENCIES * this.#latencyMs) / COUNT_TICK_MS)
    this.#count = nextConnectionCount(this.#count, {
      bytesPerSecond,
      steadyBytesPerSecond,
      silentTicks: this.#silentTicks,
      isBursty: now - this.#silentAt < BURSTY_MS,
      saturated,
      ceiling,
      remainingSeconds: (remainingBytes ?? 0) / Math.max(1, steadyBytesPerSecond),
      settleTicks: Math.min(MAX_SETTLE_TICKS, Math.max(1, settleTicks)),
    })
  }
}

/**
 * What a fetch knows of one of its connections: the span that it is to bring, how far it is, how it
 * fares. A record that file-fetch.ts changes; decides nothing.
 */
import type { Span } from '../transfer/span.ts'
import { SpeedMeter } from '../transfer/speed-meter.ts'
import type { Claim } from './planner.ts'
import type { SegmentWriter } from './segment-writer.ts'

/** What one connection does now. */
export interface ConnectionProgress {
  readonly id: number
  readonly state: 'requesting' | 'receiving' | 'waiting'
  readonly cursor: number
  /** Exclusive; undefined when the size is unknown. */
  readonly end: number | undefined
  readonly bytesPerSecond: number
}

/** One connection's work. */
export interface Worker {
  readonly id: number
  readonly stopping: AbortController
  readonly meter: SpeedMeter
  state: ConnectionProgress['state']
  /** The span that it fetches, [start, end); Infinity while the size is unknown. */
  start: number
  end: number
  /** How far the response on the wire reaches; 0 without one. */
  responseEnd: number
  writer: SegmentWriter | undefined
  /** Its response may yet turn out to be wrong, and has to be read to its end for that. */
  unproven: boolean
  /** In the current request. */
  receivedBytes: number
  /** In all its requests. */
  totalBytes: number
  /** Tries in a row that brought nothing. */
  failures: number
}

/** A connection that is about to ask for a span. */
export function createWorker(id: number, { start, end }: Span): Worker {
  return {
    id,
    stopping: new AbortController(),
    meter: new SpeedMeter(),
    state: 'requesting',
    start,
    end,
    responseEnd: 0,
    writer: undefined,
    unproven: false,
    receivedBytes: 0,
    totalBytes: 0,
    failures: 0,
  }
}

/** The next byte that it will bring. */
export function cursorOf(worker: Worker): number {
  return worker.writer?.cursor ?? worker.start
}

/** The same for those who look on. */
export function toProgress(worker: Worker): ConnectionProgress {
  return { ...toClaim(worker), state: worker.state }
}

/** The same for the planner. */
export function toClaim(worker: Worker): Claim {
  return {
    id: worker.id,
    cursor: cursorOf(worker),
    end: Number.isFinite(worker.end) ? worker.end : undefined,
    bytesPerSecond: worker.meter.bytesPerSecond,
  }
}

/**
 * What a fetch knows of one of its connections: the span that it is to bring, how far it is, how it
 * fares. A record that others change; decides nothing.
 */
import type { Span } from '../transfer/span.ts'
import { SpeedMeter } from '../transfer/speed-meter.ts'
import type { Claim } from './planner.ts'
import type { Remote } from './remotes.ts'
import type { SegmentWriter } from './segment-writer.ts'

/** What one connection does now. */
export interface ConnectionProgress {
  readonly id: number
  readonly state: 'requesting' | 'receiving' | 'waiting'
  /** Where it fetches from, without secrets. */
  readonly url: string
  readonly cursor: number
  /** Exclusive; undefined when the size is unknown. */
  readonly end: number | undefined
  readonly bytesPerSecond: number
  /** In all that it has fetched so far. */
  readonly receivedBytes: number
}

/** One connection's work. */
export interface Worker {
  readonly id: number
  readonly meter: SpeedMeter
  /** Where it fetches from. */
  remote: Remote
  /** Ends what it does now: a request, or a wait. */
  stopping: AbortController
  state: ConnectionProgress['state']
  /** The span that it fetches, [start, end); Infinity while the size is unknown. */
  start: number
  end: number
  /** Whose rest it fetches once more; undefined when its span is its own. */
  hedged: Worker | undefined
  /** How far the response on the wire reaches; 0 without one. */
  responseEnd: number
  writer: SegmentWriter | undefined
  /** Its response may yet turn out to be wrong, and has to be read to its end for that. */
  unproven: boolean
  /** In all its requests. */
  totalBytes: number
  /** When its request began, and when something last came of it, in ms of the clock. */
  requestedAt: number
  heardAt: number
  /** Tries in a row that brought nothing. */
  failures: number
}

/** A connection that is about to ask for a span, at `now` in ms of the clock. */
export function createWorker(
  { id, remote, now }: { readonly id: number; readonly remote: Remote; readonly now: number },
  { start, end }: Span,
): Worker {
  return {
    id,
    remote,
    stopping: new AbortController(),
    meter: new SpeedMeter(),
    state: 'requesting',
    start,
    end,
    hedged: undefined,
    responseEnd: 0,
    writer: undefined,
    unproven: false,
    totalBytes: 0,
    requestedAt: now,
    heardAt: now,
    failures: 0,
  }
}

/** The next byte that it will bring. */
export function cursorOf(worker: Worker): number {
  return worker.writer?.cursor ?? worker.start
}

/** How long nothing has come of what it asked for; 0 for one that does not ask. */
export function silentMs(worker: Worker, now: number): number {
  return worker.state === 'waiting' ? 0 : Math.max(0, now - worker.heardAt)
}

/** What those who look on may see. */
export function toProgress(worker: Worker): ConnectionProgress {
  return {
    id: worker.id,
    state: worker.state,
    url: worker.remote.url.label,
    cursor: cursorOf(worker),
    end: endOf(worker),
    bytesPerSecond: worker.meter.bytesPerSecond,
    receivedBytes: worker.totalBytes,
  }
}

/** What the planner sees. */
export function toClaim(worker: Worker, now: number, isHedged: boolean): Claim {
  return {
    id: worker.id,
    cursor: cursorOf(worker),
    end: endOf(worker),
    bytesPerSecond: worker.meter.bytesPerSecond,
    silentMs: silentMs(worker, now),
    isHedged,
  }
}

function endOf({ end }: Worker): number | undefined {
  return Number.isFinite(end) ? end : undefined
}

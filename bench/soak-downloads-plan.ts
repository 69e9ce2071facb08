/**
 * What happens in one round of the soak of downloads, drawn from a seed: the same seed gives the same
 * round, as far as the machine keeps time. Pure.
 */
import { between, createRandom, draw, type Random } from './soak-random.ts'

/** When a run is ended. */
export type Moment =
  /** So long after its start. */
  | { readonly type: 'started'; readonly ms: number }
  /** So long after the first file has appeared, which is soon before the first request. */
  | { readonly type: 'fetching'; readonly ms: number }
  /** When so many files have appeared, vanished or got another name. */
  | { readonly type: 'renamed'; readonly count: number }

/** What becomes of the server's file. */
export type Change = 'same-size' | 'other-size' | 'touched'

/** A run that is ended before it is done, unless it is done sooner. */
export interface Interruption {
  readonly moment: Moment
  readonly signal: 'SIGKILL' | 'SIGINT'
  /** Of this run. */
  readonly maxConnections: number
  readonly change: Change | undefined
  /** The change comes while the run is under way, so long after its start; else before it. */
  readonly changeAfterMs: number | undefined
}

/** One round; after the interruptions comes a run that is left alone. */
export interface RoundPlan {
  readonly seed: number
  readonly sizeBytes: number
  /** Of each connection. */
  readonly bytesPerSecond: number
  /** Of the last run, which is left alone. */
  readonly maxConnections: number
  /** The file's name is told by -o; else by the URL. */
  readonly isNamed: boolean
  readonly interruptions: readonly Interruption[]
}

const MIN_SIZE_BYTES = 1000
/** Uncut, the longest round takes some five seconds. */
const MAX_SIZE_BYTES = 16_000_000
const MIN_BYTES_PER_SECOND = 400_000
const MAX_BYTES_PER_SECOND = 3_000_000
const MAX_CONNECTIONS = 8
const MAX_INTERRUPTIONS = 6
/** What lies between the start of the program and its first request. */
const START_MS = 400
/** More than a download makes from its beginning to its end. */
const MAX_RENAMES = 16
const LONGEST_FETCH_MS = 5000

/** Draws a round. */
export function planRound(seed: number): RoundPlan {
  const random = createRandom(seed)
  const bytesPerSecond = Math.round(between(random, MIN_BYTES_PER_SECOND, MAX_BYTES_PER_SECOND))
  const maxConnections = drawConnections(random)
  const mostBytes = Math.min(
    MAX_SIZE_BYTES,
    (bytesPerSecond * maxConnections * LONGEST_FETCH_MS) / 1000,
  )
  const sizeBytes = drawSize(random, mostBytes)
  const fetchMs = (sizeBytes * 1000) / (bytesPerSecond * maxConnections)
  return {
    seed,
    sizeBytes,
    bytesPerSecond,
    maxConnections,
    isNamed: random() < 0.5,
    interruptions: Array.from({ length: 1 + Math.floor(random() * MAX_INTERRUPTIONS) }, () =>
      drawInterruption(random, fetchMs),
    ),
  }
}

/** Mostly large files; small and empty ones end in the moments that are rare with others. */
function drawSize(random: Random, mostBytes: number): number {
  const kind = random()
  if (kind < 0.03) return 0
  if (kind < 0.15) return Math.round(between(random, 1, Math.min(mostBytes, 1_000_000)))
  return Math.round(between(random, Math.max(MIN_SIZE_BYTES, mostBytes / 4), mostBytes))
}

function drawInterruption(random: Random, fetchMs: number): Interruption {
  const kind = random()
  const moment: Moment =
    kind < 0.15
      ? { type: 'started', ms: between(random, 0, 2 * START_MS) }
      : kind < 0.4
        ? { type: 'renamed', count: 1 + Math.floor(random() * MAX_RENAMES) }
        : { type: 'fetching', ms: between(random, 0, 0.5 * fetchMs + START_MS) }
  const signal = random() < 0.8 ? 'SIGKILL' : 'SIGINT'
  const change =
    random() < 0.3 ? draw(random, ['same-size', 'other-size', 'touched'] as const) : undefined
  const isDuring = change !== undefined && random() < 0.5
  return {
    moment,
    signal,
    maxConnections: drawConnections(random),
    change,
    changeAfterMs: isDuring ? between(random, START_MS, START_MS + fetchMs) : undefined,
  }
}

function drawConnections(random: Random): number {
  return 1 + Math.floor(random() * MAX_CONNECTIONS)
}

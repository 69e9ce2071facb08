/**
 * Decides which connections to give up for a fresh one: those that have fallen silent, and those far
 * slower than the others. A pure function of how each one fares.
 */

/** How one connection fares. */
export interface Fare {
  readonly id: number
  readonly bytesPerSecond: number
  /** How long nothing has come. */
  readonly silentMs: number
  /** How long its request has been under way. */
  readonly requestMs: number
  readonly remainingBytes: number
}

/** The limits; they grow with each connection that was given up, so that a slow server is not chased. */
export interface Patience {
  readonly silentMs: number
  /** The same where no other connection delivers. */
  readonly lonelyMs: number
  readonly slowMs: number
  /** The same for one that hardly moves. */
  readonly crawlingMs: number
}

// Longer than a retransmission takes.
const MIN_SILENT_MS = 1500
const LATENCIES = 4
const LONELY_FACTOR = 8
const SLOW_MS = 3000
const CRAWLING_MS = 1000
const GROWTH = 1.5
const MAX_GROWTH = 20
// A third of the others' speed: what is slower than that costs more than a new request.
const SLOW_SHARE = 0.3
const CRAWLING_SHARE = 0.1
// What ends within this is left to end.
const MIN_REMAINING_SECONDS = 2

/** How patient to be after `givenUp` connections, with a server whose head takes `latencyMs`. */
export function patienceAfter(givenUp: number, latencyMs: number): Patience {
  const growth = Math.min(MAX_GROWTH, GROWTH ** givenUp)
  const silentMs = Math.max(MIN_SILENT_MS, LATENCIES * latencyMs) * growth
  return {
    silentMs,
    lonelyMs: silentMs * LONELY_FACTOR,
    slowMs: SLOW_MS * growth,
    crawlingMs: Math.max(CRAWLING_MS, LATENCIES * latencyMs) * growth,
  }
}

/** The connections to give up; what they have not brought is fetched by others. */
export function findLaggards(fares: readonly Fare[], patience: Patience): number[] {
  return fares
    .filter((fare) => isSilent(fare, fares, patience) || isSlow(fare, fares, patience))
    .map(({ id }) => id)
}

function isSilent(fare: Fare, fares: readonly Fare[], patience: Patience): boolean {
  const { silentMs } = fare
  const others = fares.some((other) => other !== fare && other.silentMs < patience.silentMs)
  return silentMs >= (others ? patience.silentMs : patience.lonelyMs)
}

function isSlow(fare: Fare, fares: readonly Fare[], patience: Patience): boolean {
  const { bytesPerSecond, requestMs, remainingBytes } = fare
  if (remainingBytes < bytesPerSecond * MIN_REMAINING_SECONDS) return false
  const median = medianSpeed(fares.filter((other) => other !== fare))
  if (bytesPerSecond < median * CRAWLING_SHARE) return requestMs >= patience.crawlingMs
  return bytesPerSecond < median * SLOW_SHARE && requestMs >= patience.slowMs
}

/** Of those whose speed is known; 0 when there are none. */
function medianSpeed(fares: readonly Fare[]): number {
  const speeds = fares.map(({ bytesPerSecond }) => bytesPerSecond).filter((speed) => speed > 0)
  return speeds.sort((one, other) => one - other)[speeds.length >> 1] ?? 0
}

/**
 * Decides which bytes a free connection fetches: a pure function over claims and gaps.
 *
 * A claim is the span that one connection is fetching, [cursor, end). A free connection takes the
 * first gap. When there is none it takes over from a connection that has fallen silent; else the far
 * part of the claim that will take longest, cut so that both would end at the same time; else, in the
 * endgame, it fetches the rest of a claim once more, and whoever is first wins.
 */
import type { Span, SpanSet } from '../transfer/span.ts'

/** What one connection is fetching. */
export interface Claim {
  readonly id: number
  /** The next byte that it will deliver. */
  readonly cursor: number
  /** Exclusive; undefined when the size is unknown. */
  readonly end: number | undefined
  /** How fast it has been; 0 when not known yet. */
  readonly bytesPerSecond: number
  /** How long nothing has come. */
  readonly silentMs: number
  /** Somebody else fetches its rest, too. */
  readonly isHedged: boolean
}

/**
 * take: fetch this gap · split: cut that claim at `at` and fetch from there to its old end ·
 * replace: stop that connection and fetch its rest · hedge: fetch its rest, too
 */
export type Plan =
  | { readonly type: 'take'; readonly span: Span }
  | { readonly type: 'split'; readonly claimId: number; readonly at: number }
  | { readonly type: 'replace' | 'hedge'; readonly claimId: number; readonly span: Span }
  | { readonly type: 'none' }

// Below this a new request costs more than it gains.
const MIN_SPLIT_BYTES = 262_144
// A claim that ends sooner than this is left to end.
const MIN_REMAINING_SECONDS = 0.5
const MIN_REMAINING_LATENCIES = 2
/** The most that is fetched twice for one claim; of a small file, what is too little to be split. */
export const MAX_HEDGE_BYTES = 4_194_304
const MAX_HEDGE_SHARE = 0.05
// Another connection has to be this many times as fast as the claim.
const MIN_HEDGE_GAIN = 2

/** What is expected of connections. */
export interface Expectation {
  /** What the free connection should reach; 0 when not known. */
  readonly newBytesPerSecond: number
  /** How long the head of a response takes: until then a new request brings nothing. */
  readonly latencyMs: number
  /** A connection that is silent for so long may be for minutes. */
  readonly silentLimitMs: number
}

/**
 * Plans for one free connection.
 * @param assigned every byte that has been fetched or is claimed
 */
export function planNextSpan(
  size: number,
  assigned: SpanSet,
  claims: readonly Claim[],
  { newBytesPerSecond, latencyMs, silentLimitMs }: Expectation,
): Plan {
  const gap = assigned.firstGap({ start: 0, end: size })
  if (gap !== undefined) return { type: 'take', span: gap }
  const silent = longestOf(claims.filter((claim) => isSilent(claim, silentLimitMs)))
  if (silent !== undefined) return { type: 'replace', claimId: silent.id, span: restOf(silent) }
  const minSeconds = Math.max(MIN_REMAINING_SECONDS, (MIN_REMAINING_LATENCIES * latencyMs) / 1000)
  const long = longestOf(claims.filter((claim) => canSplit(claim, minSeconds)))
  if (long !== undefined) {
    return { type: 'split', claimId: long.id, at: cutOf(long, { newBytesPerSecond, latencyMs }) }
  }
  const maxBytes = Math.min(MAX_HEDGE_BYTES, Math.max(2 * MIN_SPLIT_BYTES, size * MAX_HEDGE_SHARE))
  const slow = longestOf(
    claims.filter((claim) => canHedge(claim, { minSeconds, maxBytes, newBytesPerSecond })),
  )
  if (slow !== undefined) return { type: 'hedge', claimId: slow.id, span: restOf(slow) }
  return { type: 'none' }
}

function longestOf(claims: readonly Claim[]): Claim | undefined {
  let longest: Claim | undefined
  for (const claim of claims) {
    if (longest === undefined || remainingTime(claim) > remainingTime(longest)) longest = claim
  }
  return longest
}

function restOf({ cursor, end = cursor }: Claim): Span {
  return { start: cursor, end }
}

function remainingBytes(claim: Claim): number {
  return (claim.end ?? claim.cursor) - claim.cursor
}

/** Seconds; a claim of unknown speed counts as slow, by its bytes. */
function remainingTime(claim: Claim): number {
  return remainingBytes(claim) / Math.max(claim.bytesPerSecond, 1)
}

function isSilent(claim: Claim, limitMs: number): boolean {
  return !claim.isHedged && claim.silentMs >= limitMs && remainingBytes(claim) > 0
}

function canSplit(claim: Claim, minSeconds: number): boolean {
  return (
    !claim.isHedged &&
    remainingBytes(claim) >= 2 * MIN_SPLIT_BYTES &&
    (claim.bytesPerSecond === 0 || remainingTime(claim) >= minSeconds)
  )
}

/** Worth it only where it is known that the claim takes long, and that another would be faster. */
function canHedge(
  claim: Claim,
  limits: {
    readonly minSeconds: number
    readonly maxBytes: number
    readonly newBytesPerSecond: number
  },
): boolean {
  const remaining = remainingBytes(claim)
  return (
    !claim.isHedged &&
    remaining > 0 &&
    remaining <= limits.maxBytes &&
    claim.bytesPerSecond > 0 &&
    remainingTime(claim) >= limits.minSeconds &&
    limits.newBytesPerSecond >= claim.bytesPerSecond * MIN_HEDGE_GAIN
  )
}

/** Shares what remains by speed, so that both end together; each side at least MIN_SPLIT_BYTES. */
function cutOf(
  claim: Claim,
  { newBytesPerSecond, latencyMs }: Omit<Expectation, 'silentLimitMs'>,
): number {
  const remaining = remainingBytes(claim)
  const known = claim.bytesPerSecond > 0 && newBytesPerSecond > 0
  const share = known ? claim.bytesPerSecond / (claim.bytesPerSecond + newBytesPerSecond) : 0.5
  // Nothing comes of the other one before its head.
  const headStart = known ? (newBytesPerSecond * latencyMs) / 1000 : 0
  const kept = Math.round((remaining + headStart) * share)
  const bounded = Math.min(Math.max(kept, MIN_SPLIT_BYTES), remaining - MIN_SPLIT_BYTES)
  return claim.cursor + bounded
}

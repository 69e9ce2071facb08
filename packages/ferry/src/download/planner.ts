/**
 * Decides which bytes a free connection fetches: a pure function over claims and gaps.
 *
 * A claim is the span that one connection is fetching, [cursor, end). A free connection takes the
 * first gap; when there is none it takes the far part of the claim that will take longest, cut so
 * that both would end at the same time.
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
}

/** take: fetch this gap · split: cut that claim at `at` and fetch from there to its old end */
export type Plan =
  | { readonly type: 'take'; readonly span: Span }
  | { readonly type: 'split'; readonly claimId: number; readonly at: number }
  | { readonly type: 'none' }

// Below this a new request costs more than it gains.
const MIN_SPLIT_BYTES = 262_144
// A claim that ends sooner than this is left to end.
const MIN_REMAINING_SECONDS = 0.5

/**
 * Plans for one free connection.
 * @param assigned every byte that has been fetched or is claimed
 * @param newBytesPerSecond what the free connection is expected to reach; 0 when not known
 */
export function planNextSpan(
  size: number,
  assigned: SpanSet,
  claims: readonly Claim[],
  newBytesPerSecond = 0,
): Plan {
  const [gap] = assigned.gapsWithin({ start: 0, end: size })
  if (gap !== undefined) return { type: 'take', span: gap }
  let longest: Claim | undefined
  for (const claim of claims) {
    if (!canSplit(claim)) continue
    if (longest === undefined || remainingTime(claim) > remainingTime(longest)) longest = claim
  }
  if (longest === undefined) return { type: 'none' }
  return { type: 'split', claimId: longest.id, at: cutOf(longest, newBytesPerSecond) }
}

function remainingBytes(claim: Claim): number {
  return (claim.end ?? claim.cursor) - claim.cursor
}

/** Seconds; a claim of unknown speed counts as slow, by its bytes. */
function remainingTime(claim: Claim): number {
  return remainingBytes(claim) / Math.max(claim.bytesPerSecond, 1)
}

function canSplit(claim: Claim): boolean {
  return (
    remainingBytes(claim) >= 2 * MIN_SPLIT_BYTES &&
    (claim.bytesPerSecond === 0 || remainingTime(claim) >= MIN_REMAINING_SECONDS)
  )
}

/** Shares what remains by speed, each side at least MIN_SPLIT_BYTES. */
function cutOf(claim: Claim, newBytesPerSecond: number): number {
  const remaining = remainingBytes(claim)
  const known = claim.bytesPerSecond > 0 && newBytesPerSecond > 0
  const share = known ? claim.bytesPerSecond / (claim.bytesPerSecond + newBytesPerSecond) : 0.5
  const kept = Math.round(remaining * share)
  const bounded = Math.min(Math.max(kept, MIN_SPLIT_BYTES), remaining - MIN_SPLIT_BYTES)
  return claim.cursor + bounded
}

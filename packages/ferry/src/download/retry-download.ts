/** Whether and when a download tries again: the client's rules, for somebody more patient. Pure. */
import { outcomeOf } from '../client/retry/attempt-outcome.ts'
import { decideRetry } from '../client/retry/decide-retry.ts'
import { resolveRetryPolicy, type RetryPolicy } from '../client/retry/retry-policy.ts'
import { readServerWish } from '../client/rate-limit/server-wish.ts'

// 520 to 524: what a CDN says when it does not get along with the server behind it.
const RETRY_STATUSES = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]
const DEFAULT_DELAY_MS = 500

/** The rules for a download; `delayMs` is the wait between tries, always the same. */
export function policyOf(delayMs?: number): RetryPolicy {
  return resolveRetryPolicy({
    // Tries in a row are counted by whoever asks.
    retries: Number.POSITIVE_INFINITY,
    retryDelayMs: delayMs ?? DEFAULT_DELAY_MS,
    retryBackoff: delayMs === undefined ? 'exponential' : 'fixed',
    retryStatuses: RETRY_STATUSES,
  })
}

/** What the decision goes by. */
export interface RetryFacts {
  /** How many tries in a row have failed, the last one included. */
  readonly failures: number
  /** In [0, 1). */
  readonly random: number
  /** In epoch ms. */
  readonly now: number
}

/** How long to wait, in ms, before trying again; undefined when it would fail in the same way. */
export function retryDelayMs(
  error: unknown,
  { failures, random, now }: RetryFacts,
  policy: RetryPolicy,
): number | undefined {
  const decision = decideRetry(
    {
      number: failures,
      method: 'GET',
      replayable: true,
      outcome: outcomeOf(error),
      elapsedMs: 0,
      totalTimeoutMs: Number.POSITIVE_INFINITY,
      random,
      now,
    },
    policy,
  )
  return decision.type === 'retry' ? decision.delayMs : undefined
}

/** How long the server asks everybody to wait, in ms; undefined when it does not. */
export function askedPauseMs(error: unknown, now: number, policy: RetryPolicy): number | undefined {
  const outcome = outcomeOf(error)
  if (outcome.type !== 'response') return undefined
  const { retryAfterMs } = readServerWish(outcome, now)
  return retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, policy.maxRetryAfterMs)
}

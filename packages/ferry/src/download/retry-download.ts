/** Whether and when a download tries again: the client's rules, for somebody more patient. Pure. */
import { outcomeOf } from '../client/retry/attempt-outcome.ts'
import { decideRetry } from '../client/retry/decide-retry.ts'
import { resolveRetryPolicy } from '../client/retry/retry-policy.ts'
import { readServerWish } from '../client/rate-limit/server-wish.ts'

// 520 to 524: what a CDN says when it does not get along with the server behind it.
const RETRY_STATUSES = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]
const POLICY = resolveRetryPolicy({
  // Tries in a row are counted by whoever asks.
  retries: Number.POSITIVE_INFINITY,
  retryDelayMs: 500,
  retryStatuses: RETRY_STATUSES,
})

/**
 * How long to wait, in ms, before trying again; undefined when it would fail in the same way.
 * @param failures how many tries in a row have failed, this one included
 * @param random in [0, 1)
 * @param now in epoch ms
 */
export function retryDelayMs(
  error: unknown,
  failures: number,
  random: number,
  now: number,
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
    POLICY,
  )
  return decision.type === 'retry' ? decision.delayMs : undefined
}

/** How long the server asks everybody to wait, in ms; undefined when it does not. */
export function askedPauseMs(error: unknown, now: number): number | undefined {
  const outcome = outcomeOf(error)
  if (outcome.type !== 'response') return undefined
  const { retryAfterMs } = readServerWish(outcome, now)
  return retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, POLICY.maxRetryAfterMs)
}

/** How long to wait of our own accord before another try: pure. */
import type { RetryPolicy } from './retry-policy.ts'

// Beyond it every wait is at its limit, and 0 ms times infinity would be no number.
const MAX_DOUBLINGS = 52

/** The longest wait after attempt `attempt` has failed, in ms; 1 is the first. */
export function backoffCeilingMs(attempt: number, policy: RetryPolicy): number {
  const { retryDelayMs, maxRetryDelayMs, retryBackoff } = policy
  const doublings = retryBackoff === 'fixed' ? 0 : Math.min(attempt - 1, MAX_DOUBLINGS)
  return Math.min(maxRetryDelayMs, retryDelayMs * 2 ** doublings)
}

/** The wait after attempt `attempt` has failed, in ms; `random` in [0, 1). */
export function backoffDelayMs(attempt: number, random: number, policy: RetryPolicy): number {
  const ceilingMs = backoffCeilingMs(attempt, policy)
  return policy.jitter === 'none' ? ceilingMs : random * ceilingMs
}

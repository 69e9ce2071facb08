/**
 * Decides whether and when to send a request again after an attempt has ended: a pure function of what
 * happened. The rules stand in `findObstacle()`, in the order in which they bind; `shouldRetry` of the
 * policy is for the caller to ask afterwards.
 */
import { readServerWish } from '../rate-limit/server-wish.ts'
import { type AttemptOutcome, classifyFailure, type FailureKind } from './attempt-outcome.ts'
import { backoffDelayMs } from './backoff.ts'
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retry-policy.ts'

/** An attempt that has ended, and what there is to know about its request. */
export interface EndedAttempt {
  /** 1 for the first. */
  readonly number: number
  readonly method: string
  /** Whether the content can be sent a second time. */
  readonly replayable: boolean
  readonly outcome: AttemptOutcome
  /** Since the first attempt began. */
  readonly elapsedMs: number
  /** For all attempts and the waits between them; Infinity for no limit. */
  readonly totalTimeoutMs: number
  /** In [0, 1). */
  readonly random: number
  /** In epoch ms: the server may name an instant. */
  readonly now: number
}

/** What to do next. */
export type RetryDecision =
  | { readonly type: 'retry'; readonly delayMs: number; readonly reason: RetryReason }
  | {
      readonly type: 'stop'
      readonly reason: StopReason
      /** The wait that the server asks for, in ms, where that is the obstacle. */
      readonly askedMs?: number
    }

/** Why a request is sent again. */
export type RetryReason = 'status' | Exclude<FailureKind, 'futile'>

/** Why a request is not sent again. */
export type StopReason =
  | 'aborted'
  /** The same request would fail in the same way. */
  | 'futile'
  /** The response has a status that is an answer. */
  | 'final-status'
  /** Timeouts are not to be tried again. */
  | 'timeout'
  | 'out-of-retries'
  /** The content can be sent only once. */
  | 'one-shot-content'
  /** The request may have had its effect, and its method does not say that twice is the same. */
  | 'method'
  /** The same, and a response had started: it did have its effect. */
  | 'answered'
  /** The server asks for a longer wait than allowed. */
  | 'asked-too-long'
  /** The wait would end after the time for all attempts. */
  | 'deadline'

/** What to do next. */
export function decideRetry(attempt: EndedAttempt, policy: RetryPolicy): RetryDecision {
  const { outcome } = attempt
  if (outcome.type === 'aborted') return { type: 'stop', reason: 'aborted' }
  const reason = outcome.type === 'response' ? 'status' : classifyFailure(outcome.error)
  if (reason === 'futile') return { type: 'stop', reason }
  const obstacle = findObstacle(attempt, policy, reason)
  if (obstacle !== undefined) return { type: 'stop', reason: obstacle }
  const askedMs = askedDelayMs(attempt)
  if (askedMs !== undefined && askedMs > policy.maxRetryAfterMs) {
    return { type: 'stop', reason: 'asked-too-long', askedMs }
  }
  const delayMs = askedMs ?? backoffDelayMs(attempt.number, attempt.random, policy)
  if (attempt.elapsedMs + delayMs >= attempt.totalTimeoutMs) {
    return { type: 'stop', reason: 'deadline', ...(askedMs === undefined ? {} : { askedMs }) }
  }
  return { type: 'retry', delayMs, reason }
}

function findObstacle(
  { outcome, number, replayable, method }: EndedAttempt,
  policy: RetryPolicy,
  reason: RetryReason,
): StopReason | undefined {
  if (outcome.type === 'response' && !policy.retryStatuses.has(outcome.status)) {
    return 'final-status'
  }
  if (reason === 'timeout' && !policy.retryOnTimeout) return 'timeout'
  if (number > policy.retries) return 'out-of-retries'
  if (!replayable) return 'one-shot-content'
  const progress = outcome.type === 'error' ? outcome.progress : 'sent'
  if (progress === 'untouched') return undefined
  if (!policy.retryMethods.has(method)) return 'method'
  // Who asks for retries of POST accepts that it may have its effect twice, not that it surely will.
  const isIdempotent = DEFAULT_RETRY_POLICY.retryMethods.has(method)
  return progress === 'answered' && !isIdempotent ? 'answered' : undefined
}

/** What the server asks for: Retry-After (RFC 9110 §10.2.3), else the reset of an exhausted quota. */
function askedDelayMs({ outcome, now }: EndedAttempt): number | undefined {
  if (outcome.type !== 'response') return undefined
  const { retryAfterMs, resetMs } = readServerWish(outcome, now)
  return retryAfterMs ?? resetMs
}

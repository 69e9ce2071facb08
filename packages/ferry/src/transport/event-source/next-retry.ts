/**
 * Decides whether and when to ask again after a response, or the attempt to get one, has ended: a
 * pure function of what happened (HTML §9.2.3, "reestablish the connection").
 */
import {
  ConnectError,
  type HttpStatusError,
  LocalProtocolError,
  StreamError,
  TimeoutError,
} from '../../errors.ts'

/** How an attempt came to its end. */
export type AttemptEnd =
  /** 204: the server wants no more requests. */
  | { readonly type: 'dismissed' }
  /** The response was whole. */
  | { readonly type: 'ended'; readonly error: StreamError }
  /** What came can be no better the next time. */
  | { readonly type: 'refused'; readonly error: Error }
  /** A status that says "not now"; `retryAfterMs` is what the server asked for. */
  | {
      readonly type: 'deferred'
      readonly error: HttpStatusError
      readonly retryAfterMs: number | undefined
    }
  /** Anything else that went wrong, before the response or in the middle. */
  | { readonly type: 'lost'; readonly error: Error }

/** Settings of the waits; durations in ms. */
export interface RetryLimits {
  /** Whether to ask again at all. */
  readonly reconnect: boolean
  /** The longest wait, before jitter. */
  readonly maxRetryMs: number
  /** Attempts in a row that came to nothing. */
  readonly maxAttempts: number
  /** By what part a wait is lengthened at most. */
  readonly jitter: number
}

/** Where things stand. */
export interface RetryProgress {
  readonly end: AttemptEnd
  /** Attempts in a row that came to nothing, the one that has ended included; 0 after a good one. */
  readonly failures: number
  /** What the server, or the caller, wants between two attempts. */
  readonly retryMs: number
  /** Whether the request can be sent again. */
  readonly replayable: boolean
  /** In [0, 1). */
  readonly random: number
}

/** `stop` with an error fails the iteration, without one it ends it. */
export type RetryDecision =
  | { readonly type: 'wait'; readonly delayMs: number }
  | { readonly type: 'stop'; readonly error: Error | undefined }

// `retry: 0` is a wish for speed; a server that fails is not to be asked in a loop all the same.
const MIN_BACKOFF_MS = 250

/** What to do next. */
export function nextRetry(progress: RetryProgress, limits: RetryLimits): RetryDecision {
  const { end, failures, replayable } = progress
  if (end.type === 'dismissed') return { type: 'stop', error: undefined }
  const { error } = end
  if (end.type === 'refused' || (end.type === 'lost' && isFutile(error))) {
    return { type: 'stop', error }
  }
  if (!limits.reconnect) {
    return { type: 'stop', error: end.type === 'ended' ? undefined : error }
  }
  if (!replayable) return { type: 'stop', error: cannotRepeat(error) }
  if (failures >= limits.maxAttempts) return { type: 'stop', error }
  return { type: 'wait', delayMs: waitFor(progress, limits) }
}

function waitFor(progress: RetryProgress, { maxRetryMs, jitter }: RetryLimits): number {
  const { end, failures, retryMs, random } = progress
  const backoffMs =
    failures <= 1 ? retryMs : Math.max(retryMs, MIN_BACKOFF_MS) * 2 ** (failures - 1)
  const askedMs = end.type === 'deferred' ? (end.retryAfterMs ?? 0) : 0
  // Only ever longer: when a server restarts, everybody has lost it in the same moment.
  return Math.min(Math.max(backoffMs, askedMs), maxRetryMs) * (1 + jitter * random)
}

/**
 * Whether the same request would fail in the same way (HTML §9.2.3 lets us stop then): broken rules,
 * a certificate that is not accepted.
 */
function isFutile(error: Error): boolean {
  if (error instanceof ConnectError) {
    // A handshake that broke, rather than failed, is what load balancers do in passing.
    const { reason } = error.detail as { readonly reason?: unknown }
    const isBroken = reason === undefined || reason === 'ECONNRESET' || reason === 'EPIPE'
    return error.phase === 'tls' && !isBroken
  }
  return !(error instanceof StreamError || error instanceof TimeoutError)
}

function cannotRepeat(cause: Error): LocalProtocolError {
  return new LocalProtocolError(
    'Cannot connect again to go on with the events: the content can be sent only once',
    { cause },
  )
}

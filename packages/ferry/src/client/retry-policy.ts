/**
 * Decides whether and when to try again: pure functions of what happened.
 * Network trouble and the statuses that say "not now" are worth another try; broken rules are not.
 */
import { ConnectError, HttpStatusError, StreamError, TimeoutError } from '../errors.ts'
import { parseRetryAfter } from '../protocol/semantics/retry-after.ts'

/** Settings of the waits; durations in ms. */
export interface BackoffOptions {
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  /** A server's Retry-After is honoured up to this. */
  readonly maxRetryAfterMs: number
}

const DEFAULT_BACKOFF: BackoffOptions = {
  baseDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 120_000,
}

/** 408 timeout, 425 too early, 429 too many, 5xx trouble that passes. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

/** Whether a status says "not now" rather than "no". */
export function isRetryableStatus(status: number): boolean {
  return RETRYABLE_STATUSES.has(status)
}

/** Whether another try could go better. */
export function isRetryableError(error: unknown): boolean {
  if (error instanceof HttpStatusError) return isRetryableStatus(error.status)
  if (error instanceof ConnectError) return error.phase !== 'tls' || isBrokenHandshake(error)
  return error instanceof StreamError || error instanceof TimeoutError
}

/** The peer hung up during the handshake, rather than failing it: load balancers do that in passing. */
function isBrokenHandshake({ detail }: ConnectError): boolean {
  const reason = detail['reason']
  return reason === undefined || reason === 'ECONNRESET' || reason === 'EPIPE'
}

/**
 * How long to wait before attempt `attempt` (2 is the first retry): exponential with full jitter, or
 * what the server asked for.
 * @param random in [0, 1)
 */
export function backoffDelayMs(
  error: unknown,
  attempt: number,
  random: number,
  now: number,
  options: BackoffOptions = DEFAULT_BACKOFF,
): number {
  const asked = error instanceof HttpStatusError ? retryAfterOf(error, now) : undefined
  if (asked !== undefined) return Math.min(asked, options.maxRetryAfterMs)
  const ceiling = Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (attempt - 2))
  return random * ceiling
}

function retryAfterOf(error: HttpStatusError, now: number): number | undefined {
  for (const [name, value] of error.headers) {
    if (name.toLowerCase() === 'retry-after') return parseRetryAfter(value, now)
  }
  return undefined
}

/**
 * What is said of the attempts when a request has failed for good: a phrase to follow the error's
 * message, and the facts for its `detail`. Made of numbers and fixed words only, so that nothing of a
 * URL, a field or a server's text gets into it.
 */
import { type ErrorCode, type FerryError, isFerryError, TimeoutError } from '../../errors.ts'
import type { AttemptOutcome } from './attempt-outcome.ts'

/** One attempt, as `detail.history` holds it. */
export interface AttemptRecord {
  /** 1 for the first. */
  readonly number: number
  readonly durationMs: number
  /** The status, or a few words. */
  readonly reason: string
  readonly status?: number
  readonly code?: ErrorCode
}

/** What there is to say. */
export interface AttemptsDescription {
  /** `after 4 attempts in 7.3 s (503, 503, connection lost, 503)`; empty for a single attempt. */
  readonly text: string
  /** Empty for a single attempt. */
  readonly detail: { readonly history?: readonly AttemptRecord[] }
}

/** More are shortened in the middle. */
const MAX_REASONS = 6
const LAST_REASONS = 2

/** Words for the codes that an attempt can fail with. */
const WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  'resolve-failed': 'no address',
  'connect-failed': 'no connection',
  'tls-failed': 'no TLS',
  'proxy-failed': 'no way through the proxy',
  'connection-lost': 'connection lost',
  'queue-full': 'queue full',
  'local-protocol': 'request refused',
  'remote-protocol': 'broken response',
}

/** Makes the record of an attempt that has ended. */
export function recordAttempt(
  number: number,
  outcome: AttemptOutcome,
  durationMs: number,
): AttemptRecord {
  if (outcome.type === 'aborted') return { number, durationMs, reason: 'aborted' }
  if (outcome.type === 'response') {
    return { number, durationMs, reason: String(outcome.status), status: outcome.status }
  }
  const { error } = outcome
  if (!isFerryError(error)) return { number, durationMs, reason: 'error' }
  return { number, durationMs, reason: wordsFor(error), code: error.code }
}

/** Describes attempts that took `elapsedMs` together, waits included. */
export function describeAttempts(
  attempts: readonly AttemptRecord[],
  elapsedMs: number,
): AttemptsDescription {
  if (attempts.length <= 1) return { text: '', detail: {} }
  const took = formatDuration(elapsedMs)
  const text = `after ${attempts.length} attempts in ${took} (${listReasons(attempts)})`
  return { text, detail: { history: attempts } }
}

function wordsFor(error: FerryError): string {
  if (error instanceof TimeoutError) return `timeout (${error.phase})`
  return WORDS[error.code] ?? 'error'
}

function listReasons(attempts: readonly AttemptRecord[]): string {
  const reasons = attempts.map(({ reason }) => reason)
  const surplus = reasons.length - MAX_REASONS
  if (surplus > 0) reasons.splice(-LAST_REASONS - surplus, surplus, `… ${surplus} more …`)
  return reasons.join(', ')
}

/** `850 ms`, `7.3 s`, `2 min 5 s`, `3 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.floor(ms)} ms`
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const seconds = Math.floor(ms / 1000)
  const rest = seconds % 60
  return `${Math.floor(seconds / 60)} min${rest === 0 ? '' : ` ${rest} s`}`
}

/**
 * What to do after a step of an upload has failed: a pure function of what happened, whatever the
 * protocol. The rules stand in `decideStatus()` and `decideError()`. Progress is never given up: each
 * decision but `restart` goes on with what the server has.
 */
import { classifyFailure, outcomeOf } from '../client/retry/attempt-outcome.ts'
import { backoffDelayMs } from '../client/retry/backoff.ts'
import { resolveRetryPolicy, type RetryPolicy } from '../client/retry/retry-policy.ts'
import { readServerWish } from '../client/rate-limit/server-wish.ts'
import { ConfigError, HttpStatusError, isFerryError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { UploadGone } from './upload-protocol.ts'
import { UnansweredError } from './upload-wire.ts'

/** open: ask or create · send: a piece · finish: make it a file */
export type UploadStep = 'open' | 'send' | 'finish'

/** A step that has failed, and what there is to know of the upload. */
export interface FailedStep {
  readonly step: UploadStep
  readonly failure: unknown
  /** Failures in a row that brought nothing, this one included. */
  readonly failures: number
  /** How often in a row credentials were refused, this time included. */
  readonly refusals: number
  /** How often it was begun anew without any progress since. */
  readonly restarts: number
  /** Any answer has come in this run. */
  readonly hasReached: boolean
  /** There is somebody to ask for other credentials. */
  readonly canRenew: boolean
  /** In [0, 1). */
  readonly random: number
  /** In epoch ms. */
  readonly now: number
}

/** How patient an upload is. */
export interface UploadPatience {
  /** Failures in a row that may bring nothing. */
  readonly maxRetries: number
  /** What to do while the server cannot be reached; undefined waits once it has been. */
  readonly offline: 'wait' | 'fail' | undefined
  readonly backoff: RetryPolicy
}

/** What to do next. */
export type UploadDecision =
  | { readonly type: 'retry'; readonly delayMs: number; readonly reason: WaitReason }
  /** Ask for credentials again, then go on. */
  | { readonly type: 'renew' }
  /** Go on with smaller pieces. */
  | { readonly type: 'smaller' }
  /** The server has lost the upload: create another. */
  | { readonly type: 'restart' }
  | { readonly type: 'fail' }

/** Why an upload waits. */
export type WaitReason =
  /** The server cannot be reached. */
  | 'offline'
  | 'connection-lost'
  | 'timeout'
  /** The server says that it cannot just now. */
  | 'busy'
  /** The server stands elsewhere than was thought. */
  | 'conflict'
  /** What arrived was not what was sent. */
  | 'checksum'

const DEFAULT_MAX_RETRIES = 10
const DEFAULT_DELAY_MS = 500
const MAX_DELAY_MS = 30_000
// Somebody who asks for more than an hour is left, and can be asked again by the next run.
const MAX_RETRY_AFTER_MS = 3_600_000
// One wrong digest is an accident; a third is a defect of something on the way.
const MAX_CHECKSUM_FAILURES = 3
const MAX_RESTARTS = 1

/** 423: tus, while the last request of a broken connection is still held; 520 to 524: of CDNs. */
const BUSY: ReadonlySet<number> = new Set([
  408, 423, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524,
])

/** Settings of patience, with every default in its place. */
export function patienceOf(options: {
  readonly maxRetries?: number | undefined
  readonly retryDelayMs?: number | undefined
  readonly maxRetryDelayMs?: number | undefined
  readonly offline?: 'wait' | 'fail' | undefined
}): UploadPatience {
  const { maxRetries = DEFAULT_MAX_RETRIES, offline, retryDelayMs = DEFAULT_DELAY_MS } = options
  if (!(maxRetries >= 0)) {
    throw new ConfigError(
      'maxRetries',
      `Cannot use ${maxRetries} as maxRetries: expected 0 or more`,
    )
  }
  return {
    maxRetries,
    offline,
    backoff: resolveRetryPolicy({
      retryDelayMs,
      maxRetryDelayMs: options.maxRetryDelayMs ?? Math.max(MAX_DELAY_MS, retryDelayMs),
      maxRetryAfterMs: MAX_RETRY_AFTER_MS,
    }),
  }
}

/** What to do next. */
export function decideUpload(failed: FailedStep, patience: UploadPatience): UploadDecision {
  const { failure, restarts } = failed
  if (failure instanceof UploadGone) {
    return restarts < MAX_RESTARTS ? { type: 'restart' } : { type: 'fail' }
  }
  if (failure instanceof HttpStatusError) return decideStatus(failed, failure, patience)
  return decideError(failed, patience)
}

function decideStatus(
  failed: FailedStep,
  { status, headers }: HttpStatusError,
  patience: UploadPatience,
): UploadDecision {
  const fields = HeaderFields.from(headers as HeaderFields)
  if (status === 401 || status === 403) {
    return failed.canRenew && failed.refusals <= 1 ? { type: 'renew' } : { type: 'fail' }
  }
  // Draft §4.4: everything has arrived, and this is what became of it.
  if (fields.get('upload-complete') === '?1') return { type: 'fail' }
  if (status === 413) return failed.step === 'send' ? { type: 'smaller' } : { type: 'fail' }
  if (status === 409) {
    return failed.step === 'send' ? retry(failed, 'conflict', patience) : { type: 'fail' }
  }
  if (!BUSY.has(status)) return { type: 'fail' }
  const { retryAfterMs } = readServerWish({ status, headers: fields }, failed.now)
  if (retryAfterMs === undefined) return retry(failed, 'busy', patience)
  if (retryAfterMs > patience.backoff.maxRetryAfterMs) return { type: 'fail' }
  // Who is told when to come back is not told to go away.
  return { type: 'retry', delayMs: retryAfterMs, reason: 'busy' }
}

function decideError(failed: FailedStep, patience: UploadPatience): UploadDecision {
  const { failure, failures, step } = failed
  if (step === 'send' && isFerryError(failure, 'checksum-mismatch')) {
    if (failures >= MAX_CHECKSUM_FAILURES) return { type: 'fail' }
    return retry(failed, 'checksum', patience)
  }
  if (failure instanceof UnansweredError) return decideOffline(failed, patience)
  const kind = classifyFailure(failure)
  if (kind === 'futile') return { type: 'fail' }
  if (kind === 'timeout' || kind === 'connection-lost') {
    const isUnreached = kind === 'timeout' && isUntouched(failure)
    return isUnreached ? decideOffline(failed, patience) : retry(failed, kind, patience)
  }
  return decideOffline(failed, patience)
}

function decideOffline(failed: FailedStep, patience: UploadPatience): UploadDecision {
  const { offline } = patience
  const waits = offline === 'wait' || (offline === undefined && failed.hasReached)
  if (!waits) return retry(failed, 'offline', patience)
  return { type: 'retry', delayMs: backoffOf(failed, patience), reason: 'offline' }
}

function retry(failed: FailedStep, reason: WaitReason, patience: UploadPatience): UploadDecision {
  if (failed.failures > patience.maxRetries) return { type: 'fail' }
  return { type: 'retry', delayMs: backoffOf(failed, patience), reason }
}

function backoffOf({ failures, random }: FailedStep, { backoff }: UploadPatience): number {
  return backoffDelayMs(failures, random, backoff)
}

/** Whether a request has reached nobody, as far as can be known. */
export function isUntouched(failure: unknown): boolean {
  const outcome = outcomeOf(failure)
  return outcome.type === 'error' && outcome.progress === 'untouched'
}

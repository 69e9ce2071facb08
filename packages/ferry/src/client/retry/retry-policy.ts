/** What retries may be told, with the defaults, checked when they are given. */
import { ConfigError } from '../../errors.ts'
import { isToken } from '../../protocol/semantics/grammar.ts'
import type { AttemptOutcome } from './attempt-outcome.ts'
import type { RetryDecision } from './decide-retry.ts'

/** Settings of retries; every duration in ms. */
export interface RetryOptions {
  /** Further tries after the first. @defaultValue 3 */
  readonly retries?: number | undefined
  /** The wait before the first further try. @defaultValue 1000 */
  readonly retryDelayMs?: number | undefined
  /** The longest wait of our own accord. @defaultValue 30 000, or `retryDelayMs` if that is more */
  readonly maxRetryDelayMs?: number | undefined
  /** Whether the wait doubles with each further try. @defaultValue 'exponential' */
  readonly retryBackoff?: RetryBackoff | undefined
  /**
   * full: a random part of the wait, so that those who failed together do not come back together.
   * @defaultValue 'full'; with `retryBackoff: 'fixed'` it is 'none', so that a wait is what it says
   */
  readonly jitter?: RetryJitter | undefined
  /** Statuses that say "not now". @defaultValue 408, 425, 429, 500, 502, 503, 504 */
  readonly retryStatuses?: Iterable<number> | undefined
  /**
   * Methods whose requests may have their effect twice, in upper case. Requests that have reached
   * nobody are sent again whatever their method. @defaultValue the idempotent ones (RFC 9110 §9.2.2)
   */
  readonly retryMethods?: Iterable<string> | undefined
  /** Whether to try again after a timeout. @defaultValue true */
  readonly retryOnTimeout?: boolean | undefined
  /** The longest wait that a server may ask for; if it asks for more, it is left. @defaultValue 120 000 */
  readonly maxRetryAfterMs?: number | undefined
  /** Has the last word on another try. */
  readonly shouldRetry?: ShouldRetry | undefined
}

/** How waits grow from one try to the next. */
export type RetryBackoff = 'exponential' | 'fixed'
/** What chance does to a wait. */
export type RetryJitter = 'full' | 'none'

/**
 * Is asked before each further try that the policy would make; false stops there. It cannot bring about
 * a try that the policy would not make: `retryStatuses` and `retryMethods` are for that.
 */
export type ShouldRetry = (context: RetryContext) => boolean | Promise<boolean>

/** What `shouldRetry` is told. */
export interface RetryContext {
  /** Number of the attempt that has failed; 1 is the first. */
  readonly attempt: number
  readonly outcome: AttemptOutcome
  readonly decision: Extract<RetryDecision, { type: 'retry' }>
}

/** Settings with every default in its place; what `decideRetry()` goes by. */
export interface RetryPolicy {
  readonly retries: number
  readonly retryDelayMs: number
  readonly maxRetryDelayMs: number
  readonly retryBackoff: RetryBackoff
  readonly jitter: RetryJitter
  readonly retryStatuses: ReadonlySet<number>
  readonly retryMethods: ReadonlySet<string>
  readonly retryOnTimeout: boolean
  readonly maxRetryAfterMs: number
  readonly shouldRetry: ShouldRetry | undefined
}

/** 408 timeout, 425 too early, 429 too many, 5xx trouble that passes. */
const RETRY_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])
// RFC 9110 §9.2.2
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
])
const BACKOFFS: readonly RetryBackoff[] = ['exponential', 'fixed']
const JITTERS: readonly RetryJitter[] = ['full', 'none']

/** Names of options that are durations. */
type DurationOption = 'retryDelayMs' | 'maxRetryDelayMs' | 'maxRetryAfterMs'

/** The policy of somebody who says nothing. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  retries: 3,
  retryDelayMs: 1000,
  maxRetryDelayMs: 30_000,
  retryBackoff: 'exponential',
  jitter: 'full',
  retryStatuses: RETRY_STATUSES,
  retryMethods: IDEMPOTENT_METHODS,
  retryOnTimeout: true,
  // As long as a person may be patient with a transfer; GitHub's quotas, say, ask for up to an hour.
  maxRetryAfterMs: 120_000,
  shouldRetry: undefined,
}

/**
 * Puts options over a policy: those of a call over the client's, those of a client over the defaults.
 * @throws {ConfigError} when one cannot be used
 */
export function resolveRetryPolicy(
  options: RetryOptions,
  defaults: RetryPolicy = DEFAULT_RETRY_POLICY,
): RetryPolicy {
  const { retryStatuses, retryMethods } = options
  const retryDelayMs = durationOf(options, 'retryDelayMs', defaults)
  const maxRetryDelayMs = durationOf(options, 'maxRetryDelayMs', defaults)
  if (options.maxRetryDelayMs !== undefined && maxRetryDelayMs < retryDelayMs) {
    refuse('maxRetryDelayMs', maxRetryDelayMs, `retryDelayMs, ${retryDelayMs}, or more`)
  }
  const retryBackoff = choiceOf('retryBackoff', options.retryBackoff, BACKOFFS)
  const jitterOfBackoff = retryBackoff && (retryBackoff === 'fixed' ? 'none' : 'full')
  return {
    retries: retriesOf(options.retries ?? defaults.retries),
    retryDelayMs,
    maxRetryDelayMs: Math.max(maxRetryDelayMs, retryDelayMs),
    retryBackoff: retryBackoff ?? defaults.retryBackoff,
    jitter: choiceOf('jitter', options.jitter, JITTERS) ?? jitterOfBackoff ?? defaults.jitter,
    retryStatuses: retryStatuses === undefined ? defaults.retryStatuses : statusesOf(retryStatuses),
    retryMethods: retryMethods === undefined ? defaults.retryMethods : methodsOf(retryMethods),
    retryOnTimeout: options.retryOnTimeout ?? defaults.retryOnTimeout,
    maxRetryAfterMs: durationOf(options, 'maxRetryAfterMs', defaults),
    shouldRetry: options.shouldRetry ?? defaults.shouldRetry,
  }
}

function retriesOf(value: number): number {
  const isFine = value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY)
  return isFine ? value : refuse('retries', value, 'a whole number, 0 or above')
}

function durationOf(options: RetryOptions, name: DurationOption, defaults: RetryPolicy): number {
  const value = options[name] ?? defaults[name]
  const isFine = typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY
  return isFine ? value : refuse(name, value, 'milliseconds, 0 or above')
}

function choiceOf<Choice extends string>(
  name: keyof RetryOptions,
  value: Choice | undefined,
  accepted: readonly Choice[],
): Choice | undefined {
  if (value === undefined || accepted.includes(value)) return value
  return refuse(name, value, accepted.join(' or '))
}

function statusesOf(statuses: Iterable<number>): ReadonlySet<number> {
  const set = new Set(statuses)
  for (const status of set) {
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      refuse('retryStatuses', status, 'statuses from 200 to 599')
    }
  }
  return set
}

function methodsOf(methods: Iterable<string>): ReadonlySet<string> {
  const set = new Set(methods)
  for (const method of set) {
    // Methods are compared with case (RFC 9110 §9.1): "post" would stay without effect.
    if (!isToken(method) || method !== method.toUpperCase()) {
      refuse('retryMethods', method, 'methods in upper case')
    }
  }
  return set
}

function refuse(name: keyof RetryOptions, value: unknown, expected: string): never {
  throw new ConfigError(name, `Cannot use ${name} ${String(value)}: expected ${expected}`)
}

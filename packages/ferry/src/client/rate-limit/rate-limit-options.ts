/** What a rate limiter may be told, with the defaults, checked when they are given. */
import { type Clock, systemClock } from '../../clock.ts'
import { ConfigError } from '../../errors.ts'

/** Limits on requests; what is left out is not limited. */
export interface RateLimitOptions {
  /** Starts of requests per second. @defaultValue Infinity */
  readonly requestsPerSecond?: number | undefined
  /** How many may start at once after a rest; 1 spaces all of them evenly. @defaultValue 1 */
  readonly burst?: number | undefined
  /** How many may run at a time. @defaultValue Infinity */
  readonly maxConcurrent?: number | undefined
  /** How many may wait; one more fails at once. @defaultValue Infinity */
  readonly maxQueued?: number | undefined
  /** Whether refusals and quotas of the server are heeded. @defaultValue true */
  readonly adaptive?: boolean | undefined
  /** The longest time without starts that a server may ask for, in ms. @defaultValue 120 000 */
  readonly maxPauseMs?: number | undefined
  readonly clock?: Clock | undefined
}

/** Settings with every default in its place. */
export type RateLimitSettings = {
  readonly [Name in keyof RateLimitOptions]-?: Exclude<RateLimitOptions[Name], undefined>
}

type NumberOption = 'requestsPerSecond' | 'burst' | 'maxConcurrent' | 'maxQueued' | 'maxPauseMs'

/** What each number may be. */
const RULES: Readonly<
  Record<NumberOption, { readonly isFine: (value: number) => boolean; readonly expected: string }>
> = {
  requestsPerSecond: { isFine: (value) => value > 0, expected: 'a number above 0' },
  burst: {
    isFine: (value) => Number.isSafeInteger(value) && value > 0,
    expected: 'a whole number above 0',
  },
  maxConcurrent: {
    isFine: (value) => isCount(value) && value > 0,
    expected: 'a whole number above 0',
  },
  maxQueued: { isFine: isCount, expected: 'a whole number, 0 or above' },
  maxPauseMs: { isFine: (value) => value >= 0, expected: 'milliseconds, 0 or above' },
}

/**
 * Fills in the defaults.
 * @throws {ConfigError} when a number cannot be used
 */
export function resolveRateLimitOptions(options: RateLimitOptions): RateLimitSettings {
  return {
    requestsPerSecond: numberOf(options, 'requestsPerSecond', Number.POSITIVE_INFINITY),
    burst: numberOf(options, 'burst', 1),
    maxConcurrent: numberOf(options, 'maxConcurrent', Number.POSITIVE_INFINITY),
    maxQueued: numberOf(options, 'maxQueued', Number.POSITIVE_INFINITY),
    adaptive: options.adaptive ?? true,
    // As long as a retry waits for a server at most.
    maxPauseMs: numberOf(options, 'maxPauseMs', 120_000),
    clock: options.clock ?? systemClock,
  }
}

function numberOf(options: RateLimitOptions, name: NumberOption, defaultValue: number): number {
  const value = options[name] ?? defaultValue
  const { isFine, expected } = RULES[name]
  // The types are for those who use them.
  if (typeof value === 'number' && isFine(value)) return value
  throw new ConfigError(name, `Cannot use ${name} ${String(value)}: expected ${expected}`)
}

function isCount(value: number): boolean {
  return value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY)
}

import { expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { DEFAULT_RETRY_POLICY, resolveRetryPolicy, type RetryOptions } from './retry-policy.ts'

test('resolveRetryPolicy() fills in the defaults', () => {
  expect(resolveRetryPolicy({})).toEqual(DEFAULT_RETRY_POLICY)
  expect(DEFAULT_RETRY_POLICY).toMatchObject({
    retries: 3,
    retryDelayMs: 1000,
    maxRetryDelayMs: 30_000,
    retryBackoff: 'exponential',
    jitter: 'full',
    retryOnTimeout: true,
    maxRetryAfterMs: 120_000,
  })
  expect([...DEFAULT_RETRY_POLICY.retryStatuses]).toEqual([408, 425, 429, 500, 502, 503, 504])
  expect([...DEFAULT_RETRY_POLICY.retryMethods]).toEqual([
    'GET',
    'HEAD',
    'OPTIONS',
    'TRACE',
    'PUT',
    'DELETE',
  ])
})

test('resolveRetryPolicy() puts the options of a call over those of a client', () => {
  const shouldRetry = (): boolean => true
  const ofClient = resolveRetryPolicy({
    retries: Number.POSITIVE_INFINITY,
    retryDelayMs: 0,
    retryBackoff: 'exponential',
    jitter: 'none',
    retryStatuses: [500, 404],
    retryMethods: ['GET', 'POST'],
    retryOnTimeout: false,
    maxRetryAfterMs: 0,
    shouldRetry,
  })
  const ofCall = resolveRetryPolicy({ retries: 0, jitter: 'full' }, ofClient)

  expect(ofCall).toEqual({ ...ofClient, retries: 0, jitter: 'full' })
  expect(ofClient).toEqual({
    retries: Number.POSITIVE_INFINITY,
    retryDelayMs: 0,
    maxRetryDelayMs: 30_000,
    retryBackoff: 'exponential',
    jitter: 'none',
    retryStatuses: new Set([500, 404]),
    retryMethods: new Set(['GET', 'POST']),
    retryOnTimeout: false,
    maxRetryAfterMs: 0,
    shouldRetry,
  })
})

test('resolveRetryPolicy() leaves a fixed wait as it is, unless jitter is asked for', () => {
  const fixed = resolveRetryPolicy({ retryBackoff: 'fixed' })

  expect(fixed.jitter).toBe('none')
  expect(resolveRetryPolicy({ retries: 1 }, fixed).jitter).toBe('none')
  expect(resolveRetryPolicy({ retryBackoff: 'exponential' }, fixed).jitter).toBe('full')
  expect(resolveRetryPolicy({ retryBackoff: 'fixed', jitter: 'full' }).jitter).toBe('full')
})

test('resolveRetryPolicy() lets a long wait be as long as it says', () => {
  expect(resolveRetryPolicy({ retryDelayMs: 60_000 }).maxRetryDelayMs).toBe(60_000)
  expect(resolveRetryPolicy({ retryDelayMs: 10, maxRetryDelayMs: 10 }).maxRetryDelayMs).toBe(10)
})

test.each<[keyof RetryOptions, unknown, string]>([
  ['retries', -1, 'Cannot use retries -1: expected a whole number, 0 or above'],
  ['retries', 1.5, 'a whole number, 0 or above'],
  ['retries', Number.NaN, 'a whole number, 0 or above'],
  ['retries', '3', 'a whole number, 0 or above'],
  ['retryDelayMs', -1, 'milliseconds, 0 or above'],
  ['retryDelayMs', Number.POSITIVE_INFINITY, 'milliseconds, 0 or above'],
  ['retryDelayMs', '1', 'milliseconds, 0 or above'],
  ['maxRetryDelayMs', Number.NaN, 'milliseconds, 0 or above'],
  ['maxRetryDelayMs', 999, 'Cannot use maxRetryDelayMs 999: expected retryDelayMs, 1000, or more'],
  ['maxRetryAfterMs', -1, 'milliseconds, 0 or above'],
  ['retryBackoff', 'linear', 'Cannot use retryBackoff linear: expected exponential or fixed'],
  ['jitter', 'half', 'Cannot use jitter half: expected full or none'],
  ['retryStatuses', [503, 100], 'Cannot use retryStatuses 100: expected statuses from 200 to 599'],
  ['retryStatuses', [600], 'statuses from 200 to 599'],
  ['retryStatuses', [404.5], 'statuses from 200 to 599'],
  ['retryMethods', ['GET', 'post'], 'Cannot use retryMethods post: expected methods in upper case'],
  ['retryMethods', ['A B'], 'methods in upper case'],
])('resolveRetryPolicy() refuses %s %j', (name, value, expected) => {
  const resolve = (): unknown => resolveRetryPolicy({ [name]: value })

  expect(resolve).toThrow(ConfigError)
  expect(resolve).toThrow(expected)
})

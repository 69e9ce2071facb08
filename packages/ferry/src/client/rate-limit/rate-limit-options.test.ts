import { expect, test } from 'vitest'
import { systemClock } from '../../clock.ts'
import { ConfigError } from '../../errors.ts'
import { type RateLimitOptions, resolveRateLimitOptions } from './rate-limit-options.ts'

test('resolveRateLimitOptions() fills in the defaults', () => {
  expect(resolveRateLimitOptions({})).toEqual({
    requestsPerSecond: Number.POSITIVE_INFINITY,
    burst: 1,
    maxConcurrent: Number.POSITIVE_INFINITY,
    maxQueued: Number.POSITIVE_INFINITY,
    adaptive: true,
    maxPauseMs: 120_000,
    clock: systemClock,
  })
})

test('resolveRateLimitOptions() takes what can be used', () => {
  const options = {
    requestsPerSecond: 0.5,
    burst: 3,
    maxConcurrent: 2,
    maxQueued: 0,
    adaptive: false,
    maxPauseMs: 0,
    clock: systemClock,
  }

  expect(resolveRateLimitOptions(options)).toEqual(options)
})

test.each<[keyof RateLimitOptions, unknown, string]>([
  ['requestsPerSecond', 0, 'Cannot use requestsPerSecond 0: expected a number above 0'],
  ['requestsPerSecond', -1, 'a number above 0'],
  ['requestsPerSecond', Number.NaN, 'a number above 0'],
  ['requestsPerSecond', '5', 'a number above 0'],
  ['burst', 0, 'a whole number above 0'],
  ['burst', 1.5, 'a whole number above 0'],
  ['burst', Number.POSITIVE_INFINITY, 'a whole number above 0'],
  ['maxConcurrent', 0, 'a whole number above 0'],
  ['maxConcurrent', 2.5, 'a whole number above 0'],
  ['maxQueued', -1, 'a whole number, 0 or above'],
  ['maxPauseMs', -1, 'milliseconds, 0 or above'],
  ['maxPauseMs', Number.NaN, 'milliseconds, 0 or above'],
])('resolveRateLimitOptions() refuses %s %s', (name, value, expected) => {
  const resolve = (): unknown => resolveRateLimitOptions({ [name]: value })

  expect(resolve).toThrow(ConfigError)
  expect(resolve).toThrow(expected)
})

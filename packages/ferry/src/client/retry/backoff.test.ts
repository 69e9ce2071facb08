import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffCeilingMs, backoffDelayMs } from './backoff.ts'
import { resolveRetryPolicy, type RetryPolicy } from './retry-policy.ts'

const delays = (policy: RetryPolicy, random: number): number[] =>
  [1, 2, 3, 4, 5, 6, 7, 2000].map((attempt) => backoffDelayMs(attempt, random, policy))

test('backoffDelayMs() doubles up to its limit, with full jitter', () => {
  const policy = resolveRetryPolicy({})

  expect(delays(policy, 0.5)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
  expect(delays(policy, 0)).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
})

test('backoffDelayMs() without jitter is its ceiling', () => {
  const policy = resolveRetryPolicy({ jitter: 'none', retryDelayMs: 100, maxRetryDelayMs: 1000 })

  expect(delays(policy, 0.5)).toEqual([100, 200, 400, 800, 1000, 1000, 1000, 1000])
})

test('backoffDelayMs() can stay the same', () => {
  const fixed = resolveRetryPolicy({ retryBackoff: 'fixed', retryDelayMs: 2000 })

  expect(new Set(delays(fixed, 0.5))).toEqual(new Set([2000]))
  expect(new Set(delays({ ...fixed, jitter: 'full' }, 0.25))).toEqual(new Set([500]))
})

test('backoffDelayMs() is never negative nor above its ceiling, and ceilings only grow, to the limit', () => {
  const options = fc.record({
    retryDelayMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true })),
    retryBackoff: fc.constantFrom('exponential' as const, 'fixed' as const),
    jitter: fc.constantFrom('full' as const, 'none' as const),
  })
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

  fc.assert(
    fc.property(options, random, fc.integer({ min: 1, max: 5000 }), (given, chance, attempt) => {
      const policy = resolveRetryPolicy(given)
      const ceilingMs = backoffCeilingMs(attempt, policy)
      const delayMs = backoffDelayMs(attempt, chance, policy)

      expect(delayMs).toBeGreaterThanOrEqual(0)
      expect(delayMs).toBeLessThanOrEqual(ceilingMs)
      expect(ceilingMs).toBeLessThanOrEqual(policy.maxRetryDelayMs)
      expect(backoffCeilingMs(attempt + 1, policy)).toBeGreaterThanOrEqual(ceilingMs)
    }),
  )
})

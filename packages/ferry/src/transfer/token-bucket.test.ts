import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenBucket } from './token-bucket.ts'

test('TokenBucket asks to pause for as long as the bytes take at its rate', () => {
  const bucket = new TokenBucket(1000)

  expect(bucket.take(100, 0)).toBe(100)
  expect(bucket.take(100, 100)).toBe(100)
  expect(bucket.take(100, 250)).toBe(50)
})

test('TokenBucket does not save up more than a tenth of a second', () => {
  const bucket = new TokenBucket(1000)
  bucket.take(0, 0)

  expect(bucket.take(100, 60_000)).toBe(0)
  expect(bucket.take(1000, 60_000)).toBe(1000)
})

test('TokenBucket keeps the rate over any pieces when its pauses are kept', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50_000), { minLength: 1 }), (pieces) => {
      const bucket = new TokenBucket(10_000)
      let now = 0
      for (const bytes of pieces) now += bucket.take(bytes, now)

      const total = pieces.reduce((sum, bytes) => sum + bytes, 0)
      expect(now).toBeCloseTo((total / 10_000) * 1000, 3)
    }),
  )
})

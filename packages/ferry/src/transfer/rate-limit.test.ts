import { expect, test } from 'vitest'
import { RateLimit } from './rate-limit.ts'

/** Takes pieces as fast as the limit lets it; gives the bytes that passed until `endMs`. */
function run(limit: RateLimit, fromMs: number, endMs: number, pieceBytes = 1000): number {
  let bytes = 0
  for (let now = fromMs; now < endMs;) {
    bytes += pieceBytes
    now += Math.max(1, limit.take(pieceBytes, now))
  }
  return bytes
}

test('RateLimit without a number lets everything through', () => {
  const limit = new RateLimit()

  expect(limit.take(1e12, 0)).toBe(0)
  expect(limit.effectiveBytesPerSecond).toBeUndefined()
})

test('RateLimit may be changed while it holds', () => {
  const limit = new RateLimit(100_000)

  expect(run(limit, 0, 10_000)).toBeCloseTo(1_000_000, -5)
  limit.bytesPerSecond = 10_000
  expect(run(limit, 10_000, 20_000)).toBeCloseTo(100_000, -4)
  limit.bytesPerSecond = undefined
  expect(limit.take(1e9, 20_001)).toBe(0)
})

test('RateLimit of all holds for those under it together, and their own for each', () => {
  const all = new RateLimit(100_000)
  const slow = new RateLimit(20_000, all)
  const free = new RateLimit(undefined, all)
  const passed = { slow: 0, free: 0 }
  const next = { slow: 0, free: 0 }

  for (let now = 0; now < 10_000; now++) {
    for (const [name, limit] of [
      ['slow', slow],
      ['free', free],
    ] as const) {
      if (now < next[name]) continue
      passed[name] += 1000
      next[name] = now + limit.take(1000, now)
    }
  }

  expect(passed.slow).toBeLessThan(210_000)
  expect(passed.slow + passed.free).toBeGreaterThan(950_000)
  expect(passed.slow + passed.free).toBeLessThan(1_050_000)
  expect([slow, free].map((limit) => limit.effectiveBytesPerSecond)).toEqual([20_000, 100_000])
})

test.each([0, -1, Number.NaN])('RateLimit refuses %s', (bytesPerSecond) => {
  expect(() => new RateLimit(bytesPerSecond)).toThrow('expected a number above 0')
})

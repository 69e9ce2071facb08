import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SlowDown } from './slow-down.ts'

test('SlowDown halves the rate and lets it grow back by a twentieth each second', () => {
  const slowDown = new SlowDown()
  expect(slowDown.factorAt(0)).toBe(1)

  slowDown.cut(0, 0)

  const factors = [0, 1000, 5000, 10_000, 99_000].map((now) => slowDown.factorAt(now))
  expect(factors).toEqual([0.5, 0.55, 0.75, 1, 1])
})

test('SlowDown grows back from the end of the pause', () => {
  const slowDown = new SlowDown()

  slowDown.cut(0, 60_000)

  const factors = [0, 60_000, 61_000].map((now) => slowDown.factorAt(now))
  expect(factors).toEqual([0.5, 0.5, 0.55])
})

test('SlowDown takes a swarm of refusals for one', () => {
  const slowDown = new SlowDown()

  for (let now = 0; now < 1000; now += 10) slowDown.cut(now, now)

  expect(slowDown.factorAt(999)).toBeCloseTo(0.5, 2)
})

test('SlowDown takes refusals within the pause for one, and a longer pause holds growth back', () => {
  const slowDown = new SlowDown()

  slowDown.cut(0, 5000)
  slowDown.cut(4000, 9000)
  slowDown.cut(8999, 9000)
  expect(slowDown.factorAt(9000)).toBe(0.5)

  slowDown.cut(9000, 9000)
  expect(slowDown.factorAt(9000)).toBe(0.25)
})

test('SlowDown goes on halving while refusals go on', () => {
  const slowDown = new SlowDown()

  for (let now = 0; now <= 2000; now += 10) slowDown.cut(now, now)

  expect(slowDown.factorAt(2000)).toBeCloseTo(0.125, 2)
})

test('SlowDown stops at a sixteenth', () => {
  const slowDown = new SlowDown()

  for (let cut = 0; cut < 20; cut++) slowDown.cut(cut * 1000, cut * 1000)

  expect(slowDown.factorAt(19_000)).toBe(1 / 16)
})

test('SlowDown stays between a sixteenth and one, and only grows between cuts', () => {
  const steps = fc.array(
    fc.record({ ms: fc.nat(5000), cut: fc.boolean(), pauseMs: fc.nat(20_000) }),
    { maxLength: 50 },
  )

  fc.assert(
    fc.property(steps, (all) => {
      const slowDown = new SlowDown()
      let now = 0
      for (const { ms, cut, pauseMs } of all) {
        const before = slowDown.factorAt(now)
        now += ms
        const grown = slowDown.factorAt(now)
        expect(grown).toBeGreaterThanOrEqual(before)
        if (cut) slowDown.cut(now, now + pauseMs)
        const factor = slowDown.factorAt(now)
        expect(factor).toBeLessThanOrEqual(grown)
        expect(factor).toBeGreaterThanOrEqual(1 / 16)
        expect(factor).toBeLessThanOrEqual(1)
      }
    }),
  )
})

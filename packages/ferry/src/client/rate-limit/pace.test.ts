import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Pace } from './pace.ts'

const PUNCTUAL = { waited: false }
const LATE = { waited: true }

/** Starts as soon as each is due; `lateMs` is how late its timer comes. */
function startAll(pace: Pace, count: number, lateMs: (index: number) => number): number[] {
  const starts: number[] = []
  let now = 0
  for (let index = 0; index < count; index++) {
    const dueAt = pace.dueAt(now)
    const waited = dueAt > now
    if (waited) now = dueAt + lateMs(index)
    pace.take(now, { waited })
    starts.push(now)
  }
  return starts
}

test('Pace spaces starts evenly', () => {
  expect(startAll(new Pace(4, 1), 5, () => 0)).toEqual([0, 250, 500, 750, 1000])
})

test('Pace lets a burst start at once after a rest', () => {
  const pace = new Pace(4, 3)

  expect(startAll(pace, 5, () => 0)).toEqual([0, 0, 0, 250, 500])
  pace.take(1000, PUNCTUAL)
  expect(pace.dueAt(1000)).toBe(1000)
})

test('Pace does not save up more than a burst', () => {
  const pace = new Pace(4, 2)
  startAll(pace, 4, () => 0)

  const later = 1e9
  pace.take(later, PUNCTUAL)
  pace.take(later, PUNCTUAL)

  expect(pace.dueAt(later)).toBe(later + 250)
})

test('Pace makes up for a timer that comes a little late, not for a rest', () => {
  const late = new Pace(100, 1)
  late.take(0, PUNCTUAL)
  late.take(12, LATE)
  expect(late.dueAt(12)).toBe(20)

  const rested = new Pace(100, 1)
  rested.take(0, PUNCTUAL)
  rested.take(12, PUNCTUAL)
  expect(rested.dueAt(12)).toBe(22)

  const stopped = new Pace(100, 1)
  stopped.take(0, PUNCTUAL)
  stopped.take(500, LATE)
  expect(stopped.dueAt(500)).toBe(505)
})

test('Pace keeps nearly its rate with timers that come late', () => {
  const lateMs = (index: number): number => 0.2 + ((index * 7) % 10) / 10
  const starts = startAll(new Pace(1000, 1), 10_000, lateMs)

  expect(starts.at(-1)).toBeLessThan(10_100)
})

test('Pace never lets a window see more than the rate and the burst, however late timers are', () => {
  const rates = fc.oneof(
    fc.integer({ min: 1, max: 50 }),
    fc.double({ min: 0.1, max: 50, noNaN: true }),
  )
  const lateness = fc.array(fc.oneof(fc.constant(0), fc.nat(8), fc.nat(3000)), {
    minLength: 1,
    maxLength: 30,
  })

  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 5 }), lateness, (rate, burst, lates) => {
      const starts = startAll(
        new Pace(rate, burst),
        200,
        (index) => lates[index % lates.length] ?? 0,
      )

      const perWindow = Math.ceil(rate)
      const windowMs = (perWindow / rate) * 1000
      const most = perWindow + burst - 1
      for (let index = most; index < starts.length; index++) {
        const earlier = starts[index - most] as number
        expect(starts[index]).toBeGreaterThanOrEqual(earlier + windowMs)
      }
    }),
  )
})

test('Pace is slowed by a cut, also for a start that is waited for', () => {
  const pace = new Pace(1, 1)
  pace.take(0, PUNCTUAL)
  expect(pace.dueAt(0)).toBe(1000)

  pace.cut(0, 0)

  expect(pace.factorAt(0)).toBe(0.5)
  expect(pace.dueAt(0)).toBe(2000)
  // What is missing fills up faster as the rate grows back.
  expect(pace.dueAt(1000)).toBeCloseTo(1000 + 500 / 0.55)
  expect(pace.dueAt(100_000)).toBeLessThan(3000)
})

test('Pace is rested when a new one would do the same', () => {
  const pace = new Pace(4, 2)
  expect(pace.isRested(0)).toBe(true)

  startAll(pace, 7, () => 0)
  expect(pace.isRested(1250)).toBe(false)
  expect(pace.isRested(1750)).toBe(false)
  expect(pace.isRested(2250)).toBe(true)

  pace.cut(3000, 3000)
  expect(pace.isRested(3000)).toBe(false)
  expect(pace.isRested(13_000)).toBe(true)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type ConnectionCount,
  INITIAL_CONNECTION_COUNT,
  nextConnectionCount,
} from './connection-count.ts'

const MB = 1_000_000
const ENDLESS = { remainingSeconds: Number.POSITIVE_INFINITY, settleTicks: 1 } as const

/** The level after each tick on a network whose speed depends on the number of connections. */
function simulate(
  ticks: number,
  speedOf: (level: number, tick: number) => number,
  ceilingAt: (tick: number) => number = () => 16,
): number[] {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  const levels: number[] = []
  for (let tick = 0; tick < ticks; tick++) {
    count = nextConnectionCount(count, {
      bytesPerSecond: speedOf(count.level, tick),
      saturated: true,
      ceiling: ceilingAt(tick),
      ...ENDLESS,
    })
    levels.push(count.level)
  }
  return levels
}

test('connections grow to the ceiling where each one is capped', () => {
  const levels = simulate(60, (level) => level * MB)

  expect(levels.at(-1)).toBe(16)
  expect(levels.indexOf(16)).toBeLessThan(16)
})

test('connections stay few where the whole is capped', () => {
  const levels = simulate(400, () => 10 * MB)

  expect(Math.max(...levels)).toBe(3)
  expect(levels.filter((level) => level === 1).length).toBeGreaterThan(300)
})

test('connections settle about where more of them no longer help', () => {
  const levels = simulate(400, (level) => Math.min(level, 4) * MB)

  expect(levels.slice(60).every((level) => level >= 4 && level <= 7)).toBe(true)
})

test('connections grow again when the network allows more', () => {
  const levels = simulate(600, (level, tick) => Math.min(level, tick < 100 ? 2 : 6) * MB)

  expect(levels[99]).toBeLessThanOrEqual(3)
  expect(levels.at(-1)).toBeGreaterThanOrEqual(6)
})

test('connections fall with the ceiling, and never to none', () => {
  const levels = simulate(
    60,
    (level) => level * MB,
    (tick) => (tick < 30 ? 16 : 3),
  )

  expect(levels[29]).toBe(16)
  expect(levels.slice(30).every((level) => level === 3)).toBe(true)
})

test('connections grow at once when a host takes more again', () => {
  const levels = simulate(
    40,
    (level) => level * MB,
    (tick) => (tick < 20 ? 1 : 3),
  )

  expect(levels[19]).toBe(1)
  expect(levels.slice(36).every((level) => level === 3)).toBe(true)
})

test('connections are not added for what ends soon', () => {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  for (let tick = 0; tick < 200; tick++) {
    const sample = { bytesPerSecond: MB, saturated: true, ceiling: 8, settleTicks: 1 }
    count = nextConnectionCount(count, { ...sample, remainingSeconds: 0.5 })
  }

  expect(count.level).toBe(1)
})

test('a new connection is given time to get going before it is judged', () => {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  const levels: number[] = []
  for (let tick = 0; tick < 12; tick++) {
    const sample = { bytesPerSecond: count.level * MB, saturated: true, ceiling: 8 }
    count = nextConnectionCount(count, { ...sample, remainingSeconds: 100, settleTicks: 4 })
    levels.push(count.level)
  }

  expect(levels).toEqual([1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 6, 6])
})

test('a tick in which a connection had no work says nothing', () => {
  const next = nextConnectionCount(INITIAL_CONNECTION_COUNT, {
    bytesPerSecond: MB,
    saturated: false,
    ceiling: 8,
    ...ENDLESS,
  })

  expect(next).toEqual(INITIAL_CONNECTION_COUNT)
})

test('connections are at least one and at most the ceiling, whatever is measured', () => {
  const sample = fc.record({
    bytesPerSecond: fc.oneof(fc.constant(0), fc.nat(100 * MB)),
    saturated: fc.boolean(),
    ceiling: fc.integer({ min: 1, max: 12 }),
    remainingSeconds: fc.constantFrom(0.1, 100),
    settleTicks: fc.integer({ min: 1, max: 4 }),
  })
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 200 }), (samples) => {
      let count = INITIAL_CONNECTION_COUNT
      for (const one of samples) {
        const before = count.level
        count = nextConnectionCount(count, one)

        expect(count.level).toBeGreaterThanOrEqual(1)
        expect(Number.isInteger(count.level)).toBe(true)
        // A kept level may lie above a ceiling that has only just been lowered; the next tick lowers it.
        expect(count.level).toBeLessThanOrEqual(Math.max(one.ceiling, before))
      }
    }),
  )
})

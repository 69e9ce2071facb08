import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type ConnectionCount,
  INITIAL_CONNECTION_COUNT,
  nextConnectionCount,
} from './connection-count.ts'

const MB = 1_000_000
const ENDLESS = {
  remainingSeconds: Number.POSITIVE_INFINITY,
  settleTicks: 1,
  silentTicks: 0,
  isBursty: false,
} as const

/** The level after each tick on a network whose speed depends on the number of connections. */
function simulate(
  ticks: number,
  speedOf: (level: number, tick: number) => number,
  ceilingAt: (tick: number) => number = () => 16,
): number[] {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  const levels: number[] = []
  for (let tick = 0; tick < ticks; tick++) {
    const bytesPerSecond = speedOf(count.level, tick)
    count = nextConnectionCount(count, {
      ...ENDLESS,
      bytesPerSecond,
      steadyBytesPerSecond: bytesPerSecond,
      saturated: true,
      ceiling: ceilingAt(tick),
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

test('connections grow at once where one is silent between bursts', () => {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  const levels: number[] = []
  // A second's bytes in the first tick of each second, for each connection.
  for (let tick = 0; tick < 40; tick++) {
    const bytesPerSecond = tick % 10 === 0 ? count.level * 10 * MB : 0
    count = nextConnectionCount(count, {
      ...ENDLESS,
      bytesPerSecond,
      steadyBytesPerSecond: count.level * MB,
      silentTicks: tick % 10,
      isBursty: tick > 0,
      saturated: true,
      ceiling: 8,
    })
    levels.push(count.level)
  }

  expect(levels.indexOf(8)).toBeLessThan(10)
  expect(levels.at(-1)).toBe(8)
})

test('connections are not added for what ends soon', () => {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  for (let tick = 0; tick < 200; tick++) {
    const speed = { bytesPerSecond: MB, steadyBytesPerSecond: MB, saturated: true, ceiling: 8 }
    count = nextConnectionCount(count, { ...ENDLESS, ...speed, remainingSeconds: 0.5 })
  }

  expect(count.level).toBe(1)
})

test('a new connection is given time to get going before it is judged', () => {
  let count: ConnectionCount = INITIAL_CONNECTION_COUNT
  const levels: number[] = []
  for (let tick = 0; tick < 12; tick++) {
    const bytesPerSecond = count.level * MB
    const speed = { bytesPerSecond, steadyBytesPerSecond: bytesPerSecond, saturated: true }
    count = nextConnectionCount(count, { ...ENDLESS, ...speed, ceiling: 8, settleTicks: 4 })
    levels.push(count.level)
  }

  expect(levels).toEqual([1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 6, 6])
})

test('a tick in which a connection had no work says nothing', () => {
  const next = nextConnectionCount(INITIAL_CONNECTION_COUNT, {
    ...ENDLESS,
    bytesPerSecond: MB,
    steadyBytesPerSecond: MB,
    saturated: false,
    ceiling: 8,
  })

  expect(next).toEqual(INITIAL_CONNECTION_COUNT)
})

test('connections are at least one and at most the ceiling, whatever is measured', () => {
  const sample = fc.record({
    bytesPerSecond: fc.oneof(fc.constant(0), fc.nat(100 * MB)),
    steadyBytesPerSecond: fc.nat(100 * MB),
    silentTicks: fc.nat(3),
    isBursty: fc.boolean(),
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

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  assignRequest,
  type Assignment,
  lifetimeOf,
  type OriginLoad,
  type PoolLimits,
  type PoolLoad,
} from './assign-requests.ts'

const LIMITS: PoolLimits = { maxConnections: 4, maxConnectionsPerOrigin: 2 }
const NONE: OriginLoad = {
  waiting: 1,
  free: 0,
  connecting: 0,
  streamsPerConnection: 1,
  open: 0,
}

const rows: readonly [string, Partial<OriginLoad>, Partial<PoolLoad>, Assignment][] = [
  ['nobody waits', { waiting: 0, free: 1, open: 1 }, { open: 1 }, 'wait'],
  ['one is idle', { free: 1, open: 1 }, { open: 1 }, 'use-free'],
  ['one is idle, all limits are reached', { free: 1, open: 2 }, { open: 4 }, 'use-free'],
  ['nothing is open', {}, {}, 'open'],
  ['all are active, below both limits', { open: 1 }, { open: 3 }, 'open'],
  ['one is being opened for the one who waits', { connecting: 1, open: 1 }, { open: 1 }, 'wait'],
  ['one is being opened, two wait', { waiting: 2, connecting: 1, open: 1 }, { open: 1 }, 'open'],
  [
    'one is being opened that takes many',
    { waiting: 50, connecting: 1, streamsPerConnection: 100, open: 1 },
    { open: 1 },
    'wait',
  ],
  [
    'more wait than the one being opened takes',
    { waiting: 101, connecting: 1, streamsPerConnection: 100, open: 1 },
    { open: 1 },
    'open',
  ],
  ['the origin is at its limit', { open: 2 }, { open: 2 }, 'wait'],
  ['the origin is at its limit, others idle', { open: 2 }, { open: 4, idleElsewhere: 2 }, 'wait'],
  ['the pool is full, nobody is idle', { open: 1 }, { open: 4 }, 'wait'],
  ['the pool is full, another origin idles', {}, { open: 4, idleElsewhere: 1 }, 'evict-idle'],
  ['another origin idles, there is room', {}, { open: 3, idleElsewhere: 1 }, 'open'],
]

test.each(rows)('assignRequest() when %s', (_, origin, pool, expected) => {
  const load = { ...NONE, ...origin }
  const whole = { open: 0, idleElsewhere: 0, ...pool }

  expect(assignRequest(load, whole, LIMITS)).toBe(expected)
})

const situation = fc
  .record({
    waiting: fc.nat(5),
    streams: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
    idle: fc.nat(5),
    connecting: fc.nat(5),
    active: fc.nat(5),
    idleElsewhere: fc.nat(5),
    activeElsewhere: fc.nat(5),
    maxConnections: fc.integer({ min: 1, max: 20 }),
    maxConnectionsPerOrigin: fc.integer({ min: 1, max: 20 }),
  })
  .map((n) => {
    const open = n.idle + n.connecting + n.active
    return {
      origin: {
        waiting: n.waiting,
        free: n.idle,
        connecting: n.connecting,
        streamsPerConnection: n.streams,
        open,
      },
      pool: { open: open + n.idleElsewhere + n.activeElsewhere, idleElsewhere: n.idleElsewhere },
      limits: n,
    }
  })

test('assignRequest() never opens beyond a limit', () => {
  fc.assert(
    fc.property(situation, ({ origin, pool, limits }) => {
      const assignment = assignRequest(origin, pool, limits)

      if (assignment === 'open') expect(pool.open).toBeLessThan(limits.maxConnections)
      if (assignment === 'open' || assignment === 'evict-idle') {
        expect(origin.open).toBeLessThan(limits.maxConnectionsPerOrigin)
        expect(origin.connecting).toBeLessThan(origin.waiting)
      }
    }),
  )
})

test('assignRequest() opens or evicts only when nothing of the origin has room', () => {
  fc.assert(
    fc.property(situation, ({ origin, pool, limits }) => {
      const assignment = assignRequest(origin, pool, limits)

      if (origin.waiting > 0 && origin.free > 0) expect(assignment).toBe('use-free')
      if (assignment === 'use-free') expect(origin.free).toBeGreaterThan(0)
      if (assignment === 'evict-idle') expect(pool.idleElsewhere).toBeGreaterThan(0)
    }),
  )
})

test('assignRequest() lets a request wait only for a reason', () => {
  fc.assert(
    fc.property(situation, ({ origin, pool, limits }) => {
      if (assignRequest(origin, pool, limits) !== 'wait') return

      const { connecting, streamsPerConnection, waiting } = origin
      const served =
        waiting === 0 || (connecting > 0 && connecting * streamsPerConnection >= waiting)
      const originFull = origin.open >= limits.maxConnectionsPerOrigin
      const poolFull = pool.open >= limits.maxConnections && pool.idleElsewhere === 0
      expect(served || originFull || poolFull).toBe(true)
    }),
  )
})

const LIFETIME = {
  idleTimeoutMs: 15_000,
  maxConnectionAgeMs: Number.POSITIVE_INFINITY,
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
}
const USE = { exchanges: 1, keepAliveMs: Number.POSITIVE_INFINITY }

test.each([
  ['the idle timeout alone', {}, 0, {}, 15_000],
  ['a hint, less a second for the way', { keepAliveMs: 5_000 }, 0, {}, 4_000],
  ['a hint that is longer than the idle timeout', { keepAliveMs: 75_000 }, 0, {}, 15_000],
  ['half of a short hint', { keepAliveMs: 1_000 }, 0, {}, 500],
  ['no time after a hint of nothing', { keepAliveMs: 0 }, 0, {}, 0],
  ['what is left of its age', {}, 50_000, { maxConnectionAgeMs: 60_000 }, 10_000],
  ['no time when it is too old', {}, 61_000, { maxConnectionAgeMs: 60_000 }, -1_000],
  ['no time after its last request', { exchanges: 3 }, 0, { maxRequestsPerConnection: 3 }, 0],
  ['the idle timeout before that', { exchanges: 2 }, 0, { maxRequestsPerConnection: 3 }, 15_000],
] as const)('lifetimeOf() gives %s', (_, use, ageMs, limits, expected) => {
  expect(lifetimeOf({ ...USE, ...use }, ageMs, { ...LIFETIME, ...limits })).toBe(expected)
})

import { expect, test } from 'vitest'
import { ConfigError } from '../errors.ts'
import { resolvePoolOptions, resolveTimeouts } from './pool-options.ts'

test('resolvePoolOptions() fills in every default', () => {
  expect(resolvePoolOptions({})).toEqual({
    limits: { maxConnections: 256, maxConnectionsPerOrigin: 64 },
    timeouts: {
      poolTimeoutMs: 60_000,
      headersTimeoutMs: 60_000,
      bodyTimeoutMs: 60_000,
      continueTimeoutMs: 1000,
      totalTimeoutMs: Number.POSITIVE_INFINITY,
    },
    http2: { choice: 'alpn', pingIntervalMs: 20_000, pingTimeoutMs: 10_000 },
    connectTimeoutMs: 10_000,
    idleTimeoutMs: 15_000,
    maxConnectionAgeMs: Number.POSITIVE_INFINITY,
    maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  })
})

const DURATIONS = [
  'poolTimeoutMs',
  'headersTimeoutMs',
  'bodyTimeoutMs',
  'continueTimeoutMs',
  'totalTimeoutMs',
  'connectTimeoutMs',
  'idleTimeoutMs',
  'maxConnectionAgeMs',
]
const COUNTS = ['maxConnections', 'maxConnectionsPerOrigin', 'maxRequestsPerConnection']

test.each([
  ...DURATIONS.flatMap((name) => [0, -1, Number.NaN].map((value) => [name, value] as const)),
  ...COUNTS.flatMap((name) => [0, -1, 1.5, Number.NaN].map((value) => [name, value] as const)),
])('resolvePoolOptions() refuses %s of %d, and says which it is', (name, value) => {
  const resolve = (): unknown => resolvePoolOptions({ [name]: value })

  expect(resolve).toThrow(ConfigError)
  expect(resolve).toThrow(`Cannot use ${name} ${value}: expected`)
})

test.each([...DURATIONS, ...COUNTS])('resolvePoolOptions() takes no limit for %s', (name) => {
  const settings = resolvePoolOptions({ [name]: Number.POSITIVE_INFINITY })

  expect({ ...settings, ...settings.limits, ...settings.timeouts }).toMatchObject({
    [name]: Number.POSITIVE_INFINITY,
  })
})

test('resolveTimeouts() gives the very defaults when nothing is asked for', () => {
  const { timeouts } = resolvePoolOptions({})

  expect(resolveTimeouts({}, timeouts)).toBe(timeouts)
  expect(resolveTimeouts({ bodyTimeoutMs: 5 }, timeouts)).toEqual({ ...timeouts, bodyTimeoutMs: 5 })
  expect(() => resolveTimeouts({ bodyTimeoutMs: -5 }, timeouts)).toThrow(ConfigError)
})

import { expect, test } from 'vitest'
import { HostLimits } from './host-limits.ts'

/** Takes leave as often as it is given. */
function takeAll(limits: HostLimits, host: string, now: number): number {
  let count = 0
  while (limits.take(host, now)) count++
  return count
}

test('HostLimits gives each host what is allowed, all downloads together', () => {
  const limits = new HostLimits({ maxConnectionsPerHost: 3 })

  expect([takeAll(limits, 'a', 0), takeAll(limits, 'b', 0)]).toEqual([3, 3])
  limits.release('a')
  expect(takeAll(limits, 'a', 0)).toBe(1)
})

test('HostLimits has a limit by default', () => {
  expect(takeAll(new HostLimits(), 'a', 0)).toBe(16)
})

test('HostLimits learns from a host that turns one away, and tries one more from time to time', () => {
  const limits = new HostLimits()
  for (let count = 0; count < 5; count++) limits.take('a', 0)

  limits.noteTooMany('a', 1000)
  limits.release('a')

  expect(limits.take('a', 1999)).toBe(false)
  expect(limits.allowed('a', 1999)).toBe(4)
  expect(limits.allowed('b', 1999)).toBe(16)
  expect(takeAll(limits, 'a', 2000)).toBe(1)
  expect(limits.allowed('a', 1_000_000)).toBe(16)
})

test('HostLimits waits twice as long after each further refusal', () => {
  const limits = new HostLimits()
  const waits: number[] = []
  limits.take('a', 0)

  for (let now = 0, refusedAt = 0; waits.length < 8; now += 100) {
    if (now > 0 && !limits.isOpen('a', now)) continue
    if (now > 0) waits.push(now - refusedAt)
    limits.take('a', now)
    limits.noteTooMany('a', now)
    limits.release('a')
    refusedAt = now
  }

  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
})

test('HostLimits takes connections that are turned away together for one refusal', () => {
  const limits = new HostLimits()
  for (let count = 0; count < 4; count++) limits.take('a', 0)

  for (const now of [1000, 1001, 1400]) {
    limits.noteTooMany('a', now)
    limits.release('a')
  }

  expect(limits.allowed('a', 1400)).toBe(1)
  expect(limits.allowed('a', 2400)).toBe(2)
})

test('HostLimits always leaves a host one connection', () => {
  const limits = new HostLimits()
  limits.take('a', 0)

  limits.noteTooMany('a', 0)
  limits.release('a')

  expect(takeAll(limits, 'a', 1)).toBe(1)
})

test('HostLimits waits as long as the host has asked for, for everybody', () => {
  const limits = new HostLimits()

  limits.notePause('a', 2000, 100)
  limits.notePause('a', 500, 200)

  expect(limits.take('a', 2099)).toBe(false)
  expect(limits.take('a', 2100)).toBe(true)
})

test.each([0, 1.5, Number.NaN])('HostLimits refuses %s connections', (maxConnectionsPerHost) => {
  expect(() => new HostLimits({ maxConnectionsPerHost })).toThrow('a whole number from 1')
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Fare, findLaggards, patienceAfter } from './laggards.ts'

const MB = 1_000_000
const PATIENCE = patienceAfter(0, 10)

const fare = (id: number, parts: Partial<Fare> = {}): Fare => ({
  id,
  bytesPerSecond: 2 * MB,
  silentMs: 0,
  requestMs: 10_000,
  remainingBytes: 100 * MB,
  ...parts,
})

test('findLaggards() finds who is far slower than the others', () => {
  const slow = fare(1, { bytesPerSecond: 50_000 })

  expect(findLaggards([slow, fare(2), fare(3)], PATIENCE)).toEqual([1])
})

test.each<[string, Fare[]]>([
  ['a third of their speed is enough', [fare(1, { bytesPerSecond: 0.7 * MB }), fare(2), fare(3)]],
  ['it has just begun', [fare(1, { bytesPerSecond: 1, requestMs: 999 }), fare(2), fare(3)]],
  [
    'it moves, and has begun not long ago',
    [fare(1, { bytesPerSecond: 0.5 * MB, requestMs: 2999 }), fare(2), fare(3)],
  ],
  ['it ends soon', [fare(1, { bytesPerSecond: 50_000, remainingBytes: 90_000 }), fare(2), fare(3)]],
  ['it is alone', [fare(1, { bytesPerSecond: 50_000 })]],
  ['nobody is measured', [fare(1, { bytesPerSecond: 0 }), fare(2, { bytesPerSecond: 0 })]],
])('findLaggards() leaves a slow one where %s', (_, fares) => {
  expect(findLaggards(fares, PATIENCE)).toEqual([])
})

test('findLaggards() finds who hardly moves sooner than who is slow', () => {
  const slow = fare(1, { bytesPerSecond: 0.5 * MB, requestMs: 3000 })
  const crawling = fare(1, { bytesPerSecond: 50_000, requestMs: 1000 })

  expect(findLaggards([slow, fare(2)], PATIENCE)).toEqual([1])
  expect(findLaggards([crawling, fare(2)], PATIENCE)).toEqual([1])
})

test('findLaggards() finds who has fallen silent while others deliver', () => {
  expect(findLaggards([fare(1, { silentMs: 1500 }), fare(2)], PATIENCE)).toEqual([1])
  expect(findLaggards([fare(1, { silentMs: 1499 }), fare(2)], PATIENCE)).toEqual([])
})

test('findLaggards() waits longer where nobody delivers', () => {
  expect(findLaggards([fare(1, { silentMs: 11_999 })], PATIENCE)).toEqual([])
  expect(findLaggards([fare(1, { silentMs: 12_000 })], PATIENCE)).toEqual([1])
})

test('patienceAfter() grows with each connection given up, and with the time that heads take', () => {
  expect(patienceAfter(0, 3000).silentMs).toBe(12_000)
  expect(patienceAfter(2, 10).silentMs).toBe(3375)
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(10_000), (givenUp, latencyMs) => {
      const less = patienceAfter(givenUp, latencyMs)
      const more = patienceAfter(givenUp + 1, latencyMs)

      expect(more.silentMs).toBeGreaterThanOrEqual(less.silentMs)
      expect(Number.isFinite(more.lonelyMs)).toBe(true)
    }),
  )
})

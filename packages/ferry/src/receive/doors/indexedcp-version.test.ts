import { expect, test } from 'vitest'
import { chooseVersion, looksWhole, receivedIndices, type Version } from './indexedcp-version.ts'

const NOW = 100_000
const LONG_AGO = 1000

function version(ends: readonly number[], more: Partial<Version> = {}): Version {
  return {
    owner: undefined,
    clientName: 'a',
    id: '1',
    ready: Promise.resolve(),
    storedName: 'a',
    isExposed: true,
    ends: [...ends],
    ahead: new Map(),
    receiving: new Map(),
    activeAt: NOW,
    peer: 'p',
    users: 0,
    placing: Promise.resolve(),
    ...more,
  }
}

test('chooseVersion() prefers the newest of the same sender', () => {
  const [one, two] = [version([10]), version([10])]
  const other = version([10], { peer: 'q' })

  expect(chooseVersion([], { index: 0, peer: 'p' }, NOW)).toBeUndefined()
  expect(chooseVersion([one, two, other], { index: 0, peer: 'p' }, NOW)).toBe(two)
  expect(chooseVersion([one, other], { index: 1, peer: 'q' }, NOW)).toBe(other)
  expect(chooseVersion([one, other], { index: 0, peer: 'moved' }, NOW)).toBe(other)
})

test('chooseVersion() prefers the one that waits for the chunk', () => {
  const [one, two] = [version([10]), version([10, 20])]

  expect(chooseVersion([one, two], { index: 1, peer: 'p' }, NOW)).toBe(one)
  expect(chooseVersion([one, two], { index: 2, peer: 'p' }, NOW)).toBe(two)
})

test('chooseVersion() does not guess between two that are being sent', () => {
  const [one, two] = [version([10]), version([10])]
  const old = version([10], { activeAt: LONG_AGO })
  const whole = version([10, 15])

  expect(chooseVersion([one, two], { index: 1, peer: 'p' }, NOW)).toBe('ambiguous')
  expect(chooseVersion([old, two], { index: 1, peer: 'p' }, NOW)).toBe(two)
  expect(chooseVersion([whole, version([10, 20])], { index: 2, peer: 'p' }, NOW)).not.toBe(whole)
})

test('looksWhole() and receivedIndices() tell what is there', () => {
  const waiting = version([10, 15], {
    ahead: new Map([4, 3].map((i) => [i, { id: '', length: 1 }])),
  })

  expect([[], [10], [10, 20], [10, 15]].map((ends) => looksWhole(version(ends)))).toEqual([
    false,
    false,
    false,
    true,
  ])
  expect(looksWhole(waiting)).toBe(false)
  expect(receivedIndices(waiting)).toEqual([0, 1, 3, 4])
})

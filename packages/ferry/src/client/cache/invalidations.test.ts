import { expect, test } from 'vitest'
import { Invalidations } from './invalidations.ts'

test('a key is invalidated after an instant, or is not', () => {
  const invalidations = new Invalidations()
  const before = invalidations.now
  invalidations.add('a')
  const after = invalidations.now

  expect(invalidations.happenedSince('a', before)).toBe(true)
  expect(invalidations.happenedSince('a', after)).toBe(false)
  expect(invalidations.happenedSince('b', before)).toBe(false)
})

test('what was forgotten may have been any key', () => {
  const invalidations = new Invalidations()
  const before = invalidations.now
  invalidations.add('a')
  const after = invalidations.now
  for (let index = 0; index < 1000; index++) invalidations.add(`${index}`)

  expect(invalidations.happenedSince('a', before)).toBe(true)
  expect(invalidations.happenedSince('b', before)).toBe(true)
  expect(invalidations.happenedSince('b', after)).toBe(false)
})

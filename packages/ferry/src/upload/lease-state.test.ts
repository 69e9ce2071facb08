import { describe, expect, test } from 'vitest'
import { isOver, leftMs, type LeaseTime, termFrom } from './lease-state.ts'

const TAKEN: LeaseTime = { wallMs: 1_000_000, uptimeMs: 500, boot: 'one' }
const TERM = termFrom(TAKEN, 100)

describe('isOver()', () => {
  test.each<[case_: string, time: Partial<LeaseTime>, over: boolean]>([
    ['at once', {}, false],
    ['just before its end', { wallMs: 1_000_099, uptimeMs: 599 }, false],
    ['at its end', { wallMs: 1_000_100, uptimeMs: 600 }, true],
    ['when the clock was put forwards', { wallMs: 9_000_000, uptimeMs: 599 }, false],
    ['when the clock was put back', { wallMs: 1, uptimeMs: 599 }, false],
    ['at its end by a clock that was put back', { wallMs: 1, uptimeMs: 600 }, true],
    ['after a new start, by the clock', { boot: 'two', wallMs: 1_000_099, uptimeMs: 1 }, false],
    ['after a new start, at its end', { boot: 'two', wallMs: 1_000_100, uptimeMs: 1 }, true],
    ['after a new start with a clock long behind', { boot: 'two', wallMs: 999_999 }, true],
    ['after a new start with the same clock', { boot: 'two', wallMs: 1_000_000 }, false],
  ])('a lease %s', (_, time, over) => {
    expect(isOver(TERM, { ...TAKEN, ...time }, false)).toBe(over)
  })

  test('without a name for the start of the system the clock alone counts', () => {
    const taken = { ...TAKEN, boot: '' }
    const term = termFrom(taken, 100)

    expect(isOver(term, { ...taken, wallMs: 1_000_099, uptimeMs: 9_999 }, false)).toBe(false)
    expect(isOver(term, { ...taken, wallMs: 1_000_100, uptimeMs: 500 }, false)).toBe(true)
    expect(isOver(term, { ...taken, wallMs: 999_999 }, false)).toBe(true)
  })

  test('a lease of a process that has ended is over', () => {
    expect(isOver(TERM, TAKEN, true)).toBe(true)
  })
})

test('leftMs() counts as isOver() does', () => {
  expect(leftMs(TERM, { ...TAKEN, wallMs: 0, uptimeMs: 540 })).toBe(60)
  expect(leftMs(TERM, { ...TAKEN, boot: 'two', wallMs: 1_000_030 })).toBe(70)
  expect(leftMs(TERM, { ...TAKEN, uptimeMs: 700 })).toBe(0)
})

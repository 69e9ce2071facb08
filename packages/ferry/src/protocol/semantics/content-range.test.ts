import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatRange, parseContentRange, parseUnsatisfiedRange } from './content-range.ts'

describe('formatRange()', () => {
  test('is inclusive at both ends, and open without a last byte', () => {
    expect(formatRange(0, 99)).toBe('bytes=0-99')
    expect(formatRange(500)).toBe('bytes=500-')
  })
})

describe('parseContentRange()', () => {
  test.each([
    ['bytes 0-0/1', { first: 0, last: 0, complete: 1 }],
    ['bytes 5-9/10', { first: 5, last: 9, complete: 10 }],
    ['bytes 5-9/*', { first: 5, last: 9, complete: undefined }],
    ['BYTES 5-9/10', { first: 5, last: 9, complete: 10 }],
  ])('reads %j', (text, expected) => {
    expect(parseContentRange(text)).toEqual(expected)
  })

  test.each([
    '',
    'bytes',
    'bytes 5-9',
    'bytes 9-5/10',
    'bytes 5-10/10',
    'bytes */10',
    'bytes=5-9/10',
    'bytes 5-9/10 ',
    'bytes  5-9/10',
    'bytes -5-9/10',
    'bytes 5-9/-10',
    'bytes 5-9/10, bytes 0-4/10',
    'items 5-9/10',
    'bytes 0x5-9/10',
    'bytes 5-9007199254740992/*',
    'bytes 5-9/9007199254740992',
  ])('refuses %j', (text) => {
    expect(parseContentRange(text)).toBeUndefined()
  })

  test('reads back whatever is within a representation', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (first, length, after) => {
        const last = first + length
        const complete = last + 1 + after
        const text = `bytes ${first}-${last}/${complete}`
        expect(parseContentRange(text)).toEqual({ first, last, complete })
      }),
    )
  })
})

describe('parseUnsatisfiedRange()', () => {
  test('reads how long the representation is', () => {
    expect(parseUnsatisfiedRange('bytes */47')).toEqual({ complete: 47 })
  })

  test.each(['bytes 0-1/47', 'bytes */*', '*/47', ''])('refuses %j', (text) => {
    expect(parseUnsatisfiedRange(text)).toBeUndefined()
  })
})

import { expect, test } from 'vitest'
import { parseHttpDate } from './http-date.ts'

const AT = Date.UTC(1994, 10, 6, 8, 49, 37)

test.each([
  'Sun, 06 Nov 1994 08:49:37 GMT',
  'Sunday, 06-Nov-94 08:49:37 GMT',
  'Sun Nov  6 08:49:37 1994',
])('parseHttpDate() reads %j', (text) => {
  expect(parseHttpDate(text)).toBe(AT)
})

test.each([
  '',
  '5',
  '-5',
  'now',
  '1994-11-06T08:49:37Z',
  'Sun, 06 Nov 1994 08:49:37',
  'Sun, 06 Nov 1994 08:49:37 CET',
  'Sun, 06 Nov 1994 28:49:37 GMT',
  'Sun, 99 Xyz 1994 08:49:37 GMT',
])('parseHttpDate() refuses %j', (text) => {
  expect(parseHttpDate(text)).toBeUndefined()
})

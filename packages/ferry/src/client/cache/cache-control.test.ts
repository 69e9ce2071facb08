import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { formatCacheControl, parseCacheControl, secondsOf } from './cache-control.ts'

test.each([
  ['directives', 'no-cache, max-age=60', { 'no-cache': undefined, 'max-age': '60' }],
  ['any case', 'No-Cache, MAX-AGE=60', { 'no-cache': undefined, 'max-age': '60' }],
  ['quotes', 'private="a, b", max-age="60"', { private: 'a, b', 'max-age': '60' }],
  ['blanks', ' ,max-age = 60 ,, public ', { 'max-age': '60', public: undefined }],
  ['the first of two', 'max-age=1, max-age=2', { 'max-age': '1' }],
  ['an empty value', 'max-age=, public', { 'max-age': '', public: undefined }],
  ['nothing', '', {}],
])('parseCacheControl() reads %s', (_, text, expected) => {
  const directives = parseCacheControl(HeaderFields.from({ 'Cache-Control': text }))

  expect(Object.fromEntries(directives)).toEqual(expected)
})

test('parseCacheControl() reads Pragma where there is no Cache-Control', () => {
  const read = (fields: Record<string, string>): string =>
    formatCacheControl(parseCacheControl(HeaderFields.from(fields)))

  expect(read({ Pragma: 'No-Cache' })).toBe('no-cache')
  expect(read({ Pragma: 'x' })).toBe('')
  expect(read({ Pragma: 'no-cache', 'Cache-Control': 'max-age=1' })).toBe('max-age=1')
})

test.each([
  ['max-age=60', 60],
  ['max-age=99999999999', 99_999_999_999],
  ['max-age=-1', 0],
  ['max-age=1.5', 0],
  ['max-age', 0],
  ['public', undefined],
])('secondsOf() reads %s', (text, seconds) => {
  const directives = parseCacheControl(HeaderFields.from({ 'Cache-Control': text }))

  expect(secondsOf(directives, 'max-age')).toBe(seconds)
})

test.each([
  ['blanks', `a${' '.repeat(60_000)}b`],
  ['commas', ','.repeat(60_000)],
  ['an open quote', `a="${'\\'.repeat(60_000)}`],
])('parseCacheControl() reads many %s in time that grows with their number', (_, text) => {
  const startedAt = performance.now()

  parseCacheControl(HeaderFields.from({ 'Cache-Control': text }))

  expect(performance.now() - startedAt).toBeLessThan(3000)
})

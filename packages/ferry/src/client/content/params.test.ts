import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalProtocolError } from '../../errors.ts'
import { appendParams, encodeParams, formContent, type ParamsInit } from './params.ts'

test.each<[string, ParamsInit, string]>([
  ['a record', { a: 1, b: 'two words', c: true, d: 10n }, 'a=1&b=two+words&c=true&d=10'],
  ['lists', { tag: ['a', 'b'], none: [] }, 'tag=a&tag=b'],
  ['nothing', { a: undefined, b: null, c: [undefined, 'd', null] }, 'c=d'],
  ['empty text', { a: '', '': 'b' }, 'a=&=b'],
  [
    'pairs',
    [
      ['b', 1],
      ['a', [2, 3]],
      ['b', undefined],
    ],
    'b=1&a=2&a=3',
  ],
  ['a Map', new Map([['a', 'b']]), 'a=b'],
  ['URLSearchParams', new URLSearchParams('b=1&a=2&b=3'), 'b=1&a=2&b=3'],
  ['what must be escaped', { 'ä&=': '€ +%\r\n~*' }, '%C3%A4%26%3D=%E2%82%AC+%2B%25%0D%0A%7E*'],
  ['half a character', { a: '\uD83D' }, 'a=%EF%BF%BD'],
  ['no members', {}, ''],
])('encodeParams() of %s', (_name, params, text) => {
  expect(encodeParams(params)).toBe(text)
})

test.each<[unknown, string]>([
  [
    { a: { b: 1 } },
    'parameter "a": expected text, a number, a boolean or a list of such, got object',
  ],
  [{ a: [[1]] }, 'got object'],
  [{ a: new Date() }, 'got object'],
  [{ a: () => 1 }, 'got function'],
  [{ a: Symbol('s') }, 'got symbol'],
])('encodeParams() refuses %o', (params, message) => {
  expect(() => encodeParams(params as ParamsInit)).toThrow(LocalProtocolError)
  expect(() => encodeParams(params as ParamsInit)).toThrow(message)
})

test('encodeParams() gives what URLSearchParams reads', () => {
  const pairs = fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })))
  fc.assert(
    fc.property(pairs, (list) => {
      const wellFormed = list.map((pair) => pair.map((text) => text.toWellFormed()))
      expect([...new URLSearchParams(encodeParams(list))]).toEqual(wellFormed)
    }),
  )
})

test.each([
  ['http://h/p', 'http://h/p?b=2'],
  ['http://h', 'http://h?b=2'],
  ['/p?', '/p?b=2'],
  ['/p?a=1', '/p?a=1&b=2'],
  ['/p?a=1&', '/p?a=1&b=2'],
  ['/p?a=1#f?g', '/p?a=1&b=2#f?g'],
  ['/p#f?g', '/p?b=2#f?g'],
  ['', '?b=2'],
])('appendParams() to %j', (url, expected) => {
  expect(appendParams(url, { b: 2 })).toBe(expected)
  expect(appendParams(url, { b: undefined })).toBe(url)
})

test('formContent() has its type', () => {
  expect(formContent({ a: 'ä' })).toEqual({
    content: Buffer.from('a=%C3%A4'),
    contentType: 'application/x-www-form-urlencoded',
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodePercent } from './percent-encoding.ts'

test.each([
  ['', ''],
  ['a b', 'a b'],
  ['a%20b', 'a b'],
  ['%e2%82%ac', '€'],
  ['%E2%82%AC', '€'],
  ['%2541', '%41'],
  ['50%.txt', '50%.txt'],
  ['50%%20off', '50% off'],
  ['%zz%41', '%zzA'],
  ['%', '%'],
  ['%4', '%4'],
  // Not UTF-8: GBK, a part of a character, a surrogate.
  ['%D6%D0%41', '%D6%D0%41'],
  ['%e2%82', '%e2%82'],
  ['%ed%a0%80', '%ed%a0%80'],
])('decodePercent(%j) is %j', (text, decoded) => {
  expect(decodePercent(text)).toBe(decoded)
})

test('decodePercent() undoes encodeURIComponent()', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(decodePercent(encodeURIComponent(text))).toBe(text)
    }),
  )
})

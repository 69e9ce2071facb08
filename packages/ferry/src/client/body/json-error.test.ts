import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findJsonError } from './json-error.ts'

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test.each<[string, number | undefined]>([
  ['', 0],
  ['  ', 2],
  ['null', undefined],
  ['nul', 3],
  ['nulx', 3],
  ['truefalse', 4],
  ['<html>', 0],
  ['{"a": }', 6],
  ['{"a" 1}', 5],
  ['{"a":1,}', 7],
  ['{,}', 1],
  ['{a:1}', 1],
  ['[1,2', 4],
  ['[1 2]', 3],
  ['[1,]', 3],
  ['[}', 1],
  ['{"a":[1}', 7],
  ['{"a":1}x', 7],
  ['{} {}', 3],
  ['"abc', 4],
  ['"a\nb"', 2],
  ['"a\\', 3],
  ['"\\q"', 2],
  ['"\\u12x4"', 5],
  ['"\\u12', 5],
  ['01', 1],
  ['-', 1],
  ['-a', 1],
  ['+1', 0],
  ['.5', 0],
  ['1.', 2],
  ['1.e5', 2],
  ['1e', 2],
  ['1e+', 3],
  ['-0.5E-07', undefined],
  ['NaN', 0],
  ["'a'", 0],
  ['\uFEFF1', 0],
  ['\u00A01', 0],
  [' {"a" : [ ] , "b":{ }, "\\u00e4\\"":[null,true,false,"x",{"c":-1.5e3}]} \n', undefined],
])('findJsonError() of %j is %s', (text, offset) => {
  expect(findJsonError(text)).toBe(offset)
  expect(parses(text)).toBe(offset === undefined)
})

test('findJsonError() finds one where JSON.parse() does, and only there', () => {
  const broken = fc
    .tuple(
      fc.json({ maxDepth: 3 }),
      fc.nat(),
      fc.constantFrom('', ...'{}[]:,"\\u0e-.1tx \n\0'),
      fc.boolean(),
    )
    .map(([json, at, change, cut]) => {
      const place = at % (json.length + 1)
      return json.slice(0, place) + change + (cut ? '' : json.slice(place + 1))
    })
  fc.assert(
    fc.property(broken, (text) => {
      const offset = findJsonError(text)
      expect(offset === undefined, text).toBe(parses(text))
      if (offset === undefined) return
      // What stands before can become JSON; with the character at the place it cannot.
      expect(offset).toBeLessThanOrEqual(text.length)
      expect(findJsonError(text.slice(0, offset)) ?? offset, text).toBe(offset)
    }),
    { numRuns: 3000 },
  )
})

test('findJsonError() says what V8 says where V8 does', () => {
  const broken = fc
    .tuple(fc.json({ maxDepth: 3 }), fc.nat(), fc.constantFrom(...'}],"\\x1'))
    .map(([json, at, change]) => {
      const place = at % (json.length + 1)
      return json.slice(0, place) + change + json.slice(place)
    })
  fc.assert(
    fc.property(broken, (text) => {
      let message = ''
      try {
        JSON.parse(text)
      } catch (error) {
        ;({ message } = error as Error)
      }
      // V8 points before the digits that it misses in an escape, and behind some that it has read.
      const [, position] = /at position (\d+)/.exec(message) ?? []
      if (position === undefined || /escape|number/.test(message)) return
      expect(findJsonError(text), `${text}: ${message}`).toBe(Number(position))
    }),
    { numRuns: 2000 },
  )
})

test('findJsonError() takes any depth and any length', () => {
  const depth = 1_000_000
  expect(findJsonError('['.repeat(depth))).toBe(depth)
  expect(findJsonError(`"${'ä'.repeat(20_000_000)}`)).toBe(20_000_001)
  expect(findJsonError(`"${'\\n'.repeat(1_000_000)}x`)).toBe(2_000_002)
})

import { describe, expect, test } from 'vitest'
import { isFieldValue, isToken, parseTokenList, trimOws } from './grammar.ts'

const EVERY_BYTE = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
// RFC 9110 §5.6.2, spelled out so that the expression under test is not its own judge.
const TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

describe('isToken()', () => {
  test('accepts exactly the characters of tchar', () => {
    const accepted = EVERY_BYTE.filter((character) => isToken(character))

    expect(accepted).toEqual([...TCHAR].toSorted())
  })

  test.each(['GET', 'M-SEARCH', 'X_1', TCHAR])('accepts %j', (text) => {
    expect(isToken(text)).toBe(true)
  })

  test.each(['', ' ', 'a b', 'a ', ' a', 'a:', 'a\n', 'a\r\n', '\0', 'é', 'ſ', 'a\u2028', '"a"'])(
    'refuses %j',
    (text) => {
      expect(isToken(text)).toBe(false)
    },
  )
})

describe('isFieldValue()', () => {
  test('accepts exactly HTAB, SP, VCHAR and obs-text', () => {
    const accepted = EVERY_BYTE.filter((character) => isFieldValue(character))

    const expected = EVERY_BYTE.filter((_, code) => code === 9 || (code >= 32 && code !== 127))
    expect(accepted).toEqual(expected)
  })

  test('accepts an empty value', () => {
    expect(isFieldValue('')).toBe(true)
  })

  test.each(['a\r\nX: y', 'a\n', 'a\r', '\0', 'a\x7f', '\u0100', '€', '\u2028', '😀'])(
    'refuses %j',
    (text) => {
      expect(isFieldValue(text)).toBe(false)
    },
  )
})

describe('parseTokenList()', () => {
  test.each<[text: string, expected: string[]]>([
    ['', []],
    [' \t ', []],
    [',', []],
    [' , ,\t,', []],
    ['close', ['close']],
    ['Keep-Alive', ['keep-alive']],
    ['a,b', ['a', 'b']],
    [' a \t,\t b ', ['a', 'b']],
    [',a,,b,', ['a', 'b']],
    ['a b', ['a b']],
    ['a,a', ['a', 'a']],
    ['\xa0close', ['\xa0close']],
  ])('reads %j as %j', (text, expected) => {
    expect(parseTokenList(text)).toEqual(expected)
  })

  test('reads a long run of spaces in linear time', () => {
    const text = `a${' '.repeat(200_000)}b`

    const startedAt = performance.now()
    const list = parseTokenList(text)

    expect(list).toEqual([text])
    // Quadratic time is some 20 s here, linear time a few ms.
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })
})

describe('trimOws()', () => {
  test.each<[text: string, expected: string]>([
    ['', ''],
    [' ', ''],
    ['\t \t', ''],
    ['a', 'a'],
    [' a', 'a'],
    ['a ', 'a'],
    ['\t a b\t ', 'a b'],
    ['a \t b', 'a \t b'],
  ])('turns %j into %j', (text, expected) => {
    expect(trimOws(text)).toBe(expected)
  })

  test.each(['\xa0', '\n', '\r', '\v', '\f', '\0', '\ufeff', '\u2003'])(
    'leaves %j, which is no optional whitespace, at both ends',
    (character) => {
      expect(trimOws(` ${character}a${character}\t`)).toBe(`${character}a${character}`)
    },
  )
})

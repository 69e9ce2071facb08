import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { expandUrl } from './expand-url.ts'

test.each<[pattern: string, expected: string[]]>([
  ['http://h/a', ['http://h/a']],
  ['', ['']],
  ['{a,b}[1-2]', ['a1', 'a2', 'b1', 'b2']],
  ['[8-11]', ['8', '9', '10', '11']],
  ['[08-11]', ['08', '09', '10', '11']],
  ['[8-011]', ['8', '9', '10', '11']],
  ['[001-1000:500]', ['001', '501']],
  ['[0-10:5]', ['0', '5', '10']],
  ['[1-1]', ['1']],
  ['[1-3:9]', ['1']],
  ['[a-c]', ['a', 'b', 'c']],
  ['[A-G:3]', ['A', 'D', 'G']],
  ['{a}', ['a']],
  ['x{a,,b}', ['xa', 'x', 'xb']],
  ['{,}', ['', '']],
  [String.raw`{a\,,b\}}`, ['a,', 'b}']],
  [String.raw`\{a\}\[1-2\]`, ['{a}[1-2]']],
  [String.raw`a\b`, [String.raw`a\b`]],
  ['/?q[]=1', ['/?q[]=1']],
  ['http://[::1]:80/[1-2]', ['http://[::1]:80/1', 'http://[::1]:80/2']],
  ['http://[fe80::1%25eth0]/', ['http://[fe80::1%25eth0]/']],
])('expandUrl(%j)', (pattern, expected) => {
  expect(expandUrl(pattern)).toEqual(expected)
})

test.each<[pattern: string, character: number]>([
  ['ab{', 3],
  ['{}', 1],
  ['{a{b,c}', 1],
  ['{a[1-2]}', 1],
  ['a}b', 2],
  ['a]b', 2],
  ['[3-1]', 1],
  ['[c-a]', 1],
  ['[a-C]', 1],
  ['[aa-bb]', 1],
  ['[1-3:0]', 1],
  ['[1-3', 1],
  ['x[-1-3]', 2],
  ['[1-99999999999999999999]', 1],
])('expandUrl(%j) names the character that is wrong', (pattern, character) => {
  expect(() => expandUrl(pattern)).toThrow(
    new RegExp(`^Cannot expand the URL at character ${character}: expected `),
  )
})

test('expandUrl() has a limit, known before anything is made', () => {
  expect(expandUrl('[1-100][1-100]')).toHaveLength(10_000)
  expect(() => expandUrl('[1-100][1-101]')).toThrow(ConfigError)
  expect(() => expandUrl('[1-9000000000000000]')).toThrow(
    /at most 10000 URLs, got 9000000000000000/,
  )
  expect(() => expandUrl('{a,b,c}', { maxUrls: 2 })).toThrow(/at most 2 URLs, got 3/)
})

test('expandUrl() shows nothing of the URL in its message', () => {
  expect(() => expandUrl('http://me:secret@h/[')).toThrow(/^((?!secret).)*$/)
})

test('expandUrl() leaves a text alone whose special characters are escaped', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab01-,:{}[]') }), (text) => {
      expect(expandUrl(text.replaceAll(/[{}[\],]/g, String.raw`\$&`))).toEqual([text])
    }),
  )
})

test('expandUrl() gives every combination once, in order', () => {
  const part = fc.array(fc.stringMatching(/^[a-z0-9.]{1,3}$/), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      const expected = parts.reduce(
        (urls, texts) => urls.flatMap((url) => texts.map((text) => url + text)),
        [''],
      )

      expect(expandUrl(parts.map((texts) => `{${texts.join(',')}}`).join(''))).toEqual(expected)
    }),
  )
})

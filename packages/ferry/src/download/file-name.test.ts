import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import { fileNameOf, safeFileName } from './file-name.ts'

const urls: readonly [string, string][] = [
  ['http://a/b/file.iso', 'file.iso'],
  ['http://a/file.iso?sig=a%2Fb', 'file.iso'],
  ['http://a/file.iso#part', 'file.iso'],
  ['http://a/', 'download'],
  ['http://a', 'download'],
  ['http://a/b/', 'download'],
  ['http://a/?file=x', 'download'],
  ['http://a/na%20me.txt', 'na me.txt'],
  ['http://a/k%C3%A4se.txt', 'käse.txt'],
  ['http://a/..%2f..%2fetc%2fpasswd', '.._.._etc_passwd'],
  ['http://a/a%5Cb', 'a_b'],
  ['http://a/%2e%2e', 'download'],
  ['http://a/nul%00byte', 'nul_byte'],
  ['http://a/%ff%fe', '%ff%fe'],
  // An escape sequence in one character, and a mark that makes this read "mexe.jpg".
  ['http://a/%C2%9B31m', '_31m'],
  ['http://a/m%E2%80%AEgpj.exe', 'm_gpj.exe'],
  ['http://a/%E2%80%8Ea%E2%81%A6b%E2%81%A9', '_a_b_'],
]

test.each(urls)('fileNameOf(%s) is %s', (url, name) => {
  expect(fileNameOf(HttpUrl.parse(url))).toBe(name)
})

const names: readonly [string, string][] = [
  ['a.txt', 'a.txt'],
  ['.hidden', '.hidden'],
  ['.', 'download'],
  ['..', 'download'],
  ['', 'download'],
  ['  ', 'download'],
  ['a. . ', 'a'],
  [' a', 'a'],
  ['a:b|c?d*e"f<g>h', 'a_b_c_d_e_f_g_h'],
  ['CON', '_CON'],
  ['nul.txt', '_nul.txt'],
  ['COM1.tar.gz', '_COM1.tar.gz'],
  ['console', 'console'],
  ['a\r\nb', 'a__b'],
  ['ka\u0308se', 'k\u00e4se'],
]

test.each(names)('safeFileName(%j) is %j', (text, name) => {
  expect(safeFileName(text)).toBe(name)
})

test('safeFileName() shortens a long name but keeps its extension and whole characters', () => {
  const name = safeFileName(`${'ä😀'.repeat(100)}.tar`)

  expect(name.endsWith('.tar')).toBe(true)
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200)
  expect(name.isWellFormed()).toBe(true)
})

test('safeFileName() gives a name that stays in its folder, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      const name = safeFileName(text)

      expect(name).not.toMatch(/[/\\\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/)
      expect(['', '.', '..']).not.toContain(name)
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200)
      expect(name).not.toMatch(/[. ]$/)
      expect(safeFileName(name)).toBe(name)
    }),
  )
})

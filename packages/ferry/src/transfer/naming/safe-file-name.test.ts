import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostileText, KEPT_BESIDE } from '../../testing/hostile-names.ts'
import { findSafeName, numberedName, safeFileName } from './safe-file-name.ts'

const MAX_NAME_BYTES = 200

const names: readonly [string, string][] = [
  ['a.txt', 'a.txt'],
  ['a b.tar.gz', 'a b.tar.gz'],
  ['-rf', '-rf'],
  ['', 'download'],
  ['  ', 'download'],
  // Leading dots would hide it, and `.bashrc` or `.npmrc` would be obeyed.
  ['.hidden', '_hidden'],
  ['..hidden', '_hidden'],
  [' . .hidden', '_hidden'],
  ['.', 'download'],
  ['..', 'download'],
  ['. . .', 'download'],
  ['a. . ', 'a'],
  ['a\u00a0\u3000', 'a'],
  [' a', 'a'],
  ['a:b|c?d*e"f<g>h', 'a_b_c_d_e_f_g_h'],
  ['C:', 'C_'],
  ['a\r\nb', 'a__b'],
  ['a\u2028b\u200bc\u00add\ufeffe', 'a_b_c_d_e'],
  ['\ufeff', '_'],
  // The parts of an emoji and of a Persian word are joined by marks that stay.
  ['👩\u200d🚀 می\u200cخواهم', '👩\u200d🚀 می\u200cخواهم'],
  ['ka\u0308se', 'k\u00e4se'],
  ['a\ud800b', 'a\ufffdb'],
  ['CON', '_CON'],
  ['con.', '_con'],
  ['nul.txt', '_nul.txt'],
  ['CON .txt', '_CON .txt'],
  ['aux  ', '_aux'],
  ['COM1.tar.gz', '_COM1.tar.gz'],
  ['com¹', '_com¹'],
  ['LPT³.x', '_LPT³.x'],
  ['lpt0', '_lpt0'],
  ['CONIN$', '_CONIN$'],
  ['conout$.txt', '_conout$.txt'],
  ['console', 'console'],
  ['COM10', 'COM10'],
  ['CON (1).txt', 'CON (1).txt'],
  ['com⁴', 'com⁴'],
  ['x.part', 'x_part'],
  ['x.PART', 'x_PART'],
  ['x.part. ', 'x_part'],
  ['x.part.journal', 'x_part.journal'],
  ['x.part.journal.new', 'x_part.journal.new'],
  ['x.part.Lock', 'x_part.Lock'],
  ['x.part.loc\u212a', 'x_part.locK'],
  ['x.part.part', 'x.part_part'],
  ['x.aria2', 'x_aria2'],
  ['.part', '_part'],
  ['x.part1.rar', 'x.part1.rar'],
  ['x.part.rar', 'x.part.rar'],
  ['journal.lock', 'journal.lock'],
]

test.each(names)('safeFileName(%j) is %j', (text, name) => {
  expect(safeFileName(text)).toBe(name)
})

test('safeFileName() shortens a long name but keeps its extension and whole characters', () => {
  const name = safeFileName(`${'ä😀'.repeat(100)}.tar`)

  expect(name).toBe(`${'ä😀'.repeat(32)}ä.tar`)
  expect(Buffer.byteLength(name)).toBe(198)
})

test.each([
  ['a double extension', `${'a'.repeat(300)}.tar.gz`, `${'a'.repeat(193)}.tar.gz`],
  ['no extension', 'a'.repeat(300), 'a'.repeat(200)],
  ['an extension too long to be one', `a.${'b'.repeat(300)}`, `a.${'b'.repeat(198)}`],
  ['a blank where it is cut', `${'a'.repeat(199)} b`, 'a'.repeat(199)],
  ['a suffix of ours where it is cut', `${'a'.repeat(195)}.part.xx x`, `${'a'.repeat(195)}_part`],
  ['a device where it is cut', `CON${' '.repeat(300)}x.txt`, `_CON${' '.repeat(192)}.txt`],
])('safeFileName() shortens a name with %s', (_, text, name) => {
  expect(safeFileName(text)).toBe(name)
})

test.each([' ', '.', '. ', '.part', 'a.gz', '\ud800', '\ufb2c'])(
  'safeFileName() takes a long text of %j again and again without delay',
  (piece) => {
    const startedAt = performance.now()
    safeFileName(`${piece.repeat(100_000)}x`)

    // A search that is quadratic takes minutes.
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  },
)

function expectSafe(name: string): void {
  expect(name).not.toMatch(/[/\\:*?"<>|\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/)
  expect(name).not.toBe('')
  expect(name).not.toMatch(/^[.\s]|[.\s]$/)
  expect(Buffer.byteLength(name)).toBeLessThanOrEqual(MAX_NAME_BYTES)
  expect(name.isWellFormed()).toBe(true)
  const device = name.split('.')[0]?.trim().toUpperCase() ?? ''
  expect(device).not.toMatch(/^(CON|PRN|AUX|NUL|(COM|LPT)[0-9\xb9\xb2\xb3]|CONIN\$|CONOUT\$)$/)
  for (const suffix of KEPT_BESIDE) expect(name.toLowerCase().endsWith(suffix)).toBe(false)
}

test('safeFileName() gives a name that is safe and stays as it is, whatever the text', () => {
  fc.assert(
    fc.property(hostileText, (text) => {
      const name = safeFileName(text)

      expectSafe(name)
      expect(safeFileName(name)).toBe(name)
    }),
    { numRuns: 2000 },
  )
})

test('no safe name is that of a file beside another', () => {
  fc.assert(
    fc.property(hostileText, fc.constantFrom(...KEPT_BESIDE), (text, suffix) => {
      const beside = safeFileName(text) + suffix

      expect(safeFileName(beside).toLowerCase()).not.toBe(beside.toLowerCase())
    }),
  )
})

test.each([
  ['name.txt', 1, 'name (1).txt'],
  ['name.txt', 12, 'name (12).txt'],
  ['name', 1, 'name (1)'],
  ['name.tar.gz', 1, 'name (1).tar.gz'],
  ['linux-6.1.tar.xz', 2, 'linux-6.1 (2).tar.xz'],
  ['table.csv.zst', 1, 'table (1).csv.zst'],
  ['v1.2.gz', 1, 'v1.2 (1).gz'],
  ['a.b.txt', 1, 'a.b (1).txt'],
  ['name (1).txt', 1, 'name (1) (1).txt'],
  ['Mr. Smith', 1, 'Mr. Smith (1)'],
  ['.bashrc', 1, '.bashrc (1)'],
  ['.tar.gz', 1, '.tar (1).gz'],
  [`${'a'.repeat(200)}.txt`, 10, `${'a'.repeat(191)} (10).txt`],
])('numberedName(%j, %i) is %j', (name, number, numbered) => {
  expect(numberedName(name, number)).toBe(numbered)
})

test('numberedName() gives another safe name for each number of a safe name', () => {
  fc.assert(
    fc.property(hostileText, fc.uniqueArray(fc.nat(), { minLength: 2 }), (text, numbers) => {
      const name = safeFileName(text)
      const numbered = numbers.map((number) => numberedName(name, number))

      expect(new Set([name, ...numbered]).size).toBe(numbers.length + 1)
      for (const one of numbered) {
        expectSafe(one)
        expect(safeFileName(one)).toBe(one)
      }
    }),
  )
})

test('findSafeName() gives nothing where nothing is left', () => {
  expect(['..', ' ', ''].map(findSafeName)).toEqual([undefined, undefined, undefined])
  expect(findSafeName('a')).toBe('a')
})

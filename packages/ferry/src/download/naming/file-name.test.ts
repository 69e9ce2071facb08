import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HttpUrl } from '../../transport/http-url.ts'
import { fileNameOf, numberedName, safeFileName, suggestFileName } from './file-name.ts'

const MAX_NAME_BYTES = 200
// Every file that Ferry keeps beside a target, and the one of aria2 that it reads.
const KEPT_BESIDE = ['.part', '.part.journal', '.part.journal.new', '.part.lock', '.aria2']

const urls: readonly [string, string][] = [
  ['http://a/b/file.iso', 'file.iso'],
  ['http://a/file.iso?sig=a%2Fb', 'file.iso'],
  ['http://a/file.iso#part', 'file.iso'],
  ['http://a/', 'download'],
  ['http://a', 'download'],
  ['http://a/b/', 'download'],
  ['http://a/?file=x', 'download'],
  ['http://a/na%20me.txt', 'na me.txt'],
  ['http://a/50%%20off.txt', '50% off.txt'],
  ['http://a/k%C3%A4se.txt', 'käse.txt'],
  ['http://a/..%2f..%2fetc%2fpasswd', '__.._etc_passwd'],
  ['http://a/a%5Cb', 'a_b'],
  ['http://a/%2e%2e', 'download'],
  ['http://a/.bashrc', '_bashrc'],
  ['http://a/x.part', 'x_part'],
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

const suggestions: readonly [disposition: string | undefined, name: string][] = [
  [undefined, 'from-url.bin'],
  ['attachment', 'from-url.bin'],
  ['attachment; filename=""', 'from-url.bin'],
  ['attachment; filename="a.txt"', 'a.txt'],
  ["attachment; filename*=UTF-8''%e2%82%ac.txt", '€.txt'],
  ['attachment; filename="/etc/passwd"', 'passwd'],
  ['attachment; filename="../../../.ssh/authorized_keys"', 'authorized_keys'],
  ["attachment; filename*=UTF-8''..%2f..%5c.bashrc", '_bashrc'],
  ['attachment; filename="%2e%2e%2fa.txt"', 'a.txt'],
  ['attachment; filename="C:\\Users\\new\\file.bin"', 'file.bin'],
  ['attachment; filename="6.5\\\\a.rpm"', 'a.rpm'],
  ['attachment; filename="folder/"', 'folder'],
  ['attachment; filename="a/ / "', 'a'],
  // What leaves no name does not hide the URL's.
  ['attachment; filename=".."', 'from-url.bin'],
  ['attachment; filename="a/.."', 'from-url.bin'],
  ['attachment; filename="/"', 'from-url.bin'],
  ['attachment; filename="file.iso.part"', 'file.iso_part'],
  ['attachment; filename="NUL"', '_NUL'],
]

test.each(suggestions)('suggestFileName() for %j is %s', (disposition, name) => {
  const url = HttpUrl.parse('https://a/b/from-url.bin?x=y')

  expect(suggestFileName({ disposition, url })).toBe(name)
})

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

/** Texts that come near to every rule. */
const hostileText = fc
  .array(
    fc.oneof(
      { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
      fc.constantFrom(
        ...['/', '\\', '..', '.', ' ', '\0', '\r\n', '\u202e', '\ud800', '\udc00', '\u0338', 'ä'],
        ...['CON', 'nul', 'COM1', 'com\u00b2', 'CONIN$', ' (1)', '.tar', '.gz', '.txt', '~', '-'],
        ...KEPT_BESIDE,
      ),
      fc.nat({ max: 220 }).map((length) => 'x'.repeat(length)),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(''))

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

test('suggestFileName() gives a safe name, whatever the field and the URL', () => {
  fc.assert(
    fc.property(hostileText, hostileText, fc.boolean(), (text, path, isExtended) => {
      const encoded = encodeURIComponent(text.toWellFormed())
      const disposition = isExtended ? `a; filename*=UTF-8''${encoded}` : `a; filename="${text}"`
      const url = HttpUrl.parse(`http://a/${encodeURIComponent(path.toWellFormed())}`)
      const name = suggestFileName({ disposition, url })

      expectSafe(name)
      expect(safeFileName(name)).toBe(name)
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

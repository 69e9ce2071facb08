import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostileText } from '../../testing/hostile-names.ts'
import { safeFileName } from '../../transfer/naming/safe-file-name.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import { fileNameOf, suggestFileName } from './file-name.ts'

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

test('suggestFileName() gives a safe name, whatever the field and the URL', () => {
  fc.assert(
    fc.property(hostileText, hostileText, fc.boolean(), (text, path, isExtended) => {
      const encoded = encodeURIComponent(text.toWellFormed())
      const disposition = isExtended ? `a; filename*=UTF-8''${encoded}` : `a; filename="${text}"`
      const url = HttpUrl.parse(`http://a/${encodeURIComponent(path.toWellFormed())}`)
      const name = suggestFileName({ disposition, url })

      expect(safeFileName(name)).toBe(name)
    }),
  )
})

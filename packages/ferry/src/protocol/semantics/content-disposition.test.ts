import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fileNameFromDisposition } from './content-disposition.ts'

/** A field as a server sends it that writes its text in UTF-8: one character a byte. */
function asBytes(field: string): string {
  return Buffer.from(field, 'utf-8').toString('latin1')
}

type Row = readonly [field: string, name: string | undefined]

const wellFormed: readonly Row[] = [
  ['inline', undefined],
  ['attachment', undefined],
  ['foobar', undefined],
  ['attachment; filename="foo.html"', 'foo.html'],
  ['inline; filename="Not an attachment!"', 'Not an attachment!'],
  ['attachment; filename=foo.html', 'foo.html'],
  ['ATTACHMENT; FILENAME="foo.html"', 'foo.html'],
  ['attachment;filename="foo.html"', 'foo.html'],
  ['attachment; filename="\\"quoting\\" tested.html"', '"quoting" tested.html'],
  ['attachment; filename="f\\oo.html"', 'foo.html'],
  ['attachment; filename="6.5\\\\a.rpm"', '6.5\\a.rpm'],
  ['attachment; filename="Here\'s a semicolon;.html"', "Here's a semicolon;.html"],
  ['attachment; foo="bar"; filename="foo.html"', 'foo.html'],
  ['attachment; foo="\\"\\\\";filename="foo.html"', 'foo.html'],
  ["attachment; filename='foo.bar'", "'foo.bar'"],
  ['attachment; filename="foo-\xe4.html"', 'foo-ä.html'],
  ['attachment; filename="50%.html"', '50%.html'],
  ['attachment; filename="/foo.html"', '/foo.html'],
  ['attachment; name="foo.html"', undefined],
  ['attachment; xfilename=foo.html', undefined],
  ['attachment; example="filename=example.txt"', undefined],
  ['attachment; creation-date="Wed, 12 Feb 1997 16:29:51 -0500"', undefined],
  ["attachment; filename*=iso-8859-1''foo-%E4.html", 'foo-ä.html'],
  ["attachment; filename*=UTF-8''foo-%c3%a4-%e2%82%ac.html", 'foo-ä-€.html'],
  ["attachment; filename*=UTF-8'en'%c2%a3%20rates", '£ rates'],
  ["attachment; filename*= UTF-8''foo-%c3%a4.html", 'foo-ä.html'],
  ["attachment; filename* =UTF-8''foo-%c3%a4.html", 'foo-ä.html'],
  ["attachment; filename*=UTF-8''A-%2541.html", 'A-%41.html'],
  ["attachment; filename*=UTF-8''%5cfoo.html", '\\foo.html'],
  ['attachment; filename="foo-ae.html"; filename*=UTF-8\'\'foo-%c3%a4.html', 'foo-ä.html'],
  ['attachment; filename*=UTF-8\'\'foo-%c3%a4.html; filename="foo-ae.html"', 'foo-ä.html'],
  // What senders of other charsets name, though RFC 8187 asks for UTF-8.
  ["inline; filename*=Euc-Kr'ko'%BF%B9%BC%FA%2Epng", '예술.png'],
  ["attachment; filename*=GBK''%D6%D0%CE%C4.txt", '中文.txt'],
]

test.each(wellFormed)('of %j the name is %j', (field, name) => {
  expect(fileNameFromDisposition(field)).toBe(name)
})

const broken: readonly (readonly [mistake: string, ...Row])[] = [
  ['an empty field', '', undefined],
  ['blanks', ' \t ', undefined],
  ['a ; behind it (aria2#1118)', 'attachment; filename="a-2.3.0.tar.gz";', 'a-2.3.0.tar.gz'],
  ['a ; behind it (curl#2735)', "attachment; filename*=UTF-8''file.txt;", 'file.txt'],
  ['empty parameters', 'attachment; ;filename=foo;;', 'foo'],
  ['an empty name', 'attachment; filename=""', undefined],
  ['an empty name beside one', 'attachment; filename*=UTF-8\'\'; filename="a"', 'a'],
  ['no value', 'attachment; filename', undefined],
  ['nothing but =', '=', undefined],
  ['no quotation marks', 'attachment; filename=foo bar.html', 'foo bar.html'],
  ['no quotation marks', 'attachment; filename=foo[1](2).html ; x=y', 'foo[1](2).html'],
  ['a comma', 'attachment; filename=abc,de.pdf', 'abc,de.pdf'],
  ['no type', 'filename="dog-spoon-lobster.jpg"', 'dog-spoon-lobster.jpg'],
  ['no type', 'filename = a.pdf', 'a.pdf'],
  ['no type', 'x=y; filename=foo.html', 'foo.html'],
  ['no type', '; filename=foo.html', 'foo.html'],
  ['the type last', 'filename=foo.html; attachment', 'foo.html'],
  ['no ; behind the type', 'attachment filename=bar', 'bar'],
  ['a comma behind the type', 'attachment, filename="a.txt"', 'a.txt'],
  ['another parameter lacks its ;', 'attachment; foo=foo filename=bar', undefined],
  ['two names', 'attachment; filename="foo.html"; filename="bar.html"', 'foo.html'],
  ['two fields', 'attachment; filename="a.txt", attachment; filename="b.txt"', 'a.txt'],
  ['two fields', 'attachment; filename=a,b.txt, INLINE; filename=c.txt', 'a,b.txt'],
  ['marks inside', 'attachment; filename="foo "bar".txt"', 'foo "bar".txt'],
  ['marks inside', 'attachment; filename="a "b" c.txt"; size=3', 'a "b" c.txt'],
  ['marks inside', 'attachment; filename=foo"bar.txt', 'foo"bar.txt'],
  ['something behind it', 'attachment; filename="foo.html".txt', 'foo.html'],
  ['an open quotation', 'attachment; filename="bar', 'bar'],
  ['an open quotation', 'attachment; filename="bar; size=3', 'bar'],
  ['a backslash last', 'attachment; filename="a\\', 'a\\'],
  [
    'a path of Windows',
    'attachment; filename="C:\\Users\\new\\file.bin"',
    'C:\\Users\\new\\file.bin',
  ],
  ['a path of Windows', 'attachment; filename=C:\\Users\\file.bin', 'C:\\Users\\file.bin'],
  ['a path of Windows', 'attachment; filename="\\\\host\\new\\a.bin"', '\\\\host\\new\\a.bin'],
  ['a path, escaped', 'attachment; filename="C:\\\\new\\\\a.bin"', 'C:\\new\\a.bin'],
  ['a path, escaped', 'attachment; filename="\\\\\\\\host\\\\new\\\\a"', '\\\\host\\new\\a'],
  ['a path, escaped', 'attachment; filename="\\\\foo.html"', '\\foo.html'],
  ['UTF-8 as it is', asBytes('attachment; filename="naïve 文件.txt"'), 'naïve 文件.txt'],
  ['UTF-8 without marks', asBytes('attachment; filename=файл.txt'), 'файл.txt'],
  ['characters, not bytes', 'attachment; filename="文件 ä.txt"', '文件 ä.txt'],
  // Cut to bytes, these would read "Aatwy".
  ['characters, not bytes', 'attachment; filename="Łatwy.txt"', 'Łatwy.txt'],
  ['GBK as it is', 'attachment; filename="\xd6\xd0.txt"', '\xd6\xd0.txt'],
  [
    'percent-encoding (aria2#425)',
    'inline; filename="%EC%82%AC%EB%B3%B8_-DSC02499.jpg"',
    '사본_-DSC02499.jpg',
  ],
  ['percent-encoding (aria2#1873)', 'attachment; filename=%e3%83%86%e3%82%b9.txt', 'テス.txt'],
  ['percent-encoding', 'inline; filename="abc%20de+f.pdf"', 'abc de+f.pdf'],
  ['percent-encoding and bytes', 'attachment; filename="\xe4-%41.html"', 'ä-A.html'],
  ['percent-encoding of GBK', 'attachment; filename="%D6%D0.txt"', '%D6%D0.txt'],
  ['an encoded word', 'attachment; filename==?ISO-8859-1?Q?foo-=E4.html?=', 'foo-ä.html'],
  ['an encoded word', 'attachment; filename="=?UTF-8?B?w6Qg4oKsLnR4dA==?="', 'ä €.txt'],
  ['an encoded word', 'attachment; filename="=?utf-8*en?q?=F0=9F=98=81_3=2Epng?="', '😁 3.png'],
  [
    'two encoded words',
    'inline; filename="=?euc-kr?b?v7m8+iAz?=  =?utf-8?q?=c3=a4?= .png"',
    '예술 3ä .png',
  ],
  ['a percent sign in a word', 'attachment; filename="=?utf-8?q?a=2541?="', 'a%41'],
  ['a broken word', 'attachment; filename="=?UTF-8?B?***?="', '=?UTF-8?B?***?='],
  ['a word that is no UTF-8', 'attachment; filename="=?UTF-8?Q?=E4?="', '=?UTF-8?Q?=E4?='],
  ['a word of no charset', 'attachment; filename="=?none?Q?a?="', '=?none?Q?a?='],
  ['half a word', 'attachment; filename="=?UTF-8?Q?a"', '=?UTF-8?Q?a'],
  ['filename* in marks', 'attachment; filename*="UTF-8\'\'foo-%c3%a4.html"', 'foo-ä.html'],
  ['a space in filename*', "attachment; filename*=utf-8''%c3%a4 3.png", 'ä 3.png'],
  ['bytes in filename*', asBytes("attachment; filename*=utf-8''f\u03ba.html"), 'fκ.html'],
  ['characters in filename*', "attachment; filename*=utf-8''文%c3%a4", '文ä'],
  ['filename* without charset', "attachment; filename*=''foo-%c3%a4.html", 'foo-ä.html'],
  ['filename* without language', "attachment; filename*=UTF-8'foo-%c3%a4.html", 'foo-ä.html'],
  ['filename* with nothing', 'attachment; filename*=foo-%c3%a4.html', 'foo-ä.html'],
  ['filename* with nothing but bytes', asBytes('attachment; filename*=файл.txt'), 'файл.txt'],
  ['filename* of no charset', "attachment; filename*=none''a'b", "a'b"],
  ['filename* in a wrong charset', "attachment; filename*=UTF-8''foo-%E4.html", 'foo-%E4.html'],
  [
    'a wrong charset beside a name',
    "attachment; filename*=UTF-8''foo-%E4.html; filename=foo",
    'foo',
  ],
  ['a broken escape', "attachment; filename*=UTF-8''f%oo.html", 'f%oo.html'],
  ['a broken escape beside a name', "attachment; filename*=UTF-8''f%oo; filename=foo", 'foo'],
  ['no charset beside a name', 'attachment; filename*=bar; filename=foo', 'foo'],
]

test.each(broken)('%s: of %j the name is %j', (_, field, name) => {
  expect(fileNameFromDisposition(field)).toBe(name)
})

const QUOTED = /["\\]/g

const writers: readonly (readonly [string, (name: string) => string])[] = [
  ['filename*', (name) => `filename*=UTF-8''${encodeExtended(name)}`],
  [
    'filename* beside filename',
    (name) => `filename="_"; filename*=UTF-8''${encodeExtended(name)}; size=1`,
  ],
  ['percent-encoding', (name) => `filename="${encodeURIComponent(name)}"`],
  ['an encoded word', (name) => `filename="=?utf-8?b?${Buffer.from(name).toString('base64')}?="`],
]

/** RFC 8187 §3.2.1: these of encodeURIComponent's characters are no attr-char. */
function encodeExtended(name: string): string {
  return encodeURIComponent(name).replace(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`)
}

const anyName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  // A byte order mark is no part of a text, and blanks around a name none of it.
  .filter((name) => name.trim() === name && !name.startsWith('\ufeff'))

test.each(writers)('any name can be read back from %s', (_, write) => {
  fc.assert(
    fc.property(anyName, (name) => {
      expect(fileNameFromDisposition(`attachment; ${write(name)}`)).toBe(name)
    }),
  )
})

test('any name without escapes in it can be read back from quoted UTF-8', () => {
  const names = anyName.filter(
    (name) => !/[%\r\n\0]|=\?/.test(name) && !/^([a-z]:\\|\\\\)/i.test(name),
  )
  fc.assert(
    fc.property(names, (name) => {
      const field = asBytes(`attachment; filename="${name.replace(QUOTED, '\\$&')}"; size=1`)

      expect(fileNameFromDisposition(field)).toBe(name)
    }),
  )
})

test('whatever the field, the name is undefined or not empty', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...['attachment', 'inline', 'filename', 'filename*', '=', '"', '\\', ';', ',', ' ', "''"],
      ...['UTF-8', '%c3%a4', '%', '=?utf-8?q?', '?=', 'C:\\', '\xc3\xa4'],
    ),
    fc.string({ maxLength: 5 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const name = fileNameFromDisposition(pieces.join(''))

      expect(name === undefined || name.length > 0).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test.each([
  'filename="',
  '\\"',
  'a="\\";',
  '"a',
  '=?a?q?',
  '=?',
  ', attachment',
  ' ',
  "filename*='",
  '%a',
  'filename=;',
  '\\',
])('a long field of %j again and again is read without delay', (piece) => {
  const startedAt = performance.now()
  fileNameFromDisposition(`attachment; filename="${piece.repeat(20_000)}`)
  fileNameFromDisposition(piece.repeat(20_000))

  // A search that is quadratic takes minutes.
  expect(performance.now() - startedAt).toBeLessThan(10_000)
})

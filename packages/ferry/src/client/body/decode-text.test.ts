import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RemoteProtocolError } from '../../errors.ts'
import { decodeText, parseCharset } from './decode-text.ts'

const UTF8_MARK = [0xef, 0xbb, 0xbf]

test.each<[string | undefined, string | undefined]>([
  [undefined, undefined],
  ['', undefined],
  ['text/html', undefined],
  ['text/html; charset=utf-8', 'utf-8'],
  ['text/html;charset=UTF-8', 'UTF-8'],
  ['text/html; Charset="utf-8"', 'utf-8'],
  ['text/html; charset = utf-8', 'utf-8'],
  ['text/html; charset=" utf-8 "', 'utf-8'],
  ['text/html; boundary=a; charset=koi8-r; x=y', 'koi8-r'],
  ['text/html; charset=koi8-r;charset=utf-8', 'koi8-r'],
  ['text/html; charset=', undefined],
  ['text/html; charset=""', undefined],
  ['text/html; xcharset=utf-8', undefined],
  ['text/html; charset="utf-8', undefined],
  ["text/html; charset='utf-8'", "'utf-8'"],
])('parseCharset() of %j is %j', (contentType, charset) => {
  expect(parseCharset(contentType)).toBe(charset)
})

test.each<[string, readonly number[], string | undefined, string]>([
  ['UTF-8 by default', [0x67, 0xc3, 0xbc], undefined, 'gü'],
  ['UTF-8 by name', [0xc3, 0xbc], 'text/plain; charset=UTF8', 'ü'],
  ['what is no UTF-8', [0x67, 0xfc, 0x67], 'text/plain', 'g\uFFFDg'],
  ['latin1, which is windows-1252', [0x80, 0xfc], 'text/plain; charset=iso-8859-1', '€ü'],
  ['US-ASCII, the same', [0x93, 0x41], 'text/plain; charset=us-ascii', '“A'],
  ['koi8-r', [0xc4, 0xc1], 'text/plain; charset="KOI8-R"', 'да'],
  ['shift_jis', [0x83, 0x5c], 'text/plain; charset=shift_jis', 'ソ'],
  ['utf-16, which is little-endian', [0x41, 0x00], 'text/plain; charset=utf-16', 'A'],
  ['a mark of UTF-8', [...UTF8_MARK, 0x41], undefined, 'A'],
  ['only one mark', [...UTF8_MARK, ...UTF8_MARK, 0x41], undefined, '\uFEFFA'],
  ['a mark against the charset', [...UTF8_MARK, 0xc3, 0xbc], 'text/plain; charset=koi8-r', 'ü'],
  ['a mark of UTF-16LE', [0xff, 0xfe, 0x41, 0x00], 'text/plain; charset=utf-8', 'A'],
  ['a mark of UTF-16BE', [0xfe, 0xff, 0x00, 0x41], undefined, 'A'],
  ['a charset that is unknown', [0xc3, 0xbc], 'text/plain; charset=klingon', 'ü'],
  ['a charset of which browsers read nothing', [0xc3, 0xbc], 'a/b; charset=iso-2022-kr', 'ü'],
  ['nothing', [], 'text/plain; charset=utf-16', ''],
])('decodeText(): %s', (_name, bytes, contentType, text) => {
  expect(decodeText(Uint8Array.from(bytes), contentType)).toBe(text)
  expect(decodeText(Buffer.from(bytes), contentType)).toBe(text)
})

test('decodeText() does for UTF-8 what TextDecoder does', () => {
  const bytes = fc
    .uint8Array({ maxLength: 30 })
    .filter(
      ([first, second]) => `${first} ${second}` !== '254 255' && `${first} ${second}` !== '255 254',
    )
  fc.assert(
    fc.property(bytes, (list) => {
      expect(decodeText(list)).toBe(new TextDecoder().decode(list))
    }),
    { numRuns: 1000 },
  )
})

test.each<[readonly number[], string | undefined]>([
  [[0x67, 0xfc, 0x67], undefined],
  [[0xc3], 'text/plain; charset=utf-8'],
  [[0x41], 'text/plain; charset=utf-16'],
  [[0x41], 'text/plain; charset=klingon'],
])('decodeText() refuses %j of %s with fatal', (bytes, contentType) => {
  const decode = (): string =>
    decodeText(Uint8Array.from(bytes), contentType, { fatal: true, what: 'GET http://h/x' })

  expect(decode).toThrow(RemoteProtocolError)
  expect(decode).toThrow('Cannot decode the text of GET http://h/x: ')
})

test('decodeText() with fatal takes what is right', () => {
  expect(decodeText(Buffer.from('ü'), 'text/plain', { fatal: true })).toBe('ü')
})

import { describe, expect, test } from 'vitest'
import { HpackDecoder } from './hpack-decoder.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import type { HpackField } from './hpack-field.ts'

type Line = readonly [name: string, value: string]

function encode(encoder: HpackEncoder, ...lines: readonly Line[]): string {
  encoder.begin()
  for (const [name, value] of lines) encoder.add(name, value)
  return encoder.end().toString('hex')
}

/** The first byte of a field's literal tells what may become of it (RFC 7541 §6.2). */
function kindOf(name: string, value: string): string {
  const encoder = new HpackEncoder()
  const first = Number.parseInt(encode(encoder, [name, value]).slice(0, 2), 16)
  if (first >= 0x80) return 'index'
  if (first >= 0x40) return 'indexed'
  return first >= 0x10 ? 'never-indexed' : 'not-indexed'
}

describe('RFC 7541 Appendix C', () => {
  test('C.2.4: an indexed field', () => {
    expect(encode(new HpackEncoder(), [':method', 'GET'])).toBe('82')
  })

  test('C.4: requests with Huffman code', () => {
    const encoder = new HpackEncoder()
    const authority: Line = [':authority', 'www.example.com']

    const first = encode(
      encoder,
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      authority,
    )
    expect(first).toBe('828684418cf1e3c2e5f23a6ba0ab90f4ff')
    expect([encoder.tableLength, encoder.tableBytes]).toEqual([1, 57])

    const second = encode(
      encoder,
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      authority,
      ['cache-control', 'no-cache'],
    )
    expect(second).toBe('828684be5886a8eb10649cbf')
    expect([encoder.tableLength, encoder.tableBytes]).toEqual([2, 110])

    const third = encode(
      encoder,
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/index.html'],
      authority,
      ['custom-key', 'custom-value'],
    )
    expect(third).toBe('828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf')
    expect([encoder.tableLength, encoder.tableBytes]).toEqual([3, 164])
  })

  // C.6 but for location and set-cookie, which we keep out of the table.
  test('C.6: responses with Huffman code, with evictions', () => {
    const encoder = new HpackEncoder()
    encoder.setMaxTableBytes(128)

    const first = encode(
      encoder,
      [':status', '302'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    )
    expect(first).toBe(
      '3f61' + '48826402' + '5885aec3771a4b' + '6196d07abe941054d444a8200595040b8166e082a62d1bff',
    )
    expect([encoder.tableLength, encoder.tableBytes]).toEqual([2, 117])
    // The status was evicted by the date.
    expect(encode(encoder, [':status', '302'])).toBe('48826402')
    expect([encoder.tableLength, encoder.tableBytes]).toEqual([2, 107])
  })
})

describe('HpackEncoder', () => {
  test.each([
    ['not-indexed', ':path', '/a'],
    ['index', ':path', '/index.html'],
    ['never-indexed', 'authorization', `Bearer ${'x'.repeat(30)}`],
    ['never-indexed', 'proxy-authorization', 'Basic dTpw'],
    ['never-indexed', 'cookie', 'x'.repeat(19)],
    ['indexed', 'cookie', 'x'.repeat(20)],
    ['not-indexed', 'content-length', '5'],
    ['not-indexed', 'range', 'bytes=0-1'],
    ['not-indexed', 'if-none-match', '"a"'],
    ['not-indexed', 'if-modified-since', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['not-indexed', 'etag', '"a"'],
    ['not-indexed', 'location', '/'],
    ['not-indexed', 'set-cookie', 'a=b'],
    ['not-indexed', 'age', '5'],
    ['indexed', ':authority', 'example.org'],
    ['indexed', 'if-range', '"a"'],
    ['indexed', 'x-custom', ''],
    // 3/4 of 4096 are 3072.
    ['indexed', 'x', 'x'.repeat(3072 - 32 - 1)],
    ['not-indexed', 'x', 'x'.repeat(3072 - 32)],
  ])('writes as %s: %s %s', (kind, name, value) => {
    expect(kindOf(name, value)).toBe(kind)
  })

  test('writes a string in Huffman code only when that is shorter', () => {
    const encoder = new HpackEncoder()

    // 8 bits for each X; 10 bits for !.
    expect(encode(encoder, ['age', 'XX'])).toBe('0f06 02 5858'.replaceAll(' ', ''))
    expect(encode(encoder, ['age', '!'])).toBe('0f06 01 21'.replaceAll(' ', ''))
    expect(encode(encoder, ['age', '00'])).toBe('0f06 02 3030'.replaceAll(' ', ''))
    expect(encode(encoder, ['age', '000'])).toBe('0f06 82 0001'.replaceAll(' ', ''))
    expect(encode(encoder, ['age', ''])).toBe('95')
  })

  test('takes the name of a field from the tables', () => {
    const encoder = new HpackEncoder()

    encode(encoder, ['xxxx', '1'], ['xxxx', '2'], ['yyyy', '3'])

    // The newest with this name is the second of three, and 63 then; the new one pushes it to 64.
    expect(encode(encoder, ['xxxx', '4'])).toBe('7f00 01 34'.replaceAll(' ', ''))
    expect(encode(encoder, ['xxxx', '2'], ['xxxx', '4'], ['xxxx', '1'])).toBe('c0bec1')
  })

  test('says once that the table changes, the smallest size first', () => {
    const encoder = new HpackEncoder()
    encode(encoder, ['a', 'x'], ['b', 'x'])

    encoder.setMaxTableBytes(4096)
    encoder.setMaxTableBytes(65_536)
    expect(encode(encoder, ['a', 'x'])).toBe('bf')

    encoder.setMaxTableBytes(40)
    encoder.setMaxTableBytes(50)
    encoder.setMaxTableBytes(65_536)
    expect(encode(encoder, ['b', 'x'], ['a', 'x'])).toBe('3f093fe11f' + 'be' + '4001610178')
    expect(encode(encoder, ['a', 'x'])).toBe('be')

    encoder.setMaxTableBytes(50)
    expect(encode(encoder, ['a', 'x'])).toBe('3f13' + 'be')

    encoder.setMaxTableBytes(100)
    expect(encode(encoder, ['a', 'x'])).toBe('3f45' + 'be')
  })

  test('keeps no table when the peer wants none', () => {
    const encoder = new HpackEncoder()
    encode(encoder, ['a', 'x'])

    encoder.setMaxTableBytes(0)

    expect(encode(encoder, ['a', 'x'], [':method', 'GET'])).toBe('20' + '0001610178' + '82')
    expect([encoder.tableLength, encoder.tableBytes]).toEqual([0, 0])
    expect(encode(encoder, ['a', 'x'])).toBe('0001610178')
  })

  test('takes lists of any length, and is small again afterwards', () => {
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder()
    const lines = Array.from({ length: 100 }, (_, index): Line => [`x-${index}`, '!'.repeat(1000)])
    const fields: HpackField[] = []

    decoder.decode(Buffer.from(encode(encoder, ...lines), 'hex'), fields, Infinity)
    expect(fields.map(({ name, value }) => [name, value])).toEqual(lines)

    encoder.begin()
    expect(encoder.end().buffer.byteLength).toBe(1024)
  })
})

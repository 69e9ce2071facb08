import { describe, expect, test } from 'vitest'
import { HpackDecoder } from './hpack-decoder.ts'
import { HpackError } from './hpack-error.ts'
import type { HpackField } from './hpack-field.ts'
import { huffmanLength, writeHuffman } from './hpack-huffman.ts'

type Line = readonly [name: string, value: string]

const NO_LIMIT = Number.POSITIVE_INFINITY
// The size of the table in RFC 7541 C.5 and C.6, and how a peer says that it keeps to it.
const SMALL_TABLE_BYTES = 256
const SMALL_TABLE_UPDATE = '3fe101'

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

function decode(decoder: HpackDecoder, hex: string): Line[] {
  const fields: HpackField[] = []
  decoder.decode(bytes(hex), fields, NO_LIMIT)
  return fields.map(({ name, value }) => [name, value])
}

/** The dynamic table, newest first, by asking for every index of it. */
function tableOf(decoder: HpackDecoder): Line[] {
  const indices = Array.from({ length: decoder.tableLength }, (_, age) => 0x80 + 62 + age)
  return decode(decoder, Buffer.from(indices).toString('hex'))
}

const REQUESTS: readonly (readonly Line[])[] = [
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
]
const REQUEST_TABLES: readonly (readonly Line[])[] = [
  [[':authority', 'www.example.com']],
  [
    ['cache-control', 'no-cache'],
    [':authority', 'www.example.com'],
  ],
  [
    ['custom-key', 'custom-value'],
    ['cache-control', 'no-cache'],
    [':authority', 'www.example.com'],
  ],
]
const REQUEST_TABLE_BYTES = [57, 110, 164]
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const RESPONSES: readonly (readonly Line[])[] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', COOKIE],
  ],
]
const RESPONSE_TABLES: readonly (readonly Line[])[] = [
  [
    ['location', 'https://www.example.com'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['cache-control', 'private'],
    [':status', '302'],
  ],
  [
    [':status', '307'],
    ['location', 'https://www.example.com'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['cache-control', 'private'],
  ],
  [
    ['set-cookie', COOKIE],
    ['content-encoding', 'gzip'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
  ],
]
const RESPONSE_TABLE_BYTES = [222, 222, 215]

describe('RFC 7541 Appendix C', () => {
  // Integers, as indices and as lengths: 10 in 5 bits, 1337 in 5 bits, 42 in 8 bits. The prefix of
  // 5 bits is that of a size update; 8 bits occur nowhere, so 42 stands in 7.
  test.each([
    ['C.1.1', '2a', 10],
    ['C.1.2', '3f9a0a', 1337],
  ])('%s: a size update is an integer', (_, hex, limit) => {
    const decoder = new HpackDecoder({ maxTableBytes: limit })

    expect(decode(decoder, hex)).toEqual([])
    expect(() => decode(new HpackDecoder({ maxTableBytes: limit - 1 }), hex)).toThrow(
      `a size update to ${limit} bytes, ${limit - 1} are allowed`,
    )
  })

  test('C.1.3: an index is an integer', () => {
    expect(decode(new HpackDecoder(), 'aa')).toEqual([['if-range', '']])
  })

  test.each<[string, string, Line, number]>([
    [
      'C.2.1',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      ['custom-key', 'custom-header'],
      55,
    ],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path'], 0],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret'], 0],
    ['C.2.4', '82', [':method', 'GET'], 0],
  ])('%s: one field', (_, hex, line, tableBytes) => {
    const decoder = new HpackDecoder()

    expect(decode(decoder, hex)).toEqual([line])
    expect(decoder.tableBytes).toBe(tableBytes)
    expect(tableOf(decoder)).toEqual(tableBytes === 0 ? [] : [line])
  })

  test.each<[string, readonly string[]]>([
    [
      'C.3, requests without Huffman code',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
    ],
    [
      'C.4, requests with Huffman code',
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
    ],
  ])('%s', (_, blocks) => {
    const decoder = new HpackDecoder()

    for (const [index, block] of blocks.entries()) {
      expect(decode(decoder, block)).toEqual(REQUESTS[index])
      expect(tableOf(decoder)).toEqual(REQUEST_TABLES[index])
      expect(decoder.tableBytes).toBe(REQUEST_TABLE_BYTES[index])
    }
  })

  test.each<[string, readonly string[]]>([
    [
      'C.5, responses without Huffman code',
      [
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a' +
          '3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04' +
          '677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49' +
          '553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
    ],
    [
      'C.6, responses with Huffman code',
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e' +
          '919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7' +
          '821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed' +
          '4ee5 b106 3d50 07',
      ],
    ],
  ])('%s, with evictions', (_, blocks) => {
    const decoder = new HpackDecoder({ maxTableBytes: SMALL_TABLE_BYTES })
    decode(decoder, SMALL_TABLE_UPDATE)

    for (const [index, block] of blocks.entries()) {
      expect(decode(decoder, block)).toEqual(RESPONSES[index])
      expect(tableOf(decoder)).toEqual(RESPONSE_TABLES[index])
      expect(decoder.tableBytes).toBe(RESPONSE_TABLE_BYTES[index])
    }
  })
})

describe('HpackDecoder', () => {
  test('takes an empty block and empty strings', () => {
    const decoder = new HpackDecoder()

    expect(decode(decoder, '')).toEqual([])
    expect(decode(decoder, '0000 00')).toEqual([['', '']])
    expect(decode(decoder, '0080 80')).toEqual([['', '']])
  })

  test('gives the entries of its tables themselves, not copies of them', () => {
    const decoder = new HpackDecoder()
    const fields: HpackField[] = []

    decoder.decode(bytes('82 400161 0178 be'), fields, NO_LIMIT)
    new HpackDecoder().decode(bytes('82'), fields, NO_LIMIT)

    expect(fields[2]).toBe(fields[1])
    expect(fields[3]).toBe(fields[0])
    expect(fields[1]).toEqual({ name: 'a', value: 'x', sizeBytes: 34, checked: undefined })
  })

  test('takes a name from an entry that the field itself evicts', () => {
    // RFC 7541 §4.4: "A new entry can reference the name of an entry … that will be evicted".
    const decoder = new HpackDecoder({ maxTableBytes: 40 })

    expect(decode(decoder, '3f09 400161 0178 7e 0179')).toEqual([
      ['a', 'x'],
      ['a', 'y'],
    ])
    expect(tableOf(decoder)).toEqual([['a', 'y']])
  })

  test('empties the table for an entry that is larger than it', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 40 })

    expect(decode(decoder, '3f09 400161 0178')).toEqual([['a', 'x']])
    expect(decode(decoder, '400161 08 7878787878787878')).toEqual([['a', 'xxxxxxxx']])
    expect(decoder.tableLength).toBe(0)
    expect(decoder.tableBytes).toBe(0)
  })

  test('lets the peer empty the table and use it again', () => {
    const decoder = new HpackDecoder()
    decode(decoder, '400161 0178 400161 0178 400161 0178')

    expect(decoder.tableBytes).toBe(3 * 34)
    expect(decode(decoder, '20 400161 0178')).toEqual([['a', 'x']])
    expect(decoder.tableBytes).toBe(0)
    expect(decode(decoder, '20 3fe11f 400161 0178')).toEqual([['a', 'x']])
    expect(tableOf(decoder)).toEqual([['a', 'x']])
  })

  test('keeps a large table in order', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 65_536 })
    decode(decoder, '3fe1ff03')
    const values = Array.from({ length: 700 }, (_, index) => String(1000 + index))

    for (const value of values) {
      decode(decoder, `4001 61 04 ${Buffer.from(value).toString('hex')}`)
    }

    expect(decoder.tableLength).toBe(700)
    // 62 + 699 = 127 + 634
    expect(decode(decoder, 'be fffa04')).toEqual([
      ['a', '1699'],
      ['a', '1000'],
    ])
    expect(() => decode(decoder, 'fffb04')).toThrow('no field has index 762')
  })

  test('counts what is beyond the limit of the list and keeps its table right', () => {
    const decoder = new HpackDecoder()
    const fields: HpackField[] = []

    const listBytes = decoder.decode(
      bytes('82 400161 0178 04 0161 100162 0178 000163 811f 7e 811f 82'),
      fields,
      42 + 34,
    )

    // :method: GET, a: x, then :path: a, b: x, c: a, a: a, :method: GET
    expect(listBytes).toBe(42 + 34 + 38 + 34 + 34 + 34 + 42)
    expect(fields.map(({ name }) => name)).toEqual([':method', 'a'])
    expect(tableOf(decoder)).toEqual([
      ['a', 'a'],
      ['a', 'x'],
    ])
  })

  test('decodes a Huffman string of any length', () => {
    // As in C.1: 87,500 = 127 + 0x4d + (0x2a << 7) + (0x05 << 14).
    const text = 'x'.repeat(100_000)
    const block = Buffer.concat([bytes('0000 ff cdaa05'), Buffer.alloc(huffmanLength(text))])
    writeHuffman(text, block, 6)
    const fields: HpackField[] = []

    expect(new HpackDecoder().decode(block, fields, NO_LIMIT)).toBe(100_032)
    expect(new HpackDecoder().decode(block, [], -1)).toBe(100_032)
    expect(fields[0]?.value).toBe(text)
  })

  test.each([
    ['indices of a large entry', (large: string) => `${large}${'be'.repeat(65_536)}`],
    ['literals with a large name', (large: string) => `${large}${'0f2f00'.repeat(21_845)}`],
    ['large names that enter the table', (large: string) => `${large}${'7e00'.repeat(32_768)}`],
    ['strings of nothing', () => '000000'.repeat(21_845)],
    ['Huffman strings', () => `0000fffefd03${'00'.repeat(65_405)}`],
  ])('takes a bomb of %s in its stride', (_, build) => {
    const block = bytes(build(`40 7fd91e ${'78'.repeat(4056)} 00`))
    const decoder = new HpackDecoder()
    const fields: HpackField[] = []

    const startedAt = performance.now()
    const listBytes = decoder.decode(block, fields, 65_536)

    // Milliseconds; the rest is for a machine that is busy.
    expect(performance.now() - startedAt).toBeLessThan(2000)
    expect(listBytes).toBeGreaterThan(65_536)
    expect(fields.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBeLessThanOrEqual(65_536)
    expect(decoder.tableBytes).toBeLessThanOrEqual(4096)
  })
})

describe('HpackDecoder refuses', () => {
  test.each([
    ['index 0', '80', 'no field has index 0'],
    ['an index beyond the static table', 'be', 'no field has index 62'],
    ['an index beyond the dynamic table', '400161 0178 be bf', 'no field has index 63'],
    ['a long index', 'ff8001', 'no field has index 255'],
    ['a name beyond the tables, indexed', '7e 0178', 'no field has index 62'],
    ['a name beyond the tables, not indexed', '0f2f 0178', 'no field has index 62'],
    ['a name beyond the tables, never indexed', '1f2f 0178', 'no field has index 62'],
    ['an integer that has no end', 'ff ffffffff 00', 'an integer of more than 4 bytes'],
    ['an integer with zeros ahead', 'ff 80808080 00', 'an integer of more than 4 bytes'],
    ['a length that has no end', '00 7fffffffff 00', 'an integer of more than 4 bytes'],
    ['the end in an index', 'ff', 'it ends in the middle of a field'],
    ['the end in a long index', 'ff80', 'it ends in the middle of a field'],
    ['the end in a size update', '3f', 'it ends in the middle of a field'],
    ['the end before a name', '40', 'it ends in the middle of a field'],
    ['the end in a name', '4002 61', 'it ends in the middle of a field'],
    ['the end before a value', '4001 61', 'it ends in the middle of a field'],
    ['the end in a value', '4001 61 02 78', 'it ends in the middle of a field'],
    ['the end in a length', '4001 61 7f', 'it ends in the middle of a field'],
    ['a length of 268 million', '00 7fffffff7f', 'it ends in the middle of a field'],
    ['a size update beyond what is allowed', '3fe21f', 'a size update to 4097 bytes, 4096 are'],
    ['a size update behind a field', '82 20', 'a size update behind a field'],
    ['a size update behind a literal', '000000 3fe11f', 'a size update behind a field'],
    ['three size updates', '20 20 20', 'more than two size updates'],
    ['EOS in a string', '41 84 ffffffff', 'EOS is in it'],
    ['EOS behind a letter', '41 85 1fffffffff', 'EOS is in it'],
    ['EOS and then other bits', '41 85 fffffffc00', 'EOS is in it'],
    ['a padding of 8 bits', '41 81 ff', 'its padding is not up to 7 bits of EOS'],
    ['a padding of 11 bits', '41 82 1fff', 'its padding is not up to 7 bits of EOS'],
    ['a padding of zeros', '41 81 18', 'its padding is not up to 7 bits of EOS'],
    ['a padding with a zero in it', '41 81 1d', 'its padding is not up to 7 bits of EOS'],
    ['a bad Huffman name', '00 81 ff 00', 'its padding is not up to 7 bits of EOS'],
  ])('%s', (_, hex, message) => {
    const run = (maxListBytes: number): number =>
      new HpackDecoder().decode(bytes(hex), [], maxListBytes)

    expect(() => run(NO_LIMIT)).toThrow(HpackError)
    expect(() => run(NO_LIMIT)).toThrow(message)
    // Nor does it pass in what nobody wants.
    expect(() => run(-1)).toThrow(message)
  })

  test.each(['', '82', '3fe11f'])('a first block that keeps a larger table: "%s"', (hex) => {
    const decoder = new HpackDecoder({ maxTableBytes: 100 })

    expect(() => decode(decoder, hex)).toThrow(HpackError)
  })
})

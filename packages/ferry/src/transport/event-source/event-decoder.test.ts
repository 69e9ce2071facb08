import { expect, test } from 'vitest'
import { EventDecoder } from './event-decoder.ts'

const MARK = '\uFEFF'
/** Every line end, characters of two to four bytes, and what stands around events. */
const SAMPLE = [
  `${MARK}data: first\n\n`,
  'event: grüße\r\nid: 1\r\ndata: zeile eins\r\ndata: zeile zwei €\r\n\r\n',
  ': a comment\rdata:no space\rid\r\r',
  'data: 😀\n\rid: 7\ndata\n\n',
  'retry: 2500\nid: 8\n\n',
  'data: never ends',
].join('')
const EXPECTED = [
  'event undefined first',
  'id 1',
  'event grüße zeile eins\nzeile zwei €',
  'comment a comment',
  'id ',
  'event undefined no space',
  'event undefined 😀',
  'id 7',
  'event undefined ',
  'retry 2500',
  'id 8',
]

/** What a decoder tells of the pieces, one line a call. */
function decode(
  pieces: readonly Uint8Array[],
  {
    maxEventBytes = 1_000_000,
    comments = true,
  }: { maxEventBytes?: number; comments?: boolean } = {},
): string[] {
  const told: string[] = []
  const decoder = new EventDecoder({
    maxEventBytes,
    onEvent: (type, data) => told.push(`event ${type} ${data}`),
    onId: (id) => told.push(`id ${id}`),
    onRetry: (retryMs) => told.push(`retry ${retryMs}`),
    onComment: comments ? (text) => told.push(`comment ${text}`) : undefined,
    onTooLarge: () => told.push('too large'),
  })
  for (const piece of pieces) {
    if (told.at(-1) === 'too large') break
    // In memory that is filled with something else afterwards, as that of a socket.
    const memory = Buffer.from(piece)
    decoder.push(memory)
    memory.fill(0x21)
  }
  return told
}

function decodeText(text: string): string[] {
  return decode([Buffer.from(text)])
}

test('EventDecoder tells the events of a piece', () => {
  expect(decodeText(SAMPLE)).toEqual(EXPECTED)
})

test('EventDecoder tells the same whatever the pieces: at every split', () => {
  const bytes = Buffer.from(SAMPLE)

  for (let at = 0; at <= bytes.length; at++) {
    expect(decode([bytes.subarray(0, at), bytes.subarray(at)]), `split at ${at}`).toEqual(EXPECTED)
  }
})

test('EventDecoder tells the same whatever the pieces: at every two splits', () => {
  const bytes = Buffer.from(`${MARK}id: é\r\ndata: €\r\n\r\ndata: 😀\r\r`)
  const whole = decode([bytes])

  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const pieces = [
        bytes.subarray(0, first),
        bytes.subarray(first, second),
        bytes.subarray(second),
      ]
      expect(decode(pieces), `splits at ${first} and ${second}`).toEqual(whole)
    }
  }
  expect(whole).toEqual(['id é', 'event undefined €', 'event undefined 😀'])
})

test('EventDecoder tells the same byte by byte', () => {
  const bytes = [...Buffer.from(SAMPLE)].map((byte) => Buffer.of(byte))

  expect(decode(bytes)).toEqual(EXPECTED)
})

test.each([
  // HTML §9.2.5: stream = [ bom ] *event
  ['one byte order mark', `${MARK}data: a\n\n`, ['event undefined a']],
  ['a second one is part of the first name', `${MARK}${MARK}data: a\n\n`, []],
  ['the characters of its bytes are none', 'ï»¿data: a\n\n', []],
  ['nor one further on', `\n${MARK}data: a\n\n`, []],
  // HTML §9.2.6
  ['a field without a colon is empty', 'data\n\n', ['event undefined ']],
  ['two of them', 'data\ndata\n\n', ['event undefined \n']],
  ['only one space is dropped', 'data:  a\n\n', ['event undefined  a']],
  ['no data, no event', 'event: a\nid: 1\n\n', ['id 1']],
  ['the type does not last', 'event: a\n\ndata: b\n\n', ['event undefined b']],
  ['an empty type is none', 'event: a\nevent:\ndata: b\n\n', ['event undefined b']],
  ['names are told apart by case', 'Data: a\n\n', []],
  ['an id with NUL is ignored', 'id: 1\nid: a\0b\ndata: c\n\n', ['id 1', 'event undefined c']],
  ['an empty id resets', 'id\ndata: a\n\n', ['id ', 'event undefined a']],
  ['retry takes digits', 'retry: 0012\n\n', ['retry 12']],
  ['and nothing else', 'retry: 1e3\nretry: -1\nretry: 1.5\nretry:\nretry: ٣\n\n', []],
  ['unknown fields are ignored', 'colour: red\ndata: a\n\n', ['event undefined a']],
  ['a cut event is not told', 'data: a\n', []],
  ['nor one with a whole line end', 'id: 1\ndata: a\r\n', []],
])('EventDecoder: %s', (_name, text, told) => {
  expect(decodeText(text)).toEqual(told)
})

test('EventDecoder makes U+FFFD of what is no UTF-8', () => {
  const bytes = Buffer.from('data: a\xff\xc3(\xe2\x82\n\n', 'latin1')

  expect(decode([bytes])).toEqual(['event undefined a\uFFFD\uFFFD(\uFFFD'])
})

test('EventDecoder takes an event of maxEventBytes and none with larger data', () => {
  const options = { maxEventBytes: 100 }
  const fits = Buffer.from(`data: ${'x'.repeat(94)}\n\n`)
  const tooLarge = Buffer.from(`data: ${'x'.repeat(101)}\n\n`)

  for (let at = 0; at <= fits.length; at++) {
    const told = decode([fits.subarray(0, at), fits.subarray(at)], options)
    expect(told).toEqual([`event undefined ${'x'.repeat(94)}`])
  }
  for (let at = 0; at <= tooLarge.length; at++) {
    const told = decode([tooLarge.subarray(0, at), tooLarge.subarray(at)], options)
    expect(told, `split at ${at}`).toEqual(['too large'])
  }
})

test.each([
  ['a line without an end', 'data: xxxxxxxx', 'xxxxxxxx'],
  ['lines without an end', 'data: x\n', 'data: x\n'],
  ['an id without an end', 'id: x', 'x'],
  ['a comment without an end', ':', 'x'],
])('EventDecoder does not hold more than maxEventBytes of %s', (_name, first, next) => {
  const pieces = [first, ...Array.from({ length: 1000 }, () => next)].map((text) =>
    Buffer.from(text),
  )

  expect(decode(pieces, { maxEventBytes: 500 }).at(-1)).toBe('too large')
})

test('EventDecoder skips a comment that nobody listens to, whatever its length', () => {
  const pieces = [':', ...Array.from({ length: 1000 }, () => 'x'), '\ndata: a\n\n'].map((text) =>
    Buffer.from(text),
  )

  expect(decode(pieces, { maxEventBytes: 500, comments: false })).toEqual(['event undefined a'])
})

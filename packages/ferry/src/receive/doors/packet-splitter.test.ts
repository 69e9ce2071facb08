import { expect, test } from 'vitest'
import { PacketSplitter } from './packet-splitter.ts'

const LIMITS = { maxPacketBytes: 1000, maxEnvelopeBytes: 1000 }

function split(chunks: readonly Buffer[], limits = LIMITS): { packets: unknown[]; rest: unknown } {
  const splitter = new PacketSplitter(limits)
  const packets = chunks.flatMap((chunk) => splitter.push(chunk))
  return {
    packets: packets.map((text) => JSON.parse(text) as unknown),
    rest: JSON.parse(splitter.envelope) as unknown,
  }
}

const BATCH = {
  sessionId: 'abc',
  fileName: 'dir/"packets":[ é \\ "]}.txt',
  packets: [
    { seq: 0, ciphertext: 'AAAA' },
    { seq: 1, nested: [{ a: '}]' }] },
    { seq: 2, q: '\\"' },
  ],
  more: [1, { packets: [2] }],
}

test.each([
  ['compact', JSON.stringify(BATCH)],
  ['with spaces', JSON.stringify(BATCH, null, 2)],
  ['with white space of every kind', '{ "packets" :\r\n\t[ {"seq":1} ,\n{"seq":2} ] }'],
  ['without packets', '{"sessionId":"a","packets":[]}'],
  ['without a list', '{"sessionId":"a"}'],
])('PacketSplitter takes packets out of a batch %s, wherever it is cut', (_, text) => {
  const bytes = Buffer.from(text)
  const { packets, ...rest } = { packets: [], ...(JSON.parse(text) as object) }
  const whole = split([bytes])

  expect(whole.packets).toEqual(packets)
  expect(whole.rest).toEqual(
    'packets' in (JSON.parse(text) as object) ? { ...rest, packets: [] } : rest,
  )
  expect(split([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole)
  for (let at = 1; at < bytes.length; at++) {
    expect(split([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole)
  }
})

test('PacketSplitter gives what stands before the packets as soon as one has come', () => {
  const splitter = new PacketSplitter(LIMITS)

  const packets = splitter.push(Buffer.from('{"sessionId":"a","packets":[{"seq":0},{"se'))

  expect(packets).toEqual(['{"seq":0}'])
  expect(JSON.parse(splitter.envelope)).toEqual({ sessionId: 'a', packets: [] })
})

test.each([
  ['a packet', `{"packets":[{"a":"${'x'.repeat(2000)}"}]}`],
  ['what stands around them', `{"a":"${'x'.repeat(2000)}","packets":[]}`],
  ['a packet without an end', `{"packets":[{"a":"${'x'.repeat(2000)}`],
])('PacketSplitter refuses when %s is too long', (_, text) => {
  expect(() => split([Buffer.from(text)])).toThrow(expect.objectContaining({ status: 413 }))
})

test.each([['1'], ['"a"'], ['[{}]'], ['{},null']])(
  'PacketSplitter refuses the list [%s]',
  (list) => {
    const splitter = new PacketSplitter(LIMITS)

    expect(() => splitter.push(Buffer.from(`{"packets":[${list}]}`))).toThrow(
      expect.objectContaining({ status: 400 }),
    )
  },
)

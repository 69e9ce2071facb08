import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { type Span, SpanSet } from '../../transfer/span.ts'
import { decodeAria2Control } from './aria2-control.ts'

const BLOCK = 16_384

/** What a control file says; numbers are taken as they are, whether they fit together or not. */
interface Control {
  readonly version: number
  readonly extension: number
  readonly infoHash: Uint8Array
  readonly pieceLength: number
  readonly size: bigint
  readonly bits: Uint8Array
  readonly begun: readonly { index: number; length: number; bits: Uint8Array }[]
}

// Three pieces, the last of them short: the first whole, of the second its second block.
const SAMPLE: Control = {
  version: 1,
  extension: 0,
  infoHash: Uint8Array.of(),
  pieceLength: 4 * BLOCK,
  size: BigInt(9 * BLOCK + 5),
  bits: Uint8Array.of(0b1000_0000),
  begun: [{ index: 1, length: 4 * BLOCK, bits: Uint8Array.of(0b0100_0000) }],
}

test('decodeAria2Control() gives size, length of pieces and what is there', () => {
  expect(decodeAria2Control(encode(SAMPLE))).toEqual({
    size: 9 * BLOCK + 5,
    pieceLengthBytes: 4 * BLOCK,
    spans: [
      { start: 0, end: 4 * BLOCK },
      { start: 5 * BLOCK, end: 6 * BLOCK },
    ],
  })
})

test('decodeAria2Control() joins neighbours and ends with the file', () => {
  const control: Control = {
    ...SAMPLE,
    bits: Uint8Array.of(0b1010_0000),
    begun: [{ index: 1, length: 4 * BLOCK, bits: Uint8Array.of(0b1001_0000) }],
  }

  expect(decodeAria2Control(encode(control)).spans).toEqual([
    { start: 0, end: 5 * BLOCK },
    { start: 7 * BLOCK, end: 9 * BLOCK + 5 },
  ])
})

test('decodeAria2Control() knows the short last block of the last piece', () => {
  const control: Control = {
    ...SAMPLE,
    bits: Uint8Array.of(0),
    begun: [{ index: 2, length: BLOCK + 5, bits: Uint8Array.of(0b0100_0000) }],
  }

  expect(decodeAria2Control(encode(control)).spans).toEqual([
    { start: 9 * BLOCK, end: 9 * BLOCK + 5 },
  ])
})

test('decodeAria2Control() reads version 0 as little-endian', () => {
  const control = { ...SAMPLE, version: 0 }

  expect(decodeAria2Control(encode(control))).toEqual(decodeAria2Control(encode(SAMPLE)))
})

test('decodeAria2Control() reads that of an empty file', () => {
  const control: Control = { ...SAMPLE, size: 0n, bits: Uint8Array.of(), begun: [] }

  expect(decodeAria2Control(encode(control))).toMatchObject({ size: 0, spans: [] })
})

test.each<[what: string, change: Partial<Control>, reason: RegExp]>([
  ['another version', { version: 2 }, /expected version 0 or 1, got 2/],
  ['a torrent', { extension: 1 }, /that of a torrent/],
  ['an info hash', { infoHash: new Uint8Array(20) }, /that of a torrent/],
  ['pieces without length', { pieceLength: 0 }, /no length/],
  ['a size beyond all files', { size: 2n ** 60n }, /beyond what a file can have/],
  ['a bit field too short', { bits: Uint8Array.of() }, /expected 1 bytes for 3 bits, got 0/],
  ['a bit field too long', { bits: Uint8Array.of(128, 0) }, /expected 1 bytes for 3 bits, got 2/],
  ['a bit behind the last piece', { bits: Uint8Array.of(0b1001_0000) }, /behind the last piece/],
  ['a piece that is not there', { begun: [begunPiece({ index: 3 })] }, /piece 3 is out of place/],
  ['a piece twice', { begun: [begunPiece({}), begunPiece({})] }, /piece 1 is out of place/],
  [
    'a piece of another length',
    { begun: [begunPiece({ length: BLOCK })] },
    /piece 1: expected 65536/,
  ],
  ['a piece with other bits', { begun: [begunPiece({ bits: new Uint8Array(2) })] }, /for 4 bits/],
])('decodeAria2Control() refuses %s', (_what, change, reason) => {
  const bytes = encode({ ...SAMPLE, ...change })

  expect(() => decodeAria2Control(bytes)).toThrow(ConfigError)
  expect(() => decodeAria2Control(bytes)).toThrow(reason)
})

test('decodeAria2Control() refuses a file that is cut, anywhere, or goes on', () => {
  const bytes = encode(SAMPLE)

  for (let length = 0; length < bytes.length; length++) {
    expect(() => decodeAria2Control(bytes.subarray(0, length))).toThrow(/too early/)
  }
  expect(() => decodeAria2Control(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(/got 1 bytes more/)
})

test('decodeAria2Control() gives what aria2 would have written down', () => {
  const file = fc.record({
    size: fc.integer({ min: 1, max: 40 * BLOCK }),
    blocksByPiece: fc.integer({ min: 1, max: 9 }),
    blocks: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
  })
  fc.assert(
    fc.property(file, ({ size, blocksByPiece, blocks }) => {
      const there = new SpanSet(
        blocks.map((isThere, index) => ({
          start: isThere ? index * BLOCK : size,
          end: Math.min(size, (index + 1) * BLOCK),
        })),
      )

      const read = decodeAria2Control(encode(controlOf(there, size, blocksByPiece * BLOCK)))

      expect(read).toEqual({ size, pieceLengthBytes: blocksByPiece * BLOCK, spans: [...there] })
    }),
  )
})

test('decodeAria2Control() reads any bytes or refuses them', () => {
  const readOrRefuse = (bytes: Uint8Array): Span[] => {
    try {
      return [...decodeAria2Control(bytes).spans]
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      return []
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), fc.nat(255), (bytes, at, value) => {
      const changed = encode(SAMPLE)
      changed[at % changed.length] = value

      for (const spans of [readOrRefuse(bytes), readOrRefuse(changed)]) {
        expect(spans).toEqual([...new SpanSet(spans)])
      }
    }),
  )
})

function begunPiece(change: Partial<Control['begun'][number]>): Control['begun'][number] {
  return { index: 1, length: 4 * BLOCK, bits: Uint8Array.of(0b0100_0000), ...change }
}

function controlOf(there: SpanSet, size: number, pieceLength: number): Control {
  const pieces = partsOf({ start: 0, end: size }, pieceLength)
  return {
    ...SAMPLE,
    size: BigInt(size),
    pieceLength,
    bits: toBits(pieces.map((piece) => there.covers(piece))),
    begun: pieces.flatMap((piece, index) => {
      if (there.covers(piece)) return []
      const bits = toBits(partsOf(piece, BLOCK).map((block) => there.covers(block)))
      return [{ index, length: piece.end - piece.start, bits }]
    }),
  }
}

function partsOf(span: Span, length: number): Span[] {
  return Array.from({ length: Math.ceil((span.end - span.start) / length) }, (_, index) => ({
    start: span.start + index * length,
    end: Math.min(span.end, span.start + (index + 1) * length),
  }))
}

function toBits(flags: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(flags.length / 8))
  for (const [index, flag] of flags.entries()) {
    if (flag) bytes[index >> 3] = (bytes[index >> 3] as number) | (0x80 >> (index & 7))
  }
  return bytes
}

function encode(control: Control): Uint8Array {
  const isLittle = control.version === 0
  const number = (bytes: number, value: number | bigint): Uint8Array => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigUInt64BE(BigInt(value))
    const used = buffer.subarray(8 - bytes)
    return isLittle ? used.reverse() : used
  }
  const field = (bytes: Uint8Array): Uint8Array[] => [number(4, bytes.length), bytes]
  return Buffer.concat([
    number(2, control.version),
    // A field of bytes: the same in both orders.
    Buffer.of(0, 0, 0, control.extension),
    ...field(control.infoHash),
    number(4, control.pieceLength),
    number(8, control.size),
    number(8, 0),
    ...field(control.bits),
    number(4, control.begun.length),
    ...control.begun.flatMap(({ index, length, bits }) => [
      number(4, index),
      number(4, length),
      ...field(bits),
    ]),
  ])
}

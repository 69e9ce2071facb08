import { expect, test } from 'vitest'
import { FrameCollector } from './frame-collector.ts'

function frame(length: number): Buffer {
  const head = Buffer.alloc(length > 65_535 ? 10 : length > 125 ? 4 : 2)
  head[0] = 0x82
  head[1] = length > 65_535 ? 127 : length > 125 ? 126 : length
  if (length > 65_535) head.writeUIntBE(length, 4, 6)
  else if (length > 125) head.writeUInt16BE(length, 2)
  return Buffer.concat([head, Buffer.alloc(length, length & 255)])
}

function collect(): { collector: FrameCollector; chunks: Buffer[] } {
  const chunks: Buffer[] = []
  return { collector: new FrameCollector((chunk) => chunks.push(chunk)), chunks }
}

const WIRE = Buffer.concat([0, 5, 126, 8192, 70_000, 1, 300_000, 2].map(frame))

test.each([1, 2, 3, 7, 1000, 4096, 65_536, 262_144])(
  'FrameCollector gives the same bytes in pieces of %d, in few chunks where frames are long',
  (size) => {
    const { collector, chunks } = collect()
    const piece = Buffer.alloc(size)
    for (let at = 0; at < WIRE.length; at += size) {
      const length = WIRE.copy(piece, 0, at, at + size)
      collector.take(piece.subarray(0, length))
      piece.fill(0)
    }

    expect(Buffer.concat(chunks).equals(WIRE)).toBe(true)
    // All but the short frames and what little is left of the long ones.
    expect(chunks.length).toBeLessThan(20_000)
  },
)

test('FrameCollector lets a stream read into the place of a long payload', () => {
  const { collector, chunks } = collect()
  const wire = frame(300_000)
  collector.take(wire.subarray(0, 10))

  let at = 10
  for (let next = collector.nextBuffer(); next !== undefined; next = collector.nextBuffer()) {
    const length = wire.copy(next, 0, at, at + 10_000)
    collector.take(next.subarray(0, length))
    at += length
  }

  expect(at).toBe(wire.length)
  expect(chunks.map(({ length }) => length)).toEqual([10, 131_072, 131_072, 37_856])
  expect(Buffer.concat(chunks).equals(wire)).toBe(true)
})

test('FrameCollector gives each long payload memory of its own, many in one read too', () => {
  const { collector, chunks } = collect()

  collector.take(Buffer.concat([frame(3), frame(10_000), frame(2), frame(20_000)]))

  expect(chunks.map(({ length }) => length)).toEqual([9, 10_000, 8, 20_000])
  expect(chunks[1]?.buffer.byteLength).toBe(10_000)
})

test('FrameCollector trusts no announced length with more than 128 KiB', () => {
  const { collector } = collect()

  collector.take(Buffer.from([0x82, 127, 0, 0x1f, 255, 255, 255, 255, 255, 255]))

  expect(collector.nextBuffer()?.length).toBe(131_072)
})

test('FrameCollector counts the key of a frame that should have none', () => {
  const { collector, chunks } = collect()

  collector.take(Buffer.from([0x82, 0x81, 1, 2, 3]))
  collector.take(Buffer.concat([Buffer.from([4, 5]), frame(9000).subarray(0, 4)]))

  expect(Buffer.concat(chunks).length).toBe(11)
  expect(collector.nextBuffer()?.length).toBe(9000)
})

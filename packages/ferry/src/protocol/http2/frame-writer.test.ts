import { describe, expect, test } from 'vitest'
import { cutFrames } from '../../testing/http2-frames.ts'
import { DEFAULT_FRAME_LIMITS, FrameParser } from './frame-parser.ts'
import { FrameWriter } from './frame-writer.ts'

const LARGEST = { ...DEFAULT_FRAME_LIMITS, maxFrameBytes: 2 ** 24 - 1, maxBlockBytes: 2 ** 30 }
const HIGHEST_ID = 2 ** 31 - 1
// What the writer says of itself: the first block, and those that content needs.
const FIRST_BLOCK = 16_384
const BLOCK = 135_168

function hex(writer: FrameWriter): string | undefined {
  return writer.take()?.bytes.toString('hex')
}

/** What the parser makes of frames. */
function read(bytes: Buffer): unknown[] {
  const told: unknown[] = []
  const parser = new FrameParser(
    {
      onData: (id, { bytes: from, start, end, endStream }) =>
        told.push(['data', id, from.toString('hex', start, end), endStream]),
      onHeaders: (id, block, end) => told.push(['headers', id, block.toString('hex'), end]),
      onRstStream: (id, code) => told.push(['reset', id, code]),
      onSettings: (payload) => told.push(['settings', payload.toString('hex')]),
      onSettingsAck: () => told.push(['settings ack']),
      onPing: (payload, ack) => told.push(['ping', payload.toString('latin1'), ack]),
      onGoAway: (last, code, debug) => told.push(['goaway', last, code, debug.length]),
      onWindowUpdate: (id, increment) => told.push(['window', id, increment]),
      onIgnored: () => told.push(['ignored']),
    },
    LARGEST,
  )
  parser.push(Buffer.from(bytes))
  return told
}

describe('FrameWriter writes', () => {
  test.each<[string, (writer: FrameWriter) => void, string]>([
    [
      'settings',
      (writer) =>
        writer.settings([
          [0x8, 1],
          [0xffff, 0xffff_fffe],
        ]),
      '00000c 04 00 00000000 0008 00000001 ffff fffffffe',
    ],
    ['no settings', (writer) => writer.settings([]), '000000 04 00 00000000'],
    ['the acknowledgement of settings', (writer) => writer.settingsAck(), '000000 04 01 00000000'],
    [
      'PING',
      (writer) => writer.ping(Buffer.from('abcdefgh'), false),
      '000008 06 00 00000000 6162636465666768',
    ],
    [
      'the answer to PING',
      (writer) => writer.ping(Buffer.alloc(8, 0xff), true),
      '000008 06 01 00000000 ffffffffffffffff',
    ],
    [
      'GOAWAY',
      (writer) => writer.goAway('HTTP_1_1_REQUIRED'),
      '000008 07 00 00000000 00000000 0000000d',
    ],
    [
      'RST_STREAM',
      (writer) => writer.rstStream(HIGHEST_ID, 'CANCEL'),
      '000004 03 00 7fffffff 00000008',
    ],
    [
      'WINDOW_UPDATE',
      (writer) => writer.windowUpdate(0, HIGHEST_ID),
      '000004 08 00 00000000 7fffffff',
    ],
    [
      'DATA',
      (writer) => writer.data(0x0102_0304, Buffer.from('hi'), false),
      '000002 00 00 01020304 6869',
    ],
    ['the last DATA', (writer) => writer.data(1, Buffer.alloc(0), true), '000000 00 01 00000001'],
    [
      'HEADERS',
      (writer) => writer.headers(1, Buffer.from('ab'), { endStream: false, maxFrameBytes: 9 }),
      '000002 01 04 00000001 6162',
    ],
    [
      'HEADERS of no bytes, and the end',
      (writer) => writer.headers(1, Buffer.alloc(0), { endStream: true, maxFrameBytes: 9 }),
      '000000 01 05 00000001',
    ],
  ])('%s (§6)', (_, write, expected) => {
    const writer = new FrameWriter()

    write(writer)

    expect(hex(writer)).toBe(expected.replaceAll(' ', ''))
  })

  test('a part of larger content, as it is', () => {
    const writer = new FrameWriter()
    const content = new Uint8Array([1, 2, 3, 4, 5])

    writer.data(1, content.subarray(1, 4), false)

    expect(hex(writer)).toBe('000003000000000001020304')
  })

  test.each([
    [8, [8]],
    [9, [9]],
    [10, [9, 1]],
    [18, [9, 9]],
    [19, [9, 9, 1]],
  ])('a header block of %i bytes in frames of up to 9: %j', (length, sizes) => {
    const writer = new FrameWriter()
    const block = Buffer.from(Array.from({ length }, (_, index) => index))

    writer.headers(5, block, { endStream: true, maxFrameBytes: 9 })

    const bytes = writer.take()?.bytes as Buffer
    const frames = cutFrames(bytes)
    const last = frames.length - 1
    expect(frames.map(({ payload }) => payload.length)).toEqual(sizes)
    expect(frames.map(({ type }) => type)).toEqual(sizes.map((_, index) => (index === 0 ? 1 : 9)))
    expect(frames.map(({ flags }) => flags)).toEqual(
      sizes.map((_, index) => (index === 0 ? 1 : 0) | (index === last ? 4 : 0)),
    )
    expect(read(bytes)).toEqual([['headers', 5, block.toString('hex'), true]])
  })

  test('frames one behind the other, which a parser reads as they were meant', () => {
    const writer = new FrameWriter()
    const block = Buffer.alloc(70_000, 'block')

    writer.settingsAck()
    writer.headers(HIGHEST_ID, block, { endStream: false, maxFrameBytes: 16_384 })
    writer.data(HIGHEST_ID, Buffer.alloc(300_000, 1), true)
    writer.windowUpdate(3, 1)
    writer.goAway('NO_ERROR')

    expect(read(writer.take()?.bytes as Buffer)).toEqual([
      ['settings ack'],
      ['headers', HIGHEST_ID, block.toString('hex'), false],
      ['data', HIGHEST_ID, '01'.repeat(300_000), true],
      ['window', 3, 1],
      ['goaway', 0, 0, 0],
    ])
  })
})

describe('FrameWriter gives what waits', () => {
  test('once, and nothing when there is nothing', () => {
    const writer = new FrameWriter()
    const before = writer.take()
    writer.settingsAck()
    const length = writer.length

    const output = writer.take()

    expect(before).toBeUndefined()
    expect([length, output?.bytes.length, writer.length]).toEqual([9, 9, 0])
    expect(writer.take()).toBeUndefined()
  })

  test('out of the same block, while much of it is left', () => {
    const writer = new FrameWriter()

    writer.data(1, Buffer.alloc(1000), false)
    const first = writer.take()
    writer.data(1, Buffer.alloc(1000), false)
    const second = writer.take()

    expect([first?.retired, second?.retired]).toEqual([undefined, undefined])
    expect(second?.bytes.buffer).toBe(first?.bytes.buffer)
    expect(second?.bytes.byteOffset).toBe((first?.bytes.byteOffset ?? 0) + 1009)
  })

  test('and the block with it, when little is left', () => {
    const writer = new FrameWriter()
    writer.data(1, Buffer.alloc(FIRST_BLOCK - 1000), false)

    const output = writer.take()

    expect(output?.retired?.length).toBe(FIRST_BLOCK)
    expect(writer.room).toBe(BLOCK)
  })

  test('and tells the room that is left without moving anything', () => {
    const writer = new FrameWriter()
    const rooms = [writer.room]

    writer.data(1, Buffer.alloc(100), false)
    rooms.push(writer.room)
    writer.data(1, Buffer.alloc(writer.room - 9), false)
    rooms.push(writer.room)

    expect(rooms).toEqual([FIRST_BLOCK, FIRST_BLOCK - 109, 0])
    expect(writer.take()?.bytes.length).toBe(FIRST_BLOCK)
  })

  test('in one piece, although it had to be moved', () => {
    const writer = new FrameWriter()
    writer.ping(Buffer.from('12345678'), false)
    writer.take()
    writer.ping(Buffer.from('abcdefgh'), false)

    writer.data(1, Buffer.alloc(1_000_000, 7), false)

    const output = writer.take()
    const frames = cutFrames(output?.bytes as Buffer)
    expect(frames.map(({ payload }) => payload.length)).toEqual([8, 1_000_000])
    expect(frames[0]?.payload.toString()).toBe('abcdefgh')
    expect(frames[1]?.payload.equals(Buffer.alloc(1_000_000, 7))).toBe(true)
  })
})

describe('FrameWriter uses memory again', () => {
  /** Fills and takes a whole block; what comes back with it. */
  function fillBlock(writer: FrameWriter): Buffer {
    writer.data(1, Buffer.alloc(writer.room - 9), false)
    return writer.take()?.retired as Buffer
  }

  test('that was given back', () => {
    const writer = new FrameWriter()
    fillBlock(writer)
    const first = fillBlock(writer)
    const second = fillBlock(writer)

    writer.recycle(first)

    expect(second).not.toBe(first)
    fillBlock(writer)
    expect(fillBlock(writer)).toBe(first)
  })

  test('also when a frame does not fit behind what waits', () => {
    const writer = new FrameWriter()
    fillBlock(writer)
    const spare = fillBlock(writer)
    writer.recycle(spare)
    writer.data(1, Buffer.alloc(BLOCK - 20_000), false)
    writer.take()

    writer.data(1, Buffer.alloc(30_000), false)

    expect(writer.take()?.bytes.buffer).toBe(spare.buffer)
  })

  test('not of another size than its blocks have', () => {
    const writer = new FrameWriter()
    const small = fillBlock(writer)
    const large = Buffer.alloc(BLOCK + 1)

    writer.recycle(small)
    writer.recycle(large)

    fillBlock(writer)
    const next = fillBlock(writer)
    expect([small, large]).not.toContain(next)
    expect(next.length).toBe(BLOCK)
  })

  test('of four blocks at most', () => {
    const writer = new FrameWriter()
    fillBlock(writer)
    const blocks = Array.from({ length: 6 }, () => fillBlock(writer))

    for (const block of blocks) writer.recycle(block)

    fillBlock(writer)
    const again = Array.from({ length: 6 }, () => fillBlock(writer))
    expect(again.filter((block) => blocks.includes(block))).toHaveLength(4)
  })

  test('and lets go of it when told to', () => {
    const writer = new FrameWriter()
    fillBlock(writer)
    const block = fillBlock(writer)
    writer.recycle(block)

    writer.shrink()

    expect(writer.room).toBe(FIRST_BLOCK)
    fillBlock(writer)
    expect([fillBlock(writer), fillBlock(writer)]).not.toContain(block)
  })

  test('but not of what waits', () => {
    const writer = new FrameWriter()
    fillBlock(writer)
    writer.ping(Buffer.from('12345678'), false)

    writer.shrink()

    expect(writer.room).toBe(BLOCK - 17)
    expect(read(writer.take()?.bytes as Buffer)).toEqual([['ping', '12345678', false]])
  })

  test('and has nothing to let go of at first', () => {
    const writer = new FrameWriter()
    writer.ping(Buffer.from('12345678'), false)
    writer.take()

    writer.shrink()

    expect(writer.room).toBe(FIRST_BLOCK - 17)
  })
})

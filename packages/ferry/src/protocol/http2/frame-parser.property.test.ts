import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { continuation, data, frame, headers } from '../../testing/http2-frames.ts'
import { faultOf } from '../../testing/http2-session-fixture.ts'
import { DEFAULT_FRAME_LIMITS, FrameParser } from './frame-parser.ts'

/** All that a parser told: the frames in their order, and of each stream's content what it comes to. */
interface Transcript {
  readonly frames: unknown[]
  code: string | undefined
}

const LIMITS = { ...DEFAULT_FRAME_LIMITS, maxFrameBytes: 64, maxBlockBytes: 200 }

const streamIds = fc.constantFrom(1, 3, 5, 0x7fff_ffff)
const contents = fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes))
const padding = fc.option(fc.nat(12), { nil: undefined })
const flags = fc.boolean()

const blocks = fc
  .record({
    streamId: streamIds,
    parts: fc.array(contents, { minLength: 1, maxLength: 4 }),
    endStream: flags,
    priority: flags,
    padding: fc.option(fc.nat(5), { nil: undefined }),
  })
  .map(({ streamId, parts, ...options }) => {
    const [first, ...rest] = parts as [Buffer, ...Buffer[]]
    const endHeaders = rest.length === 0
    return Buffer.concat([
      headers(streamId, first, { ...options, endHeaders }),
      ...rest.map((part, index) =>
        continuation(streamId, part, { endHeaders: index === rest.length - 1 }),
      ),
    ])
  })

const fixed = fc
  .record({
    kind: fc.constantFrom<readonly [type: number, length: number, onStream: boolean]>(
      [2, 5, true],
      [3, 4, true],
      [4, 0, false],
      [4, 12, false],
      [6, 8, false],
      [7, 8, false],
      [7, 30, false],
      [8, 4, false],
      [8, 4, true],
      [0x77, 40, false],
      [0x77, 0, true],
    ),
    streamId: streamIds,
    content: fc.uint8Array({ minLength: 40, maxLength: 40 }),
  })
  .map(({ kind: [type, length, onStream], streamId, content }) =>
    frame(type, { streamId: onStream ? streamId : 0, payload: content.subarray(0, length) }),
  )

const validFrames = fc.array(
  fc.oneof(
    fc
      .tuple(streamIds, contents, fc.record({ endStream: flags, padding }))
      .map(([streamId, content, options]) => data(streamId, content, options)),
    blocks,
    fixed,
  ),
  { maxLength: 12 },
)
// Headers that are nearly in order, so that random bytes get past them.
const wildFrames = fc.array(
  fc
    .record({
      type: fc.nat(11),
      flags: fc.nat(255),
      streamId: fc.constantFrom(0, 1, 1, 3),
      payload: fc.uint8Array({ maxLength: 70 }),
    })
    .map(({ type, ...parts }) => frame(type, parts)),
  { maxLength: 12 },
)
const cuts = fc.array(fc.nat(2000), { maxLength: 12 })

function* piecesOf(wire: Buffer, at: readonly number[]): Generator<Buffer> {
  const ends = at.map((cut) => cut % (wire.length + 1)).toSorted((a, b) => a - b)
  let start = 0
  for (const end of [...ends, wire.length]) {
    yield wire.subarray(start, end)
    start = end
  }
}

function read(pieces: Iterable<Buffer>): Transcript {
  const transcript: Transcript = { frames: [], code: undefined }
  let open: { streamId: number; text: string; flowBytes: number; end: boolean } | undefined
  const note = (...told: unknown[]): void => {
    open = undefined
    transcript.frames.push(told)
  }
  const hex = (bytes: Buffer): string => bytes.toString('hex')
  const parser = new FrameParser(
    {
      onData: (streamId, { bytes, start, end, flowBytes, endStream }) => {
        if (open === undefined || open.streamId !== streamId || open.end) {
          open = { streamId, text: '', flowBytes: 0, end: false }
          transcript.frames.push(open)
        }
        open.text += bytes.toString('hex', start, end)
        open.flowBytes += flowBytes
        open.end = endStream
      },
      onHeaders: (streamId, block, endStream) => note('headers', streamId, hex(block), endStream),
      onRstStream: (streamId, code) => note('reset', streamId, code),
      onSettings: (payload) => note('settings', hex(payload)),
      onSettingsAck: () => note('ack'),
      onPing: (payload, ack) => note('ping', hex(payload), ack),
      onGoAway: (lastStreamId, code, debug) => note('goaway', lastStreamId, code, hex(debug)),
      onWindowUpdate: (streamId, increment) => note('window', streamId, increment),
      onIgnored: () => note('ignored'),
    },
    LIMITS,
  )
  transcript.code = faultOf(() => {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece)
      parser.push(bytes)
      bytes.fill('!')
    }
  })
  return transcript
}

describe('FrameParser', () => {
  test('tells the same however valid frames are cut', () => {
    fc.assert(
      fc.property(validFrames, cuts, (frames, at) => {
        const wire = Buffer.concat(frames)

        const whole = read([wire])

        expect(whole.code).toBeUndefined()
        expect(read(piecesOf(wire, at))).toEqual(whole)
        expect(read(frames)).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })

  test('tells and refuses the same however any frames are cut, and throws nothing but faults', () => {
    fc.assert(
      fc.property(wildFrames, cuts, (frames, at) => {
        const wire = Buffer.concat(frames)

        const whole = read([wire])
        const cut = read(piecesOf(wire, at))

        expect(cut.code).toBe(whole.code)
        // How much content of a frame is told before a fault in it depends on the pieces.
        if (whole.code === undefined) expect(cut.frames).toEqual(whole.frames)
        else expect(cut.frames.length).toBe(whole.frames.length)
      }),
      { numRuns: 500 },
    )
  })

  test('ends with random bytes, in a fault or waiting for more', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), cuts, (bytes, at) => {
        const wire = Buffer.from(bytes)

        expect(read(piecesOf(wire, at)).code).toBe(read([wire]).code)
      }),
      { numRuns: 500 },
    )
  })

  test('gives content to the last byte, and counts what stands beside it', () => {
    fc.assert(
      fc.property(contents, padding, cuts, (content, padBytes, at) => {
        const wire = data(1, content, { endStream: true, padding: padBytes })

        const { frames } = read(piecesOf(wire, at))

        const flowBytes = content.length + (padBytes === undefined ? 0 : padBytes + 1)
        expect(frames).toEqual([
          { streamId: 1, text: content.toString('hex'), flowBytes, end: true },
        ])
      }),
    )
  })
})

import { describe, expect, test } from 'vitest'
import {
  continuation,
  data,
  frame,
  goAway,
  headers,
  rstStream,
  settings,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { faultOf } from '../../testing/http2-session-fixture.ts'
import { DEFAULT_FRAME_LIMITS, type FrameEvents, FrameParser } from './frame-parser.ts'

interface Row {
  readonly name: string
  readonly wire: Buffer
  readonly code: string
}

const BLOCK = Buffer.from('block')
const OPEN_BLOCK = headers(1, BLOCK, { endHeaders: false })
const MAX_FRAME_BYTES = 16_384

function recorder(): { readonly events: FrameEvents; readonly told: string[] } {
  const told: string[] = []
  const note = (event: string) => (): void => {
    told.push(event)
  }
  const events: FrameEvents = {
    onData: (_, { start, end, flowBytes, endStream }) => {
      if (end > start || flowBytes === 0 || endStream) told.push('data')
    },
    onHeaders: note('headers'),
    onRstStream: note('reset'),
    onSettings: note('settings'),
    onSettingsAck: note('settings ack'),
    onPing: note('ping'),
    onGoAway: note('goaway'),
    onWindowUpdate: note('window'),
    onIgnored: note('ignored'),
  }
  return { events, told }
}

function feed(pieces: Iterable<Uint8Array>, limits = DEFAULT_FRAME_LIMITS): string[] {
  const { events, told } = recorder()
  const parser = new FrameParser(events, limits)
  const code = faultOf(() => {
    for (const piece of pieces) parser.push(Buffer.from(piece))
  })
  return [...told, code ?? 'no fault']
}

function* bytesOf(wire: Buffer): Generator<Buffer> {
  for (let at = 0; at < wire.length; at++) yield wire.subarray(at, at + 1)
}

function header(length: number, type: number, flags: number, streamId: number): Buffer {
  const bytes = frame(type, { flags, streamId })
  bytes.writeUIntBE(length, 0, 3)
  return bytes
}

function describeRows(title: string, rows: readonly Row[]): void {
  describe.each(rows)(`FrameParser refuses ${title}: $name`, ({ wire, code }) => {
    test('whole, byte by byte and at every split', () => {
      const told = feed([wire])

      expect(told.at(-1)).toBe(code)
      expect(feed(bytesOf(wire))).toEqual(told)
      for (let at = 1; at < wire.length; at++) {
        expect(feed([wire.subarray(0, at), wire.subarray(at)])).toEqual(told)
      }
    })
  })
}

describeRows('frames of a wrong size (§4.2)', [
  {
    name: 'DATA beyond what we allow, at its header',
    wire: header(MAX_FRAME_BYTES + 1, 0, 0, 1),
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'an unknown type beyond what we allow',
    wire: header(0xff_ffff, 0xee, 0, 0),
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'CONTINUATION beyond what we allow',
    wire: Buffer.concat([OPEN_BLOCK, header(MAX_FRAME_BYTES + 1, 9, 4, 1)]),
    code: 'FRAME_SIZE_ERROR',
  },
  // As §5.4.1 allows, also where §6.3 asks for no more than the end of a stream.
  ...[4, 6].map((length) => ({
    name: `PRIORITY of ${length} bytes (§6.3)`,
    wire: header(length, 2, 0, 1),
    code: 'FRAME_SIZE_ERROR',
  })),
  ...[0, 3, 5].map((length) => ({
    name: `RST_STREAM of ${length} bytes (§6.4)`,
    wire: header(length, 3, 0, 1),
    code: 'FRAME_SIZE_ERROR',
  })),
  ...[1, 5, 7].map((length) => ({
    name: `SETTINGS of ${length} bytes (§6.5)`,
    wire: frame(4, { payload: 'x'.repeat(length) }),
    code: 'FRAME_SIZE_ERROR',
  })),
  {
    name: 'an acknowledgement of settings with settings (§6.5)',
    wire: frame(4, { flags: 1, payload: '\0\x03\0\0\0\x01' }),
    code: 'FRAME_SIZE_ERROR',
  },
  ...[0, 7, 9].map((length) => ({
    name: `PING of ${length} bytes (§6.7)`,
    wire: header(length, 6, 0, 0),
    code: 'FRAME_SIZE_ERROR',
  })),
  ...[0, 4, 7].map((length) => ({
    name: `GOAWAY of ${length} bytes (§6.8)`,
    wire: frame(7, { payload: '\0'.repeat(length) }),
    code: 'FRAME_SIZE_ERROR',
  })),
  ...[0, 3, 5].map((length) => ({
    name: `WINDOW_UPDATE of ${length} bytes (§6.9)`,
    wire: header(length, 8, 0, 1),
    code: 'FRAME_SIZE_ERROR',
  })),
  {
    name: 'padded DATA without the length of the padding (§6.1)',
    wire: frame(0, { flags: 0x8, streamId: 1 }),
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'padded HEADERS without the length of the padding (§6.2)',
    wire: frame(1, { flags: 0xc, streamId: 1 }),
    code: 'FRAME_SIZE_ERROR',
  },
  ...['', '\0\0\0\0'].map((payload) => ({
    name: `HEADERS with ${payload.length} bytes of a priority (§6.2)`,
    wire: frame(1, { flags: 0x24, streamId: 1, payload }),
    code: 'FRAME_SIZE_ERROR',
  })),
  {
    name: 'padded HEADERS with 4 bytes of a priority (§6.2)',
    wire: frame(1, { flags: 0x2c, streamId: 1, payload: '\0\0\0\0\0' }),
    code: 'FRAME_SIZE_ERROR',
  },
])

describeRows('too much padding (§6.1, §6.2)', [
  ...[
    ['as long as the payload', '\x06hello'],
    ['longer than the payload', '\x07hello'],
    ['as long as a payload of nothing else', '\x01'],
    ['of 255 bytes in a short frame', '\xffhello'],
  ].flatMap(([name, payload]) => [
    {
      name: `in DATA, ${name}`,
      wire: frame(0, { flags: 0x8, streamId: 1, payload: payload as string }),
      code: 'PROTOCOL_ERROR',
    },
    {
      name: `in HEADERS, ${name}`,
      wire: frame(1, { flags: 0xc, streamId: 1, payload: payload as string }),
      code: 'PROTOCOL_ERROR',
    },
  ]),
  {
    name: 'in HEADERS, one byte into the priority',
    wire: frame(1, { flags: 0x2c, streamId: 1, payload: '\x04\0\0\0\0\0abc' }),
    code: 'PROTOCOL_ERROR',
  },
])

describeRows('frames out of place (§6)', [
  ...[
    { name: 'DATA', wire: data(0, 'x') },
    { name: 'empty DATA', wire: data(0) },
    { name: 'HEADERS', wire: headers(0, BLOCK) },
    { name: 'PRIORITY', wire: frame(2, { payload: '\0\0\0\0\0' }) },
    { name: 'RST_STREAM', wire: rstStream(0, 'CANCEL') },
    { name: 'PUSH_PROMISE', wire: frame(5, { payload: '\0\0\0\x02block' }) },
    { name: 'CONTINUATION', wire: continuation(0, 'block') },
    { name: 'DATA with the reserved bit and nothing else', wire: data(0x8000_0000, 'x') },
  ].map((row) => ({ ...row, name: `${row.name} on stream 0`, code: 'PROTOCOL_ERROR' })),
  ...[
    { name: 'SETTINGS', wire: frame(4, { streamId: 1 }) },
    { name: 'an acknowledgement of settings', wire: frame(4, { flags: 1, streamId: 1 }) },
    { name: 'PING', wire: frame(6, { streamId: 1, payload: '12345678' }) },
    { name: 'GOAWAY', wire: frame(7, { streamId: 1, payload: '\0'.repeat(8) }) },
  ].map((row) => ({ ...row, name: `${row.name} on a stream`, code: 'PROTOCOL_ERROR' })),
  {
    name: 'a pushed response, which we have forbidden (§8.4)',
    wire: frame(5, { flags: 0x4, streamId: 1, payload: '\0\0\0\x02block' }),
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'CONTINUATION with nothing to continue (§6.10)',
    wire: continuation(1, 'block'),
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'CONTINUATION behind a whole block (§6.10)',
    wire: Buffer.concat([headers(1, BLOCK), continuation(1, 'block')]),
    code: 'PROTOCOL_ERROR',
  },
])

describeRows(
  'what comes inside a header block (§6.10)',
  [
    { name: 'CONTINUATION of another stream', frame: continuation(3, 'block') },
    { name: 'DATA of the same stream', frame: data(1, 'x') },
    { name: 'HEADERS of the same stream', frame: headers(1, BLOCK) },
    { name: 'PRIORITY', frame: frame(2, { streamId: 1, payload: '\0\0\0\0\0' }) },
    { name: 'RST_STREAM of the same stream', frame: rstStream(1, 'CANCEL') },
    { name: 'SETTINGS', frame: settings() },
    { name: 'PING', frame: frame(6, { payload: '12345678' }) },
    { name: 'GOAWAY', frame: goAway(1, 'NO_ERROR') },
    { name: 'WINDOW_UPDATE', frame: windowUpdate(0, 1) },
    { name: 'an unknown type (§5.5)', frame: frame(0xee, { streamId: 1 }) },
  ].map((row) => ({
    name: row.name,
    wire: Buffer.concat([OPEN_BLOCK, row.frame]),
    code: 'PROTOCOL_ERROR',
  })),
)

describe('FrameParser at the beginning of a connection wants settings (§3.4)', () => {
  test.each([
    ['their acknowledgement', frame(4, { flags: 1 }), 'no settings at the beginning'],
    ['an unknown type', frame(0xee), 'no settings at the beginning'],
    ['a frame that is too long', header(MAX_FRAME_BYTES + 1, 0, 0, 1), 'no settings'],
    ['HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'HTTP/1.1 instead of HTTP/2'],
    ['HTTP/1.0', Buffer.from('HTTP/1.0 400 Bad Request\r\n\r\n'), 'HTTP/1.1 instead of HTTP/2'],
  ])('and refuses %s, at its header', (_, bytes, message) => {
    const limits = { ...DEFAULT_FRAME_LIMITS, beginsWithSettings: true }
    const whole = new FrameParser(recorder().events, limits)
    const cut = new FrameParser(recorder().events, limits)

    expect(faultOf(() => whole.push(bytes))).toBe('PROTOCOL_ERROR')
    expect(() => {
      for (const one of bytesOf(bytes)) cut.push(Buffer.from(one))
    }).toThrow(message)
  })

  test('and takes any frame behind them', () => {
    const { events, told } = recorder()

    const parser = new FrameParser(events, { ...DEFAULT_FRAME_LIMITS, beginsWithSettings: true })
    parser.push(Buffer.concat([settings([3, 100]), frame(0xee)]))

    expect(told).toEqual(['settings', 'ignored'])
  })
})

describe('FrameParser bounds a header block', () => {
  const limits = { ...DEFAULT_FRAME_LIMITS, maxBlockBytes: 100 }
  const first = headers(1, Buffer.alloc(60), { endHeaders: false })

  test('and takes one of exactly the greatest size', () => {
    const wire = [first, continuation(1, Buffer.alloc(40))]

    expect(feed(wire, limits)).toEqual(['headers', 'no fault'])
  })

  test('and refuses one byte more, before the block is whole', () => {
    const wire = [first, continuation(1, Buffer.alloc(41), { endHeaders: false })]

    expect(feed(wire, limits)).toEqual(['ENHANCE_YOUR_CALM'])
  })

  test('and refuses endless frames without content', () => {
    const empty = continuation(1, '', { endHeaders: false })
    const few = Array.from({ length: 63 }, () => empty)

    const fine = feed([
      headers(1, BLOCK, { endHeaders: false }),
      ...few.slice(1),
      continuation(1, ''),
    ])
    const endless = feed([OPEN_BLOCK, ...few, empty])

    expect(fine).toEqual(['headers', 'no fault'])
    expect(endless).toEqual(['ENHANCE_YOUR_CALM'])
  })

  test('each anew', () => {
    const wire = [first, continuation(1, Buffer.alloc(40))]

    const told = feed([...wire, ...wire, ...wire], limits)

    expect(told).toEqual(['headers', 'headers', 'headers', 'no fault'])
  })
})

test('FrameParser tells what came in order before a fault', () => {
  const wire = Buffer.concat([settings(), data(1, 'x'), data(0, 'x')])

  expect(feed([wire])).toEqual(['settings', 'data', 'PROTOCOL_ERROR'])
})

import { describe, expect, test } from 'vitest'
import {
  continuation,
  data,
  frame,
  goAway,
  headers,
  ping,
  priority,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { FrameParser } from './frame-parser.ts'

interface Row {
  readonly name: string
  readonly wire: Buffer
  readonly events: readonly string[]
}

const LONG = 'x'.repeat(300)
const MAX_FRAME_BYTES = 16_384
const ALL_UNUSED_FLAGS = 0b1101_0010
// What a greedy parser would be most tempted by: a frame of another stream that ends it.
const TRAILING = data(77, 'next', { endStream: true })
const TRAILING_EVENT = 'data 77 "next" of 4 end'

/** Feeds pieces; each is overwritten afterwards, as a pool would. Pieces of content are put together. */
function feed(pieces: Iterable<Uint8Array>): string[] {
  const events: string[] = []
  let content: { streamId: number; text: string; flowBytes: number } | undefined
  const endContent = (suffix = ''): void => {
    if (content === undefined) return
    const { streamId, text, flowBytes } = content
    events.push(`data ${streamId} ${JSON.stringify(text)} of ${flowBytes}${suffix}`)
    content = undefined
  }
  const note = (event: string): void => {
    endContent()
    events.push(event)
  }
  const parser = new FrameParser({
    onData: (streamId, { bytes, start, end, flowBytes, endStream }) => {
      expect(end).toBeGreaterThanOrEqual(start)
      if (content?.streamId !== streamId) endContent()
      content ??= { streamId, text: '', flowBytes: 0 }
      content.text += bytes.toString('latin1', start, end)
      content.flowBytes += flowBytes
      if (endStream) endContent(' end')
    },
    onHeaders: (streamId, block, endStream) =>
      note(`headers ${streamId} "${block.toString('latin1')}"${endStream ? ' end' : ''}`),
    onRstStream: (streamId, code) => note(`reset ${streamId} ${code}`),
    onSettings: (payload) => note(`settings ${payload.toString('hex')}`),
    onSettingsAck: () => note('settings ack'),
    onPing: (payload, ack) => note(`ping${ack ? ' ack' : ''} ${payload.toString('latin1')}`),
    onGoAway: (lastStreamId, code, debug) =>
      note(`goaway ${lastStreamId} ${code} "${debug.toString('latin1')}"`),
    onWindowUpdate: (streamId, increment) => note(`window ${streamId} ${increment}`),
    onIgnored: () => note('ignored'),
  })
  for (const piece of pieces) {
    const bytes = Buffer.from(piece)
    parser.push(bytes)
    expect(bytes.equals(piece)).toBe(true)
    bytes.fill('!')
  }
  endContent()
  return events
}

function* bytesOf(wire: Buffer): Generator<Buffer> {
  for (let at = 0; at < wire.length; at++) yield wire.subarray(at, at + 1)
}

function* splitsOf(wire: Buffer): Generator<[Buffer, Buffer]> {
  for (let at = 1; at < wire.length; at++) yield [wire.subarray(0, at), wire.subarray(at)]
}

function describeRows(title: string, rows: readonly Row[]): void {
  describe.each(rows)(`FrameParser reads ${title}: $name`, ({ wire, events }) => {
    test('whole', () => {
      expect(feed([wire])).toEqual(events)
    })

    test('byte by byte', () => {
      expect(feed(bytesOf(wire))).toEqual(events)
    })

    test('at every split', () => {
      for (const pieces of splitsOf(wire)) expect(feed(pieces)).toEqual(events)
    })

    test('with trailing bytes', () => {
      const all = Buffer.concat([wire, TRAILING])

      for (const pieces of [[all], bytesOf(all), ...splitsOf(all)]) {
        expect(feed(pieces)).toEqual([...events, TRAILING_EVENT])
      }
    })

    test('and tells of no whole frame before it is whole', () => {
      const told = feed([wire.subarray(0, -1)])

      expect(told).not.toEqual(events)
      expect(told.length).toBeLessThanOrEqual(events.length)
    })
  })
}

describeRows('content (§6.1)', [
  { name: 'a few bytes', wire: data(1, 'hello'), events: ['data 1 "hello" of 5'] },
  {
    name: 'the last of a stream',
    wire: data(3, 'hello', { endStream: true }),
    events: ['data 3 "hello" of 5 end'],
  },
  { name: 'none', wire: data(1), events: ['data 1 "" of 0'] },
  {
    name: 'none, and the end',
    wire: data(1, '', { endStream: true }),
    events: ['data 1 "" of 0 end'],
  },
  {
    name: 'two streams in turn',
    wire: Buffer.concat([data(1, 'a'), data(3, 'b'), data(1, 'c', { endStream: true })]),
    events: ['data 1 "a" of 1', 'data 3 "b" of 1', 'data 1 "c" of 1 end'],
  },
  {
    name: 'flags without a meaning',
    wire: frame(0, { flags: ALL_UNUSED_FLAGS | 0x24, streamId: 1, payload: 'hello' }),
    events: ['data 1 "hello" of 5'],
  },
  {
    name: 'the reserved bit of the stream (§4.1)',
    wire: frame(0, { streamId: 0x8000_0005, payload: 'hello' }),
    events: ['data 5 "hello" of 5'],
  },
  {
    name: 'the highest stream',
    wire: data(0x7fff_ffff, 'x'),
    events: [`data ${0x7fff_ffff} "x" of 1`],
  },
])

describeRows('padded content (§6.1)', [
  { name: 'of 0 bytes', wire: data(1, 'hello', { padding: 0 }), events: ['data 1 "hello" of 6'] },
  { name: 'of 1 byte', wire: data(1, 'hello', { padding: 1 }), events: ['data 1 "hello" of 7'] },
  {
    name: 'of 255 bytes, and the end',
    wire: data(1, 'hello', { padding: 255, endStream: true }),
    events: ['data 1 "hello" of 261 end'],
  },
  {
    name: 'nothing but a length of 0',
    wire: data(1, '', { padding: 0 }),
    events: ['data 1 "" of 1'],
  },
  {
    name: 'nothing but a length of 0, and the end',
    wire: data(1, '', { padding: 0, endStream: true }),
    events: ['data 1 "" of 1 end'],
  },
  {
    name: 'nothing but padding',
    wire: data(1, '', { padding: 255, endStream: true }),
    events: ['data 1 "" of 256 end'],
  },
  {
    name: 'padding that is not zero, which may be let pass',
    wire: frame(0, { flags: 0x8, streamId: 1, payload: '\x02abyz' }),
    events: ['data 1 "ab" of 5'],
  },
])

describeRows('header blocks (§6.2, §6.10)', [
  { name: 'in one frame', wire: headers(1, Buffer.from('block')), events: ['headers 1 "block"'] },
  {
    name: 'with the end of the stream',
    wire: headers(1, Buffer.from('block'), { endStream: true }),
    events: ['headers 1 "block" end'],
  },
  { name: 'of no bytes', wire: headers(1, Buffer.alloc(0)), events: ['headers 1 ""'] },
  ...[0, 1, 255].map((padding) => ({
    name: `with ${padding} bytes of padding`,
    wire: headers(1, Buffer.from('block'), { padding }),
    events: ['headers 1 "block"'],
  })),
  {
    name: 'that are only padding',
    wire: headers(1, Buffer.alloc(0), { padding: 4 }),
    events: ['headers 1 ""'],
  },
  {
    name: 'with a priority',
    wire: headers(1, Buffer.from('block'), { priority: true }),
    events: ['headers 1 "block"'],
  },
  {
    name: 'with a priority and padding',
    wire: headers(1, Buffer.from('block'), { priority: true, padding: 3, endStream: true }),
    events: ['headers 1 "block" end'],
  },
  {
    name: 'with a priority and nothing else',
    wire: headers(1, Buffer.alloc(0), { priority: true }),
    events: ['headers 1 ""'],
  },
  {
    name: 'with flags without a meaning',
    wire: frame(1, { flags: 0x4 | 0xd2, streamId: 1, payload: 'block' }),
    events: ['headers 1 "block"'],
  },
  {
    name: 'in three frames',
    wire: Buffer.concat([
      headers(1, Buffer.from('one '), { endHeaders: false }),
      continuation(1, 'two ', { endHeaders: false }),
      continuation(1, 'three'),
    ]),
    events: ['headers 1 "one two three"'],
  },
  {
    name: 'in frames of which some are empty',
    wire: Buffer.concat([
      headers(1, Buffer.alloc(0), { endHeaders: false, endStream: true }),
      continuation(1, '', { endHeaders: false }),
      continuation(1, 'block', { endHeaders: false }),
      continuation(1, ''),
    ]),
    events: ['headers 1 "block" end'],
  },
  {
    name: 'in two frames, the first padded and with a priority',
    wire: Buffer.concat([
      headers(1, Buffer.from('one '), { endHeaders: false, padding: 9, priority: true }),
      continuation(1, 'two'),
    ]),
    events: ['headers 1 "one two"'],
  },
  {
    name: 'in two frames, the second with flags without a meaning, END_STREAM among them',
    wire: Buffer.concat([
      headers(1, Buffer.from('one '), { endHeaders: false }),
      frame(9, { flags: 0xff, streamId: 1, payload: 'two' }),
    ]),
    events: ['headers 1 "one two"'],
  },
  {
    name: 'of two streams one behind the other',
    wire: Buffer.concat([
      headers(1, Buffer.from('one '), { endHeaders: false, endStream: true }),
      continuation(1, 'two'),
      headers(3, Buffer.from('three ')),
    ]),
    events: ['headers 1 "one two" end', 'headers 3 "three "'],
  },
])

describeRows('what concerns a stream (§6.3, §6.4, §6.9)', [
  { name: 'RST_STREAM', wire: rstStream(1, 'CANCEL'), events: ['reset 1 8'] },
  {
    name: 'RST_STREAM with a code of 32 bits and all flags',
    wire: frame(3, { flags: 0xff, streamId: 1, payload: '\xff\xff\xff\xff' }),
    events: [`reset 1 ${0xffff_ffff}`],
  },
  { name: 'PRIORITY', wire: priority(1), events: ['ignored'] },
  { name: 'WINDOW_UPDATE', wire: windowUpdate(1, 1), events: ['window 1 1'] },
  {
    name: 'WINDOW_UPDATE of the connection, as wide as can be',
    wire: windowUpdate(0, 0x7fff_ffff),
    events: [`window 0 ${0x7fff_ffff}`],
  },
  {
    name: 'WINDOW_UPDATE with the reserved bit',
    wire: windowUpdate(1, 0x8000_0002),
    events: ['window 1 2'],
  },
  {
    name: 'WINDOW_UPDATE of 0, on which others decide',
    wire: windowUpdate(1, 0),
    events: ['window 1 0'],
  },
])

describeRows('what concerns the connection (§6.5–6.8)', [
  { name: 'no settings', wire: settings(), events: ['settings '] },
  {
    name: 'two settings',
    wire: settings([1, 0], [0xfeed, 0xffff_ffff]),
    events: ['settings 000100000000feedffffffff'],
  },
  { name: 'the acknowledgement of settings', wire: settingsAck(), events: ['settings ack'] },
  {
    name: 'settings with flags without a meaning',
    wire: frame(4, { flags: 0xfe }),
    events: ['settings '],
  },
  { name: 'PING', wire: ping('\0opaque\xff'), events: ['ping \0opaque\xff'] },
  {
    name: 'the answer to PING',
    wire: ping('12345678', { ack: true }),
    events: ['ping ack 12345678'],
  },
  { name: 'GOAWAY', wire: goAway(5, 'NO_ERROR'), events: ['goaway 5 0 ""'] },
  {
    name: 'GOAWAY with a reason and the reserved bit',
    wire: goAway(0xffff_ffff, 0xffff_fffe, LONG),
    events: [`goaway ${0x7fff_ffff} ${0xffff_fffe} "${LONG}"`],
  },
])

describeRows('what it need not know (§4.1, §5.5)', [
  { name: 'an unknown type', wire: frame(0xff, { payload: LONG }), events: ['ignored'] },
  {
    name: 'an unknown type without content on a stream, with all flags',
    wire: frame(0x0a, { flags: 0xff, streamId: 9 }),
    events: ['ignored'],
  },
  {
    name: 'a whole conversation',
    wire: Buffer.concat([
      settings([3, 100]),
      settingsAck(),
      frame(0x10, { payload: 'u=1' }),
      headers(1, Buffer.from('head'), { padding: 1 }),
      data(1, 'content', { padding: 2 }),
      ping(),
      windowUpdate(0, 7),
      headers(1, Buffer.from('trailers'), { endStream: true }),
      goAway(1, 'NO_ERROR', 'bye'),
    ]),
    events: [
      'settings 000300000064',
      'settings ack',
      'ignored',
      'headers 1 "head"',
      'data 1 "content" of 10',
      'ping 12345678',
      'window 0 7',
      'headers 1 "trailers" end',
      'goaway 1 0 "bye"',
    ],
  },
])

test('FrameParser reads a frame of exactly the greatest size', () => {
  const content = 'x'.repeat(MAX_FRAME_BYTES)

  const events = feed([data(1, content), headers(3, Buffer.from(content))])

  expect(events).toEqual([`data 1 "${content}" of ${MAX_FRAME_BYTES}`, `headers 3 "${content}"`])
})

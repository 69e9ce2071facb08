import { describe, expect, test } from 'vitest'
import {
  type FieldLine,
  headers,
  rstStream,
  settings,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import type { Http2Stream } from './http2-stream.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
const POST = { method: 'POST', endStream: false, contentLength: 'unknown' } as const
const NONE = HeaderFields.empty
const MAX_CONCURRENT_STREAMS = 3
const INITIAL_WINDOW_SIZE = 4
const MAX_FRAME_SIZE = 5
const FIRST_WINDOW = 65_535
const WIDEST = 2 ** 31 - 1

/** Windows of both kinds as wide as can be. */
function wideOpen(...values: (readonly [number, number])[]): SessionFixture {
  const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, WIDEST], ...values)
  fixture.receive(windowUpdate(0, WIDEST - FIRST_WINDOW))
  return fixture
}

function post(fixture: SessionFixture): Http2Stream {
  const { stream } = fixture.open(POST)
  fixture.written()
  return stream
}

/** Bytes of content in lines, for a stream or for all. */
function sumOf(lines: readonly string[], streamId = '[0-9]+'): number {
  const pattern = new RegExp(`^DATA ${streamId} ([0-9]+)`)
  return lines.reduce((sum, line) => sum + Number(pattern.exec(line)?.[1] ?? 0), 0)
}

describe('ClientSession ends a request', () => {
  test('in the frame of the last content', () => {
    const fixture = wideOpen()
    const stream = post(fixture)

    fixture.session.send(stream, Buffer.from('hello'))
    fixture.session.send(stream, Buffer.from('world!'))
    fixture.session.sendEnd(stream, NONE)

    expect(fixture.flush()).toEqual(['DATA 1 5', 'DATA 1 6 end'])
    expect(stream.state).toBe('half-closed-local')
  })

  test('in an empty frame, when the content is with the peer already', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.from('hello'))
    const content = fixture.flush()

    fixture.session.sendEnd(stream, NONE)

    expect([...content, ...fixture.flush()]).toEqual(['DATA 1 5', 'DATA 1 0 end'])
  })

  test('in an empty frame, when there is no content, whatever the windows', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 0])
    const stream = post(fixture)
    const hungry = post(fixture)
    fixture.session.send(hungry, Buffer.alloc(10))

    fixture.session.sendEnd(stream, NONE)

    expect(fixture.session.canFill).toBe(true)
    expect(fixture.flush(0)).toEqual(['DATA 1 0 end'])
    expect(fixture.session.canFill).toBe(false)
  })

  test('in trailers behind its content', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.from('hello'))

    fixture.session.sendEnd(stream, HeaderFields.from({ Digest: 'x', TE: 'gzip' }))

    expect(fixture.flush()).toEqual(['DATA 1 5', 'HEADERS 1 end'])
    expect(fixture.reader.fields.at(-1)).toEqual([['digest', 'x']])
  })

  test('in trailers without content', () => {
    const fixture = wideOpen()
    const stream = post(fixture)

    fixture.session.sendEnd(stream, HeaderFields.from({ a: 'b' }))

    expect(fixture.flush()).toEqual(['HEADERS 1 end'])
  })

  test('in trailers of more than a frame', () => {
    const fixture = wideOpen()
    const stream = post(fixture)

    fixture.session.sendEnd(stream, HeaderFields.from({ a: '~'.repeat(40_000) }))

    expect(fixture.flush()).toEqual(['HEADERS 1 end', 'CONTINUATION 1', 'CONTINUATION 1'])
  })

  test('once: what is sent after that is dropped, and its owner told', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    const taken: string[] = []
    fixture.session.sendEnd(stream, NONE)
    fixture.flush()

    fixture.session.send(stream, Buffer.from('late'), () => taken.push('late'))
    fixture.session.sendEnd(stream, NONE)

    expect(fixture.flush()).toEqual([])
    expect(taken).toEqual(['late'])
  })

  test('and tells of the stream when the response is whole, too', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.receive(headers(1, OK, { endStream: true }))
    fixture.session.send(stream, Buffer.from('x'))
    fixture.session.sendEnd(stream, NONE)
    fixture.told()

    fixture.flush()

    expect(fixture.told()).toEqual(['over 1'])
    expect(fixture.session.openStreams).toBe(0)
  })

  test('and an empty piece of content is nothing to send', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    let taken = 0

    fixture.session.send(stream, Buffer.alloc(0), () => taken++)

    expect(fixture.flush()).toEqual([])
    expect(taken).toBe(1)
  })
})

describe('ClientSession keeps within windows (§6.9.1)', () => {
  test('of the stream', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 100])
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.alloc(250))
    fixture.session.sendEnd(stream, NONE)

    const first = fixture.flush()
    fixture.receive(windowUpdate(1, 1))
    const second = fixture.flush()
    fixture.receive(windowUpdate(1, 1000))

    expect([first, second, fixture.flush()]).toEqual([
      ['DATA 1 100'],
      ['DATA 1 1'],
      ['DATA 1 149 end'],
    ])
  })

  test('of the connection', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, WIDEST])
    const streams = [post(fixture), post(fixture), post(fixture)]
    for (const stream of streams) fixture.session.send(stream, Buffer.alloc(100_000))

    const first = fixture.flush()
    const canFill = fixture.session.canFill
    fixture.receive(windowUpdate(0, 5))

    expect(sumOf(first)).toBe(FIRST_WINDOW)
    expect(canFill).toBe(false)
    expect(fixture.session.canFill).toBe(true)
    expect(sumOf(fixture.flush())).toBe(5)
  })

  test('that settings make smaller, to below 0, and updates wider again (§6.9.2)', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 60_000])
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.alloc(100_000))
    const sums = [sumOf(fixture.flush())]

    // The example of §6.9.2: 60 KB are sent, and 16 KB allowed: 44 KB too much.
    fixture.receive(settings([INITIAL_WINDOW_SIZE, 16_000]))
    const window = stream.sendWindow
    sums.push(sumOf(fixture.flush()))
    fixture.receive(windowUpdate(1, 44_000))
    sums.push(sumOf(fixture.flush()))
    fixture.receive(windowUpdate(1, 1))
    sums.push(sumOf(fixture.flush()))
    fixture.receive(settings([INITIAL_WINDOW_SIZE, 16_002]))
    sums.push(sumOf(fixture.flush()))

    expect(window).toBe(-44_000)
    expect(sums).toEqual([60_000, 0, 0, 1, 2])
  })

  test('that settings change back and forth in one frame', () => {
    const fixture = SessionFixture.settled()
    const stream = post(fixture)

    fixture.receive(settings([INITIAL_WINDOW_SIZE, 0], [INITIAL_WINDOW_SIZE, 1000]))

    expect(stream.sendWindow).toBe(1000)
  })

  test('that settings change for streams to come as well', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 10])

    expect(post(fixture).sendWindow).toBe(10)
  })

  test('and content waits for the first settings no longer than the first windows last', () => {
    const fixture = new SessionFixture()
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.alloc(70_000))

    expect(sumOf(fixture.flush())).toBe(FIRST_WINDOW)
  })

  test.each([
    ['a stream', 1, 'over 1,1 fault FLOW_CONTROL_ERROR', undefined],
    ['the connection', 0, '', 'FLOW_CONTROL_ERROR'],
  ])('and a window of %s beyond 2^31-1 is a mistake of the peer', (_, streamId, told, code) => {
    const fixture = SessionFixture.settled()
    post(fixture)

    fixture.receive(windowUpdate(streamId, WIDEST - FIRST_WINDOW))
    const fault = faultOf(() => fixture.receive(windowUpdate(streamId, 1)))

    expect(fault).toBe(code)
    expect(fixture.told().join(',')).toBe(told)
  })

  test('and so is a setting that widens one beyond 2^31-1 (§6.9.2)', () => {
    const fixture = SessionFixture.settled()
    post(fixture)
    fixture.receive(windowUpdate(1, 1))

    const code = faultOf(() => fixture.receive(settings([INITIAL_WINDOW_SIZE, WIDEST])))

    expect(code).toBe('FLOW_CONTROL_ERROR')
  })

  test('and an update of 0 of the connection is a mistake (§6.9)', () => {
    const fixture = SessionFixture.settled()

    expect(faultOf(() => fixture.receive(windowUpdate(0, 0)))).toBe('PROTOCOL_ERROR')
  })
})

describe('ClientSession cuts content', () => {
  test('into frames of what the peer takes (§4.2)', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.alloc(50_000))

    const before = fixture.flush(30_000)
    fixture.receive(settings([MAX_FRAME_SIZE, 20_000]))
    fixture.session.send(stream, Buffer.alloc(50_000))
    const after = fixture.flush()

    const sizes = (lines: readonly string[]): number[] => lines.map((line) => sumOf([line]))
    expect(Math.max(...sizes(before))).toBeLessThanOrEqual(16_384)
    expect(Math.max(...sizes(after))).toBe(20_000)
    expect(sumOf([...before, ...after])).toBe(100_000)
  })

  test('into frames of 64 KiB, however large the peer takes them', () => {
    const fixture = wideOpen([MAX_FRAME_SIZE, 2 ** 24 - 1])
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.alloc(1_000_000))

    const lines = fixture.flush()

    expect(Math.max(...lines.map((line) => sumOf([line])))).toBe(65_536)
  })

  test('and heads, too, the rest in CONTINUATION', () => {
    const fixture = wideOpen()
    const stream = post(fixture)

    fixture.open({ headers: HeaderFields.from({ long: '~'.repeat(20_000) }) })
    fixture.session.sendEnd(stream, NONE)

    expect(fixture.flush()).toEqual(['HEADERS 3 end', 'CONTINUATION 3', 'DATA 1 0 end'])
  })

  test('and gives no more than it was asked for', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.alloc(1_000_000))

    fixture.session.fill(50_000)

    expect(sumOf(fixture.written())).toBeLessThanOrEqual(50_000)
  })

  test('and its bytes arrive as they were', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
    fixture.session.send(stream, content.subarray(0, 123_456))
    fixture.session.send(stream, content.subarray(123_456))
    fixture.session.sendEnd(stream, NONE)

    const pieces: Buffer[] = []
    for (let bytes = fill(); bytes.length > 0; bytes = fill()) {
      for (let at = 0; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
        pieces.push(bytes.subarray(at + 9, at + 9 + bytes.readUIntBE(at, 3)))
      }
    }
    function fill(): Buffer {
      fixture.session.fill(70_000)
      return fixture.bytes()
    }

    expect(Buffer.concat(pieces).equals(content)).toBe(true)
  })
})

describe('ClientSession gives each stream its turn', () => {
  test.each([2, 10, 50])('%i of them, to a frame', (count) => {
    const fixture = wideOpen()
    const streams = Array.from({ length: count }, () => post(fixture))
    for (const stream of streams) fixture.session.send(stream, Buffer.alloc(2_000_000))

    const lines: string[] = []
    while (sumOf(lines) < count * 200_000) {
      fixture.session.fill(135_168)
      lines.push(...fixture.written())
    }

    const sums = streams.map(({ id }) => sumOf(lines, String(id)))
    expect(Math.max(...sums) - Math.min(...sums)).toBeLessThanOrEqual(2 * 16_384)
  })

  test('also when the window of the connection is what there is too little of', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, WIDEST])
    const streams = Array.from({ length: 10 }, () => post(fixture))
    for (const stream of streams) fixture.session.send(stream, Buffer.alloc(1_000_000))
    const lines = fixture.flush()

    for (let round = 0; round < 50; round++) {
      fixture.receive(windowUpdate(0, 16_384))
      lines.push(...fixture.flush())
    }

    const sums = streams.map(({ id }) => sumOf(lines, String(id)))
    expect(Math.max(...sums) - Math.min(...sums)).toBeLessThanOrEqual(2 * 16_384)
  })

  test('and one that waits for its window stops none of the others', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 0])
    const [waiting, other] = [post(fixture), post(fixture)]
    fixture.session.send(waiting, Buffer.alloc(10))
    fixture.session.send(other, Buffer.alloc(10))

    fixture.receive(windowUpdate(other.id, 10))

    expect(fixture.flush()).toEqual(['DATA 3 10'])
  })
})

describe('ClientSession gives content back by onTaken, once', () => {
  type End = (fixture: SessionFixture, stream: Http2Stream) => void
  const ENDS: Record<string, End> = {
    'when all of it is sent': (fixture) => fixture.receive(windowUpdate(1, 1000)),
    'when the stream is reset': ({ session }, stream) => {
      session.reset(stream, 'CANCEL')
      session.reset(stream, 'CANCEL')
    },
    'when the peer resets the stream': (fixture) => fixture.receive(rstStream(1, 'CANCEL')),
    'when the sending is stopped': ({ session }, stream) => {
      session.stopSending(stream)
      session.reset(stream, 'CANCEL')
    },
    'when the response is a fault': (fixture) => fixture.receive(headers(1, [])),
    'when the connection ends': ({ session }, stream) => {
      session.end('NO_ERROR')
      session.reset(stream, 'CANCEL')
    },
    'when the response ends and the peer wants no more': (fixture) =>
      fixture.receive(headers(1, OK, { endStream: true }), rstStream(1, 'NO_ERROR')),
  }

  test.each(Object.keys(ENDS))('%s', (name) => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 150], [MAX_CONCURRENT_STREAMS, 9])
    const stream = post(fixture)
    const taken: string[] = []
    for (const piece of ['first', 'second', 'third']) {
      fixture.session.send(stream, Buffer.alloc(100), () => taken.push(piece))
    }
    fixture.session.sendEnd(stream, NONE)
    fixture.flush()
    const before = [...taken]

    ENDS[name]?.(fixture, stream)
    fixture.flush()
    fixture.session.send(stream, Buffer.alloc(1), () => taken.push('late'))

    expect(before).toEqual(['first'])
    expect(taken).toEqual(['first', 'second', 'third', 'late'])
  })

  test('from where more of the same may be sent', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.from('a'), () => {
      fixture.session.send(stream, Buffer.from('bc'))
      fixture.session.sendEnd(stream, NONE)
    })

    expect(fixture.flush()).toEqual(['DATA 1 1', 'DATA 1 2 end'])
  })

  test('from where others may be ended whose turn was next', () => {
    const fixture = wideOpen()
    const streams = [post(fixture), post(fixture), post(fixture), post(fixture)] as const
    const [first, reset, stopped, last] = streams
    fixture.session.send(first, Buffer.from('a'), () => {
      fixture.session.reset(reset, 'CANCEL')
      fixture.session.stopSending(stopped)
    })
    for (const stream of [reset, stopped]) {
      fixture.session.send(stream, Buffer.from('unwanted'))
      fixture.session.sendEnd(stream, NONE)
    }
    fixture.session.sendEnd(last, NONE)

    const lines = fixture.flush()

    expect(lines).toEqual(['DATA 1 1', 'RST_STREAM 3 CANCEL', 'DATA 7 0 end'])
  })
})

describe('ClientSession stops sending a request', () => {
  test('and goes on with the response, then tells the peer by RST_STREAM', () => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, 5])
    const stream = post(fixture)
    fixture.session.send(stream, Buffer.from('hello world'))
    fixture.session.sendEnd(stream, NONE)
    fixture.flush()

    fixture.receive(headers(1, [[':status', '413']]))
    fixture.session.stopSending(stream)
    fixture.session.stopSending(stream)
    fixture.receive(windowUpdate(1, 1000))
    const during = fixture.flush()
    fixture.receive(headers(1, [['a', 'b']], { endStream: true }))

    expect(during).toEqual([])
    expect(fixture.flush()).toEqual(['RST_STREAM 1 CANCEL'])
    expect(fixture.told()).toEqual(['1 head 413 unknown', 'over 1', '1 end a=b'])
  })

  test('and at once by RST_STREAM, when the response is whole', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.receive(headers(1, OK, { endStream: true }))

    fixture.session.stopSending(stream)

    expect(fixture.flush()).toEqual(['RST_STREAM 1 CANCEL'])
    expect(fixture.told()).toEqual(['1 head 200 0', '1 end', 'over 1'])
  })

  test('from within the end of the response', () => {
    const fixture = wideOpen()
    const { stream, handler } = fixture.open(POST)
    handler.react = (line) => {
      if (line === '1 end') fixture.session.stopSending(stream)
    }

    fixture.receive(headers(1, OK, { endStream: true }))

    expect(fixture.flush()).toEqual(['HEADERS 1', 'RST_STREAM 1 CANCEL'])
  })

  test('not when it is sent to its end', () => {
    const fixture = wideOpen()
    const { stream } = fixture.open()
    fixture.written()

    fixture.session.stopSending(stream)
    fixture.receive(headers(1, OK, { endStream: true }))

    expect(fixture.flush()).toEqual([])
  })

  test('when the peer says that it wants no more (§8.1), after the whole response', () => {
    const fixture = wideOpen()
    const stream = post(fixture)
    fixture.receive(headers(1, OK, { endStream: true }), rstStream(1, 'NO_ERROR'))

    expect(fixture.told()).toEqual(['1 head 200 0', '1 end', 'over 1', '1 sending refused'])
    fixture.session.send(stream, Buffer.from('x'))
    expect(fixture.flush()).toEqual([])
  })
})

describe('ClientSession resets a stream', () => {
  test('once, and says nothing to its handler', () => {
    const fixture = wideOpen()
    const stream = post(fixture)

    fixture.session.reset(stream, 'CANCEL')
    fixture.session.reset(stream, 'INTERNAL_ERROR')
    fixture.session.stopSending(stream)

    expect(fixture.flush()).toEqual(['RST_STREAM 1 CANCEL'])
    expect(fixture.told()).toEqual(['over 1'])
  })

  test('not one that has ended', () => {
    const fixture = wideOpen()
    const { stream } = fixture.open()
    fixture.receive(headers(1, OK, { endStream: true }))
    fixture.written()

    fixture.session.reset(stream, 'CANCEL')

    expect(fixture.written()).toEqual([])
  })
})

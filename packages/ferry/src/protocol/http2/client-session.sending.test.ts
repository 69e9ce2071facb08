import { describe, expect, test } from 'vitest'
import { type FieldLine, headers, rstStream, windowUpdate } from '../../testing/http2-frames.ts'
import { SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import type { Http2Stream } from './http2-stream.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
const POST = { method: 'POST', endStream: false, contentLength: 'unknown' } as const
const NONE = HeaderFields.empty
const MAX_CONCURRENT_STREAMS = 3
const INITIAL_WINDOW_SIZE = 4
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

describe('ClientSession gives content back by onTaken, each byte once', () => {
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
    const taken: [string, number][] = []
    for (const piece of ['first', 'second', 'third']) {
      fixture.session.send(stream, Buffer.alloc(100), (bytes) => taken.push([piece, bytes]))
    }
    fixture.session.sendEnd(stream, NONE)
    fixture.flush()
    const before = [...taken]

    ENDS[name]?.(fixture, stream)
    fixture.flush()
    fixture.session.send(stream, Buffer.alloc(1), (bytes) => taken.push(['late', bytes]))

    expect(before).toEqual([
      ['first', 100],
      ['second', 50],
    ])
    expect(taken).toEqual([...before, ['second', 50], ['third', 100], ['late', 1]])
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

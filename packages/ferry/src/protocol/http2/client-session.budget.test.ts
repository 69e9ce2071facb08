import { describe, expect, test } from 'vitest'
import {
  data,
  type FieldLine,
  frame,
  headers,
  ping,
  priority,
  rstStream,
  settings,
  settingsAck,
  windowUpdate,
} from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'
import { FrameBudget } from './frame-budget.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
const POST = { method: 'POST', endStream: false, contentLength: 'unknown' } as const
const INITIAL_WINDOW_SIZE = 4
const MIB = 1024 * 1024
const GIB = 1024 * MIB
// More than anybody could call an accident.
const FLOOD = 100_000

describe('ClientSession ends a connection that floods it (§10.5) with', () => {
  const FLOODS: Record<string, Buffer> = {
    PING: ping(),
    'answers to PING': ping('12345678', { ack: true }),
    settings: settings(),
    'acknowledgements of settings': settingsAck(),
    PRIORITY: priority(1),
    'unknown types': frame(0xee, { streamId: 1 }),
    'window updates of the connection by 1': windowUpdate(0, 1),
    'window updates of a stream by 1': windowUpdate(1, 1),
    'window updates of a stream that is over': windowUpdate(3, 1),
    'empty content': data(1),
    'nothing but padding': data(1, '', { padding: 0 }),
    'empty content of a stream that is reset': data(3),
    'empty content of a stream that is reset, with the end': data(3, '', { endStream: true }),
    'nothing but padding for a stream that is reset': data(3, '', { padding: 0 }),
    'content of a stream that is reset, byte by byte': data(3, 'x'),
    'heads for a stream that is reset': headers(3, OK),
    'the end of a stream that is reset': rstStream(3, 'CANCEL'),
    'GOAWAY for all': frame(7, { payload: '\x7f\xff\xff\xff\0\0\0\0' }),
  }

  test.each(Object.keys(FLOODS))('%s', (name) => {
    const fixture = SessionFixture.settled()
    fixture.open()
    fixture.session.reset(fixture.open().stream, 'CANCEL')
    fixture.receive(headers(1, OK))
    const flood = Buffer.concat(Array.from({ length: 1000 }, () => FLOODS[name] as Buffer))

    const code = faultOf(() => {
      for (let sent = 0; sent < 10 * FLOOD; sent += 1000) {
        fixture.receive(flood)
        fixture.bytes()
      }
    })

    expect(code).toBe('ENHANCE_YOUR_CALM')
  })

  test('interim responses over many streams', () => {
    const fixture = SessionFixture.settled()

    const code = faultOf(() => {
      for (let count = 0; count < FLOOD / 50; count++) {
        const { id } = fixture.open().stream
        for (let more = 0; more < 50; more++) fixture.receive(headers(id, [[':status', '103']]))
      }
    })

    expect(code).toBe('ENHANCE_YOUR_CALM')
  })

  test('questions whose answers it does not read, paid for by content', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open()
    fixture.receive(headers(1, OK))
    const bytes = Buffer.concat([data(1, Buffer.alloc(1000)), ping(), ping(), ping()])

    const code = faultOf(() => {
      for (let count = 0; count < FLOOD; count++) {
        fixture.receive(bytes)
        fixture.session.consume(stream, 1000)
      }
    })

    expect(code).toBe('ENHANCE_YOUR_CALM')
    expect(fixture.session.take()?.bytes.length).toBeLessThan(100_000)
  })

  test('empty content of streams that GOAWAY has left out', () => {
    const fixture = SessionFixture.settled()
    for (let count = 0; count < 10; count++) fixture.open()
    fixture.receive(frame(7, { payload: '\0\0\0\0\0\0\0\0' }))
    const end = Buffer.concat(Array.from({ length: 1000 }, () => data(5, '', { endStream: true })))

    const code = faultOf(() => {
      for (let sent = 0; sent < FLOOD; sent += 1000) fixture.receive(end)
    })

    expect(code).toBe('ENHANCE_YOUR_CALM')
  })
})

describe('ClientSession lets ordinary traffic be:', () => {
  test('a PING each 10 s, for a day', () => {
    const fixture = SessionFixture.settled()

    for (; fixture.now < 86_400_000; fixture.now += 10_000) {
      fixture.receive(ping())
      fixture.written()
    }

    expect(fixture.now).toBe(86_400_000)
  })

  test('ten PINGs each second, for an hour', () => {
    const fixture = SessionFixture.settled()

    for (; fixture.now < 3_600_000; fixture.now += 100) {
      fixture.receive(ping(), settingsAck())
      fixture.bytes()
    }

    expect(fixture.now).toBe(3_600_000)
  })

  test.each([
    ['16 KiB', 16_384, undefined],
    ['8 KiB', 8192, undefined],
    ['16 KiB, each padded by a byte,', 16_382, 0],
    ['1 KiB, each padded by 255 bytes,', 1024, 255],
    ['no more than 10 bytes', 10, undefined],
  ])('a download in frames of %s, 50 000 of them in no time', (_, bytes, padding) => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open()
    fixture.receive(headers(1, OK))
    const frames = Buffer.concat(
      Array.from({ length: 8 }, () => data(1, Buffer.alloc(bytes), { padding })),
    )

    for (let count = 0; count < 50_000; count += 8) {
      fixture.receive(frames)
      fixture.session.consume(stream, 8 * bytes)
      fixture.bytes()
    }

    expect(fixture.session.openStreams).toBe(1)
  })

  test('a download of 10 GiB in frames of 16 KiB', () => {
    const fixture = SessionFixture.settled()
    const { stream, handler } = fixture.open()
    fixture.receive(headers(1, OK))
    handler.onContent = (): void => {}
    const frames = Buffer.concat(Array.from({ length: 64 }, () => data(1, Buffer.alloc(16_384))))
    // The first window is less than a MiB.
    while (stream.windowTarget < 8 * MIB) {
      fixture.receive(data(1, Buffer.alloc(16_384)))
      fixture.session.consume(stream, 16_384)
    }

    for (let received = 0; received < 10 * GIB; received += MIB) {
      fixture.receive(frames)
      fixture.session.consume(stream, MIB)
      fixture.bytes()
    }

    expect(fixture.session.openStreams).toBe(1)
  })

  test.each([
    ['each KiB of an upload', 1024],
    ['each frame of an upload', 16_384],
  ])('updates of both windows for %s', (_, bytes) => {
    const fixture = SessionFixture.settled([INITIAL_WINDOW_SIZE, MIB])
    const { stream } = fixture.open(POST)
    fixture.bytes()
    const content = Buffer.alloc(MIB)
    const answer = Buffer.concat([windowUpdate(0, bytes), windowUpdate(1, bytes)])
    let unanswered = 0

    for (let sent = 0; sent < 200 * MIB;) {
      if (stream.queue.length === 0) fixture.session.send(stream, content)
      fixture.session.fill(135_168)
      const written = fixture.bytes().length
      sent += written
      // As a server that reads in pieces of this size; headers are not counted, so it lags a little.
      for (unanswered += written - Math.ceil(written / 16_384) * 20; unanswered >= bytes;) {
        fixture.receive(answer)
        unanswered -= bytes
      }
      if (written === 0) fixture.receive(windowUpdate(0, MIB), windowUpdate(1, MIB))
    }

    expect(fixture.session.openStreams).toBe(1)
  })

  test('small messages in both directions, each answered by two updates, some by a PING', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open(POST)
    fixture.receive(headers(1, OK))
    const answer = [windowUpdate(0, 100), windowUpdate(1, 100), data(1, Buffer.alloc(100))]

    for (let count = 0; count < 20_000; count++) {
      fixture.session.send(stream, Buffer.alloc(100))
      fixture.session.fill(135_168)
      fixture.bytes()
      fixture.receive(...answer)
      if (count % 10 === 0) fixture.receive(ping())
      fixture.session.consume(stream, 100)
    }

    expect(fixture.session.openStreams).toBe(1)
  })

  test('small messages of the peer, byte by byte', () => {
    const fixture = SessionFixture.settled()
    const { stream } = fixture.open()
    fixture.receive(headers(1, OK))

    for (let count = 0; count < 20_000; count++) {
      fixture.receive(data(1, 'x'))
      fixture.session.consume(stream, 1)
    }

    expect(fixture.session.openStreams).toBe(1)
  })

  test('many short responses', () => {
    const fixture = SessionFixture.settled()

    for (let count = 0; count < 20_000; count++) {
      const { id } = fixture.open().stream
      fixture.receive(headers(id, OK), data(id, '', { endStream: true }), windowUpdate(0, 1))
      fixture.bytes()
    }

    expect(fixture.session.openStreams).toBe(0)
  })

  test.each([
    ['in frames of 16 KiB', 16_384, undefined, 65_536],
    ['in frames of 8 KiB, as nginx has them,', 8192, undefined, 65_536],
    ['in records of 1.4 KB, as TLS may cut them,', 8192, undefined, 1400],
    ['in padded frames', 4000, 95, 16_384],
  ])('all that was under way %s when a download was given up', (_, bytes, padding, piece) => {
    const fixture = SessionFixture.settled()
    const one = data(1, Buffer.alloc(bytes), { padding })
    const { stream } = fixture.open()
    fixture.receive(headers(1, OK))
    // Up to the widest window.
    while (stream.windowTarget < 8 * MIB) {
      fixture.receive(data(1, Buffer.alloc(16_384)))
      fixture.session.consume(stream, 16_384)
    }
    const count = Math.floor(stream.receiveWindow / (one.length - 9))
    const wire = Buffer.concat(Array.from({ length: count }, () => one))

    fixture.session.reset(stream, 'CANCEL')
    const code = faultOf(() => {
      for (let at = 0; at < wire.length; at += piece) fixture.receive(wire.subarray(at, at + piece))
    })

    expect(code).toBeUndefined()
  })
})

describe('FrameBudget', () => {
  test('gives back 20 a second, and 2000 at most', () => {
    const budget = new FrameBudget()
    budget.spend(2000, 0)

    expect(faultOf(() => budget.spend(20, 1000))).toBeUndefined()
    expect(faultOf(() => budget.spend(1, 1000))).toBe('ENHANCE_YOUR_CALM')
    const other = new FrameBudget()
    other.earn(1_000_000)
    expect(faultOf(() => other.spend(2000, 1e12))).toBeUndefined()
    expect(faultOf(() => other.spend(1, 1e12))).toBe('ENHANCE_YOUR_CALM')
  })

  test('lets each update pass that was earned, however late, and then counts them as others', () => {
    const budget = new FrameBudget()
    budget.earnUpdates(5000.5)

    const code = faultOf(() => {
      for (let count = 0; count < 7000; count++) budget.spendUpdate(0)
    })

    expect(code).toBeUndefined()
    expect(faultOf(() => budget.spendUpdate(0))).toBe('ENHANCE_YOUR_CALM')
  })

  test('takes nothing away when the clock goes back', () => {
    const budget = new FrameBudget()
    budget.spend(1, 1e9)

    expect(faultOf(() => budget.spend(1, 0))).toBeUndefined()
  })
})

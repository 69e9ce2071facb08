import { describe, expect, test } from 'vitest'
import { data, type FieldLine, headers } from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'
import type { Http2Stream } from './http2-stream.ts'

const OK: readonly FieldLine[] = [[':status', '200']]
// What the session tells its peer at the beginning.
const FIRST_WINDOW = 262_144
const CONNECTION_WINDOW = 67_108_864
const MAX_WINDOW = 8_388_608
const FRAME = 16_384
const FULL_FRAME = Buffer.alloc(FRAME)

interface Opened {
  readonly fixture: SessionFixture
  readonly stream: Http2Stream
}

function openStream(): Opened {
  const fixture = SessionFixture.settled()
  const { stream } = fixture.open()
  fixture.receive(headers(1, OK))
  fixture.written()
  fixture.told()
  return { fixture, stream }
}

/** Content of so many bytes, in frames of the greatest size. */
function content(streamId: number, bytes: number): Buffer[] {
  const frames = Array.from({ length: Math.floor(bytes / FRAME) }, () => data(streamId, FULL_FRAME))
  return bytes % FRAME === 0 ? frames : [...frames, data(streamId, Buffer.alloc(bytes % FRAME))]
}

/** What was given back for a stream, or for the connection, in all. */
function sumOf(lines: readonly string[], streamId: number): number {
  const start = `WINDOW_UPDATE ${streamId} `
  return lines
    .filter((line) => line.startsWith(start))
    .reduce((sum, line) => sum + Number(line.slice(start.length)), 0)
}

describe('ClientSession opens the window of a stream (§6.9)', () => {
  test('by what was consumed, once it is half of it', () => {
    const { fixture, stream } = openStream()
    stream.heldBack = true
    fixture.receive(...content(1, FIRST_WINDOW))

    fixture.session.consume(stream, FIRST_WINDOW / 2 - 1)
    const before = fixture.written()
    fixture.session.consume(stream, 1)

    expect(before).toEqual([])
    expect(fixture.written()).toEqual([`WINDOW_UPDATE 1 ${FIRST_WINDOW / 2}`])
  })

  test('not for content that nobody has consumed', () => {
    const { fixture } = openStream()

    fixture.receive(...content(1, FIRST_WINDOW))

    expect(fixture.written()).toEqual([])
    expect(fixture.session.openStreams).toBe(1)
  })

  test('for padding, and the field that tells its length, by itself (§6.1)', () => {
    const { fixture } = openStream()

    for (let sent = 0; sent < FIRST_WINDOW / 2; sent += 256) {
      fixture.receive(data(1, '', { padding: 255 }))
    }

    // It did not wait for a reader: so it is held for one that keeps up.
    expect(fixture.written()).toEqual([`WINDOW_UPDATE 1 ${FIRST_WINDOW / 2 + FIRST_WINDOW}`])
  })

  test('and consumption of padding and of content come to exactly what was sent', () => {
    const { fixture, stream } = openStream()
    let sent = 0
    let given = FIRST_WINDOW

    for (let round = 0; round < 3000; round++) {
      const length = (round * 37) % 500
      fixture.receive(data(1, Buffer.alloc(length), { padding: round % 256 }))
      sent += length + (round % 256) + 1
      fixture.session.consume(stream, length)
      given += sumOf(fixture.written(), 1)
      expect(given - sent).toBe(stream.receiveWindow)
      expect(stream.receiveWindow + stream.consumedBytes).toBe(stream.windowTarget)
    }
  })

  test('not of one whose response is whole, or that was reset', () => {
    const { fixture, stream } = openStream()
    fixture.receive(...content(1, FIRST_WINDOW - 1), data(1, 'x', { endStream: true }))

    fixture.session.consume(stream, FIRST_WINDOW)

    expect(fixture.written()).toEqual([])
  })
})

describe('ClientSession widens the window of a reader that keeps up', () => {
  /** Sends what the window allows and consumes it, so many times. */
  function pump({ fixture, stream }: Opened, rounds: number, heldBack = false): number[] {
    const targets: number[] = []
    for (let round = 0; round < rounds; round++) {
      const bytes = stream.receiveWindow
      fixture.receive(...content(stream.id, bytes))
      if (heldBack) stream.heldBack = true
      fixture.session.consume(stream, bytes)
      targets.push(stream.windowTarget)
    }
    return targets
  }

  test('to twice as much each time, and 8 MiB at most', () => {
    const opened = openStream()

    const targets = pump(opened, 7)

    const expected = [1, 2, 3, 4, 5].map((power) => FIRST_WINDOW * 2 ** power)
    expect(targets).toEqual([...expected, MAX_WINDOW, MAX_WINDOW])
    expect(opened.stream.receiveWindow).toBe(MAX_WINDOW)
  })

  test('and tells the peer of just that', () => {
    const opened = openStream()
    pump(opened, 1)

    expect(sumOf(opened.fixture.written(), 1)).toBe(FIRST_WINDOW + FIRST_WINDOW)
  })

  test('not of one for whom content had to be held', () => {
    const opened = openStream()

    expect(pump(opened, 3, true)).toEqual([FIRST_WINDOW, FIRST_WINDOW, FIRST_WINDOW])
    expect(pump(opened, 1)).toEqual([FIRST_WINDOW * 2])
  })

  test('to 64 MiB for all streams together, which the end of one gives back', () => {
    const fixture = SessionFixture.settled()
    const streams: Http2Stream[] = []
    for (let count = 0; count < 12; count++) {
      const { stream } = fixture.open()
      streams.push(stream)
      fixture.receive(headers(stream.id, OK))
      pump({ fixture, stream }, 6)
    }
    const growth = streams.map((stream) => stream.windowTarget - FIRST_WINDOW)
    const [first, last] = [streams[0] as Http2Stream, streams.at(-1) as Http2Stream]

    fixture.session.reset(first, 'CANCEL')
    const targets = pump({ fixture, stream: last }, 6)

    expect(growth.reduce((sum, bytes) => sum + bytes, 0)).toBe(67_108_864)
    expect(growth.at(-1)).toBe(0)
    expect(targets.at(-1)).toBe(MAX_WINDOW)
  })
})

describe('ClientSession opens the window of the connection', () => {
  test('as content comes, consumed or not, once half of it is used', () => {
    const fixture = SessionFixture.settled()
    for (let id = 1; id <= 2 * 129; id += 2) {
      fixture.open()
      fixture.receive(headers(id, OK))
    }
    fixture.written()

    for (let id = 1; id < 1 + 2 * 128; id += 2) fixture.receive(...content(id, FIRST_WINDOW))
    const atHalf = fixture.written()
    fixture.receive(...content(257, FIRST_WINDOW))

    expect(atHalf).toEqual([`WINDOW_UPDATE 0 ${CONNECTION_WINDOW / 2}`])
    expect(fixture.written()).toEqual([])
  })

  test('for content that is thrown away, too (§5.1)', () => {
    const { fixture, stream } = openStream()
    fixture.session.reset(stream, 'CANCEL')
    fixture.written()
    let given = 0

    for (let id = 3; id <= 1001; id += 2) {
      const other = fixture.open().stream
      fixture.session.reset(other, 'CANCEL')
      fixture.receive(...content(id, FIRST_WINDOW))
      given += sumOf(fixture.written(), 0)
    }

    const sent = 500 * FIRST_WINDOW
    expect(sent).toBeGreaterThan(CONNECTION_WINDOW)
    expect(sent - given).toBeLessThan(CONNECTION_WINDOW / 2)
  })
})

describe('ClientSession finds more content than a window allows (§6.9.1)', () => {
  test('and takes exactly the window of a stream', () => {
    const { fixture } = openStream()

    fixture.receive(...content(1, FIRST_WINDOW), data(1, ''))

    expect(fixture.told().some((line) => line.includes('fault'))).toBe(false)
  })

  test.each([
    ['a byte of content', data(1, 'x')],
    ['the length of padding', data(1, '', { padding: 0 })],
    ['padding', data(1, '', { padding: 255 })],
  ])('and ends the stream at %s more', (_, more) => {
    const { fixture } = openStream()

    fixture.receive(...content(1, FIRST_WINDOW), more)

    expect(fixture.told().slice(-2)).toEqual(['over 1', '1 fault FLOW_CONTROL_ERROR'])
    expect(fixture.written()).toEqual(['RST_STREAM 1 FLOW_CONTROL_ERROR'])
  })

  test('and ends the connection when the peer goes on after we have had to stop it', () => {
    const { fixture, stream } = openStream()
    fixture.session.reset(stream, 'CANCEL')
    const frame = data(1, FULL_FRAME)

    // The window of the connection is given back as it comes: what a peer does on a stream that is gone
    // has to end some time all the same.
    const code = faultOf(() => {
      for (let count = 0; count < 20_000; count++) fixture.receive(frame)
    })

    expect(code).toBe('ENHANCE_YOUR_CALM')
  })

  test('and a window that was widened counts', () => {
    const { fixture, stream } = openStream()
    fixture.receive(...content(1, FIRST_WINDOW))
    fixture.session.consume(stream, FIRST_WINDOW)

    fixture.receive(...content(1, 2 * FIRST_WINDOW))
    const before = fixture.told().at(-1)
    fixture.receive(data(1, 'x'))

    expect(before).toBe(`1 content ${FRAME}`)
    expect(fixture.told()).toEqual(['over 1', '1 fault FLOW_CONTROL_ERROR'])
  })
})

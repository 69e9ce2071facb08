import { describe, expect, test } from 'vitest'
import { settings, windowUpdate } from '../../testing/http2-frames.ts'
import { faultOf, SessionFixture } from '../../testing/http2-session-fixture.ts'
import { HeaderFields } from '../semantics/header-fields.ts'
import type { Http2Stream } from './http2-stream.ts'

const POST = { method: 'POST', endStream: false, contentLength: 'unknown' } as const
const NONE = HeaderFields.empty
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

  test('of the connection, where what has only its end to send goes on', () => {
    const fixture = SessionFixture.settled()
    const [first, second] = [post(fixture), post(fixture)]
    fixture.session.send(first, Buffer.alloc(40_000))
    fixture.session.send(second, Buffer.alloc(40_000))
    const sum = sumOf(fixture.flush())
    const whole = post(fixture)

    const before = fixture.session.canFill
    fixture.session.sendEnd(whole, NONE)

    expect(sum).toBe(FIRST_WINDOW)
    expect([before, fixture.session.canFill]).toEqual([false, true])
    expect(fixture.flush()).toEqual([`DATA ${whole.id} 0 end`])
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

test('ClientSession lets go of memory, and of no frame', () => {
  const fixture = wideOpen()
  const stream = post(fixture)
  fixture.session.send(stream, Buffer.alloc(300_000))
  fixture.flush(200_000)
  fixture.session.ping()

  fixture.session.shrink()

  expect(fixture.written()).toEqual([`PING ${'\0'.repeat(8)}`])
  expect(sumOf(fixture.flush())).toBeGreaterThan(0)
})

/** A reader that is slow: what is held for it, what the peer may send, and what others see of it. */
import { expect, test } from 'vitest'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import { data, headers } from '../testing/http2-frames.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const WINDOW = 262_144
const ENOUGH = new Error('enough')

/** Counts content instead of writing it down. */
class CountingHandler extends RecordingHandler {
  received = 0

  override onContent(bytes: Buffer): boolean {
    this.received += bytes.length
    return this.flowing
  }
}

/** A response whose head is here, read by a handler that can pause. */
async function reading(
  handler: RecordingHandler = new RecordingHandler(),
): Promise<Http2ConnectionFixture & { handler: RecordingHandler }> {
  const fixture = Http2ConnectionFixture.settled()
  handler.exchange = fixture.start(new HttpRequest('GET', 'https://h/a'), handler)
  await turn()
  fixture.peer.head(1, 200)
  fixture.peer.take()
  return Object.assign(fixture, { handler })
}

test('a reader that pauses gets nothing until it resumes, and then all in order', async () => {
  const { handler, peer } = await reading()
  handler.flowing = false
  peer.data(1, 'one')
  peer.data(1, 'two')
  peer.data(1, 'three')
  const before = handler.events.slice(1)
  handler.flowing = true

  handler.exchange?.resume()
  peer.data(1, 'four', true)

  expect(before).toEqual(['content one'])
  expect(handler.events.slice(2)).toEqual([
    'content two',
    'content three',
    'content four',
    'complete',
  ])
})

test('a reader that pauses at each piece gets one with each resume()', async () => {
  const { handler, peer } = await reading()
  handler.flowing = false
  for (const piece of ['a', 'b', 'c']) peer.data(1, piece)
  peer.data(1, 'd', true)
  const seen: number[] = []

  for (let step = 0; step < 4; step++) {
    handler.exchange?.resume()
    seen.push(handler.events.length)
  }

  expect(seen).toEqual([3, 4, 6, 6])
  expect(handler.events).toEqual([
    'head 200 unknown',
    'content a',
    'content b',
    'content c',
    'content d',
    'complete',
  ])
})

test('what is held is copied: the memory it came in is used again', async () => {
  const { handler, stream } = await reading()
  handler.flowing = false
  const bytes = Buffer.concat([data(1, 'given'), data(1, 'held1'), data(1, 'held2')])
  const reader = stream as unknown as { send(bytes: Buffer): void }
  reader.send(bytes)
  bytes.fill('!')

  handler.flowing = true
  handler.exchange?.resume()

  expect(handler.events.slice(1)).toEqual(['content given', 'content held1', 'content held2'])
})

test('what is held for a slow reader is bounded by the window of its stream', async () => {
  const counting = new CountingHandler()
  const { handler, peer } = await reading(counting)
  handler.flowing = false

  peer.offer(1, Buffer.alloc(4 * WINDOW), { end: true })
  await turn()
  const waiting = peer.offerMore()

  // One piece was given before the pause.
  expect(counting.received).toBe(16_384)
  expect(4 * WINDOW - waiting).toBe(WINDOW)
  handler.flowing = true
  for (let step = 0; step < 40 && peer.offerMore() > 0; step++) {
    handler.exchange?.resume()
    await turn()
  }
  handler.exchange?.resume()
  expect(counting.received).toBe(4 * WINDOW)
  expect(handler.events.at(-1)).toBe('complete')
})

test('a slow reader never gets a wider window', async () => {
  const counting = new CountingHandler()
  const { handler, peer } = await reading(counting)
  handler.flowing = false
  peer.offer(1, Buffer.alloc(40 * WINDOW))
  let widest = 0

  for (let step = 0; step < 2000 && peer.offerMore() > 0; step++) {
    const before = counting.received
    const sent = 40 * WINDOW - peer.offerMore()
    widest = Math.max(widest, sent - before)
    handler.exchange?.resume()
    await Promise.resolve()
    if (step % 10 === 0) await turn()
  }

  expect(widest).toBeLessThanOrEqual(2 * WINDOW)
})

test('a slow reader that takes all that is held at once never gets a wider window', async () => {
  const counting = new CountingHandler()
  const { handler, peer } = await reading(counting)
  const size = 16 * WINDOW
  handler.flowing = false
  peer.offer(1, Buffer.alloc(size))
  const held: number[] = []

  for (let step = 0; step < 12; step++) {
    held.push(size - peer.offerMore() - counting.received)
    handler.flowing = true
    handler.exchange?.resume()
    handler.flowing = false
    await turn()
  }

  // The first piece after each resume() is given before the reader pauses again.
  expect(Math.max(...held)).toBeLessThanOrEqual(WINDOW)
})

test('a reader that keeps up gets windows that grow to 8 MiB', async () => {
  const counting = new CountingHandler()
  const { peer } = await reading(counting)
  const size = 64 * 1_048_576
  peer.window = 2 ** 31 - 1
  let widest = 0

  for (let sent = 0; sent < size;) {
    const { length } = Buffer.alloc(Math.min(1_048_576, size - sent))
    peer.offer(1, Buffer.alloc(length))
    sent += length
    await turn()
    widest = Math.max(widest, peer.windowOf(1))
  }

  expect(counting.received).toBe(size)
  expect(widest).toBeGreaterThan(4_194_304)
  expect(widest).toBeLessThanOrEqual(8_388_608)
})

test('a slow reader holds up no other exchange', async () => {
  const fixture = await reading(new CountingHandler())
  const { handler, peer } = fixture
  handler.flowing = false
  peer.offer(1, Buffer.alloc(4 * WINDOW))
  const other = new CountingHandler()
  other.exchange = fixture.start(new HttpRequest('GET', 'https://h/other'), other)
  await turn()

  peer.head(3, 200)
  peer.offer(3, Buffer.alloc(8 * WINDOW), { end: true })
  for (let step = 0; step < 20; step++) {
    await turn()
    peer.offerMore()
  }

  expect(other.received).toBe(8 * WINDOW)
  expect(other.events.at(-1)).toBe('complete')
})

test('content that nobody wants any more still gives the window of the connection back', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const { peer } = fixture
  const before = peer.window
  for (let index = 0; index < 600; index++) {
    const handler = fixture.dispatch()
    await turn()
    const id = 2 * index + 1
    peer.take()
    peer.head(id, 200)
    handler.exchange?.abort(ENOUGH)
    // On its way when the client gave up.
    for (let piece = 0; piece < 8; piece++) peer.data(id, Buffer.alloc(16_000))
    peer.window -= 8 * 16_000
  }
  await turn()
  peer.take()

  expect(fixture.connection.state).toBe('idle')
  expect(peer.window).toBeGreaterThan(before - 34_000_000)
})

test('the connection is free when a response has come, though its reader has not taken it all', async () => {
  const fixture = await reading()
  const { connection, handler, peer, states } = fixture
  handler.flowing = false
  peer.data(1, 'one')
  peer.data(1, 'two', true)
  const seen = [connection.state, connection.capacity, states.at(-1)]
  const other = fixture.dispatch()
  await turn()
  peer.respond(3)

  handler.flowing = true
  handler.exchange?.resume()

  expect(seen).toEqual(['idle', Number.POSITIVE_INFINITY, 'idle'])
  expect(other.events.at(-1)).toBe('complete')
  expect(handler.events.slice(1)).toEqual(['content one', 'content two', 'complete'])
})

test('trailers wait behind content that is held', async () => {
  const { handler, peer } = await reading()
  handler.flowing = false
  peer.data(1, 'one')
  peer.data(1, 'two')
  peer.send(trailersOf(1))
  const before = handler.events.slice(1)
  handler.flowing = true

  handler.exchange?.resume()

  expect(before).toEqual(['content one'])
  expect(handler.events.slice(2)).toEqual(['content two', 'complete x=y'])
})

test('an end without anything held is told during a pause too', async () => {
  const { handler, peer } = await reading()
  handler.flowing = false

  peer.data(1, 'all', true)

  expect(handler.events.slice(1)).toEqual(['content all', 'complete'])
})

test.each([
  ['is lost', (fixture: Http2ConnectionFixture) => fixture.stream.fail(new Error('reset'))],
  ['is closed', (fixture: Http2ConnectionFixture) => fixture.connection.close()],
])('a response that came whole can be read after the connection %s', async (_, happen) => {
  const fixture = await reading()
  const { handler, peer } = fixture
  handler.flowing = false
  peer.data(1, 'one')
  peer.data(1, 'two', true)

  happen(fixture)
  handler.flowing = true
  handler.exchange?.resume()

  expect(handler.events.slice(1)).toEqual(['content one', 'content two', 'complete'])
})

test('an exchange whose response is held whole can be given up, and counts once', async () => {
  const { connection, handler, peer } = await reading()
  handler.flowing = false
  peer.data(1, 'one')
  peer.data(1, 'two', true)

  handler.exchange?.abort(ENOUGH)
  handler.exchange?.resume()

  expect(handler.events.slice(1)).toEqual(['content one', 'error after the response began'])
  expect(handler.error).toBe(ENOUGH)
  expect(connection.metrics).toMatchObject({ requestCount: 1, errorsCount: 0 })
  expect(peer.takeRequests()).toEqual([])
})

test('an exchange that is given up while content is held gets no more of it', async () => {
  const { connection, handler, peer } = await reading()
  handler.flowing = false
  peer.data(1, 'one')
  peer.data(1, 'two')

  handler.exchange?.abort(ENOUGH)
  handler.exchange?.resume()
  peer.data(1, 'late')
  await turn()

  expect(handler.events.slice(1)).toEqual(['content one', 'error after the response began'])
  expect(peer.takeRequests()).toEqual(['RST_STREAM 1 CANCEL'])
  expect(connection.state).toBe('idle')
})

test('a reader may give up, or fail, in the middle of what is held', async () => {
  for (const happen of ['abort', 'throw'] as const) {
    const { handler, peer } = await reading()
    handler.flowing = false
    for (const piece of ['a', 'b', 'c']) peer.data(1, piece)
    handler.flowing = true
    let given = 0
    handler.onContent = () => {
      given++
      if (happen === 'throw') throw ENOUGH
      handler.exchange?.abort(ENOUGH)
      return true
    }

    handler.exchange?.resume()

    expect(given).toBe(1)
    expect(handler.error).toBe(ENOUGH)
    expect(handler.events.filter((event) => event.startsWith('error'))).toHaveLength(1)
  }
})

test('content that comes while held content is being given stays behind it', async () => {
  const { handler, peer } = await reading()
  handler.flowing = false
  for (const piece of ['a', 'b', 'c']) peer.data(1, piece)
  const given: string[] = []
  handler.onContent = (bytes) => {
    given.push(bytes.toString())
    if (given.length === 1) peer.data(1, 'd')
    return true
  }

  handler.exchange?.resume()

  expect(given).toEqual(['b', 'c', 'd'])
})

test('resume() in the callback that was given held content does not give it twice or out of order', async () => {
  const { handler, peer } = await reading()
  const given: string[] = []
  handler.onContent = (bytes) => {
    given.push(bytes.toString())
    // As a reader whose own reader resumes in the same turn.
    queueMicrotask(() => handler.exchange?.resume())
    handler.exchange?.resume()
    return false
  }
  for (const piece of ['a', 'b', 'c', 'd']) peer.data(1, piece)
  peer.data(1, 'e', true)

  for (let step = 0; step < 5; step++) await turn()

  expect(given).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(handler.events.at(-1)).toBe('complete')
})

function trailersOf(id: number): Buffer {
  return headers(id, [['x', 'y']], { endStream: true })
}

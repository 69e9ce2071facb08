/** Deadlines of exchanges, and signs of life of connections. */
import { expect, test } from 'vitest'
import { StreamError, TimeoutError } from '../errors.ts'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const GET = new HttpRequest('GET', 'https://h/a')
const HEADERS_MS = 1000
const BODY_MS = 500

function post(content: ConstructorParameters<typeof HttpRequest>[2]): HttpRequest {
  return new HttpRequest('POST', 'https://h/a', content)
}

/** A handler whose content nobody has begun to take. */
class UntakenHandler extends RecordingHandler {
  untaken = true
  override flowing = false
}

/** Passes the time up to the deadline, looks, and passes it. */
async function expectTimeout(
  fixture: Http2ConnectionFixture,
  handler: RecordingHandler,
  { phase, ms }: { phase: TimeoutError['phase']; ms: number },
): Promise<void> {
  fixture.pass(ms - 1)
  expect(handler.error).toBeUndefined()
  fixture.pass(1)
  expect(handler.error).toBeInstanceOf(TimeoutError)
  expect(handler.error).toMatchObject({ phase, timeoutMs: ms })
  await turn()
  expect(fixture.peer.request(1).reset).toBe(true)
}

test('headers: from the request to its head', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  await turn()

  await expectTimeout(fixture, handler, { phase: 'headers', ms: HEADERS_MS })

  expect(fixture.connection.state).toBe('idle')
})

test('headers: informational responses do not lengthen it', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  await turn()
  fixture.pass(900)
  fixture.peer.head(1, 103)

  fixture.pass(100)

  expect(handler.error).toMatchObject({ phase: 'headers' })
})

test('headers: what other exchanges get does not lengthen it', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  const other = fixture.dispatch()
  await turn()
  fixture.peer.head(3, 200)

  for (let step = 0; step < 10; step++) {
    fixture.peer.data(3, 'x')
    fixture.pass(100)
  }

  expect(handler.error).toMatchObject({ phase: 'headers' })
  fixture.peer.data(3, '', true)
  expect(other.events.at(-1)).toBe('complete')
})

test('headers: it runs from the end of the content on', async () => {
  const fixture = Http2ConnectionFixture.settled()
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x')
    await new Promise((resolve) => fixture.clock.after(5000, () => resolve(undefined)))
    yield Buffer.from('y')
  }
  const handler = fixture.dispatch(post({ content: slow() }))
  await turn()
  fixture.pass(4999)
  fixture.pass(1)
  await turn()
  await turn()

  await expectTimeout(fixture, handler, { phase: 'headers', ms: HEADERS_MS })
})

test('body: between one piece of content and the next', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  await turn()
  fixture.pass(HEADERS_MS - 1)
  fixture.peer.head(1, 200)
  fixture.pass(BODY_MS - 1)
  fixture.peer.data(1, 'x')

  await expectTimeout(fixture, handler, { phase: 'body', ms: BODY_MS })
})

test('body: a reader that has paused is not the peer’s fault', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  handler.flowing = false
  await turn()
  fixture.peer.head(1, 200)
  fixture.peer.data(1, 'x')
  fixture.peer.data(1, 'y')
  fixture.pass(50 * BODY_MS)
  const before = handler.error
  handler.flowing = true

  handler.exchange?.resume()

  expect(before).toBeUndefined()
  await expectTimeout(fixture, handler, { phase: 'body', ms: BODY_MS })
})

test('body: content that nobody begins to take is given up', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = new UntakenHandler()
  fixture.start(GET, handler)
  await turn()
  fixture.peer.head(1, 200)
  fixture.peer.data(1, 'x')
  fixture.peer.data(1, 'y')

  await expectTimeout(fixture, handler, { phase: 'body', ms: BODY_MS })

  expect(String(handler.error)).toContain('nobody took its content')
})

test.each([
  ['from memory', () => Buffer.alloc(200_000)],
  ['from a source', () => [Buffer.alloc(200_000)]],
])('body: content %s that the peer takes nothing of', async (_, content) => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(post({ content: content() }))
  await turn()
  await turn()
  fixture.pass(BODY_MS - 1)
  fixture.peer.widen(200_000)
  fixture.peer.widen(80_000, 1)
  await turn()
  await turn()

  await expectTimeout(fixture, handler, { phase: 'body', ms: BODY_MS })

  expect(String(handler.error)).toContain('the server took nothing')
})

test('body: content that the peer takes slowly is not given up', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 1 })
  const handler = fixture.dispatch(post({ content: Buffer.alloc(300_000) }))
  await turn()

  for (let step = 0; step < 28; step++) {
    fixture.peer.widen(11_000)
    fixture.peer.widen(11_000, 1)
    await turn()
    fixture.pass(400)
  }

  expect(handler.error).toBeUndefined()
  expect(fixture.peer.request().ended).toBe(true)
})

test('small content that no window lets go ends by a deadline too', async () => {
  const fixture = Http2ConnectionFixture.settled({ windowBytes: 0 })
  const handler = fixture.dispatch(post({ content: 'x' }))
  await turn()

  fixture.pass(HEADERS_MS)

  expect(handler.error).toBeInstanceOf(TimeoutError)
  expect(fixture.connection.state).toBe('idle')
})

test.each([
  ['waiting for a head', () => {}],
  ['reading', ({ peer }: Http2ConnectionFixture) => peer.head(1, 200)],
])('total: %s', async (_, before) => {
  const fixture = Http2ConnectionFixture.settled()
  const timeouts = { totalTimeoutMs: 400 }
  const handler = fixture.dispatch(GET, { timeouts })
  await turn()
  before(fixture)

  await expectTimeout(fixture, handler, { phase: 'total', ms: 400 })
})

test('total: it holds for content that waits for its reader too, also when it has come whole', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(GET, { timeouts: { totalTimeoutMs: 400 } })
  handler.flowing = false
  await turn()
  fixture.peer.head(1, 200)
  fixture.peer.data(1, 'x')
  fixture.peer.data(1, 'y', true)

  fixture.pass(400)

  expect(handler.error).toMatchObject({ phase: 'total' })
})

test('total: it holds for content that has come whole when its connection is closed, too', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(GET, { timeouts: { totalTimeoutMs: 400 } })
  handler.flowing = false
  await turn()
  fixture.peer.head(1, 200)
  fixture.peer.data(1, 'x')
  fixture.peer.data(1, 'y', true)
  fixture.stream.sendEnd()

  fixture.pass(400)

  expect(handler.error).toMatchObject({ phase: 'total' })
  expect(fixture.clock.pending).toBe(0)
})

test('total: it ends an upload whose response is whole, and fails nobody', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const request = post({ content: Buffer.alloc(200_000) })
  const handler = fixture.dispatch(request, { timeouts: { totalTimeoutMs: 400 } })
  await turn()
  fixture.peer.respond()

  fixture.pass(400)
  await turn()

  expect(handler.events.at(-1)).toBe('complete')
  expect(fixture.peer.request().reset).toBe(true)
  expect(fixture.connection.state).toBe('idle')
})

test('a deadline of one exchange ends no other', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(GET, { timeouts: { headersTimeoutMs: 100 } })
  const other = fixture.dispatch()
  await turn()

  fixture.pass(100)
  fixture.peer.respond(3)

  expect(handler.error).toMatchObject({ phase: 'headers', timeoutMs: 100 })
  expect(other.events.at(-1)).toBe('complete')
})

test('several deadlines that run out together end each exchange once', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handlers = Array.from({ length: 10 }, () => fixture.dispatch())
  await turn()

  fixture.pass(HEADERS_MS)
  fixture.pass(HEADERS_MS)

  expect(handlers.map(({ events }) => events)).toEqual(
    handlers.map(() => ['error before the response began']),
  )
})

// ── Signs of life

const LONG = {
  headersTimeoutMs: Number.POSITIVE_INFINITY,
  bodyTimeoutMs: Number.POSITIVE_INFINITY,
}

test('a busy connection that brings nothing is asked for a sign of life', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch(GET, { timeouts: LONG })
  await turn()
  fixture.peer.take()

  fixture.pass(19_999)
  const before = fixture.peer.take()
  fixture.pass(1)
  fixture.pass(9_999)
  const asked = fixture.peer.take()
  fixture.peer.pong()
  fixture.pass(19_999)
  fixture.peer.respond()

  expect(before).toEqual([])
  expect(asked).toEqual(['PING \0\0\0\0\0\0\0\0'])
  expect(handler.events.at(-1)).toBe('complete')
})

test('any byte is a sign of life', async () => {
  const fixture = Http2ConnectionFixture.settled()
  fixture.dispatch(GET, { timeouts: LONG })
  await turn()
  fixture.peer.take()
  fixture.pass(20_000)

  fixture.peer.send(Buffer.of(0))
  fixture.pass(19_000)

  expect(fixture.connection.state).toBe('active')
})

test('a connection that gives no sign of life is lost', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handlers = [
    fixture.dispatch(GET, { timeouts: LONG }),
    fixture.dispatch(GET, { timeouts: LONG }),
  ]
  await turn()

  fixture.pass(20_000)
  fixture.pass(9_999)
  const before = fixture.connection.state
  fixture.pass(1)

  expect(before).toBe('active')
  expect(fixture.connection.state).toBe('closed')
  expect(fixture.stream.closed).toBe(true)
  for (const { error } of handlers) {
    expect(error).toBeInstanceOf(StreamError)
    expect(String(error)).toContain('gave no sign of life for 30000 ms')
  }
})

test('an idle connection is not asked for anything', async () => {
  const fixture = Http2ConnectionFixture.settled()
  fixture.dispatch()
  await turn()
  fixture.peer.respond()
  fixture.peer.take()

  fixture.pass(100_000)

  expect(fixture.peer.take()).toEqual([])
  expect(fixture.connection.state).toBe('idle')
})

test('a connection that gave no sign of life is not kept when its last exchange is given up', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const first = fixture.dispatch(GET, { timeouts: LONG })
  await turn()
  fixture.pass(20_000)
  first.exchange?.abort(new Error('enough'))

  fixture.pass(9_999)
  const before = fixture.connection.state
  fixture.pass(1)

  // The next request would be lost on it.
  expect(before).toBe('idle')
  expect(fixture.connection.state).toBe('closed')
})

test('a connection that has long been idle is asked, and has the whole time to answer', async () => {
  const fixture = Http2ConnectionFixture.settled()
  fixture.dispatch()
  await turn()
  fixture.peer.respond()
  fixture.pass(100_000)

  const second = fixture.dispatch(GET, { timeouts: LONG })
  await turn()
  fixture.pass(250)
  fixture.pass(9_999)
  fixture.peer.respond(3)

  expect(second.events.at(-1)).toBe('complete')
})

import { expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import type { MemoryStream } from '../net/memory-backend.ts'
import { GET, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import type { RecordingHandler } from '../testing/recording-handler.ts'
import type { StreamedContent } from './content.ts'
import { HttpRequest } from './http-request.ts'

const CONTENT: StreamedContent = {
  replayable: true,
  length: 3,
  async *open() {
    await Promise.resolve()
    yield Buffer.from('xyz')
  },
}

/** Uses a connection once, so that the next request reuses it. */
async function warmUp(fixture: PoolFixture): Promise<void> {
  fixture.dispatch()
  await fixture.turn()
  fixture.lastStream().send(HELLO)
}

test.each([
  ['the server closes it', (stream: MemoryStream) => stream.sendEnd()],
  ['it breaks', (stream: MemoryStream) => stream.fail(new Error('read ECONNRESET'))],
])(
  'ConnectionPool sends again on a new connection when it reused one and %s',
  async (_, happen) => {
    await using fixture = new PoolFixture()
    await warmUp(fixture)
    const handler = fixture.dispatch('http://a/again')

    happen(fixture.stream(0))
    expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 1')
    await fixture.turn()
    expect(fixture.stream(1).written).toMatch(/^GET \/again /)
    fixture.stream(1).send(HELLO)

    expect(handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
    expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  },
)

test('ConnectionPool sends streamed content again when it can be replayed', async () => {
  await using fixture = new PoolFixture()
  await warmUp(fixture)
  fixture.send(new HttpRequest('PUT', 'http://a/', { content: CONTENT }))
  await fixture.turn()

  fixture.stream(0).sendEnd()
  await fixture.turn()

  expect(fixture.stream(1).written).toMatch(/Content-Length: 3\r\n\r\nxyz$/)
})

const once = { ...CONTENT, replayable: false }
const negatives: readonly [string, HttpRequest, string][] = [
  ['a byte of the response had come', GET, 'H'],
  ['an informational response had come', GET, 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['the head had come', GET, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
  ['the method is POST', new HttpRequest('POST', 'http://a/', { content: 'x' }), ''],
  ['the method is PATCH', new HttpRequest('PATCH', 'http://a/'), ''],
  ['the content cannot be replayed', new HttpRequest('PUT', 'http://a/', { content: once }), ''],
]

test.each(negatives)('ConnectionPool does not send again when %s', async (_, request, received) => {
  await using fixture = new PoolFixture()
  await warmUp(fixture)
  const handler = fixture.send(request)
  await fixture.turn()
  if (received !== '') fixture.stream(0).send(received)

  fixture.stream(0).sendEnd()
  await fixture.turn()

  expect(handler.error).toBeInstanceOf(StreamError)
  expect(fixture.backend.streams).toHaveLength(1)
})

test('ConnectionPool does not send again when the connection was new', async () => {
  await using fixture = new PoolFixture()
  const handler = fixture.dispatch()
  await fixture.turn()

  fixture.stream(0).sendEnd()
  await fixture.turn()

  expect(handler.error).toBeInstanceOf(StreamError)
  expect(fixture.backend.requests).toHaveLength(1)
})

test('ConnectionPool sends again once only', async () => {
  await using fixture = new PoolFixture()
  await warmUp(fixture)
  const handler = fixture.dispatch()
  fixture.stream(0).sendEnd()
  await fixture.turn()

  fixture.stream(1).sendEnd()
  await fixture.turn()

  expect(handler.error).toBeInstanceOf(StreamError)
  expect(fixture.backend.streams).toHaveLength(2)
})

test('ConnectionPool does not send again what broke the protocol', async () => {
  await using fixture = new PoolFixture()
  await warmUp(fixture)
  const handler = fixture.dispatch()

  fixture.stream(0).send('nonsense')
  await fixture.turn()

  expect(handler.error).toMatchObject({ code: 'remote-protocol' })
  expect(fixture.backend.streams).toHaveLength(1)
})

test('ConnectionPool does not send again what ran out of time', async () => {
  await using fixture = new PoolFixture({ headersTimeoutMs: 1_000 })
  await warmUp(fixture)
  const handler = fixture.dispatch()

  fixture.clock.advance(1_250)
  await fixture.turn()

  expect(handler.error).toMatchObject({ phase: 'headers' })
  expect(fixture.backend.streams).toHaveLength(1)
})

test('ConnectionPool does not send again what was given up, whatever the reason looks like', async () => {
  await using fixture = new PoolFixture()
  await warmUp(fixture)
  const abort = new AbortController()
  const reason = new StreamError('the other half of the transfer broke')
  const handler = fixture.dispatch('http://a/', abort.signal)

  abort.abort(reason)
  await fixture.turn()

  expect(handler.error).toBe(reason)
  expect(fixture.backend.streams).toHaveLength(1)
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
})

test('ConnectionPool can still give up what it sends again', async () => {
  await using fixture = new PoolFixture()
  await warmUp(fixture)
  const abort = new AbortController()
  const handler = fixture.dispatch('http://a/', abort.signal)
  fixture.stream(0).sendEnd()
  await fixture.turn()
  const reason = new Error('enough')

  abort.abort(reason)

  expect(handler.error).toBe(reason)
  expect(fixture.stream(1).closed).toBe(true)
})

test('ConnectionPool closes the other idle connections when one proves stale', async () => {
  await using fixture = new PoolFixture()
  const firsts = [fixture.dispatch(), fixture.dispatch(), fixture.dispatch()]
  await fixture.turn()
  for (const index of firsts.keys()) fixture.stream(index).send(HELLO)
  fixture.dispatch()

  fixture.stream(2).sendEnd()

  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 1')
  await fixture.turn()
  expect(fixture.backend.streams).toHaveLength(4)
})

test('ConnectionPool sends again before those who came later', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  await warmUp(fixture)
  fixture.dispatch('http://a/first')
  fixture.dispatch('http://a/second')

  fixture.stream(0).sendEnd()
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 2')
  await fixture.turn()
  fixture.stream(1).send(HELLO)

  expect(fixture.stream(1).written.match(/GET \S+/g)).toEqual(['GET /first', 'GET /second'])
})

test('ConnectionPool does not send again on a connection that others have used', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 2 })
  const handlers: RecordingHandler[] = [fixture.dispatch(), fixture.dispatch()]
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  handlers.push(fixture.dispatch('http://a/again'))
  fixture.stream(0).sendEnd()

  fixture.stream(1).send(HELLO)
  await fixture.turn()

  expect(fixture.stream(1).written).not.toContain('/again')
  expect(fixture.lastStream().written).toMatch(/^GET \/again /)
})

test('ConnectionPool waits anew for a connection when it sends again', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1, poolTimeoutMs: 1_000 })
  await warmUp(fixture)
  const handler = fixture.dispatch()
  fixture.clock.advance(2_000)

  fixture.stream(0).sendEnd()
  fixture.clock.advance(750)
  await fixture.turn()
  fixture.lastStream().send(HELLO)

  expect(handler.events.at(-1)).toBe('complete')
})

test('ConnectionPool does not send again when it was the source of the content that failed', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  let opened = 0
  const content: StreamedContent = {
    replayable: true,
    async *open() {
      opened++
      yield await Promise.reject<Buffer>(new StreamError('another connection was lost'))
    },
  }

  const failed = fixture.pool.request(new HttpRequest('PUT', 'http://a/', { content }))

  await expect(failed).rejects.toThrow('another connection was lost')
  expect(opened).toBe(1)
})

test('ConnectionPool evicts nobody for a request that it sends again', async () => {
  await using fixture = new PoolFixture({ maxConnections: 2 })
  for (const host of ['a', 'b']) fixture.dispatch(`http://${host}/`)
  await fixture.turn()
  for (const stream of fixture.backend.streams) stream.send(HELLO)

  fixture.dispatch('http://a/')
  fixture.stream(0).sendEnd()
  await fixture.turn()

  expect(fixture.state()).toContain('http://b:80 active 0 idle 1')
  expect(fixture.state()).toContain('http://a:80 active 1')
})

test('ConnectionPool does not use a connection again on which it has asked to close', async () => {
  await using fixture = new PoolFixture()
  fixture.send(new HttpRequest('GET', 'http://a/', { headers: { Connection: 'x, Close' } }))
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  expect(fixture.stream(0).closed).toBe(true)
})

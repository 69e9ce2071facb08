import { expect, test } from 'vitest'
import { ConnectError, LocalProtocolError, StreamError } from '../errors.ts'
import { HttpRequest } from './http-request.ts'
import { CLOSING_HELLO, GET, HELLO, PoolFixture } from '../testing/pool-fixture.ts'

/** A request whose head is refused when it is written. */
const TWO_HOSTS = new HttpRequest('GET', 'http://a/', {
  headers: [
    ['Host', 'a'],
    ['Host', 'b'],
  ],
})

test('ConnectionPool opens, uses, keeps and reuses a connection', async () => {
  await using fixture = new PoolFixture()
  const { pool } = fixture
  expect(pool.toString()).toBe('empty')

  const first = pool.request(GET)
  expect(pool.toString()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 1')
  await fixture.turn()
  expect(pool.toString()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 0')
  fixture.stream(0).send(HELLO)
  await expect((await first).body.bytes()).resolves.toEqual(Buffer.from('hello'))
  expect(pool.toString()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')

  const second = pool.request(GET)
  expect(pool.toString()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 0')
  fixture.stream(0).send(HELLO)
  expect((await second).status).toBe(200)
  expect(fixture.backend.streams).toHaveLength(1)
})

test('ConnectionPool gives the response with its head, its URL and an announced length', async () => {
  await using fixture = new PoolFixture()
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.stream(0).send('HTTP/1.1 206 Part\r\nA: b\r\nContent-Length: 5\r\n\r\n')

  const response = await pending

  expect(response).toMatchObject({ status: 206, statusText: 'Part', version: '1.1', url: GET.url })
  expect(response.headers.get('a')).toBe('b')
  expect(response.body.length).toBe(5)
  expect(Object.isFrozen(response)).toBe(true)
})

test('ConnectionPool connects with the host, the port and TLS of the origin', async () => {
  await using fixture = new PoolFixture({ tls: { ca: 'pem' }, connectTimeoutMs: 7 })
  fixture.dispatch('https://[::1]:8443/')
  fixture.dispatch('http://b/')
  await fixture.turn()

  expect(fixture.backend.requests).toMatchObject([
    { host: '::1', port: 8443, tls: { ca: 'pem' }, timeoutMs: 7 },
    { host: 'b', port: 80, tls: undefined, timeoutMs: 7 },
  ])
})

test('ConnectionPool uses the connection first that was used last', async () => {
  await using fixture = new PoolFixture()
  const { pool } = fixture
  fixture.dispatch()
  fixture.dispatch()
  fixture.dispatch()
  await fixture.turn()
  expect(pool.toString()).toBe('http://a:80 active 3 idle 0 connecting 0 waiting 0')
  for (const index of [1, 2, 0]) fixture.stream(index).send(HELLO)
  expect(pool.toString()).toBe('http://a:80 active 0 idle 3 connecting 0 waiting 0')

  fixture.dispatch()
  fixture.dispatch()

  expect(fixture.requestCounts()).toEqual([2, 1, 2])
})

test('ConnectionPool serves those who wait in the order they came', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  const { pool } = fixture
  for (const path of ['1', '2', '3']) fixture.dispatch(`http://a/${path}`)
  await fixture.turn()
  expect(pool.toString()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 2')

  fixture.stream(0).send(HELLO)
  expect(pool.toString()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 1')
  fixture.stream(0).send(HELLO)
  fixture.stream(0).send(HELLO)

  expect(pool.toString()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  expect(fixture.stream(0).written.match(/GET \S+/g)).toEqual(['GET /1', 'GET /2', 'GET /3'])
})

test('ConnectionPool gives a connection that became free first to who waits, not the new one', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  const second = fixture.dispatch()
  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 1 waiting 1')

  fixture.stream(0).send(HELLO)
  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 1 waiting 0')
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  expect(second.events.at(-1)).toBe('complete')
  expect(fixture.state()).toBe('http://a:80 active 0 idle 2 connecting 0 waiting 0')
})

test('ConnectionPool does not reuse a connection that the response closes', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()

  fixture.stream(0).send(CLOSING_HELLO)

  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
  expect(fixture.stream(0).closed).toBe(true)
})

test('ConnectionPool opens another connection for who waits when one is closed', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  fixture.dispatch()
  const second = fixture.dispatch()
  await fixture.turn()

  fixture.stream(0).send(CLOSING_HELLO)
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 1')
  await fixture.turn()
  fixture.stream(1).send(HELLO)

  expect(second.events.at(-1)).toBe('complete')
})

test.each([
  [
    'receives unsolicited bytes',
    (fixture: PoolFixture) => fixture.stream(0).send('HTTP/1.1 408 x\r\n'),
  ],
  ['is closed by the server', (fixture: PoolFixture) => fixture.stream(0).sendEnd()],
  ['breaks', (fixture: PoolFixture) => fixture.stream(0).fail(new Error('reset'))],
])('ConnectionPool drops an idle connection that %s', async (_, happen) => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  happen(fixture)

  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
  fixture.dispatch()
  await fixture.turn()
  expect(fixture.backend.streams).toHaveLength(2)
})

test('ConnectionPool delivers a response that more bytes follow, and drops the connection', async () => {
  await using fixture = new PoolFixture()
  const handler = fixture.dispatch()
  await fixture.turn()

  fixture.stream(0).send(`${HELLO}HTTP/1.1 200 OK`)

  expect(handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
})

test('ConnectionPool fails the request that a connection was opened for', async () => {
  await using fixture = new PoolFixture()
  const refused = new ConnectError('connect', 'Cannot connect')
  fixture.backend.refuse = refused

  await expect(fixture.pool.request(GET)).rejects.toBe(refused)

  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
})

test('ConnectionPool fails every request when every connection is refused', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  fixture.backend.refuse = new ConnectError('connect', 'Cannot connect')
  const handlers = [fixture.dispatch(), fixture.dispatch(), fixture.dispatch()]

  await fixture.turn()

  expect(handlers.map(({ error }) => error)).toEqual(Array(3).fill(fixture.backend.refuse))
  expect(fixture.backend.requests).toHaveLength(3)
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
})

test('ConnectionPool fails a request that cannot be written, and loses no place by it', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  for (let round = 0; round < 3; round++) {
    await expect(fixture.pool.request(TWO_HOSTS)).rejects.toThrow(LocalProtocolError)
  }

  const good = fixture.dispatch()
  await fixture.turn()

  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 0')
  fixture.lastStream().send(HELLO)
  expect(good.events.at(-1)).toBe('complete')
})

test('ConnectionPool fails a request that cannot be written on an idle connection', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  const failed = fixture.pool.request(TWO_HOSTS)

  await expect(failed).rejects.toThrow(LocalProtocolError)
  expect(fixture.state()).not.toContain('active 1')
})

test('ConnectionPool sends content, and one method that has none says so', async () => {
  await using fixture = new PoolFixture()
  fixture.send(new HttpRequest('PUT', 'http://a/', { content: 'xyz' }))
  fixture.send(new HttpRequest('POST', 'http://a/'))
  await fixture.turn()

  expect(fixture.stream(0).written).toMatch(/Content-Length: 3\r\n\r\nxyz$/)
  expect(fixture.stream(1).written).toMatch(/Content-Length: 0\r\n\r\n$/)
})

test('ConnectionPool tells how far a body came when the server closes in the middle', async () => {
  await using fixture = new PoolFixture()
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.stream(0).send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell')
  const { body } = await pending

  fixture.stream(0).sendEnd()

  await expect(body.bytes()).rejects.toMatchObject({ bytesReceived: 4, expectedBytes: 9 })
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
})

test('close() fails what runs, what waits and what comes later, and closes what is idle', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 2 })
  const { pool } = fixture
  const handlers = [fixture.dispatch(), fixture.dispatch(), fixture.dispatch()]
  await fixture.turn()
  const connecting = fixture.dispatch('http://b/')
  fixture.stream(0).send(HELLO)
  fixture.stream(0).send(HELLO)
  expect(pool.toString().split('\n')).toEqual([
    'http://a:80 active 1 idle 1 connecting 0 waiting 0',
    'http://b:80 active 0 idle 0 connecting 1 waiting 1',
  ])

  await pool.close()
  await pool.close()
  await fixture.turn()

  expect(handlers[1]?.error).toBeInstanceOf(StreamError)
  expect(connecting.error).toBeInstanceOf(StreamError)
  await expect(pool.request(GET)).rejects.toBeInstanceOf(StreamError)
  expect(pool.toString()).toBe('empty')
  expect(fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
  expect(fixture.clock.pending).toBe(0)
})

test('close() does not retry what runs on a reused connection', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  const second = fixture.dispatch()

  await fixture.pool.close()
  await fixture.turn()

  expect(second.error).toBeInstanceOf(StreamError)
  expect(fixture.backend.streams).toHaveLength(1)
})

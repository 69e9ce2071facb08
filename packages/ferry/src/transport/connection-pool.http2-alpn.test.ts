/** Which protocol a pool speaks with an origin. */
import { expect, test } from 'vitest'
import { ConnectError } from '../errors.ts'
import { Http2PoolFixture } from '../testing/http2-fixture.ts'
import { HELLO } from '../testing/pool-fixture.ts'
import type { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const WHOLE = ['head 200 5', 'content hello', 'complete']

function burst(fixture: Http2PoolFixture, count: number, url = 'https://a/'): RecordingHandler[] {
  return Array.from({ length: count }, (_, index) => fixture.dispatch(`${url}${index}`))
}

test('ConnectionPool offers both protocols by ALPN to an https origin, and none to another', async () => {
  await using fixture = new Http2PoolFixture()

  fixture.dispatch('https://a/')
  fixture.dispatch('http://b/')
  await fixture.turn()

  const offers = fixture.backend.requests.map(({ host, tls, alpnProtocols }) =>
    tls === undefined ? [host] : [host, ...(alpnProtocols ?? [])],
  )
  expect(offers).toEqual([['a', 'h2', 'http/1.1'], ['b']])
  expect(fixture.stream(1).written).toMatch(/^GET \/ HTTP\/1\.1\r\n/)
})

test('ConnectionPool speaks with each origin what it has agreed to', async () => {
  await using fixture = new Http2PoolFixture()
  fixture.backend.choices.set('old', 'http/1.1').set('silent', undefined)

  const handlers = ['new', 'old', 'silent'].map((host) => fixture.dispatch(`https://${host}/`))
  await fixture.turn()
  fixture.peer(0).settings()
  fixture.peer(0).respond()
  for (const index of [1, 2]) fixture.stream(index).send(HELLO)

  expect(handlers.map(({ events }) => events)).toEqual([WHOLE, WHOLE, WHOLE])
  expect(fixture.paths()[0]).toEqual(['/'])
})

test('ConnectionPool with http2 off offers HTTP/1.1 alone', async () => {
  await using fixture = new Http2PoolFixture({ http2: 'off' })

  burst(fixture, 3)
  await fixture.turn()

  expect(fixture.backend.requests.map(({ alpnProtocols }) => alpnProtocols)).toEqual(
    Array.from({ length: 3 }, () => ['http/1.1']),
  )
  expect(fixture.stream(0).written).toMatch(/^GET \/0 HTTP\/1\.1\r\n/)
})

test('ConnectionPool with prior knowledge speaks HTTP/2 without TLS and without asking', async () => {
  await using fixture = new Http2PoolFixture({ http2: 'prior-knowledge' })
  const handler = fixture.dispatch('http://a/x')
  await fixture.open()

  fixture.peer().respond()

  expect(handler.events).toEqual(WHOLE)
  expect(fixture.peer().request().fields.get(':scheme')).toBe('http')
})

test('ConnectionPool speaks HTTP/2 through the tunnel of a proxy, and HTTP/1.1 with the proxy itself', async () => {
  await using fixture = new Http2PoolFixture({ proxy: 'http://proxy:3128' })
  const handlers = burst(fixture, 3)
  const forwarded = fixture.dispatch('http://b/')
  // What makes tunnels is loaded when it is needed first.
  while (fixture.backend.streams.length < 2) await fixture.turn()
  const [plain, tunnel] = fixture.backend.streams.map(({ written }) => written.split('\r\n')[0])
  fixture.stream(0).send(HELLO)
  fixture.stream(1).send('HTTP/1.1 200 Connection established\r\n\r\n')
  await fixture.turn()

  fixture.peer(1).settings()
  for (const { id } of fixture.peer(1).open) fixture.peer(1).respond(id)

  expect([tunnel, plain]).toEqual(['CONNECT a:443 HTTP/1.1', 'GET http://b/ HTTP/1.1'])
  expect(fixture.backend.tlsRequests[0]?.alpnProtocols).toEqual(['h2', 'http/1.1'])
  expect([...handlers, forwarded].map(({ events }) => events)).toEqual([WHOLE, WHOLE, WHOLE, WHOLE])
  expect(fixture.backend.requests).toHaveLength(2)
})

test('ConnectionPool with prior knowledge refuses an https server that does not agree to HTTP/2', async () => {
  await using fixture = new Http2PoolFixture({ http2: 'prior-knowledge' })
  fixture.backend.choices.set('a', 'http/1.1')
  const handlers = burst(fixture, 2)
  await fixture.turn()

  expect(handlers.map(({ error }) => error)).toEqual([
    expect.any(ConnectError),
    expect.any(ConnectError),
  ])
  expect(fixture.stream(0).closed).toBe(true)
})

test('ConnectionPool.request() gives a response over HTTP/2', async () => {
  await using fixture = new Http2PoolFixture()
  const pending = fixture.pool.request(new HttpRequest('GET', 'https://a/'))
  await fixture.open()
  fixture.peer().head(1, 200, [['x', 'y']])
  const response = await pending
  const bytes = response.body.bytes()
  fixture.peer().data(1, 'hello', true)

  expect(response).toMatchObject({ status: 200, statusText: '', version: '2' })
  expect(response.connection).toMatchObject({ id: 1, reused: false })
  expect(response.connection?.getExtraInfo('tls')?.alpnProtocol).toBe('h2')
  expect((await bytes).toString()).toBe('hello')
})

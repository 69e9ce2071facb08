/** Requests for another protocol, where origins speak HTTP/2. */
import { expect, test } from 'vitest'
import { LocalProtocolError, RemoteProtocolError, StreamError } from '../errors.ts'
import type { NetworkStream } from '../net/network-backend.ts'
import { Http2PoolFixture } from '../testing/http2-fixture.ts'
import { HttpRequest } from './http-request.ts'
import type { ConnectionPoolOptions } from './pool-options.ts'
import type { UpgradeOutcome } from './receive-response.ts'

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'
const SOCKET = new HttpRequest('GET', 'https://a/chat?x', {
  headers: {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'x',
  },
})

/** A pool with one settled connection to `a`. */
async function warm(
  connectProtocol: boolean,
  maxStreams = 100,
  options: ConnectionPoolOptions = {},
): Promise<Http2PoolFixture> {
  const fixture = new Http2PoolFixture(options)
  fixture.dispatch()
  await fixture.open({ connectProtocol, maxStreams })
  fixture.peer().respond()
  await fixture.turn()
  return fixture
}

/** Reads a stream into a list. */
function read(stream: NetworkStream): string[] {
  const events: string[] = []
  stream.read({
    onBytes: (bytes) => void events.push(bytes.toString('latin1')),
    onEnd: () => void events.push('END'),
    onError: (error) => void events.push(`ERROR ${error.message}`),
  })
  return events
}

async function upgraded(pending: Promise<UpgradeOutcome>): Promise<NetworkStream> {
  const outcome = await pending
  if (outcome.type !== 'upgraded') throw new Error(`refused with ${outcome.response.status}`)
  return outcome.stream
}

test('an upgrade goes by HTTP/1.1 to an origin of which nothing is known', async () => {
  await using fixture = new Http2PoolFixture()
  const pending = fixture.pool.upgrade(SOCKET)
  expect(fixture.state()).toBe('https://a:443 (http/1.1) active 0 idle 0 connecting 1 waiting 1')
  fixture.backend.choices.set('a', 'http/1.1')
  await fixture.turn()
  fixture.stream(0).send(SWITCHING)

  expect(fixture.backend.requests[0]?.alpnProtocols).toEqual(['http/1.1'])
  const stream = await upgraded(pending)
  stream.write('mine')
  expect(fixture.stream(0).written).toMatch(/^GET \/chat\?x HTTP\/1\.1\r\n.*\r\n\r\nmine$/s)
  expect(fixture.pool.metrics()).toMatchObject({ upgraded: 1, created: 1 })
  stream.close()
})

test.each([100, 1])(
  'an upgrade goes by HTTP/1.1 beside a connection that takes none, and %i streams',
  async (maxStreams) => {
    await using fixture = await warm(false, maxStreams)

    const pending = fixture.pool.upgrade(SOCKET)
    fixture.backend.choices.set('a', 'http/1.1')
    await fixture.turn()
    fixture.stream(1).send(SWITCHING)
    ;(await upgraded(pending)).close()

    expect(fixture.stream(0).closed).toBe(false)
    expect(fixture.state()).toBe(
      'https://a:443 active 0 idle 1 connecting 0 waiting 0\n' +
        'https://a:443 (http/1.1) active 0 idle 0 connecting 0 waiting 0',
    )
    expect(fixture.pool.metrics().origins['https://a:443']).toMatchObject({
      created: 2,
      upgraded: 1,
    })
  },
)

test('connections by HTTP/1.1 are counted apart from those by HTTP/2 of the same origin', async () => {
  await using fixture = await warm(false, 100, { maxConnectionsPerOrigin: 1 })

  const pending = fixture.pool.upgrade(SOCKET)
  fixture.backend.choices.set('a', 'http/1.1')
  await fixture.turn()

  expect(fixture.backend.requests).toHaveLength(2)
  fixture.stream(1).send(SWITCHING)
  ;(await upgraded(pending)).close()
})

test('an upgrade is asked for by extended CONNECT where an open connection takes it', async () => {
  await using fixture = await warm(true)

  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()
  const { fields, ended } = fixture.peer().request(3)
  fixture.peer().head(3, 200, [['sec-websocket-protocol', 'x']])
  const outcome = await pending

  expect([...fields]).toEqual([
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':authority', 'a'],
    [':path', '/chat?x'],
    ['sec-websocket-version', '13'],
  ])
  expect(ended).toBe(false)
  expect(outcome).toMatchObject({ type: 'upgraded', head: { status: 200 }, connection: { id: 1 } })
  expect(fixture.backend.requests).toHaveLength(1)
  expect(fixture.state()).toBe('https://a:443 active 1 idle 0 connecting 0 waiting 0')
})

test('an upgraded stream over HTTP/2 carries bytes both ways beside other exchanges', async () => {
  await using fixture = await warm(true)
  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()
  fixture.peer().head(3, 200)
  fixture.peer().data(3, 'early ')
  const stream = await upgraded(pending)
  const events = read(stream)
  const other = fixture.dispatch('https://a/other')
  await fixture.turn()

  stream.write('ping')
  fixture.peer().data(3, 'late')
  fixture.peer().respond(5)
  await fixture.turn()
  fixture.peer().data(3, '', true)
  stream.end()
  await fixture.turn()

  expect(events).toEqual(['early ', 'late', 'END'])
  expect(fixture.peer().request(3)).toMatchObject({ content: 'ping', ended: true, reset: false })
  expect(other.events.at(-1)).toBe('complete')
  expect(fixture.state()).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
})

test.each([404, 302, 503])(
  'a refused upgrade (%i) is a response, and its stream is over with it',
  async (status) => {
    await using fixture = await warm(true)
    const pending = fixture.pool.upgrade(SOCKET)
    await fixture.turn()

    fixture.peer().respond(3, 'not here', status)
    const outcome = await pending

    expect(outcome.type).toBe('refused')
    if (outcome.type !== 'refused') return
    expect(outcome.response.status).toBe(status)
    expect((await outcome.response.body.bytes()).toString()).toBe('not here')
    expect(fixture.state()).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
  },
)

test('CONNECT asks for a tunnel over HTTP/2, with neither scheme nor path', async () => {
  await using fixture = await warm(false)
  const pending = fixture.pool.upgrade(
    new HttpRequest('CONNECT', 'https://a/', { target: 'inner:8443' }),
  )
  await fixture.turn()
  fixture.peer().head(3, 200)
  const stream = await upgraded(pending)
  stream.close()
  await fixture.turn()

  expect([...fixture.peer().request(3).fields]).toEqual([
    [':method', 'CONNECT'],
    [':authority', 'inner:8443'],
  ])
  expect(fixture.peer().request(3)).toMatchObject({ ended: false, reset: true })
  expect(fixture.state()).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
})

test('a tunnel that nobody asked for is an error of its exchange alone', async () => {
  await using fixture = await warm(false)
  const handler = fixture.send(new HttpRequest('CONNECT', 'https://a/', { target: 'inner:1' }))
  await fixture.turn()

  fixture.peer().head(3, 200)

  expect(handler.error).toBeInstanceOf(RemoteProtocolError)
  expect(fixture.stream(0).closed).toBe(false)
  expect(fixture.peer().take().at(-1)).toBe('RST_STREAM 3 CANCEL')
})

test('an upgrade with prior knowledge waits for the settings, and keeps the process alive meanwhile', async () => {
  await using fixture = new Http2PoolFixture({ http2: 'prior-knowledge' })
  const request = new HttpRequest('GET', 'http://a/', { headers: { Upgrade: 'x' } })
  const pending = fixture.pool.upgrade(request)
  await fixture.turn()
  const idle = fixture.stream(0).idle
  const before = fixture.peer().requests.length

  fixture.peer().settings({ connectProtocol: true })
  await fixture.turn()
  fixture.peer().head(1, 200)
  ;(await upgraded(pending)).close()

  expect([idle, before]).toEqual([false, 0])
  expect(fixture.peer().request().fields.get(':protocol')).toBe('x')
})

test('an upgrade with prior knowledge fails where the server takes none', async () => {
  await using fixture = new Http2PoolFixture({ http2: 'prior-knowledge' })
  const request = new HttpRequest('GET', 'http://a/', { headers: { Upgrade: 'x' } })
  const pending = fixture.pool.upgrade(request)

  await Promise.all([
    expect(pending).rejects.toBeInstanceOf(LocalProtocolError),
    fixture.open({ connectProtocol: false }),
  ])
})

test('an upgrade that waits does not hold up those behind it once the settings are here', async () => {
  await using fixture = new Http2PoolFixture({ http2: 'prior-knowledge' })
  const request = new HttpRequest('GET', 'http://a/', { headers: { Upgrade: 'x' } })
  const pending = fixture.pool.upgrade(request)
  const other = fixture.dispatch('http://a/other')

  await Promise.all([
    expect(pending).rejects.toBeInstanceOf(LocalProtocolError),
    fixture.open({ connectProtocol: false }),
  ])
  await fixture.open({ connectProtocol: false })
  fixture.peer().respond(1)

  expect(other.events.at(-1)).toBe('complete')
})

test('a signal ends an upgrade that waits in the queue for HTTP/1.1', async () => {
  await using fixture = await warm(false)
  const abort = new AbortController()
  const pending = fixture.pool.upgrade(SOCKET, { signal: abort.signal })

  abort.abort(new Error('enough'))

  await expect(pending).rejects.toBe(abort.signal.reason)
  await fixture.turn()
  expect(fixture.state()).toContain('(http/1.1) active 0 idle 1 connecting 0 waiting 0')
})

test('an upgraded stream outlives signal and deadlines, and keeps its connection from being idle', async () => {
  await using fixture = await warm(true)
  const abort = new AbortController()
  const pending = fixture.pool.upgrade(SOCKET, {
    signal: abort.signal,
    totalTimeoutMs: 500,
    bodyTimeoutMs: 500,
  })
  await fixture.turn()
  fixture.peer().head(3, 200)
  const events = read(await upgraded(pending))

  abort.abort(new Error('enough'))
  for (let step = 0; step < 150; step++) {
    fixture.clock.advance(250)
    if (step % 40 === 0) fixture.peer().pong()
  }
  fixture.peer().data(3, 'still here')

  expect(events).toEqual(['still here'])
})

test.each([
  ['close() of its pool', (fixture: Http2PoolFixture) => fixture.pool.close(), 'pool was closed'],
  [
    'the loss of its connection',
    (fixture: Http2PoolFixture) => fixture.stream(0).fail(new Error('reset')),
    'reset',
  ],
  [
    'an end without one of its own',
    (fixture: Http2PoolFixture) => fixture.stream(0).sendEnd(),
    'closed',
  ],
  [
    'RST_STREAM',
    (fixture: Http2PoolFixture) => fixture.peer().reset(3, 'INTERNAL_ERROR'),
    'INTERNAL_ERROR',
  ],
])('an upgraded stream over HTTP/2 is told of %s', async (_, happen, why) => {
  await using fixture = await warm(true)
  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()
  fixture.peer().head(3, 200)
  const events = read(await upgraded(pending))

  await Promise.resolve(happen(fixture))

  expect(events).toEqual([expect.stringContaining('ERROR ')])
  expect(events[0]).toContain(why)
})

test('a stream whose connection was lost before anybody read it still tells what came, and the loss', async () => {
  await using fixture = await warm(true)
  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()
  fixture.peer().head(3, 200)
  fixture.peer().data(3, 'last words')
  fixture.stream(0).fail(new Error('reset'))

  const events = read(await upgraded(pending))

  expect(events).toEqual(['last words', expect.stringContaining('ERROR ')])
})

test('an upgrade that the server does not take up is asked for again', async () => {
  await using fixture = await warm(true)
  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()

  fixture.peer(0).reset(3, 'REFUSED_STREAM')
  await fixture.turn()
  fixture.peer(0).head(5, 200)

  ;(await upgraded(pending)).close()
  expect(fixture.peer(0).request(5).fields.get(':protocol')).toBe('websocket')
})

test('an upgrade whose connection goes away is asked for by the way that is left', async () => {
  await using fixture = await warm(true)
  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()
  fixture.backend.choices.set('a', 'http/1.1')

  fixture.peer(0).goAway(1)
  await fixture.turn()
  await fixture.turn()
  fixture.stream(-1).send(SWITCHING)

  ;(await upgraded(pending)).close()
  expect(fixture.stream(-1).written).toContain('Sec-WebSocket-Key: x')
})

test('an upgrade fails as others do', async () => {
  await using fixture = await warm(true)
  const pending = fixture.pool.upgrade(SOCKET)
  await fixture.turn()

  fixture.peer(0).reset(3, 'CANCEL')

  await expect(pending).rejects.toBeInstanceOf(StreamError)
})

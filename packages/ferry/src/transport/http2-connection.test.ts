import { expect, test } from 'vitest'
import { LocalProtocolError } from '../errors.ts'
import { MemoryStream } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import { data, type FieldLine, goAway, headers } from '../testing/http2-frames.ts'
import { headOf, Http2Peer, responseOf, settingsOf } from '../testing/http2-peer.ts'
import { Http2Connection } from './http2-connection.ts'
import { HttpRequest } from './http-request.ts'
import { ExchangeTrace, type TraceEvent, Tracer } from './trace.ts'

const WHOLE = ['head 200 5', 'content hello', 'complete']

test('Http2Connection begins with preface, settings and a wide window, in one write', () => {
  const writes: number[] = []
  const stream = new MemoryStream(({ written }) => writes.push(written.length))
  const peer = new Http2Peer(stream)

  const connection = new Http2Connection(stream, {
    clock: new FakeClock(),
    id: 7,
    onStateChange: () => {},
    pingIntervalMs: 20_000,
    pingTimeoutMs: 10_000,
  })

  expect(peer.take()).toEqual(['SETTINGS 2=0 4=262144 6=65536', 'WINDOW_UPDATE 0 67043329'])
  expect(writes).toHaveLength(1)
  expect(connection).toMatchObject({ id: 7, state: 'new', capacity: 100, upgraded: false })
  expect(connection).toMatchObject({ maxStreams: Number.POSITIVE_INFINITY })
})

test('Http2Connection goes new, active, idle, active, closed', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const { connection, peer } = fixture
  const seen = [connection.state]

  fixture.dispatch()
  seen.push(connection.state)
  await turn()
  peer.respond()
  seen.push(connection.state)
  fixture.dispatch()
  seen.push(connection.state)
  connection.close()
  seen.push(connection.state)

  expect(seen).toEqual(['new', 'active', 'idle', 'active', 'closed'])
  expect(fixture.states).toEqual(['idle', 'closed'])
  expect(connection.exchanges).toBe(2)
})

test('Http2Connection sends a head without content as one frame that ends the stream', async () => {
  const fixture = Http2ConnectionFixture.settled()

  fixture.dispatch(new HttpRequest('GET', 'https://h:8443/a?b', { headers: { Accept: 'x' } }))
  await turn()

  expect(fixture.peer.take()).toEqual(['HEADERS 1 end GET /a?b'])
  expect([...fixture.peer.request().fields]).toEqual([
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'h:8443'],
    [':path', '/a?b'],
    ['accept', 'x'],
  ])
})

test('Http2Connection takes the authority from Host and leaves out what is of a connection', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const fields = {
    Host: 'other',
    Connection: 'keep-alive, x-hop',
    'X-Hop': '1',
    TE: 'gzip',
    A: 'b',
  }

  fixture.dispatch(new HttpRequest('GET', 'https://h/', { headers: fields }))
  await turn()

  const names = [...fixture.peer.request().fields.keys()]
  expect(names).toEqual([':method', ':scheme', ':authority', ':path', 'a'])
  expect(fixture.peer.request().fields.get(':authority')).toBe('other')
})

test('Http2Connection refuses to send two Host fields', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const twice: FieldLine[] = [
    ['Host', 'a'],
    ['Host', 'b'],
  ]

  const handler = fixture.dispatch(new HttpRequest('GET', 'https://h/', { headers: twice }))
  await turn()

  expect(handler.error).toBeInstanceOf(LocalProtocolError)
  fixture.peer.take()
  expect(fixture.peer.requests).toEqual([])
})

const responses: readonly [string, Buffer[], string[]][] = [
  ['a length', responseOf(1), WHOLE],
  [
    'no length',
    [headOf(1, 200), data(1, 'hello', { endStream: true })],
    ['head 200 unknown', 'content hello', 'complete'],
  ],
  ['no content', [headOf(1, 204, [], true)], ['head 204 0', 'complete']],
  [
    'an end in a frame of its own, padded',
    [headOf(1, 200), data(1, 'hello', { padding: 9 }), data(1, '', { endStream: true })],
    ['head 200 unknown', 'content hello', 'complete'],
  ],
  [
    'trailers',
    [headOf(1, 200), data(1, 'hello'), headers(1, [['x', 'y']], { endStream: true })],
    ['head 200 unknown', 'content hello', 'complete x=y'],
  ],
  [
    'informational responses before it',
    [headOf(1, 100), headOf(1, 103), ...responseOf(1)],
    ['information 100', 'information 103', ...WHOLE],
  ],
]

test.each(responses)(
  'Http2Connection gives a response with %s and is idle',
  async (_, frames, events) => {
    const fixture = Http2ConnectionFixture.settled()
    const handler = fixture.dispatch()
    await turn()

    fixture.peer.send(...frames)

    expect(handler.events).toEqual(events)
    expect(fixture.connection.state).toBe('idle')
  },
)

test.each(responses)(
  'Http2Connection gives the same response with %s byte by byte',
  async (_, frames, events) => {
    const fixture = Http2ConnectionFixture.settled()
    const handler = fixture.dispatch()
    await turn()

    for (const byte of Buffer.concat(frames)) fixture.peer.send(Buffer.of(byte))

    const joined = handler.events.join('|').replaceAll(/(?<=content .*)\|content /g, '')
    expect(joined).toBe(events.join('|'))
    expect(fixture.connection.state).toBe('idle')
  },
)

test('Http2Connection carries many exchanges at once, answered in any order and interleaved', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const { peer } = fixture
  const handlers = Array.from({ length: 50 }, (_, index) =>
    fixture.dispatch(new HttpRequest('GET', `https://h/${index}`)),
  )
  await turn()
  const ids = peer.open.map(({ id }) => id)

  for (const id of ids.toReversed()) peer.head(id, 200)
  for (const id of ids) peer.data(id, `first of ${id},`)
  for (const id of ids.toReversed()) peer.data(id, `second of ${id}`, true)

  expect(ids).toEqual(Array.from({ length: 50 }, (_, index) => 2 * index + 1))
  for (const [index, handler] of handlers.entries()) {
    const id = 2 * index + 1
    expect(handler.events).toEqual([
      'head 200 unknown',
      `content first of ${id},`,
      `content second of ${id}`,
      'complete',
    ])
  }
  expect(fixture.connection.state).toBe('idle')
})

test('Http2Connection puts the frames of one turn into one write', async () => {
  const fixture = Http2ConnectionFixture.settled()
  let writes = 0
  const write = fixture.stream.write.bind(fixture.stream)
  fixture.stream.write = (...args) => {
    writes++
    write(...args)
  }

  for (let index = 0; index < 20; index++) {
    fixture.dispatch(new HttpRequest('POST', 'https://h/', { content: 'x'.repeat(100) }))
  }
  fixture.dispatch().exchange?.abort(new Error('enough'))
  await turn()

  expect(writes).toBe(1)
  expect(fixture.peer.take()).toHaveLength(42)
})

test('Http2Connection answers all that came in one read with one write', async () => {
  const fixture = Http2ConnectionFixture.settled()
  fixture.dispatch()
  await turn()
  fixture.peer.take()
  let writes = 0
  const write = fixture.stream.write.bind(fixture.stream)
  fixture.stream.write = (...args) => {
    writes++
    write(...args)
  }

  fixture.peer.send(settingsOf({ maxStreams: 3 }), settingsOf({ maxStreams: 4 }), ...responseOf(1))

  expect(writes).toBe(1)
  expect(fixture.peer.take()).toEqual(['SETTINGS ack', 'SETTINGS ack'])
})

test('Http2Connection tells its capacity as settings and streams change', async () => {
  const fixture = Http2ConnectionFixture.settled({ maxStreams: 3 })
  const { connection, peer } = fixture
  const seen = [connection.capacity]

  fixture.dispatch()
  fixture.dispatch()
  seen.push(connection.capacity)
  peer.settings({ maxStreams: 1 })
  seen.push(connection.capacity)
  await turn()
  peer.respond(1)
  seen.push(connection.capacity)
  peer.respond(3)
  seen.push(connection.capacity)

  expect(seen).toEqual([3, 1, 0, 0, 1])
  expect(connection.maxStreams).toBe(1)
})

test('Http2Connection takes as many streams as there are when the peer names no limit', () => {
  const fixture = Http2ConnectionFixture.settled()

  expect(fixture.connection.capacity).toBe(Number.POSITIVE_INFINITY)
  expect(fixture.connection.takesUpgrades).toBe(false)
})

test('Http2Connection lets the process go only while it has no stream', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const seen = [fixture.stream.idle]

  fixture.dispatch()
  fixture.dispatch()
  seen.push(fixture.stream.idle)
  await turn()
  fixture.peer.respond(1)
  seen.push(fixture.stream.idle)
  fixture.peer.respond(3)
  seen.push(fixture.stream.idle)

  expect(seen).toEqual([true, false, false, true])
})

test('Http2Connection counts exchanges, bytes, times and failures', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const { connection, clock, peer, stream } = fixture
  fixture.dispatch()
  fixture.dispatch()
  await turn()

  clock.advance(30)
  peer.respond(1)
  clock.advance(20)
  peer.reset(3, 'INTERNAL_ERROR')
  clock.advance(5)

  expect(connection.metrics).toMatchObject({
    requestCount: 2,
    state: 'idle',
    totalRequestTimeMs: 80,
    lastRequestTimeMs: 50,
    averageRequestTimeMs: 40,
    errorsCount: 1,
    errorRate: 0.5,
    idleMs: 5,
    bytesSent: stream.written.length,
    bytesReceived: Buffer.concat([settingsOf(), ...responseOf(1)]).length + 13,
  })
})

test('Http2Connection tells the times of an exchange', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  await turn()

  fixture.clock.advance(30)
  fixture.peer.head(1, 200)
  fixture.clock.advance(12)
  fixture.peer.data(1, 'x', true)

  expect(handler.exchange?.timings).toMatchObject({ queueMs: 0, headMs: 30, bodyMs: 12 })
})

test('Http2Connection traces the steps of an exchange in their order', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const steps: string[] = []
  const tracer = new Tracer(
    ({ step, phase }: TraceEvent) => steps.push(`${step} ${phase}`),
    fixture.clock,
  )
  const subject = { origin: 'https://h:443', exchange: 1, request: 'POST https://h/' }
  const trace = new ExchangeTrace(tracer, subject)
  const content = (async function* pieces() {
    await turn()
    yield Buffer.from('x')
  })()

  fixture.dispatch(new HttpRequest('POST', 'https://h/', { content }), { trace })
  await turn()
  await turn()
  await turn()
  fixture.peer.respond()

  expect(steps).toEqual([
    'queue start',
    'queue end',
    'send-head start',
    'send-body start',
    'send-head end',
    'send-body end',
    'wait start',
    'wait end',
    'read-head start',
    'read-head end',
    'read-body start',
    'read-body end',
  ])
})

test('Http2Connection traces a failure once for each open step', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const steps: string[] = []
  const tracer = new Tracer(
    ({ step, phase }: TraceEvent) => steps.push(`${step} ${phase}`),
    fixture.clock,
  )
  const subject = { origin: 'https://h:443', exchange: 1, request: 'GET https://h/' }
  fixture.dispatch(undefined, { trace: new ExchangeTrace(tracer, subject) })
  await turn()
  steps.length = 0

  fixture.peer.reset(1, 'CANCEL')
  fixture.connection.close()

  expect(steps).toEqual(['wait error'])
})

test('Http2Connection says goodbye, fails everything and tells so once when it is closed', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handlers = [fixture.dispatch(), fixture.dispatch()]
  await turn()
  fixture.peer.take()
  const reason = new Error('the pool was closed')

  fixture.connection.close(reason)
  fixture.connection.close()
  fixture.peer.respond()
  await turn()

  expect(handlers.map(({ error }) => error)).toEqual([reason, reason])
  expect(handlers.map(({ events }) => events)).toEqual([
    ['error before the response began'],
    ['error before the response began'],
  ])
  expect(fixture.peer.take()).toEqual(['GOAWAY 0 NO_ERROR'])
  expect(fixture.stream.closed).toBe(true)
  expect(fixture.states).toEqual(['closed'])
  expect(fixture.connection).toMatchObject({ state: 'closed', capacity: 0 })
  expect(fixture.clock.pending).toBe(0)
})

test('Http2Connection that has never been used can be closed', () => {
  const fixture = new Http2ConnectionFixture()

  fixture.connection.close()

  expect(fixture.stream.closed).toBe(true)
  expect(fixture.states).toEqual(['closed'])
})

test('Http2Connection is closed at once when its first read says goodbye', () => {
  const stream = new MemoryStream()
  stream.send(Buffer.concat([settingsOf(), goAway(0, 'NO_ERROR')]))

  const connection = new Http2Connection(stream, {
    clock: new FakeClock(),
    id: 1,
    onStateChange: () => {},
    pingIntervalMs: 20_000,
    pingTimeoutMs: 10_000,
  })

  expect(connection.state).toBe('closed')
  expect(stream.closed).toBe(true)
})

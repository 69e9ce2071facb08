/** How long HTTP/2 connections are kept, who must give way at the limits, and the end of the pool. */
import { expect, test } from 'vitest'
import { ConnectError, StreamError } from '../errors.ts'
import { Http2PoolFixture } from '../testing/http2-fixture.ts'
import { HELLO } from '../testing/pool-fixture.ts'
import { HttpRequest } from './http-request.ts'
import type { ConnectionPoolOptions } from './pool-options.ts'

const WHOLE = ['head 200 5', 'content hello', 'complete']

/** A pool with one settled connection to `a` that carries nothing. */
async function warm(options: ConnectionPoolOptions = {}): Promise<Http2PoolFixture> {
  const fixture = new Http2PoolFixture(options)
  fixture.dispatch()
  await fixture.open({ maxStreams: 100 })
  fixture.peer().respond()
  return fixture
}

/** Moves on in steps, as time does. */
function pass(fixture: Http2PoolFixture, ms: number): void {
  for (let passed = 0; passed < ms; passed += 125) fixture.clock.advance(125)
}

test('a pool closes a connection that has been idle too long', async () => {
  await using fixture = await warm({ idleTimeoutMs: 1000 })

  pass(fixture, 750)
  const before = fixture.state()
  pass(fixture, 750)

  expect(before).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.state()).toBe('empty')
  expect(fixture.clock.pending).toBe(0)
})

test('a pool closes a connection that was opened and never needed', async () => {
  await using fixture = new Http2PoolFixture({ idleTimeoutMs: 1000 })
  const abort = new AbortController()
  fixture.dispatch('https://a/', { signal: abort.signal })
  abort.abort()
  await fixture.open()
  const before = fixture.state()

  pass(fixture, 1500)

  expect(before).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
  expect(fixture.state()).toBe('empty')
})

test('a pool keeps a connection from the moment its last exchange was given up', async () => {
  await using fixture = await warm({ idleTimeoutMs: 1000 })
  const abort = new AbortController()
  fixture.dispatch('https://a/slow', { signal: abort.signal })
  pass(fixture, 3000)

  abort.abort(new Error('enough'))
  const { connections } = fixture.pool.metrics()
  pass(fixture, 750)
  const next = fixture.dispatch('https://a/next')
  await fixture.turn()
  fixture.peer().respond(5)

  expect(connections[0]?.idleMs).toBe(0)
  expect(next.events).toEqual(WHOLE)
  expect(fixture.backend.requests).toHaveLength(1)
})

test('a pool does not close a connection that carries something, however long', async () => {
  await using fixture = await warm({ idleTimeoutMs: 1000 })
  const handler = fixture.dispatch('https://a/slow')
  await fixture.turn()

  pass(fixture, 10_000)
  fixture.peer().respond(3)

  expect(handler.events).toEqual(WHOLE)
})

test('a pool gives a connection no more requests than it may carry', async () => {
  await using fixture = new Http2PoolFixture({ maxRequestsPerConnection: 3 })
  const handlers = Array.from({ length: 7 }, (_, index) => fixture.dispatch(`https://a/${index}`))
  for (let round = 0; round < 6; round++) {
    await fixture.open()
    for (const index of fixture.backend.streams.keys()) {
      for (const { id } of fixture.peer(index).open) fixture.peer(index).respond(id)
    }
  }

  expect(handlers.map(({ events }) => events)).toEqual(handlers.map(() => WHOLE))
  expect(fixture.paths().map(({ length }) => length)).toEqual([3, 3, 1])
  expect(fixture.backend.streams.map(({ closed }) => closed)).toEqual([true, true, false])
})

test('a pool gives a connection that is too old nothing more, and closes it when it is done', async () => {
  await using fixture = await warm({ maxConnectionAgeMs: 1000, idleTimeoutMs: 60_000 })
  const slow = fixture.dispatch('https://a/slow')
  pass(fixture, 1250)

  const next = fixture.dispatch('https://a/next')
  await fixture.open()
  fixture.peer(1).respond(1)
  fixture.peer(0).respond(3)

  expect([slow.events, next.events]).toEqual([WHOLE, WHOLE])
  expect(fixture.paths()).toEqual([['/', '/slow'], ['/next']])
  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.stream(1).closed).toBe(false)
})

test('a pool uses the connection that was used last, and lets the others age', async () => {
  await using fixture = new Http2PoolFixture({ idleTimeoutMs: 1000 })
  fixture.dispatch()
  await fixture.open({ maxStreams: 1 })
  fixture.dispatch()
  await fixture.open({ maxStreams: 1 })
  fixture.peer(0).respond()
  fixture.peer(1).respond()

  for (let use = 0; use < 6; use++) {
    fixture.dispatch('https://a/again')
    await fixture.turn()
    fixture.peer(1).respond(3 + 2 * use)
    pass(fixture, 500)
  }

  expect(fixture.paths()[0]).toEqual(['/'])
  expect(fixture.backend.streams.map(({ closed }) => closed)).toEqual([true, false])
})

// ── Limits

test('a pool closes an idle connection of another origin at the limit', async () => {
  await using fixture = await warm({ maxConnections: 1 })

  const other = fixture.dispatch('https://b/')
  await fixture.open()
  fixture.peer(1).respond()

  expect(fixture.stream(0).closed).toBe(true)
  expect(other.events).toEqual(WHOLE)
})

test('a pool never closes a connection that carries something for another origin', async () => {
  await using fixture = await warm({ maxConnections: 1 })
  const slow = fixture.dispatch('https://a/slow')

  const other = fixture.dispatch('https://b/')
  pass(fixture, 500)
  await fixture.turn()

  expect(fixture.stream(0).closed).toBe(false)
  expect(fixture.state()).toBe(
    'https://a:443 active 1 idle 0 connecting 0 waiting 0\n' +
      'https://b:443 active 0 idle 0 connecting 0 waiting 1',
  )
  fixture.peer(0).respond(3)
  await fixture.open()
  fixture.peer(1).respond()
  expect([slow.events, other.events]).toEqual([WHOLE, WHOLE])
})

test.each([1, 2])(
  'a connection that becomes idle gives its place to an origin that waits, of %i',
  async (count) => {
    await using fixture = await warm({ maxConnections: 1 })
    for (let index = 0; index < count; index++) fixture.dispatch('https://a/slow')
    const other = fixture.dispatch('https://b/')
    await fixture.turn()

    for (let index = 0; index < count; index++) fixture.peer(0).respond(3 + 2 * index)
    await fixture.open()
    fixture.peer(1).respond()

    expect(other.events).toEqual(WHOLE)
    expect(fixture.stream(0).closed).toBe(true)
  },
)

test('a pool evicts the connection that has been idle longest, whichever was added first', async () => {
  await using fixture = new Http2PoolFixture({ maxConnections: 2 })
  fixture.dispatch('https://a/')
  fixture.dispatch('https://b/')
  await fixture.open()
  fixture.peer(0).respond()
  fixture.clock.advance(10)
  fixture.peer(1).respond()
  fixture.dispatch('https://a/again')
  await fixture.turn()
  fixture.clock.advance(10)
  fixture.peer(0).respond(3)

  fixture.dispatch('https://c/')
  await fixture.turn()

  expect(fixture.backend.streams.map(({ closed }) => closed)).toEqual([false, true, false])
})

test('an origin whose requests overlap without end does not starve another', async () => {
  await using fixture = await warm({ maxConnections: 1 })
  let id = 3
  fixture.dispatch('https://a/first')
  const other = fixture.dispatch('https://b/')

  for (let step = 0; step < 40 && other.events.length === 0; step++) {
    fixture.dispatch('https://a/next')
    await fixture.turn()
    fixture.clock.advance(25)
    if (fixture.peer(0).open.some((request) => request.id === id)) fixture.peer(0).respond(id)
    id += 2
    await fixture.turn()
    if (fixture.backend.streams.length > 1) {
      if (fixture.peer(1).take().length > 0) fixture.peer(1).settings()
      for (const request of fixture.peer(1).open) fixture.peer(1).respond(request.id)
    }
  }

  expect(other.events).toEqual(WHOLE)
})

test('what was held back for another origin goes on when that one gives up', async () => {
  await using fixture = await warm({ maxConnections: 1 })
  fixture.dispatch('https://a/long')
  const abort = new AbortController()
  const other = fixture.dispatch('https://b/', { signal: abort.signal })
  pass(fixture, 250)
  const held = fixture.dispatch('https://a/held')
  await fixture.turn()

  abort.abort(new Error('enough'))
  await fixture.turn()

  expect(other.error).toBe(abort.signal.reason)
  expect(fixture.paths()).toEqual([['/', '/long', '/held']])
  fixture.peer().respond(5)
  expect(held.events).toEqual(WHOLE)
})

test('what was held back for another origin goes on when that one has waited too long', async () => {
  await using fixture = await warm({ maxConnections: 1, poolTimeoutMs: 1000 })
  fixture.dispatch('https://a/long')
  const other = fixture.dispatch('https://b/')
  pass(fixture, 500)
  const held = fixture.dispatch('https://a/held')
  pass(fixture, 750)
  await fixture.turn()

  expect(other.error).toMatchObject({ phase: 'pool' })
  expect(held.error).toBeUndefined()
  expect(fixture.paths()).toEqual([['/', '/long', '/held']])
})

test('a stream that never ends does not stop its own origin for the sake of another', async () => {
  await using fixture = await warm({ maxConnections: 1 })
  fixture.dispatch('https://a/events')
  await fixture.turn()
  fixture.peer().head(3, 200)
  fixture.dispatch('https://b/')
  pass(fixture, 250)
  const held = fixture.dispatch('https://a/held')

  pass(fixture, 10_000)
  await fixture.turn()

  expect(fixture.paths()).toEqual([['/', '/events', '/held']])
  expect(held.error).toBeUndefined()
})

test('a pool with origins of both protocols keeps to its total', async () => {
  await using fixture = new Http2PoolFixture({ maxConnections: 2 })
  fixture.backend.choices.set('old', 'http/1.1')
  const handlers = ['old', 'a', 'old', 'b', 'a', 'old'].map((host) =>
    fixture.dispatch(`https://${host}/`),
  )
  let most = 0
  for (let round = 0; round < 30; round++) {
    await fixture.open()
    for (const [index, stream] of fixture.backend.streams.entries()) {
      if (stream.closed) continue
      if (stream.extraInfo.tls?.alpnProtocol === 'h2') {
        for (const { id } of fixture.peer(index).open) fixture.peer(index).respond(id)
      } else if (stream.written.endsWith('\r\n\r\n')) {
        stream.written += ' '
        stream.send(HELLO)
      }
    }
    fixture.clock.advance(60)
    const { active, idle, connecting } = fixture.pool.metrics()
    most = Math.max(most, active + idle + connecting)
  }

  expect(handlers.map(({ events }) => events.at(-1))).toEqual(handlers.map(() => 'complete'))
  expect(most).toBe(2)
})

test('a new connection is not given up for an origin that waits for settings, not for a place', async () => {
  await using fixture = new Http2PoolFixture({ maxConnections: 2 })
  fixture.backend.choices.set('old', 'http/1.1')
  for (let index = 0; index < 101; index++) fixture.dispatch('https://b/')
  await fixture.turn()
  fixture.clock.advance(200)
  // Without it a mistake here opens connections for ever.
  const connect = fixture.backend.connect.bind(fixture.backend)
  fixture.backend.connect = (options) =>
    fixture.backend.streams.length < 5
      ? connect(options)
      : Promise.reject(new ConnectError('connect', 'that is enough'))

  fixture.dispatch('https://old/')
  await fixture.turn()

  expect(fixture.state()).toBe(
    'https://b:443 active 1 idle 0 connecting 0 waiting 1\n' +
      'https://old:443 active 1 idle 0 connecting 0 waiting 0',
  )
  expect(fixture.backend.streams).toHaveLength(2)
})

// ── The end

test('close() of a pool ends everything, once, and leaves nothing', async () => {
  const fixture = await warm({ maxConnectionsPerOrigin: 1 })
  let returned = 0
  const source: AsyncIterableIterator<Uint8Array> = {
    next: () => new Promise(() => {}),
    return: () => Promise.resolve({ done: true, value: returned++ }),
    [Symbol.asyncIterator]: () => source,
  }
  fixture.peer().settings({ maxStreams: 4 })
  const handlers = [
    fixture.dispatch('https://a/waits-for-head'),
    fixture.send(new HttpRequest('POST', 'https://a/sends', { content: source })),
    fixture.dispatch('https://a/reads'),
    fixture.dispatch('https://a/paused'),
    fixture.dispatch('https://a/queued'),
    fixture.dispatch('https://b/connecting'),
  ]
  await fixture.turn()
  fixture.peer(0).head(7, 200)
  const [, , , paused] = handlers
  if (paused !== undefined) paused.flowing = false
  fixture.peer(0).head(9, 200)
  fixture.peer(0).data(9, 'one')
  fixture.peer(0).data(9, 'two')

  await fixture.pool.close()
  await fixture.pool.close()
  await fixture.turn()

  expect(handlers.map(({ error }) => error)).toEqual(handlers.map(() => expect.any(StreamError)))
  expect(handlers.map(({ events }) => events.at(-1)?.slice(0, 5))).toEqual(
    handlers.map(() => 'error'),
  )
  for (const { error } of handlers)
    expect(String(error)).toContain('the connection pool was closed')
  expect(fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
  expect(fixture.peer(0).take().at(-1)).toBe('GOAWAY 0 NO_ERROR')
  expect(fixture.state()).toBe('empty')
  expect(fixture.clock.pending).toBe(0)
  expect(returned).toBe(1)
})

test('a pool can be closed by the callback of one of its exchanges', async () => {
  const fixture = await warm()
  const handlers = [1, 2, 3].map(() => fixture.dispatch())
  const [first] = handlers
  if (first !== undefined) first.onComplete = () => void fixture.pool.close()
  await fixture.turn()

  for (const id of [3, 5, 7]) fixture.peer().respond(id)

  expect(handlers.slice(1).map(({ error }) => error)).toEqual([
    expect.any(StreamError),
    expect.any(StreamError),
  ])
  expect(fixture.state()).toBe('empty')
})

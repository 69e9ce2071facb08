/** How many connections a pool opens to an origin that speaks HTTP/2, or may do so. */
import { expect, test } from 'vitest'
import { ConnectError } from '../errors.ts'
import { Http2PoolFixture } from '../testing/http2-fixture.ts'
import { settingsOf } from '../testing/http2-peer.ts'
import { HELLO } from '../testing/pool-fixture.ts'
import type { RecordingHandler } from '../testing/recording-handler.ts'

const WHOLE = ['head 200 5', 'content hello', 'complete']

function burst(fixture: Http2PoolFixture, count: number, url = 'https://a/'): RecordingHandler[] {
  return Array.from({ length: count }, (_, index) => fixture.dispatch(`${url}${index}`))
}

/** Answers everything that has come and may come, as a server that refuses what is too much. */
async function serveAll(fixture: Http2PoolFixture, limit: number): Promise<void> {
  const settled = new Set<number>()
  for (let quiet = 0; quiet < 3; quiet++) {
    await fixture.turn()
    for (const index of fixture.backend.streams.keys()) {
      const peer = fixture.peer(index)
      if (!settled.has(index)) {
        settled.add(index)
        peer.settings({ maxStreams: limit })
      }
      const { open } = peer
      if (open.length > 0) quiet = 0
      for (const [place, { id }] of open.entries()) {
        if (place < limit) peer.respond(id)
        else peer.reset(id, 'REFUSED_STREAM')
      }
    }
  }
}

test('ConnectionPool sends a cold burst over one connection', async () => {
  await using fixture = new Http2PoolFixture()

  const handlers = burst(fixture, 50)
  expect(fixture.state()).toBe('https://a:443 active 0 idle 0 connecting 1 waiting 50')
  await fixture.open({ maxStreams: 100 })
  expect(fixture.state()).toBe('https://a:443 active 1 idle 0 connecting 0 waiting 0')
  for (const { id } of fixture.peer().open) fixture.peer().respond(id)

  expect(handlers.map(({ events }) => events)).toEqual(handlers.map(() => WHOLE))
  expect(fixture.state()).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
  expect(fixture.backend.requests).toHaveLength(1)
  expect(fixture.pool.metrics()).toMatchObject({ created: 1, reused: 49, failed: 0 })
})

test('ConnectionPool sends at most 100 before the settings are here, and waits with the rest', async () => {
  await using fixture = new Http2PoolFixture()
  burst(fixture, 150)
  await fixture.turn()
  const before = [fixture.state(), fixture.peer().open.length]

  fixture.peer().settings()
  await fixture.turn()

  expect(before).toEqual(['https://a:443 active 1 idle 0 connecting 0 waiting 50', 100])
  expect(fixture.state()).toBe('https://a:443 active 1 idle 0 connecting 0 waiting 0')
  expect(fixture.peer().open).toHaveLength(150)
})

test('ConnectionPool opens another connection only when the first is full', async () => {
  await using fixture = new Http2PoolFixture()
  fixture.dispatch()
  await fixture.open({ maxStreams: 2 })
  fixture.peer().respond()

  burst(fixture, 2)
  const full = fixture.backend.requests.length
  burst(fixture, 3)
  await fixture.open({ maxStreams: 2 })

  expect(full).toBe(1)
  // Three wait, and each connection takes two.
  expect(fixture.backend.requests).toHaveLength(3)
  expect(fixture.paths().map(({ length }) => length)).toEqual([3, 2, 1])
})

test('ConnectionPool takes those who wait in their order, when there is room and on one connection', async () => {
  await using fixture = new Http2PoolFixture({ maxConnectionsPerOrigin: 1 })
  fixture.dispatch('https://a/cold')
  await fixture.open({ maxStreams: 2 })
  const { length } = fixture.peer().open
  burst(fixture, 5)
  await fixture.turn()

  for (const id of [3, 1, 5, 7, 9]) {
    fixture.peer().respond(id)
    await fixture.turn()
  }

  expect(length).toBe(1)
  expect(fixture.paths()).toEqual([['/cold', '/0', '/1', '/2', '/3', '/4']])
})

test.each([1, 2, 3, 7, 100])(
  'ConnectionPool serves a cold burst of 60 where a server takes %i at a time',
  async (limit) => {
    await using fixture = new Http2PoolFixture()
    const handlers = burst(fixture, 60)

    await serveAll(fixture, limit)

    expect(handlers.map(({ events }) => events)).toEqual(handlers.map(() => WHOLE))
  },
)

test.each([1, 2, 3, 7])(
  'ConnectionPool serves a cold burst of 60 over one connection that takes %i at a time',
  async (limit) => {
    await using fixture = new Http2PoolFixture({ maxConnectionsPerOrigin: 1 })
    const handlers = burst(fixture, 60)

    await serveAll(fixture, limit)

    expect(handlers.map(({ events }) => events)).toEqual(handlers.map(() => WHOLE))
    expect(fixture.backend.requests).toHaveLength(1)
  },
)

test('ConnectionPool remembers how many an origin takes for the next connection', async () => {
  await using fixture = new Http2PoolFixture({ idleTimeoutMs: 1000 })
  fixture.dispatch()
  await fixture.open({ maxStreams: 2 })
  fixture.peer().respond()
  fixture.clock.advance(2000)
  const state = fixture.state()

  burst(fixture, 6)
  await fixture.turn()

  expect(state).toBe('empty')
  expect(fixture.backend.requests).toHaveLength(4)
  expect(fixture.paths().slice(1)).toEqual([
    ['/0', '/1'],
    ['/2', '/3'],
    ['/4', '/5'],
  ])
})

test('ConnectionPool opens the rest when the first connection turns out to speak HTTP/1.1', async () => {
  await using fixture = new Http2PoolFixture({ maxConnectionsPerOrigin: 4 })
  fixture.backend.choices.set('a', 'http/1.1')

  burst(fixture, 6)
  const first = fixture.backend.requests.length
  await fixture.turn()
  await fixture.turn()

  expect(first).toBe(1)
  expect(fixture.backend.requests).toHaveLength(4)
  expect(fixture.state()).toBe('https://a:443 active 4 idle 0 connecting 0 waiting 2')
  burst(fixture, 1)
  expect(fixture.state()).toBe('https://a:443 active 4 idle 0 connecting 0 waiting 3')
})

test('ConnectionPool fails all that waited for a first connection that cannot be opened, and only those', async () => {
  await using fixture = new Http2PoolFixture()
  const refused = new ConnectError('connect', 'refused')
  const connect = fixture.backend.connect.bind(fixture.backend)
  const { promise, reject } = Promise.withResolvers<never>()
  fixture.backend.connect = (options) => {
    fixture.backend.connect = connect
    return options.host === 'a' ? promise : connect(options)
  }
  const early = burst(fixture, 5)
  fixture.clock.advance(1)
  const late = burst(fixture, 2, 'https://a/late')
  const other = fixture.dispatch('https://b/')

  reject(refused)
  await fixture.open()
  await fixture.turn()

  expect(early.map(({ error }) => error)).toEqual(early.map(() => refused))
  expect([...late, other].map(({ events }) => events)).toEqual([[], [], []])
  expect(fixture.state()).toBe(
    'https://a:443 active 1 idle 0 connecting 0 waiting 0\n' +
      'https://b:443 active 1 idle 0 connecting 0 waiting 0',
  )
})

test('ConnectionPool lets an open connection serve those for whom a second cannot be opened', async () => {
  await using fixture = new Http2PoolFixture()
  fixture.dispatch('https://a/')
  await fixture.open({ maxStreams: 2 })
  fixture.dispatch('https://a/second')
  fixture.backend.refuse = new ConnectError('connect', 'refused')

  const waiting = burst(fixture, 4)
  await fixture.turn()
  await fixture.turn()
  const failed = waiting.filter(({ error }) => error !== undefined).length
  for (let answered = 0; answered < 6; answered++) {
    for (const { id } of fixture.peer(0).open) fixture.peer(0).respond(id)
    await fixture.turn()
  }

  // Each attempt fails at most one, as with HTTP/1.1.
  expect(failed).toBeLessThanOrEqual(fixture.pool.metrics().failed)
  expect(waiting.every(({ events }) => events.length > 0)).toBe(true)
})

test.each([
  ['does not begin with settings', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ['closes at once', ''],
])('ConnectionPool fails what it sent to a server that %s', async (_, wire) => {
  await using fixture = new Http2PoolFixture({ http2: 'prior-knowledge' })
  const handlers = burst(fixture, 3, 'http://a/')
  for (let attempt = 0; attempt < 4; attempt++) {
    await fixture.turn()
    const stream = fixture.backend.streams.at(-1)
    if (wire !== '') stream?.send(wire)
    stream?.sendEnd()
  }

  expect(handlers.every(({ error }) => error !== undefined)).toBe(true)
  expect(fixture.state()).toMatch(/active 0 idle 0 connecting 0 waiting 0|empty/)
  expect(fixture.backend.requests.length).toBeLessThanOrEqual(2)
})

test('ConnectionPool does not open connection after connection to a server that takes none now', async () => {
  await using fixture = new Http2PoolFixture({ idleTimeoutMs: 5000 })
  fixture.dispatch()
  await fixture.open({ maxStreams: 10 })
  fixture.peer().respond()
  fixture.peer().settings({ maxStreams: 0 })

  const handlers = burst(fixture, 5)
  await fixture.open({ maxStreams: 0 })
  await fixture.open({ maxStreams: 0 })
  const opened = fixture.backend.requests.length
  fixture.peer(0).settings({ maxStreams: 10 })
  await fixture.turn()
  for (const { id } of fixture.peer(0).open) fixture.peer(0).respond(id)

  expect(opened).toBeLessThanOrEqual(2)
  expect(handlers.map(({ events }) => events)).toEqual(handlers.map(() => WHOLE))
})

test('ConnectionPool lets go of idle connections whose servers take nothing', async () => {
  await using fixture = new Http2PoolFixture({ idleTimeoutMs: 1000, poolTimeoutMs: 2000 })
  const handlers = burst(fixture, 2)
  for (let step = 0; step < 40; step++) {
    await fixture.open({ maxStreams: 0 })
    const { open } = fixture.peer()
    for (const { id } of open) fixture.peer().reset(id, 'REFUSED_STREAM')
    fixture.clock.advance(250)
  }

  // Each connection is asked once: before it tells that it takes nothing.
  expect(handlers.every(({ error }) => error !== undefined)).toBe(true)
  expect(fixture.state()).toBe('empty')
  expect(fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
})

test('ConnectionPool lets settings in the first read of a connection count', async () => {
  await using fixture = new Http2PoolFixture()
  const connect = fixture.backend.connect.bind(fixture.backend)
  fixture.backend.connect = async (options) => {
    const stream = await connect(options)
    fixture.stream(-1).send(settingsOf({ maxStreams: 2 }))
    return stream
  }

  burst(fixture, 4)
  await fixture.turn()
  await fixture.turn()

  expect(fixture.paths()).toEqual([
    ['/0', '/1'],
    ['/2', '/3'],
  ])
})

test('ConnectionPool tells its state and its numbers with HTTP/2 and HTTP/1.1 side by side', async () => {
  await using fixture = new Http2PoolFixture()
  fixture.backend.choices.set('b', 'http/1.1')
  burst(fixture, 3)
  burst(fixture, 2, 'https://b/')
  await fixture.open()
  await fixture.turn()
  fixture.peer(0).respond(1)
  fixture.stream(1).send(HELLO)

  expect(fixture.state()).toBe(
    'https://a:443 active 1 idle 0 connecting 0 waiting 0\n' +
      'https://b:443 active 1 idle 1 connecting 0 waiting 0',
  )
  const { connections, origins, ...totals } = fixture.pool.metrics()
  expect(totals).toMatchObject({ created: 3, reused: 2, active: 2, idle: 1, waiting: 0 })
  expect(origins['https://a:443']).toMatchObject({ created: 1, reused: 2, active: 1 })
  expect(connections.map(({ requestCount, origin }) => [origin, requestCount])).toEqual([
    ['https://a:443', 3],
    ['https://b:443', 1],
    ['https://b:443', 1],
  ])
})

test('ConnectionPool times out what waits for room on a full connection', async () => {
  await using fixture = new Http2PoolFixture({ maxConnectionsPerOrigin: 1, poolTimeoutMs: 1000 })
  fixture.dispatch()
  await fixture.open({ maxStreams: 1 })

  const waiting = fixture.dispatch('https://a/waiting')
  fixture.clock.advance(1250)
  fixture.peer().respond()

  expect(waiting.error).toMatchObject({ phase: 'pool', timeoutMs: 1000 })
  expect(fixture.paths()).toEqual([['/']])
})

test('ConnectionPool forgets what is given up while it waits, and the next one takes its place', async () => {
  await using fixture = new Http2PoolFixture({ maxConnectionsPerOrigin: 1 })
  fixture.dispatch()
  await fixture.open({ maxStreams: 1 })
  const abort = new AbortController()
  const given = fixture.dispatch('https://a/given-up', { signal: abort.signal })
  const next = fixture.dispatch('https://a/next')

  abort.abort(new Error('enough'))
  fixture.peer().respond()
  await fixture.turn()
  fixture.peer().respond(3)

  expect(given.error).toBe(abort.signal.reason)
  expect(next.events).toEqual(WHOLE)
  expect(fixture.paths()).toEqual([['/', '/next']])
})

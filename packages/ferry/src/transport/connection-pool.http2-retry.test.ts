/** What a pool sends again over HTTP/2: what the server has not taken up, and what a stale connection lost. */
import { expect, test } from 'vitest'
import { Http2PoolFixture } from '../testing/http2-fixture.ts'
import type { RecordingHandler } from '../testing/recording-handler.ts'
import type { StreamedContent } from './content.ts'
import { HttpRequest } from './http-request.ts'

const WHOLE = ['head 200 5', 'content hello', 'complete']
const POST = new HttpRequest('POST', 'https://a/post', { content: 'hello' })

function streamed(replayable: boolean): StreamedContent & { opened: number } {
  return {
    opened: 0,
    replayable,
    length: 3,
    async *open() {
      this.opened++
      await Promise.resolve()
      yield Buffer.from('xyz')
    },
  }
}

/** A pool with one connection that has settled and carries nothing. */
async function warm(values = { maxStreams: 100 }): Promise<Http2PoolFixture> {
  const fixture = new Http2PoolFixture()
  fixture.dispatch()
  await fixture.open(values)
  fixture.peer().respond()
  await fixture.turn()
  fixture.peer().take()
  return fixture
}

test('a pool opens another connection once the server has said goodbye', async () => {
  await using fixture = await warm()
  const running = fixture.dispatch('https://a/running')
  await fixture.turn()

  fixture.peer(0).goAway(3)
  const next = fixture.dispatch('https://a/next')
  await fixture.open()
  fixture.peer(1).respond()
  fixture.peer(0).respond(3)

  expect([running.events, next.events]).toEqual([WHOLE, WHOLE])
  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.paths()).toEqual([['/', '/running'], ['/next']])
  expect(fixture.pool.metrics()).toMatchObject({ created: 2, closed: 1, active: 0, idle: 1 })
})

test('a pool does not use an idle connection again after a goodbye', async () => {
  await using fixture = await warm()

  fixture.peer(0).goAway(1)

  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.state()).toBe('https://a:443 active 0 idle 0 connecting 0 waiting 0')
})

test.each([0, 1])(
  'a pool sends again what the server has not taken up, with %i behind it',
  async (behind) => {
    await using fixture = await warm()
    const handlers = [
      fixture.dispatch('https://a/get'),
      fixture.send(POST),
      fixture.send(new HttpRequest('PATCH', 'https://a/patch', { content: streamed(true) })),
    ]
    for (let index = 0; index < behind; index++) fixture.dispatch('https://a/taken')
    await fixture.turn()
    await fixture.turn()

    fixture.peer(0).goAway(1)
    await fixture.open()
    await fixture.turn()
    const { open } = fixture.peer(1)
    for (const { id } of open) fixture.peer(1).respond(id)

    expect(fixture.paths()[1]).toEqual(['/get', '/post', '/patch', '/taken'].slice(0, 3 + behind))
    expect(open.map(({ content }) => content).slice(0, 3)).toEqual(['', 'hello', 'xyz'])
    expect(handlers.map(({ events }) => events)).toEqual([WHOLE, WHOLE, WHOLE])
  },
)

test('a pool does not send again what cannot be read twice', async () => {
  await using fixture = await warm()
  const content = streamed(false)
  const handler = fixture.send(new HttpRequest('PUT', 'https://a/put', { content }))
  await fixture.turn()

  fixture.peer(0).goAway(1)
  await fixture.turn()

  expect(handler.error).toMatchObject({ code: 'connection-lost' })
  expect(content.opened).toBe(1)
  expect(fixture.backend.requests).toHaveLength(1)
})

test('a pool never sends again what has begun to be answered', async () => {
  await using fixture = await warm()
  const handler = fixture.dispatch('https://a/begun')
  await fixture.turn()
  fixture.peer(0).head(3, 200)

  fixture.peer(0).goAway(1)
  await fixture.turn()

  expect(handler.events).toEqual(['head 200 unknown', 'error after the response began'])
  expect(fixture.backend.requests).toHaveLength(1)
})

test('a pool asks at most six times for what is refused each time', async () => {
  await using fixture = await warm()
  const handler = fixture.send(POST)

  for (let time = 0; time < 20; time++) {
    await fixture.turn()
    for (const { id } of fixture.peer(0).open) fixture.peer(0).reset(id, 'REFUSED_STREAM')
  }

  expect(fixture.paths()).toEqual([['/', ...Array.from({ length: 6 }, () => '/post')]])
  expect(handler.events).toEqual(['error before the response began'])
  expect(String(handler.error)).toContain('did not take it up (REFUSED_STREAM)')
  expect(fixture.state()).toBe('https://a:443 active 0 idle 1 connecting 0 waiting 0')
})

test('a pool gives up a server that says goodbye to each request', async () => {
  await using fixture = new Http2PoolFixture()
  const handler = fixture.dispatch()

  for (let time = 0; time < 40 && handler.events.length === 0; time++) {
    await fixture.open()
    fixture.peer().goAway(0, 'ENHANCE_YOUR_CALM')
  }

  expect(fixture.backend.requests).toHaveLength(21)
  expect(String(handler.error)).toContain('ENHANCE_YOUR_CALM')
})

test('a pool sends what was refused before those who came later, and only when there is room', async () => {
  await using fixture = new Http2PoolFixture({ maxConnectionsPerOrigin: 1 })
  const handlers = ['1', '2', '3'].map((path) => fixture.dispatch(`https://a/${path}`))
  await fixture.open()
  const peer = fixture.peer(0)

  peer.reset(5, 'REFUSED_STREAM')
  peer.reset(3, 'REFUSED_STREAM')
  handlers.push(fixture.dispatch('https://a/4'))
  await fixture.turn()
  const refused = fixture.paths()
  for (let time = 0; time < 5; time++) {
    for (const { id } of peer.open) peer.respond(id)
    await fixture.turn()
  }

  expect(refused).toEqual([['1', '2', '3'].map((path) => `/${path}`)])
  expect(fixture.paths()[0]?.slice(3).toSorted()).toEqual(['/2', '/3', '/4'])
  expect(fixture.paths()[0]?.at(-1)).toBe('/4')
  expect(handlers.map(({ events }) => events)).toEqual(handlers.map(() => WHOLE))
})

test('a pool sends what was refused once, also when it finds an idle connection that has expired', async () => {
  await using fixture = new Http2PoolFixture({ idleTimeoutMs: 1000 })
  fixture.dispatch('https://a/1')
  await fixture.open({ maxStreams: 1 })
  fixture.dispatch('https://a/2')
  const handler = fixture.dispatch('https://a/3')
  await fixture.open({ maxStreams: 1 })
  fixture.clock.advance(100)
  fixture.peer(0).respond()
  fixture.clock.advance(500)
  fixture.peer(1).respond()
  // The first has been idle too long since; the pool looks only each 250 ms.
  fixture.clock.advance(550)
  const expired = fixture.stream(0).closed

  fixture.peer(2).reset(1, 'REFUSED_STREAM')
  await fixture.open({ maxStreams: 1 })

  expect(expired).toBe(false)
  expect(fixture.paths().flat().toSorted()).toEqual(['/1', '/2', '/3', '/3'])
  for (const index of fixture.backend.streams.keys()) {
    for (const { id } of fixture.peer(index).open) fixture.peer(index).respond(id)
  }
  expect(handler.events).toEqual(WHOLE)
})

test('a pool waits anew for a connection with what was refused, but total goes on', async () => {
  await using fixture = new Http2PoolFixture({
    poolTimeoutMs: 1000,
    totalTimeoutMs: 3000,
    maxConnectionsPerOrigin: 1,
  })
  fixture.dispatch('https://a/blocks')
  await fixture.open({ maxStreams: 1 })
  const handler = fixture.dispatch('https://a/waits')
  fixture.clock.advance(900)
  fixture.peer().respond()
  await fixture.turn()
  fixture.clock.advance(900)
  fixture.peer().reset(3, 'REFUSED_STREAM')
  await fixture.turn()
  fixture.clock.advance(900)
  const before = handler.events.length
  fixture.clock.advance(600)

  expect(before).toBe(0)
  expect(handler.error).toMatchObject({ phase: 'total' })
})

test('a pool lets a signal end what is to be sent again', async () => {
  await using fixture = await warm()
  const abort = new AbortController()
  const handler = fixture.dispatch('https://a/again', { signal: abort.signal })
  await fixture.turn()
  fixture.peer(0).goAway(1)

  abort.abort(new Error('enough'))
  await fixture.open()

  expect(handler.error).toBe(abort.signal.reason)
  expect(fixture.paths()[1]).toEqual([])
})

test('a signal ends the last exchange of a connection that goes away with its own reason', async () => {
  await using fixture = await warm()
  const abort = new AbortController()
  const handler = fixture.dispatch('https://a/last', { signal: abort.signal })
  await fixture.turn()
  fixture.peer(0).goAway(3)

  abort.abort(new Error('enough'))

  expect(handler.error).toBe(abort.signal.reason)
  expect(fixture.stream(0).closed).toBe(true)
})

// ── Stale connections

test.each([
  ['closes', (fixture: Http2PoolFixture) => fixture.stream(0).sendEnd()],
  ['breaks', (fixture: Http2PoolFixture) => fixture.stream(0).fail(new Error('reset'))],
])('a pool sends again on a new connection what a kept one that %s has lost', async (_, happen) => {
  await using fixture = await warm()
  const handlers = ['1', '2', '3'].map((path) => fixture.dispatch(`https://a/${path}`))
  const post = fixture.send(POST)
  await fixture.turn()
  fixture.peer(0).head(5, 103)

  happen(fixture)
  expect(fixture.state()).toBe('https://a:443 active 0 idle 0 connecting 1 waiting 2')
  await fixture.open()
  for (const { id } of fixture.peer(1).open) fixture.peer(1).respond(id)

  expect(fixture.paths()[1]).toEqual(['/1', '/3'])
  expect(handlers.map(({ events }) => events.at(-1))).toEqual([
    'complete',
    'error after the response began',
    'complete',
  ])
  expect(post.events).toEqual(['error before the response began'])
})

test('a pool sends what a stale connection lost only on a connection that is younger', async () => {
  await using fixture = await warm({ maxStreams: 1 })
  fixture.dispatch('https://a/one')
  fixture.dispatch('https://a/two')
  await fixture.open({ maxStreams: 1 })
  fixture.peer(0).respond(3)
  fixture.peer(1).respond(1)
  fixture.dispatch('https://a/long')
  const lost = fixture.dispatch('https://a/lost')
  await fixture.turn()
  const carrying = fixture.paths().findIndex((paths) => paths.includes('/lost'))
  fixture.peer(1 - carrying).settings({ maxStreams: 9 })

  fixture.stream(carrying).sendEnd()
  await fixture.open()
  fixture.peer(2).respond()

  expect(fixture.paths()[2]).toEqual(['/lost'])
  expect(lost.events).toEqual(WHOLE)
  fixture.dispatch('https://a/next')
  expect(fixture.backend.requests).toHaveLength(3)
})

test('a pool sends again what a server took on before its goodbye, and lost', async () => {
  await using fixture = new Http2PoolFixture()
  const handlers = [fixture.dispatch('https://a/get'), fixture.send(POST)]
  await fixture.open()

  for (let time = 0; time < 5; time++) {
    fixture.peer().goAway(2 ** 31 - 1)
    fixture.stream(-1).sendEnd()
    await fixture.open()
  }

  // Three times, since those who restart may do so one behind the other; but not for ever.
  expect(fixture.paths()).toEqual([['/get', '/post'], ['/get'], ['/get'], ['/get']])
  expect(handlers.map(({ events }) => events)).toEqual([
    ['error before the response began'],
    ['error before the response began'],
  ])
})

test('a pool does not send again what a new connection lost that said nothing', async () => {
  await using fixture = new Http2PoolFixture()
  const handler = fixture.dispatch()
  await fixture.open()

  fixture.stream(0).sendEnd()
  await fixture.open()

  expect(handler.events).toEqual(['error before the response began'])
  expect(fixture.backend.requests).toHaveLength(1)
})

test('a pool sends again what was lost when a connection gave no sign of life', async () => {
  await using fixture = new Http2PoolFixture({ pingIntervalMs: 1000, pingTimeoutMs: 500 })
  fixture.dispatch()
  await fixture.open()
  fixture.peer().respond()
  const handler = fixture.dispatch('https://a/again')
  await fixture.turn()

  for (let step = 0; step < 16; step++) fixture.clock.advance(125)
  await fixture.open()
  fixture.peer(1).respond()

  expect(fixture.stream(0).closed).toBe(true)
  expect(handler.events).toEqual(WHOLE)
})

test('a pool does not send again what broke the protocol', async () => {
  await using fixture = await warm()
  const handlers: RecordingHandler[] = [fixture.dispatch(), fixture.dispatch()]
  await fixture.turn()

  fixture.peer(0).data(0, 'x')
  await fixture.turn()

  expect(handlers.map(({ error }) => error)).toEqual([
    expect.objectContaining({ code: 'remote-protocol' }),
    expect.objectContaining({ code: 'remote-protocol' }),
  ])
  expect(fixture.backend.requests).toHaveLength(1)
})

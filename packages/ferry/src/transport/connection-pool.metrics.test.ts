import { expect, test } from 'vitest'
import { CLOSING_HELLO, GET, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import { HttpRequest } from './http-request.ts'

const NOTHING = {
  created: 0,
  reused: 0,
  upgraded: 0,
  closed: 0,
  failed: 0,
  active: 0,
  idle: 0,
  connecting: 0,
  waiting: 0,
}

test('metrics() of a pool that was never used', async () => {
  await using fixture = new PoolFixture()

  expect(fixture.pool.metrics()).toEqual({ ...NOTHING, origins: {}, connections: [] })
})

test('metrics() counts what is and what was, in all and by origin', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 1 })
  fixture.dispatch('http://a/')
  fixture.dispatch('http://a/')
  fixture.dispatch('http://b/')
  expect(fixture.pool.metrics()).toMatchObject({ connecting: 2, waiting: 3 })
  await fixture.turn()
  expect(fixture.pool.metrics()).toMatchObject({ created: 2, active: 2, waiting: 1 })

  fixture.stream(0).send(HELLO)
  fixture.stream(1).send(CLOSING_HELLO)

  const metrics = fixture.pool.metrics()
  expect(metrics).toMatchObject({ ...NOTHING, created: 2, reused: 1, closed: 1, active: 1 })
  expect(metrics.origins).toEqual({
    'http://a:80': { ...NOTHING, created: 1, reused: 1, active: 1 },
    'http://b:80': { ...NOTHING, created: 1, closed: 1 },
  })
})

test('metrics() keeps the sums of origins that are forgotten', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  fixture.clock.advance(20_000)

  expect(fixture.state()).toBe('empty')
  expect(fixture.pool.metrics()).toMatchObject({ created: 1, closed: 1, origins: {} })
})

test('metrics() tells of each connection', async () => {
  await using fixture = new PoolFixture()
  fixture.send(new HttpRequest('PUT', 'http://a/', { content: 'xyz' }))
  await fixture.turn()
  fixture.clock.advance(40)
  fixture.stream(0).send(HELLO)
  fixture.clock.advance(10)
  const head = fixture.stream(0).written.length
  expect(fixture.pool.metrics().connections).toEqual([
    {
      id: 1,
      origin: 'http://a:80',
      state: 'idle',
      requestCount: 1,
      bytesSent: head,
      bytesReceived: HELLO.length,
      totalRequestTimeMs: 40,
      lastRequestTimeMs: 40,
      averageRequestTimeMs: 40,
      errorsCount: 0,
      errorRate: 0,
      idleMs: 10,
    },
  ])

  fixture.dispatch()
  fixture.clock.advance(20)
  fixture.stream(0).send(HELLO)

  expect(fixture.pool.metrics().connections).toMatchObject([
    { requestCount: 2, totalRequestTimeMs: 60, lastRequestTimeMs: 20, averageRequestTimeMs: 30 },
  ])
})

test('a response tells how long its parts took, and which connection it came by', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  fixture.dispatch()
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.clock.advance(30)
  fixture.stream(0).send(HELLO)
  fixture.clock.advance(50)
  fixture.stream(0).send(HELLO.slice(0, -1))
  const response = await pending
  expect(response.timings).toEqual({
    queueMs: 30,
    headMs: 50,
    bodyMs: undefined,
    opening: undefined,
  })
  fixture.clock.advance(7)
  fixture.stream(0).send(HELLO.slice(-1))

  expect(response.timings).toMatchObject({ queueMs: 30, headMs: 50, bodyMs: 7 })
  expect(response.connection).toMatchObject({ id: 1, reused: true })
  expect(response.connection?.getExtraInfo('peer')).toEqual({ address: 'memory', port: undefined })
})

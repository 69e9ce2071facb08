import { expect, test } from 'vitest'
import { TimeoutError } from '../errors.ts'
import { GET, HELLO, PoolFixture } from '../testing/pool-fixture.ts'

test('ConnectionPool closes a connection that has been idle for idleTimeoutMs', async () => {
  await using fixture = new PoolFixture({ idleTimeoutMs: 1_000 })
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  fixture.clock.advance(999)
  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  fixture.clock.advance(250)

  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.state()).toBe('empty')
})

test('ConnectionPool closes only those that have been idle for too long', async () => {
  await using fixture = new PoolFixture({ idleTimeoutMs: 1_000 })
  fixture.dispatch()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  fixture.clock.advance(750)
  fixture.stream(1).send(HELLO)

  fixture.clock.advance(250)

  expect(fixture.backend.streams.map(({ closed }) => closed)).toEqual([true, false])
})

test('ConnectionPool keeps a connection that nobody came to use as long as any other', async () => {
  await using fixture = new PoolFixture({ idleTimeoutMs: 1_000 })
  const abort = new AbortController()
  fixture.dispatch('http://a/', abort.signal)
  abort.abort()
  await fixture.turn()

  fixture.clock.advance(999)
  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  fixture.clock.advance(250)

  expect(fixture.state()).toBe('empty')
})

test('ConnectionPool leaves no timer behind when it has forgotten every origin', async () => {
  await using fixture = new PoolFixture({ idleTimeoutMs: 1_000 })
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  fixture.clock.advance(1_500)

  expect(fixture.clock.pending).toBe(0)
})

test('ConnectionPool uses one timer for everything', async () => {
  await using fixture = new PoolFixture()
  for (const host of ['a', 'b', 'c']) fixture.dispatch(`http://${host}/`)
  await fixture.turn()

  expect(fixture.clock.pending).toBe(1)
})

test('ConnectionPool fails a request that waits for poolTimeoutMs', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1, poolTimeoutMs: 1_000 })
  const first = fixture.dispatch('http://a/')
  await fixture.turn()
  const pending = fixture.pool.request(GET.withUrl('http://u:secret@b/x'))
  const outcome = expect(pending).rejects.toMatchObject({
    phase: 'pool',
    timeoutMs: 1_000,
    message: expect.stringMatching(/^Cannot send GET http:\/\/b\/x: /) as string,
  })

  fixture.clock.advance(1_250)

  await outcome
  expect(first.error).toBeUndefined()
  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 0')
})

test('ConnectionPool fails a request without a head for headersTimeoutMs, and closes', async () => {
  await using fixture = new PoolFixture({ headersTimeoutMs: 1_000 })
  const handler = fixture.dispatch()
  await fixture.turn()

  fixture.clock.advance(999)
  expect(handler.error).toBeUndefined()
  fixture.clock.advance(250)

  expect(handler.error).toBeInstanceOf(TimeoutError)
  expect(handler.error).toMatchObject({ phase: 'headers', timeoutMs: 1_000 })
  expect(fixture.stream(0).closed).toBe(true)
})

test('ConnectionPool fails a body that stands still for bodyTimeoutMs', async () => {
  await using fixture = new PoolFixture({ bodyTimeoutMs: 1_000 })
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.stream(0).send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe')
  const { body } = await pending
  const outcome = expect(body.bytes()).rejects.toMatchObject({ phase: 'body', timeoutMs: 1_000 })

  fixture.clock.advance(1_250)

  await outcome
  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.state()).toBe('empty')
})

test('ConnectionPool gives the place of what timed out to who waits', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1, headersTimeoutMs: 1_000 })
  fixture.dispatch('http://a/')
  await fixture.turn()
  const waiting = fixture.dispatch('http://b/')

  fixture.clock.advance(1_000)
  await fixture.turn()
  fixture.lastStream().send(HELLO)

  expect(waiting.events.at(-1)).toBe('complete')
})

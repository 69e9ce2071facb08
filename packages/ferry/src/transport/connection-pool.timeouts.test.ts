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

// ── How long a connection lives

test('ConnectionPool closes an idle connection a second before the server would', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO.replace('\r\n', '\r\nKeep-Alive: timeout=5\r\n'))

  fixture.clock.advance(3_999)
  expect(fixture.stream(0).closed).toBe(false)
  fixture.clock.advance(251)

  expect(fixture.stream(0).closed).toBe(true)
})

test('ConnectionPool opens a new connection rather than use one whose time is over', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.clock.advance(100)
  fixture.stream(0).send(HELLO.replace('\r\n', '\r\nKeep-Alive: timeout=5\r\n'))
  // Between two checks of the timer.
  fixture.clock.advance(4_010)
  expect(fixture.stream(0).closed).toBe(false)

  fixture.dispatch()
  await fixture.turn()

  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.requestCounts()).toEqual([1, 1])
  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 0')
})

test('ConnectionPool does not use a connection again when the server takes no more', async () => {
  await using fixture = new PoolFixture()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO.replace('\r\n', '\r\nKeep-Alive: timeout=5, max=0\r\n'))

  expect(fixture.stream(0).closed).toBe(true)
})

test('ConnectionPool closes a connection after maxRequestsPerConnection', async () => {
  await using fixture = new PoolFixture({ maxRequestsPerConnection: 2 })
  for (let request = 0; request < 5; request++) {
    fixture.dispatch()
    await fixture.turn()
    fixture.lastStream().send(HELLO)
  }

  expect(fixture.requestCounts()).toEqual([2, 2, 1])
  expect(fixture.backend.streams.map(({ closed }) => closed)).toEqual([true, true, false])
})

test('ConnectionPool closes a connection of maxConnectionAgeMs when it becomes free', async () => {
  await using fixture = new PoolFixture({ maxConnectionAgeMs: 10_000 })
  fixture.dispatch()
  await fixture.turn()
  fixture.clock.advance(9_900)
  fixture.stream(0).send(HELLO)
  fixture.dispatch()
  fixture.clock.advance(200)
  expect(fixture.stream(0).closed).toBe(false)

  fixture.stream(0).send(HELLO)

  expect(fixture.stream(0).closed).toBe(true)
})

// ── Limits of one exchange

test('an exchange has its own limits where it is given some', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  const patient = fixture.pool.request(GET)
  const hasty = fixture.pool.request(GET, { poolTimeoutMs: 40 })
  await fixture.turn()

  fixture.clock.advance(50)

  await expect(hasty).rejects.toMatchObject({ phase: 'pool', timeoutMs: 40 })
  fixture.stream(0).send(HELLO)
  await expect(patient).resolves.toMatchObject({ status: 200 })
})

test.each([
  ['waiting for a connection', '', /no connection became free within 1000 ms, the limit for all/],
  ['waiting for the head', 'HTTP/1.1 103 Hi\r\n\r\n', /it took longer than 1000 ms/],
  ['reading, held back by its reader', HELLO.slice(0, -1), /it took longer than 1000 ms/],
])('totalTimeoutMs ends an exchange while %s', async (_, wire, message) => {
  await using fixture = new PoolFixture({ totalTimeoutMs: 1_000, maxConnections: 1 })
  const blocker = wire === '' ? fixture.dispatch() : undefined
  const handler = fixture.dispatch()
  handler.flowing = false
  await fixture.turn()
  if (blocker !== undefined) fixture.stream(0).send('')
  else fixture.stream(0).send(wire)

  fixture.clock.advance(1_250)

  expect(handler.error).toMatchObject({ phase: 'total', timeoutMs: 1_000 })
  expect((handler.error as Error).message).toMatch(message)
  expect(fixture.state()).toMatch(/empty|active 0 idle 0/)
})

test('short limits are checked more often', async () => {
  await using fixture = new PoolFixture()
  const pending = fixture.pool.request(GET, { headersTimeoutMs: 100 })
  await fixture.turn()

  fixture.clock.advance(126)

  await expect(pending).rejects.toMatchObject({ phase: 'headers', timeoutMs: 100 })
})

const LARGE = `HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(100_000)}`

test('a large response that nobody takes gives its connection up after bodyTimeoutMs', async () => {
  await using fixture = new PoolFixture({ bodyTimeoutMs: 1_000 })
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.stream(0).send(LARGE)
  const { body } = await pending

  fixture.clock.advance(1_250)

  expect(fixture.stream(0).closed).toBe(true)
  await expect(body.bytes()).rejects.toMatchObject({ phase: 'body' })
  await expect(body.bytes()).rejects.toThrow('only once')
})

test('a reader that is slow is not timed out', async () => {
  await using fixture = new PoolFixture({ bodyTimeoutMs: 1_000 })
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.stream(0).send(LARGE)
  const reader = (await pending).body[Symbol.asyncIterator]()
  await reader.next()
  fixture.stream(0).send('x'.repeat(90_000))

  fixture.clock.advance(100_000)

  expect(fixture.stream(0).closed).toBe(false)
  fixture.stream(0).send('x'.repeat(10_000))
  expect((await reader.next()).value).toHaveLength(90_000)
  expect((await reader.next()).value).toHaveLength(10_000)
  expect((await reader.next()).done).toBe(true)
})

test('short limits of the pool stay sharp after a quiet time', async () => {
  await using fixture = new PoolFixture({ headersTimeoutMs: 40, idleTimeoutMs: 60 })
  for (let round = 0; round < 3; round++) {
    const pending = fixture.pool.request(GET)
    await fixture.turn()
    fixture.clock.advance(51)
    await expect(pending).rejects.toMatchObject({ phase: 'headers' })
    fixture.clock.advance(1_000)
    expect(fixture.clock.pending).toBe(0)
  }
})

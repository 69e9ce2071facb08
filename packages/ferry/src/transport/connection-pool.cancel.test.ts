import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { GET, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import { HttpRequest } from './http-request.ts'

const EMPTY = 'http://a:80 active 0 idle 0 connecting 0 waiting 0'
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'

/** An abort with a reason that only identity can tell apart, and the listeners on its signal. */
class Abort {
  readonly reason = { because: 'the user said so' }
  readonly #controller = new AbortController()

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get listeners(): number {
    return getEventListeners(this.signal, 'abort').length
  }

  now(): void {
    this.#controller.abort(this.reason)
  }
}

/** Lets idle connections age out, and finds that nothing is left. */
function expectNothingLeft(fixture: PoolFixture, abort: Abort): void {
  expect(abort.listeners).toBe(0)
  fixture.clock.advance(60_000)
  expect(fixture.state()).toBe('empty')
  expect(fixture.clock.pending).toBe(0)
  expect(fixture.backend.streams.every(({ closed }) => closed)).toBe(true)
}

test('request() with an aborted signal sends nothing', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  abort.now()

  await expect(fixture.pool.request(GET, { signal: abort.signal })).rejects.toBe(abort.reason)

  expect(fixture.backend.requests).toHaveLength(0)
  expectNothingLeft(fixture, abort)
})

test('request() aborted while it waits for a connection gives its place in the queue up', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  const abort = new Abort()
  fixture.dispatch()
  await fixture.turn()
  const pending = fixture.pool.request(GET, { signal: abort.signal })
  const later = fixture.dispatch('http://a/later')
  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 2')

  abort.now()

  await expect(pending).rejects.toBe(abort.reason)
  expect(fixture.state()).toBe('http://a:80 active 1 idle 0 connecting 0 waiting 1')
  fixture.stream(0).send(HELLO)
  fixture.stream(0).send(HELLO)
  expect(later.events.at(-1)).toBe('complete')
  expect(fixture.requestCounts()).toEqual([2])
  expectNothingLeft(fixture, abort)
})

test('request() aborted while connecting leaves the connection to others', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  const pending = fixture.pool.request(GET, { signal: abort.signal })
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 1')

  abort.now()

  await expect(pending).rejects.toBe(abort.reason)
  await fixture.turn()
  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  expect(fixture.stream(0).written).toBe('')
  expectNothingLeft(fixture, abort)
})

test('request() aborted before the head closes its connection', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  const pending = fixture.pool.request(GET, { signal: abort.signal })
  await fixture.turn()

  abort.now()

  await expect(pending).rejects.toBe(abort.reason)
  expect(fixture.state()).toBe(EMPTY)
  expectNothingLeft(fixture, abort)
})

test('request() aborted before the head on a reused connection is not sent again', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  const pending = fixture.pool.request(GET, { signal: abort.signal })

  abort.now()

  await expect(pending).rejects.toBe(abort.reason)
  await fixture.turn()
  expect(fixture.backend.requests).toHaveLength(1)
  expectNothingLeft(fixture, abort)
})

test('request() aborted while it is sent again is given up', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  const pending = fixture.pool.request(GET, { signal: abort.signal })
  fixture.stream(0).sendEnd()
  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 1 waiting 1')

  abort.now()

  await expect(pending).rejects.toBe(abort.reason)
  await fixture.turn()
  expect(fixture.stream(1).written).toBe('')
  expectNothingLeft(fixture, abort)
})

test('request() aborted while its content is sent closes connection and source', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  let closed = false
  async function* open(): AsyncIterable<Uint8Array> {
    try {
      for (;;) {
        yield Buffer.from('x')
        await fixture.turn()
      }
    } finally {
      closed = true
    }
  }
  const request = new HttpRequest('PUT', 'http://a/', { content: { open, replayable: true } })
  const pending = fixture.pool.request(request, { signal: abort.signal })
  await fixture.turn()
  await fixture.turn()

  abort.now()

  await expect(pending).rejects.toBe(abort.reason)
  await fixture.turn()
  expect(closed).toBe(true)
  expectNothingLeft(fixture, abort)
})

test.each([
  ['bytes()', (body: AsyncIterable<Uint8Array> & { bytes(): Promise<Buffer> }) => body.bytes()],
  [
    'iterating',
    async (body: AsyncIterable<Uint8Array>) => {
      for await (const bytes of body) expect(bytes).toEqual(Buffer.from('he'))
    },
  ],
] as const)(
  '%s rejects with the very reason of an abort in the middle of the body',
  async (_, take) => {
    await using fixture = new PoolFixture()
    const abort = new Abort()
    const pending = fixture.pool.request(GET, { signal: abort.signal })
    await fixture.turn()
    fixture.stream(0).send(HALF)
    const taken = take((await pending).body)
    await fixture.turn()

    abort.now()

    await expect(taken).rejects.toBe(abort.reason)
    expect(fixture.state()).toBe(EMPTY)
    expectNothingLeft(fixture, abort)
  },
)

test('a body that nobody takes yet remembers the reason of an abort', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  const pending = fixture.pool.request(GET, { signal: abort.signal })
  await fixture.turn()
  fixture.stream(0).send(HALF)
  const { body } = await pending

  abort.now()

  expect(fixture.state()).toBe(EMPTY)
  await expect(body.bytes()).rejects.toBe(abort.reason)
  expectNothingLeft(fixture, abort)
})

test('an abort after the end changes nothing', async () => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  const pending = fixture.pool.request(GET, { signal: abort.signal })
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  const { body } = await pending
  expect(abort.listeners).toBe(0)

  abort.now()

  await expect(body.bytes()).resolves.toEqual(Buffer.from('hello'))
  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  expectNothingLeft(fixture, abort)
})

test.each([
  ['a refused connection', (fixture: PoolFixture) => fixture.pool.close()],
  [
    'a lost connection',
    async (fixture: PoolFixture) => {
      await fixture.turn()
      fixture.stream(0).sendEnd()
    },
  ],
  [
    'a timeout',
    async (fixture: PoolFixture) => {
      await fixture.turn()
      fixture.clock.advance(120_000)
    },
  ],
])('a request that fails by %s leaves no listener on its signal', async (_, happen) => {
  await using fixture = new PoolFixture()
  const abort = new Abort()
  const handler = fixture.dispatch('http://a/', abort.signal)
  expect(abort.listeners).toBe(1)

  await happen(fixture)
  await fixture.turn()

  expect(handler.error).toBeDefined()
  expectNothingLeft(fixture, abort)
})

test('many requests may share one signal', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 4 })
  const abort = new Abort()
  const pending = Array.from({ length: 32 }, () => fixture.pool.request(GET, abort))
  const outcomes = Promise.allSettled(pending)
  await fixture.turn()

  abort.now()

  for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: abort.reason })
  await fixture.turn()
  expectNothingLeft(fixture, abort)
})

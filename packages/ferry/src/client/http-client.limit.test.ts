/** How many calls start, and how many run at once: maxRateLimit and limiters of one's own. */
import { expect, test } from 'vitest'
import { NetworkError } from '../errors.ts'
import { MemoryBackend } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { type Answer, HttpTestServer, refuse } from '../testing/http-test-server.ts'
import { HttpClient } from './http-client.ts'
import { OriginRateLimiters } from './rate-limit/origin-rate-limiters.ts'
import { RateLimiter } from './rate-limit/rate-limiter.ts'

const QUICK = { responseFormat: 'text', retryDelayMs: 1, proxy: false } as const
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('10 000 concurrent calls at 100/s take 100 s, and no second sees more than 100', async () => {
  const clock = new FakeClock()
  const startedAt: number[] = []
  const backend = new MemoryBackend((stream) => {
    startedAt.push(clock.now())
    stream.send(HELLO)
  })
  await using client = new HttpClient({
    ...QUICK,
    backend,
    clock,
    maxRateLimit: 100,
    timeoutMs: Number.POSITIVE_INFINITY,
  })
  const begin = clock.now()

  const calls = Array.from({ length: 10_000 }, () => client.get('http://a/'))
  const all = Promise.all(calls.map((call) => call.then((text) => expect(text).toBe('hello'))))
  for (let ms = 0; ms < 100_000; ms += 10) {
    await turn()
    clock.advance(10)
  }
  await all

  expect(startedAt).toHaveLength(10_000)
  for (let index = 100; index < startedAt.length; index++) {
    const windowMs = (startedAt[index] as number) - (startedAt[index - 100] as number)
    if (windowMs < 1000) expect.fail(`101 starts within ${windowMs} ms, up to start ${index}`)
  }
  expect((startedAt.at(-1) as number) - begin).toBe(99_990)
}, 60_000)

test('redirections and further attempts count against the rate', async () => {
  const clock = new FakeClock()
  const startedAt: number[] = []
  const backend = new MemoryBackend((stream) => {
    startedAt.push(clock.now())
    if (startedAt.length === 1) {
      stream.send('HTTP/1.1 302 On\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n')
    } else if (startedAt.length === 2) {
      stream.send('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n')
    } else {
      stream.send(HELLO)
    }
  })
  await using client = new HttpClient({
    ...QUICK,
    backend,
    clock,
    maxRateLimit: 1,
    retryDelayMs: 0,
  })

  const call = client.get('http://a/').then((text) => text)
  for (let ms = 0; ms < 5000; ms += 10) {
    await turn()
    clock.advance(10)
  }

  expect(await call).toBe('hello')
  const [first = 0, ...others] = startedAt
  expect(others.map((at) => at - first)).toEqual([1000, 2000])
})

test('a limiter that clients share holds for all of them', async () => {
  const clock = new FakeClock()
  let started = 0
  const backend = new MemoryBackend((stream) => {
    started++
    stream.send(HELLO)
  })
  const rateLimiter = new RateLimiter({ requestsPerSecond: 10, clock })
  await using one = new HttpClient({ ...QUICK, backend, clock, rateLimiter })
  await using other = new HttpClient({ ...QUICK, backend, clock, rateLimiter })

  const calls = Promise.all(
    Array.from({ length: 20 }, (_, index) => (index % 2 ? one : other).get('http://a/')),
  )
  for (let ms = 0; ms < 1000; ms += 10) {
    await turn()
    clock.advance(10)
  }
  await turn()
  const afterOneSecond = started
  for (let ms = 0; ms < 2000; ms += 10) {
    await turn()
    clock.advance(10)
  }
  await calls

  expect(afterOneSecond).toBeLessThanOrEqual(11)
  expect(started).toBe(20)
})

test('an extended client shares the rate of the first, unless it is given another', async () => {
  const clock = new FakeClock()
  const startedAt: number[] = []
  const backend = new MemoryBackend((stream) => {
    startedAt.push(clock.now())
    stream.send(HELLO)
  })
  await using client = new HttpClient({ ...QUICK, backend, clock, maxRateLimit: 1 })
  const child = client.extend({ headers: { 'X-A': '1' } })
  const free = client.extend({ maxRateLimit: 0 })

  const calls = [client, child, client, child, free].map((one) => one.get('http://a/'))
  for (let ms = 0; ms < 5000; ms += 10) {
    await turn()
    clock.advance(10)
  }
  await Promise.all(calls)

  const [first = 0] = startedAt
  expect(startedAt.map((at) => at - first)).toEqual([0, 0, 1000, 2000, 3000])
})

test('each origin may have a limiter of its own', async () => {
  const clock = new FakeClock()
  const startedAt: number[] = []
  const backend = new MemoryBackend((stream) => {
    startedAt.push(clock.now())
    stream.send(HELLO)
  })
  const rateLimiter = new OriginRateLimiters({ requestsPerSecond: 1, clock })
  await using client = new HttpClient({ ...QUICK, backend, clock, rateLimiter })

  const calls = Promise.all(['a', 'b', 'a', 'b'].map((host) => client.get(`http://${host}/`)))
  for (let ms = 0; ms < 2000; ms += 10) {
    await turn()
    clock.advance(10)
  }
  await calls

  const [first = 0] = startedAt
  expect(startedAt.map((at) => at - first)).toEqual([0, 0, 1000, 1000])
})

test('the limiter learns from 429, and holds other calls back as well', async () => {
  const clock = new FakeClock()
  const startedAt: number[] = []
  const backend = new MemoryBackend((stream) => {
    startedAt.push(clock.now())
    stream.send(
      startedAt.length === 1
        ? 'HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n'
        : HELLO,
    )
  })
  const rateLimiter = new RateLimiter({ requestsPerSecond: 1000, clock })
  await using client = new HttpClient({ ...QUICK, backend, clock, rateLimiter })

  const refused = client.get('http://a/').then((text) => text)
  await turn()
  await turn()
  const other = client.get('http://a/').then((text) => text)
  for (let ms = 0; ms < 7000; ms += 10) {
    await turn()
    clock.advance(10)
  }

  expect(await Promise.all([refused, other])).toEqual(['hello', 'hello'])
  const [first = 0, ...others] = startedAt
  for (const at of others) expect(at - first).toBeGreaterThanOrEqual(5000)
})

// ── How many run at once

test('a permit is held to the end of the content', async () => {
  const told = Promise.withResolvers<void>()
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, { 'Content-Length': 10 }).write('hello')
    void told.promise.then(() => response.end('world'))
  })
  const rateLimiter = new RateLimiter({ maxConcurrent: 1 })
  await using client = new HttpClient({ ...QUICK, rateLimiter })

  const response = await client.stream('GET', server.url())
  expect(rateLimiter.active).toBe(1)
  const other = client.get(server.url()).then((text) => text)
  await turn()
  expect(rateLimiter.waiting).toBe(1)
  told.resolve()
  expect(await response.text()).toBe('helloworld')

  expect(await other).toBe('helloworld')
  expect([rateLimiter.active, rateLimiter.waiting]).toEqual([0, 0])
})

const slow: Answer = (_, response) => {
  response.writeHead(200, { 'Content-Length': 10 }).write('hello')
}

test('a permit is released when the content is given up', async () => {
  await using server = await HttpTestServer.start(slow)
  const rateLimiter = new RateLimiter({ maxConcurrent: 1 })
  await using client = new HttpClient({ ...QUICK, rateLimiter, decompress: false })

  for (let count = 0; count < 3; count++) {
    const response = await client.stream('GET', server.url(), {
      onDownloadProgress: count === 2 ? () => {} : undefined,
    })
    expect(rateLimiter.active).toBe(1)
    if (count === 1) response.body.cancel()
    else response.cancel()
    expect(rateLimiter.active).toBe(0)
  }
})

const failures: readonly [string, Answer][] = [
  ['a lost connection', (request) => void request.socket.resetAndDestroy()],
  [
    'a truncated body',
    (_, response) => {
      response.writeHead(200, { 'Content-Length': 9 }).write('1')
      setTimeout(() => response.socket?.destroy(), 5)
    },
  ],
  ['a status', refuse(99, 503)],
  ['a timeout', () => {}],
  [
    'a bad coding',
    (_, response) => void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('x'),
  ],
  [
    'a bad redirection',
    (_, response) => void response.writeHead(302, { Location: 'ftp://h' }).end('x'),
  ],
  ['a refused head', (request) => void request.socket.end('nonsense\r\n\r\n')],
]

test.each(failures)('a permit is released after %s', async (_, answer) => {
  await using server = await HttpTestServer.start(answer)
  const rateLimiter = new RateLimiter({ maxConcurrent: 1, adaptive: false })
  await using client = new HttpClient({ ...QUICK, rateLimiter, retries: 1, attemptTimeoutMs: 50 })

  await expect(client.get(server.url())).rejects.toBeInstanceOf(NetworkError)
  const streamed = client.stream('GET', server.url(), { retries: 0 })
  await expect(streamed.text()).rejects.toBeInstanceOf(NetworkError)

  await expect.poll(() => rateLimiter.active, { interval: 5 }).toBe(0)
})

test('a permit is given back before the next attempt and the next hop ask for one', async () => {
  let seen = 0
  await using server = await HttpTestServer.start((_, response) => {
    seen++
    if (seen === 1) response.writeHead(302, { Location: '/x' }).end('x'.repeat(100_000))
    else if (seen === 2) response.writeHead(503).end('x'.repeat(100_000))
    else response.end('hello')
  })
  const rateLimiter = new RateLimiter({ maxConcurrent: 1 })
  await using client = new HttpClient({ ...QUICK, rateLimiter, timeoutMs: 5000 })

  expect(await client.get(server.url())).toBe('hello')
  expect(rateLimiter.active).toBe(0)
})

test('a call without room in the queue fails at once', async () => {
  await using server = await HttpTestServer.start(slow)
  const rateLimiter = new RateLimiter({ maxConcurrent: 1, maxQueued: 0 })
  // Whoever bounds the queue does not want the rest to wait beside it: it is not tried again.
  await using client = new HttpClient({ ...QUICK, rateLimiter, retries: 3 })
  const response = await client.stream('GET', server.url())

  const refusal = { name: 'NetworkError', code: 'queue-full', method: 'GET', attempts: 1 }
  await expect(client.get(server.url())).rejects.toMatchObject(refusal)
  response.cancel()
})

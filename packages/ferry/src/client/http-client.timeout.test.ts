/** How long a call may take: all of it, one attempt of it, each of its parts; with time moved by hand. */
import { expect, test } from 'vitest'
import { MemoryBackend, type MemoryStream } from '../net/memory-backend.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import type { TimeoutOptions } from '../transport/pool-options.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { HttpTestServer } from '../testing/http-test-server.ts'
import type { CallOptions, HttpClientOptions } from './call-options.ts'
import { HttpClient } from './http-client.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A client on a network in memory whose far side answers as `answer` says, and a clock. */
class Fixture implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly backend: MemoryBackend
  readonly client: HttpClient<'text'>
  requests = 0

  constructor(answer: (stream: MemoryStream, n: number) => void, options: HttpClientOptions = {}) {
    this.backend = new MemoryBackend((stream) => answer(stream, ++this.requests))
    this.client = new HttpClient({
      backend: this.backend,
      clock: this.clock,
      jitter: 'none',
      proxy: false,
      ...options,
      responseFormat: 'text',
    })
  }

  /** What becomes of a call, and after how long, in steps of 10 ms. */
  async outcomeOf(call: PromiseLike<unknown>, withinMs = 200_000): Promise<Outcome> {
    const startedAt = this.clock.now()
    let outcome: Outcome | undefined
    const settle = (value: unknown): void => {
      outcome = { value, afterMs: this.clock.now() - startedAt }
    }
    call.then(settle, settle)
    await turn()
    for (let ms = 0; outcome === undefined && ms < withinMs; ms += 10) {
      this.clock.advance(10)
      await turn()
    }
    if (outcome === undefined) throw new Error(`nothing came of it within ${withinMs} ms`)
    return outcome
  }

  get(options: CallOptions = {}, url = 'http://a/x'): PromiseLike<string> {
    return this.client.get(url, { ...options, responseFormat: 'text' })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.client.close()
  }
}

interface Outcome {
  readonly value: unknown
  readonly afterMs: number
}

const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const BUSY = 'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'
const silent = (): void => {}

test('a call ends after 30 s by default, whatever is going on then', async () => {
  for (const answer of [silent, (stream: MemoryStream) => stream.send(HALF)]) {
    await using fixture = new Fixture(answer)
    const { value, afterMs } = await fixture.outcomeOf(fixture.get())

    expect(value).toMatchObject({
      phase: 'total',
      timeoutMs: 30_000,
      message: 'Cannot GET http://a/x: not done within 30000 ms',
    })
    expect(afterMs).toBeGreaterThanOrEqual(30_000)
    expect(afterMs).toBeLessThan(30_500)
    expect(fixture.requests).toBe(1)
  }
})

test('timeoutMs holds for all attempts and the waits between them', async () => {
  await using fixture = new Fixture((stream, n) => n === 3 || stream.send(BUSY))

  const { value, afterMs } = await fixture.outcomeOf(
    fixture.get({ retries: 9, retryDelayMs: 1000, retryBackoff: 'fixed', timeoutMs: 5000 }),
  )

  expect(value).toMatchObject({ phase: 'total', timeoutMs: 5000, attempts: 3 })
  expect((value as Error).message).toContain('(503, 503, timeout (total))')
  expect(afterMs).toBeLessThan(5300)
})

test('a wait that would outlast timeoutMs is not begun', async () => {
  await using fixture = new Fixture((stream) => stream.send(BUSY))
  const options = { retries: 9, retryDelayMs: 1000, retryBackoff: 'fixed' } as const

  const { value, afterMs } = await fixture.outcomeOf(fixture.get({ ...options, timeoutMs: 2500 }))

  expect(value).toMatchObject({ status: 503, attempts: 3 })
  expect(afterMs).toBe(2000)
})

test('attemptTimeoutMs ends an attempt, and another is made', async () => {
  await using fixture = new Fixture((stream, n) => n < 3 || stream.send(HELLO))

  const options = { attemptTimeoutMs: 100, retryDelayMs: 50, retryBackoff: 'fixed' } as const
  const { value, afterMs } = await fixture.outcomeOf(fixture.get(options))

  expect(value).toBe('hello')
  expect(fixture.requests).toBe(3)
  expect(afterMs).toBeLessThan(400)
})

test('attemptTimeoutMs is named when it was the last straw', async () => {
  await using fixture = new Fixture(silent)
  const options = { attemptTimeoutMs: 100, retryDelayMs: 50, retries: 1 }

  for (const responseFormat of ['text', 'stream'] as const) {
    const call = fixture.client.get('http://a/x', { ...options, responseFormat })
    const { value } = await fixture.outcomeOf(call)
    expect(value).toMatchObject({ phase: 'attempt', timeoutMs: 100, attempts: 2 })
    expect((value as Error).message).toMatch(
      /^Cannot GET http:\/\/a\/x: not done within 100 ms, after 2/,
    )
  }
})

test('attemptTimeoutMs holds for the content too, where it is read whole', async () => {
  await using fixture = new Fixture((stream, n) => stream.send(n === 1 ? HALF : HELLO))

  const { value } = await fixture.outcomeOf(fixture.get({ attemptTimeoutMs: 100 }))

  expect(value).toBe('hello')
  expect(fixture.requests).toBe(2)
})

test('attemptTimeoutMs holds for all redirections of an attempt together', async () => {
  const time: { clock?: FakeClock } = {}
  await using fixture = new Fixture((stream, n) => {
    time.clock?.after(80, () => {
      stream.send(`HTTP/1.1 302 On\r\nLocation: /${n}\r\nContent-Length: 0\r\n\r\n`)
    })
  })
  time.clock = fixture.clock

  const { value, afterMs } = await fixture.outcomeOf(
    fixture.get({ attemptTimeoutMs: 200, retries: 0 }),
  )

  expect(value).toMatchObject({ phase: 'attempt', timeoutMs: 200 })
  expect(afterMs).toBeLessThan(300)
})

test('a timeout is not tried again where retryOnTimeout is false', async () => {
  await using fixture = new Fixture(silent)

  const options = { attemptTimeoutMs: 100, retryOnTimeout: false }
  const { value } = await fixture.outcomeOf(fixture.get(options))

  expect(value).toMatchObject({ phase: 'attempt', attempts: 1 })
})

test('a limit that runs out between one tick and the next is the one that is named', async () => {
  await using fixture = new Fixture(silent)

  for (const timeoutMs of [33.3, 99.7, 100, 100.5, 1]) {
    for (const responseFormat of ['text', 'stream'] as const) {
      const call = fixture.client.get('http://a/x', { timeoutMs, responseFormat })
      const { value } = await fixture.outcomeOf(call)
      expect(value).toMatchObject({ phase: 'total', timeoutMs, attempts: 1 })
    }
  }
})

test('a real timer that comes a little early still ends the whole call', async () => {
  await using server = await HttpTestServer.start(silent)
  await using client = new HttpClient({ retryDelayMs: 0 })
  const phases = new Set<unknown>()

  const calls = Array.from({ length: 30 }, async (_, index) => {
    const timeoutMs = 40 + index * 1.7
    const error: unknown = await client.stream('GET', server.url(), { timeoutMs }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    const { phase, attempts } = error as { phase: string; attempts: number }
    phases.add(`${phase} ${attempts}`)
  })
  await Promise.all(calls)

  expect([...phases]).toEqual(['total 1'])
})

test('a streamed response has its limit up to the head, and none for the content', async () => {
  let stream: MemoryStream | undefined
  await using fixture = new Fixture((one) => {
    stream = one
    one.send(HALF)
  })
  const call = fixture.client.stream('GET', 'http://a/x', { timeoutMs: 100 })
  const { value } = await fixture.outcomeOf(call)
  const { body } = value as Awaited<typeof call>
  const text = body.bytes()

  fixture.clock.advance(50_000)
  await turn()
  stream?.send('llo')

  expect((await text).toString()).toBe('hello')
})

test('a streamed response has its limit up to the head of the last redirection', async () => {
  await using fixture = new Fixture((stream) => {
    stream.send('HTTP/1.1 302 On\r\nLocation: /y\r\nContent-Length: 5\r\n\r\nhe')
  })

  const options = { timeoutMs: 300, maxRedirects: 1_000_000 }
  const call = fixture.client.stream('GET', 'http://a/x', options)
  const { value, afterMs } = await fixture.outcomeOf(call)

  expect(value).toMatchObject({ phase: 'total', timeoutMs: 300 })
  expect(afterMs).toBeLessThan(600)
})

test('a streamed response has its limit also while a refusal is read, or thrown away', async () => {
  for (const status of [404, 503]) {
    await using fixture = new Fixture((stream) => {
      stream.send(`HTTP/1.1 ${status} No\r\nContent-Length: 5\r\n\r\nhe`)
    })

    const options = { timeoutMs: 300, retryDelayMs: 1, retries: 1 }
    const call = fixture.client.stream('GET', 'http://a/x', options)
    const { afterMs } = await fixture.outcomeOf(call)

    expect(afterMs).toBeLessThan(1000)
  }
})

test.each<[string, TimeoutOptions, string]>([
  ['headersTimeoutMs', { headersTimeoutMs: 100 }, 'headers'],
  ['bodyTimeoutMs', { bodyTimeoutMs: 100 }, 'body'],
])('%s of a call, a client, or a client on a shared pool', async (_, options, phase) => {
  const answer = (stream: MemoryStream): unknown => phase === 'body' && stream.send(HALF)
  const expected = { phase, timeoutMs: 100, attempts: 1 }
  await using ofCall = new Fixture(answer, { retries: 0 })
  await using ofClient = new Fixture(answer, { retries: 0, ...options })
  const { backend, clock } = ofClient
  await using pool = new ConnectionPool({ backend, clock })
  await using shared = new HttpClient({ pool, clock, retries: 0, ...options })

  expect((await ofCall.outcomeOf(ofCall.get(options))).value).toMatchObject(expected)
  expect((await ofClient.outcomeOf(ofClient.get())).value).toMatchObject(expected)
  expect((await ofClient.outcomeOf(shared.get('http://a/x'))).value).toMatchObject(expected)
  await using extended = ofClient.client.extend({})
  expect((await ofClient.outcomeOf(extended.get('http://a/x'))).value).toMatchObject(expected)
})

test('poolTimeoutMs limits the wait for a connection', async () => {
  await using fixture = new Fixture(silent, { maxConnectionsPerOrigin: 1, retries: 0 })
  fixture.get().then(silent, silent)
  await turn()

  const { value, afterMs } = await fixture.outcomeOf(fixture.get({ poolTimeoutMs: 100 }))

  expect(value).toMatchObject({ phase: 'pool', timeoutMs: 100 })
  expect(afterMs).toBeLessThan(400)
})

test('connectTimeoutMs of a client limits the connecting', async () => {
  const backend = new MemoryBackend()
  const asked: number[] = []
  backend.connect = ({ timeoutMs, signal }) => {
    asked.push(timeoutMs)
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error))
    })
  }
  await using client = new HttpClient({ backend, connectTimeoutMs: 123, retries: 0, proxy: false })

  await expect(client.get('http://a/', { timeoutMs: 50 })).rejects.toMatchObject({ phase: 'total' })
  expect(asked).toEqual([123])
})

test('timeoutMs ends the wait for the rate', async () => {
  await using fixture = new Fixture((stream) => stream.send(HELLO), { maxRateLimit: 0.1 })
  expect((await fixture.outcomeOf(fixture.get())).value).toBe('hello')

  const { value, afterMs } = await fixture.outcomeOf(fixture.get({ timeoutMs: 500 }))

  expect(value).toMatchObject({ phase: 'total', timeoutMs: 500, attempts: 1 })
  expect(afterMs).toBe(500)
  expect(fixture.requests).toBe(1)
})

test.each(['call', 'attempt'] as const)(
  'timeoutMs ends a call whose interceptor in scope %s does not come back',
  async (scope) => {
    const forever = new Promise<undefined>(() => {})
    const hooks = [{ preRequest: () => forever }, { postResponse: () => forever }]
    for (const hook of hooks) {
      await using fixture = new Fixture((stream) => stream.send(HELLO))
      const interceptors = [{ scope, ...hook }]

      const call = fixture.get({ timeoutMs: 500, interceptors, retries: 0 })
      const { value, afterMs } = await fixture.outcomeOf(call, 60_000)

      expect(value).toMatchObject({ phase: 'total', timeoutMs: 500 })
      expect(afterMs).toBeLessThan(700)
    }
  },
)

test('a call that is over leaves no timer', async () => {
  await using fixture = new Fixture((stream) => stream.send(HELLO), { retries: 0 })
  const formats = ['text', 'bytes', 'response'] as const

  for (const responseFormat of formats) {
    const call = fixture.client.get('http://a/x', { responseFormat, timeoutMs: 5000 })
    await fixture.outcomeOf(call)
    await (await call.response).bytes()
  }
  await fixture.client.close()
  fixture.clock.advance(1000)

  expect(fixture.clock.pending).toBe(0)
})

/** An abort at each point of a call: `signal.reason` as it is, and nothing left behind. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { NetworkError, StreamError } from '../errors.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { MemoryBackend, type MemoryStream } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { HttpTestServer } from '../testing/http-test-server.ts'
import type { CallOptions, HttpClientOptions, ResponseFormat } from './call-options.ts'
import type { ClientResponse } from './client-response.ts'
import { HttpClient } from './http-client.ts'
import { HttpResponse } from '../transport/http-response.ts'
import { RateLimiter } from './rate-limit/rate-limiter.ts'

const turn = async (): Promise<void> => {
  for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve))
}

const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'
const BUSY = 'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'
const REFUSAL = 'HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhe'
const LOOP = 'HTTP/1.1 302 On\r\nLocation: /\r\nContent-Length: 5\r\n\r\nhe'

/** Where a call can be when it is aborted. */
interface Point {
  readonly name: string
  readonly answer?: (stream: MemoryStream) => void
  readonly connect?: 'never'
  readonly client?: HttpClientOptions<'json'>
  readonly call?: CallOptions
  /** Holds the only permit of a limiter. */
  readonly busy?: boolean
}

const forever = new Promise<undefined>(() => {})
const points: readonly Point[] = [
  { name: 'the queue of the limiter', busy: true },
  { name: 'connecting', connect: 'never' },
  { name: 'waiting for the head' },
  { name: 'reading the content', answer: (stream) => stream.send(HALF) },
  { name: 'reading a refusal', answer: (stream) => stream.send(REFUSAL) },
  { name: 'reading what a redirection says', answer: (stream) => stream.send(LOOP) },
  { name: 'the wait for another try', answer: (stream) => stream.send(BUSY) },
  {
    name: 'shouldRetry',
    answer: (stream) => stream.send(BUSY),
    call: { shouldRetry: () => forever as unknown as Promise<boolean> },
  },
  { name: 'preRequest of the call', call: { interceptors: [{ preRequest: () => forever }] } },
  {
    name: 'preRequest of an attempt',
    call: { interceptors: [{ scope: 'attempt', preRequest: () => forever }] },
  },
  {
    name: 'postResponse of the call',
    answer: (stream) => stream.send(HELLO),
    call: { interceptors: [{ postResponse: () => forever }] },
  },
  {
    name: 'postResponse of an attempt',
    answer: (stream) => stream.send(HELLO),
    call: { interceptors: [{ scope: 'attempt', postResponse: () => forever }] },
  },
  {
    name: 'the upload',
    call: {
      body: {
        replayable: false,
        open: async function* () {
          yield Buffer.from('x')
          await forever
        },
      },
    },
  },
]
const formats: readonly ResponseFormat[] = ['json', 'response']

/** A client at rest, and what it stands on: a pool of its own, or one that is shared. */
class Fixture implements AsyncDisposable {
  readonly clock = new FakeClock()
  readonly pool: ConnectionPool | undefined
  readonly client: HttpClient
  readonly limiter = new RateLimiter({ maxConcurrent: 1, adaptive: false, clock: this.clock })
  readonly stop = new AbortController()

  readonly #backend: MemoryBackend

  constructor({ answer = () => {}, connect, client }: Partial<Point>, how = { shared: true }) {
    const backend = new MemoryBackend(answer)
    this.#backend = backend
    if (connect === 'never') {
      backend.connect = ({ signal }) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error))
        })
    }
    const { clock, limiter } = this
    this.pool = how.shared ? new ConnectionPool({ backend, clock }) : undefined
    this.client = new HttpClient({
      ...(this.pool === undefined ? { backend } : { pool: this.pool }),
      proxy: this.pool === undefined ? false : undefined,
      clock,
      rateLimiter: limiter,
      jitter: 'none',
      ...client,
    })
  }

  /** Nothing runs, waits or listens. */
  expectNothingLeft(): void {
    expect(this.limiter.active).toBe(0)
    expect(this.limiter.waiting).toBe(0)
    if (this.pool === undefined) {
      expect(this.#backend.streams.filter(({ closed }) => !closed)).toEqual([])
    } else {
      expect(this.pool.toString()).toMatch(/^empty$|active 0 idle \d connecting \d waiting 0$/)
    }
    expect(getEventListeners(this.stop.signal, 'abort')).toEqual([])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
    await this.pool?.close()
  }
}

test.each(points.flatMap((point) => formats.map((format) => ({ ...point, format }))))(
  'an abort within $name ends a call for $format with its reason',
  async ({ format, ...point }) => {
    await using fixture = new Fixture(point)
    const { client, stop, limiter } = fixture
    const permit = point.busy === true ? await limiter.acquire() : undefined
    const options = { ...point.call, responseFormat: format, signal: stop.signal }
    const method = options.body === undefined ? 'GET' : 'POST'
    const reason = new Error('enough')
    let ended: unknown
    const call = client.request(method, 'http://a/', options)
    call.then(
      (value) => (ended = value),
      (error: unknown) => (ended = error),
    )
    await turn()
    // The content of a streamed response is the caller's.
    if (ended !== undefined) {
      expect([format, point.name]).toEqual(['response', 'reading the content'])
      const text = (ended as { text(): Promise<string> }).text()
      stop.abort(reason)
      await expect(text).rejects.toBe(reason)
    } else {
      stop.abort(reason)
      await turn()
      expect(ended).toBe(reason)
    }
    permit?.release()
    fixture.expectNothingLeft()
  },
)

const closings = [true, false].flatMap((shared) =>
  points.flatMap((point) => formats.map((format) => ({ ...point, format, shared }))),
)

test.each(closings)(
  'closing the client within $name ends a call for $format at once (shared pool: $shared)',
  async ({ format, shared, ...point }) => {
    await using fixture = new Fixture(point, { shared })
    const { client, limiter } = fixture
    const permit = point.busy === true ? await limiter.acquire() : undefined
    const options = { ...point.call, responseFormat: format }
    const method = options.body === undefined ? 'GET' : 'POST'
    let ended: unknown
    client.request(method, 'http://a/', options).then(
      (value) => (ended = value),
      (error: unknown) => (ended = error),
    )
    await turn()
    const isGiven = ended !== undefined

    await client.close()
    await turn()

    // A refusal is one, though not all that it says has come.
    if (point.name === 'reading a refusal') expect(ended).toBeInstanceOf(NetworkError)
    // Of a shared pool: the content is the caller's.
    else if (isGiven && shared) (ended as ClientResponse).cancel()
    else if (isGiven) await expect((ended as ClientResponse).text()).rejects.toThrow('closed')
    else
      expect(ended).toMatchObject({
        code: 'connection-lost',
        message: expect.stringContaining('closed') as unknown,
      })
    permit?.release()
    fixture.expectNothingLeft()
  },
)

test('a signal that was aborted before ends a call before anything is asked', async () => {
  await using fixture = new Fixture({ answer: (stream) => stream.send(HELLO) })
  const reason = new Error('enough')
  const seen: string[] = []
  const signal = AbortSignal.abort(reason)
  const interceptors = [{ preRequest: () => void seen.push('asked') }]

  for (const responseFormat of formats) {
    const call = fixture.client.get('http://a/', { signal, responseFormat, interceptors })
    await expect(call).rejects.toBe(reason)
  }

  expect(seen).toEqual([])
  fixture.expectNothingLeft()
})

test('a reason of any kind comes as it is: AbortError, TimeoutError, text, a NetworkError', async () => {
  await using fixture = new Fixture({})
  const mine = new StreamError('mine')
  const reasons = [new DOMException('x', 'AbortError'), 'text', 7, mine]

  for (const reason of reasons) {
    const stop = new AbortController()
    const call = fixture.client.get('http://a/', { signal: stop.signal })
    setImmediate(() => stop.abort(reason))
    await expect(call).rejects.toBe(reason)
  }
  await expect(
    fixture.client.get('http://a/', { signal: AbortSignal.timeout(5) }),
  ).rejects.toMatchObject({ name: 'TimeoutError' })
  expect([mine.message, mine.attempts]).toEqual(['mine', undefined])
})

test('an abort after the end has no effect', async () => {
  await using fixture = new Fixture({
    answer: (stream) => stream.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'),
  })
  const { client, stop } = fixture

  const call = client.get('http://a/', { signal: stop.signal })
  expect(await call).toEqual({})
  stop.abort(new Error('late'))

  expect(await call.text()).toBe('{}')
  fixture.expectNothingLeft()
})

test('a signal that serves many calls gathers no listeners', async () => {
  await using fixture = new Fixture({ answer: (stream) => stream.send(HELLO) })
  const { client, stop } = fixture

  for (let count = 0; count < 50; count++) {
    const options = { signal: stop.signal, timeoutMs: 1000 } as const
    await client.get('http://a/', { ...options, responseFormat: 'text' })
    const response = await client.stream('GET', 'http://a/', options)
    await response.bytes()
  }

  expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  fixture.expectNothingLeft()
})

test('a late answer of an interceptor that nobody waits for is thrown away, with its body', async () => {
  let answer: ((response: HttpResponse) => void) | undefined
  const late = new Promise<HttpResponse>((resolve) => (answer = resolve))
  await using fixture = new Fixture({})
  const { client, stop } = fixture
  const interceptors = [{ preRequest: () => late }]
  const call = client.get('http://a/', { signal: stop.signal, interceptors })
  await turn()
  stop.abort(new Error('enough'))
  await expect(call).rejects.toThrow('enough')
  const body = (async function* () {
    yield Buffer.from('x')
    await forever
  })()

  const response = HttpResponse.create({ status: 200, body })
  answer?.(response)
  await turn()

  await expect(response.body.bytes()).rejects.toThrow('given up')
})

test('a signal that is aborted after a failure does not take its place', async () => {
  await using fixture = new Fixture({
    answer: (stream) => stream.sendEnd(),
    client: { retries: 0 },
  })
  const { client, stop } = fixture

  const call = client.get('http://a/', { signal: stop.signal })

  await expect(call).rejects.toMatchObject({ code: 'connection-lost', attempts: 1 })
  stop.abort(new Error('late'))
  fixture.expectNothingLeft()
})

test.each([
  ['abort', 'aborted'],
  ['timeout', 'not done within 50 ms'],
  ['lost connection', 'connection'],
])(
  'a call that ends (%s) while a piece of its stream is waited for cancels the stream',
  async (how, message) => {
    await using server = await HttpTestServer.start(({ socket }) => {
      if (how === 'lost connection') socket.destroy()
    })
    const clock = new FakeClock()
    await using client = new HttpClient({ proxy: false, retries: 0, clock })
    const controller = new AbortController()
    const cancelled = Promise.withResolvers<void>()
    const silent = new ReadableStream({ cancel: () => cancelled.resolve() })

    const call = client.post(server.url(), {
      body: silent,
      signal: controller.signal,
      ...(how === 'timeout' ? { timeoutMs: 50 } : {}),
    })
    const failed = expect(call).rejects.toThrow(message)
    await expect.poll(() => server.asked.length).toBe(1)
    if (how === 'abort') controller.abort()
    if (how === 'timeout') clock.advance(100)

    await failed
    await cancelled.promise
  },
)

test.each(['stream', 'response', 'text'] as const)(
  'close() ends a call for %s that waits without a limit of time on a shared pool',
  async (responseFormat) => {
    await using server = await HttpTestServer.start(() => {})
    await using pool = new ConnectionPool()
    const client = new HttpClient({ pool, timeoutMs: Number.POSITIVE_INFINITY, retries: 0 })

    const calls = ['/1', '/2'].map((path) => client.get(server.url(path), { responseFormat }))
    const ended = Promise.allSettled(calls)
    while (server.requests.length < 2) await turn()
    await client.close()

    expect((await ended).map((one) => (one as PromiseRejectedResult).reason as object)).toEqual(
      ['/1', '/2'].map((path) =>
        expect.objectContaining({
          message: `Cannot GET ${server.url(path)}: the client was closed`,
          url: server.url(path),
        }),
      ),
    )
  },
)

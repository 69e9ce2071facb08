/** What a call may say for itself instead of its client, and what neither may say. */
import { expect, test } from 'vitest'
import { HttpTestServer } from '../testing/http-test-server.ts'
import { MemoryBackend } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import type { CallOptions, HttpClientOptions } from './call-options.ts'
import { createCookieJar } from './cookies/create-cookie-jar.ts'
import { HttpClient } from './http-client.ts'
import type { Interceptor } from './interceptor.ts'
import type { RequestLogger } from './interceptors/log-requests.ts'
import { RateLimiter } from './rate-limit/rate-limiter.ts'

const QUICK = { responseFormat: 'text', retries: 0, proxy: false } as const
const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

const hello = (): Promise<HttpTestServer> =>
  HttpTestServer.start((_, response) => void response.end('hello'))

function recordLines(): RequestLogger & { readonly lines: string[] } {
  const lines: string[] = []
  const note = (_: object, message: string): void => void lines.push(message)
  return { lines, info: note, warn: note }
}

test('baseUrl of a call is in the place of the client’s', async () => {
  await using server = await hello()
  await using client = new HttpClient({ ...QUICK, baseUrl: 'http://127.0.0.1:9/v1' })

  await client.get('/users', { baseUrl: server.url('/v2') })

  expect(server.asked).toEqual(['GET /v2/users'])
  await expect(client.get('/', { baseUrl: '/v2' })).rejects.toMatchObject({
    code: 'config',
    option: 'baseUrl',
  })
})

test('logger of a call is in the place of the client’s, and stands inside of its interceptors', async () => {
  await using server = await hello()
  const [ofClient, ofCall] = [recordLines(), recordLines()]
  await using client = new HttpClient({ ...QUICK, logger: ofClient })
  const rename: Interceptor = {
    scope: 'attempt',
    preRequest: (request) => request.withMethod('OPTIONS'),
  }

  await client.get(server.url('/1'))
  await client.get(server.url('/2'), { logger: ofCall, interceptors: [rename] })

  expect(ofClient.lines).toEqual([`GET ${server.url('/1')} 200`])
  expect(ofCall.lines).toEqual([`OPTIONS ${server.url('/2')} 200`])
})

test('cookies of a call: another jar, none, or the client’s', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.setHeader('Set-Cookie', 'a=1').end()
  })
  await using client = new HttpClient({ ...QUICK, cookies: true })
  const jar = createCookieJar()

  await client.get(server.url())
  await client.get(server.url(), { cookies: jar })
  await client.get(server.url(), { cookies: jar })
  await client.get(server.url(), { cookies: false })
  await client.get(server.url(), { cookies: true })

  expect(server.received('cookie')).toEqual([undefined, undefined, 'a=1', undefined, 'a=1'])
})

test('cookies of a call of a client without a jar live as long as the call', async () => {
  await using server = await HttpTestServer.start(({ url }, response) => {
    if (url === '/next') response.end()
    else response.writeHead(302, { 'Set-Cookie': 'a=1', Location: '/next' }).end()
  })
  await using client = new HttpClient(QUICK)

  await client.get(server.url(), { cookies: true })
  await client.get(server.url(), { cookies: true })

  expect(server.received('cookie')).toEqual([undefined, 'a=1', undefined, 'a=1'])
})

test('secretHeaders of a call are added to the client’s', async () => {
  await using other = await hello()
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(302, { Location: other.url() }).end()
  })
  await using client = new HttpClient({ ...QUICK, secretHeaders: ['X-One'] })

  await client.get(server.url(), {
    headers: { 'X-One': '1', 'X-Two': '2', 'X-Three': '3' },
    secretHeaders: ['X-Two'],
  })

  const { headers } = other.requests[0] ?? {}
  expect([headers?.['x-one'], headers?.['x-two'], headers?.['x-three']]).toEqual([
    undefined,
    undefined,
    '3',
  ])
})

test('rateLimiter of a call is in the place of the client’s', async () => {
  await using server = await hello()
  const ofClient = new RateLimiter({ maxConcurrent: 1 })
  const ofCall = new RateLimiter({ maxConcurrent: 1 })
  const held = await ofCall.acquire()
  await using client = new HttpClient({ ...QUICK, rateLimiter: ofClient })

  const call = client.get(server.url('/held'), { rateLimiter: ofCall })
  await client.get(server.url('/free'))
  expect(server.asked).toEqual(['GET /free'])
  held.release()
  await call

  expect(server.asked).toEqual(['GET /free', 'GET /held'])
})

test('calls that name the same maxRateLimit share a limit, 0 is none', async () => {
  const clock = new FakeClock()
  const startedAt: Record<string, number[]> = {}
  const backend = new MemoryBackend((stream) => stream.send(HELLO))
  await using client = new HttpClient({
    ...QUICK,
    backend,
    clock,
    maxRateLimit: 1,
    timeoutMs: Number.POSITIVE_INFINITY,
    onExchange({ type, request }) {
      if (type === 'request') (startedAt[request.url.target] ??= []).push(clock.now())
    },
  })
  const begin = clock.now()

  const calls = [
    ...[1, 2, 3].map(() => client.get('http://a/ten', { maxRateLimit: 10 })),
    ...[1, 2, 3].map(() => client.get('http://a/free', { maxRateLimit: 0 })),
  ]
  for (let ms = 0; ms < 300; ms += 10) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(10)
  }
  await Promise.all(calls)

  expect(startedAt['/ten']?.map((at) => at - begin)).toEqual([0, 100, 200])
  expect(startedAt['/free']?.map((at) => at - begin)).toEqual([0, 0, 0])
})

test('connectTimeoutMs of a call holds for its connection', async () => {
  const clock = new FakeClock()
  const limits: (number | undefined)[] = []
  const memory = new MemoryBackend((stream) => stream.send(HELLO))
  const backend = {
    connect: (options: Parameters<MemoryBackend['connect']>[0]) => {
      limits.push(options.timeoutMs)
      return memory.connect(options)
    },
    startTls: memory.startTls.bind(memory),
  }
  await using client = new HttpClient({ ...QUICK, backend, clock, connectTimeoutMs: 5000 })

  await client.get('http://a/')
  await client.get('http://a/', { connectTimeoutMs: 70 })
  await client.get('http://a/', { connectTimeoutMs: 70 })

  expect(limits).toEqual([5000, 70])
})

// ── What cannot be said

type Loose = Record<string, unknown>

test.each<[Loose, string, string]>([
  [{ timeout: 5 }, 'timeout', 'Cannot use timeout: its name is timeoutMs, in milliseconds'],
  [{ base_url: 'http://h' }, 'base_url', 'its name is baseUrl'],
  [{ retry_delay: 1 }, 'retry_delay', 'its name is retryDelayMs'],
  [{ totalTimeoutMs: 5 }, 'totalTimeoutMs', 'its name is timeoutMs'],
  [{ nonsense: 1 }, 'nonsense', 'there is no such option'],
  [{ json: {} }, 'json', 'it is an option of a call, not of the client'],
  [{ interceptors: {} }, 'interceptors', 'expected a list of interceptors, got object'],
  [{ interceptors: ['x'] }, 'interceptors', 'expected a list of interceptors'],
  [{ cookies: 5 }, 'cookies', 'expected true, false or a jar, got number'],
  [{ logger: 5 }, 'logger', 'expected info() and warn()'],
  [{ logger: { info() {} } }, 'logger', 'expected info() and warn()'],
  [{ rateLimiter: {} }, 'rateLimiter', 'expected a RateLimiter'],
  [{ secretHeaders: 'X-A' }, 'secretHeaders', 'expected a list of names'],
  [{ params: 'a=1' }, 'params', 'expected names with values, got string'],
  [{ verifySsl: 'no' }, 'verifySsl', 'expected true or false'],
  [{ onRetry: true }, 'onRetry', 'expected a function'],
  [{ timeoutMs: '5' }, 'timeoutMs', 'expected a number'],
  [{ proxy: 'gopher://h' }, 'proxy', 'Cannot use the proxy'],
  [{ proxy: { url: 'http://h/path' } }, 'proxy', 'Cannot use the proxy'],
  [{ proxy: 7 }, 'proxy', 'expected a URL'],
  [{ http2: 'maybe' }, 'http2', 'alpn'],
  [{ idleTimeoutMs: -1 }, 'idleTimeoutMs', 'milliseconds above 0'],
  [{ pool: {} }, 'pool', 'expected a ConnectionPool'],
  [{ baseUrl: 7 }, 'baseUrl', 'expected text'],
  [{ headers: 'a: b' }, 'headers', 'expected an object'],
])('HttpClient refuses %j when it is made, by its name', (options, option, why) => {
  const make = (): unknown => new HttpClient(options as HttpClientOptions)

  expect(make).toThrow(expect.objectContaining({ code: 'config', option }))
  expect(make).toThrow(why)
})

test.each<[Loose, string, string]>([
  [{ timeout: 5 }, 'timeout', 'its name is timeoutMs'],
  [{ method: 'PUT' }, 'method', 'request(method, url) takes it as its first argument'],
  [{ data: 'x' }, 'data', 'its name is form or body'],
  [{ maxConnections: 1 }, 'maxConnections', 'it is an option of the client, not of a call'],
  [{ signal: {} }, 'signal', 'expected an AbortSignal'],
  [{ onUploadProgress: 1 }, 'onUploadProgress', 'expected a function'],
  [{ form: 'a=1' }, 'form', 'expected an object'],
  [{ cookies: 'a=b' }, 'cookies', 'expected true, false or a jar'],
])('a call with %j rejects, by its name, before anything is sent', async (options, option, why) => {
  await using server = await hello()
  await using client = new HttpClient(QUICK)

  const call = client.post(server.url(), options as CallOptions)

  await expect(call).rejects.toMatchObject({ code: 'config', option })
  await expect(call).rejects.toThrow(why)
  expect(server.requests).toEqual([])
})

test('an option that is undefined is none, whatever its name', async () => {
  await using server = await hello()
  await using client = new HttpClient({ ...QUICK, ...({ timeout: undefined } as object) })

  expect(
    await client.get(server.url(), { logger: undefined, ...({ x: undefined } as object) }),
  ).toBe('hello')
})

test.each<[string, (fail: () => never) => CallOptions]>([
  ['onRetry', (onRetry) => ({ onRetry, retries: 1 })],
  ['onUploadProgress', (onUploadProgress) => ({ onUploadProgress, json: 1 })],
  ['onDownloadProgress', (onDownloadProgress) => ({ onDownloadProgress, raiseForStatus: false })],
  ['the logger', (warn) => ({ logger: { info: warn, warn } })],
])('what %s throws fails the call, and leaves nothing behind', async (_, optionsFor) => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(503).end('later')
  })
  await using client = new HttpClient({
    ...QUICK,
    rateLimiter: new RateLimiter({ maxConcurrent: 1 }),
  })
  const mistake = new TypeError('a mistake of the program')
  const options = optionsFor(() => {
    throw mistake
  })

  await expect(client.post(server.url(), { retryMethods: ['POST'], ...options })).rejects.toBe(
    mistake,
  )
  expect(await client.get(server.url(), { raiseForStatus: false })).toBe('later')
})

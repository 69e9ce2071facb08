import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { HttpClient } from './http-client.ts'

/** Gives what comes, once, and leaves the judgement to the test. */
const PATIENT = { raiseForStatus: false, retries: 0, retryDelayMs: 500 }

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** A server and what it was asked. */
class TestServer implements AsyncDisposable {
  readonly requests: IncomingMessage[] = []
  readonly #server: Server

  private constructor(listener: Listener) {
    this.#server = createServer((request, response) => {
      this.requests.push(request)
      request.resume()
      listener(request, response)
    })
  }

  static async start(listener: Listener): Promise<TestServer> {
    const server = new TestServer(listener)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  url(path = '/'): string {
    return `http://${this.host}${path}`
  }

  get paths(): string[] {
    return this.requests.map(({ method, url }) => `${method} ${url}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }
}

const hello: Listener = (_, response) => void response.end('hello')

/** /3 leads to /2, and so on down to /0. */
const countdown: Listener = ({ url = '' }, response) => {
  const left = Number(url.slice(1))
  if (left === 0) response.end('there')
  else response.writeHead(302, { Location: `/${left - 1}` }).end('on')
}

/** Refuses the first `count` requests. */
function refuse(count: number, status: number, headers: Record<string, string> = {}): Listener {
  let seen = 0
  return (_, response) =>
    void (seen++ < count ? response.writeHead(status, headers).end('no') : response.end('hello'))
}

test('HttpClient follows redirections and tells where the response came from', async () => {
  await using server = await TestServer.start(countdown)
  await using client = new HttpClient(PATIENT)

  const response = await client.stream('GET', server.url('/3'))

  expect(response.url.href).toBe(server.url('/0'))
  expect((await response.body.bytes()).toString()).toBe('there')
  expect(server.paths).toEqual(['GET /3', 'GET /2', 'GET /1', 'GET /0'])
})

test('HttpClient follows as many redirections as allowed, and fails at the next', async () => {
  await using server = await TestServer.start(countdown)
  await using client = new HttpClient({ ...PATIENT, maxRedirects: 2 })

  const response = await client.stream('GET', server.url('/2'))
  expect(response.status).toBe(200)
  await response.body.bytes()

  await expect(client.stream('GET', server.url('/3'))).rejects.toMatchObject({
    code: 'remote-protocol',
  })
})

test('HttpClient drops credentials on the way to another origin, and does not get them back', async () => {
  await using other = await TestServer.start((_, response) => {
    response.writeHead(307, { Location: first.url('/back') }).end()
  })
  await using first = await TestServer.start((request, response) => {
    if (request.url === '/back') response.end('hello')
    else response.writeHead(307, { Location: request.url === '/' ? '/same' : other.url() }).end()
  })
  await using client = new HttpClient({
    ...PATIENT,
    headers: { Authorization: 'Bearer x', 'X-Kept': '1' },
  })

  await (await client.stream('GET', first.url())).body.bytes()

  const seen = [...first.requests.slice(0, 2), ...other.requests, ...first.requests.slice(2)]
  expect(seen.map(({ headers }) => [headers.authorization, headers['x-kept']])).toEqual([
    ['Bearer x', '1'],
    ['Bearer x', '1'],
    [undefined, '1'],
    [undefined, '1'],
  ])
})

test('HttpClient sends its default fields; those of a call win', async () => {
  await using server = await TestServer.start(hello)
  await using client = new HttpClient({
    ...PATIENT,
    headers: { 'User-Agent': 'ferry', 'X-A': '1' },
  })

  await (await client.stream('GET', server.url(), { headers: { 'x-a': '2' } })).body.bytes()

  expect(server.requests[0]?.headers).toMatchObject({ 'user-agent': 'ferry', 'x-a': '2' })
})

const credentials: readonly [string, string][] = [
  ['ann:secret', 'ann:secret'],
  ['ann', 'ann:'],
  [':secret', ':secret'],
  ['k%C3%A4se:a%3Ab%40', 'käse:a:b@'],
]

test.each(credentials)(
  'HttpClient turns the credentials %s of a URL into Basic',
  async (text, expected) => {
    await using server = await TestServer.start(hello)
    await using client = new HttpClient(PATIENT)

    const response = await client.stream('GET', `http://${text}@${server.host}/`)
    await response.body.bytes()

    const [scheme, value = ''] = (server.requests[0]?.headers.authorization ?? '').split(' ')
    expect(scheme).toBe('Basic')
    expect(Buffer.from(value, 'base64').toString()).toBe(expected)
    expect(response.url.href).toBe(server.url())
  },
)

test('HttpClient prefers the Authorization of a call to the credentials of its URL', async () => {
  await using server = await TestServer.start(hello)
  await using client = new HttpClient(PATIENT)
  const headers = { Authorization: 'Bearer x' }

  await (await client.stream('GET', `http://ann:b@${server.host}/`, { headers })).body.bytes()

  expect(server.requests[0]?.headers.authorization).toBe('Bearer x')
})

test('HttpClient gives the response whatever its status', async () => {
  await using server = await TestServer.start(refuse(9, 404))
  await using client = new HttpClient({ ...PATIENT, retries: 2 })

  const response = await client.stream('GET', server.url())

  expect(response.status).toBe(404)
  expect((await response.body.bytes()).toString()).toBe('no')
  expect(server.requests).toHaveLength(1)
})

test('HttpClient tries again as the server asks, and gives the last response when tries run out', async () => {
  await using server = await TestServer.start(refuse(2, 503, { 'Retry-After': '0' }))
  await using client = new HttpClient({ ...PATIENT, retries: 2 })

  const response = await client.stream('GET', server.url())
  expect(response.status).toBe(200)
  await response.body.bytes()
  expect(server.requests).toHaveLength(3)

  await using stubborn = await TestServer.start(refuse(99, 503, { 'Retry-After': '0' }))
  const refused = await client.stream('GET', stubborn.url(), { retries: 1 })
  await refused.body.bytes()
  expect(refused.status).toBe(503)
  expect(stubborn.requests).toHaveLength(2)
})

test('HttpClient waits for Retry-After', async () => {
  await using server = await TestServer.start(refuse(1, 429, { 'Retry-After': '1' }))
  await using client = new HttpClient({ ...PATIENT, retries: 1 })
  const startedAt = performance.now()

  await (await client.stream('GET', server.url())).body.bytes()

  expect(performance.now() - startedAt).toBeGreaterThan(990)
})

test('HttpClient does not repeat a request that is not idempotent', async () => {
  await using server = await TestServer.start(refuse(9, 503, { 'Retry-After': '0' }))
  await using client = new HttpClient({ ...PATIENT, retries: 3 })

  await (await client.stream('POST', server.url(), { body: 'x' })).body.bytes()

  expect(server.paths).toEqual(['POST /'])
})

test('HttpClient tries again after a broken connection', async () => {
  let seen = 0
  await using server = await TestServer.start((request, response) => {
    if (seen++ === 0) request.socket.resetAndDestroy()
    else response.end('hello')
  })
  await using client = new HttpClient({ ...PATIENT, retries: 1 })

  const response = await client.stream('GET', server.url())

  expect((await response.body.bytes()).toString()).toBe('hello')
})

test('HttpClient limits the time of everything, retries and redirections included', async () => {
  let asked = 0
  await using server = await TestServer.start((_, response) => {
    if (asked++ === 0) response.writeHead(503, { 'Retry-After': '0' }).end()
  })
  await using client = new HttpClient({ ...PATIENT, retries: 5 })

  const response = client.stream('GET', server.url(), { timeoutMs: 200 })

  await expect(response).rejects.toMatchObject({ code: 'timeout', phase: 'total', timeoutMs: 200 })
  expect(asked).toBe(2)
})

test('HttpClient does not wait for a try that its time does not allow', async () => {
  await using server = await TestServer.start(refuse(99, 503, { 'Retry-After': '100' }))
  await using client = new HttpClient({ ...PATIENT, retries: 5 })

  const response = await client.stream('GET', server.url(), { timeoutMs: 10_000 })

  expect(response.status).toBe(503)
  response.cancel()
})

test('HttpClient does not count the body against the time', async () => {
  await using server = await TestServer.start((_, response) => {
    response.write('he')
    setTimeout(() => response.end('llo'), 150)
  })
  await using client = new HttpClient(PATIENT)

  const response = await client.stream('GET', server.url(), { timeoutMs: 80 })

  expect((await response.body.bytes()).toString()).toBe('hello')
})

test('HttpClient rejects with the reason of an abort: before, while it waits for the response, and between tries', async () => {
  await using silent = await TestServer.start(() => {})
  await using busy = await TestServer.start(refuse(99, 503, { 'Retry-After': '5' }))
  await using client = new HttpClient({ ...PATIENT, retries: 5 })
  const reason = new Error('enough')
  const later = (): AbortSignal => {
    const stop = new AbortController()
    setTimeout(() => stop.abort(reason), 50)
    return stop.signal
  }

  await expect(
    client.stream('GET', silent.url(), { signal: AbortSignal.abort(reason) }),
  ).rejects.toBe(reason)
  await expect(client.stream('GET', silent.url(), { signal: later() })).rejects.toBe(reason)
  await expect(
    client.stream('GET', busy.url(), { signal: later(), timeoutMs: 10_000 }),
  ).rejects.toBe(reason)

  expect(silent.requests).toHaveLength(1)
})

test('HttpClient aborts a body that is being taken, also after the time for the head was kept', async () => {
  await using server = await TestServer.start((_, response) => void response.write('he'))
  await using client = new HttpClient(PATIENT)
  const stop = new AbortController()
  const reason = new Error('enough')

  const response = await client.stream('GET', server.url(), {
    signal: stop.signal,
    timeoutMs: 5000,
  })
  const bytes = response.body.bytes()
  stop.abort(reason)

  await expect(bytes).rejects.toBe(reason)
})

test('HttpClient leaves a shared pool open', async () => {
  await using server = await TestServer.start(hello)
  await using pool = new ConnectionPool()
  const client = new HttpClient({ ...PATIENT, pool })

  await client.close()

  await using other = new HttpClient({ ...PATIENT, pool })
  await (await other.stream('GET', server.url())).body.bytes()
  expect(pool.toString()).toContain('active 0 idle 1')
})

test('HttpClient gives connections back while it follows and tries again', async () => {
  await using server = await TestServer.start(countdown)
  await using pool = new ConnectionPool()
  await using client = new HttpClient({ ...PATIENT, pool })

  await (await client.stream('GET', server.url('/5'))).body.bytes()

  expect(pool.toString()).toContain('active 0 idle 1')
})

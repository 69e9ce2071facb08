/** What an error says: the exact words, the facts beside them, and no secret anywhere. */
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import {
  ConnectError,
  HttpStatusError,
  isFerryError,
  NetworkError,
  StreamError,
  TimeoutError,
} from '../errors.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { type Answer, HttpTestServer, refuse } from '../testing/http-test-server.ts'
import { HttpRequest } from '../transport/http-request.ts'
import type { CallOptions } from './call-options.ts'
import { HttpClient } from './http-client.ts'

const QUICK = { retryDelayMs: 1, proxy: false } as const

async function failureOf(call: PromiseLike<unknown>): Promise<NetworkError> {
  const error = await call.then(
    () => expect.fail('it succeeded'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof NetworkError)) throw error
  return error
}

const answer =
  (status: number, statusText: string, body = ''): Answer =>
  (_, response) =>
    void response.writeHead(status, statusText, { 'Content-Type': 'text/plain' }).end(body)

test('an error of a status says which request it was and what the server said', async () => {
  await using server = await HttpTestServer.start(answer(404, 'Not Found', 'no such user'))
  await using client = new HttpClient(QUICK)

  const error = await failureOf(client.get(server.url('/users/7?token=s3cret')))

  expect(error).toBeInstanceOf(HttpStatusError)
  expect(error.message).toBe(`Cannot GET ${server.url('/users/7?…')}: 404 Not Found`)
  expect(error).toMatchObject({
    code: 'http-status',
    status: 404,
    statusText: 'Not Found',
    excerpt: 'no such user',
    method: 'GET',
    url: server.url('/users/7?…'),
    attempts: 1,
  })
  expect(error.toJSON()).toEqual({
    code: 'http-status',
    message: error.message,
    detail: {
      status: 404,
      statusText: 'Not Found',
      method: 'GET',
      url: server.url('/users/7?…'),
      attempts: 1,
    },
  })
  expect(new Map((error as HttpStatusError).headers).get('Content-Type')).toBe('text/plain')
})

test('an error of a status without words has none', async () => {
  await using server = await HttpTestServer.start(answer(599, ''))
  await using client = new HttpClient({ ...QUICK, retries: 0 })

  const { message } = await failureOf(client.delete(server.url('/x')))

  expect(message).toBe(`Cannot DELETE ${server.url('/x')}: 599`)
})

test('an error after several attempts says how they went', async () => {
  await using server = await HttpTestServer.start(refuse(9, 503))
  await using client = new HttpClient({ ...QUICK, retries: 2 })

  const error = await failureOf(client.get(server.url()))

  expect(error.message).toMatch(
    /^Cannot GET \S+: 503 Service Unavailable, after 3 attempts in \d+ ms \(503, 503, 503\)$/,
  )
  expect(error.attempts).toBe(3)
  expect(error.toJSON().detail).toMatchObject({ status: 503, attempts: 3 })
})

test('an error that no further try can change tells of those before', async () => {
  let seen = 0
  await using server = await HttpTestServer.start((request, response) => {
    if (seen++ === 0) answer(503, 'Service Unavailable')(request, response)
    else answer(404, 'Not Found')(request, response)
  })
  await using client = new HttpClient(QUICK)

  const error = await failureOf(client.get(server.url()))

  expect(error.attempts).toBe(2)
  expect(error.message).toMatch(/: 404 Not Found, after 2 attempts in \d+ ms \(503, 404\)$/)
})

test('an error of a redirected call names the request that was made, and where it led', async () => {
  await using server = await HttpTestServer.start((request, response) => {
    if (request.url === '/x') response.writeHead(302, { Location: '/y' }).end()
    else response.writeHead(404).end()
  })
  await using client = new HttpClient(QUICK)

  const error = await failureOf(client.get(server.url('/x')))

  expect(error.url).toBe(server.url('/x'))
  expect(error.message).toBe(`Cannot GET ${server.url('/y')}: 404 Not Found`)
})

test('an error of a connection names the address and keeps the cause', async () => {
  const server = await LoopbackServer.open()
  const { port } = server
  await server[Symbol.asyncDispose]()
  await using client = new HttpClient({ ...QUICK, retries: 1 })

  const error = await failureOf(client.post(`http://127.0.0.1:${port}/x`, { json: 1 }))

  expect(error).toBeInstanceOf(ConnectError)
  expect(error).toMatchObject({ code: 'connect-failed', phase: 'connect', attempts: 2 })
  expect(error.message).toContain(`127.0.0.1:${port}`)
  expect(error.message).toMatch(/, after 2 attempts in \d+ ms \(no connection, no connection\)$/)
  expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
})

const RAW: readonly [what: string, reply: string, reason: string][] = [
  ['no HTTP', 'garbage\r\n\r\n', 'cannot read the response: expected an HTTP/1.1 status line'],
  [
    'a bad length',
    'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
    'cannot read the response: bad Content-Length',
  ],
  [
    'a bad chunk',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'cannot read a chunk of the response',
  ],
  [
    'content beyond maxBytes',
    'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n12345678901234567890',
    'cannot take the response: more than 10 bytes',
  ],
  ['an early end', '', 'cannot finish: the server closed the connection before the response'],
]

test.each(RAW)('an error of %s begins with the request', async (_, reply, reason) => {
  await using server = await LoopbackServer.open((socket) => {
    socket.once('data', () => socket.end(reply))
  })
  await using client = new HttpClient({ ...QUICK, retries: 0, maxBytes: 10 })
  const url = `http://127.0.0.1:${server.port}/x`

  const error = await failureOf(client.get(url, { responseFormat: 'text' }))

  expect(error.message.startsWith(`Cannot GET ${url}: ${reason}`), error.message).toBe(true)
  expect(error).toMatchObject({ method: 'GET', url, attempts: 1 })
  expect(error.message.split(url)).toHaveLength(2)
})

test('an error of a request that cannot be made begins with it', async () => {
  await using client = new HttpClient({ ...QUICK, baseUrl: 'http://ann:hunter2@127.0.0.1:9/v1' })

  const error = await failureOf(client.get('/x', { params: { page: Number.NaN } }))

  expect(error).toMatchObject({
    code: 'local-protocol',
    method: 'GET',
    url: 'http://127.0.0.1:9/v1/x',
    attempts: 0,
  })
  expect(error.message).toContain(
    'Cannot GET http://127.0.0.1:9/v1/x: cannot encode parameter "page"',
  )
  expect(error.message).toContain('got NaN')
})

test('an error that several calls meet names each of them', async () => {
  const gone = await LoopbackServer.open()
  const { port } = gone
  await gone[Symbol.asyncDispose]()
  await using client = new HttpClient({ ...QUICK, retries: 0 })
  const urls = ['/1', '/2', '/3'].map((path) => `https://127.0.0.1:${port}${path}`)

  const errors = await Promise.all(urls.map((url) => failureOf(client.get(url))))

  expect(errors.map(({ url }) => url)).toEqual(urls)
  expect(errors.map(({ message }, index) => message.includes(urls[index] as string))).toEqual([
    true,
    true,
    true,
  ])
})

test.each(['http', 'socks5', 'socks5h'])(
  'an error of a dead %s proxy names the proxy, without credentials, and the request',
  async (scheme) => {
    const gone = await LoopbackServer.open()
    const { port } = gone
    await gone[Symbol.asyncDispose]()
    await using client = new HttpClient({ ...QUICK, retries: 1 })
    const proxy = `${scheme}://ann:hunter2@127.0.0.1:${port}`

    for (const url of ['http://127.0.0.1:9/x', 'https://127.0.0.1:9/x']) {
      const error = await failureOf(client.get(url, { proxy }))

      expect(error).toMatchObject({ code: 'proxy-failed', phase: 'proxy', attempts: 2, url })
      expect(error.message).toContain(
        `Cannot GET ${url}: cannot connect to 127.0.0.1:9 through the proxy 127.0.0.1:${port}: ` +
          'no connection to the proxy: connection refused, after 2 attempts',
      )
      expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' })
      expect(error.message).not.toContain('hunter2')
    }
  },
)

test('an error of a proxy whose name has no address is one of the proxy', async () => {
  await using client = new HttpClient({ ...QUICK, retries: 0 })

  const error = await failureOf(client.get('http://127.0.0.1:9/', { proxy: 'http://no.invalid' }))

  expect(error.code).toBe('proxy-failed')
  expect(error.message).toContain('through the proxy no.invalid:80')
})

test('an error of a server that asks to wait too long says so', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(429, 'Slow Down', { 'Retry-After': '3600' }).end()
  })
  await using client = new HttpClient(QUICK)
  const asked = `Cannot GET ${server.url()}: 429 Slow Down, not tried again: the server asks to wait 60 min`

  expect((await failureOf(client.get(server.url()))).message).toBe(asked)
  const patient = client.get(server.url(), { maxRetryAfterMs: 9_000_000 })
  expect((await failureOf(patient)).message).toBe(asked)
  expect(server.requests).toHaveLength(2)
})

test('an error after several attempts has each of them in its detail', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    if (server.requests.length === 1) response.destroy()
    else response.writeHead(503).end()
  })
  await using client = new HttpClient({ ...QUICK, retries: 2 })

  const error = await failureOf(client.get(server.url()))

  expect(error.toJSON().detail).toMatchObject({
    attempts: 3,
    history: [
      { number: 1, reason: 'connection lost', code: 'connection-lost' },
      { number: 2, reason: '503', status: 503 },
      { number: 3, reason: '503', status: 503 },
    ],
  })
})

test('an error of a broken connection tells how much had come', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, { 'Content-Length': '10' }).write('12345')
    setTimeout(() => response.socket?.destroy(), 20)
  })
  await using client = new HttpClient({ ...QUICK, retries: 0 })

  const error = await failureOf(client.get(server.url(), { responseFormat: 'text' }))

  expect(error).toBeInstanceOf(StreamError)
  expect(error).toMatchObject({ bytesReceived: 5, expectedBytes: 10, attempts: 1, method: 'GET' })
})

test('an error of the content of a streamed response names its request, too', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, { 'Content-Length': '10' }).write('12345')
    setTimeout(() => response.socket?.destroy(), 20)
  })
  await using client = new HttpClient({ ...QUICK, retries: 0 })
  const response = await client.stream('GET', server.url('/x?t=1'))

  const error = await failureOf(response.text())

  expect(error).toMatchObject({ method: 'GET', url: server.url('/x?…'), attempts: 1 })
})

test('an error of content that send() gives names its request, too', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, { 'Content-Length': '10' }).write('12345')
    setTimeout(() => response.socket?.destroy(), 20)
  })
  await using client = new HttpClient({ ...QUICK, retries: 0 })
  const url = server.url('/x')
  const { body } = await client.send(new HttpRequest('GET', url))

  const error = await failureOf(body.bytes())

  expect(error).toMatchObject({ method: 'GET', url, attempts: 1, bytesReceived: 5 })
  expect(error.message.startsWith(`Cannot GET ${url}: cannot finish: `)).toBe(true)
})

test('an error of a timeout names limit and phase', async () => {
  await using server = await HttpTestServer.start(() => {})
  await using client = new HttpClient(QUICK)

  const error = await failureOf(client.get(server.url('/x'), { timeoutMs: 60 }))

  expect(error).toBeInstanceOf(TimeoutError)
  expect(error).toMatchObject({ phase: 'total', timeoutMs: 60, attempts: 1 })
  expect(error.message).toBe(`Cannot GET ${server.url('/x')}: not done within 60 ms`)
})

test.each<[string, CallOptions & { readonly url?: string }, string]>([
  ['two contents', { json: 1, form: {} }, 'body'],
  ['a bad URL', { url: 'nowhere' }, 'url'],
  ['a bad timeout', { timeoutMs: 0 }, 'timeoutMs'],
  ['a bad number of retries', { retries: -1 }, 'retries'],
  ['bad redirections', { maxRedirects: 1.5 }, 'maxRedirects'],
  ['bad bytes', { maxBytes: Number.NaN }, 'maxBytes'],
  ['a bad proxy', { proxy: 'ftp://h' }, 'proxy'],
  ['a bad version', { http2: 'maybe' as never }, 'http2'],
  ['a bad format', { responseFormat: 'xml' as never }, 'responseFormat'],
])('a call that cannot be made for %s rejects, and does not throw', async (_, options, option) => {
  await using client = new HttpClient(QUICK)
  const { url = 'http://127.0.0.1:9/', ...rest } = options

  const call = client.post(url, rest)

  await expect(call).rejects.toMatchObject({ code: 'config', option })
})

test.each<[string, ConstructorParameters<typeof HttpClient>[0], string]>([
  ['timeoutMs', { timeoutMs: -1 }, 'timeoutMs'],
  ['attemptTimeoutMs', { attemptTimeoutMs: Number.NaN }, 'attemptTimeoutMs'],
  ['maxRateLimit', { maxRateLimit: -1 }, 'maxRateLimit'],
  ['retries', { retries: 0.5 }, 'retries'],
  ['a base without a scheme', { baseUrl: 'api.example.com' }, 'baseUrl'],
  ['a relative base', { baseUrl: '/v1' }, 'baseUrl'],
  ['a base of another scheme', { baseUrl: 'ftp://h/' }, 'baseUrl'],
  ['a format', { responseFormat: 'xml' as never }, 'responseFormat'],
])('HttpClient refuses %s when it is made', (_, options, option) => {
  expect(() => new HttpClient(options)).toThrow(expect.objectContaining({ code: 'config', option }))
})

// ── Secrets

const SECRETS = /s3cret|czNjcmV0|hunter2/

/** Everything that could be printed of an error. */
function everythingOf(error: Error): string {
  const parts: string[] = []
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    parts.push(String(one), one.stack ?? '', inspect(one, { depth: 9, showHidden: true }))
    parts.push(JSON.stringify(one), inspect(Object.entries(one), { depth: 9 }))
  }
  return parts.join('\n')
}

const failing: readonly [string, Answer][] = [
  ['a status', (_, response) => void response.writeHead(401).end('no')],
  ['a retried status', (_, response) => void response.writeHead(503).end('no')],
  ['a broken connection', (request) => void request.socket.destroy()],
  ['bad JSON', (_, response) => void response.end('<html>')],
  [
    'a truncated body',
    (_, response) => void response.writeHead(200, { 'Content-Length': 9 }).end('1'),
  ],
  [
    'a bad coding',
    (_, response) => void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('no gzip'),
  ],
  [
    'an unknown coding',
    (_, response) => void response.writeHead(200, { 'Content-Encoding': 'x' }).end('x'),
  ],
  ['a broken head', (request) => void request.socket.end('HTTP/1.1 nonsense\r\n\r\n')],
  ['a timeout', () => {}],
  [
    'a bad redirection',
    (_, response) =>
      void response.writeHead(302, { Location: 'ftp://ann:hunter2@h/?x=s3cret' }).end(),
  ],
  ['a loop', (_, response) => void response.writeHead(302, { Location: '/?again=s3cret' }).end()],
]

test.each(failing)('an error of %s shows no secret', async (_, fail) => {
  await using server = await HttpTestServer.start((request, response) => {
    response.setHeader('Set-Cookie', 'sid=s3cret')
    fail(request, response)
  })
  await using client = new HttpClient({
    ...QUICK,
    retries: 1,
    timeoutMs: 1000,
    attemptTimeoutMs: 100,
    headers: { 'X-Api-Key': 's3cret', Cookie: 'sid=s3cret', Authorization: 'Bearer s3cret' },
    params: { token: 's3cret' },
  })

  const error = await failureOf(client.get(`http://ann:hunter2@${server.host}/x?key=s3cret`))

  expect(everythingOf(error)).not.toMatch(SECRETS)
})

test('an error of the way through a proxy shows no secret', async () => {
  await using proxy = await HttpTestServer.start(
    (_, response) => void response.writeHead(407).end(),
  )
  await using client = new HttpClient({ ...QUICK, retries: 0 })
  const own = { proxy: `http://ann:hunter2@${proxy.host}` }

  for (const url of [
    'http://ann:s3cret@127.0.0.1:9/?s3cret',
    'https://ann:s3cret@127.0.0.1:9/?s3cret',
  ]) {
    const error = await failureOf(client.get(url, own))
    expect(everythingOf(error)).not.toMatch(SECRETS)
  }
  const unreachable = await failureOf(
    client.get('http://127.0.0.1:9/', { proxy: 'http://ann:hunter2@127.0.0.1:9' }),
  )
  expect(everythingOf(unreachable)).not.toMatch(SECRETS)
})

test('an error of an option shows no secret', async () => {
  await using client = new HttpClient(QUICK)

  for (const url of ['//ann:hunter2@h/?s3cret', 'ftp://ann:hunter2@h/?s3cret', 'ann:hunter2@h']) {
    const error: unknown = await client.get(url).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(isFerryError(error, 'config')).toBe(true)
    expect(everythingOf(error as Error)).not.toMatch(SECRETS)
  }
})

test('an error cut from a response keeps its place in the tree', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(302, { Location: '/' }).end()
  })
  await using client = new HttpClient(QUICK)

  const error = await failureOf(client.get(server.url()))

  expect(error.name).toBe('RemoteProtocolError')
  expect(error.message).toBe(`Cannot GET ${server.url()}: more than 10 redirections`)
  expect(server.requests).toHaveLength(11)
})

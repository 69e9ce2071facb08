import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { LoopbackServer } from '../../testing/loopback-server.ts'
import { ConnectionPool } from '../../transport/connection-pool.ts'
import type { HttpClientOptions } from '../call-options.ts'
import { HttpClient } from '../http-client.ts'
import { createFetch, type Fetch } from './create-fetch.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** A server, a client and its fetch. */
class FetchFixture implements AsyncDisposable {
  readonly requests: IncomingMessage[] = []
  /** What came with each request, once it has ended. */
  readonly bodies: string[] = []
  readonly pool = new ConnectionPool()
  readonly client: HttpClient<'response'>
  readonly fetch: Fetch
  readonly #server: Server

  private constructor(listener: Listener, options: HttpClientOptions) {
    this.client = new HttpClient({ ...options, responseFormat: 'response', pool: this.pool })
    this.fetch = createFetch(this.client)
    this.#server = createServer((request, response) => {
      const index = this.requests.push(request) - 1
      this.bodies[index] = ''
      request.setEncoding('latin1')
      request.on('data', (text: string) => (this.bodies[index] += text))
      listener(request, response)
    })
  }

  static async start(listener: Listener, options: HttpClientOptions = {}): Promise<FetchFixture> {
    const fixture = new FetchFixture(listener, options)
    await new Promise<void>((resolve) => fixture.#server.listen(0, '127.0.0.1', resolve))
    return fixture
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  get asked(): string[] {
    return this.requests.map(({ method, url }) => `${method} ${url}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
    await this.pool.close()
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }
}

const hello: Listener = (_, response) => void response.end('hello')

/** Answers once all of the request is here. */
function whenWhole(listener: Listener): Listener {
  return (request, response) => void request.on('end', () => listener(request, response))
}

/** Redirects /STATUS/… to the rest, with all of the request read. */
const redirecting: Listener = whenWhole(({ url = '' }, response) => {
  const [, status, rest] = /^\/(\d{3})(\/.*)$/.exec(url) ?? []
  if (status === undefined) response.end('there')
  else response.writeHead(Number(status), { Location: rest }).end()
})

async function failureOf(promise: Promise<unknown>): Promise<Error & { cause?: unknown }> {
  return promise.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error as Error,
  )
}

function streamOf(...pieces: readonly string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces.map((piece) => Buffer.from(piece)))
}

/** Waits until something is so. */
async function until(isSo: () => boolean): Promise<void> {
  await expect.poll(isSo, { interval: 5, timeout: 5000 }).toBe(true)
}

// ── The client behind it

test('fetch sends by the client: its base URL, fields, parameters and interceptors', async () => {
  const seen: string[] = []
  await using site = await FetchFixture.start(hello)
  await using client = new HttpClient({
    baseUrl: site.url('/v1'),
    headers: { 'X-A': '1' },
    params: { key: 'k' },
    interceptors: [{ preRequest: ({ url }) => void seen.push(url.target) }],
  })
  const fetch = createFetch(client)

  const response = await fetch('users', { headers: { 'x-b': '2' } })

  expect(await response.text()).toBe('hello')
  expect(site.asked).toEqual(['GET /v1/users?key=k'])
  expect(site.requests[0]?.headers).toMatchObject({ 'x-a': '1', 'x-b': '2' })
  expect(seen).toEqual(['/v1/users?key=k'])
})

test('fetch does not try again by itself, whatever its client does', async () => {
  await using site = await FetchFixture.start((_, response) => {
    response.writeHead(site.requests.length < 3 ? 503 : 200).end()
  })

  const response = await site.fetch(site.url())

  expect(response.status).toBe(503)
  expect(site.requests).toHaveLength(1)
})

test('fetch tries again when it is told to', async () => {
  await using site = await FetchFixture.start((_, response) => {
    response.writeHead(site.requests.length < 3 ? 503 : 200).end()
  })
  const fetch = createFetch(site.client, { retries: 2, retryDelayMs: 1 })

  const response = await fetch(site.url())

  expect(response.status).toBe(200)
  expect(site.requests).toHaveLength(3)
})

test('fetch asks the platform for data: and blob: URLs, even in its place', async () => {
  await using site = await FetchFixture.start(hello)
  const platform = globalThis.fetch
  const blob = URL.createObjectURL(new Blob(['from a blob']))
  globalThis.fetch = site.fetch
  try {
    expect(await (await fetch('data:text/plain,hi%21')).text()).toBe('hi!')
    expect(await (await fetch(blob)).text()).toBe('from a blob')
    expect(await (await fetch(site.url())).text()).toBe('hello')
  } finally {
    globalThis.fetch = platform
    URL.revokeObjectURL(blob)
  }
})

// ── Responses

test('fetch shows a redirection that leads back to where it came from', async () => {
  await using site = await FetchFixture.start((_, response) => {
    if (site.requests.length > 1) response.end('there')
    else response.writeHead(302, { Location: '/', 'Set-Cookie': 'seen=1' }).end()
  })

  const response = await site.fetch(site.url('/#part'))

  expect([response.redirected, response.url]).toEqual([true, site.url('/')])
})

test('a copy of a response has the same head and the same content', async () => {
  await using site = await FetchFixture.start((_, response) => {
    response.writeHead(404, 'Gone fishing', { 'X-A': '1' }).end('x'.repeat(200_000))
  })

  const response = await site.fetch(site.url())
  const copy = response.clone()

  for (const one of [response, copy]) {
    expect(one).toMatchObject({ status: 404, statusText: 'Gone fishing', ok: false })
    expect([one.url, one.headers.get('x-a')]).toEqual([site.url(), '1'])
    expect(await one.text()).toHaveLength(200_000)
    expect(one.bodyUsed).toBe(true)
  }
  expect(() => response.clone()).toThrow(TypeError)
})

test('the content can be read into memory of the reader', async () => {
  await using site = await FetchFixture.start(hello)

  const { body } = await site.fetch(site.url())
  const reader = body?.getReader({ mode: 'byob' })
  const first = await reader?.read(new Uint8Array(3))
  const second = await reader?.read(new Uint8Array(3))
  const last = await reader?.read(new Uint8Array(3))

  expect(Buffer.from(first?.value ?? []).toString()).toBe('hel')
  expect(Buffer.from(second?.value ?? []).toString()).toBe('lo')
  expect(last?.done).toBe(true)
})

test('content that breaks off fails the read, with the reason', async () => {
  await using site = await FetchFixture.start((_, response) => {
    response.writeHead(200, { 'Content-Length': 10 })
    response.write('hello', () => response.destroy())
  })

  const response = await site.fetch(site.url())
  const error = await failureOf(response.text())

  expect(error).toBeInstanceOf(TypeError)
  expect(error.message).toContain(`GET ${site.url()}`)
  expect(error.cause).toMatchObject({ code: 'connection-lost', bytesReceived: 5 })
})

test('a reader that stops stops the server, and gets the rest when it goes on', async () => {
  const total = 64 * 1_048_576
  let sent = 0
  const pour = async (response: ServerResponse): Promise<void> => {
    const piece = Buffer.alloc(65_536)
    for (; sent < total; sent += piece.length) {
      if (!response.write(piece)) await once(response, 'drain')
    }
    response.end()
  }
  await using site = await FetchFixture.start((_, response) => void pour(response))

  const { body } = await site.fetch(site.url())
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  let received = (await reader.read()).value?.length ?? 0
  await new Promise((resolve) => setTimeout(resolve, 200))
  const sentMeanwhile = sent
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    received += value.length
  }

  // What is on its way lies in the buffers of two sockets.
  expect(sentMeanwhile).toBeLessThan(16 * 1_048_576)
  expect(received).toBe(total)
})

test.each(['unread', 'begun', 'waiting'] as const)(
  'cancelling a body that is %s gives its connection up',
  async (how) => {
    await using site = await FetchFixture.start((_, response) => void response.write('hello'))

    const { body } = await site.fetch(site.url())
    const stream = body as ReadableStream<Uint8Array>
    if (how === 'unread') {
      await stream.cancel()
    } else {
      const reader = stream.getReader()
      await reader.read()
      const waiting = how === 'waiting' ? reader.read() : undefined
      await reader.cancel('enough')
      expect(await waiting).toEqual(waiting && { done: true, value: undefined })
    }

    await until(() => site.pool.metrics().active === 0)
    expect(site.pool.metrics()).toMatchObject({ active: 0, idle: 0 })
  },
)

test('a body that nobody begins to read is given up after the body timeout', async () => {
  await using site = await FetchFixture.start((_, response) => void response.write('hello'))
  const fetch = createFetch(site.client, { bodyTimeoutMs: 100 })

  const response = await fetch(site.url())
  await until(() => site.pool.metrics().active === 0)

  const error = await failureOf(response.text())
  expect(error).toBeInstanceOf(TypeError)
  expect(error.cause).toMatchObject({ code: 'timeout', phase: 'body' })
})

test('the connection is there for the next once the content is read', async () => {
  await using site = await FetchFixture.start(hello)

  for (let index = 0; index < 3; index++) {
    expect(await (await site.fetch(site.url())).text()).toBe('hello')
  }
  const withoutBody = await site.fetch(site.url(), { method: 'HEAD' })

  expect(withoutBody.body).toBeNull()
  expect(site.pool.metrics()).toMatchObject({ active: 0, idle: 1 })
})

// ── Requests

test('what a body was made of is sent again after a redirection', async () => {
  await using site = await FetchFixture.start(redirecting)
  const form = new FormData()
  form.set('a', new Blob(['bytes']))
  const bodies = [
    'text',
    Buffer.from('bytes'),
    new Blob(['blob']),
    new URLSearchParams('a=1'),
    form,
  ]

  for (const body of bodies) {
    const response = await site.fetch(site.url('/308/x'), { method: 'PUT', body })
    expect([response.status, response.redirected]).toEqual([200, true])
  }

  expect(site.asked).toEqual(bodies.flatMap(() => ['PUT /308/x', 'PUT /x']))
  for (let at = 0; at < site.bodies.length; at += 2) {
    expect(site.bodies[at]).not.toBe('')
    expect(site.bodies[at + 1]).toBe(site.bodies[at])
  }
})

const streamed: readonly [string, number, string | undefined][] = [
  ['PUT', 307, undefined],
  ['PUT', 302, undefined],
  ['POST', 308, undefined],
  ['POST', 303, 'GET /x'],
  ['POST', 302, 'GET /x'],
]

test.each(streamed)('after %s of a stream, status %i leads to %s', async (method, status, next) => {
  await using site = await FetchFixture.start(redirecting)

  const sending = site.fetch(site.url(`/${status}/x`), {
    method,
    body: streamOf('hello'),
    duplex: 'half',
  })

  if (next === undefined) {
    const error = await failureOf(sending)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain('its content can be sent only once')
  } else {
    expect((await sending).status).toBe(200)
    expect(site.asked[1]).toBe(next)
  }
})

test('the body of a Request that is there at once goes out with its length, and again', async () => {
  await using site = await FetchFixture.start(redirecting)
  const bodies = ['short', 'long'.repeat(100_000), new URLSearchParams('a=1')]

  for (const body of bodies) {
    await site.fetch(new Request(site.url('/307/x'), { method: 'POST', body }))
  }

  const lengths = site.requests.map(({ headers }) => headers['content-length'])
  expect(lengths).toEqual(['5', '5', '400000', '400000', '3', '3'])
  expect(site.bodies[3]).toBe(bodies[1])
})

test('the body of a Request that takes its time is sent as it comes', async () => {
  await using site = await FetchFixture.start(whenWhole(hello))
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const request = new Request(site.url(), { method: 'POST', body: readable, duplex: 'half' })

  const response = site.fetch(request)
  await writer.write(Buffer.from('first,'))
  await until(() => site.bodies[0] === 'first,')
  await writer.write(Buffer.from('second'))
  await writer.close()

  expect((await response).status).toBe(200)
  expect(request.bodyUsed).toBe(true)
  expect(site.requests[0]?.headers['transfer-encoding']).toBe('chunked')
  expect(site.bodies[0]).toBe('first,second')
})

test('a long body of a Request comes whole, whatever is read ahead of it', async () => {
  await using site = await FetchFixture.start(whenWhole(hello))
  const text = Array.from({ length: 40 }, (_, index) => String(index).repeat(10_000))

  const body = streamOf(...text)
  await site.fetch(new Request(site.url(), { method: 'POST', body, duplex: 'half' }))

  expect(site.bodies[0]).toBe(text.join(''))
})

test('bytes may be changed as soon as fetch has returned', async () => {
  await using site = await FetchFixture.start(whenWhole(hello))
  const bytes = Buffer.from('hello')

  const sending = site.fetch(site.url(), { method: 'POST', body: bytes })
  bytes.fill('x')
  await sending

  expect(site.bodies).toEqual(['hello'])
})

test('content is not shown unless it is what it should be', async () => {
  await using site = await FetchFixture.start(hello)
  const right = 'sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='
  const wrong = right.replace('LPJ', 'AAA')

  const response = await site.fetch(site.url(), { integrity: right })
  expect(await response.text()).toBe('hello')

  const error = await failureOf(site.fetch(site.url(), { integrity: wrong }))
  expect(error).toBeInstanceOf(TypeError)
  expect(error.cause).toMatchObject({ code: 'checksum-mismatch' })
  await expect(site.fetch(site.url(), { method: 'HEAD', integrity: right })).rejects.toBeInstanceOf(
    TypeError,
  )
})

// ── Failures and aborts

test('fetch says why it failed', async () => {
  await using refusing = await LoopbackServer.open()
  const closed = `http://127.0.0.1:${refusing.port}/x?token=secret`
  await refusing[Symbol.asyncDispose]()
  await using silent = await LoopbackServer.open((socket) => socket.end())
  await using site = await FetchFixture.start((_, response) => {
    response.writeHead(302, { Location: '/' }).end()
  })
  const rows: readonly [string, RequestInit, RegExp][] = [
    [closed, {}, /^Cannot GET http:\/\/127\.0\.0\.1:\d+\/x\?…: cannot connect to .*refused$/],
    [`http://127.0.0.1:${silent.port}/`, { method: 'PUT', body: 'x' }, /PUT http:.* closed/],
    [site.url(), {}, /^Cannot GET .*: more than 20 redirections/],
    [site.url(), { redirect: 'error' }, /^Cannot GET .*: it was redirected, status 302$/],
  ]

  for (const [url, init, message] of rows) {
    const error = await failureOf(site.fetch(url, init))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('secret')
    expect(error.cause).toMatchObject({ isFerryError: true })
  }
})

test('a failure names the whole URL, also where the client has a base', async () => {
  await using site = await FetchFixture.start((_, response) => void response.destroy())
  await using client = new HttpClient({ baseUrl: site.url('/v1') })
  await using redirecting = await FetchFixture.start((_, response) => {
    response.writeHead(302, { Location: '/' }).end()
  })

  const fetch = createFetch(client)
  const lost = await failureOf(fetch('users'))
  const redirected = await failureOf(
    createFetch(client.extend({ baseUrl: redirecting.url() }))('x', { redirect: 'error' }),
  )

  expect(lost.message).toContain(`GET ${site.url('/v1/users')}`)
  expect(redirected.message).toMatch(`Cannot GET ${redirecting.url('/x')}: it was redirected`)
})

test('a stream that fails fails the fetch, and the error says how', async () => {
  await using site = await FetchFixture.start(() => {})
  const failing = new ReadableStream({ pull: () => Promise.reject(new Error('disk is gone')) })

  const error = await failureOf(
    site.fetch(site.url(), { method: 'POST', body: failing, duplex: 'half' }),
  )

  expect(error).toBeInstanceOf(TypeError)
  expect(error.message).toContain('disk is gone')
})

test('an abort rejects with its reason: before, during the wait, in the content', async () => {
  await using site = await FetchFixture.start(({ url }, response) => {
    if (url === '/begins') response.write('hello')
  })
  const before = AbortSignal.abort('not at all')
  const waiting = new AbortController()
  const reading = new AbortController()

  await expect(site.fetch(site.url(), { signal: before })).rejects.toBe('not at all')
  const wait = site.fetch(site.url('/silent'), { signal: waiting.signal })
  await until(() => site.requests.length === 1)
  waiting.abort('too slow')
  await expect(wait).rejects.toBe('too slow')
  const { body } = await site.fetch(new Request(site.url('/begins'), { signal: reading.signal }))
  const reader = (body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  const read = reader.read()
  reading.abort('seen enough')
  await expect(read).rejects.toBe('seen enough')

  await until(() => site.pool.metrics().active === 0)
})

test('an abort fails the reading of content that is already here', async () => {
  await using site = await FetchFixture.start(hello)
  const controller = new AbortController()

  const response = await site.fetch(site.url(), { signal: controller.signal })
  await until(() => site.pool.metrics().idle === 1)
  controller.abort('too late')

  await expect(response.text()).rejects.toBe('too late')
})

test('an abort cancels the body of the request, also while it is waited for', async () => {
  await using site = await FetchFixture.start(() => {})
  const cancelled: unknown[] = []
  const endless = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ cancel: (reason) => void cancelled.push(reason) })
  const controller = new AbortController()
  const init = { method: 'POST', duplex: 'half' } as const

  const aborted = AbortSignal.abort('before')
  await expect(site.fetch(site.url(), { ...init, body: endless(), signal: aborted })).rejects.toBe(
    'before',
  )
  const sending = site.fetch(site.url(), { ...init, body: endless(), signal: controller.signal })
  await until(() => site.requests.length === 1)
  controller.abort('meanwhile')
  await expect(sending).rejects.toBe('meanwhile')

  expect(cancelled).toHaveLength(2)
  expect(cancelled[0]).toBe('before')
})

const mistakes: readonly [string, Parameters<Fetch>[1], RegExp][] = [
  ['no url', {}, /Cannot use "no url" as a URL/],
  ['ftp://h/', {}, /Cannot fetch a ftp: URL/],
  ['http://user:secret@h/', {}, /Cannot fetch http:\/\/h\/ with credentials in the URL/],
  ['http://h/', { method: 'track' }, /method TRACK: not allowed/],
  ['http://h/', { method: 'a b' }, /method "a b": not a token/],
  ['http://h/', { body: '' }, /Cannot send a body with GET/],
  ['http://h/', { method: 'POST', body: streamOf('x') }, /duplex: 'half'/],
  ['http://h/', { method: 'POST', body: { a: 1 } as never }, /JSON\.stringify/],
  ['http://h/', { headers: { 'a b': '1' } }, /a b/],
  ['http://h/', { redirect: 'never' as never }, /redirect "never"/],
  ['http://h/', { cache: 'never' as never }, /cache "never"/],
  ['http://h/', { signal: {} as never }, /AbortSignal/],
]

test.each(mistakes)('fetch of %s with %o is a TypeError', async (url, init, message) => {
  await using client = new HttpClient()

  const error = await failureOf(createFetch(client)(url, init))

  expect(error).toBeInstanceOf(TypeError)
  expect(error.message).toMatch(message)
  expect(error.message).not.toContain('secret')
})

/** What is tried again, how often, and what is never sent twice. */
import { writeFile } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { NetworkError } from '../errors.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { createRequestStream } from '../transport/request-stream.ts'
import { type Answer, HttpTestServer, refuse } from '../testing/http-test-server.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import type { CallOptions } from './call-options.ts'
import { filePart, MultipartForm } from './content/multipart-form.ts'
import { HttpClient } from './http-client.ts'
import type { RetryEvent } from './retry-event.ts'
import type { RetryContext } from './retry/retry-policy.ts'

const QUICK = { retryDelayMs: 1, jitter: 'none', responseFormat: 'text', proxy: false } as const

test.each([408, 425, 429, 500, 502, 503, 504])(
  'a %i is tried again, three times',
  async (status) => {
    await using server = await HttpTestServer.start(refuse(3, status))
    await using client = new HttpClient(QUICK)

    const call = client.get(server.url())

    expect(await call).toBe('hello')
    expect((await call.response).attempts).toBe(4)
    expect(server.connections).toBe(1)
  },
)

test.each([400, 401, 403, 404, 405, 409, 410, 422, 501, 505])(
  'a %i is an answer',
  async (status) => {
    await using server = await HttpTestServer.start(refuse(9, status))
    await using client = new HttpClient(QUICK)

    await expect(client.get(server.url())).rejects.toMatchObject({ status, attempts: 1 })
    expect(server.requests).toHaveLength(1)
  },
)

test('retryStatuses of a call are the only ones', async () => {
  await using server = await HttpTestServer.start(refuse(1, 404))
  await using client = new HttpClient(QUICK)
  const options = { retryStatuses: [404] }

  expect(await client.get(server.url(), options)).toBe('hello')
  await using other = await HttpTestServer.start(refuse(1, 503))
  await expect(client.get(other.url(), options)).rejects.toMatchObject({ attempts: 1 })
})

test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])(
  '%s is tried again',
  async (method) => {
    await using server = await HttpTestServer.start(refuse(1, 503))
    await using client = new HttpClient(QUICK)

    await client.request(method, server.url())

    expect(server.requests).toHaveLength(2)
  },
)

const breaks: readonly [string, Answer][] = [
  ['503', (_, response) => void response.writeHead(503).end()],
  ['a lost connection', (request) => void request.socket.resetAndDestroy()],
  [
    'a truncated body',
    (_, response) => {
      response.writeHead(200, { 'Content-Length': 9 }).write('1')
      setTimeout(() => response.socket?.destroy(), 10)
    },
  ],
  ['a timeout', () => {}],
]

test.each(breaks)('POST and PATCH are not sent twice after %s', async (_, answer) => {
  await using server = await HttpTestServer.start(answer)
  await using client = new HttpClient({ ...QUICK, attemptTimeoutMs: 1000 })

  for (const method of ['POST', 'PATCH']) {
    const failure = client.request(method, server.url(), { json: { a: 1 } })
    await expect(failure).rejects.toMatchObject({ attempts: 1 })
  }
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(server.asked).toEqual(['POST /', 'PATCH /'])
})

test.each(breaks)('GET is sent again after %s', async (_, answer) => {
  let seen = 0
  await using server = await HttpTestServer.start((request, response) => {
    if (seen++ === 0) answer(request, response)
    else response.end('{"a":1}')
  })
  await using client = new HttpClient({ ...QUICK, attemptTimeoutMs: 1000 })

  const call = client.get(server.url(), { responseFormat: 'json' })

  expect(await call).toEqual({ a: 1 })
  expect((await call.response).attempts).toBe(2)
})

test('POST is sent again where there was no connection', async () => {
  const closed = await LoopbackServer.open()
  const { port } = closed
  await closed[Symbol.asyncDispose]()
  await using client = new HttpClient({ ...QUICK, retries: 2 })

  const call = client.post(`http://127.0.0.1:${port}/`, { json: 1 })

  await expect(call).rejects.toMatchObject({ code: 'connect-failed', attempts: 3 })
})

test('POST is sent again for a caller who says so, but not once an answer had begun', async () => {
  await using server = await HttpTestServer.start(refuse(2, 503))
  await using client = new HttpClient({ ...QUICK, retryMethods: ['POST'] })
  expect(await client.post(server.url(), { json: 1 })).toBe('hello')
  expect(server.bodies).toEqual(['1', '1', '1'])

  const [, truncate] = breaks[2] as [string, Answer]
  await using cutting = await HttpTestServer.start(truncate)
  await expect(client.post(cutting.url(), { json: 1 })).rejects.toMatchObject({ attempts: 1 })
  expect(cutting.requests).toHaveLength(1)
})

test('a streamed response is not sent for again once its head is here', async () => {
  const [, truncate] = breaks[2] as [string, Answer]
  await using server = await HttpTestServer.start(truncate)
  await using client = new HttpClient(QUICK)

  const response = await client.stream('GET', server.url())

  await expect(response.text()).rejects.toMatchObject({ code: 'connection-lost' })
  expect(server.requests).toHaveLength(1)
})

test('content that is no JSON is not asked for again', async () => {
  await using server = await HttpTestServer.start((_, response) => void response.end('<html>'))
  await using client = new HttpClient(QUICK)

  await expect(client.get(server.url(), { responseFormat: 'json' })).rejects.toThrow('JSON')
  expect(server.requests).toHaveLength(1)
})

test('content beyond maxBytes is not asked for again', async () => {
  await using server = await HttpTestServer.start(
    (_, response) => void response.end('x'.repeat(99)),
  )
  await using client = new HttpClient(QUICK)

  const failure = client.get(server.url(), { maxBytes: 98 })

  await expect(failure).rejects.toBeInstanceOf(NetworkError)
  await expect(failure).rejects.toMatchObject({ attempts: 1 })
  await expect(failure).rejects.toThrow('98 bytes')
  expect(server.requests).toHaveLength(1)
  expect(await client.get(server.url(), { maxBytes: 99 })).toHaveLength(99)
})

test('an error stays one of its status, however long or broken its content is', async () => {
  await using server = await HttpTestServer.start((request, response) => {
    response.writeHead(404, request.url === '/broken' ? { 'Content-Length': 999 } : {})
    response.write('x'.repeat(99))
    if (request.url === '/broken') setTimeout(() => response.socket?.destroy(), 10)
    else response.end()
  })
  await using client = new HttpClient(QUICK)

  for (const path of ['/long', '/broken']) {
    const failure = client.get(server.url(path), { maxBytes: 10 })
    await expect(failure).rejects.toMatchObject({ status: 404, attempts: 1 })
  }
  expect(server.requests).toHaveLength(2)
})

// ── Content that is sent again

const REPLAYABLE: readonly [string, CallOptions, string][] = [
  ['json', { json: { a: 1 } }, '{"a":1}'],
  ['form', { form: { a: 1 } }, 'a=1'],
  ['text', { body: 'text' }, 'text'],
  ['bytes', { body: Buffer.from('bytes') }, 'bytes'],
  ['a Blob', { body: new Blob(['blob']) }, 'blob'],
  ['URLSearchParams', { body: new URLSearchParams('a=1') }, 'a=1'],
]

test.each(REPLAYABLE)('%s is sent again whole', async (_, options, sent) => {
  await using server = await HttpTestServer.start(refuse(2, 503))
  await using client = new HttpClient(QUICK)

  expect(await client.put(server.url(), options)).toBe('hello')

  expect(server.bodies).toEqual([sent, sent, sent])
  expect(new Set(server.received('content-length'))).toEqual(new Set([String(sent.length)]))
  expect(new Set(server.received('content-type')).size).toBe(1)
})

test('a form with files is sent again whole: they are opened anew', async () => {
  const { TempDir } = await import('../../../../test/support/temp-dir.ts')
  await using folder = await TempDir.create()
  const path = folder.join('picture.jpg')
  await writeFile(path, 'x'.repeat(200_000))
  await using server = await HttpTestServer.start(refuse(2, 503))
  await using client = new HttpClient(QUICK)
  const form = new MultipartForm().addField('description', 'Profile picture')
  form.add(await filePart('file', path))
  const progress: number[] = []

  const text = await client.put(server.url(), {
    body: form,
    onUploadProgress: ({ bytes }) => progress.push(bytes),
  })

  expect(text).toBe('hello')
  const [first, ...others] = server.bodies
  expect(first).toContain('picture.jpg')
  expect(first?.length).toBeGreaterThan(200_000)
  expect(others).toEqual([first, first])
  expect(progress.filter((bytes) => bytes === first?.length)).toHaveLength(3)
})

test('content that can be sent once is sent once, and the failure is that of the server', async () => {
  await using server = await HttpTestServer.start(refuse(9, 503))
  await using client = new HttpClient(QUICK)
  const streams = [
    Readable.from([Buffer.from('x')]),
    new Response('x').body as ReadableStream<Uint8Array>,
    createReadStream(import.meta.filename),
    [{ name: 'f', value: createReadStream(import.meta.filename) }],
  ]

  for (const body of streams) {
    await expect(client.put(server.url(), { body })).rejects.toMatchObject({
      status: 503,
      attempts: 1,
    })
  }
  expect(server.requests).toHaveLength(streams.length)
})

test('a stream that can be opened again is', async () => {
  await using server = await HttpTestServer.start(refuse(1, 503))
  await using client = new HttpClient(QUICK)
  let opened = 0
  const body = createRequestStream({
    replayable: true,
    open: () => Readable.from([Buffer.from(String(++opened))]),
  })

  expect(await client.put(server.url(), { body })).toBe('hello')
  expect(server.bodies).toEqual(['1', '2'])
})

// ── Who decides

test('shouldRetry is asked after the rules, with what they say', async () => {
  await using server = await HttpTestServer.start(refuse(9, 503))
  await using client = new HttpClient(QUICK)
  const asked: RetryContext[] = []

  const failure = client.get(server.url(), {
    shouldRetry: async (context) => {
      asked.push(context)
      await Promise.resolve()
      return context.attempt < 2
    },
  })

  await expect(failure).rejects.toMatchObject({ status: 503, attempts: 2 })
  expect(asked.map(({ attempt }) => attempt)).toEqual([1, 2])
  expect(asked[0]).toMatchObject({
    outcome: { type: 'response', status: 503 },
    decision: { type: 'retry', delayMs: 1, reason: 'status' },
  })
})

test('onRetry is told of each wait, and with 0 retries of none', async () => {
  let seen = 0
  await using server = await HttpTestServer.start((request, response) => {
    if (seen++ === 0) request.socket.resetAndDestroy()
    else if (seen === 2) response.writeHead(503).end()
    else response.end('hello')
  })
  await using client = new HttpClient({ ...QUICK, retryBackoff: 'exponential' })
  const events: RetryEvent[] = []
  const onRetry = (event: RetryEvent): void => void events.push(event)

  await client.get(server.url(), { onRetry })
  seen = 0
  await expect(client.get(server.url(), { onRetry, retries: 0 })).rejects.toMatchObject({
    attempts: 1,
  })

  expect(events).toMatchObject([
    { attempt: 1, reason: 'connection lost', status: undefined, delayMs: 1 },
    { attempt: 2, reason: '503', error: undefined, status: 503, delayMs: 2 },
  ])
  expect(events[0]?.error).toBeInstanceOf(NetworkError)
})

test.each(['shouldRetry', 'onRetry'] as const)(
  'what %s throws fails the call, and leaves no connection',
  async (name) => {
    await using server = await HttpTestServer.start((_, response) => {
      response.writeHead(503).end('x'.repeat(200_000))
    })
    await using pool = new ConnectionPool()
    await using client = new HttpClient({ ...QUICK, proxy: undefined, pool })
    const error = new Error('mine')
    const options = {
      [name]: () => {
        throw error
      },
    }

    await expect(client.get(server.url(), options)).rejects.toBe(error)
    await expect(client.stream('GET', server.url(), options)).rejects.toBe(error)

    expect(pool.toString()).not.toMatch(/active [1-9]/)
  },
)

test('interceptors and retries together do not send more often than retries allow', async () => {
  await using server = await HttpTestServer.start(refuse(99, 503))
  await using client = new HttpClient({ ...QUICK, retries: 2 })
  const interceptors = [{ postResponse: () => undefined }, { scope: 'attempt' as const }]

  await expect(client.get(server.url(), { interceptors })).rejects.toMatchObject({ attempts: 3 })
  expect(server.requests).toHaveLength(3)
})

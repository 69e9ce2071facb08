/** What interceptors see and do: their order, their scope, and what becomes of responses they replace. */
import { expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { HttpResponse } from '../transport/http-response.ts'
import { HttpTestServer, refuse } from '../testing/http-test-server.ts'
import type { HttpClientOptions } from './call-options.ts'
import { HttpClient } from './http-client.ts'
import type { Interceptor } from './interceptor.ts'

const QUICK: HttpClientOptions<'text'> & { responseFormat: 'text' } = {
  retryDelayMs: 1,
  responseFormat: 'text',
  proxy: false,
}

/** Notes what it sees under a name. */
function note(name: string, seen: string[], scope?: 'call' | 'attempt'): Interceptor {
  return {
    ...(scope === undefined ? {} : { scope }),
    preRequest: (request, { attempt }) => void seen.push(`${name} → ${request.method} ${attempt}`),
    postResponse: ({ status }, _, { attempt }) => void seen.push(`${name} ← ${status} ${attempt}`),
    onError: (error, _, { attempt }) => {
      seen.push(`${name} ! ${(error as Error).name} ${attempt}`)
    },
  }
}

test('interceptors run in their order on the way out and in the opposite on the way back', async () => {
  await using server = await HttpTestServer.start(refuse(0, 0))
  const seen: string[] = []
  await using client = new HttpClient({
    ...QUICK,
    interceptors: [note('a', seen), note('b', seen)],
  })

  await client.get(server.url(), { interceptors: [note('c', seen)] })

  expect(seen).toEqual([
    'a → GET 1',
    'b → GET 1',
    'c → GET 1',
    'c ← 200 1',
    'b ← 200 1',
    'a ← 200 1',
  ])
})

test('interceptors of a call see it once, those of attempts each of them, and every status', async () => {
  await using server = await HttpTestServer.start(refuse(1, 503))
  const seen: string[] = []
  const interceptors = [note('attempt', seen, 'attempt'), note('call', seen, 'call')]
  await using client = new HttpClient({ ...QUICK, interceptors })

  await client.get(server.url())

  expect(seen).toEqual([
    'call → GET 1',
    'attempt → GET 1',
    'attempt ← 503 1',
    'attempt → GET 2',
    'attempt ← 200 2',
    'call ← 200 1',
  ])
})

test('interceptors see redirections as one', async () => {
  await using server = await HttpTestServer.start(({ url }, response) => {
    if (url === '/') response.writeHead(302, { Location: '/next' }).end()
    else response.end('hello')
  })
  const seen: string[] = []
  await using client = new HttpClient({
    ...QUICK,
    interceptors: [note('c', seen), note('a', seen, 'attempt')],
  })

  await client.get(server.url())

  expect(seen).toEqual(['c → GET 1', 'a → GET 1', 'a ← 200 1', 'c ← 200 1'])
})

test('interceptors see statuses that become errors afterwards', async () => {
  await using server = await HttpTestServer.start(refuse(9, 404))
  const seen: string[] = []
  await using client = new HttpClient({ ...QUICK, interceptors: [note('a', seen)] })

  await expect(client.get(server.url())).rejects.toMatchObject({ status: 404 })

  expect(seen).toEqual(['a → GET 1', 'a ← 404 1'])
})

test('interceptors may change the request, its fields, content and URL', async () => {
  await using server = await HttpTestServer.start((request, response) => {
    request.on('end', () => response.end('hello'))
  })
  await using client = new HttpClient({
    ...QUICK,
    interceptors: [
      { preRequest: (request) => request.withHeader('X-A', '1').withContent('other') },
      {
        preRequest: (request) =>
          Promise.resolve(request.withMethod('PUT').withUrl(server.url('/other'))),
      },
    ],
  })

  const call = client.post(server.url(), { json: 1 })

  expect(await call).toBe('hello')
  expect(server.asked).toEqual(['PUT /other'])
  expect(server.received('x-a')).toEqual(['1'])
  expect(server.bodies).toEqual(['other'])
  expect((await call.response).request.method).toBe('PUT')
})

test('interceptors may answer themselves: then nothing is sent', async () => {
  await using server = await HttpTestServer.start(refuse(0, 0))
  const seen: string[] = []
  for (const scope of ['call', 'attempt'] as const) {
    const answering: Interceptor = {
      scope,
      preRequest: () => HttpResponse.create({ status: 200, body: 'mine' }),
    }
    await using client = new HttpClient({
      ...QUICK,
      interceptors: [note('out', seen, scope), answering, note('in', seen, scope)],
    })

    const call = client.get(server.url())
    expect(await call).toBe('mine')
    const response = await client.stream('GET', server.url())
    expect(await response.text()).toBe('mine')
    expect(response.connection).toBeUndefined()
  }
  expect(server.requests).toHaveLength(0)
  expect(seen.filter((line) => line.startsWith('in'))).toEqual([])
})

test('an answer of their own of 400 or more is an error like any other', async () => {
  const answering: Interceptor = {
    preRequest: () => HttpResponse.create({ status: 403, statusText: 'Forbidden', body: 'mine' }),
  }
  await using client = new HttpClient({ ...QUICK, interceptors: [answering] })

  await expect(client.get('http://127.0.0.1:9/x')).rejects.toMatchObject({
    status: 403,
    excerpt: 'mine',
  })
})

test('interceptors may replace the response, in every format', async () => {
  await using server = await HttpTestServer.start((_, response) => void response.end('{"a":1}'))
  for (const scope of ['call', 'attempt'] as const) {
    const replacing: Interceptor = {
      scope,
      async postResponse(response) {
        const text = (await response.body.bytes()).toString()
        return response.withBody(text.replace('1', '2')).withHeader('X-A', '1')
      },
    }
    await using client = new HttpClient({ ...QUICK, interceptors: [replacing] })

    expect(await client.get(server.url())).toBe('{"a":2}')
    expect(await client.get(server.url(), { responseFormat: 'json' })).toEqual({ a: 2 })
    const response = await client.stream('GET', server.url())
    expect(response.headers.get('x-a')).toBe('1')
    expect(await response.text()).toBe('{"a":2}')
  }
})

test('interceptors may send again', async () => {
  await using server = await HttpTestServer.start((request, response) => {
    if (request.headers.authorization === undefined) response.writeHead(401).end('who?')
    else response.end('hello')
  })
  for (const scope of ['call', 'attempt'] as const) {
    const asking: Interceptor = {
      scope,
      async postResponse(response, request, context) {
        if (response.status !== 401) return undefined
        response.body.cancel()
        return context.send(request.withHeader('Authorization', 'x'))
      },
    }
    await using client = new HttpClient({ ...QUICK, interceptors: [asking] })

    const call = client.get(server.url())
    expect(await call).toBe('hello')
    expect((await call.response).request.headers.get('authorization')).toBe('x')
  }
  expect(server.requests).toHaveLength(4)
})

test('what an interceptor throws fails the call as it is, and is not tried again', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.end('x'.repeat(100_000))
  })
  const error = new Error('mine')
  const fail = (): never => {
    throw error
  }
  for (const scope of ['call', 'attempt'] as const) {
    for (const hook of [{ preRequest: fail }, { postResponse: fail }]) {
      await using pool = new ConnectionPool()
      await using client = new HttpClient({
        ...QUICK,
        proxy: undefined,
        pool,
        interceptors: [{ scope, ...hook }],
      })

      await expect(client.get(server.url())).rejects.toBe(error)
      await expect(client.stream('GET', server.url())).rejects.toBe(error)
      expect(pool.toString(), JSON.stringify([scope, Object.keys(hook)])).not.toMatch(
        /active [1-9]/,
      )
    }
  }
  expect(server.requests).toHaveLength(4)
})

test('onError may give a response instead, or throw another error', async () => {
  const seen: unknown[] = []
  const rescuing: Interceptor = {
    onError: (error) => {
      seen.push(error)
      return HttpResponse.create({ status: 200, body: 'rescued' })
    },
  }
  const other = new Error('other')
  const changing: Interceptor = {
    onError: () => {
      throw other
    },
  }
  await using server = await HttpTestServer.start((request) => request.socket.destroy())
  await using client = new HttpClient({ ...QUICK, retries: 1 })

  expect(await client.get(server.url(), { interceptors: [rescuing] })).toBe('rescued')
  expect(seen).toHaveLength(1)
  expect(seen[0]).toBeInstanceOf(StreamError)
  await expect(client.get(server.url(), { interceptors: [changing] })).rejects.toBe(other)
  expect(server.requests).toHaveLength(4)
})

test('onError in scope attempt is told of each, and what it rescues is not tried again', async () => {
  await using server = await HttpTestServer.start((request) => request.socket.destroy())
  const seen: string[] = []
  await using client = new HttpClient({ ...QUICK, retries: 2 })

  const interceptors = [note('a', seen, 'attempt')]
  await expect(client.get(server.url(), { interceptors })).rejects.toThrow('after 3 attempts')

  expect(seen.filter((line) => line.includes('!'))).toEqual([
    'a ! StreamError 1',
    'a ! StreamError 2',
    'a ! StreamError 3',
  ])
})

test('interceptors get content decoded', async () => {
  const { gzipSync } = await import('node:zlib')
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('hello'))
  })
  const texts: string[] = []
  const reading: Interceptor = {
    async postResponse(response) {
      const bytes = await response.body.bytes()
      texts.push(bytes.toString())
      return response.withBody(bytes)
    },
  }
  await using client = new HttpClient({ ...QUICK, interceptors: [reading] })

  expect(await client.get(server.url())).toBe('hello')
  expect(texts).toEqual(['hello'])
})

test('interceptors run for send(), too', async () => {
  await using server = await HttpTestServer.start(refuse(0, 0))
  const seen: string[] = []
  await using client = new HttpClient({ ...QUICK, interceptors: [note('a', seen)] })
  const { HttpRequest } = await import('../transport/http-request.ts')

  const response = await client.send(new HttpRequest('GET', server.url()))
  await response.body.bytes()

  expect(seen).toEqual(['a → GET 1', 'a ← 200 1'])
})

test('interceptors are given the signal of the call', async () => {
  await using server = await HttpTestServer.start(refuse(0, 0))
  const { signal } = new AbortController()
  const seen: unknown[] = []
  const looking: Interceptor = { preRequest: (_, context) => void seen.push(context.signal) }
  await using client = new HttpClient({ ...QUICK, interceptors: [looking] })

  await client.get(server.url(), { signal })
  await client.get(server.url())

  expect((seen[0] as AbortSignal).aborted).toBe(false)
  expect(seen).toHaveLength(2)
})

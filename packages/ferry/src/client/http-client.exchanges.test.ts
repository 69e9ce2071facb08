/** What `onExchange` tells: every request that goes out, and what came of it. */
import { expect, test } from 'vitest'
import { type Answer, HttpTestServer, refuse } from '../testing/http-test-server.ts'
import { cacheResponses } from './cache/cache-responses.ts'
import type { ExchangeEvent } from './exchange-event.ts'
import { HttpClient } from './http-client.ts'

const QUICK = { retryDelayMs: 1, jitter: 'none', responseFormat: 'text', proxy: false } as const

/** / leads to /a with a cookie, /a to /b, which is the end. */
const hops: Answer = ({ url }, response) => {
  if (url === '/') response.writeHead(302, { Location: '/a', 'Set-Cookie': 'id=7' }).end('on')
  else if (url === '/a') response.writeHead(303, { Location: '/b' }).end()
  else response.end('there')
}

/** `1.0 GET /`, `1.0 302`: attempt, redirections before it, and what happened. */
function describe(event: ExchangeEvent): string {
  const { type, attempt, redirects, request } = event
  const place = `${attempt}.${redirects}`
  if (type === 'request') return `${place} ${request.method} ${request.url.target}`
  return type === 'response'
    ? `${place} ${event.response.status}`
    : `${place} ${(event.error as Error).name}`
}

test('onExchange is told of each hop of a redirection, with its head', async () => {
  await using server = await HttpTestServer.start(hops)
  const events: ExchangeEvent[] = []
  await using client = new HttpClient({ ...QUICK, cookies: true })

  const text = await client.post(server.url(), {
    json: 1,
    onExchange: (event) => void events.push(event),
  })

  expect(text).toBe('there')
  expect(events.map(describe)).toEqual([
    '1.0 POST /',
    '1.0 302',
    '1.1 GET /a',
    '1.1 303',
    '1.2 GET /b',
    '1.2 200',
  ])
  const [, first, second] = events
  expect(first?.type === 'response' && first.response.headers.get('location')).toBe('/a')
  expect(first?.type === 'response' && first.response.connection?.reused).toBe(false)
  // As it is sent, with what the jar adds.
  expect(second?.request.headers.get('cookie')).toBe('id=7')
})

test('onExchange is told of further attempts, whole content or streamed', async () => {
  await using server = await HttpTestServer.start(refuse(1, 503))
  const told: string[] = []
  await using client = new HttpClient({
    ...QUICK,
    onExchange: (event) => told.push(describe(event)),
  })

  await client.get(server.url('/x'))
  const response = await client.stream('GET', server.url('/y'))
  await response.bytes()

  expect(told).toEqual(['1.0 GET /x', '1.0 503', '2.0 GET /x', '2.0 200', '1.0 GET /y', '1.0 200'])
})

test('onExchange is told why no response came', async () => {
  await using server = await HttpTestServer.start(({ socket }) => socket.destroy())
  const told: string[] = []
  await using client = new HttpClient({ ...QUICK, retries: 0 })

  const onExchange = (event: ExchangeEvent): void => void told.push(describe(event))
  await expect(client.get(server.url(), { onExchange })).rejects.toThrow('connection')

  expect(told).toEqual(['1.0 GET /', '1.0 StreamError'])
})

test('onExchange is told of no request that a cache answers', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.setHeader('Cache-Control', 'max-age=60').end('x')
  })
  const told: string[] = []
  await using client = new HttpClient({ ...QUICK, interceptors: [cacheResponses()] })
  const options = { onExchange: (event: ExchangeEvent) => void told.push(describe(event)) }

  await client.get(server.url(), options)
  await client.get(server.url(), options)

  expect(told).toEqual(['1.0 GET /', '1.0 200'])
})

test.each(['request', 'response', 'error'] as const)(
  'what onExchange throws for a %s fails the call, and its connection is given back',
  async (type) => {
    await using server = await HttpTestServer.start((request, response) => {
      if (type === 'error') request.socket.destroy()
      else response.write('x'.repeat(100_000))
    })
    const mistake = new Error('mine')
    await using client = new HttpClient({ ...QUICK, maxConnectionsPerOrigin: 1 })

    const call = client.get(server.url(), {
      onExchange: (event) => {
        if (event.type === type) throw mistake
      },
    })

    await expect(call).rejects.toBe(mistake)
    // A mistake of the program's is not tried again.
    expect(server.asked).toHaveLength(type === 'request' ? 0 : 1)
    await expect.poll(() => server.connections).toBe(0)
  },
)

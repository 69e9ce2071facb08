import { expect, test } from 'vitest'
import { InterceptorFixture } from '../../testing/interceptor-fixture.ts'
import { HttpRequest } from '../../transport/http-request.ts'
import { HttpResponse } from '../../transport/http-response.ts'
import { sendThrough } from '../interceptor.ts'
import { countRequests } from './count-requests.ts'
import { logRequests } from './log-requests.ts'

type Listener = Parameters<typeof InterceptorFixture.start>[0]
type Line = { level: string; facts: Record<string, unknown>; message: string }

/** Answers with the status that is the path. */
const statusOf: Listener = ({ url = '' }, response) => {
  if (url === '/break') response.destroy()
  else response.writeHead(Number(/\d+/.exec(url)?.[0] ?? 200), { 'Set-Cookie': 'a=secret' }).end()
}

function recordingLogger(): { lines: Line[] } & Parameters<typeof logRequests>[0] {
  const lines: Line[] = []
  const record = (level: string) => (facts: object, message: string) =>
    void lines.push({ level, facts: { ...facts }, message })
  return { lines, info: record('info'), warn: record('warn') }
}

test('logRequests() tells of responses and failures', async () => {
  const logger = recordingLogger()
  await using server = await InterceptorFixture.start(statusOf, logRequests(logger))

  await server.get('/200?token=secret', { attempt: 2 })
  await server.get('/404')
  await server.get('/503')
  await server.get('/break').catch(() => {})

  expect(logger.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
    `info GET ${server.url('/200?…')} 200`,
    `info GET ${server.url('/404')} 404`,
    `warn GET ${server.url('/503')} 503`,
    `warn GET ${server.url('/break')} failed`,
  ])
  expect(logger.lines[0]?.facts).toEqual({
    method: 'GET',
    url: server.url('/200?…'),
    attempt: 2,
    status: 200,
    durationMs: expect.any(Number),
  })
  expect(logger.lines[3]?.facts['error']).toMatchObject({ code: 'connection-lost' })
})

test('logRequests() writes the fields that were asked for, and never a secret', async () => {
  const logger = recordingLogger()
  const fields = ['X-One', 'Authorization', 'Cookie', 'Set-Cookie', 'Content-Length']
  await using server = await InterceptorFixture.start(statusOf, logRequests(logger, { fields }))

  await server.get('/200', {
    headers: { 'X-One': '1', 'X-Two': '2', Authorization: 'Bearer secret', Cookie: 'a=secret' },
  })

  expect(logger.lines[0]?.facts).toMatchObject({
    requestFields: { 'x-one': '1', authorization: '…', cookie: '…' },
    responseFields: { 'set-cookie': '…' },
  })
  expect(JSON.stringify(logger.lines)).not.toContain('secret')
})

test('logRequests() only names errors that are not our own', async () => {
  const logger = recordingLogger()
  const failing = { preRequest: () => Promise.reject(new RangeError('secret')) }
  await using server = await InterceptorFixture.start(statusOf, logRequests(logger), failing)

  await expect(server.get()).rejects.toThrow('secret')

  expect(logger.lines[0]?.facts['error']).toEqual({ name: 'RangeError' })
})

test('a logger that throws fails the call and leaves no connection behind', async () => {
  const logger = {
    info: () => {
      throw new Error('disk full')
    },
    warn: () => {},
  }
  const long: Listener = (_, response) => void response.end(Buffer.alloc(2_000_000))
  await using server = await InterceptorFixture.start(long, logRequests(logger))

  await expect(server.get()).rejects.toThrow('disk full')

  expect(server.pool.metrics().active).toBe(0)
})

test('the console is a logger', () => {
  expect(logRequests(console).scope).toBe('attempt')
  expect(logRequests(console, { scope: 'call' }).scope).toBe('call')
})

test('countRequests() counts by origin, method and class of status', async () => {
  const counter = countRequests()
  await using server = await InterceptorFixture.start(statusOf, counter)

  await server.get('/200')
  await server.get('/201')
  await server.get('/404')
  await (await server.send('POST', '/200')).body.bytes()
  await server.get('/break').catch(() => {})

  const origin = server.url('')
  expect(counter.snapshot()).toMatchObject([
    { origin, method: 'GET', statusClass: '2xx', count: 2 },
    { origin, method: 'GET', statusClass: '4xx', count: 1 },
    { origin, method: 'POST', statusClass: '2xx', count: 1 },
    { origin, method: 'GET', statusClass: 'error', count: 1 },
  ])
})

test('countRequests() does not grow with the number of origins', async () => {
  const counter = countRequests()
  for (let index = 0; index < 1002; index++) {
    await sendThrough([counter], new HttpRequest('GET', `http://h${index}.example/`), {
      attempt: 1,
      signal: undefined,
      send: ({ url }) => Promise.resolve(HttpResponse.create({ status: 200, url })),
    })
  }

  const rows = counter.snapshot()

  expect(rows.length).toBe(1001)
  expect(rows.at(-1)).toMatchObject({ origin: 'other', count: 2 })
})

test('countRequests() tells how long answers took', async () => {
  const counter = countRequests({ bucketsMs: [20, 5000] })
  const slow: Listener = ({ url }, response) =>
    void setTimeout(() => response.end(), url === '/slow' ? 40 : 0)
  await using server = await InterceptorFixture.start(slow, counter)

  await server.get('/slow')

  const [row] = counter.snapshot()
  expect(row?.totalMs).toBeGreaterThan(30)
  expect(row?.maxMs).toBe(row?.totalMs)
  expect(row?.buckets).toEqual([
    { upToMs: 20, count: 0 },
    { upToMs: 5000, count: 1 },
    { upToMs: Number.POSITIVE_INFINITY, count: 1 },
  ])
})

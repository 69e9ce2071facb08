/** What a call is given and gives: methods, fields, formats, statuses. */
import { expect, test } from 'vitest'
import { type Answer, HttpTestServer } from '../testing/http-test-server.ts'
import type { ClientResponse } from './client-response.ts'
import { HttpClient } from './http-client.ts'

/** Tells the request back as JSON. */
const echo: Answer = (request, response) => {
  request.on('end', () => {
    const { method, url, headers } = request
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ method, url, headers }))
  })
}

interface Echo {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
}

const answer =
  (status: number, body = '', headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(status, headers).end(body)

test.each(['get', 'post', 'put', 'patch', 'delete', 'options'] as const)(
  'HttpClient.%s() sends that method and gives JSON',
  async (name) => {
    await using server = await HttpTestServer.start(echo)
    await using client = new HttpClient({ baseUrl: server.url('/v1') })

    const told = await client[name]<Echo>('users', { params: { page: 2 } })

    expect([told.method, told.url]).toEqual([name.toUpperCase(), '/v1/users?page=2'])
  },
)

test('HttpClient.request() sends any method', async () => {
  await using server = await HttpTestServer.start(echo)
  await using client = new HttpClient()

  expect((await client.request<Echo>('PROPFIND', server.url())).method).toBe('PROPFIND')
})

test('HttpClient.head() gives status and fields, and keeps the connection', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, { 'Content-Length': '12345', 'X-A': '1' }).end()
  })
  await using client = new HttpClient()

  for (let count = 0; count < 3; count++) {
    const response = await client.head(server.url())
    expect(response.headers.get('content-length')).toBe('12345')
    expect(await response.bytes()).toEqual(Buffer.alloc(0))
    expect(await response.json()).toBeUndefined()
  }
  expect(server.connections).toBe(1)
})

test('HttpClient says what it is and takes, unless it is told otherwise', async () => {
  await using server = await HttpTestServer.start(echo)
  await using client = new HttpClient()
  await using other = new HttpClient({
    headers: { 'User-Agent': 'x/1', Accept: 'text/plain', 'Accept-Encoding': 'identity' },
  })
  await using texts = new HttpClient({ responseFormat: 'bytes', decompress: false })

  expect((await client.get<Echo>(server.url())).headers).toMatchObject({
    'user-agent': 'ferry',
    accept: 'application/json, */*;q=0.5',
    'accept-encoding': expect.stringContaining('gzip') as unknown,
  })
  expect((await other.get<Echo>(server.url())).headers).toMatchObject({
    'user-agent': 'x/1',
    accept: 'text/plain',
    'accept-encoding': 'identity',
  })
  const { headers } = JSON.parse((await texts.get(server.url())).toString()) as Echo
  expect(headers['accept']).toBe('*/*')
  expect(headers).not.toHaveProperty('accept-encoding')
})

test('HttpClient takes a field of its own away where a call says undefined', async () => {
  await using server = await HttpTestServer.start(echo)
  await using client = new HttpClient({ headers: { Authorization: 'Bearer x', 'X-Kept': '1' } })
  const headers = { authorization: undefined, 'User-Agent': undefined, Accept: undefined }

  const told = await client.get<Echo>(server.url(), { headers })

  expect(told.headers['x-kept']).toBe('1')
  for (const name of Object.keys(headers)) {
    expect(told.headers).not.toHaveProperty(name.toLowerCase())
  }
})

test('HttpClient gives content in the format asked for, by the client or by the call', async () => {
  await using server = await HttpTestServer.start(answer(200, '{"a":"ü"}'))
  await using client = new HttpClient({ responseFormat: 'text' })
  const url = server.url()

  expect(await client.get(url)).toBe('{"a":"ü"}')
  expect(await client.get(url, { responseFormat: 'json' })).toEqual({ a: 'ü' })
  expect(await client.get(url, { responseFormat: 'bytes' })).toEqual(Buffer.from('{"a":"ü"}'))
  const stream = await client.get(url, { responseFormat: 'stream' })
  expect((await stream.bytes()).toString()).toBe('{"a":"ü"}')
  const response = await client.get(url, { responseFormat: 'response' })
  expect(await response.json()).toEqual({ a: 'ü' })
  expect(await response.text()).toBe('{"a":"ü"}')
})

test('HttpClient follows the charset of the response', async () => {
  const type = { 'Content-Type': 'text/plain; charset=iso-8859-1' }
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(200, type).end(Buffer.from('grüß', 'latin1'))
  })
  await using client = new HttpClient()

  expect(await client.get(server.url(), { responseFormat: 'text' })).toBe('grüß')
})

test('HttpClient gives the response beside the content', async () => {
  await using server = await HttpTestServer.start(answer(201, '{"id":7}', { Location: '/7' }))
  await using client = new HttpClient()

  const call = client.post<{ id: number }>(server.url('/x?a=1'), { json: {} })
  const response: ClientResponse = await call.response

  expect(response.status).toBe(201)
  expect(response.statusCode).toBe(201)
  expect(response.statusText).toBe('Created')
  expect(response.ok).toBe(true)
  expect(response.headers.get('location')).toBe('/7')
  expect(response.url.href).toBe(server.url('/x?a=1'))
  expect(response.request.method).toBe('POST')
  expect(response.attempts).toBe(1)
  expect(response.version).toBe('1.1')
  expect(response.connection).toMatchObject({ reused: false })
  expect(response.timings?.headMs).toBeGreaterThan(0)
  expect(await call).toEqual({ id: 7 })
  expect(await response.json()).toEqual({ id: 7 })
  expect(await call.text()).toBe('{"id":7}')
  expect(await call.bytes()).toEqual(Buffer.from('{"id":7}'))
  expect(server.asked).toEqual(['POST /x?a=1'])
})

test.each([
  ['204', 204, ''],
  ['205', 205, ''],
  ['304', 304, ''],
])(
  'HttpClient takes the lack of content with %s for undefined, not for bad JSON',
  async (_, code) => {
    await using server = await HttpTestServer.start(answer(code))
    await using client = new HttpClient()

    expect(await client.get(server.url())).toBeUndefined()
  },
)

test('HttpClient says where JSON is none, after which request', async () => {
  await using server = await HttpTestServer.start(
    answer(200, '<html>\n<p>', { 'Content-Type': 'text/html' }),
  )
  await using client = new HttpClient()

  await expect(client.get(server.url('/x?token=s3cret'))).rejects.toMatchObject({
    code: 'remote-protocol',
    message: `Cannot GET ${server.url('/x?…')}: cannot read the JSON (text/html): unexpected "<" at line 1, column 1 of <html> <p>`,
    method: 'GET',
    url: server.url('/x?…'),
    attempts: 1,
  })
})

test.each([200, 201, 202])(
  'HttpClient gives undefined where a %i has no content: the change has been made',
  async (status) => {
    await using server = await HttpTestServer.start(answer(status))
    await using client = new HttpClient()

    expect(await client.put(server.url(), { json: 1 })).toBeUndefined()
    expect(server.bodies).toEqual(['1'])
  },
)

test.each([400, 401, 404, 409, 418, 500, 501, 599])(
  'HttpClient makes an error of %i, unless raiseForStatus is false',
  async (status) => {
    await using server = await HttpTestServer.start(answer(status, '{"why":"because"}'))
    await using client = new HttpClient({ retries: 0 })
    const url = server.url()

    for (const responseFormat of ['json', 'text', 'bytes', 'stream', 'response'] as const) {
      await expect(client.get(url, { responseFormat })).rejects.toMatchObject({ status })
    }
    expect(await client.get(url, { raiseForStatus: false })).toEqual({ why: 'because' })
    await using lenient = new HttpClient({ retries: 0, raiseForStatus: false })
    expect(await lenient.get(url)).toEqual({ why: 'because' })
    await expect(lenient.get(url, { raiseForStatus: true })).rejects.toMatchObject({ status })
    const response = await lenient.stream('GET', url)
    expect(response.ok).toBe(false)
    expect(() => response.raiseForStatus()).toThrow(expect.objectContaining({ status }))
    expect(await response.json()).toEqual({ why: 'because' })
    expect(server.connections).toBeLessThanOrEqual(2)
  },
)

test.each([200, 299, 302, 304, 399])('HttpClient makes no error of %i', async (status) => {
  await using server = await HttpTestServer.start(answer(status))
  await using client = new HttpClient()

  const response = await client.stream('GET', server.url())

  expect(response.status).toBe(status)
  expect(response.raiseForStatus()).toBe(response)
  response.cancel()
})

test('HttpClient.send() sends a request as it is, and gives whatever comes', async () => {
  await using server = await HttpTestServer.start(echo)
  await using client = new HttpClient({ headers: { 'X-A': '1', 'X-B': '2' } })
  const { HttpRequest } = await import('../transport/http-request.ts')
  const headers = { 'x-b': '3', 'Content-Type': 'x/y' }

  const response = await client.send(
    new HttpRequest('PUT', server.url(), { headers, content: 'body' }),
  )

  const told = JSON.parse((await response.body.bytes()).toString()) as Echo
  expect(told.headers).toMatchObject({ 'x-a': '1', 'x-b': '3', 'content-type': 'x/y' })
  expect(server.bodies).toEqual(['body'])
})

test('HttpClient.send() makes no error of a status', async () => {
  await using server = await HttpTestServer.start(answer(404, 'no'))
  await using client = new HttpClient()
  const { HttpRequest } = await import('../transport/http-request.ts')

  const response = await client.send(new HttpRequest('GET', server.url()))

  expect([response.status, (await response.body.bytes()).toString()]).toEqual([404, 'no'])
})

test('HttpClient tells of 1xx responses and of progress', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeHead(200, { 'Content-Length': '5' }).end('hello')
  })
  await using client = new HttpClient({ responseFormat: 'text' })
  const told: unknown[] = []

  const text = await client.post(server.url(), {
    body: 'four',
    onInformation: ({ status }) => told.push(status),
    onUploadProgress: ({ bytes, total }) => told.push(['up', bytes, total]),
    onDownloadProgress: ({ bytes, total }) => told.push(['down', bytes, total]),
  })

  expect(text).toBe('hello')
  expect(told).toEqual([['up', 4, 4], 103, ['down', 5, 5]])
})

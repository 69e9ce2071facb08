import { expect, test } from 'vitest'
import { ConfigError, LocalProtocolError, StreamError } from '../errors.ts'
import { HttpResponse, type HttpResponseInit } from './http-response.ts'
import { createResponseStream } from './response-stream.ts'

test('HttpResponse.create() makes a response with what is usual left out', async () => {
  const response = HttpResponse.create({ status: 200, body: 'hello' })

  expect(response).toMatchObject({ status: 200, statusText: '', version: '1.1' })
  expect(response.headers.size).toBe(0)
  expect(response.url.href).toBe('http://constructed.invalid/')
  expect([response.timings, response.connection]).toEqual([undefined, undefined])
  await expect(response.body.bytes()).resolves.toEqual(Buffer.from('hello'))
})

test('HttpResponse.create() takes every part', () => {
  const body = createResponseStream('hello')
  const response = HttpResponse.create({
    status: 404,
    statusText: 'Nöt Found',
    version: '1.0',
    headers: { 'Content-Length': '5' },
    body,
    url: 'http://h/a',
  })

  expect(response).toMatchObject({ status: 404, statusText: 'Nöt Found', version: '1.0' })
  expect(response.headers.get('content-length')).toBe('5')
  expect(response.url.href).toBe('http://h/a')
  expect(response.body).toBe(body)
})

const REFUSED: readonly [what: string, init: HttpResponseInit][] = [
  ['status 99', { status: 99 }],
  ['status 600', { status: 600 }],
  ['status 200.5', { status: 200.5 }],
  ['status NaN', { status: Number.NaN }],
  ['a text as status', { status: '200' as unknown as number }],
  ['a line break in the status text', { status: 200, statusText: 'a\r\nb' }],
  ['a line break in a field', { status: 200, headers: { A: 'a\r\nb' } }],
  ['content with 204', { status: 204, body: 'x' }],
  ['content with 304', { status: 304, body: 'x' }],
  ['content with 101', { status: 101, body: 'x' }],
  ['content of unknown length with 204', { status: 204, body: [].values() }],
  ['a length other than that of the body', { status: 200, headers: lengthOf('4'), body: 'hello' }],
  ['a length that is none', { status: 200, headers: lengthOf('5, 5'), body: 'hello' }],
  [
    'a length other than that of a received body',
    { status: 200, headers: lengthOf('4'), body: createResponseStream('hello') },
  ],
]

function lengthOf(text: string): Record<string, string> {
  return { 'Content-Length': text }
}

test.each(REFUSED)('HttpResponse.create() refuses %s', (_, init) => {
  expect(() => HttpResponse.create(init)).toThrow(LocalProtocolError)
})

test('HttpResponse.create() refuses a URL that cannot be used', () => {
  expect(() => HttpResponse.create({ status: 200, url: 'mailto:a' })).toThrow(ConfigError)
})

test.each([100, 204, 304, 599])(
  'HttpResponse.create() takes status %s without content',
  (status) => {
    // A response to HEAD tells the length of content that it does not have.
    expect(HttpResponse.create({ status, headers: lengthOf('4') }).body.length).toBe(0)
    expect(HttpResponse.create({ status, body: '' }).status).toBe(status)
  },
)

test('Content-Length binds a body that comes piece by piece', async () => {
  const pieces = [Buffer.from('hello')]
  const response = HttpResponse.create({
    status: 200,
    headers: lengthOf('6'),
    body: pieces.values(),
  })

  expect(response.body.length).toBe(6)
  await expect(response.body.bytes()).rejects.toThrow(StreamError)
})

test('HttpResponse cannot be changed', () => {
  const response = HttpResponse.create({ status: 200 })

  expect(Object.isFrozen(response)).toBe(true)
  expect(() => ((response as { status: number }).status = 500)).toThrow(TypeError)
})

test('with… gives a changed copy with the same body and leaves the original alone', () => {
  const original = HttpResponse.create({ status: 200, statusText: 'OK', headers: { A: '1' } })

  const copies = {
    status: original.withStatus(404, 'Not Found'),
    headers: original.withHeaders({ B: '2' }),
    header: original.withHeader('a', '2'),
    added: original.withAddedHeader('A', '2'),
  }

  expect(copies.status).toMatchObject({ status: 404, statusText: 'Not Found' })
  expect(copies.status.headers).toBe(original.headers)
  expect(original.withStatus(500).statusText).toBe('')
  expect([...copies.headers.headers]).toEqual([['B', '2']])
  expect([...copies.header.headers]).toEqual([['a', '2']])
  expect(copies.added.headers.getAll('a')).toEqual(['1', '2'])
  expect([original.status, [...original.headers]]).toEqual([200, [['A', '1']]])
  for (const copy of Object.values(copies)) {
    expect(copy.body).toBe(original.body)
    expect(copy.url).toBe(original.url)
    expect(Object.isFrozen(copy)).toBe(true)
  }
})

test('withStatus() refuses what create() refuses', () => {
  expect(() => HttpResponse.create({ status: 200 }).withStatus(600)).toThrow(LocalProtocolError)
})

test('withBody() changes the body and drops what framed the old one', async () => {
  const headers = { 'Content-Length': '5', 'Transfer-Encoding': 'chunked', A: '1' }
  const original = HttpResponse.create({ status: 200, headers })
  const changed = original.withBody('other content')

  expect([...changed.headers]).toEqual([['A', '1']])
  await expect(changed.body.bytes()).resolves.toEqual(Buffer.from('other content'))
  expect(() => original.withStatus(204).withBody('x')).toThrow(LocalProtocolError)
})

test('withBody() wraps the body of the original', async () => {
  let bytes = 0
  const original = HttpResponse.create({ status: 200, body: 'hello' })
  const onProgress = (progress: { bytes: number }): number => (bytes = progress.bytes)
  const watched = original.withBody(createResponseStream(original.body, { onProgress }))

  await expect(watched.body.bytes()).resolves.toEqual(Buffer.from('hello'))
  expect(bytes).toBe(5)
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError, LocalProtocolError } from '../errors.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { ContentInit, StreamedContent } from './content.ts'
import { HttpRequest } from './http-request.ts'

function streamed(replayable: boolean): StreamedContent {
  return { replayable, open: async function* () {} }
}

test('HttpRequest cannot be changed', () => {
  const request = new HttpRequest('GET', 'http://h/') as { method: string }

  expect(() => (request.method = 'POST')).toThrow(TypeError)
})

test('HttpRequest does not see later changes to the headers it was made from', () => {
  const headers: Record<string, string> = { Accept: 'text/plain' }
  const request = new HttpRequest('GET', 'http://h/', { headers })

  headers['Accept'] = 'changed'

  expect(request.headers.get('accept')).toBe('text/plain')
})

test('with… gives a changed copy and leaves the original alone', () => {
  const original = new HttpRequest('PUT', 'http://h/a', { headers: { A: '1' }, content: 'x' })

  const copies = {
    method: original.withMethod('POST'),
    url: original.withUrl('http://h/b'),
    header: original.withHeader('a', '2'),
    headers: original.withHeaders({ B: '3' }),
    content: original.withContent(undefined),
  }

  expect(copies.method).toMatchObject({
    method: 'POST',
    url: original.url,
    content: original.content,
  })
  expect(copies.method.headers).toBe(original.headers)
  expect(copies.url.url.href).toBe('http://h/b')
  expect(copies.url).toMatchObject({ method: 'PUT', content: original.content })
  expect([...copies.header.headers]).toEqual([['a', '2']])
  expect(copies.header.content).toBe(original.content)
  expect([...copies.headers.headers]).toEqual([['B', '3']])
  expect(copies.headers.content).toBe(original.content)
  expect(copies.content.content).toBeUndefined()
  expect(copies.content.headers).toBe(original.headers)
  expect([original.method, original.url.href]).toEqual(['PUT', 'http://h/a'])
  expect([...original.headers]).toEqual([['A', '1']])
  for (const copy of Object.values(copies)) expect(Object.isFrozen(copy)).toBe(true)
})

const REFUSED_FRAMING: readonly [
  what: string,
  headers: Record<string, string>,
  content?: ContentInit,
][] = [
  ['another length', { 'Content-Length': '4' }, 'hello'],
  ['a length that is not written plainly', { 'content-length': '+5' }, 'hello'],
  ['a length of no content', { 'Content-Length': '5' }],
  ['the length of a stream that does not tell', { 'Content-Length': '5' }, streamed(true)],
  ['two codings', { 'Transfer-Encoding': 'gzip, chunked' }, streamed(true)],
  ['a coding beside a known length', { 'Transfer-Encoding': 'chunked' }, 'hello'],
  ['a coding of no content', { 'Transfer-Encoding': 'chunked' }],
]

test.each(REFUSED_FRAMING)('HttpRequest refuses a field with %s', (_, headers, content) => {
  expect(() => new HttpRequest('POST', 'http://h/', { headers, content })).toThrow(
    LocalProtocolError,
  )
})

test('HttpRequest refuses Content-Length given twice', () => {
  const headers: [string, string][] = [
    ['Content-Length', '5'],
    ['Content-Length', '5'],
  ]

  expect(() => new HttpRequest('POST', 'http://h/', { headers, content: 'hello' })).toThrow(
    LocalProtocolError,
  )
})

test.each([
  ['the right length', { 'Content-Length': '5' }, 'hello'],
  ['the length 0 of no content', { 'Content-Length': '0' }, undefined],
  ['chunked for a stream of unknown length', { 'Transfer-Encoding': 'Chunked' }, streamed(true)],
] as const)('HttpRequest takes a field with %s', (_, headers, content) => {
  expect(new HttpRequest('POST', 'http://h/', { headers, content }).headers.size).toBe(1)
})

test('withContent() drops what framed the old content', () => {
  const headers = { 'Content-Length': '5', A: '1' }
  const request = new HttpRequest('POST', 'http://h/', { headers, content: 'hello' })

  expect([...request.withContent('other').headers]).toEqual([['A', '1']])
})

test.each(['CONNECT', 'TRACE'])('HttpRequest refuses content with %s', (method) => {
  expect(() => new HttpRequest(method, 'http://h/', { content: 'x' })).toThrow(LocalProtocolError)
  expect(() => new HttpRequest('PUT', 'http://h/', { content: 'x' }).withMethod(method)).toThrow(
    LocalProtocolError,
  )
})

test.each([
  ['GET', 'http://h/a?b#c', undefined, '/a?b'],
  ['OPTIONS', 'http://h/a', '*', '*'],
  ['GET', 'http://h/a', '/a|b', '/a|b'],
  ['GET', 'http://h/a', 'http://other/b', 'http://other/b'],
  ['CONNECT', 'http://h/a', undefined, 'h:80'],
  ['CONNECT', 'https://h/a', undefined, 'h:443'],
  ['CONNECT', 'http://[::1]:81/', undefined, '[::1]:81'],
  ['CONNECT', 'http://h/', 'other:22', 'other:22'],
] as const)('%s of %s with target %s asks for %s', (method, url, target, expected) => {
  expect(new HttpRequest(method, url, { target }).requestTarget).toBe(expected)
})

test('a given target stays when the URL is changed, and goes when it is taken away', () => {
  const request = new HttpRequest('OPTIONS', 'http://h/a', { target: '*' })

  expect(request.withUrl('http://i/').requestTarget).toBe('*')
  expect(request.withTarget(undefined).requestTarget).toBe('/a')
  expect(() => request.withMethod('GET')).toThrow(LocalProtocolError)
})

test('HttpRequest checks trailers when it is made', () => {
  const content = streamed(true)
  const request = new HttpRequest('PUT', 'http://h/', { content, trailers: { A: '1' } })

  expect([...(request.trailers as HeaderFields)]).toEqual([['A', '1']])
  expect(() => request.withTrailers({ Host: 'h' })).toThrow(LocalProtocolError)
  expect(() => request.withContent('bytes')).toThrow(LocalProtocolError)
  expect(() => request.withContent(undefined)).toThrow(LocalProtocolError)
  expect(request.withTrailers(undefined).withContent('bytes').trailers).toBeUndefined()
})

test('HttpRequest does not call a function for trailers', () => {
  const trailers = (): never => {
    throw new Error('called')
  }
  const request = new HttpRequest('PUT', 'http://h/', { content: streamed(true), trailers })

  expect(request.trailers).toBe(trailers)
})

test('HttpRequest.create() makes the same request as the constructor', () => {
  const init = { headers: { A: '1' }, content: streamed(true), trailers: { B: '2' } }
  const made = HttpRequest.create({ method: 'PUT', url: 'http://h/', ...init })

  expect(made).toEqual(new HttpRequest('PUT', 'http://h/', init))
  expect(
    HttpRequest.create({ method: 'PUT', url: 'http://h/', stream: init.content }).content,
  ).toBe(init.content)
})

test('HttpRequest.create() refuses both names of the content at once', () => {
  const make = (): HttpRequest =>
    HttpRequest.create({ method: 'PUT', url: 'http://h/', content: 'a', stream: 'a' })

  expect(make).toThrow(ConfigError)
})

test.each([undefined, null, 1])('HttpRequest refuses %j as a method', (method) => {
  expect(() => new HttpRequest(method as unknown as string, 'http://h/')).toThrow(
    LocalProtocolError,
  )
})

describe('with…, for any request,', () => {
  const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'X')
  const url = fc.constantFrom('http://h/', 'https://i:8443/a?b', 'http://u:p@[::1]/')
  const name = fc.constantFrom('A', 'a', 'B')
  const value = fc.constantFrom('', '1', '2')
  const headers = fc.array(fc.tuple(name, value), { maxLength: 4 })
  const content = fc.constantFrom(undefined, Buffer.from('x'), streamed(true))
  const request = fc
    .record({ method, url, headers, content })
    .map((record) => HttpRequest.create(record))

  test('sets what it says, nothing else, and is frozen', () => {
    fc.assert(
      fc.property(request, method, url, headers, content, (from, m, u, h, c) => {
        const all = from.withMethod(m).withUrl(u).withHeaders(h).withContent(c)

        expect(all).toEqual(HttpRequest.create({ method: m, url: u, headers: h, content: c }))
        expect(from.withMethod(from.method)).toEqual(from)
        expect(from.withUrl(from.url)).toEqual(from)
        expect(from.withHeaders(from.headers)).toEqual(from)
        expect(from.withContent(from.content)).toEqual(from)
        expect(Object.isFrozen(all)).toBe(true)
      }),
    )
  })

  test('withHeader() leaves one line of a name, withAddedHeader() one more', () => {
    fc.assert(
      fc.property(request, name, value, (from, n, v) => {
        const before = from.headers.getAll(n)

        expect(from.withHeader(n, v).headers.getAll(n)).toEqual([v])
        expect(from.withAddedHeader(n, v).headers.getAll(n)).toEqual([...before, v])
        expect(from.headers.getAll(n)).toEqual(before)
      }),
    )
  })
})

test('HttpRequest sends text as UTF-8', () => {
  const request = new HttpRequest('POST', 'http://h/', { content: 'ü' })

  expect(request.content).toEqual(Buffer.from([0xc3, 0xbc]))
})

test.each([
  ['GET', true],
  ['HEAD', true],
  ['OPTIONS', true],
  ['TRACE', true],
  ['PUT', true],
  ['DELETE', true],
  ['POST', false],
  ['PATCH', false],
  ['CONNECT', false],
  // Methods are case-sensitive (RFC 9110 §9.1).
  ['get', false],
] as const)('HttpRequest knows whether %s is idempotent: %s', (method, idempotent) => {
  expect(new HttpRequest(method, 'http://h/').idempotent).toBe(idempotent)
})

test('HttpRequest is replayable unless its streamed content is not', () => {
  const replayable = (content: StreamedContent | string | undefined): boolean =>
    new HttpRequest('PUT', 'http://h/', { content }).replayable

  expect(replayable(undefined)).toBe(true)
  expect(replayable('text')).toBe(true)
  expect(replayable(streamed(true))).toBe(true)
  expect(replayable(streamed(false))).toBe(false)
})

test.each(['', 'G T', 'GET\r\n', 'GÉT'])('HttpRequest refuses the method %j', (method) => {
  expect(() => new HttpRequest(method, 'http://h/')).toThrow(LocalProtocolError)
})

test('HttpRequest refuses a field that would break the head in two', () => {
  const headers = { A: '1\r\nB: 2' }

  expect(() => new HttpRequest('GET', 'http://h/', { headers })).toThrow(LocalProtocolError)
})

test('HttpRequest refuses a URL that cannot be used', () => {
  expect(() => new HttpRequest('GET', 'mailto:a@b')).toThrow(ConfigError)
})

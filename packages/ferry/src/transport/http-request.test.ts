import { expect, test } from 'vitest'
import { ConfigError, LocalProtocolError } from '../errors.ts'
import { HttpRequest, type StreamedContent } from './http-request.ts'

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

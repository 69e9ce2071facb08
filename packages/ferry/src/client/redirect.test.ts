import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { StreamedContent } from '../transport/content.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { decideRedirect } from './redirect.ts'

const SECRETS = { Authorization: 'Basic x', Cookie: 'a=b', 'Proxy-Authorization': 'y', Host: 'a' }
const once: StreamedContent = { replayable: false, open: () => (async function* () {})() }

function redirect(
  request: HttpRequest,
  status: number,
  location?: string,
): HttpRequest | undefined {
  const headers = HeaderFields.from(location === undefined ? {} : { Location: location })
  return decideRedirect(request, { status, headers })
}

test.each([200, 201, 206, 300, 304, 305, 306, 309, 404])(
  'decideRedirect() takes a %i as final',
  (status) => {
    expect(redirect(new HttpRequest('GET', 'http://a/'), status, '/b')).toBeUndefined()
  },
)

test('decideRedirect() takes a redirection without Location as final', () => {
  expect(redirect(new HttpRequest('GET', 'http://a/'), 302)).toBeUndefined()
})

const methods: readonly [status: number, method: string, next: string][] = [
  ...[301, 302].flatMap((status): [number, string, string][] => [
    [status, 'GET', 'GET'],
    [status, 'HEAD', 'HEAD'],
    [status, 'POST', 'GET'],
    [status, 'PUT', 'PUT'],
    [status, 'DELETE', 'DELETE'],
  ]),
  [303, 'GET', 'GET'],
  [303, 'HEAD', 'HEAD'],
  [303, 'POST', 'GET'],
  [303, 'PUT', 'GET'],
  [303, 'DELETE', 'GET'],
  ...[307, 308].flatMap((status): [number, string, string][] => [
    [status, 'GET', 'GET'],
    [status, 'POST', 'POST'],
    [status, 'PUT', 'PUT'],
  ]),
]

test.each(methods)('decideRedirect() after %i turns %s into %s', (status, method, expected) => {
  const content = method === 'POST' || method === 'PUT' ? 'text' : undefined
  const headers = content === undefined ? {} : { 'Content-Type': 'text/plain', 'X-Kept': '1' }
  const next = redirect(new HttpRequest(method, 'http://a/', { headers, content }), status, '/b')

  expect(next?.method).toBe(expected)
  const kept = content !== undefined && method === expected
  expect(next?.content !== undefined).toBe(kept)
  expect(next?.headers.has('content-type')).toBe(kept)
  expect(next?.headers.has('x-kept')).toBe(content !== undefined)
})

test('decideRedirect() does not send content again that can be sent only once', () => {
  const request = new HttpRequest('PUT', 'http://a/', { content: once })

  expect(() => redirect(request, 307, '/b')).toThrow(
    'Cannot PUT http://a/: 307, and its content can be sent only once',
  )
  expect(redirect(request, 303, '/b')?.method).toBe('GET')
})

const locations: readonly [string, string][] = [
  ['/b?c', 'http://a/b?c'],
  ['b', 'http://a/x/b'],
  ['../b', 'http://a/b'],
  ['?q', 'http://a/x/y?q'],
  ['//b/c', 'http://b/c'],
  ['https://b/', 'https://b/'],
  ['http://b/#part', 'http://b/'],
  ['/k\u00c3\u00a4se', 'http://a/k%C3%A4se'],
]

test.each(locations)('decideRedirect() reads Location %s as %s', (location, expected) => {
  expect(redirect(new HttpRequest('GET', 'http://a/x/y'), 302, location)?.url.href).toBe(expected)
})

test.each(['ftp://a/', 'file:///etc/passwd', 'javascript:1', 'data:,x', 'http://'])(
  'decideRedirect() refuses Location %s',
  (location) => {
    expect(() => redirect(new HttpRequest('GET', 'http://a/'), 302, location)).toThrow(
      expect.objectContaining({ code: 'remote-protocol' }),
    )
  },
)

test('decideRedirect() never takes credentials to another origin', () => {
  const origin = fc.constantFrom(
    'http://a',
    'http://a:8080',
    'https://a',
    'https://a:80',
    'http://b',
    'http://a.b',
    'http://[::1]',
  )
  const status = fc.constantFrom(301, 302, 303, 307, 308)
  fc.assert(
    fc.property(origin, origin, status, (from, to, code) => {
      const request = new HttpRequest('GET', `${from}/`, { headers: { ...SECRETS, 'X-Kept': '1' } })

      const next = redirect(request, code, `${to}/b`)

      for (const name of Object.keys(SECRETS)) expect(next?.headers.has(name)).toBe(from === to)
      expect(next?.headers.has('x-kept')).toBe(true)
    }),
  )
})

test('decideRedirect() knows the same origin in another spelling', () => {
  const request = new HttpRequest('GET', 'http://a/', { headers: SECRETS })

  expect(redirect(request, 302, 'HTTP://A:80/b')?.headers.has('authorization')).toBe(true)
})

import { expect, test } from 'vitest'
import { LocalProtocolError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { resolveTrailers, toTrailers } from './request-trailers.ts'

const FORBIDDEN = [
  ['framing', 'Content-Length', 'Transfer-Encoding', 'Trailer', 'TE', 'Connection', 'Upgrade'],
  ['routing', 'Host', 'Max-Forwards', 'Expect', 'Forwarded'],
  ['authentication', 'Authorization', 'Proxy-Authorization', 'WWW-Authenticate', 'Cookie'],
  ['modifiers', 'Cache-Control', 'Range', 'If-Match', 'If-Range', 'Accept', 'accept-ENCODING'],
  ['control', 'Age', 'Date', 'Expires', 'Location', 'Retry-After', 'Vary', 'Set-Cookie'],
  ['format', 'Content-Encoding', 'Content-Type', 'Content-Range', 'Content-Language'],
].flatMap(([kind, ...names]) => names.map((name) => [kind, name] as const))

test.each(FORBIDDEN)('a field of %s, %s, is refused as a trailer', (_, name) => {
  expect(() => toTrailers({ [name]: '1' })).toThrow(LocalProtocolError)
  expect(() => resolveTrailers(() => ({ [name]: '1' }))).toThrow(LocalProtocolError)
})

test.each(['Content-Digest', 'Repr-Digest', 'ETag', 'Server-Timing', 'X-Checksum'])(
  '%s may be a trailer',
  (name) => {
    expect(resolveTrailers(toTrailers({ [name]: '1' })).get(name)).toBe('1')
  },
)

test('a trailer that cannot stand on the wire is refused', () => {
  expect(() => toTrailers([['A', 'a\r\nb']])).toThrow(LocalProtocolError)
  expect(() => resolveTrailers(() => [['A', 'a\r\nb']])).toThrow(LocalProtocolError)
})

test('resolveTrailers() gives no fields where there are none, and what a function throws', () => {
  const error = new Error('no digest')

  expect(resolveTrailers(undefined)).toBe(HeaderFields.empty)
  expect(() =>
    resolveTrailers(() => {
      throw error
    }),
  ).toThrow(error)
})

test('a function for trailers is called when they are resolved, each time', () => {
  let calls = 0
  const trailers = toTrailers(() => ({ A: String(++calls) }))

  expect(calls).toBe(0)
  expect([resolveTrailers(trailers).get('a'), resolveTrailers(trailers).get('a')]).toEqual([
    '1',
    '2',
  ])
})

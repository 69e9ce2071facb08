import { describe, expect, test } from 'vitest'
import { HeaderFields, type HeaderFieldsInit } from '../semantics/header-fields.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { HpackEncoder } from './hpack-encoder.ts'
import type { HpackField } from './hpack-field.ts'
import { encodeRequestHead, encodeTrailers, type Http2RequestHead } from './request-fields.ts'

function decode(block: Buffer): string[] {
  const fields: HpackField[] = []
  new HpackDecoder().decode(block, fields, Number.POSITIVE_INFINITY)
  return fields.map(({ name, value }) => `${name}: ${value}`)
}

function head(
  parts: Partial<Omit<Http2RequestHead, 'headers'>>,
  fields?: HeaderFieldsInit,
): string[] {
  return decode(
    encodeRequestHead(new HpackEncoder(), {
      method: 'GET',
      scheme: 'https',
      authority: 'example.com:8443',
      path: '/a?b',
      protocol: undefined,
      contentLength: undefined,
      ...parts,
      headers: HeaderFields.from(fields),
    }),
  )
}

/** The fields behind those that every request has. */
function rest(
  parts: Partial<Omit<Http2RequestHead, 'headers'>>,
  fields?: HeaderFieldsInit,
): string[] {
  return head(parts, fields).filter((line) => !line.startsWith(':'))
}

describe('encodeRequestHead()', () => {
  test('writes the four pseudo-header fields, in front of all others (§8.3.1)', () => {
    expect(head({}, { accept: '*/*' })).toEqual([
      ':method: GET',
      ':scheme: https',
      ':authority: example.com:8443',
      ':path: /a?b',
      'accept: */*',
    ])
  })

  test('writes method and authority alone for CONNECT (§8.5)', () => {
    expect(head({ method: 'CONNECT', path: undefined, authority: 'host:443' })).toEqual([
      ':method: CONNECT',
      ':authority: host:443',
    ])
  })

  test('writes the protocol of CONNECT, and scheme and path with it (RFC 8441 §4)', () => {
    expect(head({ method: 'CONNECT', protocol: 'websocket', path: '/chat' })).toEqual([
      ':method: CONNECT',
      ':protocol: websocket',
      ':scheme: https',
      ':authority: example.com:8443',
      ':path: /chat',
    ])
  })

  test('writes names in lower case, each line by itself, in order (§8.2.1)', () => {
    const fields: HeaderFieldsInit = [
      ['X-B', '1'],
      ['x-a', '2'],
      ['X-b', '3'],
      ['Cookie', 'a=b; c=d'],
    ]

    expect(rest({}, fields)).toEqual(['x-b: 1', 'x-a: 2', 'x-b: 3', 'cookie: a=b; c=d'])
  })

  test.each([
    ['connection', 'keep-alive'],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Connection', 'keep-alive'],
    ['Transfer-Encoding', 'chunked'],
    ['Upgrade', 'websocket'],
    ['Host', 'example.com'],
    ['TE', 'gzip'],
    ['TE', 'trailers, gzip'],
  ])('leaves out %s: %s (§8.2.2, §8.3.1)', (name, value) => {
    expect(
      rest({}, [
        [name, value],
        ['x-kept', '1'],
      ]),
    ).toEqual(['x-kept: 1'])
  })

  test.each(['trailers', 'Trailers'])('writes TE: %s, which is allowed (§8.2.2)', (value) => {
    expect(rest({}, { TE: value })).toEqual([`te: ${value}`])
  })

  test('leaves out what Connection names, in any case, of several lines', () => {
    const fields: HeaderFieldsInit = [
      ['Connection', 'X-One , close'],
      ['x-one', '1'],
      ['X-Two', '2'],
      ['connection', 'x-TWO'],
      ['x-three', '3'],
    ]

    expect(rest({}, fields)).toEqual(['x-three: 3'])
  })

  test.each([
    ['the length that is known', 'POST', 5, {}, ['content-length: 5']],
    ['a length of 0', 'PUT', 0, {}, ['content-length: 0']],
    ['no length when it is unknown', 'POST', 'unknown', {}, []],
    [
      '0 without content, where content is usual (RFC 9110 §8.6)',
      'POST',
      undefined,
      {},
      ['content-length: 0'],
    ],
    ['nothing without content, where none is', 'GET', undefined, {}, []],
    [
      'the length that the caller gave',
      'POST',
      5,
      { 'Content-Length': '5' },
      ['content-length: 5'],
    ],
    [
      'the one of the caller for unknown content',
      'PUT',
      'unknown',
      { 'content-length': '7' },
      ['content-length: 7'],
    ],
    [
      'the one of the caller without content',
      'PUT',
      undefined,
      { 'content-length': '0' },
      ['content-length: 0'],
    ],
  ] as const)('writes %s', (_, method, contentLength, fields, lines) => {
    expect(rest({ method, contentLength }, fields)).toEqual(lines)
  })

  test('writes one length although Connection names the field that gives it', () => {
    const fields = { connection: 'content-length', 'content-length': '5' }

    expect(rest({ method: 'POST', contentLength: 5 }, fields)).toEqual(['content-length: 5'])
  })
})

describe('encodeTrailers()', () => {
  test('writes fields without pseudo-header fields, and none of a connection', () => {
    const trailers = HeaderFields.from({ Digest: 'x', Connection: 'close', Upgrade: 'h2c' })

    expect(decode(encodeTrailers(new HpackEncoder(), trailers))).toEqual(['digest: x'])
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LocalProtocolError } from '../../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../semantics/header-fields.ts'
import {
  formatChunkSize,
  formatLastChunk,
  formatRequestHead,
  type RequestHead,
} from './request-writer.ts'

type Options = Partial<Omit<RequestHead, 'headers'>> & { headers?: HeaderFieldsInit }

function format({ headers, ...rest }: Options = {}): string {
  return formatRequestHead({
    method: 'GET',
    target: '/',
    authority: 'example.test',
    contentLength: undefined,
    ...rest,
    headers: HeaderFields.from(headers),
  })
}

/** The field lines of a head, between the request line and the empty line. */
function formatFields(options: Options): string[] {
  return format(options).split('\r\n').slice(1, -2)
}

describe('formatRequestHead() writes', () => {
  test('the request line, Host and the empty line, each ended by CRLF', () => {
    expect(format({ target: '/a?b=c' })).toBe('GET /a?b=c HTTP/1.1\r\nHost: example.test\r\n\r\n')
  })

  test('Host first, the fields in their order and spelling, the framing last', () => {
    const headers = [
      ['b', '1'],
      ['A', ''],
      ['B', '2'],
    ] as const

    expect(format({ method: 'PUT', headers, contentLength: 5 })).toBe(
      'PUT / HTTP/1.1\r\nHost: example.test\r\nb: 1\r\nA: \r\nB: 2\r\nContent-Length: 5\r\n\r\n',
    )
  })

  test("the caller's Host, whatever its case, in place of its own", () => {
    expect(formatFields({ headers: { A: '1', hOST: 'other' } })).toEqual(['A: 1', 'hOST: other'])
  })

  test.each(['*', 'example.test:443', 'http://example.test/a', '/%20?x=[1]|{}"<>'])(
    'the target %j as it is',
    (target) => {
      expect(format({ method: 'OPTIONS', target })).toMatch(/^OPTIONS \S+ HTTP\/1\.1\r\n/)
      expect(format({ method: 'OPTIONS', target }).split(' ')[1]).toBe(target)
    },
  )

  test('obs-text in a value as one character a byte', () => {
    expect(formatFields({ headers: { A: '\x80\xff' } })).toContain('A: \x80\xff')
  })
})

describe('formatRequestHead() frames', () => {
  test.each<[method: string, contentLength: RequestHead['contentLength'], fields: string[]]>([
    ['GET', undefined, []],
    ['HEAD', undefined, []],
    ['DELETE', undefined, []],
    ['OPTIONS', undefined, []],
    ['CONNECT', undefined, []],
    ['post', undefined, []],
    ['POST', undefined, ['Content-Length: 0']],
    ['PUT', undefined, ['Content-Length: 0']],
    ['PATCH', undefined, ['Content-Length: 0']],
    ['GET', 0, ['Content-Length: 0']],
    ['POST', 0, ['Content-Length: 0']],
    ['DELETE', 3, ['Content-Length: 3']],
    ['PUT', Number.MAX_SAFE_INTEGER, ['Content-Length: 9007199254740991']],
    ['GET', 'chunked', ['Transfer-Encoding: chunked']],
    ['PUT', 'chunked', ['Transfer-Encoding: chunked']],
  ])('%s with content %j by %j', (method, contentLength, fields) => {
    expect(formatFields({ method, contentLength })).toEqual(['Host: example.test', ...fields])
  })

  test.each<[contentLength: RequestHead['contentLength'], name: string, value: string]>([
    [undefined, 'Content-Length', '0'],
    [0, 'content-length', '0'],
    [12, 'CONTENT-LENGTH', '12'],
    ['chunked', 'transfer-encoding', 'chunked'],
    ['chunked', 'Transfer-Encoding', 'Chunked'],
  ])('content %j once when the caller gives %s: %s', (contentLength, name, value) => {
    const fields = formatFields({ method: 'POST', contentLength, headers: { [name]: value } })

    expect(fields).toEqual(['Host: example.test', `${name}: ${value}`])
  })
})

describe('formatRequestHead() refuses', () => {
  test.each(['', 'GET ', 'G T', 'GET\r\nX: y', 'GÉT', 'a/b'])('the method %j', (method) => {
    expect(() => format({ method })).toThrow(LocalProtocolError)
  })

  test.each(['', ' ', '/a b', '/a\tb', '/a\r\nX: y', '/a\n', '/\0', '/é', '/\x7f', '/\u2028'])(
    'the target %j',
    (target) => {
      expect(() => format({ target })).toThrow(LocalProtocolError)
    },
  )

  test.each<[contentLength: RequestHead['contentLength'], name: string, value: string]>([
    [undefined, 'Content-Length', '5'],
    [undefined, 'Transfer-Encoding', 'chunked'],
    [5, 'Content-Length', '6'],
    [5, 'Content-Length', '05'],
    [5, 'Content-Length', '+5'],
    [5, 'Content-Length', '5, 5'],
    [5, 'Content-Length', ''],
    [5, 'Transfer-Encoding', 'chunked'],
    [5, 'Transfer-Encoding', '5'],
    ['chunked', 'Content-Length', '5'],
    ['chunked', 'Content-Length', '0'],
    ['chunked', 'Content-Length', 'chunked'],
    ['chunked', 'Transfer-Encoding', 'gzip, chunked'],
    ['chunked', 'Transfer-Encoding', 'identity'],
    ['chunked', 'Transfer-Encoding', ''],
  ])('content %j with %s: %j', (contentLength, name, value) => {
    const options: Options = { method: 'POST', contentLength, headers: { [name]: value } }

    expect(() => format(options)).toThrow(LocalProtocolError)
  })

  test.each<[contentLength: RequestHead['contentLength'], headers: HeaderFieldsInit]>([
    [5, { 'Content-Length': ['5', '5'] }],
    [
      5,
      [
        ['Content-Length', '5'],
        ['content-length', '5'],
      ],
    ],
    ['chunked', { 'Transfer-Encoding': ['chunked', 'chunked'] }],
  ])('content %j when the framing is given twice: %j', (contentLength, headers) => {
    const options: Options = { method: 'POST', contentLength, headers }

    expect(() => format(options)).toThrow(LocalProtocolError)
  })

  // RFC 9112 §3.2: a server answers 400 to more than one Host line.
  test('two Host lines', () => {
    expect(() =>
      format({
        headers: [
          ['Host', 'a'],
          ['host', 'a'],
        ],
      }),
    ).toThrow(LocalProtocolError)
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e21])(
    'the content length %d',
    (contentLength) => {
      expect(() => format({ method: 'PUT', contentLength })).toThrow(LocalProtocolError)
    },
  )
})

describe('formatRequestHead(), for any checked parts,', () => {
  test('writes one line a field and no other line', () => {
    const name = fc.stringMatching(/^X-[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,8}$/)
    const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,12}$/)
    const target = fc.stringMatching(/^[\x21-\x7e]{1,12}$/)

    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), target, (lines, wanted) => {
        const headers = HeaderFields.from(lines)

        const written = format({ target: wanted, headers }).split('\r\n')

        const fields = [...headers].map(([key, text]) => `${key}: ${text}`)
        expect(written).toEqual([`GET ${wanted} HTTP/1.1`, 'Host: example.test', ...fields, '', ''])
      }),
    )
  })
})

describe('formatChunkSize()', () => {
  test.each([
    [1, '1\r\n'],
    [10, 'a\r\n'],
    [16, '10\r\n'],
    [65_536, '10000\r\n'],
    [Number.MAX_SAFE_INTEGER, '1fffffffffffff\r\n'],
  ])('writes %d in hexadecimal', (length, line) => {
    expect(formatChunkSize(length)).toBe(line)
  })
})

describe('formatLastChunk()', () => {
  test('is a chunk of no bytes, the trailers and an empty line', () => {
    expect(formatLastChunk(HeaderFields.empty)).toBe(`${formatChunkSize(0)}\r\n`)
    expect(formatLastChunk(HeaderFields.from({ A: '1', b: '2' }))).toBe('0\r\nA: 1\r\nb: 2\r\n\r\n')
  })
})

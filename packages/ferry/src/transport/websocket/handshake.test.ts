import { describe, expect, test } from 'vitest'
import { ConfigError, RemoteProtocolError } from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { ResponseHead } from '../../protocol/semantics/response-head.ts'
import {
  acceptOf,
  checkHandshake,
  createHandshake,
  type HandshakeOffer,
  parseWebSocketUrl,
} from './handshake.ts'
import { MessageDeflate } from './message-deflate.ts'
import type { PerMessageDeflateOptions } from './websocket-options.ts'

const URL = parseWebSocketUrl('ws://h/chat')

function offer(protocols: readonly string[] = [], deflateOptions?: PerMessageDeflateOptions) {
  const deflate = deflateOptions && new MessageDeflate(deflateOptions, 1000)
  return createHandshake(URL, { protocols, deflate, deflateOptions })
}

/** A right answer, changed by `fields`; undefined leaves one out. */
function answer(
  { key }: HandshakeOffer,
  fields: Readonly<Record<string, string | undefined>> = {},
): ResponseHead {
  const all = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': acceptOf(key),
    ...fields,
  }
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return { status: 101, statusText: '', version: '1.1', headers: HeaderFields.from(lines) }
}

test.each([
  ['ws://h/a?b#c', 'http://h/a?b'],
  ['wss://h', 'https://h/'],
  ['WSS://h:1/', 'https://h:1/'],
  [new globalThis.URL('ws://h/'), 'http://h/'],
  ['https://h/', 'https://h/'],
])('parseWebSocketUrl() reads %s', (url, href) => {
  expect(parseWebSocketUrl(url).href).toBe(href)
})

test.each(['ftp://h/', 'h', ''])('parseWebSocketUrl() refuses %j', (url) => {
  expect(() => parseWebSocketUrl(url)).toThrow(ConfigError)
})

test('acceptOf() gives what the example of RFC 6455 §1.3 has', () => {
  expect(acceptOf('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
})

describe('createHandshake()', () => {
  test('asks for what RFC 6455 §4.1 asks', () => {
    const { request, key } = offer(['chat', 'v2'], { serverMaxWindowBits: 10 })

    expect(request.method).toBe('GET')
    expect([...request.headers]).toEqual([
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Version', '13'],
      ['Sec-WebSocket-Key', key],
      ['Sec-WebSocket-Protocol', 'chat, v2'],
      [
        'Sec-WebSocket-Extensions',
        'permessage-deflate; server_max_window_bits=10; client_max_window_bits',
      ],
    ])
  })

  test('draws a new key of 16 bytes each time', () => {
    const keys = [offer().key, offer().key]

    expect(keys[0]).not.toBe(keys[1])
    expect(keys.map((key) => Buffer.from(key, 'base64').length)).toEqual([16, 16])
  })

  test('makes Authorization of credentials in the URL, unless there is one', () => {
    const url = parseWebSocketUrl('ws://user:pw@h/')
    const own = createHandshake(url, { protocols: [], deflate: undefined, deflateOptions: {} })
    const given = createHandshake(url, {
      protocols: [],
      deflate: undefined,
      deflateOptions: {},
      headers: { authorization: 'Bearer x' },
    })

    expect(own.request.headers.get('authorization')).toBe('Basic dXNlcjpwdw==')
    expect(given.request.headers.getAll('authorization')).toEqual(['Bearer x'])
  })

  test.each(['Connection', 'upgrade', 'Sec-WebSocket-Key'])('refuses a field %s', (name) => {
    const create = (): unknown =>
      createHandshake(URL, {
        protocols: [],
        deflate: undefined,
        deflateOptions: undefined,
        headers: { [name]: 'x' },
      })

    expect(create).toThrow(ConfigError)
  })
})

describe('checkHandshake()', () => {
  test.each([
    ['as asked', {}],
    ['in other letters', { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }],
  ])('believes an answer %s', (_, fields) => {
    const asked = offer()

    expect(checkHandshake(asked, answer(asked, fields))).toEqual({
      protocol: undefined,
      extensions: '',
      compresses: false,
    })
  })

  test.each([
    ['no Upgrade', { Upgrade: undefined }],
    ['another Upgrade', { Upgrade: 'websocket, h2c' }],
    ['no Connection', { Connection: undefined }],
    ['another Connection', { Connection: 'keep-alive' }],
    ['no accept key', { 'Sec-WebSocket-Accept': undefined }],
    ['the accept key of another', { 'Sec-WebSocket-Accept': acceptOf('x') }],
    ['a subprotocol unasked', { 'Sec-WebSocket-Protocol': 'chat' }],
    ['an extension unasked', { 'Sec-WebSocket-Extensions': 'permessage-deflate' }],
    ['an empty list of extensions', { 'Sec-WebSocket-Extensions': '' }],
  ])('refuses %s', (_, fields) => {
    const asked = offer()

    expect(() => checkHandshake(asked, answer(asked, fields))).toThrow(RemoteProtocolError)
  })

  test('gives the subprotocol that was chosen', () => {
    const asked = offer(['a', 'b'])
    const head = answer(asked, { 'Sec-WebSocket-Protocol': 'b' })

    expect(checkHandshake(asked, head).protocol).toBe('b')
  })

  test.each(['B', 'a, b', 'c', undefined])('refuses %s as one of a and b', (chosen) => {
    const asked = offer(['a', 'b'])
    const head = answer(asked, { 'Sec-WebSocket-Protocol': chosen })

    expect(() => checkHandshake(asked, head)).toThrow(/subprotocol/)
  })

  test.each([
    ['permessage-deflate', {}],
    ['permessage-deflate; client_no_context_takeover; server_no_context_takeover', {}],
    ['permessage-deflate; client_max_window_bits=9', { clientMaxWindowBits: 10 }],
    ['permessage-deflate; server_max_window_bits=9', { serverMaxWindowBits: 10 }],
    ['permessage-deflate; server_max_window_bits="9"', {}],
  ])('takes %s', (extensions, options) => {
    const asked = offer([], options)
    const head = answer(asked, { 'Sec-WebSocket-Extensions': extensions })

    expect(checkHandshake(asked, head)).toMatchObject({
      compresses: true,
      extensions: expect.stringContaining('permessage-deflate'),
    })
  })

  test.each([
    ['permessage-deflate, permessage-deflate', {}],
    ['permessage-deflate, x-webkit-deflate-frame', {}],
    ['bbf-usp-protocol', {}],
    ['permessage-deflate; nonsense', {}],
    ['permessage-deflate; client_max_window_bits', {}],
    ['permessage-deflate; client_max_window_bits=16', {}],
    ['permessage-deflate; client_max_window_bits=7', {}],
    ['permessage-deflate; client_max_window_bits=12', { clientMaxWindowBits: 10 }],
    ['permessage-deflate; server_max_window_bits=12', { serverMaxWindowBits: 10 }],
    ['permessage-deflate', { serverMaxWindowBits: 10 }],
    ['permessage-deflate', { serverNoContextTakeover: true }],
    ['permessage-deflate; server_no_context_takeover=1', {}],
    ['permessage-deflate; server_no_context_takeover; server_no_context_takeover', {}],
    ['permessage-deflate;', {}],
  ])('refuses %s when offered %j', (extensions, options) => {
    const asked = offer([], options)
    const head = answer(asked, { 'Sec-WebSocket-Extensions': extensions })

    expect(() => checkHandshake(asked, head)).toThrow(RemoteProtocolError)
  })

  test('asks for no proof of the switch over HTTP/2 (RFC 8441 §5)', () => {
    const asked = offer(['a'])
    const head: ResponseHead = {
      status: 200,
      statusText: '',
      version: '2',
      headers: HeaderFields.from({ 'sec-websocket-protocol': 'a' }),
    }

    expect(checkHandshake(asked, head).protocol).toBe('a')
  })
})

import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { readStreamToBytes } from '../transport/read-stream.ts'
import { createRequestStream } from '../transport/request-stream.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { buildRequest, joinUrl, mergeHeaders, type RequestDefaults } from './build-request.ts'
import type { CallOptions } from './call-options.ts'
import { MultipartForm } from './content/multipart-form.ts'

const NONE: RequestDefaults = { baseUrl: undefined, headers: HeaderFields.empty, params: undefined }

const defaults = (given: Partial<RequestDefaults>): RequestDefaults => ({ ...NONE, ...given })

const joins: readonly [base: string, url: string, joined: string][] = [
  ['http://h', '/users', 'http://h/users'],
  ['http://h', 'users', 'http://h/users'],
  ['http://h/', '/users', 'http://h/users'],
  ['http://h/v1', 'users', 'http://h/v1/users'],
  ['http://h/v1', '/users', 'http://h/v1/users'],
  ['http://h/v1/', '/users', 'http://h/v1/users'],
  ['http://h/v1/', 'users/7?full', 'http://h/v1/users/7?full'],
  ['http://h/v1', '', 'http://h/v1'],
  ['http://h/v1/', '', 'http://h/v1/'],
  ['http://h/v1', '?x=1', 'http://h/v1?x=1'],
  ['http://h/v1', '../users', 'http://h/users'],
  // A URL with a scheme stands by itself.
  ['http://h/v1', 'https://other/x', 'https://other/x'],
  ['http://h/v1', 'HTTP://OTHER/x', 'http://other/x'],
  // What only looks like another host is a path.
  ['http://h/v1', '//evil/x', 'http://h/v1//evil/x'],
  ['http://h', '//evil/x', 'http://h//evil/x'],
  ['http://h', '@evil/x', 'http://h/@evil/x'],
  ['http://h', '.evil/x', 'http://h/.evil/x'],
  ['http://h', ':80@evil/x', 'http://h/:80@evil/x'],
  ['http://h', String.raw`\\evil\x`, 'http://h///evil/x'],
  ['http://h', ' https://evil/', 'http://h/%20https://evil/'],
  ['http://h', 'ht\ntps://evil/', 'http://h/https://evil/'],
]

test.each(joins)('joinUrl() of %s and %j is %s', (base, url, joined) => {
  expect(HttpUrl.parse(joinUrl(url, base)).href).toBe(joined)
})

test('joinUrl() takes what stands before a colon for a scheme only if it could be one', () => {
  expect(joinUrl('7:30', 'http://h')).toBe('http://h/7:30')
  expect(joinUrl('v1/x:cancel', 'http://h')).toBe('http://h/v1/x:cancel')
})

test('joinUrl() leaves URLs as they are, and text without a base', () => {
  const url = new URL('http://other/x')

  expect(joinUrl(url, 'http://h')).toBe(url)
  expect(joinUrl('http://h/x', undefined)).toBe('http://h/x')
})

test.each(['/users', 'users', '', 'ftp://h/x', 'file:///etc/passwd', 'localhost:8080/x'])(
  'buildRequest() refuses the URL %j without a base',
  (url) => {
    expect(() => buildRequest('GET', url, {}, NONE)).toThrow(
      expect.objectContaining({ code: 'config', option: 'url' }),
    )
  },
)

test('buildRequest() puts params of the client, then of the call, behind the query', () => {
  const options: CallOptions = { params: { b: [2, 3], gone: undefined, c: 'x y' } }
  const client = defaults({ params: { a: 1, b: 1 } })

  const text = buildRequest('GET', 'http://h/x?q=0#part', options, client)
  const url = buildRequest('GET', new URL('http://h/x?q=0'), options, client)

  expect(text.url.href).toBe('http://h/x?q=0&a=1&b=1&b=2&b=3&c=x+y')
  expect(url.url.href).toBe(text.url.href)
})

test('buildRequest() adds no params, those of the client neither, where a call says false', () => {
  const client = defaults({ params: { key: 'k' } })

  const { href } = buildRequest('GET', 'http://h/?at=2', { params: false }, client).url

  expect(href).toBe('http://h/?at=2')
})

test('buildRequest() adds params behind a base with a path', () => {
  const client = defaults({ baseUrl: 'http://h/v1', params: { key: 'k' } })

  expect(buildRequest('GET', '', {}, client).url.href).toBe('http://h/v1?key=k')
  expect(buildRequest('GET', '?x', { params: { y: 1 } }, client).url.href).toBe(
    'http://h/v1?x&key=k&y=1',
  )
})

test('buildRequest() keeps the credentials of a URL while it adds params', () => {
  const client = defaults({ params: { a: 1 } })
  const expected = `Basic ${Buffer.from('käse:a:b@/?').toString('base64')}`
  const text = 'http://k%C3%A4se:a%3Ab%40%2F%3F@h/'

  for (const url of [text, new URL(text), HttpUrl.parse(text)]) {
    const request = buildRequest('GET', url, {}, client)
    expect(request.headers.get('authorization')).toBe(expected)
    expect(request.url.href).toBe('http://h/?a=1')
  }
})

test('buildRequest() prefers any Authorization to the credentials of the URL', () => {
  const given = { headers: { authorization: 'Bearer x' } }
  const url = 'http://ann:b@h/'

  expect(buildRequest('GET', url, given, NONE).headers.get('authorization')).toBe('Bearer x')
  const client = defaults({ headers: HeaderFields.from({ Authorization: 'Bearer y' }) })
  expect(buildRequest('GET', url, {}, client).headers.get('authorization')).toBe('Bearer y')
})

test('mergeHeaders() lets fields of the call win, whatever their case', () => {
  const client = HeaderFields.from({ 'X-A': '1', 'X-B': '2', 'X-C': '3' })

  expect([...mergeHeaders(client, { 'x-a': '9', 'X-D': '4' })]).toEqual([
    ['X-B', '2'],
    ['X-C', '3'],
    ['x-a', '9'],
    ['X-D', '4'],
  ])
})

test('mergeHeaders() takes a field of the client away for undefined', () => {
  const client = HeaderFields.from({ Authorization: 'secret', 'X-B': '2' })

  expect([...mergeHeaders(client, { authorization: undefined })]).toEqual([['X-B', '2']])
  expect([...mergeHeaders(client, { 'x-none': undefined })]).toEqual([...client])
})

test('mergeHeaders() takes every shape of fields, and repeats a name for a list', () => {
  const client = HeaderFields.from({ 'X-A': '1' })
  const expected = [
    ['x-a', '2'],
    ['x-a', '3'],
  ]
  const list: [string, string][] = [
    ['x-a', '2'],
    ['x-a', '3'],
  ]

  expect([...mergeHeaders(client, list)]).toEqual(expected)
  expect([...mergeHeaders(client, { 'x-a': ['2', '3'] } as never)]).toEqual(expected)
  expect([...mergeHeaders(client, new Headers({ 'x-a': '2' }))]).toEqual([['x-a', '2']])
  expect([...mergeHeaders(client, new Map([['x-a', '2']]))]).toEqual([['x-a', '2']])
  expect([...mergeHeaders(client, HeaderFields.from({ 'x-a': '2' }))]).toEqual([['x-a', '2']])
})

test.each(['a\r\nX-Evil: 1', 'a\nb', 'a\0b'])(
  'buildRequest() refuses the field value %j',
  (value) => {
    expect(() => buildRequest('GET', 'http://h/', { headers: { 'X-A': value } }, NONE)).toThrow(
      expect.objectContaining({ code: 'local-protocol' }),
    )
  },
)

type BodyRow = readonly [what: string, options: CallOptions, type: string | undefined, sent: string]

const bodies: readonly BodyRow[] = [
  ['json', { json: { a: [1, 'ü'] } }, 'application/json', '{"a":[1,"ü"]}'],
  ['json null', { json: null }, 'application/json', 'null'],
  ['json false', { json: false }, 'application/json', 'false'],
  ['json 0', { json: 0 }, 'application/json', '0'],
  ['json ""', { json: '' }, 'application/json', '""'],
  [
    'form',
    { form: { a: 'x y', b: [1, 2], c: undefined } },
    'application/x-www-form-urlencoded',
    'a=x+y&b=1&b=2',
  ],
  ['an empty form', { form: {} }, 'application/x-www-form-urlencoded', ''],
  [
    'URLSearchParams',
    { body: new URLSearchParams('a=1&b=%20') },
    'application/x-www-form-urlencoded',
    'a=1&b=+',
  ],
  ['text', { body: 'grüß' }, 'text/plain;charset=UTF-8', 'grüß'],
  ['empty text', { body: '' }, 'text/plain;charset=UTF-8', ''],
  ['bytes', { body: Buffer.from('raw') }, undefined, 'raw'],
  ['a Blob', { body: new Blob(['blob'], { type: 'image/png' }) }, 'image/png', 'blob'],
  ['a Blob without type', { body: new Blob(['blob']) }, undefined, 'blob'],
]

test.each(bodies)('buildRequest() sends %s with its type', async (_, options, type, sent) => {
  const request = buildRequest('POST', 'http://h/', options, NONE)

  expect(request.headers.get('content-type')).toBe(type)
  const content = request.content
  if (content === undefined) throw new Error('no content')
  expect((await readStreamToBytes(content)).toString()).toBe(sent)
  expect(request.replayable).toBe(true)
})

test('buildRequest() gives a form with files a boundary that its content has', async () => {
  const data = new FormData()
  data.set('f', new File(['x'], 'a.txt'))
  for (const body of [data, new MultipartForm().addField('f', 'x'), [{ name: 'f', value: 'x' }]]) {
    const request = buildRequest('POST', 'http://h/', { body }, NONE)

    const [, boundary] = /boundary=(\S+)$/.exec(request.headers.get('content-type') ?? '') ?? []
    const sent = await readStreamToBytes(request.content as never)
    expect(sent.toString()).toContain(`--${boundary}--`)
    expect(request.replayable).toBe(true)
  }
})

test('buildRequest() sends a stream as content that cannot be sent again', () => {
  const pieces = Readable.from([Buffer.from('x')])

  for (const body of [pieces, new Response('x').body as ReadableStream<Uint8Array>]) {
    expect(buildRequest('POST', 'http://h/', { body }, NONE).replayable).toBe(false)
  }
})

test('buildRequest() prefers the type of the call to that of the body, and that to the client', () => {
  const client = defaults({ headers: HeaderFields.from({ 'Content-Type': 'text/html' }) })
  const typeOf = (options: CallOptions): string | undefined =>
    buildRequest('POST', 'http://h/', options, client).headers.get('content-type')

  expect(typeOf({ json: 1 })).toBe('application/json')
  expect(typeOf({ json: 1, headers: { 'content-type': 'application/vnd.x+json' } })).toBe(
    'application/vnd.x+json',
  )
  expect(typeOf({ body: Buffer.from('x') })).toBe('text/html')
})

test.each<CallOptions>([
  { json: 1, form: {} },
  { json: null, body: 'x' },
  { form: {}, body: 'x' },
  { json: 1, form: {}, body: 'x' },
])('buildRequest() refuses more than one content: %j', (options) => {
  expect(() => buildRequest('POST', 'http://h/', options, NONE)).toThrow(
    expect.objectContaining({ code: 'config', option: 'body' }),
  )
})

test('buildRequest() refuses what JSON cannot say, before anything is sent', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle

  for (const json of [circle, 1n, () => 1, Symbol('x')]) {
    expect(() => buildRequest('POST', 'http://h/', { json }, NONE)).toThrow(
      expect.objectContaining({ code: 'local-protocol' }),
    )
  }
})

test.each(['G T', '', 'GET\r\n'])('buildRequest() refuses the method %j', (method) => {
  expect(() => buildRequest(method, 'http://h/', {}, NONE)).toThrow(
    expect.objectContaining({ code: 'local-protocol' }),
  )
})

test('buildRequest() sends trailers after content of unknown length', () => {
  const body = createRequestStream('x', { chunked: true })
  const trailers = () => ({ 'X-Sum': '1' })

  const request = buildRequest('POST', 'http://h/', { body, trailers }, NONE)

  expect(request.trailers).toBe(trailers)
})

test('buildRequest() tells of progress without changing type or length', async () => {
  const told: number[] = []
  const onUploadProgress = ({ bytes }: { bytes: number }): void => void told.push(bytes)

  const request = buildRequest('POST', 'http://h/', { json: [1, 2], onUploadProgress }, NONE)
  await readStreamToBytes(request.content as never)

  expect(request.content?.length).toBe(5)
  expect(request.headers.get('content-type')).toBe('application/json')
  expect(told.at(-1)).toBe(5)
})

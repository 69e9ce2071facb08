/**
 * Our fetch beside Node's own and undici's, asking the same server the same things: what the program
 * gets and what the server is asked must be equal. Where we mean to differ stands in a table of its own,
 * and in docs/fetch.md.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import * as undici from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFetch } from '../../packages/ferry/src/client/fetch/create-fetch.ts'
import { HttpClient } from '../../packages/ferry/src/client/http-client.ts'

/** What a server was asked. */
interface Asked {
  readonly line: string
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

/** Fields that say what a request is for, and not who sends it. */
const SHOWN_FIELDS: ReadonlySet<string> = new Set([
  ...['accept', 'authorization', 'cache-control', 'content-length', 'content-type', 'cookie'],
  ...['content-encoding', 'if-none-match', 'pragma', 'proxy-authorization', 'range'],
  ...['transfer-encoding', 'x-a', 'x-api-key', 'x-b'],
])
/** Fields of a response that differ from one to the next. */
const VOLATILE = new Set(['connection', 'date', 'keep-alive'])

type Answer = (response: ServerResponse, url: URL) => void

const ANSWERS: Readonly<Record<string, Answer>> = {
  '/status': (response, { searchParams }) => {
    response.writeHead(Number(searchParams.get('code')), { 'X-A': '1' })
    response.end(searchParams.get('body') ?? undefined)
  },
  '/to': (response, { searchParams }) => {
    const location = searchParams.get('location') ?? undefined
    response.statusCode = Number(searchParams.get('code') ?? 302)
    if (location !== undefined) response.setHeader('Location', location)
    response.end('look there')
  },
  '/loop': (response) => void response.writeHead(302, { Location: '/loop' }).end(),
  '/down': (response, { searchParams }) => {
    const left = Number(searchParams.get('left'))
    if (left === 0) response.end('there')
    else response.writeHead(302, { Location: `/down?left=${left - 1}` }).end()
  },
  '/gzip': (response) => {
    const content = gzipSync('hello '.repeat(1000))
    response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Length': content.length })
    response.end(content)
  },
  '/broken-gzip': (response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('this is no gzip')
  },
  '/cookies': (response) => {
    response.writeHead(200, [
      ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2; Path=/', 'X-A', '1', 'x-a', '2'],
      ...['Content-Type', 'text/plain; charset=latin1'],
    ])
    response.end(Buffer.from('käse', 'latin1'))
  },
  '/odd-status': (response) => {
    response.socket?.end(
      'HTTP/1.1 700 Odd\r\nX-A: gr\xfc\xdf\r\nContent-Length: 2\r\n\r\nhi',
      'latin1',
    )
  },
  '/no-reason': (response) => {
    response.socket?.end('HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi')
  },
  '/early-hints': (response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.end('after hints')
  },
  '/cut': (response) => {
    response.writeHead(200, { 'Content-Length': 10 })
    response.write('hello', () => response.destroy())
  },
  '/no-answer': (response) => void response.destroy(),
  '/garbage': (response) => void response.socket?.end('this is no HTTP\r\n\r\n'),
  '/plain-coding': (response) => {
    response.writeHead(200, { 'Content-Encoding': 'rot13' }).end('uryyb')
  },
  '/half-gzip': (response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' })
    response.end(gzipSync('hello '.repeat(1000)).subarray(0, -10))
  },
  '/continue': (response) => {
    response.writeContinue()
    response.end('after 100')
  },
  '/fields': (response) => {
    const { accept, host, referer } = response.req.headers
    const names = Object.keys(response.req.headers)
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ accept, host, referer, names }))
  },
  '/json': (response) => void response.setHeader('Content-Type', 'application/json').end('{"a":1}'),
}

/** Answers by path, and writes down what it was asked. */
class Site {
  readonly #server: Server
  asked: Asked[] = []

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    try {
      for await (const piece of request) pieces.push(piece as Buffer)
    } catch {
      return
    }
    this.asked.push(await toAsked(request, Buffer.concat(pieces)))
    const url = new URL(request.url ?? '', 'http://h')
    const answer = ANSWERS[url.pathname]
    if (answer === undefined) response.end(`${request.method} ${request.url}`)
    else answer(response, url)
  }
}

/** Forms are shown as what they hold, since each program has boundaries of its own. */
async function toAsked(request: IncomingMessage, content: Buffer): Promise<Asked> {
  const fields: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (SHOWN_FIELDS.has(name)) fields[name] = String(value)
  }
  const line = `${request.method} ${request.url}`
  const type = fields['content-type'] ?? ''
  if (!type.startsWith('multipart/')) return { line, fields, body: content.toString() }
  const form = await new Response(content, { headers: { 'content-type': type } }).formData()
  const parts: unknown[] = []
  for (const [name, value] of form) {
    if (typeof value === 'string') parts.push([name, value])
    else parts.push([name, value.name, value.type, await value.text()])
  }
  const { 'content-length': length, ...others } = fields
  return {
    line,
    fields: {
      ...others,
      'content-type': 'multipart/form-data',
      hasLength: String(Number(length) > 0),
    },
    body: JSON.stringify(parts),
  }
}

/** One implementation, with the classes that it takes. */
interface Kit {
  readonly fetch: typeof globalThis.fetch
  readonly Request: typeof globalThis.Request
  readonly FormData: typeof globalThis.FormData
  readonly Headers: typeof globalThis.Headers
}

type Input = string | URL | Request
type Call = (kit: Kit) => readonly [input: Input, init?: RequestInit]

let site: Site
let other: Site
let client: HttpClient<'response'>
let ours: Kit
let nodes: Kit
let undicis: Kit

beforeAll(async () => {
  site = new Site()
  other = new Site()
  await site.listen()
  await other.listen()
  client = new HttpClient({ responseFormat: 'response' })
  const { Request, FormData, Headers } = globalThis
  nodes = { fetch: globalThis.fetch, Request, FormData, Headers }
  ours = { ...nodes, fetch: createFetch(client) }
  undicis = undici as unknown as Kit
})

afterAll(async () => {
  await client.close()
  await site.close()
  await other.close()
})

/** What came of a call: for the program, and for the servers. */
async function outcomeOf(kit: Kit, call: Call): Promise<object> {
  site.asked = []
  other.asked = []
  const result = await resultOf(kit, call)
  return { result, asked: site.asked, askedOther: other.asked }
}

async function resultOf(kit: Kit, call: Call): Promise<object> {
  let response: Response
  try {
    response = await kit.fetch(...call(kit))
  } catch (error) {
    return { rejects: nameOf(error) }
  }
  const { status, statusText, ok, type, redirected, url } = response
  const headers = [...response.headers].filter(([name]) => !VOLATILE.has(name))
  const hasBody = response.body !== null
  const text = await response.text().catch(nameOf)
  return { status, statusText, ok, type, redirected, url, headers, hasBody, text }
}

/** Errors by their class, and whether there is a cause; other reasons as they are. */
function nameOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : String(error)
}

const stream = (...pieces: string[]): ReadableStream =>
  ReadableStream.from(pieces.map((piece) => Buffer.from(piece)))
const at = (path: string): string => `${site.base}${path}`
const to = (location: string, code = 302): string =>
  at(`/to?${new URLSearchParams({ code: String(code), location })}`)

const SAME: Readonly<Record<string, Call>> = {
  'a string': () => [at('/a?b=c d#e')],
  'a URL': () => [new URL(at('/a?b=%20'))],
  'a Request': ({ Request }) => [new Request(at('/a'), { headers: { 'x-a': '1' } })],
  'a Request and an init over it': ({ Request }) => [
    new Request(at('/a'), { method: 'POST', body: 'text', headers: { 'x-a': '1' } }),
    { method: 'PUT', headers: { 'x-b': '2' } },
  ],
  'a Request and another body': ({ Request }) => [
    new Request(at('/a'), { method: 'POST', body: 'text' }),
    { body: 'other' },
  ],
  'an empty init': () => [at('/a'), {}],
  HEAD: () => [at('/json'), { method: 'HEAD' }],
  OPTIONS: () => [at('/a'), { method: 'OPTIONS' }],
  'a method in small letters': () => [at('/a'), { method: 'delete' }],
  PATCH: () => [at('/a'), { method: 'PATCH' }],
  'a method that nobody knows': () => [at('/a'), { method: 'Chicken', body: 'text' }],
  'POST without a body': () => [at('/a'), { method: 'POST' }],
  'PUT with an empty body': () => [at('/a'), { method: 'PUT', body: '' }],
  'fields as a record': () => [at('/a'), { headers: { 'X-A': ' 1 ', 'X-B': 'ü' } }],
  'fields as pairs': () => [
    at('/a'),
    {
      headers: [
        ['x-a', '1'],
        ['X-A', '2'],
      ],
    },
  ],
  'fields as Headers': ({ Headers }) => [at('/a'), { headers: new Headers({ Cookie: 'a=1' }) }],
  'an Accept of one’s own': () => [at('/a'), { headers: { Accept: 'text/plain' } }],
  text: () => [at('/a'), { method: 'POST', body: 'grün' }],
  'text with a type': () => [
    at('/a'),
    { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } },
  ],
  bytes: () => [at('/a'), { method: 'POST', body: new Uint8Array([104, 105]) }],
  'an ArrayBuffer': () => [at('/a'), { method: 'POST', body: new Uint8Array([104]).buffer }],
  'a DataView': () => [
    at('/a'),
    { method: 'POST', body: new DataView(new Uint8Array([104, 105, 106]).buffer, 1, 1) },
  ],
  'a Blob': () => [at('/a'), { method: 'POST', body: new Blob(['hi'], { type: 'text/x-a' }) }],
  'a Blob without a type': () => [at('/a'), { method: 'POST', body: new Blob(['hi']) }],
  URLSearchParams: () => [at('/a'), { method: 'POST', body: new URLSearchParams('a=1&b=c d') }],
  FormData: ({ FormData }) => {
    const form = new FormData()
    form.append('a "b"', 'c\nd')
    form.append('file', new Blob(['content'], { type: 'text/x-a' }), 'näme.txt')
    return [at('/a'), { method: 'POST', body: form }]
  },
  'a number': () => [at('/a'), { method: 'POST', body: 5 as never }],
  'a stream': () => [at('/a'), { method: 'POST', body: stream('a', 'b'), duplex: 'half' }],
  'an async iterable': () => [
    at('/a'),
    { method: 'POST', body: stream('a', 'b').values(), duplex: 'half' },
  ],

  'cache: no-store': () => [at('/a'), { cache: 'no-store' }],
  'cache: reload with Pragma': () => [at('/a'), { cache: 'reload', headers: { pragma: 'x' } }],
  'cache: no-cache': () => [at('/a'), { cache: 'no-cache' }],
  'cache: force-cache': () => [at('/a'), { cache: 'force-cache' }],
  'If-None-Match': () => [at('/status?code=304'), { headers: { 'If-None-Match': '"a"' } }],
  Range: () => [at('/a'), { headers: { range: 'bytes=0-1' } }],
  'credentials, keepalive, mode, referrer': () => [
    at('/a'),
    { credentials: 'include', keepalive: true, mode: 'cors', referrer: '' },
  ],

  'status 204': () => [at('/status?code=204')],
  'status 205': () => [at('/status?code=205')],
  'status 304': () => [at('/status?code=304')],
  'status 404': () => [at('/status?code=404&body=no')],
  'status 500': () => [at('/status?code=500&body=no')],
  'status 599': () => [at('/status?code=599&body=no')],
  'status 700': () => [at('/odd-status')],
  'no reason phrase': () => [at('/no-reason')],
  'empty content': () => [at('/status?code=200')],
  'early hints': () => [at('/early-hints')],
  'several fields of one name': () => [at('/cookies')],
  gzip: () => [at('/gzip')],
  'gzip to HEAD': () => [at('/gzip'), { method: 'HEAD' }],
  'broken gzip': () => [at('/broken-gzip')],
  'content that breaks off': () => [at('/cut'), { method: 'POST' }],
  'no answer': () => [at('/no-answer'), { method: 'POST' }],
  'an answer that is not HTTP': () => [at('/garbage'), { method: 'POST' }],

  ...Object.fromEntries(
    [301, 302, 303, 307, 308].flatMap((code) =>
      ['GET', 'HEAD', 'POST', 'PUT'].map((method) => [
        `${code} to ${method}`,
        (): ReturnType<Call> => [
          to('/a#there', code),
          {
            method,
            headers: { 'Content-Language': 'en', Authorization: 'a', 'X-A': '1' },
            ...(method[0] === 'P' && { body: 'text' }),
          },
        ],
      ]),
    ),
  ),
  '300 is no redirection': () => [to('/a', 300)],
  'a redirection without Location': () => [at('/to')],
  'to another origin': () => [
    to(`${other.base}/a`),
    { headers: { Authorization: 'a', Cookie: 'b=1', 'X-A': '1', 'Proxy-Authorization': 'c' } },
  ],
  'POST to another origin': () => [
    to(`${other.base}/a`, 307),
    { method: 'POST', body: 'text', headers: { Authorization: 'a' } },
  ],
  'to ftp:': () => [to('ftp://127.0.0.1/a')],
  'to data:': () => [to('data:text/plain,hi')],
  'to a Location that is no URL': () => [to('http://[')],
  '20 redirections': () => [at('/down?left=20')],
  '21 redirections': () => [at('/loop')],
  'redirect: error': () => [to('/a'), { redirect: 'error' }],
  'redirect: error without Location': () => [at('/to'), { redirect: 'error' }],
  'redirect: error, not redirected': () => [at('/a'), { redirect: 'error' }],
  'redirect: manual': () => [to('/a'), { redirect: 'manual' }],
  'redirect: manual, not redirected': () => [at('/a'), { redirect: 'manual' }],
  '307 of a stream': () => [to('/a', 307), { method: 'POST', body: stream('a'), duplex: 'half' }],
  '303 of a stream': () => [to('/a', 303), { method: 'POST', body: stream('a'), duplex: 'half' }],

  integrity: () => [
    at('/json'),
    { integrity: `sha384-x sha384-${createHash('sha384').update('{"a":1}').digest('base64')}` },
  ],
  'integrity of something else': () => [at('/json'), { integrity: 'sha256-x' }],
  'integrity of nothing': () => [at('/status?code=204'), { integrity: 'sha256-x' }],
  'an unknown integrity': () => [at('/json'), { integrity: 'md5-x' }],
  'data:': () => [`data:text/html;base64,${Buffer.from('hi').toString('base64')}`],

  'no URL': () => ['/a'],
  'no argument': () => [undefined as never],
  'file:': () => ['file:///etc/hostname'],
  'credentials in the URL': () => [at('/a').replace('//', '//a:b@')],
  'GET with a body': () => [at('/a'), { body: 'text' }],
  'HEAD with a body': () => [at('/a'), { method: 'HEAD', body: '' }],
  CONNECT: () => [at('/a'), { method: 'CONNECT' }],
  'trace in small letters': () => [at('/a'), { method: 'trace' }],
  'a method that is no token': () => [at('/a'), { method: 'a b' }],
  'a field name that is no token': () => [at('/a'), { headers: { 'a b': '1' } }],
  'a field value in two lines': () => [at('/a'), { headers: { a: '1\r\nb: 2' } }],
  'a wrong Content-Length': () => [
    at('/a'),
    { method: 'POST', body: 'text', headers: { 'content-length': '5' } },
  ],
  'Transfer-Encoding of one’s own': () => [at('/a'), { headers: { 'transfer-encoding': 'gzip' } }],
  'an unknown redirect mode': () => [at('/a'), { redirect: 'never' as never }],
  'an unknown cache mode': () => [at('/a'), { cache: 'never' as never }],
  'a stream without duplex': () => [at('/a'), { method: 'POST', body: stream('a') }],
  'aborted before': () => [at('/a'), { signal: AbortSignal.abort('why') }],
  'aborted before, without a reason': () => [at('/a'), { signal: AbortSignal.abort() }],
  'a signal of null': () => [at('/a'), { signal: null }],
}

test.each(Object.entries(SAME))('%s: the same as Node and undici', async (_, call) => {
  const outcome = await outcomeOf(ours, call)

  expect(outcome).toEqual(await outcomeOf(nodes, call))
  expect(outcome).toEqual(await outcomeOf(undicis, call))
})

/** What a call gives with us, and with the other two. */
interface Difference {
  readonly call: Call
  readonly ours: object
  readonly theirs: object
}

// Each has its reason in docs/fetch.md.
const DIFFERENT: Readonly<Record<string, Difference>> = {
  'a plain object as body': {
    call: () => [at('/a'), { method: 'POST', body: { a: 1 } as never }],
    ours: { result: { rejects: 'TypeError' }, asked: [] },
    theirs: { asked: [{ body: '[object Object]' }] },
  },
  'a stream of texts': {
    call: () => [
      at('/a'),
      { method: 'POST', body: ReadableStream.from(['text']) as never, duplex: 'half' },
    ],
    ours: { result: { rejects: 'TypeError' } },
    theirs: { asked: [{ body: 'text' }] },
  },
  'a stream, redirected as GET': {
    call: () => [to('/a', 302), { method: 'POST', body: stream('a'), duplex: 'half' }],
    ours: { result: { status: 200, text: 'GET /a' } },
    theirs: { result: { rejects: 'TypeError' } },
  },
  'a field that is named like a secret, to another origin': {
    call: () => [to(`${other.base}/a`), { headers: { 'X-Api-Key': 'secret' } }],
    ours: { askedOther: [{ fields: expect.not.objectContaining({ 'x-api-key': 'secret' }) }] },
    theirs: { askedOther: [{ fields: { 'x-api-key': 'secret' } }] },
  },
  'Host of one’s own': {
    call: () => [at('/fields'), { headers: { Host: 'a.example' } }],
    ours: { result: { text: expect.stringContaining('"host":"a.example"') } },
    theirs: { result: { text: expect.stringContaining('"host":"127.0.0.1') } },
  },
  referrer: {
    call: () => [at('/fields'), { referrer: 'https://a.example/b' }],
    ours: { result: { text: expect.not.stringContaining('a.example') } },
    theirs: { result: { text: expect.stringContaining('"referer":"https://a.example/"') } },
  },
  'fields of browsers': {
    call: () => [at('/fields')],
    ours: { result: { text: expect.not.stringMatching(/sec-fetch-mode|accept-language/) } },
    theirs: { result: { text: expect.stringMatching(/accept-language","sec-fetch-mode/) } },
  },
  'to another origin and back': {
    call: () => [to(`${other.base}/to?location=${encodeURIComponent(at('/a'))}`)],
    ours: { result: { type: 'basic', text: 'GET /a' } },
    theirs: { result: { type: 'cors', text: 'GET /a' } },
  },
  'mode: no-cors to another origin': {
    call: () => [to(`${other.base}/a`), { mode: 'no-cors' }],
    ours: { result: { status: 200, text: 'GET /a' } },
    theirs: { result: { status: 0, text: '' } },
  },
  'status 407': {
    call: () => [at('/status?code=407&body=who')],
    ours: { result: { status: 407, text: 'who' } },
    theirs: { result: { rejects: 'TypeError' } },
  },
  'status 421': {
    call: () => [at('/status?code=421')],
    ours: { result: { status: 421 }, asked: [{ line: 'GET /status?code=421' }] },
    theirs: { result: { status: 421 }, asked: [{}, {}] },
  },
  '100 that nobody asked for': {
    call: () => [at('/continue')],
    ours: { result: { status: 200, text: 'after 100' } },
    theirs: { result: { rejects: 'TypeError' } },
  },
  'a coding that nobody knows': {
    call: () => [at('/plain-coding')],
    ours: { result: { status: 200, text: 'TypeError' } },
    theirs: { result: { status: 200, text: 'uryyb' } },
  },
  'gzip that is cut short': {
    call: () => [at('/half-gzip')],
    ours: { result: { status: 200, text: 'TypeError' } },
    theirs: { result: { status: 200, text: expect.stringMatching(/^hello /) } },
  },
}

test.each(Object.entries(DIFFERENT))('%s: not as Node and undici', async (_, difference) => {
  const { call } = difference

  expect(await outcomeOf(ours, call)).toMatchObject(difference.ours)
  expect(await outcomeOf(nodes, call)).toMatchObject(difference.theirs)
  expect(await outcomeOf(undicis, call)).toMatchObject(difference.theirs)
})

test('a failure says why, where the others say "fetch failed"', async () => {
  const url = at('/no-answer')
  const messageOf = async ({ fetch }: Kit): Promise<string> =>
    fetch(url, { method: 'POST' }).then(
      () => '',
      (error: Error) => error.message,
    )

  expect(await messageOf(ours)).toMatch(`POST ${url}`)
  expect([await messageOf(nodes), await messageOf(undicis)]).toEqual([
    'fetch failed',
    'fetch failed',
  ])
})

test('the platform’s classes take our responses as their own', async () => {
  const response = await ours.fetch(at('/json'))

  expect(response).toBeInstanceOf(Response)
  expect(new Response(response.body, response).status).toBe(200)
  const { body } = await ours.fetch(at('/gzip'))
  let text = ''
  for await (const piece of body?.pipeThrough(new TextDecoderStream()) ?? []) text += piece
  expect(text).toBe('hello '.repeat(1000))
  const form = await ours.fetch('data:application/x-www-form-urlencoded,a=1')
  expect((await form.formData()).get('a')).toBe('1')
})

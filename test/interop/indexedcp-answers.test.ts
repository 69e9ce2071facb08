/** IndexedCP: what clients of each generation rely on in the answers, byte by byte. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import {
  createSimpleServer,
  KeyRing,
  UploadServer,
  type UploadFolderServerOptions,
} from 'ferry/receive'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { exchangeRaw, openRaw } from '../support/raw-exchange.ts'
import { TempDir } from '../support/temp-dir.ts'

const KEY = 'c'.repeat(64)
const AUTHORIZATION = `Authorization: Bearer ${KEY}`
const TAKEN =
  '{"message":"Chunk received","actualFilename":"a.txt","chunkIndex":0,"clientFilename":"a.txt"}'

let dir: TempDir
beforeEach(async () => {
  dir = await TempDir.create()
})
afterEach(() => dir[Symbol.asyncDispose]())

async function open(
  options: UploadFolderServerOptions = {},
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = await UploadServer.open(dir.path, { keys: KeyRing.of(KEY), ...options })
  const url = await server.listen()
  return { url, [Symbol.asyncDispose]: () => server.close() }
}

interface Answer {
  readonly head: string
  readonly body: string
}

/** Sends one request whose connection the server is to close afterwards. */
async function ask(
  url: string,
  line: string,
  fields: readonly string[] = [],
  body = '',
): Promise<Answer> {
  const head = [line, 'Host: h', 'Connection: close', ...fields].join('\r\n')
  const text = await exchangeRaw(url, { parts: [`${head}\r\n\r\n${body}`] })
  const at = text.lastIndexOf('\r\n\r\n')
  return { head: text.slice(0, at), body: text.slice(at + 4) }
}

function chunk(...fields: string[]): string[] {
  return [AUTHORIZATION, 'X-Chunk-Index: 0', 'X-File-Name: a.txt', ...fields]
}

test('a client of HTTP/1.0 gets the whole answer, and the end of the connection', async () => {
  await using server = await open()

  const fields = chunk('Content-Length: 3')
  const answer = await ask(server.url, 'POST /upload HTTP/1.0', fields, 'abc')

  expect(answer.head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(answer.head).toContain(`Content-Length: ${TAKEN.length}`)
  expect(answer.body).toBe(TAKEN)
})

test('a client that waits to be told to go on is told so when it may, and not before', async () => {
  await using server = await open()
  const fields = ['Content-Length: 3', 'Expect: 100-continue', 'Connection: close']
  const head = ['POST /upload HTTP/1.1', 'Host: h', ...chunk(...fields)].join('\r\n')
  const socket = openRaw(server.url)
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
  const ended = new Promise((resolve) => socket.on('end', resolve))
  socket.write(`${head}\r\n\r\n`)
  await expect.poll(() => text).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  socket.write('abc')
  await ended
  socket.destroy()

  const wrong = ['POST /upload HTTP/1.1', 'Host: h', 'Expect: 100-continue', 'Content-Length: 9']
  const refused = openRaw(server.url)
  const first = new Promise<string>((resolve) =>
    refused.once('data', (bytes: Buffer) => resolve(bytes.toString())),
  )
  refused.write(`${wrong.join('\r\n')}\r\n\r\n`)

  expect(text).toContain('HTTP/1.1 200 OK')
  expect(text.endsWith(TAKEN)).toBe(true)
  expect(await first).toMatch(/^HTTP\/1\.1 401 /)
  refused.destroy()
})

test('a chunk with Transfer-Encoding counts whole', async () => {
  await using server = await open()
  const fields = chunk('Transfer-Encoding: chunked')

  const answer = await ask(
    server.url,
    'POST /upload HTTP/1.1',
    fields,
    '3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n',
  )

  expect(answer.body).toBe(TAKEN)
  expect(await dir.read('a.txt')).toEqual(Buffer.from('abcdefg'))
})

test.each([
  ['UTF-8', 'X-File-Name: dir/\xc3\xa9.txt', 'é.txt'],
  ['Latin-1', 'X-File-Name: dir/\xe9.txt', 'é.txt'],
  ['percent coding, in a field of its own', 'X-File-Name-Encoded: dir%2F%E2%82%AC.txt', '€.txt'],
])('a name in %s is understood', async (_, field, name) => {
  await using server = await open()

  const fields = [AUTHORIZATION, field, 'Content-Length: 3']
  const answer = await ask(server.url, 'POST /upload HTTP/1.1', fields, 'abc')

  const text = Buffer.from(answer.body, 'latin1').toString()
  expect(JSON.parse(text)).toMatchObject({ actualFilename: name, clientFilename: `dir/${name}` })
  expect(await dir.read(name)).toEqual(Buffer.from('abc'))
})

test.each([
  ['GET /upload', '', 401],
  ['GET /upload', AUTHORIZATION, 404],
  ['PUT /upload', AUTHORIZATION, 404],
  ['POST /other', AUTHORIZATION, 404],
  ['POST /', AUTHORIZATION, 404],
])('%s with "%s" is answered with %d', async (request, field, status) => {
  await using server = await open()

  const answer = await ask(server.url, `${request} HTTP/1.1`, [field || 'X: y'])

  expect(answer.head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer.body).toBe(status === 404 ? 'Not Found' : '{"error":"Invalid or missing API key"}')
})

test('pages of every origin may be let in, as by the servers that there are', async () => {
  await using server = await open({ cors: { origins: '*' } })
  const preflight = ['Origin: https://page.example', 'Access-Control-Request-Method: POST']

  const answers = [
    await ask(server.url, 'OPTIONS /anything HTTP/1.1', preflight),
    await ask(server.url, 'POST /upload HTTP/1.1', chunk('Content-Length: 3'), 'abc'),
    await ask(server.url, 'POST /upload HTTP/1.1', ['Content-Length: 3'], 'abc'),
  ]

  const [options] = answers
  expect(options?.head).toMatch(/^HTTP\/1\.1 200 /)
  expect(options?.head).toMatch(/Access-Control-Allow-Methods: .*GET, .*POST, .*OPTIONS/)
  expect(options?.head).toMatch(
    /Access-Control-Allow-Headers: .*Content-Type.*Authorization.*X-Chunk-Index.*X-File-Name/,
  )
  expect(options?.head).toContain('Access-Control-Max-Age: 3600')
  for (const { head } of answers) expect(head).toContain('Access-Control-Allow-Origin: *')
})

test.each([
  ['sanitize', 'dir/a.txt', 'Filename must not contain path separators or traversal sequences'],
  ['allow-paths', '../a.txt', 'Filename must not contain traversal sequences or absolute paths'],
  ['allow-paths', '/etc/a.txt', 'Filename must not contain traversal sequences or absolute paths'],
] as const)(
  'with the path mode %s, %s is refused in the known words',
  async (mode, name, message) => {
    await using server = await open({ indexedcp: { pathMode: mode } })

    const fields = [AUTHORIZATION, `X-File-Name: ${name}`, 'Content-Length: 3']
    const answer = await ask(server.url, 'POST /upload HTTP/1.1', fields, 'abc')

    expect(answer.head).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.body).toBe(JSON.stringify({ error: 'Invalid filename', message }))
  },
)

test('the simple server answers in text', async () => {
  await using server = await createSimpleServer(join(dir.path, 'out.bin'), 0)

  const answer = await ask(
    server.url as string,
    'POST /upload HTTP/1.1',
    ['Content-Length: 3'],
    'abc',
  )

  expect(answer.head).toMatch(/^HTTP\/1\.1 200 /)
  expect(answer.body).toBe('Chunk received\n')
})

test('the status of an upload with an identity tells the digest that was compared', async () => {
  const digest = `sha-256=:${createHash('sha256').update('abcdef').digest('base64')}:`
  const status = async (): Promise<unknown> => {
    const line = 'GET /upload/status?uploadId=u1 HTTP/1.1'
    const { body } = await ask(url, line, [AUTHORIZATION])
    return JSON.parse(body) as unknown
  }
  let url: string
  {
    await using server = await open()
    url = server.url
    const extension = ['X-Upload-Id: u1', 'X-Total-Size: 6', 'X-Chunk-Size: 3', 'Content-Length: 3']
    await ask(url, 'POST /upload HTTP/1.1', chunk(...extension), 'abc')
    expect(await status()).not.toHaveProperty('digest')
    const last = [AUTHORIZATION, 'X-Chunk-Index: 1', 'X-File-Name: a.txt', ...extension]
    const answer = await ask(
      url,
      'POST /upload HTTP/1.1',
      [...last, `Repr-Digest: ${digest}`],
      'def',
    )
    expect(JSON.parse(answer.body)).toMatchObject({ complete: true, digest })
    expect(await status()).toMatchObject({ filename: 'a.txt', offset: 6, size: 6, digest })
  }

  await using server = await open()
  url = server.url

  expect(await status()).toMatchObject({ complete: true, digest })
})

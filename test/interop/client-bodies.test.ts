/**
 * Bodies of the client against programs that others wrote: what servers encode is decoded as curl
 * decodes it, and forms are read by parsers of node:http, nginx and Python.
 */
import { execFile, execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { decodeBody } from '../../packages/ferry/src/client/body/decode-body.ts'
import { ACCEPT_ENCODING } from '../../packages/ferry/src/client/body/content-codings.ts'
import { readEvents } from '../../packages/ferry/src/client/body/read-events.ts'
import { readLines } from '../../packages/ferry/src/client/body/read-lines.ts'
import { multipartContent } from '../../packages/ferry/src/client/content/multipart-content.ts'
import {
  filePart,
  type FormPart,
  MultipartForm,
} from '../../packages/ferry/src/client/content/multipart-form.ts'
import { withUploadProgress } from '../../packages/ferry/src/client/content/upload-progress.ts'
import { ConnectionPool } from '../../packages/ferry/src/transport/connection-pool.ts'
import { HttpRequest } from '../../packages/ferry/src/transport/http-request.ts'
import { readStreamToBytes } from '../../packages/ferry/src/transport/read-stream.ts'
import type { ResponseBody } from '../../packages/ferry/src/transport/response-body.ts'
import { Nginx } from '../support/nginx.ts'
import { ServerProcess } from '../support/server-process.ts'
import { TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'

const MIB = 1_048_576
const TEXT = 'Grüße an alle, die dies lesen.\n'.repeat(20_000)

type Listener = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** A server of node:http. */
class TestServer implements AsyncDisposable {
  readonly #server: Server

  private constructor(listener: Listener) {
    this.#server = createServer((request, response) => void listener(request, response))
  }

  static async start(listener: Listener): Promise<TestServer> {
    const server = new TestServer(listener)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<unknown>((resolve) => this.#server.close(resolve))
  }
}

const ENCODERS: Readonly<Record<string, () => zlib.Gzip | zlib.BrotliCompress>> = {
  gzip: () => zlib.createGzip(),
  deflate: () => zlib.createDeflate(),
  raw: () => zlib.createDeflateRaw(),
  br: () => zlib.createBrotliCompress(),
  zstd: () => zlib.createZstdCompress() as zlib.Gzip,
}

/** Encodes as the path says, `/gzip,br`: as it is made, or whole with its length. */
const encode: Listener = async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://h')
  const kinds = pathname.slice(1).split(',')
  const names = kinds.map((kind) => (kind === 'raw' ? 'deflate' : kind))
  response.setHeader('Content-Encoding', names.join(', '))
  let stream: Readable = Readable.from([searchParams.has('short') ? 'short' : TEXT])
  for (const kind of kinds) stream = stream.pipe((ENCODERS[kind] as () => zlib.Gzip)())
  if (searchParams.has('length')) response.end(Buffer.concat(await stream.toArray()))
  else stream.pipe(response)
}

async function get(pool: ConnectionPool, url: string, method = 'GET'): Promise<ResponseBody> {
  const headers = { 'Accept-Encoding': ACCEPT_ENCODING }
  const response = await pool.request(new HttpRequest(method, url, { headers }))
  return decodeBody(response.body, response.headers, { what: `${method} ${url}` })
}

async function curl(url: string): Promise<Buffer> {
  const args = ['--silent', '--show-error', '--compressed', url]
  const options = { encoding: 'buffer', maxBuffer: 64 * MIB } as const
  return (await promisify(execFile)(requireTool('curl'), args, options)).stdout
}

test.each(['gzip', 'deflate', 'raw', 'br', 'zstd', 'deflate,gzip', 'br,zstd,gzip'])(
  'content that node:http sends as %s is what curl makes of it',
  async (kinds) => {
    await using server = await TestServer.start(encode)
    await using pool = new ConnectionPool()
    for (const query of ['', '?length', '?short', '?short&length']) {
      const url = server.url(`/${kinds}${query}`)
      const expected = await curl(url)

      expect((await (await get(pool, url)).bytes()).equals(expected), query).toBe(true)
      const iterated: Uint8Array[] = []
      for await (const piece of await get(pool, url)) iterated.push(Uint8Array.from(piece))
      expect(Buffer.concat(iterated).equals(expected), query).toBe(true)
      expect(expected.toString()).toBe(query.includes('short') ? 'short' : TEXT)
    }
    expect(pool.toString()).toContain('active 0 idle 1')
  },
)

test('HEAD brings no content, whatever coding it names', async () => {
  await using server = await TestServer.start(encode)
  await using pool = new ConnectionPool()

  expect((await (await get(pool, server.url('/gzip?length'), 'HEAD')).bytes()).length).toBe(0)
})

test('content that nginx compresses is what curl makes of it', async () => {
  await using nginx = await Nginx.start({ gzip: true })
  await using pool = new ConnectionPool()
  const random = randomBytes(300_000)
  await nginx.put('text.txt', Buffer.from(TEXT))
  await nginx.put('random.bin', random)
  await nginx.put('short.json', Buffer.from('{"a":1}'))

  for (const name of ['text.txt', 'random.bin', 'short.json']) {
    const expected = await curl(nginx.url(name))
    const body = await get(pool, nginx.url(name))
    expect((await body.bytes()).equals(expected), name).toBe(true)
  }
  const [curled, ours] = await nginx.requests()
  expect([curled?.encoding, ours?.encoding]).toEqual(['gzip', 'gzip'])
})

test('lines and events come out of coded responses as they are sent', async () => {
  await using server = await TestServer.start(async ({ url }, response) => {
    const encoder = zlib.createGzip()
    response.setHeader('Content-Encoding', 'gzip')
    encoder.pipe(response)
    for (let count = 1; count <= 3; count++) {
      encoder.write(url === '/lines' ? `{"n":${count}}\n` : `id: ${count}\ndata: n${count}\n\n`)
      await new Promise<void>((resolve) => encoder.flush(() => resolve()))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    // It never ends, so only what is given at once is given at all.
  })
  await using pool = new ConnectionPool()

  const lines: string[] = []
  for await (const line of readLines(await get(pool, server.url('/lines')))) {
    if (lines.push(line) === 3) break
  }
  const events: string[] = []
  for await (const { lastEventId, data } of readEvents(await get(pool, server.url('/events')))) {
    if (events.push(`${lastEventId} ${data}`) === 3) break
  }

  expect(lines).toEqual(['{"n":1}', '{"n":2}', '{"n":3}'])
  expect(events).toEqual(['1 n1', '2 n2', '3 n3'])
})

test('a bomb ends the response and its connection', async () => {
  const member = zlib.gzipSync(Buffer.alloc(MIB), { level: 9 })
  let sentBytes = 0
  await using server = await TestServer.start((_request, response) => {
    response.setHeader('Content-Encoding', 'gzip')
    function* bomb(): Generator<Buffer> {
      for (let count = 0; count < 10_000; count++) {
        sentBytes += member.length
        yield member
      }
    }
    Readable.from(bomb()).pipe(response)
  })
  await using pool = new ConnectionPool()
  const startedAt = performance.now()

  const body = await get(pool, server.url('/'))
  await expect(body.pipe({ write: () => true })).rejects.toMatchObject({ code: 'remote-protocol' })

  expect(performance.now() - startedAt).toBeLessThan(6000)
  expect(sentBytes).toBeLessThan(5 * MIB)
  expect(pool.toString()).toContain('active 0 idle 0')
})

test('a body that is given up while it is decoded gives its connection up', async () => {
  await using server = await TestServer.start((_request, response) => {
    response.setHeader('Content-Encoding', 'gzip')
    response.write(zlib.gzipSync(TEXT).subarray(0, -10))
  })
  await using pool = new ConnectionPool()

  for await (const piece of await get(pool, server.url('/'))) {
    expect(piece.length).toBeGreaterThan(0)
    break
  }

  expect(pool.toString()).toContain('active 0 idle 0')
})

/** What a server found in a form. */
interface FoundPart {
  readonly name: string
  readonly filename: string | null
  readonly type: string | null
  readonly sha256: string
}

/** Fields that tell how a form came. */
interface FoundForm {
  readonly length: string | undefined
  readonly transferCoding: string | undefined
  readonly parts: readonly FoundPart[]
}

function digest(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Reads a form with Node's own parser and tells as JSON what is in it. */
const readForm: Listener = async (request, response) => {
  const { headers } = request
  const bytes = new Uint8Array(Buffer.concat(await request.toArray()))
  const received = new Response(bytes, {
    headers: { 'content-type': headers['content-type'] ?? '' },
  })
  const parts: FoundPart[] = []
  for (const [name, value] of await received.formData()) {
    if (typeof value === 'string') {
      parts.push({ name, filename: null, type: null, sha256: digest(value) })
    } else {
      const sha256 = digest(new Uint8Array(await value.arrayBuffer()))
      parts.push({ name, filename: value.name, type: value.type, sha256 })
    }
  }
  const found: FoundForm = {
    length: headers['content-length'],
    transferCoding: headers['transfer-encoding'],
    parts,
  }
  response.end(JSON.stringify(found))
}

async function post(
  pool: ConnectionPool,
  url: string,
  form: FormData | Iterable<FormPart>,
): Promise<FoundForm> {
  const { content, contentType } = multipartContent(form)
  const headers = { 'Content-Type': contentType }
  const response = await pool.request(new HttpRequest('POST', url, { headers, content }))
  return JSON.parse((await response.body.bytes()).toString()) as FoundForm
}

/** Text, bytes that look like a boundary, a file, a Blob of a file. */
async function createForm(folder: TempDir): Promise<{ form: FormPart[]; parts: FoundPart[] }> {
  const file = randomBytes(3_000_000)
  const tricky = Buffer.from('\r\n--ferry-form-\r\n--\r\n\0\xff', 'latin1')
  const path = await folder.write('Foto "ä".bin', file)
  const form = new MultipartForm()
    .addField('title', 'Grüße\r\n, "Welt"')
    .addField('na"me\r\n', 'x')
    .addField('bytes', tricky, { filename: 'tricky.bin', contentType: 'a/b' })
    .addField('blob', await openAsBlob(path, { type: 'image/png' }), { filename: 'b.png' })
  const text = { filename: null, type: null }
  const parts = [
    { name: 'title', ...text, sha256: digest('Grüße\r\n, "Welt"') },
    { name: 'na"me\r\n', ...text, sha256: digest('x') },
    { name: 'bytes', filename: 'tricky.bin', type: 'a/b', sha256: digest(tricky) },
    { name: 'blob', filename: 'b.png', type: 'image/png', sha256: digest(file) },
    {
      name: 'file',
      filename: 'Foto "ä".bin',
      type: 'application/octet-stream',
      sha256: digest(file),
    },
  ]
  return { form: [...form, await filePart('file', path)], parts }
}

test('a form comes to node:http as it was, with its length', async () => {
  await using folder = await TempDir.create()
  await using server = await TestServer.start(readForm)
  await using pool = new ConnectionPool()
  const { form, parts } = await createForm(folder)

  const found = await post(pool, server.url('/'), form)

  expect(found.parts).toEqual(parts)
  expect(Number(found.length)).toBeGreaterThan(6_000_000)
  expect(found.transferCoding).toBeUndefined()
})

test('a form with a stream comes chunked', async () => {
  await using server = await TestServer.start(readForm)
  await using pool = new ConnectionPool()
  const large = randomBytes(500_000)
  const value = Readable.from([large.subarray(0, 200_000), large.subarray(200_000)])

  const found = await post(pool, server.url('/'), [{ name: 'f', value, filename: 'f' }])

  expect(found.length).toBeUndefined()
  expect(found.transferCoding).toBe('chunked')
  expect(found.parts.map(({ sha256 }) => sha256)).toEqual([digest(large)])
})

test('a form passes nginx, which takes it whole before it passes it on', async () => {
  await using folder = await TempDir.create()
  await using server = await TestServer.start(readForm)
  await using nginx = await startForwarder(server.port)
  await using pool = new ConnectionPool()
  const { form, parts } = await createForm(folder)
  const url = `http://127.0.0.1:${nginx.ports[0]}/`
  const stream = Readable.from([Buffer.from('streamed')])

  expect((await post(pool, url, form)).parts).toEqual(parts)
  const chunked = await post(pool, url, [...form, { name: 's', value: stream }])
  expect(chunked.parts.slice(0, -1)).toEqual(parts)
  expect(Number(chunked.length)).toBeGreaterThan(6_000_000)
})

test('a form is read by the parser of Python', async () => {
  await using folder = await TempDir.create()
  const { form, parts } = await createForm(folder)
  const { content, contentType } = multipartContent(form)
  const input = await readStreamToBytes(content)

  const output = execFileSync(requireTool('python3'), ['-c', PYTHON_PARSER, contentType], { input })

  const escaped = (text: string | null): string | null =>
    text?.replaceAll('"', '%22').replaceAll('\r\n', '%0D%0A') ?? null
  expect(JSON.parse(output.toString())).toEqual(
    parts.map(({ name, filename, type, sha256 }) => ({
      name: escaped(name),
      filename: escaped(filename),
      // What MIME takes it for without a field.
      type: type ?? 'text/plain',
      sha256,
    })),
  )
})

test('a form is sent again whole, and its progress begins again', async () => {
  await using folder = await TempDir.create()
  await using server = await TestServer.start(readForm)
  await using pool = new ConnectionPool()
  const { form, parts } = await createForm(folder)
  const { content, contentType } = multipartContent(form)
  const told: number[] = []
  const watched = withUploadProgress(content, ({ bytes }) => told.push(bytes))
  const headers = { 'Content-Type': contentType }
  const request = new HttpRequest('POST', server.url('/'), { headers, content: watched })

  for (let attempt = 0; attempt < 2; attempt++) {
    const response = await pool.request(request)
    const found = JSON.parse((await response.body.bytes()).toString()) as FoundForm
    expect(found.parts).toEqual(parts)
    expect(Number(found.length)).toBe(watched.length)
    expect(told.splice(0).at(-1)).toBe(watched.length)
  }
})

function startForwarder(port: number): Promise<ServerProcess> {
  return ServerProcess.start({
    name: 'nginx',
    path: requireTool('nginx'),
    portCount: 1,
    configure: async (folder, [own]) => {
      const config = `
daemon off; master_process off; pid ${folder.path}/nginx.pid; error_log stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder.path}/body; proxy_temp_path ${folder.path}/proxy;
  fastcgi_temp_path ${folder.path}/fastcgi; uwsgi_temp_path ${folder.path}/uwsgi;
  scgi_temp_path ${folder.path}/scgi;
  server {
    listen 127.0.0.1:${own}; client_max_body_size 0;
    location / { proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.1; }
  }
}
`
      const path = await folder.write('nginx.conf', config)
      return ['-p', folder.path, '-c', path, '-e', 'stderr']
    },
  })
}

const PYTHON_PARSER = `
import hashlib, json, sys
from email.parser import BytesParser
head = 'Content-Type: ' + sys.argv[1] + '\\r\\nMIME-Version: 1.0\\r\\n\\r\\n'
message = BytesParser().parsebytes(head.encode() + sys.stdin.buffer.read())
assert message.is_multipart() and not message.defects, message.defects
def text(value):
    return value and value.encode('ascii', 'surrogateescape').decode()
found = []
for part in message.get_payload():
    raw = part._headers[0][1]
    field = dict(item.strip().split('=', 1) for item in raw.split(';')[1:])
    found.append({
        'name': text(field['name'].strip('"')),
        'filename': text(field.get('filename', '').strip('"')) or None,
        'type': part.get_content_type(),
        'sha256': hashlib.sha256(part.get_payload(decode=True)).hexdigest(),
    })
print(json.dumps(found))
`

/** Uploads over HTTP/2, by a server of node:http2 that hands its requests to ours. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { UploadServer } from 'ferry/receive'
import { expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { curl } from '../support/upload-curl.ts'

const CERTIFICATE = createCertificate('DNS:localhost,IP:127.0.0.1')
const CONTENT = randomBytes(2_000_000)
const HALF = 1_000_000
const VERSION = { 'upload-draft-interop-version': '9' }
const DISPOSITION = { 'content-disposition': 'inline; filename="file.bin"' }
const PIECE = { ':method': 'PATCH', 'content-type': 'application/partial-upload' }
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants

/** What a client got. */
interface Answer {
  readonly fields: IncomingHttpHeaders
  readonly interims: readonly IncomingHttpHeaders[]
  readonly body: string
}

/** A folder, the server for it, and a client that is connected. */
class Site implements AsyncDisposable {
  readonly dir: TempDir
  readonly uploads: UploadServer
  readonly client: ClientHttp2Session
  readonly url: string
  readonly #server: Http2SecureServer

  private constructor(dir: TempDir, uploads: UploadServer, server: Http2SecureServer) {
    this.dir = dir
    this.uploads = uploads
    this.#server = server
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    this.client = connect(this.url, { ca: CERTIFICATE.cert })
  }

  static async open(): Promise<Site> {
    const dir = await TempDir.create()
    const uploads = await UploadServer.open(dir.path, {
      uploads: { checkpointMs: 20 },
      ietf: { location: 'absolute' },
    })
    const server = createSecureServer(CERTIFICATE, (request, response) => {
      void uploads.handler(request, response)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Site(dir, uploads, server)
  }

  /** Begins a request with content of a length that it does not tell; whoever does ends it. */
  begin(fields: OutgoingHttpHeaders): ClientHttp2Stream {
    return this.client.request({ ':path': '/files', ...fields }, { endStream: false })
  }

  async send(fields: OutgoingHttpHeaders, content?: string | Buffer): Promise<Answer> {
    const options = { endStream: content === undefined }
    const stream = this.client.request({ ':path': '/files', ...fields }, options)
    const answer = answerOf(stream)
    if (content !== undefined) stream.end(content)
    return await answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.destroy()
    await this.uploads.close()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.dir[Symbol.asyncDispose]()
  }
}

/** Resolves with the whole answer. */
async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const interims: IncomingHttpHeaders[] = []
  let body = ''
  stream.on('headers', (fields) => interims.push(fields))
  stream.setEncoding('utf8').on('data', (part: string) => (body += part))
  const ended = once(stream, 'end')
  const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  await ended
  return { fields, interims, body }
}

/** The path of an upload, from the answer to its creation. */
function pathOf({ fields }: Answer): string {
  return new URL(String(fields.location)).pathname
}

test('A client of the draft gets 104 over HTTP/2, with the URL and with how far it is', async () => {
  await using site = await Site.open()
  const stream = site.begin({
    ':method': 'POST',
    'upload-complete': '?1',
    ...VERSION,
    ...DISPOSITION,
  })
  const answer = answerOf(stream)
  const told = new Promise<void>((resolve) => {
    stream.on('headers', (fields) => {
      if (fields['upload-offset'] === String(HALF)) resolve()
    })
  })

  stream.write(CONTENT.subarray(0, HALF))
  await told
  stream.end(CONTENT.subarray(HALF))
  const { fields, interims } = await answer

  expect(interims[0]).toMatchObject({ ':status': 104, ...VERSION, location: fields.location })
  expect(interims[1]?.location).toBeUndefined()
  expect(fields).toMatchObject({ ':status': 201, 'upload-complete': '?1' })
  expect(fields.location).toMatch(new RegExp(`^${site.url}/files/[0-9a-f]{32}$`))
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('An upload over HTTP/2 goes on after its stream was cancelled', async () => {
  await using site = await Site.open()
  const created = await site.send({
    ':method': 'POST',
    'upload-complete': '?0',
    ...DISPOSITION,
  })
  const path = pathOf(created)
  const cut = site.begin({
    ...PIECE,
    ':path': path,
    'upload-offset': '0',
    'upload-complete': '?1',
    'content-length': String(CONTENT.length),
    ...VERSION,
  })
  cut.on('error', () => {})
  cut.write(CONTENT.subarray(0, HALF))
  await expect.poll(() => [...site.uploads.core.list()][0]?.offset).toBe(HALF)
  cut.close(NGHTTP2_CANCEL)

  const asked = await site.send({ ':method': 'HEAD', ':path': path })
  const fields = { ...PIECE, ':path': path, 'upload-offset': HALF, 'upload-complete': '?1' }
  const last = await site.send(fields, CONTENT.subarray(HALF))

  expect(created.fields[':status']).toBe(201)
  expect(created.interims).toEqual([])
  expect(asked.fields).toMatchObject({ ':status': 204, 'upload-offset': String(HALF) })
  expect(last.fields).toMatchObject({ ':status': 201, 'upload-complete': '?1' })
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('A refusal over HTTP/2 ends its stream alone, and costs no other one', async () => {
  await using site = await Site.open()
  const path = pathOf(await site.send({ ':method': 'POST', 'upload-complete': '?0' }))
  const piece = { ...PIECE, ':path': path, 'upload-complete': '?0' }
  const other = site.begin({ ...piece, 'upload-offset': '0' })
  const taken = answerOf(other)
  const endless = site.begin({ ...piece, ':path': '/files/nothing', 'upload-offset': '0' })
  const refused = answerOf(endless)
  const closed = once(endless, 'close')
  const send = (): void => {
    while (!endless.destroyed && endless.write(Buffer.alloc(100_000)));
  }
  endless.on('drain', send)
  send()

  const { fields, body } = await refused
  await closed
  other.end('hello')

  expect(fields).toMatchObject({ ':status': 404, 'content-type': 'application/problem+json' })
  expect(JSON.parse(body)).toMatchObject({ status: 404 })
  expect(endless.rstCode).toBe(NGHTTP2_NO_ERROR)
  expect((await taken).fields).toMatchObject({ ':status': 204, 'upload-offset': '5' })
})

test('Clients of tus and of IndexedCP may come over HTTP/2 too', async () => {
  await using site = await Site.open()
  const tus = { 'tus-resumable': '1.0.0' }
  const created = await site.send({
    ':method': 'POST',
    'upload-defer-length': '1',
    'upload-metadata': 'filename YS50eHQ=',
    ...tus,
  })
  const patched = await site.send(
    {
      ':method': 'PATCH',
      ':path': `/${String(created.fields.location)}`,
      'upload-offset': '0',
      'upload-length': '5',
      'content-type': 'application/offset+octet-stream',
      ...tus,
    },
    'hello',
  )
  const chunk = await site.send(
    { ':method': 'POST', ':path': '/upload', 'x-chunk-index': '0', 'x-file-name': 'b.txt' },
    'world',
  )

  expect([created, patched, chunk].map(({ fields }) => fields[':status'])).toEqual([201, 204, 200])
  expect(await site.dir.digest('a.txt')).toBe(digestOf(Buffer.from('hello')))
  expect(await site.dir.digest('b.txt')).toBe(digestOf(Buffer.from('world')))
})

test('curl uploads a file over HTTP/2, and is told where to go on', async () => {
  await using site = await Site.open()
  await using dir = await TempDir.create()
  const path = await dir.write('file.bin', CONTENT)

  const { exitCode, heads } = await curl(`${site.url}/files/`, {
    args: ['--http2', '--insecure', '-T', path],
    fields: ['Upload-Complete: ?1', 'Upload-Draft-Interop-Version: 8'],
  })

  expect(exitCode).toBe(0)
  expect(heads[0]?.status).toBe(104)
  expect(heads[0]?.fields.get('location')).toBe(heads.at(-1)?.fields.get('location'))
  expect(heads.at(-1)?.status).toBe(201)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { once } from 'node:events'
import {
  request as httpRequest,
  type Agent,
  Agent as HttpAgent,
  type IncomingMessage,
} from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createHash } from 'node:crypto'
import { FakeClock } from '../../testing/fake-clock.ts'
import { KeyRing } from '../keys.ts'
import { UploadServer, type UploadFolderServerOptions } from '../upload-server.ts'

const A = Buffer.alloc(40, 'a')
const B = Buffer.alloc(40, 'b')
const C = Buffer.alloc(7, 'c')

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

interface ChunkOptions {
  readonly name?: string
  readonly index?: number | string
  readonly agent?: Agent
  readonly headers?: Readonly<Record<string, string>>
}

/** A server on a folder of its own, and clients of it. */
class Site implements AsyncDisposable {
  readonly folder: string
  readonly #options: UploadFolderServerOptions
  #server: UploadServer | undefined
  #url = ''

  private constructor(folder: string, options: UploadFolderServerOptions) {
    this.folder = folder
    this.#options = options
  }

  static async open(options: UploadFolderServerOptions = {}): Promise<Site> {
    const site = new Site(await mkdtemp(join(tmpdir(), 'ferry-test-')), options)
    await site.start()
    return site
  }

  get url(): string {
    return this.#url
  }

  get server(): UploadServer {
    return this.#server as UploadServer
  }

  async start(): Promise<void> {
    this.#server = await UploadServer.open(this.folder, this.#options)
    this.#url = await this.#server.listen()
  }

  async restart(): Promise<void> {
    await this.server.close()
    await this.start()
  }

  /** Files that are seen, with their content. */
  async files(): Promise<Record<string, string>> {
    const names = await readdir(this.folder, { recursive: true, withFileTypes: true })
    const files = names.filter((entry) => entry.isFile() && !entry.parentPath.includes('.ferry'))
    return Object.fromEntries(
      await Promise.all(
        files.map(async ({ name, parentPath }) => {
          const path = join(parentPath, name)
          return [path.slice(this.folder.length + 1), short(await readFile(path))] as const
        }),
      ),
    )
  }

  send(content: Buffer, options: ChunkOptions = {}): Promise<Reply> {
    const { name = 'a.bin', index = 0, agent, headers = {} } = options
    return this.ask('POST', '/upload', {
      agent,
      content,
      headers: { 'X-Chunk-Index': String(index), 'X-File-Name': name, ...headers },
    })
  }

  ask(
    method: string,
    path: string,
    options: {
      readonly headers?: Readonly<Record<string, string>>
      readonly content?: Buffer
      readonly agent?: Agent | undefined
    } = {},
  ): Promise<Reply> {
    const { headers = {}, content, agent = false } = options
    return new Promise((resolve, reject) => {
      const request = httpRequest(this.url + path, { method, headers, agent }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      })
      request.on('error', reject)
      request.end(content)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Content as runs of letters: `a40 b40`. */
function short(content: Buffer): string {
  const runs = content.toString('latin1').match(/(.)\1*/gs) ?? []
  return runs.map((run) => `${run[0]}${run.length}`).join(' ')
}

function jsonOf({ text }: Reply): unknown {
  return JSON.parse(text)
}

test('a chunk is answered with the members of the protocol, in their order', async () => {
  await using site = await Site.open()

  const reply = await site.send(A, { name: '/home/u/dir/report.pdf' })

  expect(reply.status).toBe(200)
  expect(reply.headers['content-type']).toBe('application/json')
  expect(reply.text).toBe(
    '{"message":"Chunk received","actualFilename":"report.pdf","chunkIndex":0,' +
      '"clientFilename":"/home/u/dir/report.pdf"}',
  )
  expect(await site.files()).toEqual({ 'report.pdf': 'a40' })
})

test('the file grows with every acknowledgement', async () => {
  await using site = await Site.open()

  for (const [index, chunk] of [A, B, C].entries()) await site.send(chunk, { index })

  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40 c7' })
})

test('chunks are placed by their index, whatever the order, and shown without gaps', async () => {
  await using site = await Site.open()

  await site.send(C, { index: 2 })
  expect(await site.files()).toEqual({})
  await site.send(A, { index: 0 })
  expect(await site.files()).toEqual({ 'a.bin': 'a40' })
  await site.send(B, { index: 1 })

  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40 c7' })
})

test('chunks of one file that come at the same time end up in their places', async () => {
  await using site = await Site.open()
  const chunks = Array.from({ length: 12 }, (_, index) =>
    Buffer.alloc(20 + index, 'abcdefghijkl'[index]),
  )

  const replies = await Promise.all(chunks.map((chunk, index) => site.send(chunk, { index })))

  expect(replies.map(({ status }) => status)).toEqual(chunks.map(() => 200))
  expect(await site.files()).toEqual({ 'a.bin': short(Buffer.concat(chunks)) })
})

test('the same chunk again changes nothing and is told as received', async () => {
  await using site = await Site.open()
  await site.send(A)
  await site.send(B, { index: 1 })
  await site.send(C, { index: 3 })

  const replies = [await site.send(A), await site.send(C, { index: 3 })]

  for (const reply of replies) {
    expect(jsonOf(reply)).toMatchObject({
      message: 'Chunk already received (skipped)',
      actualFilename: 'a.bin',
      alreadyReceived: true,
    })
  }
  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40' })
})

test('another content begins a new version with the chunks before it', async () => {
  await using site = await Site.open()
  for (const [index, chunk] of [A, B, C].entries()) await site.send(chunk, { index })

  const first = await site.send(A, { index: 0 })
  const other = await site.send(C, { index: 1 })

  expect(jsonOf(first)).toMatchObject({ alreadyReceived: true })
  expect(jsonOf(other)).toMatchObject({ message: 'Chunk received', actualFilename: 'a (1).bin' })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40 c7', 'a (1).bin': 'a40 c7' })
})

test.each([
  ['shorter', A.subarray(0, 10)],
  ['longer', Buffer.concat([A, C])],
  ['other in its last byte', Buffer.concat([A.subarray(1), C.subarray(0, 1)])],
])('a chunk that is %s is another content', async (_, chunk) => {
  await using site = await Site.open()
  await site.send(A)

  await site.send(chunk)

  expect(await site.files()).toEqual({ 'a.bin': 'a40', 'a (1).bin': short(chunk) })
})

test('chunks of any sizes keep their order', async () => {
  await using site = await Site.open()

  await site.send(C, { index: 0 })
  await site.send(A, { index: 1 })
  await site.send(B, { index: 2 })

  expect(await site.files()).toEqual({ 'a.bin': 'c7 a40 b40' })
})

test('a start takes up unfinished files and the chunks that wait', async () => {
  await using site = await Site.open()
  await site.send(A, { index: 0 })
  await site.send(C, { index: 2 })
  await site.restart()

  const again = await site.send(A, { index: 0 })
  await site.send(B, { index: 1 })

  expect(jsonOf(again)).toMatchObject({ alreadyReceived: true, actualFilename: 'a.bin' })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40 c7' })
})

test('a chunk whose connection breaks leaves nothing, and the next try counts', async () => {
  await using site = await Site.open()
  await site.send(A)
  const { port } = new URL(site.url)
  const socket = connect(Number(port), '127.0.0.1')
  const written = Promise.withResolvers<void>()
  socket.write(
    'POST /upload HTTP/1.1\r\nHost: h\r\nX-Chunk-Index: 1\r\nX-File-Name: a.bin\r\n' +
      `Content-Length: 400000\r\n\r\n${'x'.repeat(300_000)}`,
    () => written.resolve(),
  )
  await written.promise
  socket.destroy()
  await expect.poll(() => [...site.server.core.list()].some((u) => u.isReceiving)).toBe(false)
  await expect.poll(() => site.files()).toEqual({ 'a.bin': 'a40' })

  const reply = await site.send(B, { index: 1 })

  expect(jsonOf(reply)).toMatchObject({ message: 'Chunk received', actualFilename: 'a.bin' })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40' })
})

test('two clients with one name and connections of their own get a file each', async () => {
  await using site = await Site.open()
  const one = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  const two = new HttpAgent({ keepAlive: true, maxSockets: 1 })

  await site.send(A, { index: 0, agent: one })
  await site.send(B, { index: 0, agent: two })
  await site.send(A, { index: 1, agent: one })
  await site.send(B, { index: 1, agent: two })
  await site.send(C, { index: 2, agent: two })
  await site.send(C, { index: 2, agent: one })

  one.destroy()
  two.destroy()
  expect(await site.files()).toEqual({ 'a.bin': 'a80 c7', 'a (1).bin': 'b80 c7' })
})

test('two clients that cannot be told apart are refused rather than mixed', async () => {
  await using site = await Site.open()
  await site.send(A, { index: 0 })
  await site.send(B, { index: 0 })

  const reply = await site.send(A, { index: 1 })

  expect(reply.status).toBe(409)
  expect(reply.headers['retry-after']).toBe('5')
  expect(await site.files()).toEqual({ 'a.bin': 'a40', 'a (1).bin': 'b40' })
})

test('an upload that somebody ended by its id begins anew', async () => {
  await using site = await Site.open()
  await site.send(A)
  const [upload] = [...site.server.core.list()]
  await site.server.core.terminate(upload?.id as string)

  const reply = await site.send(B, { index: 0 })

  expect(reply.status).toBe(200)
  expect(await site.files()).toEqual({ 'a.bin': 'a40', 'a (1).bin': 'b40' })
})

test('owners do not meet, also with one name', async () => {
  const keys = new KeyRing([
    { owner: 'ann', sha256: sha256('key-a') },
    { owner: 'bob', sha256: sha256('key-b') },
  ])
  await using site = await Site.open({ keys })
  const ann = { Authorization: 'Bearer key-a' }
  const bob = { Authorization: 'Bearer key-b' }

  await site.send(A, { headers: ann })
  await site.send(B, { headers: bob })
  await site.send(A, { index: 1, headers: ann })
  await site.send(B, { index: 1, headers: bob })

  expect(await site.files()).toEqual({ 'a.bin': 'a80', 'a (1).bin': 'b80' })
  const status = await site.ask('GET', '/upload/status?filename=a%20(1).bin', { headers: ann })
  expect(jsonOf(status)).toEqual({ filename: 'a (1).bin', receivedChunks: [] })
})

test('the status tells the chunks by stored name and by the name of the client', async () => {
  await using site = await Site.open({ indexedcp: { filenameGenerator: () => 'stored.bin' } })
  await site.send(A, { name: 'dir/a.bin' })
  await site.send(C, { name: 'dir/a.bin', index: 2 })

  for (const name of ['stored.bin', 'a.bin', 'dir/a.bin']) {
    const path = `/upload/status?filename=${encodeURIComponent(name)}`
    expect((await site.ask('GET', path)).text).toBe(`{"filename":"${name}","receivedChunks":[0,2]}`)
  }
  const unknown = await site.ask('GET', '/upload/status?filename=none')
  expect(unknown).toMatchObject({ status: 200, text: '{"filename":"none","receivedChunks":[]}' })
  const unnamed = await site.ask('GET', '/upload/status')
  expect(unnamed).toMatchObject({ status: 400, text: '{"error":"Missing filename parameter"}' })
})

test('the Python client is told nothing of what may be a whole file', async () => {
  await using site = await Site.open()
  const headers = { 'User-Agent': 'python-requests/2.32.0' }
  const told = async (): Promise<unknown> =>
    jsonOf(await site.ask('GET', '/upload/status?filename=a.bin', { headers }))

  await site.send(A)
  expect(await told()).toMatchObject({ receivedChunks: [] })
  await site.send(B, { index: 1 })
  expect(await told()).toMatchObject({ receivedChunks: [0, 1] })
  await site.send(C, { index: 2 })

  expect(await told()).toMatchObject({ receivedChunks: [] })
})

test.each([['-1'], ['1x'], ['1.5'], ['99999999999999999999'], ['10000000'], ['0x1'], [' ']])(
  'the index "%s" is refused',
  async (index) => {
    await using site = await Site.open()

    const reply = await site.send(A, { index })

    expect(reply.status).toBe(400)
    expect(jsonOf(reply)).toMatchObject({ error: 'Invalid chunk index' })
    expect(await site.files()).toEqual({})
  },
)

test('without index and name, a chunk is the first of uploaded_file.txt', async () => {
  await using site = await Site.open()

  const reply = await site.ask('POST', '/upload', { content: A })

  expect(jsonOf(reply)).toMatchObject({ chunkIndex: 0, clientFilename: 'uploaded_file.txt' })
  expect(await site.files()).toEqual({ 'uploaded_file.txt': 'a40' })
})

test('the generator of names is asked once for a file, and cannot leave the folder', async () => {
  const asked: unknown[] = []
  await using site = await Site.open({
    indexedcp: {
      filenameGenerator(name, index) {
        asked.push([name, index])
        return '../../../etc/passwd'
      },
    },
  })

  for (const [index, chunk] of [A, B, C].entries()) await site.send(chunk, { index })

  expect(asked).toEqual([['a.bin', '0']])
  expect(await site.files()).toEqual({ 'etc/passwd': 'a40 b40 c7' })
})

test('a generator that fails is the server’s failure, which the client is not told of', async () => {
  const failures: unknown[] = []
  const failure = new Error('secret')
  await using site = await Site.open({
    onFailure: (error) => failures.push(error),
    indexedcp: {
      filenameGenerator() {
        throw failure
      },
    },
  })

  const reply = await site.send(A)

  expect(reply.status).toBe(500)
  expect(reply.text).not.toContain('secret')
  expect(failures).toEqual([failure])
})

test('a file to which nothing comes for a while is finished, and its name begins another', async () => {
  const clock = new FakeClock()
  await using site = await Site.open({ indexedcp: { clock, finishAfterMs: 1000 } })
  await site.send(A)
  clock.advance(1500)
  await expect
    .poll(() => [...site.server.core.list()].map(({ state }) => state))
    .toEqual(['completed'])

  await site.send(B, { index: 0 })

  expect(await site.files()).toEqual({ 'a.bin': 'a40', 'a (1).bin': 'b40' })
})

test('a file that was taken away before it was finished does not come back', async () => {
  const clock = new FakeClock()
  await using site = await Site.open({ indexedcp: { clock, finishAfterMs: 1000 } })
  await site.send(A)
  await rm(join(site.folder, 'a.bin'))

  clock.advance(1500)
  await expect
    .poll(() => [...site.server.core.list()].map(({ state }) => state))
    .toEqual(['completed'])

  expect(await site.files()).toEqual({})
})

test('nothing is told of chunks that have expired, and they can come again', async () => {
  const clock = new FakeClock()
  const uploads = { clock, expiresInMs: 1000 }
  await using site = await Site.open({ uploads })
  const told = async (): Promise<unknown> =>
    (jsonOf(await site.ask('GET', '/upload/status?filename=a.bin')) as { receivedChunks: unknown })
      .receivedChunks
  await site.send(A)
  await site.send(C, { index: 2 })
  clock.advance(800)
  await site.send(B, { index: 1 })
  await site.send(A, { index: 5 })
  clock.advance(800)
  await site.send(A, { index: 3 })
  clock.advance(400)

  // The last one waits since longer than the file was filled.
  expect(await told()).toEqual([0, 1, 2, 3])
  await site.send(B, { index: 4 })
  await site.send(A, { index: 5 })
  expect(await told()).toEqual([0, 1, 2, 3, 4, 5])
  clock.advance(1500)
  expect(await told()).toEqual([])
  const again = await site.send(A)

  expect(jsonOf(again)).toMatchObject({ message: 'Chunk received' })
  expect(await told()).toEqual([0])
})

test('with many files, the oldest ones are finished', async () => {
  await using site = await Site.open({ indexedcp: { maxOpen: 2 } })

  for (const name of ['1', '2', '3', '4']) await site.send(A, { name })

  const open = (): string[] =>
    [...site.server.core.list()]
      .filter(({ state }) => state === 'unfinished')
      .map(({ name }) => name)
  await expect.poll(open).toEqual(['3', '4'])
})

test('with an identity and an end, a file is published once, whole', async () => {
  await using site = await Site.open()
  const whole = Buffer.concat([A, B, C])
  const digest = createHash('sha256').update(whole).digest('base64')
  const headers = {
    'X-Upload-Id': 'my-upload-1',
    'X-Chunk-Size': '40',
    'X-Total-Size': '87',
    'Repr-Digest': `sha-256=:${digest}:`,
  }

  await site.send(C, { index: 2, headers })
  const partial = await site.send(A, { index: 0, headers })
  expect(jsonOf(partial)).toMatchObject({ offset: 40, size: 87, complete: false })
  expect(await site.files()).toEqual({})
  const last = await site.send(B, { index: 1, headers })
  const again = await site.send(B, { index: 1, headers })

  expect(jsonOf(last)).toMatchObject({ actualFilename: 'a.bin', offset: 87, complete: true })
  expect(jsonOf(again)).toMatchObject({ alreadyReceived: true, complete: true })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 b40 c7' })
  const status = await site.ask('GET', '/upload/status?uploadId=my-upload-1')
  expect(jsonOf(status)).toMatchObject({ filename: 'a.bin', offset: 87, size: 87, complete: true })
})

test('a chunk that comes again while another one is the last is told that all is there', async () => {
  await using site = await Site.open()
  const headers = { 'X-Upload-Id': 'u', 'X-Chunk-Size': '40', 'X-Total-Size': '47' }
  await site.send(A, { headers })
  const again = httpRequest(`${site.url}/upload`, {
    method: 'POST',
    headers: { 'X-Chunk-Index': '0', 'Content-Length': '40', ...headers },
  })
  const answered = once(again, 'response') as Promise<[IncomingMessage]>
  again.write(A.subarray(0, 20))
  await expect.poll(() => [...site.server.core.list()][0]?.isReceiving).toBe(true)

  const last = await site.send(C, { index: 1, headers })
  again.end(A.subarray(20))
  const [response] = await answered

  expect(jsonOf(last)).toMatchObject({ complete: true })
  expect(response.statusCode).toBe(200)
  expect(JSON.parse(String(await response.toArray()))).toMatchObject({
    alreadyReceived: true,
    complete: true,
  })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 c7' })
})

test('an identity that is used for another file is refused, not skipped', async () => {
  await using site = await Site.open()
  const digestOf = (content: Buffer): string =>
    `sha-256=:${createHash('sha256').update(content).digest('base64')}:`
  const headers = { 'X-Upload-Id': 'u', 'X-Total-Size': '40', 'Repr-Digest': digestOf(A) }
  await site.send(A, { headers })

  const replies = [
    await site.send(A, { headers }),
    await site.send(B, { headers: { ...headers, 'Repr-Digest': digestOf(B) } }),
    await site.send(C, { headers: { 'X-Upload-Id': 'u', 'X-Total-Size': '7' } }),
  ]

  expect(replies.map(({ status }) => status)).toEqual([200, 409, 409])
  expect(await site.files()).toEqual({ 'a.bin': 'a40' })
})

test('a count of chunks is an end too, and a wrong digest is refused', async () => {
  await using site = await Site.open()
  const headers = { 'X-Upload-Id': 'u', 'X-Chunk-Count': '2', 'X-Chunk-Size': '40' }
  const wrong = createHash('sha256').update('other').digest('base64')

  const refused = await site.send(A, {
    headers: { ...headers, 'Content-Digest': `sha-256=:${wrong}:` },
  })
  expect(refused.status).toBe(400)
  await site.send(A, { headers })
  const last = await site.send(C, { index: 1, headers })

  expect(jsonOf(last)).toMatchObject({ complete: true, size: 47 })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 c7' })
})

test('an upload without an end is finished by its client', async () => {
  await using site = await Site.open()
  const headers = { 'X-Upload-Id': 'u' }
  const early = await site.ask('POST', '/upload/complete', { headers })
  expect(early.status).toBe(404)
  await site.send(A, { headers })
  await site.send(C, { index: 1, headers: { ...headers, 'X-Chunk-Offset': '40' } })

  const reply = await site.ask('POST', '/upload/complete', { headers })

  expect(jsonOf(reply)).toMatchObject({ actualFilename: 'a.bin', offset: 47, complete: true })
  expect(await site.files()).toEqual({ 'a.bin': 'a40 c7' })
})

test('an upload that another door began is gone on with by its id', async () => {
  await using site = await Site.open()
  const { id } = await site.server.core.create({ length: 47, name: 'begun.bin' })
  const headers = { 'X-Upload-Id': id, 'X-Chunk-Size': '40' }

  await site.send(A, { index: 0, headers })
  const reply = await site.send(C, { index: 1, headers })

  expect(jsonOf(reply)).toMatchObject({ actualFilename: 'begun.bin', complete: true })
  expect(await site.files()).toEqual({ 'begun.bin': 'a40 c7' })
})

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

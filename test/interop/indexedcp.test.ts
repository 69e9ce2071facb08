/** IndexedCP: clients as each generation behaves, and curl, at a server of ours. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { IndexCPServer, type IndexCPServerOptions } from 'ferry/receive'
import { expect, test } from 'vitest'
import { type ClientOptions, NodeClient } from '../support/indexedcp-clients.ts'
import { TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'

const KEY = 'a'.repeat(64)
const CHUNK = 65_536
const CONTENT = randomBytes(CHUNK * 5 + 1234)
const OTHER = Buffer.concat([CONTENT.subarray(0, CHUNK), randomBytes(CHUNK * 3 + 77)])

const run = promisify(execFile)

/** A server with its folder, and a folder for clients. */
class Site implements AsyncDisposable {
  readonly stored: TempDir
  readonly local: TempDir
  readonly #options: IndexCPServerOptions
  #server: IndexCPServer
  url = ''

  private constructor(dirs: readonly [TempDir, TempDir], options: IndexCPServerOptions) {
    ;[this.stored, this.local] = dirs
    this.#options = { outputDir: this.stored.path, port: 0, apiKey: KEY, ...options }
    this.#server = new IndexCPServer(this.#options)
  }

  static async open(options: IndexCPServerOptions = {}): Promise<Site> {
    const site = new Site([await TempDir.create(), await TempDir.create()], options)
    await site.#listen()
    return site
  }

  async restart(): Promise<void> {
    await this.#server.close()
    this.#server = new IndexCPServer(this.#options)
    await this.#listen()
  }

  client(options: Partial<ClientOptions> = {}): NodeClient {
    return new NodeClient({ url: this.url, key: KEY, chunkBytes: CHUNK, ...options })
  }

  /** Uploads as the Python client does. */
  async python(path: string, chunkBytes = CHUNK): Promise<{ stored: string; sent: number[] }> {
    const script = join(import.meta.dirname, '../support/indexedcp-python.py')
    const args = [script, this.url, KEY, path, String(chunkBytes), '2']
    const { stdout } = await run(requireTool('python3'), args)
    return JSON.parse(stdout) as { stored: string; sent: number[] }
  }

  /** Gives status and content. */
  async curl(...args: readonly string[]): Promise<string> {
    const common = ['-s', '-w', ' %{http_code}', '-H', `Authorization: Bearer ${KEY}`]
    const { stdout } = await run(requireTool('curl'), [...common, ...args])
    return stdout
  }

  /** Names of the files that are seen. */
  async names(): Promise<string[]> {
    return (await this.stored.names()).filter((name) => name !== '.ferry')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close()
    await this.stored[Symbol.asyncDispose]()
    await this.local[Symbol.asyncDispose]()
  }

  async #listen(): Promise<void> {
    this.url = `${await this.#server.listen()}/upload`
  }
}

test('a client of JS-1 uploads files over one connection, and is told their names', async () => {
  await using site = await Site.open()
  using client = site.client()
  client.addFile('/home/u/one.bin', CONTENT)
  client.addFile('two.bin', OTHER)

  const stored = await client.uploadBufferedFiles()

  expect(stored).toEqual({ '/home/u/one.bin': 'one.bin', 'two.bin': 'two.bin' })
  expect(client.buffered).toBe(0)
  expect(await site.stored.read('one.bin')).toEqual(CONTENT)
  expect(await site.stored.read('two.bin')).toEqual(OTHER)
})

test('a client of JS-1 goes on at another start of the server with what it still has', async () => {
  await using site = await Site.open()
  using first = site.client()
  for (const index of [0, 1]) {
    await first.uploadChunk('a.bin', index, CONTENT.subarray(index * CHUNK, (index + 1) * CHUNK))
  }
  await site.restart()
  using second = site.client()

  for (const index of [2, 3, 4, 5]) {
    const chunk = CONTENT.subarray(index * CHUNK, (index + 1) * CHUNK)
    expect(await second.uploadChunk('a.bin', index, chunk)).toMatchObject({ status: 200 })
  }

  expect(await site.names()).toEqual(['a.bin'])
  expect(await site.stored.read('a.bin')).toEqual(CONTENT)
})

test('a client of JS-1 with a wrong key keeps everything', async () => {
  await using site = await Site.open()
  using client = site.client({ key: 'wrong' })
  client.addFile('a.bin', CONTENT)

  await expect(client.uploadBufferedFiles()).rejects.toThrow('Authentication failed')

  expect(client.buffered).toBe(6)
  expect(await site.names()).toEqual([])
})

test('clients of JS-2 send several files at once, and chunks again that failed', async () => {
  await using site = await Site.open()
  const files = Array.from(
    { length: 4 },
    (_, n) => [`${n}.bin`, randomBytes(CHUNK * 3 + n)] as const,
  )

  await Promise.all(
    files.map(async ([name, content], n) => {
      using client = site.client()
      client.addFile(name, content)
      await client.uploadInBackground((index, round) => round === 0 && index === n)
    }),
  )

  for (const [name, content] of files) expect(await site.stored.read(name)).toEqual(content)
})

test('the same file again, by JS-1, changes nothing; another one is a new version', async () => {
  await using site = await Site.open()
  const stored: unknown[] = []
  for (const content of [CONTENT, CONTENT, OTHER]) {
    using client = site.client()
    client.addFile('a.bin', content)
    stored.push(await client.uploadBufferedFiles())
  }

  expect(await site.names()).toEqual(['a (1).bin', 'a.bin'])
  expect(await site.stored.read('a.bin')).toEqual(CONTENT)
  expect(await site.stored.read('a (1).bin')).toEqual(OTHER)
})

test('two clients of JS-1 with one name at the same time get a file each', async () => {
  await using site = await Site.open()
  const contents = [CONTENT, OTHER]

  await Promise.all(
    contents.map(async (content) => {
      using client = site.client()
      client.addFile('a.bin', content)
      await client.uploadBufferedFiles()
    }),
  )

  const stored = await Promise.all((await site.names()).map((name) => site.stored.read(name)))
  expect(stored).toHaveLength(2)
  for (const content of contents) expect(stored).toContainEqual(content)
})

test('the client of PY-1 uploads, resumes, and its changed file is a new version', async () => {
  await using site = await Site.open()
  const path = await site.local.write('my file.bin', CONTENT.subarray(0, CHUNK * 3))
  expect(await site.python(path)).toEqual({ stored: 'my file.bin', sent: [0, 1, 2] })

  // The rest of the same file, as after an interruption.
  await site.local.write('my file.bin', CONTENT)
  expect(await site.python(path)).toEqual({ stored: 'my file.bin', sent: [3, 4, 5] })
  expect(await site.stored.read('my file.bin')).toEqual(CONTENT)

  await site.local.write('my file.bin', OTHER)
  const changed = await site.python(path)

  expect(changed).toEqual({ stored: 'my file (1).bin', sent: [0, 1, 2, 3, 4] })
  expect(await site.stored.read('my file.bin')).toEqual(CONTENT)
  expect(await site.stored.read('my file (1).bin')).toEqual(OTHER)
})

test('the client of PY-1 gets the same name again for the same file', async () => {
  await using site = await Site.open()
  const path = await site.local.write('a.bin', CONTENT)
  await site.python(path)

  const again = await site.python(path)

  expect(again).toEqual({ stored: 'a.bin', sent: [0, 1, 2, 3, 4, 5] })
  expect(await site.names()).toEqual(['a.bin'])
  expect(await site.stored.read('a.bin')).toEqual(CONTENT)
})

test('curl uploads a chunk, and asks what is there', async () => {
  await using site = await Site.open()
  const path = await site.local.write('chunk', CONTENT)
  const fields = ['-H', 'X-Chunk-Index: 0', '-H', 'X-File-Name: myfile.txt']

  const taken = await site.curl(...fields, '--data-binary', `@${path}`, site.url)
  const status = await site.curl(`${site.url}/status?filename=myfile.txt`)

  expect(taken).toBe(
    '{"message":"Chunk received","actualFilename":"myfile.txt","chunkIndex":0,' +
      '"clientFilename":"myfile.txt"} 200',
  )
  expect(status).toBe('{"filename":"myfile.txt","receivedChunks":[0]} 200')
  expect(await site.stored.read('myfile.txt')).toEqual(CONTENT)
})

test('curl sends chunks with Transfer-Encoding, which count whole', async () => {
  await using site = await Site.open()
  const path = await site.local.write('chunk', CONTENT)
  const fields = ['-H', 'X-File-Name: a.bin', '-H', 'Transfer-Encoding: chunked', '-X', 'POST']

  for (const index of [1, 0]) {
    await site.curl(...fields, '-H', `X-Chunk-Index: ${index}`, '-T', path, site.url)
  }

  expect(await site.stored.read('a.bin')).toEqual(Buffer.concat([CONTENT, CONTENT]))
})

test.each([
  ['../../../etc/passwd', 'passwd'],
  ['..\\..\\boot.ini', 'boot.ini'],
  ['.indexcp_chunks.db', '_indexcp_chunks.db'],
  ['.ferry', '_ferry'],
  ['nul', '_nul'],
  ['caf\xc3\xa9.txt', 'café.txt'],
  ['caf\xe9.txt', 'café.txt'],
  ['a\tb.txt', 'a_b.txt'],
  ['x'.repeat(4000), 'x'.repeat(200)],
])('the name %j stays in the folder, as %j', async (name, stored) => {
  await using site = await Site.open()
  using client = site.client()

  const answer = await client.uploadChunk(name, 0, Buffer.from('abc'))

  expect(answer).toMatchObject({ status: 200, json: { actualFilename: stored } })
  expect(await site.names()).toEqual([stored])
})

test.each([['..'], ['.'], ['/'], ['dir/..']])('the name %j is refused', async (name) => {
  await using site = await Site.open()
  using client = site.client()

  const answer = await client.uploadChunk(name, 0, Buffer.from('abc'))

  expect(answer).toMatchObject({ status: 400, json: { error: 'Invalid filename' } })
  expect(await site.names()).toEqual([])
})

test.each([[-1], [1.5], [1e21], [10_000_000], [Number.NaN]])(
  'the index %d is refused',
  async (index) => {
    await using site = await Site.open()
    using client = site.client()

    const answer = await client.uploadChunk('a.bin', index, Buffer.from('abc'))

    expect(answer).toMatchObject({ status: 400, json: { error: 'Invalid chunk index' } })
    expect(await site.names()).toEqual([])
  },
)

test('a client that is killed in the middle of a chunk loses that chunk only', async () => {
  await using site = await Site.open()
  using client = site.client()
  await client.uploadChunk('a.bin', 0, CONTENT.subarray(0, CHUNK))
  const socket = connect(Number(new URL(site.url).port), '127.0.0.1')
  const head = [
    'POST /upload HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${KEY}`,
    'X-Chunk-Index: 1',
    'X-File-Name: a.bin',
    `Content-Length: ${CHUNK}`,
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  socket.write(Buffer.alloc(CHUNK / 2, 'x'))
  await new Promise((resolve) => setTimeout(resolve, 100))
  socket.resetAndDestroy()

  client.addFile('a.bin', CONTENT)
  await client.uploadBufferedFiles()

  expect(await site.names()).toEqual(['a.bin'])
  expect(await site.stored.read('a.bin')).toEqual(CONTENT)
})

/** The client of IndexedCP with many files: at once, one after another, paused, given up, in part refused. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import {
  BufferedUploadError,
  createMemoryOutbox,
  type Outbox,
  type UploadProgress,
} from '../../packages/ferry/src/upload/index.ts'
import { KeyRing } from '../../packages/ferry/src/receive/index.ts'
import { CLIENT_KEY, ClientSite } from '../support/client-site.ts'
import { OldServer } from '../support/indexedcp-servers.ts'
import { digestOf } from '../support/temp-dir.ts'

const CONTENT = randomBytes(600_000)

/** The site's server behind another one, which lets each request wait for as long as a test likes. */
async function gated(
  at: ClientSite,
  gate: (name: string, request: IncomingMessage) => Promise<void> | undefined,
): Promise<string> {
  const server = createServer((request, response) => {
    const opened = gate(String(request.headers['x-file-name']), request) ?? Promise.resolve()
    void opened.then(() => at.site.server.handler(request, response))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/upload`
}

test('UploadClient sends several files at once', async () => {
  await using at = await ClientSite.open()
  const second = Promise.withResolvers<void>()
  // Nothing of the first comes through before the second is there.
  const url = await gated(at, (name) => (name === 'a' ? second.promise : undefined))
  const client = await at.client({
    outbox: createMemoryOutbox(),
    files: 2,
    onComplete: (name) => (name === 'b' ? second.resolve() : undefined),
  })
  for (const name of ['a', 'b', 'c']) await client.addStream(name, name)

  const sent = await client.uploadBufferedFiles(url)

  expect(Object.entries(sent)).toEqual([
    ['a', 'a'],
    ['b', 'b'],
    ['c', 'c'],
  ])
})

test('UploadClient sends files of one name one after another, in order', async () => {
  await using at = await ClientSite.open()
  const turns: string[] = []
  const client = await at.client({
    outbox: createMemoryOutbox(),
    files: 4,
    onEvent: (name, { type }) => type === 'protocol' && turns.push(`${name} begins`),
    onComplete: (name, { remoteName }) => turns.push(`${name} is ${remoteName}`),
  })
  for (const name of ['x/a', 'y/a', 'z/a']) await client.addStream(name, name)

  await client.uploadBufferedFiles(at.url)

  expect(turns).toEqual([
    'x/a begins',
    'x/a is a',
    'y/a begins',
    'y/a is a (1)',
    'z/a begins',
    'z/a is a (2)',
  ])
})

test('UploadClient mixes nothing at a server that knows files by the end of their name', async () => {
  await using server = await OldServer.openNode1()
  await using at = await ClientSite.open()
  const client = await at.client({
    outbox: createMemoryOutbox(),
    files: 3,
    chunkSize: 100_000,
    apiKey: server.key,
  })
  const contents = [randomBytes(350_000), randomBytes(250_000), randomBytes(150_000)]
  for (const [index, content] of contents.entries()) await client.addStream(content, `${index}/a`)

  await client.uploadBufferedFiles(server.url)

  // It appends; what it was sent came in order.
  expect(server.content('a').equals(Buffer.concat(contents))).toBe(true)
})

test('a file that was added twice is sent twice, and both are in the result', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox() })
  const path = await at.site.source.write('a.bin', CONTENT)
  await client.addFile(path)
  await client.addFile(path)

  expect(await client.getBufferedFiles()).toEqual([path, path])
  expect(await client.uploadBufferedFiles(at.url)).toEqual({
    [path]: 'a.bin',
    [`${path} (2)`]: 'a (1).bin',
  })
})

test('what could not be sent is told together with what was', async () => {
  await using at = await ClientSite.open()
  const { source } = at.site
  const failed: string[] = []
  const client = await at.client({
    outbox: createMemoryOutbox(),
    onError: (name) => failed.push(name),
  })
  const changed = await source.write('changed', 'one')
  await client.addStream('a', 'a')
  await client.addFile(changed, { mode: 'reference', name: 'changed' })
  await client.addStream('b', 'b')
  await source.write('changed', 'another')

  const error = await client.uploadBufferedFiles(at.url).catch((reason: unknown) => reason)

  expect(error).toBeInstanceOf(BufferedUploadError)
  expect(error).toMatchObject({
    code: 'source-changed',
    message: expect.stringMatching(/^Cannot send ".*changed": the file has changed since/),
    sent: { a: 'a', b: 'b' },
    failures: [{ name: 'changed', error: { code: 'source-changed' } }],
    untried: [],
    detail: { sent: 2, failed: 1, untried: 0 },
    status: undefined,
  })
  expect(failed).toEqual(['changed'])
  expect(await client.getBufferedFiles()).toEqual(['changed'])
})

test('a refused key is told clearly, and once for all files', async () => {
  await using at = await ClientSite.open()
  let requests = 0
  const url = await gated(at, () => void requests++)
  const client = await at.client({ outbox: createMemoryOutbox(), apiKey: 'wrong-key' })
  for (const name of ['a', 'b', 'c']) await client.addStream(name, name)

  const error = (await client.uploadBufferedFiles(url).catch((reason) => reason)) as Error

  expect(error).toMatchObject({
    code: 'http-status',
    status: 401,
    untried: ['b', 'c'],
    message: expect.stringMatching(
      /the server answered 401 Unauthorized: .*; check the API key \(and 2 more files were not sent\)$/,
    ),
  })
  expect(error.message).not.toContain('wrong-key')
  expect(await client.getBufferedFiles()).toEqual(['a', 'b', 'c'])
  // Once more with what may have been set meanwhile; not for each file.
  const afterFirst = requests
  expect(afterFirst).toBeLessThanOrEqual(4)
})

test('a server that fails is told with its status and its words', async () => {
  await using server = await OldServer.openNode1()
  await using at = await ClientSite.open()
  const client = await at.client({
    outbox: createMemoryOutbox(),
    apiKey: server.key,
    maxRetries: 0,
  })
  server.refusals.push(507)
  await client.addStream('a', 'a')

  await expect(client.uploadBufferedFiles(server.url)).rejects.toMatchObject({
    status: 507,
    message: expect.stringMatching(/the server answered 507 Insufficient Storage: Upload error$/),
  })
})

test('a server that cannot be reached is told once for all files', async () => {
  await using at = await ClientSite.open()
  await at.site.proxy.goDown()
  const client = await at.client({ outbox: createMemoryOutbox(), maxRetries: 1 })
  for (const name of ['a', 'b']) await client.addStream(name, name)

  await expect(client.uploadBufferedFiles(at.url)).rejects.toMatchObject({
    code: 'connect-failed',
    failures: [{ name: 'a' }],
    untried: ['b'],
  })
})

test('a file that is not there is told, and nothing is added', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox() })

  await expect(client.addFile('/no/such/file')).rejects.toMatchObject({
    code: 'config',
    message: 'Cannot add "/no/such/file": there is no such file',
  })
  await expect(client.bufferAndUpload('/no/such/file', at.url)).rejects.toMatchObject({
    code: 'config',
  })
  expect(await client.getBufferedFiles()).toEqual([])
})

test('progress is told from the beginning to the end of each file, then that it is complete', async () => {
  await using at = await ClientSite.open()
  const told = new Map<string, (UploadProgress | string | undefined)[]>()
  const client = await at.client({
    outbox: createMemoryOutbox(),
    files: 2,
    onProgress: (name, progress) => void told.get(name)?.push(progress),
    onComplete: (name, { remoteName }) => void told.get(name)?.push(remoteName),
  })
  for (const name of ['a', 'b']) {
    told.set(name, [])
    await client.addStream(CONTENT, name)
  }

  await client.uploadBufferedFiles(at.url)

  for (const [name, seen] of told) {
    const size = CONTENT.length
    expect(seen.length).toBeGreaterThanOrEqual(3)
    expect(seen[0]).toMatchObject({ acknowledgedBytes: 0 })
    expect(seen.at(-2)).toMatchObject({ state: 'completed', acknowledgedBytes: size, size })
    expect(seen.at(-1)).toBe(name)
  }
})

test('UploadClient stops for a pause and goes on after it', async () => {
  await using at = await ClientSite.open()
  const outbox = createMemoryOutbox()
  const client = await at.client({
    outbox,
    files: 2,
    chunkSize: 100_000,
    limitBytesPerSecond: 500_000,
  })
  for (const name of ['a', 'b', 'c']) await client.addStream(CONTENT, name)
  const sending = client.uploadBufferedFiles(at.url)
  await at.site.progress()

  client.pause()
  const states = (): (readonly [string, string])[] =>
    at.events.filter(([, type]) => type === 'state' || type === 'retry')
  const before = states().length
  // Nothing begins, also what is asked for now.
  const other = await at.client({ outbox })
  other.pause()
  const waiting = other.uploadBufferedFiles(at.url)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(states().length).toBe(before)
  expect((await client.getBufferedFiles()).length).toBe(3)
  client.limitBytesPerSecond = undefined
  client.resume()
  other.resume()

  expect(Object.keys({ ...(await sending), ...(await waiting) }).toSorted()).toEqual([
    'a',
    'b',
    'c',
  ])
  for (const name of ['a', 'b', 'c']) {
    expect(await at.site.dir.digest(name)).toBe(digestOf(CONTENT))
  }
})

test.each(['while it runs', 'while it is paused'])(
  'UploadClient gives up what is under way %s, and can send it later',
  async (when) => {
    await using at = await ClientSite.open()
    const client = await at.client({
      outbox: createMemoryOutbox(),
      files: 2,
      chunkSize: 100_000,
      limitBytesPerSecond: 500_000,
    })
    for (const name of ['a', 'b']) await client.addStream(CONTENT, name)
    const sending = client.uploadBufferedFiles(at.url)
    await at.site.progress()

    if (when !== 'while it runs') client.pause()
    client.cancel()

    await expect(sending).rejects.toMatchObject({ name: 'AbortError' })
    expect(await client.getBufferedFiles()).toEqual(['a', 'b'])
    client.limitBytesPerSecond = undefined
    expect(await client.uploadBufferedFiles(at.url)).toEqual({ a: 'a', b: 'b' })
    expect(await at.site.dir.digest('a')).toBe(digestOf(CONTENT))
    expect(await at.site.dir.names()).toEqual(['.ferry', 'a', 'b'])
  },
)

test('closing a client gives up what it is sending', async () => {
  await using at = await ClientSite.open()
  const outbox = createMemoryOutbox()
  const client = await at.client({ outbox, limitBytesPerSecond: 100_000 })
  await client.addStream(CONTENT, 'a')
  const sending = client.uploadBufferedFiles(at.url)
  const refused = expect(sending).rejects.toMatchObject({ name: 'AbortError' })
  await at.site.progress()

  await client.close()

  await refused
  await expect(client.getBufferedFiles()).rejects.toThrow('Cannot use the client: it is closed')
  expect(() => client.startUploadBackground(at.url)).toThrow(TypeError)
  // What was given up is free for others at once.
  expect((await outbox.list()).map(({ leasedUntil }) => leasedUntil)).toEqual([undefined])
  const other = await at.client({ outbox })
  expect(await other.uploadBufferedFiles(at.url)).toEqual({ a: 'a' })
})

test('a limit holds for all files together', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({
    outbox: createMemoryOutbox(),
    files: 4,
    limitBytesPerSecond: 1_000_000,
  })
  for (const name of ['a', 'b', 'c', 'd'])
    await client.addStream(CONTENT.subarray(0, 200_000), name)
  const startedAt = performance.now()

  await client.uploadBufferedFiles(at.url)

  // 800 kB, of which a tenth of a second may pass at once; each for itself would take a fifth.
  expect(performance.now() - startedAt).toBeGreaterThan(600)
})

test('addFolder() adds all its files under the name of the folder', async () => {
  await using at = await ClientSite.open()
  const { source } = at.site
  await mkdir(source.join('photos/2026'), { recursive: true })
  await source.write('photos/2026/a.jpg', 'a')
  await source.write('photos/b.jpg', 'b')
  const client = await at.client({ outbox: createMemoryOutbox() })

  expect(await client.addFolder(source.join('photos'))).toBe(2)
  expect(await client.uploadBufferedFiles(at.url)).toEqual({
    'photos/2026/a.jpg': 'a.jpg',
    'photos/b.jpg': 'b.jpg',
  })
})

test('uploadChunk() takes its arguments as the document has them, too', async () => {
  await using server = await OldServer.openNode1()
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox(), apiKey: server.key })

  const sent = await client.uploadChunk(server.url, Buffer.from('abc'), 0, 'a.txt')

  expect(sent.actualFilename).toBe('a.txt')
  expect(server.content('a.txt').toString()).toBe('abc')
})

test('bufferAndUpload() says when another process was faster', async () => {
  await using at = await ClientSite.open()
  const path = await at.site.source.write('a', 'a')
  const memory = createMemoryOutbox()
  const held: (AsyncDisposable | undefined)[] = []
  // Somebody else takes each item as soon as it is there.
  const outbox = overriding(memory, {
    add: async (...given) => {
      const items = await memory.add(...given)
      for (const { id } of items) held.push(await memory.lease(id))
      return items
    },
  })
  const client = await at.client({ outbox })

  await expect(client.bufferAndUpload(path, at.url)).rejects.toMatchObject({ code: 'locked' })
  expect(held.length).toBe(1)
  expect(await client.getBufferedFiles()).toEqual([path])
})

test('the outbox is looked through once, however many files it has', async () => {
  await using at = await ClientSite.open()
  const memory = createMemoryOutbox()
  let lists = 0
  let gets = 0
  const outbox = overriding(memory, {
    list: () => {
      lists++
      return memory.list()
    },
    get: (id) => {
      gets++
      return memory.get(id)
    },
  })
  const client = await at.client({ outbox, files: 8 })
  const names = Array.from({ length: 50 }, (_, index) => `${index}`)
  await memory.add(names.map((name) => ({ name, content: { mode: 'stored', pieces: [] } })))

  const sent = await client.uploadBufferedFiles(at.url)

  expect(Object.keys(sent).length).toBe(names.length)
  expect([lists, gets]).toEqual([1, 0])
})

test.each(['tus', 'ietf'] as const)(
  'a server is asked once what it speaks, where it is not told: %s',
  async (protocol) => {
    await using at = await ClientSite.open({ doors: [protocol], keys: KeyRing.of(CLIENT_KEY) })
    const client = await at.client({ outbox: createMemoryOutbox() })
    for (const name of ['a', 'b', 'c']) await client.addStream(name, name)

    await client.uploadBufferedFiles(at.site.urlFor(protocol))

    const asked = at.site.proxy.requests.filter((line) => line.startsWith('OPTIONS'))
    expect(asked.length).toBe(1)
    expect(await at.site.dir.names()).toEqual(['.ferry', 'a', 'b', 'c'])
  },
)

test('an outbox that cannot be used ends the sending at once', async () => {
  await using at = await ClientSite.open()
  const memory = createMemoryOutbox()
  const outbox = overriding(memory, { lease: () => Promise.reject(new Error('no outbox')) })
  const client = await at.client({ outbox })
  for (const name of ['a', 'b']) await client.addStream(name, name)

  await expect(client.uploadBufferedFiles(at.url)).rejects.toMatchObject({
    failures: [{ name: 'a' }],
    untried: ['b'],
    message: 'no outbox (and 1 more file was not sent)',
  })
})

test('what fails in the background is told, and tried again', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox(), apiKey: 'wrong' })
  const told: unknown[] = []
  await client.addStream('a', 'a')
  client.startUploadBackground(at.url, { checkInterval: 5, onError: (error) => told.push(error) })
  await expect.poll(() => told.length).toBeGreaterThan(1)
  client.apiKey = CLIENT_KEY

  await expect.poll(() => client.getBufferedFiles()).toEqual([])
  await client.stopUploadBackground()

  expect(told[0]).toMatchObject({ code: 'http-status', status: 401 })
})

test.each([0, 1.5, Number.NaN])('UploadClient refuses to send %d files at once', async (files) => {
  await using at = await ClientSite.open()

  await expect(at.client({ files, outbox: createMemoryOutbox() })).rejects.toMatchObject({
    code: 'config',
    option: 'files',
  })
})

function overriding(outbox: Outbox, methods: Partial<Outbox>): Outbox {
  return {
    add: (...given) => outbox.add(...given),
    list: () => outbox.list(),
    get: (id) => outbox.get(id),
    lease: (...given) => outbox.lease(...given),
    remove: (id) => outbox.remove(id),
    close: () => outbox.close(),
    [Symbol.asyncDispose]: () => outbox.close(),
    ...methods,
  }
}

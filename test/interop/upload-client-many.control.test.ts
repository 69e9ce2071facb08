/** The client of IndexedCP: ended at every moment, told nonsense, and with callbacks that throw. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  createMemoryOutbox,
  UploadClient,
  type UploadClientOptions,
} from '../../packages/ferry/src/upload/index.ts'
import { ClientSite } from '../support/client-site.ts'
import { OldServer } from '../support/indexedcp-servers.ts'
import { UncaughtErrors } from '../support/uncaught-errors.ts'

const CONTENT = randomBytes(3_000_000)

test('what is paused before it begins can be stopped, given up and closed', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox() })
  await client.addStream('a', 'a')
  client.pause()

  const stop = new AbortController()
  const sending = client.uploadBufferedFiles(at.url, stop.signal)
  client.startUploadBackground(at.url)
  // Both have come so far as to wait.
  await new Promise((resolve) => setTimeout(resolve, 20))
  stop.abort(new Error('stopped'))
  await expect(sending).rejects.toThrow('stopped')
  await client.stopUploadBackground()
  client.startUploadBackground(at.url)
  await new Promise((resolve) => setTimeout(resolve, 20))
  await client.close()

  expect(at.site.proxy.requests).toEqual([])
})

test.each(['cancel', 'close'] as const)(
  'what has been asked for and not begun ends with %s()',
  async (how) => {
    await using at = await ClientSite.open()
    const outbox = createMemoryOutbox()
    const client = await at.client({ outbox })
    const path = await at.site.source.write('b', 'b')
    await client.addStream('a', 'a')

    const calls = [
      client.uploadBufferedFiles(at.url),
      ...(how === 'cancel' ? [client.bufferAndUpload(path, at.url)] : []),
    ].map(async (call) => await expect(call).rejects.toMatchObject({ name: 'AbortError' }))
    await client[how]()

    await Promise.all(calls)
    expect(at.site.proxy.requests).toEqual([])
    expect((await outbox.list()).map(({ name }) => name)).toEqual(
      how === 'cancel' ? ['a', path] : ['a'],
    )
  },
)

test('what callbacks throw is uncaught, and costs no file', async () => {
  await using at = await ClientSite.open()
  using uncaught = new UncaughtErrors()
  const thrown = new Set<string>()
  const fail = (name: string) => (): never => {
    thrown.add(name)
    throw new Error(name)
  }
  const client = await at.client({
    outbox: createMemoryOutbox(),
    files: 2,
    onEvent: fail('onEvent'),
    onProgress: fail('onProgress'),
    onComplete: fail('onComplete'),
    onError: fail('onError'),
  })
  for (const name of ['a', 'b', 'c']) await client.addStream(name, name)
  const changed = await at.site.source.write('changed', 'one')
  await client.addFile(changed, { mode: 'reference', name: 'changed' })
  await at.site.source.write('changed', 'another')

  await expect(client.uploadBufferedFiles(at.url)).rejects.toMatchObject({
    sent: { a: 'a', b: 'b', c: 'c' },
    failures: [{ name: 'changed' }],
  })
  await expect(client.getBufferedFiles()).resolves.toEqual(['changed'])
  client.startUploadBackground(at.url, { checkInterval: 5, onError: fail('a round') })
  await expect.poll(() => thrown).toContain('a round')
  await client.stopUploadBackground()

  const messages = new Set(uncaught.errors.map((error) => (error as Error).message))
  expect(messages).toEqual(new Set(['onEvent', 'onProgress', 'onComplete', 'onError', 'a round']))
  expect(thrown).toEqual(messages)
})

test('nobody is told of a round in the background that was cancelled', async () => {
  await using at = await ClientSite.open()
  const told: unknown[] = []
  const client = await at.client({ outbox: createMemoryOutbox(), limitBytesPerSecond: 500_000 })
  await client.addStream(CONTENT, 'a')
  client.startUploadBackground(at.url, { checkInterval: 5, onError: (error) => told.push(error) })
  await at.site.progress()

  client.cancel()
  client.limitBytesPerSecond = undefined

  await expect.poll(() => client.getBufferedFiles()).toEqual([])
  await client.stopUploadBackground()
  expect(told).toEqual([])
})

test('a signal for all of the client ends what it does in the background', async () => {
  await using at = await ClientSite.open()
  const stop = new AbortController()
  const told: unknown[] = []
  const client = await at.client({ outbox: createMemoryOutbox(), signal: stop.signal })
  client.startUploadBackground(at.url, { checkInterval: 5, onError: (error) => told.push(error) })

  stop.abort()
  await client.addStream('a', 'a')
  await new Promise((resolve) => setTimeout(resolve, 50))
  await client.stopUploadBackground()

  expect(told).toEqual([])
  expect(await client.getBufferedFiles()).toEqual(['a'])
})

test.each([
  ['protocol', { protocol: 'ftp' as 'tus' }],
  ['parallel', { parallel: 0 }],
  ['stallTimeoutMs', { stallTimeoutMs: -1 }],
] satisfies [string, UploadClientOptions][])(
  'UploadClient refuses %s at once',
  (option, options) => {
    expect(() => new UploadClient(options)).toThrow(`as ${option}: expected`)
  },
)

test('sending in the background refuses a URL that is none at once', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox() })

  expect(() => client.startUploadBackground('localhost')).toThrow(
    expect.objectContaining({ code: 'config' }),
  )
})

test('a chunk size that is given is that of every chunk, with each server', async () => {
  await using server = await OldServer.openNode1()
  await using at = await ClientSite.open()
  const options = { outbox: createMemoryOutbox(), chunkSize: 1_048_576, apiKey: server.key }
  const client = await at.client(options)

  expect(await client.addStream(CONTENT, 'a')).toBe(3)
  await client.uploadBufferedFiles(at.url)
  expect(await client.addStream(CONTENT, 'a')).toBe(3)
  await client.uploadBufferedFiles(server.url)

  const posts = at.site.proxy.requests.filter((line) => line === 'POST /upload')
  expect([posts.length, server.chunks]).toEqual([3, [0, 1, 2]])
})

test('without a chunk size the number is that of 1 MiB each, as servers without ids get it', async () => {
  await using server = await OldServer.openNode1()
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox(), apiKey: server.key })

  expect(client.chunkSize).toBe(1_048_576)
  expect(await client.addStream(CONTENT, 'a')).toBe(3)
  await client.uploadBufferedFiles(server.url)
  expect(server.chunks).toEqual([0, 1, 2])

  await client.addStream(CONTENT, 'a')
  await client.uploadBufferedFiles(at.url)
  expect(at.site.proxy.requests.filter((line) => line === 'POST /upload').length).toBe(1)
})

test('a chunk may be larger than what an outbox keeps in one', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox(), chunkSize: 1_000_000_000 })

  expect(await client.addStream('a', 'a')).toBe(1)
  expect(await client.uploadBufferedFiles(at.url)).toEqual({ a: 'a' })
})

/** The client of IndexedCP with its outbox: with our server, and with one of those that exist. */
import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  createMemoryOutbox,
  IndexCPClient,
  UploadClient,
} from '../../packages/ferry/src/upload/index.ts'
import { CLIENT_KEY, ClientSite } from '../support/client-site.ts'
import { OldServer } from '../support/indexedcp-servers.ts'
import { piecesOf } from '../support/sending-site.ts'
import { digestOf } from '../support/temp-dir.ts'

const CONTENT = randomBytes(1_300_000)

test('IndexCPClient is the client', () => {
  expect(IndexCPClient).toBe(UploadClient)
})

test('UploadClient keeps what is added, and sends it with another client', async () => {
  await using at = await ClientSite.open()
  const { dir, source } = at.site
  const path = await source.write('a.bin', CONTENT)
  const empty = await source.write('empty.bin', '')
  const first = await at.client({ chunkSize: 500_000 })

  expect(await first.addFile(path)).toBe(3)
  expect(await first.addFile(empty)).toBe(0)
  expect(await first.addStream(piecesOf(CONTENT, 99_999), 'stream.bin')).toBe(3)
  await source.remove('a.bin')
  await first.close()

  const second = await at.client()
  expect(await second.getBufferedFiles()).toEqual([path, empty, 'stream.bin'])
  expect(await second.uploadBufferedFiles(at.url)).toEqual({
    [path]: 'a.bin',
    [empty]: 'empty.bin',
    'stream.bin': 'stream.bin',
  })

  expect(await second.getBufferedFiles()).toEqual([])
  expect(await dir.digest('a.bin')).toBe(digestOf(CONTENT))
  expect(await dir.digest('stream.bin')).toBe(digestOf(CONTENT))
  expect((await dir.read('empty.bin')).length).toBe(0)
  expect(at.events).toContainEqual([path, 'protocol'])
})

test('UploadClient tells what the server calls a file that it sends at once', async () => {
  await using at = await ClientSite.open()
  const client = await at.client()
  const path = await at.site.source.write('a.bin', CONTENT)

  expect(await client.bufferAndUpload(path, at.url)).toBe('a.bin')
  expect(await client.bufferAndUpload(path, at.url)).toBe('a (1).bin')
})

test('UploadClient keeps a file that could not be sent, and sends the others', async () => {
  await using at = await ClientSite.open()
  const failed: string[] = []
  const client = await at.client({ maxRetries: 0, onError: (name) => failed.push(name) })
  await client.addStream(CONTENT, 'a.bin')
  client.apiKey = 'a wrong one'

  await expect(client.uploadBufferedFiles(at.url)).rejects.toMatchObject({ status: 401 })
  expect(failed).toEqual(['a.bin'])
  expect(await client.getBufferedFiles()).toEqual(['a.bin'])

  client.apiKey = CLIENT_KEY
  expect(await client.uploadBufferedFiles(at.url)).toEqual({ 'a.bin': 'a.bin' })
})

test('UploadClient goes on where it was stopped', async () => {
  await using at = await ClientSite.open()
  const stop = new AbortController()
  const first = await at.client({ limitBytesPerSecond: 1_000_000, chunkSize: 100_000, parallel: 1 })
  await first.addStream(CONTENT, 'a.bin')
  const sending = first.uploadBufferedFiles(at.url, stop.signal)
  await at.site.progress()
  stop.abort(new Error('stopped'))
  await expect(sending).rejects.toThrow('stopped')

  const second = await at.client()
  await second.uploadBufferedFiles(at.url)

  expect(await at.site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
  expect(await at.site.dir.names()).toEqual(['.ferry', 'a.bin'])
})

test('UploadClient sends in the background what is added, also when the server comes late', async () => {
  await using at = await ClientSite.open()
  await at.site.proxy.goDown()
  const client = await at.client({ maxRetries: 0 })
  client.startUploadBackground(at.url, { checkInterval: 20 })
  await client.addStream(CONTENT, 'a.bin')
  await at.site.proxy.comeUp()

  await expect.poll(() => client.getBufferedFiles(), { timeout: 20_000 }).toEqual([])
  await client.stopUploadBackground()

  expect(await at.site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
})

test('clearBuffer() empties the outbox', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox() })
  await client.addStream('one', 'a')
  await client.addStream('two', 'b')

  expect(await client.clearBuffer()).toBe(2)
  expect(await client.getBufferedFiles()).toEqual([])
  expect(await client.uploadBufferedFiles(at.url)).toEqual({})
})

test('uploadChunk() sends one chunk past the outbox', async () => {
  await using server = await OldServer.openNode1()
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox(), apiKey: server.key })

  const sent = await client.uploadChunk(server.url, Buffer.from('abc'), {
    index: 0,
    fileName: 'dir/a.txt',
  })

  expect(sent).toEqual({ actualFilename: 'a.txt', alreadyReceived: false })
  expect(server.content('a.txt').toString()).toBe('abc')
  client.apiKey = 'wrong'
  await expect(
    client.uploadChunk(server.url, Buffer.from('d'), { index: 1, fileName: 'a.txt' }),
  ).rejects.toMatchObject({ status: 401 })
})

test('getApiKey() takes the property, then the environment, and asks nobody where there is nobody', async () => {
  await using at = await ClientSite.open()
  const client = await at.client({ outbox: createMemoryOutbox(), apiKey: undefined })
  onTestFinished(() => void vi.unstubAllEnvs())

  vi.stubEnv('INDEXCP_API_KEY', 'from the environment')
  expect(await client.getApiKey()).toBe('from the environment')
  client.apiKey = 'mine'
  expect(await client.getApiKey()).toBe('mine')

  vi.stubEnv('INDEXCP_API_KEY', '')
  client.apiKey = undefined
  await expect(client.getApiKey()).rejects.toMatchObject({ code: 'config', option: 'apiKey' })
})

test('UploadClient refuses a chunk size that is none', () => {
  expect(() => new UploadClient({ chunkSize: 0 })).toThrow('Cannot use 0 as chunkSize')
})

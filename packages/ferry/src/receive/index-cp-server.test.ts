import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSimpleServer, IndexCPServer, type IndexCPServerOptions } from './index-cp-server.ts'
import { UploadFolder } from './upload-folder.ts'

const KEY = 'k'.repeat(64)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function chunk(content: string, headers: Record<string, string> = {}): RequestInit {
  const fields = { 'X-Chunk-Index': '0', 'X-File-Name': 'a.txt', ...headers }
  return { method: 'POST', body: content, headers: fields }
}

function send(url: string, index: number, content: string): Promise<Response> {
  const headers = { Authorization: `Bearer ${KEY}`, 'X-Chunk-Index': String(index) }
  return fetch(`${url}/upload`, chunk(content, headers))
}

test('IndexCPServer takes the options that its users know', async () => {
  const asked: string[] = []
  await using server = new IndexCPServer({
    outputDir: folder,
    port: 0,
    apiKey: KEY,
    filenameGenerator: (name) => {
      asked.push(name)
      return `stored-${name}`
    },
  })
  let isCalled = false
  const url = await server.listen(undefined, () => {
    isCalled = true
  })

  const reply = await fetch(`${url}/upload`, chunk('abc', { Authorization: `Bearer ${KEY}` }))

  expect(isCalled).toBe(true)
  expect(asked).toEqual(['a.txt'])
  expect(await reply.json()).toMatchObject({ actualFilename: 'stored-a.txt' })
  expect((await fetch(`${url}/upload`, chunk('abc'))).status).toBe(401)
})

test('IndexCPServer makes a key of its own where none is given', () => {
  const [one, two] = [new IndexCPServer(), new IndexCPServer()]

  expect(one.apiKey).toMatch(/^[0-9a-f]{64}$/)
  expect(one.apiKey).not.toBe(two.apiKey)
  expect(one.port).toBe(3000)
})

test('createSimpleServer() receives into one file, and answers with text', async () => {
  const server = await createSimpleServer(join(folder, 'out.bin'), 0)
  const url = server.url as string

  const reply = await fetch(`${url}/upload`, chunk('abc'))
  await fetch(`${url}/upload`, chunk('def', { 'X-Chunk-Index': '1' }))
  await server.close()

  expect([reply.status, await reply.text()]).toEqual([200, 'Chunk received\n'])
  expect(await readFile(join(folder, 'out.bin'), 'utf8')).toBe('abcdef')
})

test('IndexCPServer tells the chunks of a file, and forgets them when it is told to', async () => {
  await using server = new IndexCPServer({ outputDir: folder, port: 0, apiKey: KEY })
  expect(server.getReceivedChunks('a.txt')).toEqual([])
  const url = await server.listen()
  for (const [index, content] of ['abc', 'def', 'later'].entries()) {
    await send(url, index === 2 ? 4 : index, content)
  }
  expect(server.getReceivedChunks('a.txt')).toEqual([0, 1, 4])
  expect(server.isChunkReceived('a.txt', 1)).toBe(true)
  expect(server.isChunkReceived('a.txt', 2)).toBe(false)
  expect(server.isChunkReceived('b.txt', 0)).toBe(false)

  await server.clearChunkTracking('b.txt')
  expect(server.getReceivedChunks('a.txt')).toEqual([0, 1, 4])
  await server.clearChunkTracking('a.txt')
  expect(server.getReceivedChunks('a.txt')).toEqual([])
  await send(url, 0, 'abc')
  await server.clearChunkTracking()

  expect(server.getReceivedChunks('a.txt')).toEqual([])
  expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('abcdef')
  expect(await readFile(join(folder, 'a (1).txt'), 'utf8')).toBe('abc')
  expect(await readdir(join(folder, '.ferry/uploads'))).toEqual(
    expect.not.arrayContaining([expect.stringMatching(/\.data$/)]),
  )
})

test('IndexCPServer.createServer() gives a server that one listens on by oneself', async () => {
  await using server = new IndexCPServer({ outputDir: join(folder, 'in'), apiKey: KEY })
  const own = server.createServer()
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(own.address() as AddressInfo).port}`

  const statuses = [(await send(url, 0, 'abc')).status, (await fetch(`${url}/upload`)).status]

  await server.close()
  own.closeAllConnections()
  own.close()
  expect(statuses).toEqual([200, 401])
  expect(await readFile(join(folder, 'in/a.txt'), 'utf8')).toBe('abc')
})

test('IndexCPServer answers that it cannot, without saying why, until it can', async () => {
  await using server = new IndexCPServer({ outputDir: folder, apiKey: KEY })
  const own = server.createServer()
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(own.address() as AddressInfo).port}`
  const other = await UploadFolder.open(folder)

  const refused = await send(url, 0, 'abc')
  await other.close()
  const taken = await send(url, 0, 'abc')

  own.closeAllConnections()
  own.close()
  expect([refused.status, taken.status]).toEqual([500, 200])
  expect(await refused.text()).not.toContain(folder)
})

test('IndexCPServer takes packets of the encrypted mode where that is wanted', async () => {
  await using plain = new IndexCPServer({ outputDir: join(folder, 'a'), port: 0, apiKey: KEY })
  await using encrypted = new IndexCPServer({
    outputDir: join(folder, 'b'),
    port: 0,
    apiKey: KEY,
    encryption: true,
  })

  const statuses = [
    (await fetch(`${await plain.listen()}/public-key`)).status,
    (await fetch(`${await encrypted.listen()}/public-key`)).status,
  ]

  expect(statuses).toEqual([401, 200])
})

test.each([
  ['output_dir', 'outputDir'],
  ['api_key', 'apiKey'],
  ['filename_generator', 'filenameGenerator'],
])('IndexCPServer says what %s is called here, rather than not to read it', (name, own) => {
  const options = { [name]: 'x' } as IndexCPServerOptions

  expect(() => new IndexCPServer(options)).toThrow(`Cannot use ${name}: its name is ${own}`)
})

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { UploadFolder } from './upload-folder.ts'
import { UploadServer, type UploadFolderServerOptions } from './upload-server.ts'

// Far above what it takes, far below what somebody waits for who does not notice that he may go.
const PROMPT_MS = 3000

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** A client that never reads what it is told before it has sent everything. */
class RawClient {
  readonly socket: Socket
  /** What came until the connection was closed. */
  readonly reply: Promise<string>

  /** @param allowHalfOpen whether it goes on sending when the server has ended its side */
  constructor(url: string, { allowHalfOpen = false } = {}) {
    this.socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen })
    this.socket.on('error', () => {})
    this.reply = new Promise((resolve) => {
      let text = ''
      this.socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
      this.socket.on('close', () => resolve(text))
    })
  }

  send(text: string): Promise<void> {
    return new Promise((resolve) => this.socket.write(text, () => resolve()))
  }

  upload(name: string, length: number, content: string): Promise<void> {
    const head = `POST /upload HTTP/1.1\r\nHost: h\r\nX-File-Name: ${name}\r\n`
    return this.send(`${head}Content-Length: ${length}\r\n\r\n${content}`)
  }
}

async function open(
  options: UploadFolderServerOptions = {},
): Promise<{ server: UploadServer; url: string }> {
  const server = await UploadServer.open(folder, options)
  return { server, url: await server.listen() }
}

function isReceiving({ core }: UploadServer): boolean {
  return [...core.list()].some((upload) => upload.isReceiving)
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

test('UploadServer.close() tells clients that are sending, at once, and the folder can be opened again', async () => {
  const { server, url } = await open()
  const client = new RawClient(url)
  await client.upload('a.bin', 9, 'abc')
  await expect.poll(() => isReceiving(server)).toBe(true)

  const tookMs = await timed(() => server.close())

  expect(tookMs).toBeLessThan(PROMPT_MS)
  expect(await client.reply).toMatch(/^HTTP\/1\.1 503 /)
  await using again = await UploadServer.open(folder)
  expect(again.core.problems).toEqual([])
})

test('UploadServer.close() waits for nobody who goes on sending, and the answer gets through', async () => {
  const { server, url } = await open()
  const client = new RawClient(url, { allowHalfOpen: true })
  await client.upload('a.bin', 1_000_000_000, 'x'.repeat(1000))
  const timer = setInterval(() => client.socket.write('x'), 10)
  await expect.poll(() => isReceiving(server)).toBe(true)

  const tookMs = await timed(() => server.close())

  const reply = await client.reply
  clearInterval(timer)
  expect(tookMs).toBeLessThan(PROMPT_MS)
  expect(reply).toMatch(/^HTTP\/1\.1 503 /)
})

test('UploadServer.close() closes connections at once that are idle, or in the middle of a head', async () => {
  const { server, url } = await open()
  const idle = new RawClient(url)
  const slow = new RawClient(url)
  await idle.upload('a.bin', 3, 'abc')
  await expect.poll(() => readFile(join(folder, 'a.bin'), 'utf8')).toBe('abc')
  await slow.send('POST /upload HTTP/1.1\r\nHost: h\r\nX-')

  const tookMs = await timed(() => server.close())

  expect(tookMs).toBeLessThan(PROMPT_MS)
  expect(await idle.reply).toMatch(/^HTTP\/1\.1 200 /)
  expect(await slow.reply).toBe('')
})

test('UploadServer.close() does not wait for a chunk that is compared with what is there', async () => {
  const clock = new FakeClock()
  const { server, url } = await open({ indexedcp: { clock } })
  await fetch(`${url}/upload`, { method: 'POST', body: 'abcdef' })
  const timers = clock.pending
  const client = new RawClient(url)
  await client.upload('uploaded_file.txt', 6, 'abc')
  // It is watched whether it comes.
  await expect.poll(() => clock.pending).toBeGreaterThan(timers)

  const tookMs = await timed(() => server.close())

  expect(tookMs).toBeLessThan(PROMPT_MS)
  expect(await client.reply).toMatch(/^HTTP\/1\.1 503 /)
})

test('whatever is acknowledged while a server closes is there', async () => {
  const { server, url } = await open()
  let closing: Promise<void> | undefined
  const send = async (n: number): Promise<string[]> => {
    const sent: string[] = []
    for (let index = 0; ; index++) {
      const headers = { 'X-File-Name': `${n}.txt`, 'X-Chunk-Index': String(index) }
      const body = `${n}-${index}.`
      const reply = await fetch(`${url}/upload`, { method: 'POST', headers, body }).catch(() => {})
      if (reply?.status !== 200) return sent
      sent.push(body)
      if (n === 0 && index === 5) closing = server.close()
    }
  }

  const sent = await Promise.all(Array.from({ length: 8 }, (_, n) => send(n)))

  await closing
  for (const [n, chunks] of sent.entries()) {
    const stored = await readFile(join(folder, `${n}.txt`), 'utf8').catch(() => '')
    expect(stored.startsWith(chunks.join(''))).toBe(true)
  }
})

test('UploadServer.close() gives up an answer that is never made', async () => {
  const asked = Promise.withResolvers<void>()
  const { server, url } = await open({
    indexedcp: {
      filenameGenerator: () => {
        asked.resolve()
        return new Promise(() => {})
      },
    },
  })
  const client = new RawClient(url)
  await client.upload('a.bin', 3, 'abc')
  await asked.promise

  await server.close()

  expect(await client.reply).toBe('')
})

test('a handler on a server of one’s own ends with its UploadServer, and answers no more', async () => {
  await using uploads = await UploadFolder.open(folder)
  const server = new UploadServer(uploads.core)
  const own = createServer((request, response) => void server.handler(request, response))
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(own.address() as AddressInfo).port}`
  const client = new RawClient(url)
  await client.upload('a.bin', 9, 'abc')
  await expect.poll(() => isReceiving(server)).toBe(true)

  const tookMs = await timed(() => server.close())
  const late = await fetch(`${url}/upload`, { method: 'POST', body: 'abc' })

  own.closeAllConnections()
  own.close()
  expect(tookMs).toBeLessThan(PROMPT_MS)
  expect(await client.reply).toBe('')
  expect(isReceiving(server)).toBe(false)
  expect(late.status).toBe(503)
})

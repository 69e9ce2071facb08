/** Parts of an upload by tus that are put together, when the answer to that is lost. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { UploadServer } from '../../packages/ferry/src/receive/index.ts'
import {
  upload,
  type Upload,
  type UploadNote,
  type UploadOptions,
} from '../../packages/ferry/src/upload/index.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(2_500_000)

const source = await TempDir.create()
// What has a fingerprint can go on in another run.
const sourcePath = await source.write('a.bin', CONTENT)
afterAll(() => source[Symbol.asyncDispose]())

async function listen(
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<string> {
  const server = createServer((request, response) => void handle(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/files`
}

function isJoin({ headers }: IncomingMessage): boolean {
  return headers['upload-concat']?.toString().startsWith('final') === true
}

/** A folder to receive in, whose server does all of what it is asked and loses answers. */
class Site implements AsyncDisposable {
  readonly dir: TempDir
  readonly uploads: UploadServer
  /** How many answers to putting together are still to be lost. */
  lost = 1
  joins = 0

  private constructor(dir: TempDir, uploads: UploadServer) {
    this.dir = dir
    this.uploads = uploads
  }

  static async open(): Promise<Site> {
    const dir = await TempDir.create()
    return new Site(dir, await UploadServer.open(dir.path))
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isJoin(request)) return await this.uploads.handler(request, response)
    this.joins++
    if (this.lost-- > 0) {
      response.end = () => {
        request.socket.destroy()
        return response
      }
    }
    await this.uploads.handler(request, response)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.uploads.close()
    await this.dir[Symbol.asyncDispose]()
  }
}

function send(url: string, options: UploadOptions = {}): Upload {
  return upload(sourcePath, url, {
    protocol: 'tus',
    name: 'a.bin',
    parallel: 2,
    retryDelayMs: 1,
    ...options,
  })
}

async function expectDeliveredOnce(site: Site): Promise<void> {
  expect(await site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
  expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
}

test('upload() puts parts together again at our server, and has one file', async () => {
  await using site = await Site.open()
  site.lost = 2
  const url = await listen((request, response) => site.handle(request, response))

  const { transmittedBytes, uploadUrl } = await send(url).result

  expect(site.joins).toBe(3)
  expect(transmittedBytes).toBe(CONTENT.length)
  expect([...site.uploads.core.list()].map(({ id }) => id)).toContain(uploadUrl?.split('/').at(-1))
  await expectDeliveredOnce(site)
})

test('upload() finds in another run that parts were put together at our server', async () => {
  await using site = await Site.open()
  const url = await listen((request, response) => site.handle(request, response))
  const first = send(url, { maxRetries: 0 })
  await expect(first.result).rejects.toMatchObject({ code: 'connection-lost' })
  const saved = JSON.parse(JSON.stringify(first.note)) as UploadNote

  const { transmittedBytes, resumedBytes } = await send(url, { saved, parallel: 1 }).result

  expect([transmittedBytes, resumedBytes]).toEqual([0, CONTENT.length])
  await expectDeliveredOnce(site)
})

test('upload() does not send again what our server has forgotten that it put together', async () => {
  await using site = await Site.open()
  const url = await listen((request, response) => site.handle(request, response))
  const first = send(url, { maxRetries: 0 })
  await expect(first.result).rejects.toMatchObject({ code: 'connection-lost' })
  for (const { id } of [...site.uploads.core.list()]) await site.uploads.core.terminate(id)

  const again = send(url, { saved: first.note })

  await expect(again.result).rejects.toMatchObject({ code: 'delivery-in-doubt' })
  await expectDeliveredOnce(site)
})

test('upload() begins anew where parts are gone before they were put together', async () => {
  await using site = await Site.open()
  site.lost = 0
  let isFirst = true
  const url = await listen(async (request, response) => {
    if (isJoin(request) && isFirst) {
      isFirst = false
      for (const { id } of [...site.uploads.core.list()]) await site.uploads.core.terminate(id)
    }
    await site.handle(request, response)
  })
  const events: string[] = []

  await send(url, { onEvent: ({ type }) => events.push(type) }).result

  expect(events).toContain('restart')
  await expectDeliveredOnce(site)
})

/** A server of tus that says nothing of repetition, and lets go of parts that it has put together. */
async function openForeign(): Promise<{ readonly url: string; readonly files: Buffer[] }> {
  const tus = { 'Tus-Resumable': '1.0.0' }
  const parts = new Map<string, Buffer>()
  const files: Buffer[] = []
  let count = 0
  const url = await listen(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const { method, url: path = '' } = request
    const part = parts.get(path)
    if (method === 'OPTIONS') {
      const extensions = { 'Tus-Extension': 'creation,concatenation', 'Tus-Version': '1.0.0' }
      response.writeHead(204, { ...tus, ...extensions }).end()
    } else if (isJoin(request)) {
      const [, ...urls] = /^final;(\S+) (\S+)$/.exec(String(request.headers['upload-concat'])) ?? []
      const paths = urls.map((one) => new URL(one).pathname)
      files.push(Buffer.concat(paths.map((one) => parts.get(one) ?? Buffer.alloc(0))))
      parts.clear()
      request.socket.destroy()
    } else if (method === 'POST') {
      parts.set(`/files/${++count}`, Buffer.alloc(0))
      response.writeHead(201, { ...tus, Location: `/files/${count}` }).end()
    } else if (part === undefined) {
      response.writeHead(404, tus).end()
    } else {
      const whole = Buffer.concat([part, ...pieces])
      parts.set(path, whole)
      const status = method === 'PATCH' ? 204 : 200
      response.writeHead(status, { ...tus, 'Upload-Offset': String(whole.length) }).end()
    }
  })
  return { url, files }
}

test('upload() says that it does not know, where a server can tell nothing, in each run', async () => {
  const { url, files } = await openForeign()
  const first = send(url)
  await expect(first.result).rejects.toMatchObject({ code: 'delivery-in-doubt' })

  const again = send(url, { saved: first.note })

  await expect(again.result).rejects.toMatchObject({ code: 'delivery-in-doubt' })
  expect(files.length).toBe(1)
  expect(files[0]?.equals(CONTENT)).toBe(true)
})

test('upload() sends again what may be there only where it is told to', async () => {
  const { url, files } = await openForeign()
  const first = send(url)
  await first.result.catch(() => {})
  const events: string[] = []

  const again = send(url, {
    saved: first.note,
    onDoubt: 'resend',
    maxRetries: 0,
    onEvent: ({ type }) => events.push(type),
  })

  // It loses this answer as well.
  await expect(again.result).rejects.toMatchObject({ code: 'connection-lost' })
  expect(events).toEqual(expect.arrayContaining(['doubt', 'restart']))
  expect(files.length).toBe(2)
})

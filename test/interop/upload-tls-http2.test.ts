/** Our sending side over TLS and HTTP/2: with our own handler in a server of Node's, and behind nginx. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { HttpClient } from '../../packages/ferry/src/client/index.ts'
import { KeyRing, UploadServer } from '../../packages/ferry/src/receive/index.ts'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import {
  createMemoryOutbox,
  type Upload,
  upload,
  UploadClient,
  type UploadEvent,
  type UploadInput,
  type UploadOptions,
  type UploadProtocolName,
} from '../../packages/ferry/src/upload/index.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { piecesOf } from '../support/sending-site.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { startUploadNginx, type UploadNginxOptions } from '../support/upload-nginx.ts'

const CERTIFICATE = createCertificate('DNS:localhost,IP:127.0.0.1')
const CONTENT = randomBytes(3_000_000)
const PROTOCOLS: readonly UploadProtocolName[] = ['indexedcp', 'tus', 'ietf']
const VERSIONS = ['1.1', '2.0'] as const
type Version = (typeof VERSIONS)[number]
const MATRIX = VERSIONS.flatMap((version) => PROTOCOLS.map((name) => [version, name] as const))
const SLOW: UploadOptions = { limitBytesPerSecond: 1_500_000 }

/** A server of uploads over TLS, and a client that speaks one version of HTTP with it. */
class Site implements AsyncDisposable {
  readonly dir: TempDir
  readonly uploads: UploadServer
  readonly client: HttpClient
  readonly events: UploadEvent[] = []
  /** Versions of HTTP that requests came by. */
  readonly versions = new Set<string>()
  readonly sessions = new Set<ServerHttp2Session>()
  readonly proxy: FaultProxy
  readonly #server: Http2SecureServer

  private constructor(
    parts: Pick<Site, 'dir' | 'uploads' | 'client' | 'proxy'>,
    server: Http2SecureServer,
  ) {
    this.dir = parts.dir
    this.uploads = parts.uploads
    this.client = parts.client
    this.proxy = parts.proxy
    this.#server = server
    server.on('session', (session) => this.sessions.add(session))
  }

  static async open(version: Version, keys?: KeyRing): Promise<Site> {
    const dir = await TempDir.create()
    const uploads = await UploadServer.open(dir.path, {
      uploads: { checkpointMs: 5 },
      ...(keys === undefined ? {} : { keys }),
    })
    const site: { opened?: Site } = {}
    const server = createSecureServer({ ...CERTIFICATE, allowHTTP1: true }, (request, response) => {
      site.opened?.versions.add(request.httpVersion)
      void uploads.handler(request, response)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const proxy = await FaultProxy.open(() => (server.address() as AddressInfo).port)
    const client = clientOf(version)
    site.opened = new Site({ dir, uploads, client, proxy }, server)
    return site.opened
  }

  /** With what breaks connections in between. */
  get url(): string {
    return this.proxy.url.replace('http:', 'https:')
  }

  send(input: UploadInput, protocol: UploadProtocolName, options: UploadOptions = {}): Upload {
    return upload(input, `${this.url}${pathOf(protocol)}`, {
      protocol,
      name: 'a.bin',
      client: this.client,
      retryDelayMs: 5,
      onEvent: (event) => this.events.push(event),
      ...options,
    })
  }

  progress(): Promise<void> {
    return progressOf(this.uploads)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
    await this.proxy[Symbol.asyncDispose]()
    await this.uploads.close()
    for (const session of this.sessions) session.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.dir[Symbol.asyncDispose]()
  }
}

function pathOf(protocol: UploadProtocolName): string {
  return protocol === 'indexedcp' ? '/upload' : '/files'
}

function clientOf(version: Version): HttpClient {
  return new HttpClient({
    tls: { ca: CERTIFICATE.cert },
    http2: version === '2.0' ? 'alpn' : 'off',
  })
}

function progressOf({ core }: UploadServer): Promise<void> {
  return new Promise((resolve) => {
    const end = core.subscribe(({ type }) => {
      if (type !== 'progress') return
      end()
      resolve()
    })
  })
}

async function expectDelivered(dir: TempDir): Promise<void> {
  expect(await dir.digest('a.bin')).toBe(digestOf(CONTENT))
  expect(await dir.names()).toEqual(['.ferry', 'a.bin'])
}

test.each(MATRIX)('upload() over TLS by HTTP/%s sends a file by %s', async (version, protocol) => {
  await using site = await Site.open(version)
  await using source = await TempDir.create()
  const path = await source.write('a.bin', CONTENT)

  const { transmittedBytes } = await site.send(path, protocol, { parallel: 3 }).result

  expect(transmittedBytes).toBe(CONTENT.length)
  expect([...site.versions]).toEqual([version])
  await expectDelivered(site.dir)
})

test.each(MATRIX)(
  'upload() over TLS by HTTP/%s sends a stream by %s',
  async (version, protocol) => {
    await using site = await Site.open(version)

    await site.send(piecesOf(CONTENT, 130_000), protocol, { chunkBytes: 400_000 }).result

    await expectDelivered(site.dir)
  },
)

test.each(MATRIX)('upload() over TLS by HTTP/%s sends nothing by %s', async (version, protocol) => {
  await using site = await Site.open(version)

  await site.send(Buffer.alloc(0), protocol).result

  expect((await site.dir.read('a.bin')).length).toBe(0)
})

test.each(MATRIX)(
  'upload() over TLS by HTTP/%s survives broken connections by %s',
  async (version, protocol) => {
    await using site = await Site.open(version)
    const running = site.send(CONTENT, protocol, SLOW)
    for (let cuts = 0; cuts < 2; cuts++) {
      await site.progress()
      site.proxy.cut()
    }
    running.limitBytesPerSecond = undefined

    await running.result

    expect(site.events.map(({ type }) => type)).toContain('retry')
    await expectDelivered(site.dir)
  },
)

test.each(PROTOCOLS)(
  'upload() by %s goes on when the server closes an HTTP/2 connection in peace',
  async (protocol) => {
    await using site = await Site.open('2.0')
    const running = site.send(CONTENT, protocol, { ...SLOW, chunkBytes: 500_000 })
    await site.progress()

    // GOAWAY: what is on its way may end, what comes next needs another connection.
    for (const session of site.sessions) session.close()
    running.limitBytesPerSecond = undefined
    await running.result

    await expectDelivered(site.dir)
  },
)

test.each(PROTOCOLS)('pause() and cancel() by %s leave the connection to others', async (name) => {
  await using site = await Site.open('2.0')
  const running = site.send(CONTENT, name, { ...SLOW, chunkBytes: 300_000 })
  await expect.poll(() => running.progress().acknowledgedBytes).toBeGreaterThan(0)
  running.pause()
  await site.send(Buffer.from('other'), name, { name: 'other' }).result
  running.limitBytesPerSecond = undefined
  running.resume()

  await running.result

  expect(await site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
  expect((await site.dir.read('other')).toString()).toBe('other')
  expect(site.sessions.size).toBe(1)
})

test.each(VERSIONS)('a server whose certificate nobody knows gets nothing by HTTP/%s', async () => {
  await using site = await Site.open('2.0')
  await using client = new HttpClient()

  const { result } = site.send(CONTENT, 'tus', { client, maxRetries: 5 })

  await expect(result).rejects.toMatchObject({ code: 'tls-failed' })
  // To try again would not help.
  expect(site.events.map(({ type }) => type)).not.toContain('retry')
  expect(site.versions.size).toBe(0)
})

test('UploadClient sends many files over one connection by HTTP/2', async () => {
  await using site = await Site.open('2.0', KeyRing.of('a-key'))
  await using outbox = createMemoryOutbox()
  const { client: http } = site
  await using client = new UploadClient({ client: http, outbox, files: 4, apiKey: 'a-key' })
  const names = Array.from({ length: 30 }, (_, index) => `file ${index}`)
  for (const name of names) await client.addStream(name.repeat(1000), name)

  const sent = await client.uploadBufferedFiles(`${site.url}/upload`)

  expect(Object.values(sent)).toEqual(names)
  expect(site.sessions.size).toBe(1)
  for (const name of names) expect((await site.dir.read(name)).toString()).toBe(name.repeat(1000))
})

// ── Behind nginx

/** A server of uploads behind nginx with TLS. */
async function openBehindNginx(
  version: Version,
  options: Pick<UploadNginxOptions, 'maxBodyBytes' | 'buffers' | 'passesInterims'> = {},
): Promise<{
  readonly dir: TempDir
  readonly uploads: UploadServer
  readonly send: (protocol: UploadProtocolName, options?: UploadOptions) => Upload
}> {
  const stack = new AsyncDisposableStack()
  onTestFinished(() => stack.disposeAsync())
  const dir = stack.use(await TempDir.create())
  const uploads = await UploadServer.open(dir.path, { uploads: { checkpointMs: 5 } })
  stack.defer(() => uploads.close())
  const port = Number(new URL(await uploads.listen()).port)
  const nginx = await startUploadNginx({
    certificate: CERTIFICATE,
    port,
    http2: version === '2.0',
    ...options,
  })
  stack.use(nginx)
  const client = stack.use(clientOf(version))
  const url = `https://127.0.0.1:${nginx.ports[0]}`
  return {
    dir,
    uploads,
    send: (protocol, more) =>
      upload(CONTENT, `${url}${pathOf(protocol)}`, {
        protocol,
        name: 'a.bin',
        client,
        retryDelayMs: 5,
        ...more,
      }),
  }
}

test.each(MATRIX)('upload() through nginx by HTTP/%s and %s', async (version, protocol) => {
  for (const buffers of [false, true]) {
    const { dir, send } = await openBehindNginx(version, { buffers })

    await send(protocol, { parallel: 2 }).result

    await expectDelivered(dir)
  }
})

test.each(MATRIX)(
  'nginx answers 413 while content comes, by HTTP/%s: upload() by %s sends smaller pieces',
  async (version, protocol) => {
    const { dir, send } = await openBehindNginx(version, { maxBodyBytes: 1_000_000 })
    const events: UploadEvent[] = []

    await send(protocol, { chunkBytes: 2_000_000, onEvent: (event) => events.push(event) }).result

    // It is no failure that would count as one.
    expect(events.map(({ type }) => type)).not.toContain('restart')
    await expectDelivered(dir)
  },
)

test.each(MATRIX)(
  'upload() through nginx by HTTP/%s and %s waits while the server behind it is away',
  async (version, protocol) => {
    const { dir, uploads, send } = await openBehindNginx(version)
    const running = send(protocol, { ...SLOW, maxRetries: 100, maxRetryDelayMs: 50 })
    await Promise.race([progressOf(uploads), running.result])
    const { port } = new URL(uploads.url as string)
    await uploads.close()
    await using again = await UploadServer.open(dir.path, { uploads: { checkpointMs: 5 } })
    await again.listen({ port: Number(port) })
    running.limitBytesPerSecond = undefined

    await running.result

    await expectDelivered(dir)
  },
)

test('nginx breaks the draft over HTTP/2 where it lets interim responses come: that is told', async () => {
  const { dir, send } = await openBehindNginx('2.0', { passesInterims: true })

  await expect(send('ietf').result).rejects.toMatchObject({ code: 'remote-protocol' })

  expect(await dir.names()).toEqual(['.ferry'])
})

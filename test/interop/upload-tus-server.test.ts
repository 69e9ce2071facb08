/** Our sending side with the reference server of tus. */
import { randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import {
  type Upload,
  upload,
  type UploadEvent,
  type UploadInput,
  type UploadOptions,
} from '../../packages/ferry/src/upload/index.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { piecesOf } from '../support/sending-site.ts'
import { digestOf } from '../support/temp-dir.ts'
import { TusReferenceServer } from '../support/tus-reference-server.ts'

const CONTENT = randomBytes(3_000_000)

class Site implements AsyncDisposable {
  readonly server: TusReferenceServer
  readonly proxy: FaultProxy
  readonly events: UploadEvent[] = []

  private constructor(server: TusReferenceServer, proxy: FaultProxy) {
    this.server = server
    this.proxy = proxy
  }

  static async open(): Promise<Site> {
    const server = await TusReferenceServer.open()
    return new Site(server, await FaultProxy.open(() => server.port))
  }

  send(input: UploadInput, options: UploadOptions = {}): Upload {
    return upload(input, `${this.proxy.url}/files`, {
      name: 'a.bin',
      retryDelayMs: 20,
      onEvent: (event) => this.events.push(event),
      ...options,
    })
  }

  /** Digest of what has arrived as the upload of that URL. */
  digest(uploadUrl: string | undefined): Promise<string> {
    return this.server.dir.digest(basename(uploadUrl as string))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
  }
}

test.each<[string, () => UploadInput, UploadOptions]>([
  ['bytes', () => CONTENT, {}],
  ['bytes in chunks', () => CONTENT, { chunkBytes: 700_000 }],
  ['bytes with their creation', () => CONTENT, { createWithContent: true }],
  // It cannot put parts together, nor check digests: they are sent as one, and without.
  ['bytes in parallel', () => CONTENT, { parallel: 3 }],
  ['bytes with checksums', () => CONTENT, { checksum: true }],
  ['a stream', () => piecesOf(CONTENT, 300_000), { chunkBytes: 700_000 }],
  ['nothing', () => Buffer.alloc(0), {}],
])(
  'upload() finds out that the reference server speaks tus, and sends %s',
  async (_, create, options) => {
    await using site = await Site.open()

    const { protocol, uploadUrl, size } = await site.send(create(), options).result

    expect(protocol).toBe('tus')
    expect(await site.digest(uploadUrl)).toBe(digestOf(size === 0 ? Buffer.alloc(0) : CONTENT))
    expect(site.events.map(({ type }) => type)).not.toContain('retry')
  },
)

test('upload() to the reference server goes on after broken connections', async () => {
  await using site = await Site.open()
  for (const afterBytes of [1_000_000, 500_000])
    site.proxy.faults.push({ afterBytes, lose: 'request' })
  site.proxy.faults.push({ afterBytes: 200_000, lose: 'answer' })

  const { uploadUrl } = await site.send(CONTENT, { protocol: 'tus' }).result

  expect(await site.digest(uploadUrl)).toBe(digestOf(CONTENT))
  expect(site.proxy.offsets.length).toBeGreaterThanOrEqual(2)
  expect(site.proxy.requests.filter((line) => line.startsWith('POST')).length).toBe(1)
})

test('upload() to the reference server goes on in another run', async () => {
  await using site = await Site.open()
  const path = await site.server.dir.write('source.bin', CONTENT)
  const first = site.send(path, { chunkBytes: 500_000, limitBytesPerSecond: 10_000_000 })
  await expect.poll(() => first.progress().acknowledgedBytes).toBeGreaterThan(0)
  await first.cancel()

  const { uploadUrl, resumedBytes } = await site.send(path, { saved: first.note }).result

  expect(resumedBytes).toBeGreaterThanOrEqual(500_000)
  expect(await site.digest(uploadUrl)).toBe(digestOf(CONTENT))
})

test('upload() to the reference server can be taken back', async () => {
  await using site = await Site.open()
  const running = site.send(CONTENT, { chunkBytes: 500_000, limitBytesPerSecond: 5_000_000 })
  await expect.poll(() => running.progress().acknowledgedBytes).toBeGreaterThan(0)

  await running.cancel({ terminate: true })

  expect(await site.server.dir.names()).toEqual([])
})

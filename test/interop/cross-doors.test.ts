/** Uploads that are begun by one protocol and finished by another, with clients of each. */
import { randomBytes } from 'node:crypto'
import { UploadServer } from 'ferry/receive'
import { Upload, type UploadOptions } from 'tus-js-client'
import { expect, test } from 'vitest'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { curl } from '../support/upload-curl.ts'

const CHUNK = 400_000
const CONTENT = randomBytes(4 * CHUNK)
const PIECE = 'Content-Type: application/partial-upload'

/** A folder and a server for it. */
class Site implements AsyncDisposable {
  readonly dir: TempDir
  readonly server: UploadServer
  readonly url: string

  private constructor(dir: TempDir, server: UploadServer, url: string) {
    this.dir = dir
    this.server = server
    this.url = url
  }

  static async open(): Promise<Site> {
    const dir = await TempDir.create()
    const server = await UploadServer.open(dir.path)
    return new Site(dir, server, await server.listen())
  }

  /** The URL of an upload, whatever door it came in by. */
  urlOf(id: string): string {
    return `${this.url}/files/${id}`
  }

  /** Sends a chunk as a client of IndexedCP that knows its upload. */
  async sendChunk(index: number): Promise<Record<string, unknown>> {
    const start = index * CHUNK
    const reply = await fetch(`${this.url}/upload`, {
      method: 'POST',
      headers: {
        'X-File-Name': 'file.bin',
        'X-Chunk-Index': String(index),
        'X-Chunk-Offset': String(start),
        'X-Total-Size': String(CONTENT.length),
        'X-Upload-Id': 'the-clients-own',
      },
      body: CONTENT.subarray(start, start + CHUNK),
    })
    return (await reply.json()) as Record<string, unknown>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close()
    await this.dir[Symbol.asyncDispose]()
  }
}

/** Goes on at a URL with tus-js-client; gives the offset that it began with. */
async function finishByTus(url: string): Promise<number | undefined> {
  let first: number | undefined
  const onBeforeRequest: UploadOptions['onBeforeRequest'] = (request) => {
    const offset = request.getHeader('Upload-Offset')
    if (offset !== undefined) first ??= Number(offset)
  }
  await new Promise<void>((resolve, reject) => {
    const events = { onBeforeRequest, onSuccess: () => resolve(), onError: reject }
    new Upload(CONTENT, { uploadUrl: url, retryDelays: null, ...events }).start()
  })
  return first
}

test('An upload that tus-js-client has begun is finished by curl with the draft', async () => {
  await using site = await Site.open()
  const upload = new Upload(CONTENT, {
    endpoint: `${site.url}/files`,
    metadata: { filename: 'file.bin' },
    chunkSize: CHUNK,
  })
  await new Promise<void>((resolve, reject) => {
    upload.options.onError = reject
    upload.options.onChunkComplete = () => {
      upload.abort().then(resolve, reject)
    }
    upload.start()
  })
  const url = upload.url as string

  const asked = await curl(url, { args: ['-I'] })
  const offset = Number(asked.heads[0]?.fields.get('upload-offset'))
  const last = await curl(url, {
    args: ['-X', 'PATCH', '--data-binary', '@-'],
    fields: [PIECE, `Upload-Offset: ${offset}`, 'Upload-Complete: ?1'],
    content: CONTENT.subarray(offset),
  })

  expect(offset).toBeGreaterThanOrEqual(CHUNK)
  expect(last.heads.at(-1)?.status).toBe(201)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('An upload that curl has begun with the draft is finished by tus-js-client', async () => {
  await using site = await Site.open()
  const { heads } = await curl(`${site.url}/files`, {
    args: ['-X', 'POST', '--data-binary', '@-'],
    fields: [
      'Upload-Complete: ?0',
      `Upload-Length: ${CONTENT.length}`,
      'Content-Disposition: attachment; filename="file.bin"',
    ],
    content: CONTENT.subarray(0, CHUNK),
  })
  const location = heads.at(-1)?.fields.get('location') as string

  const first = await finishByTus(new URL(location, `${site.url}/files`).href)

  expect(first).toBe(CHUNK)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('An upload that IndexedCP has begun, with a gap, is finished by tus-js-client', async () => {
  await using site = await Site.open()
  await site.sendChunk(0)
  const { uploadId } = await site.sendChunk(2)

  const first = await finishByTus(site.urlOf(String(uploadId)))
  const again = await site.sendChunk(3)

  expect(first).toBe(CHUNK)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
  expect(again).toMatchObject({ alreadyReceived: true, complete: true })
})

test('An upload that IndexedCP has begun is finished by curl with the draft', async () => {
  await using site = await Site.open()
  const { uploadId } = await site.sendChunk(0)

  const { heads } = await curl(site.urlOf(String(uploadId)), {
    args: ['-X', 'PATCH', '--data-binary', '@-'],
    fields: [PIECE, `Upload-Offset: ${CHUNK}`, 'Upload-Complete: ?1'],
    content: CONTENT.subarray(CHUNK),
  })

  expect(heads.at(-1)?.status).toBe(201)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

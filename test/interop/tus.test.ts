import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { dirname, join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { promisify } from 'node:util'
import * as tus from 'tus-js-client'
import { type PreviousUpload, Upload, type UploadOptions, type UrlStorage } from 'tus-js-client'
import { UploadServer } from 'ferry/receive'
import { expect, test } from 'vitest'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'
import { curl } from '../support/upload-curl.ts'
import { UploadSite } from '../support/upload-site.ts'

const CONTENT = randomBytes(3_000_000)
const CHUNK_SIZE = 1_000_000

/** What tus-js-client takes in Node; its types are those of browsers. */
type UploadInput = ConstructorParameters<typeof Upload>[0]

/** What it has for Node beside; its types are those of browsers. */
const { FileUrlStorage } = tus as unknown as {
  readonly FileUrlStorage: new (path: string) => UrlStorage
}

/** Remembers upload URLs as a browser's storage does. */
class UrlMemory implements UrlStorage {
  readonly #uploads = new Map<string, PreviousUpload>()

  findAllUploads(): Promise<PreviousUpload[]> {
    return Promise.resolve([...this.#uploads.values()])
  }

  findUploadsByFingerprint(fingerprint: string): Promise<PreviousUpload[]> {
    const found = [...this.#uploads].filter(([key]) => key.startsWith(fingerprint))
    return Promise.resolve(found.map(([, upload]) => upload))
  }

  removeUpload(key: string): Promise<void> {
    this.#uploads.delete(key)
    return Promise.resolve()
  }

  addUpload(fingerprint: string, upload: PreviousUpload): Promise<string> {
    const key = `${fingerprint}#${this.#uploads.size}`
    this.#uploads.set(key, { ...upload, urlStorageKey: key })
    return Promise.resolve(key)
  }
}

function createUpload(site: UploadSite, input: Buffer | Readable, options: UploadOptions): Upload {
  return new Upload(input as unknown as UploadInput, {
    endpoint: site.endpoint,
    metadata: { filename: 'file.bin' },
    retryDelays: null,
    ...options,
  })
}

/** Resolves when the client says that all has arrived. */
function run(upload: Upload): Promise<void> {
  return new Promise((resolve, reject) => {
    upload.options.onSuccess = () => resolve()
    upload.options.onError = reject
    upload.start()
  })
}

/** Resolves when the client has sent a piece and then stopped. */
function runPiece(upload: Upload, shouldTerminate = false): Promise<void> {
  return new Promise((resolve, reject) => {
    upload.options.onError = reject
    upload.options.onChunkComplete = () => {
      upload.abort(shouldTerminate).then(resolve, reject)
    }
    upload.start()
  })
}

test.each<[string, UploadOptions]>([
  ['in one request', {}],
  ['in pieces', { chunkSize: CHUNK_SIZE }],
  ['in parallel parts', { parallelUploads: 3 }],
  ['in parallel parts, each in pieces', { parallelUploads: 2, chunkSize: 400_000 }],
  ['with its creation', { uploadDataDuringCreation: true, chunkSize: CHUNK_SIZE }],
  ['by POST for PATCH', { overridePatchMethod: true, chunkSize: CHUNK_SIZE }],
])('tus-js-client uploads a file %s', async (_, options) => {
  await using site = await UploadSite.open()

  await run(createUpload(site, CONTENT, options))

  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
  expect(await site.dir.names()).toEqual(['.ferry', 'file.bin'])
})

test('tus-js-client is told when an upload expires, until it is finished', async () => {
  await using site = await UploadSite.open()
  const told: (string | undefined)[] = []
  const onAfterResponse: UploadOptions['onAfterResponse'] = (_, response) => {
    told.push(response.getHeader('Upload-Expires'))
  }

  await run(createUpload(site, CONTENT, { chunkSize: CHUNK_SIZE, onAfterResponse }))

  const instants = told.map((field) => Date.parse(field ?? ''))
  expect(instants.length).toBe(4)
  for (const instant of instants.slice(0, -1)) expect(instant).toBeGreaterThan(Date.now())
  expect(told.at(-1)).toBeUndefined()
})

test('tus-js-client uploads a file of the disk, in parallel parts', async () => {
  await using site = await UploadSite.open()
  await using dir = await TempDir.create()
  const stream = createReadStream(await dir.write('source.bin', CONTENT))

  await run(createUpload(site, stream, { parallelUploads: 3 }))
  stream.destroy()

  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test.each<[string, UploadOptions]>([
  ['known', { uploadSize: CONTENT.length }],
  ['deferred', { uploadLengthDeferred: true }],
])('tus-js-client uploads a stream, its length %s', async (_, options) => {
  await using site = await UploadSite.open()
  await using dir = await TempDir.create()
  const path = await dir.write('source.bin', CONTENT)

  // A stream that it cannot ask for its length.
  const stream = createReadStream(path).pipe(new PassThrough())
  // Without a last piece that is shorter than the others it does not see the end.
  await run(createUpload(site, stream, { chunkSize: 700_000, ...options }))

  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test.each([
  ['one request', 1],
  ['parallel parts', 3],
])('tus-js-client goes on where a stored URL says, after an abort of %s', async (_, parallel) => {
  await using site = await UploadSite.open()
  const urlStorage = new UrlMemory()
  const options: UploadOptions = {
    urlStorage,
    storeFingerprintForResuming: true,
    // Of a buffer it makes none by itself.
    fingerprint: () => Promise.resolve('fingerprint'),
    parallelUploads: parallel,
    chunkSize: 500_000,
  }
  await runPiece(createUpload(site, CONTENT, options))
  const created = [...site.folder.core.list()].length

  let firstSent: number | undefined
  const resumed = createUpload(site, CONTENT, {
    ...options,
    onProgress: (bytesSent) => (firstSent ??= bytesSent),
  })
  const [previous] = await resumed.findPreviousUploads()
  resumed.resumeFromPreviousUpload(previous as PreviousUpload)
  await run(resumed)

  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
  expect(firstSent).toBeGreaterThanOrEqual(500_000)
  // Beside the one that parts are put together to, no other was made.
  expect([...site.folder.core.list()].length).toBe(created + (parallel > 1 ? 1 : 0))
})

test('tus-js-client goes on with a file of the disk where its own URL storage says', async () => {
  await using site = await UploadSite.open()
  await using dir = await TempDir.create()
  const path = await dir.write('source.bin', CONTENT)
  const options = (): UploadOptions => ({
    urlStorage: new FileUrlStorage(dir.join('urls.json')),
    chunkSize: CHUNK_SIZE,
    removeFingerprintOnSuccess: true,
  })
  const stopped = createReadStream(path)
  await runPiece(createUpload(site, stopped, options()))
  stopped.destroy()

  const stream = createReadStream(path)
  const resumed = createUpload(site, stream, options())
  const [previous] = await resumed.findPreviousUploads()
  resumed.resumeFromPreviousUpload(previous as PreviousUpload)
  await run(resumed)
  stream.destroy()

  expect([...site.folder.core.list()].length).toBe(1)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
  expect(await resumed.findPreviousUploads()).toEqual([])
})

test('tus-js-client goes on by itself after a broken connection', async () => {
  await using site = await UploadSite.open()
  const broken = site.breakOnce()
  const errors: unknown[] = []

  await run(
    createUpload(site, CONTENT, {
      chunkSize: CHUNK_SIZE,
      retryDelays: [10, 10],
      onShouldRetry: (error) => errors.push(error) > 0,
    }),
  )

  await broken
  expect(errors.length).toBe(1)
  expect(await site.dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('tus-js-client ends an upload, and nothing is left of it', async () => {
  await using site = await UploadSite.open()

  await runPiece(createUpload(site, CONTENT, { chunkSize: CHUNK_SIZE }), true)

  expect([...site.folder.core.list()]).toEqual([])
  expect(await site.dir.names()).toEqual(['.ferry'])
})

test('tus-js-client ends an upload by its URL alone', async () => {
  await using site = await UploadSite.open()
  const upload = createUpload(site, CONTENT, { chunkSize: CHUNK_SIZE })
  await runPiece(upload)

  await Upload.terminate(upload.url as string)

  expect([...site.folder.core.list()]).toEqual([])
})

test('A client of tus that does not tell its version is told ours', async () => {
  await using dir = await TempDir.create()
  await using server = await UploadServer.open(dir.path)
  const endpoint = `${await server.listen()}/files`
  const { id } = await server.core.create({ length: 5 })
  const type = 'Content-Type: application/offset+octet-stream'

  const answers = [
    await curl(`${endpoint}/${id}`, {
      args: ['-X', 'PATCH', '-d', 'hello'],
      fields: [type, 'Upload-Offset: 0'],
    }),
    await curl(`${endpoint}/${id}`, {
      args: ['-X', 'POST', '-d', 'hello'],
      fields: [type, 'Upload-Offset: 0', 'X-HTTP-Method-Override: PATCH'],
    }),
    await curl(endpoint, { args: ['-X', 'POST'], fields: ['Upload-Length: 5'] }),
    await curl(endpoint, { args: ['-X', 'POST'], fields: ['Upload-Concat: partial'] }),
  ]

  for (const { heads } of answers) {
    expect(heads[0]?.status).toBe(412)
    expect(heads[0]?.fields.get('tus-version')).toBe('1.0.0')
  }
  expect(server.core.status(id).offset).toBe(0)
  expect([...server.core.list()].length).toBe(1)
})

test('python3-tuspy uploads with checksums, and goes on with the URL alone', async () => {
  await using site = await UploadSite.open()
  await using dir = await TempDir.create()
  const path = await dir.write('source.bin', CONTENT)
  const script = join(import.meta.dirname, '../support/tus-upload.py')
  const modules = dirname(requireTool('python3-tusclient'))
  const args = [script, modules, site.endpoint, path, '700000', '1400000']

  const { stdout } = await promisify(execFile)(requireTool('python3'), args, {
    env: { PATH: process.env['PATH'] ?? '', HOME: dir.path, NO_PROXY: '*' },
  })

  expect(stdout).toBe('1400000\n')
  expect(await site.dir.digest('by-tuspy.bin')).toBe(digestOf(CONTENT))
})

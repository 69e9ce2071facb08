import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import { parseChecksum } from './integrity/checksum.ts'
import { type Download, download } from './download.ts'
import type { DownloadOptions } from './download-options.ts'

const SMALL = randomBytes(100_000)
const LARGE = randomBytes(6_000_000)

/** Resolves when something of the file is here. */
async function untilBegun(run: Download): Promise<void> {
  while (run.progress().receivedBytes === 0) await new Promise((resolve) => setTimeout(resolve, 1))
}

test('download() gives the exact bytes and leaves nothing beside the file', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })

  const result = await fixture.start().result

  expect((await fixture.content()).equals(SMALL)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
  expect(result).toMatchObject({
    path: fixture.target,
    size: SMALL.length,
    fetchedBytes: SMALL.length,
    resumedBytes: 0,
    checksum: undefined,
  })
  expect(fixture.server.requests).toHaveLength(1)
})

test('download() gives an empty file for an empty file', async () => {
  await using fixture = await DownloadFixture.start({ content: Buffer.alloc(0) })

  const { size } = await fixture.start().result

  expect(size).toBe(0)
  expect(await fixture.content()).toHaveLength(0)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test.each([0, 1, 100_000])(
  'download() takes a file of unknown length: %i bytes',
  async (length) => {
    await using fixture = await DownloadFixture.start({
      content: SMALL.subarray(0, length),
      chunked: true,
    })

    const { size } = await fixture.start().result

    expect(size).toBe(length)
    expect((await fixture.content()).equals(SMALL.subarray(0, length))).toBe(true)
    expect(await fixture.names()).toEqual(['file.bin'])
  },
)

test('download() takes a file without validators', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, etag: undefined })

  await fixture.start().result

  expect((await fixture.content()).equals(LARGE)).toBe(true)
})

test('download() uses several connections where each one is slow', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 3_000_000 })

  const run = fixture.start({ maxConnections: 4 })
  const counts: number[] = []
  const timer = setInterval(() => counts.push(run.progress().connections.length), 2)
  await run.result
  clearInterval(timer)

  expect((await fixture.content()).equals(LARGE)).toBe(true)
  expect(fixture.server.maxActive).toBeGreaterThan(1)
  expect(Math.max(...counts)).toBeGreaterThan(1)
  expect(Math.max(...counts)).toBeLessThanOrEqual(4)
})

test('download() never uses more connections than allowed', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 6_000_000 })

  await fixture.start({ maxConnections: 1 }).result

  expect(fixture.server.maxActive).toBe(1)
  expect(fixture.server.requests).toHaveLength(1)
})

test('download() gets by with the connections that the server allows', async () => {
  await using fixture = await DownloadFixture.start({
    content: LARGE,
    bytesPerSecond: 3_000_000,
    maxConcurrent: 2,
  })

  await fixture.start({ maxConnections: 8 }).result

  expect((await fixture.content()).equals(LARGE)).toBe(true)
})

test('download() sends its own fields, and asks for content that is not coded', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })

  await fixture.start({ headers: { 'X-Token': 'abc', 'Accept-Encoding': 'gzip' } }).result

  expect(fixture.server.requests[0]?.headers).toMatchObject({
    'x-token': 'abc',
    'accept-encoding': 'identity',
  })
})

test('download() tells its progress', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 12_000_000 })
  const run = fixture.start({ maxConnections: 2 })
  const seen: number[] = []
  const timer = setInterval(() => seen.push(run.progress().receivedBytes), 5)

  await run.result
  clearInterval(timer)

  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  expect(Math.max(...seen)).toBeLessThanOrEqual(LARGE.length)
  expect(run.progress()).toMatchObject({
    state: 'completed',
    size: LARGE.length,
    receivedBytes: LARGE.length,
  })
})

test('download() keeps to a rate limit', async () => {
  const content = LARGE.subarray(0, 2_000_000)
  await using fixture = await DownloadFixture.start({ content })
  const startedAt = performance.now()

  await fixture.start({ limitBytesPerSecond: 1_000_000, maxConnections: 1 }).result
  const elapsedMs = performance.now() - startedAt

  expect((await fixture.content()).equals(content)).toBe(true)
  // Two seconds; only the last read need not be waited for, and a busy machine may take longer.
  expect(elapsedMs).toBeGreaterThan(1800)
  expect(elapsedMs).toBeLessThan(20_000)
})

test('download() keeps to a rate limit over all connections together', async () => {
  const content = LARGE.subarray(0, 4_000_000)
  await using fixture = await DownloadFixture.start({ content, bytesPerSecond: 3_000_000 })
  const startedAt = performance.now()

  await fixture.start({ limitBytesPerSecond: 2_000_000, maxConnections: 4 }).result
  const elapsedMs = performance.now() - startedAt

  expect((await fixture.content()).equals(content)).toBe(true)
  // Two seconds, less the last read of each connection, which can be 256 KiB; without a limit it is half a second.
  expect(elapsedMs).toBeGreaterThan(1300)
})

const digest = createHash('sha256').update(SMALL).digest('hex')

test('download() accepts a file whose checksum is right', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  const checksum = parseChecksum(`sha256=${digest}`)

  const result = await fixture.start({ checksum }).result

  expect(result.checksum).toEqual(checksum)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test('download() does not publish a file whose checksum is wrong', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  const checksum = parseChecksum(`sha256=${'0'.repeat(64)}`)
  const run = fixture.start({ checksum })

  await expect(run.result).rejects.toMatchObject({ code: 'checksum-mismatch' })

  expect(run.state).toBe('failed')
  expect(await fixture.names()).not.toContain('file.bin')
})

test('download() does not touch a target that exists', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  await fixture.write('file.bin', 'mine')

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'target-exists' })

  expect((await fixture.content()).toString()).toBe('mine')
  expect(await fixture.names()).toEqual(['file.bin'])
  expect(fixture.server.requests).toEqual([])
})

test('download() replaces a target where it may, and only at the end', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 30_000_000 })
  await fixture.write('file.bin', 'old')

  await fixture.runUntil(1_000_000, { onExists: 'overwrite' })
  expect((await fixture.content()).toString()).toBe('old')
  await fixture.start({ onExists: 'overwrite' }).result

  expect((await fixture.content()).equals(LARGE)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test('download() does not overwrite a target that appears while it runs', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 30_000_000 })
  const run = fixture.start({ maxConnections: 1 })
  await untilBegun(run)
  await fixture.write('file.bin', 'mine')

  await expect(run.result).rejects.toMatchObject({ code: 'target-exists' })

  expect((await fixture.content()).toString()).toBe('mine')
})

test('download() does not write over a partial file that is not its own', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  await fixture.write('file.bin.part', 'somebody else wrote this')

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'target-exists' })

  expect(await readFile(fixture.partPath, 'utf8')).toBe('somebody else wrote this')
  expect(await fixture.names()).toEqual(['file.bin.part'])
})

test('download() writes over any partial file when it is to begin anew', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  await fixture.write('file.bin.part', Buffer.alloc(SMALL.length * 2, 1))

  await fixture.start({ fresh: true }).result

  expect((await fixture.content()).equals(SMALL)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test('download() of one target runs once at a time', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 30_000_000 })
  const first = fixture.start()
  await untilBegun(first)

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'locked' })

  await first.result
  expect((await fixture.content()).equals(LARGE)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test('download() refuses a name that is a folder, or in a folder that is not there', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  await mkdir(fixture.target)

  const into = download(fixture.server.url, `${fixture.folder}/`)
  await expect(into.result).rejects.toMatchObject({ code: 'not-writable' })
  const nowhere = download(fixture.server.url, join(fixture.folder, 'no', 'file'))
  await expect(nowhere.result).rejects.toMatchObject({ code: 'not-writable' })

  expect(await fixture.names()).toEqual(['file.bin'])
})

const unusable: readonly DownloadOptions[] = [
  { maxConnections: 0 },
  { maxConnections: -1 },
  { maxConnections: Number.NaN },
  { maxConnections: 1.5 },
  { maxRetries: -1 },
  { maxRetries: Number.NaN },
  { limitBytesPerSecond: 0 },
  { limitBytesPerSecond: -5 },
  { limitBytesPerSecond: Number.NaN },
]

test.each(unusable)('download() refuses the options %o at once', (options) => {
  expect(() => download('http://127.0.0.1:1/', '/nowhere/file', options)).toThrow(
    expect.objectContaining({ code: 'config', option: Object.keys(options)[0] }),
  )
})

test.each(['Range', 'if-range'])(
  'download() refuses the field %s, which it sends itself',
  (name) => {
    const headers = { [name]: 'bytes=0-5' }

    expect(() => download('http://127.0.0.1:1/', '/nowhere/file', { headers })).toThrow(
      expect.objectContaining({ code: 'config', option: 'headers' }),
    )
  },
)

test.each(['x'.repeat(251), `${'x'.repeat(200)}/`.repeat(30)])(
  'download() says that a name is too long: %s',
  async (name) => {
    await using fixture = await DownloadFixture.start({ content: SMALL })

    const { result } = download(fixture.server.url, join(fixture.folder, name))

    await expect(result).rejects.toMatchObject({
      code: 'not-writable',
      message: expect.stringContaining('too long'),
    })
    expect(fixture.server.requests).toEqual([])
  },
)

test('download() rejects with the reason of a signal that is aborted already', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })
  const reason = new Error('no longer wanted')

  await expect(fixture.start({ signal: AbortSignal.abort(reason) }).result).rejects.toBe(reason)

  expect(await fixture.names()).toEqual([])
})

test('download() keeps credentials out of errors and of the journal', async () => {
  await using fixture = await DownloadFixture.start({ content: LARGE, bytesPerSecond: 30_000_000 })
  const address = fixture.server.url.replace('://', '://boris:s3cret@') + '?signature=hush'
  const stop = new AbortController()
  const run = download(address, fixture.target, { signal: stop.signal })
  await expect.poll(() => run.progress().receivedBytes).toBeGreaterThan(0)
  stop.abort(new Error('enough'))
  await expect(run.result).rejects.toThrow('enough')

  const journal = await readFile(fixture.journalPath, 'utf8')
  fixture.server.options.etag = '"v2"'
  const failed = download(address, fixture.target, { onChange: 'fail' }).result
  const error = await failed.catch((caught: unknown) => caught as Error)

  expect(journal).toContain('/file.bin')
  expect(journal).not.toMatch(/s3cret|boris|hush/)
  expect(error).toMatchObject({ code: 'representation-changed' })
  expect(`${JSON.stringify(error)} ${(error as Error).message}`).not.toMatch(/s3cret|boris/)
  expect(fixture.server.requests[0]?.headers.authorization).toMatch(/^Basic /)
})

test('download() takes a file: URL for its target', async () => {
  await using fixture = await DownloadFixture.start({ content: SMALL })

  await download(fixture.server.url, pathToFileURL(fixture.target)).result

  expect((await fixture.content()).equals(SMALL)).toBe(true)
})

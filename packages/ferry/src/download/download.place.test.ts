/** Where a download goes, what is there already, and what the finished file is like. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, sep } from 'node:path'
import { expect, test } from 'vitest'
import { DownloadFixture, hastyClock } from '../testing/download-fixture.ts'
import type { FaultServerOptions } from '../testing/fault-server-answer.ts'
import { HostLimits } from './host-limits.ts'
import { FaultServer } from '../testing/fault-server.ts'
import type { DownloadEvent, DownloadOptions, DownloadResult } from './download-options.ts'
import { download, type Download } from './download.ts'

const SIZE = 1_000_000
const CONTENT = randomBytes(SIZE)
const MODIFIED = 'Wed, 01 Jan 2025 10:00:00 GMT'
const MODIFIED_AT = Date.parse(MODIFIED)

/** A download into the fixture's folder, under whatever name the server gives. */
function startInto(
  fixture: DownloadFixture,
  options: DownloadOptions = {},
  url = fixture.server.url,
): Download {
  return download(url, fixture.folder, { client: fixture.client, clock: hastyClock, ...options })
}

function start(server: Partial<FaultServerOptions> = {}): Promise<DownloadFixture> {
  return DownloadFixture.start({ content: CONTENT, ...server })
}

/** Begins a download into the folder and stops it once about `bytes` have come. */
async function runInto(
  fixture: DownloadFixture,
  bytes: number,
  options: DownloadOptions = {},
): Promise<void> {
  const stop = new AbortController()
  const run = startInto(fixture, { ...options, signal: stop.signal, maxConnections: 1 })
  await untilReceived(run, bytes)
  stop.abort(new Error('enough'))
  await expect(run.result).rejects.toThrow('enough')
}

async function untilReceived(run: Download, bytes: number): Promise<void> {
  while (run.progress().receivedBytes < bytes) {
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

// ── Names

const names: readonly [string, string, string][] = [
  ['a quoted name', 'attachment; filename="report 1.pdf"', 'report 1.pdf'],
  ['an extended name', "attachment; filename=x; filename*=UTF-8''%e2%82%ac%20rates", '€ rates'],
  ['a name with folders', 'attachment; filename="../../etc/passwd"', 'passwd'],
  ['a hidden name', 'attachment; filename=".bashrc"', '_bashrc'],
  ['the name of a part', 'attachment; filename="x.part"', 'x_part'],
  ['no name', 'attachment', 'file.bin'],
  ['nothing that can be read', 'filename=', 'file.bin'],
]

test.concurrent.each(names)('download() into a folder takes %s', async (_, field, name) => {
  await using fixture = await start({ headers: { 'Content-Disposition': field } })
  const events: DownloadEvent[] = []

  const run = startInto(fixture, { onEvent: (event) => events.push(event) })
  const { path } = await run.result

  const [found] = await fixture.names()
  expect(found).toBe(name)
  expect(path).toBe(join(fixture.folder, found as string))
  expect(run.target).toBe(path)
  expect(events).toContainEqual({ type: 'named', path })
  expect((await readFile(path)).equals(CONTENT)).toBe(true)
  // The answer that has told the name is the one that is written.
  expect(fixture.server.requests).toHaveLength(1)
})

test.concurrent('download() into a folder that is written with a separator has to find it', async () => {
  await using fixture = await start()
  const missing = join(fixture.folder, 'missing') + sep

  await expect(
    download(fixture.server.url, missing, { client: fixture.client }).result,
  ).rejects.toMatchObject({ code: 'not-writable' })

  expect(fixture.server.requests).toEqual([])
  await mkdir(missing)
  const { path } = await download(fixture.server.url, missing, { client: fixture.client }).result
  expect(path).toBe(join(missing, 'file.bin'))
})

test.concurrent('download() into a folder takes the name of the URL that it was led to', async () => {
  await using fixture = await start()
  const redirecting = createServer((_, response) =>
    response.writeHead(302, { Location: `${fixture.server.url.replace('file', 'other')}` }).end(),
  )
  await once(redirecting.listen(0, '127.0.0.1'), 'listening')
  const { port } = redirecting.address() as AddressInfo

  const { path } = await startInto(fixture, {}, `http://127.0.0.1:${port}/latest`).result
  redirecting.close()

  expect(path).toBe(join(fixture.folder, 'other.bin'))
})

test.concurrent('download() into a folder fails as the server does, and leaves nothing', async () => {
  await using fixture = await start({ fault: () => ({ type: 'status', status: 404 }) })

  await expect(startInto(fixture).result).rejects.toMatchObject({ status: 404 })

  expect(await fixture.names()).toEqual([])
  expect(fixture.server.requests).toHaveLength(1)
})

test.concurrent('download() into a folder survives that its first answer breaks', async () => {
  await using fixture = await start({
    fault: ({ index }) => (index === 0 ? { type: 'reset', afterBytes: SIZE / 2 } : undefined),
  })

  const { fetchedBytes } = await startInto(fixture).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(fetchedBytes).toBeLessThan(SIZE * 1.2)
})

test.concurrent('download() into a folder gives up a first answer that falls silent', async () => {
  await using fixture = await start({
    fault: ({ index }) => (index === 0 ? { type: 'stall', afterBytes: SIZE / 2 } : undefined),
  })
  // 12 s of silence become 2.4 s.
  const clock = { ...hastyClock, now: () => performance.now() * 5 }

  await startInto(fixture, { clock, maxConnections: 1 }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(fixture.server.requests).toHaveLength(2)
})

test.concurrent('download() never takes the first answer of one place for that of another', async () => {
  await using fixture = await start()
  const other = randomBytes(SIZE)
  await using mirror = await FaultServer.start({ content: other, etag: '"other"' })
  // Its host has all the connections that it may have, but for the first answer.
  const hosts = new HostLimits({ maxConnectionsPerHost: 1 })
  hosts.take(new URL(fixture.server.url).origin, performance.now())

  await startInto(fixture, { hosts, mirrors: [mirror.url] }).result

  expect((await fixture.content()).equals(other)).toBe(true)
})

test.concurrent('download() into a folder can be stopped while its first answer comes', async () => {
  await using fixture = await start({ bytesPerSecond: 100_000 })
  const run = startInto(fixture)
  await fixture.server.whenSent(20_000)

  run.pause()
  await expect.poll(() => run.target).toBe(fixture.target)
  delete fixture.server.options.bytesPerSecond
  run.resume()
  await run.result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

// ── Going on

test.concurrent('download() into a folder goes on with a part without asking for its name again', async () => {
  await using fixture = await start({ bytesPerSecond: 2_000_000 })
  await runInto(fixture, SIZE / 4)
  const asked = fixture.server.requests.length

  const { resumedBytes } = await startInto(fixture).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
  expect(fixture.server.requests[asked]?.range?.[0]).toBeGreaterThan(0)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test.concurrent('download() into a folder goes on with a part that has a name of its own', async () => {
  await using fixture = await start({
    bytesPerSecond: 2_000_000,
    headers: { 'Content-Disposition': 'attachment; filename="given.bin"' },
  })
  await runInto(fixture, SIZE / 4)

  const { resumedBytes, path } = await startInto(fixture).result

  expect(path).toBe(join(fixture.folder, 'given.bin'))
  expect((await readFile(path)).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
})

// ── Names that are taken

test.concurrent.each(['fail', 'skip', 'overwrite', 'rename'] as const)(
  'download() into a folder where the name is taken: %s',
  async (onExists) => {
    await using fixture = await start({ bytesPerSecond: 4_000_000 })
    await fixture.write('file.bin', 'old')

    const run = startInto(fixture, { onExists })
    const outcome = await run.result.then(
      (result: DownloadResult) => `${result.outcome} ${result.path}`,
      (error: unknown) => (error as { code: string }).code,
    )

    const expected = {
      fail: ['target-exists', 'old', ['file.bin']],
      skip: [`skipped ${fixture.target}`, 'old', ['file.bin']],
      overwrite: [`fetched ${fixture.target}`, 'new', ['file.bin']],
      rename: [
        `fetched ${join(fixture.folder, 'file (1).bin')}`,
        'old',
        ['file (1).bin', 'file.bin'],
      ],
    }[onExists]
    const isOld = (await fixture.content()).equals(Buffer.from('old'))
    expect([outcome, isOld ? 'old' : 'new', await fixture.names()]).toEqual(expected)
    // What nobody wants is not fetched.
    if (onExists === 'fail' || onExists === 'skip') {
      expect(fixture.server.sentBytes).toBeLessThan(SIZE)
    }
  },
)

test.concurrent.each(['fail', 'skip'] as const)(
  'download() asks nobody for a path that is taken: %s',
  async (onExists) => {
    await using fixture = await start()
    await fixture.write('file.bin', 'old')

    const outcome = await fixture.start({ onExists }).result.catch((error: unknown) => error)

    expect(outcome).toMatchObject(
      onExists === 'fail'
        ? { code: 'target-exists' }
        : { outcome: 'skipped', size: 3, fetchedBytes: 0, proof: undefined },
    )
    expect(fixture.server.requests).toEqual([])
  },
)

test.concurrent("download() takes the next name where another file's part is in the way, and its own back", async () => {
  await using fixture = await start({ bytesPerSecond: 2_000_000 })
  // A part of another URL.
  await runInto(fixture, SIZE / 4)
  const { server } = fixture
  const other = randomBytes(SIZE)
  await using second = await FaultServer.start({ content: other, bytesPerSecond: 2_000_000 })
  const begin = (signal?: AbortSignal): Download =>
    startInto(fixture, { onExists: 'rename', signal, maxConnections: 1 }, second.url)
  const stop = new AbortController()
  const stopped = begin(stop.signal)
  await untilReceived(stopped, SIZE / 4)
  stop.abort(new Error('enough'))
  await expect(stopped.result).rejects.toThrow('enough')
  expect(await fixture.names()).toEqual([
    ...['file (1).bin.part', 'file (1).bin.part.journal'],
    ...['file.bin.part', 'file.bin.part.journal'],
  ])

  const renamed = await begin().result
  const own = await startInto(fixture, { onExists: 'rename' }, server.url).result

  expect(await fixture.names()).toEqual(['file (1).bin', 'file.bin'])
  expect((await readFile(renamed.path)).equals(other)).toBe(true)
  expect(renamed.resumedBytes).toBeGreaterThan(0)
  expect((await readFile(own.path)).equals(CONTENT)).toBe(true)
  expect(own.resumedBytes).toBeGreaterThan(0)
})

test.concurrent('download() takes the next name where a file that is no download has that of its part', async () => {
  await using fixture = await start()
  await fixture.write('file.bin.part', 'somebody’s')

  const { path } = await fixture.start({ onExists: 'rename' }).result

  expect(path).toBe(join(fixture.folder, 'file (1).bin'))
  expect(await readFile(fixture.partPath, 'utf8')).toBe('somebody’s')
})

test.concurrent('downloads of one name at once into one folder: the second finds it locked', async () => {
  await using fixture = await start({ bytesPerSecond: 2_000_000 })
  const first = startInto(fixture)
  await fixture.server.whenSent(SIZE / 4)

  await expect(startInto(fixture).result).rejects.toMatchObject({ code: 'locked' })

  await first.result
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

// ── Only what is newer

/** Answers with the file or, where that is asked for and holds, 304. */
async function serveDated(): Promise<{ url: string; conditions: unknown[]; close: () => void }> {
  const conditions: unknown[] = []
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const since = request.headers['if-modified-since']
    conditions.push(since)
    const isNotModified = since !== undefined && Date.parse(since) >= MODIFIED_AT
    response.writeHead(isNotModified ? 304 : 200, { 'Last-Modified': MODIFIED, ETag: '"a"' })
    response.end(isNotModified ? undefined : CONTENT)
  }
  const server = createServer(answer)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${port}/file.bin`, conditions, close }
}

test.concurrent('download() with ifNewer fetches what is newer, dates it, and then leaves it', async () => {
  await using fixture = await start()
  const { url, conditions, close } = await serveDated()
  await fixture.write('file.bin', 'old')
  await utimes(fixture.target, new Date(), new Date(MODIFIED_AT - 1000))
  const run = (): Download =>
    download(url, fixture.target, { client: fixture.client, ifNewer: true })

  expect(await run().result).toMatchObject({ outcome: 'fetched', size: SIZE })
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect((await stat(fixture.target)).mtimeMs).toBe(MODIFIED_AT)
  expect(await run().result).toMatchObject({
    ...{ outcome: 'not-modified', size: SIZE, fetchedBytes: 0, proof: undefined },
  })

  expect(conditions).toEqual([new Date(MODIFIED_AT - 1000).toUTCString(), MODIFIED])
  expect(await fixture.names()).toEqual(['file.bin'])
  close()
})

test.concurrent('download() with ifNewer asks without a condition where nothing is here', async () => {
  await using fixture = await start()
  const { url, conditions, close } = await serveDated()

  await download(url, fixture.target, { client: fixture.client, ifNewer: true }).result

  expect(conditions).toEqual([undefined])
  close()
})

test.concurrent('download() with ifNewer into a folder compares once it knows the name', async () => {
  await using fixture = await start()
  const { url, close } = await serveDated()
  const run = (): Promise<DownloadResult> => startInto(fixture, { ifNewer: true }, url).result

  expect(await run()).toMatchObject({ outcome: 'fetched' })
  expect(await run()).toMatchObject({ outcome: 'not-modified', fetchedBytes: 0 })
  await utimes(fixture.target, new Date(), new Date(MODIFIED_AT - 1000))
  expect(await run()).toMatchObject({ outcome: 'fetched' })
  close()
})

test.concurrent('download() takes a 304 that it has not asked for as a refusal', async () => {
  await using fixture = await start({ fault: () => ({ type: 'status', status: 304 }) })

  await expect(startInto(fixture).result).rejects.toMatchObject({ status: 304 })
  await expect(fixture.start({ ifNewer: true }).result).rejects.toMatchObject({ status: 304 })
})

// ── The finished file

test.concurrent.each([
  [true, MODIFIED, MODIFIED_AT],
  [false, MODIFIED, undefined],
  [undefined, MODIFIED, undefined],
  [true, 'yesterday', undefined],
  [true, undefined, undefined],
])('download() with remoteTime %s and Last-Modified %s', async (remoteTime, field, expected) => {
  await using fixture = await start({ lastModified: field })
  const before = Date.now() - 1000

  await fixture.start({ remoteTime }).result

  const { mtimeMs } = await stat(fixture.target)
  if (expected === undefined) expect(mtimeMs).toBeGreaterThan(before)
  else expect(mtimeMs).toBe(expected)
})

test.concurrent('download() dates a file that was resumed', async () => {
  await using fixture = await start({ lastModified: MODIFIED, bytesPerSecond: 2_000_000 })
  await fixture.runUntil(SIZE / 4)

  await fixture.start({ remoteTime: true }).result

  expect((await stat(fixture.target)).mtimeMs).toBe(MODIFIED_AT)
})

test.concurrent.each([
  [true, 0o100],
  [false, 0],
  [undefined, 0],
])('download() with makeExecutable %s', async (makeExecutable, expected) => {
  await using fixture = await start()

  await fixture.start({ makeExecutable }).result

  expect((await stat(fixture.target)).mode & 0o111).toBe(expected)
})

test.concurrent.each(['sparse', 'reserved'] as const)(
  'download() with %s blocks gives the exact bytes',
  async (allocation) => {
    await using fixture = await start({ bytesPerSecond: 4_000_000 })

    await fixture.start({ allocation }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
  },
)

// ── Size

test.concurrent.each([true, false])(
  'download() accepts the size that was wanted, chunked: %s',
  async (chunked) => {
    await using fixture = await start({ chunked })

    await fixture.start({ size: SIZE, maxSizeBytes: SIZE }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
  },
)

test.concurrent.each([
  [SIZE - 1, false],
  [SIZE + 1, false],
  [0, false],
  [SIZE - 1, true],
  [SIZE + 1, true],
])('download() refuses a file that should have %i bytes, chunked: %s', async (size, chunked) => {
  await using fixture = await start({ chunked })

  await expect(fixture.start({ size }).result).rejects.toMatchObject({ code: 'size-mismatch' })

  expect(await fixture.names()).not.toContain('file.bin')
})

test.concurrent('download() refuses a file that is too large before anything of it is kept', async () => {
  await using fixture = await start()

  await expect(fixture.start({ maxSizeBytes: SIZE - 1 }).result).rejects.toMatchObject({
    code: 'too-large',
    detail: { maxSizeBytes: SIZE - 1 },
  })

  expect(await fixture.names()).toEqual([])
})

test.concurrent('download() stops a file of unknown size once it is too large', async () => {
  await using fixture = await start({ chunked: true, bytesPerSecond: 4_000_000 })

  const run = fixture.start({ maxSizeBytes: 100_000 })
  await expect(run.result).rejects.toMatchObject({ code: 'too-large' })

  expect(await fixture.names()).not.toContain('file.bin')
  expect(run.progress().fetchedBytes).toBeLessThan(SIZE / 2)
})

// ── What the server says of its file

test.concurrent.each([false, true])(
  'download() checks the digest that the server names, chunked: %s',
  async (chunked) => {
    await using fixture = await start({ reprDigest: true, chunked })

    const { checksum, proof } = await fixture.start().result

    expect(proof).toBe('digest')
    expect(checksum).toEqual({
      algorithm: 'sha256',
      hex: createHash('sha256').update(CONTENT).digest('hex'),
    })
    expect(fixture.server.requests[0]?.headers['want-repr-digest']).toContain('sha-256')
  },
)

test.concurrent('download() refuses a file that has not the digest that the server names', async () => {
  const digest = createHash('sha256').update('another').digest('base64')
  await using fixture = await start({ headers: { 'Repr-Digest': `sha-256=:${digest}:` } })

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'checksum-mismatch' })

  expect(await fixture.names()).not.toContain('file.bin')
})

test.concurrent.each([
  ['that cannot be read', 'sha-256=garbage'],
  ['of an unknown kind', 'unixsum=:AAAA:'],
  ['of another length', 'sha-256=:AAAA:'],
])('download() goes without a digest %s', async (_, field) => {
  await using fixture = await start({ headers: { 'Repr-Digest': field } })

  const { checksum } = await fixture.start().result

  expect(checksum).toBeUndefined()
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('download() begins anew where a part turns out to have another digest', async () => {
  await using fixture = await start({ reprDigest: true, bytesPerSecond: 2_000_000 })
  await fixture.runUntil(SIZE / 2, { maxConnections: 1 })
  const part = await readFile(fixture.partPath)
  part.fill(0, 0, 100)
  await writeFile(fixture.partPath, part)
  const events: string[] = []

  await fixture.start({ onEvent: ({ type }) => events.push(type) }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(events).toContain('restart')
  expect(await readdir(fixture.folder)).toEqual(['file.bin'])
})

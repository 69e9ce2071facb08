/** Several places that should have one file. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import type { Fault, FaultServerOptions } from '../testing/fault-server-answer.ts'
import { FaultServer } from '../testing/fault-server.ts'
import type { DownloadEvent, DownloadOptions, DownloadResult } from './download-options.ts'

const SIZE = 2_400_000
const CONTENT = randomBytes(SIZE)
/** Of the same size; differs everywhere. */
const OTHER = randomBytes(SIZE)
// Slow enough that more connections are wanted, also where a busy machine sends in bursts.
const BYTES_PER_SECOND = 1_000_000
// The first place has brought so much in any case, however many help it.
const EARLY = SIZE / 10
const CHECKSUM = { algorithm: 'sha256', hex: createHash('sha256').update(CONTENT).digest('hex') }
const DIGEST_TAG = `"${createHash('md5').update(CONTENT).digest('hex')}"`

/** Two servers and a folder. */
class Mirrored implements AsyncDisposable {
  readonly fixture: DownloadFixture
  readonly mirror: FaultServer
  readonly events: DownloadEvent[] = []

  private constructor(fixture: DownloadFixture, mirror: FaultServer) {
    this.fixture = fixture
    this.mirror = mirror
  }

  static async start(
    primary: Partial<FaultServerOptions> = {},
    mirror: Partial<FaultServerOptions> = {},
  ): Promise<Mirrored> {
    const common = { content: CONTENT, bytesPerSecond: BYTES_PER_SECOND }
    return new Mirrored(
      await DownloadFixture.start({ ...common, ...primary }, { bodyTimeoutMs: 5000 }),
      await FaultServer.start({ ...common, etag: '"of the mirror"', ...mirror }),
    )
  }

  run(options: DownloadOptions = {}): Promise<DownloadResult> {
    return this.fixture.start({
      mirrors: [this.mirror.url],
      maxConnections: 4,
      onEvent: (event) => this.events.push(event),
      ...options,
    }).result
  }

  /** Types of the events, without those of the state. */
  get turns(): string[] {
    return this.events.map(({ type }) => type).filter((type) => type !== 'state')
  }

  /** The first place answers nobody any more. */
  killPrimary(): void {
    this.fixture.server.options.fault = () => ({ type: 'drop' })
    this.fixture.server.disconnect()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture[Symbol.asyncDispose]()
    await this.mirror[Symbol.asyncDispose]()
  }
}

const proofs: readonly [
  string,
  DownloadOptions,
  Partial<FaultServerOptions>,
  Partial<FaultServerOptions>,
][] = [
  ['a checksum', { checksum: CHECKSUM }, {}, {}],
  ['a digest that the first place names', {}, { reprDigest: true }, {}],
  ['entity tags that are digests', {}, { etag: DIGEST_TAG }, { etag: DIGEST_TAG }],
  ['trust', { trustMirrors: true }, {}, {}],
]

test.concurrent.each(proofs)(
  'download() uses a mirror as well with %s',
  async (_, options, ...servers) => {
    await using mirrored = await Mirrored.start(...servers)

    const { fetchedBytes } = await mirrored.run(options)

    expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
    expect(mirrored.mirror.sentBytes).toBeGreaterThan(SIZE / 10)
    expect(mirrored.fixture.server.sentBytes).toBeGreaterThan(SIZE / 10)
    expect(mirrored.turns).toEqual([])
    // What is compared, or fetched once more at the end.
    expect(fetchedBytes).toBeLessThan(SIZE * 1.5)
  },
)

const unproven: readonly [string, Partial<FaultServerOptions>, Partial<FaultServerOptions>][] = [
  ['nothing proves anything', {}, {}],
  ['both have one tag that is no digest', { etag: '"v1"' }, { etag: '"v1"' }],
  ['both have digests for tags, and others', { etag: DIGEST_TAG }, { etag: `"${'a'.repeat(32)}"` }],
  ['only the mirror names a digest, which is of its own file', {}, { reprDigest: true }],
]

test.concurrent.each(unproven)(
  'download() takes no byte of a mirror where %s',
  async (_, primary, mirrorOptions) => {
    await using mirrored = await Mirrored.start(primary, { content: OTHER, ...mirrorOptions })

    const { fetchedBytes, proof } = await mirrored.run()

    expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
    expect(mirrored.turns).toEqual(['mirror-dropped'])
    expect(mirrored.mirror.requests).toHaveLength(1)
    expect(fetchedBytes).toBeLessThan(SIZE * 1.5)
    expect(proof).toBe('validator')
  },
)

test.concurrent('download() does not go by what a mirror says of its own file', async () => {
  const digest = createHash('sha256').update(OTHER).digest('base64')
  const headers = { 'Repr-Digest': `sha-256=:${digest}:` }
  await using mirrored = await Mirrored.start({}, { headers })

  const { proof } = await mirrored.run({ trustMirrors: true })

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(proof).toBe('validator')
  expect(mirrored.turns).toEqual([])
  expect(mirrored.mirror.requests.length).toBeGreaterThan(1)
})

test.concurrent('download() names a dropped mirror without its secrets', async () => {
  await using mirrored = await Mirrored.start()
  const { port } = mirrored.mirror

  await mirrored.run({ mirrors: [`http://me:secret@127.0.0.1:${port}/f?token=secret`] })

  const dropped = mirrored.events.find(({ type }) => type === 'mirror-dropped')
  expect(dropped).toMatchObject({ error: { code: 'representation-changed' } })
  expect(JSON.stringify(dropped)).not.toContain('secret')
})

const bad: readonly [string, Partial<FaultServerOptions>][] = [
  ['has another size', { content: CONTENT.subarray(1) }],
  ['has a longer file', { content: Buffer.concat([CONTENT, OTHER]) }],
  ['says 404', { fault: () => ({ type: 'status', status: 404 }) }],
  ['says 503 for ever', { fault: () => ({ type: 'status', status: 503 }) }],
  ['ignores ranges', { ranges: 'ignored' }],
  ['sends other ranges', { fault: () => ({ type: 'shift', by: 100 }) }],
  ['breaks at once', { fault: () => ({ type: 'drop' }) }],
  ['breaks again and again', { fault: () => ({ type: 'reset', afterBytes: 30_000 }) }],
  ['says nothing', { fault: () => ({ type: 'late', delayMs: 60_000 }) }],
  ['falls silent', { fault: () => ({ type: 'stall', afterBytes: 30_000 }) }],
  ['is slow', { bytesPerSecond: 30_000 }],
  ['is coded', { contentCoding: 'gzip' }],
]

test.concurrent.each(bad)('download() is not held up by a mirror that %s', async (_, mirror) => {
  await using mirrored = await Mirrored.start({}, mirror)

  const { fetchedBytes } = await mirrored.run({ checksum: CHECKSUM })

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(mirrored.mirror.requests.length).toBeGreaterThan(0)
  expect(fetchedBytes).toBeLessThan(SIZE * 1.5)
})

test.concurrent('download() is not held up by a mirror that nobody answers for', async () => {
  const unused = createServer()
  await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve))
  const { port } = unused.address() as AddressInfo
  await new Promise((resolve) => unused.close(resolve))
  await using mirrored = await Mirrored.start()

  await mirrored.run({ checksum: CHECKSUM, mirrors: [`http://127.0.0.1:${port}/file.bin`] })

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('download() fetches the file of the first place alone once a mix has the wrong digest', async () => {
  // Where both are compared, they are the same.
  const content = Buffer.concat([CONTENT.subarray(0, SIZE / 2), OTHER.subarray(SIZE / 2)])
  await using mirrored = await Mirrored.start({}, { content })

  const { proof } = await mirrored.run({ checksum: CHECKSUM })

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(proof).toBe('digest')
  expect(mirrored.turns).toEqual(['restart', 'mirror-dropped'])
})

test.concurrent('download() compares a trusted mirror with what is here before it takes a byte', async () => {
  await using mirrored = await Mirrored.start({}, { content: OTHER })

  await mirrored.run({ trustMirrors: true })

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(mirrored.turns).toEqual(['mirror-dropped'])
  expect(mirrored.mirror.sentBytes).toBeLessThan(100_000)
})

test.concurrent.each<[string, Fault]>([
  ['has lost the file', { type: 'status', status: 404 }],
  ['is out of order', { type: 'status', status: 503 }],
  ['breaks', { type: 'drop' }],
])('download() begins at a mirror where the first place %s', async (_, fault) => {
  await using mirrored = await Mirrored.start({ fault: () => fault })

  const { proof } = await mirrored.run()

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(mirrored.turns).toContain('mirror-dropped')
  expect(proof).not.toBe('digest')
})

test.concurrent('download() begins at a mirror where the first place has a file of another size than wanted', async () => {
  await using mirrored = await Mirrored.start({ content: OTHER.subarray(1) })

  await mirrored.run({ size: SIZE })

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('download() goes on at a mirror when the first place dies, where that is proven to be the same', async () => {
  await using mirrored = await Mirrored.start()
  const { server } = mirrored.fixture

  const running = mirrored.run({ checksum: CHECKSUM })
  await server.whenSent(EARLY)
  mirrored.killPrimary()
  const { fetchedBytes } = await running

  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(mirrored.turns).not.toContain('restart')
  expect(fetchedBytes).toBeLessThan(SIZE * 1.5)
  expect(mirrored.mirror.sentBytes).toBeGreaterThan(SIZE / 4)
})

test.concurrent('download() begins anew at a mirror when the first place dies, where nothing is proven', async () => {
  await using mirrored = await Mirrored.start({}, { content: OTHER })

  const running = mirrored.run({ maxRetries: 2 })
  await mirrored.fixture.server.whenSent(EARLY)
  mirrored.killPrimary()
  const { fetchedBytes, size } = await running

  expect((await mirrored.fixture.content()).equals(OTHER)).toBe(true)
  expect(mirrored.turns).toContain('restart')
  expect(size).toBe(SIZE)
  expect(fetchedBytes).toBeGreaterThan(SIZE)
})

test.concurrent("download() keeps what it has instead with onChange: 'fail'", async () => {
  await using mirrored = await Mirrored.start({}, { content: OTHER })

  const running = mirrored.run({ maxRetries: 2, onChange: 'fail' })
  await mirrored.fixture.server.whenSent(EARLY)
  mirrored.killPrimary()

  await expect(running).rejects.toMatchObject({ code: expect.any(String) })
  expect(await mirrored.fixture.names()).toEqual(['file.bin.part', 'file.bin.part.journal'])
  delete mirrored.fixture.server.options.fault
  const { resumedBytes } = await mirrored.run({ onChange: 'fail' })
  expect((await mirrored.fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
})

test.concurrent('download() fails once every place has failed, and goes on later', async () => {
  await using mirrored = await Mirrored.start()
  const { fixture, mirror } = mirrored

  const running = mirrored.run({ checksum: CHECKSUM, maxRetries: 2 })
  await fixture.server.whenSent(EARLY)
  mirrored.killPrimary()
  mirror.options.fault = () => ({ type: 'drop' })
  mirror.disconnect()
  await expect(running).rejects.toMatchObject({ code: 'connection-lost' })

  delete mirror.options.fault
  const { resumedBytes, fetchedBytes } = await mirrored.run({ checksum: CHECKSUM })
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
  expect(resumedBytes + fetchedBytes).toBeLessThan(SIZE * 1.5)
})

test.concurrent.each<[string, Fault]>([
  ['does not answer', { type: 'drop' }],
  ['has lost the file', { type: 'status', status: 404 }],
])('download() resumes at a mirror where the first place %s', async (_, fault) => {
  await using mirrored = await Mirrored.start({ reprDigest: true }, { reprDigest: true })
  const { fixture } = mirrored
  await fixture.runUntil(EARLY)
  fixture.server.options.fault = () => fault

  const { resumedBytes, fetchedBytes } = await mirrored.run({ checksum: CHECKSUM })

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
  expect(resumedBytes + fetchedBytes).toBeLessThan(SIZE * 1.5)
})

test.concurrent('download() does not resume at a mirror that may have another file, but begins anew', async () => {
  await using mirrored = await Mirrored.start({}, { content: OTHER })
  const { fixture } = mirrored
  await fixture.runUntil(EARLY)
  fixture.server.options.fault = () => ({ type: 'status', status: 404 })

  const { resumedBytes } = await mirrored.run()

  expect((await fixture.content()).equals(OTHER)).toBe(true)
  expect(resumedBytes).toBe(0)
  expect(mirrored.turns).toContain('restart')
})

test.concurrent('download() resumes what came from a mirror, and asks that one first', async () => {
  await using mirrored = await Mirrored.start({ fault: () => ({ type: 'status', status: 404 }) })
  const { fixture, mirror } = mirrored
  const stop = new AbortController()
  const running = mirrored.run({ signal: stop.signal })
  await mirror.whenSent(EARLY)
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  const asked = fixture.server.requests.length

  delete fixture.server.options.fault
  fixture.server.options.content = OTHER
  const { resumedBytes } = await mirrored.run({ maxConnections: 1 })

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
  expect(fixture.server.requests.length).toBe(asked)
})

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { appendFile, readFile, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import { download } from './download.ts'
import type { DownloadEvent } from './download-options.ts'
import { parseResumeRecord } from './resume-record.ts'

const CONTENT = randomBytes(3_000_000)
const OTHER = randomBytes(3_000_000)
const LONGER = randomBytes(3_500_000)
const SHORTER = randomBytes(400_000)
const SLOW = { content: CONTENT, bytesPerSecond: 12_000_000 }
const PART_AND_JOURNAL = ['file.bin.part', 'file.bin.part.journal']

/** A download that was stopped after a million bytes, and a server that is no longer slow. */
async function stopHalfWay(maxConnections = 1): Promise<DownloadFixture> {
  const fixture = await DownloadFixture.start({ ...SLOW })
  await fixture.runUntil(1_000_000, { maxConnections })
  fixture.server.options.bytesPerSecond = undefined
  fixture.server.requests.length = 0
  return fixture
}

test('download() that is aborted rejects with the reason and keeps what has come', async () => {
  await using fixture = await DownloadFixture.start({ ...SLOW })
  const stop = new AbortController()
  const reason = new Error('enough')
  const run = fixture.start({ signal: stop.signal })
  const result = expect(run.result).rejects.toBe(reason)
  await expect.poll(() => fixture.names()).toEqual(expect.arrayContaining(PART_AND_JOURNAL))
  stop.abort(reason)

  await result

  expect(await fixture.names()).toEqual(PART_AND_JOURNAL)
})

test.each([1, 4])(
  'download() goes on where it was aborted, and fetches only the rest (%i connections)',
  async (maxConnections) => {
    await using fixture = await stopHalfWay(maxConnections)

    const result = await fixture.start({ maxConnections }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
    expect(result.resumedBytes).toBeGreaterThanOrEqual(1_000_000)
    expect(result.resumedBytes + result.fetchedBytes).toBe(CONTENT.length)
    expect(fixture.server.requests[0]?.headers['if-range']).toBe('"v1"')
    expect(await fixture.names()).toEqual(['file.bin'])
  },
)

test('download() that is aborted again and again comes to the exact bytes', async () => {
  await using fixture = await DownloadFixture.start({ ...SLOW })
  for (const bytes of [500_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000]) {
    await fixture.runUntil(bytes, { maxConnections: 3 })
  }

  const { resumedBytes } = await fixture.start().result

  expect(resumedBytes).toBeGreaterThanOrEqual(2_500_000)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() that is aborted while it opens its journal again does not break the process', async () => {
  await using fixture = await stopHalfWay()
  const reason = new Error('enough')

  for (let turns = 0; turns < 40; turns++) {
    const stop = new AbortController()
    const run = fixture.start({ signal: stop.signal, maxConnections: 1 })
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    stop.abort(reason)
    const outcome = await run.result.catch((error: unknown) => error)
    if (outcome !== reason) break
  }

  expect(await fixture.names()).not.toContain('file.bin.part.lock')
})

const changes: readonly [string, Buffer][] = [
  ['the same size', OTHER],
  ['a larger size', LONGER],
  ['a smaller size', SHORTER],
  ['no bytes', Buffer.alloc(0)],
]

test.each(changes)(
  'download() begins anew when the file has changed between runs: %s',
  async (_, content) => {
    await using fixture = await stopHalfWay()
    Object.assign(fixture.server.options, { content, etag: '"v2"' })
    const events: DownloadEvent[] = []

    const result = await fixture.start({
      onEvent: (event) => event.type !== 'state' && events.push(event),
    }).result

    expect((await fixture.content()).equals(content)).toBe(true)
    expect(result).toMatchObject({ size: content.length, resumedBytes: 0 })
    expect(events).toMatchObject([{ type: 'restart', error: { code: 'representation-changed' } }])
    expect(await fixture.names()).toEqual(['file.bin'])
  },
)

test.each(changes)(
  'download() fails, and keeps what it has, when told to: %s',
  async (_, content) => {
    await using fixture = await stopHalfWay()
    const before = await readFile(fixture.partPath)
    Object.assign(fixture.server.options, { content, etag: '"v2"' })

    await expect(fixture.start({ onChange: 'fail' }).result).rejects.toMatchObject({
      code: 'representation-changed',
    })

    expect(await fixture.names()).toEqual(PART_AND_JOURNAL)
    expect((await readFile(fixture.partPath)).equals(before)).toBe(true)
  },
)

test('download() begins anew when the size differs although the server keeps the ETag', async () => {
  await using fixture = await stopHalfWay()
  fixture.server.options.content = LONGER

  await fixture.start().result

  expect((await fixture.content()).equals(LONGER)).toBe(true)
})

test('download() begins anew when the server no longer gives a validator', async () => {
  await using fixture = await stopHalfWay()
  Object.assign(fixture.server.options, { content: OTHER, etag: undefined })

  await fixture.start().result

  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

test('download() begins anew where the server does not know If-Range and the file has changed', async () => {
  await using fixture = await stopHalfWay()
  Object.assign(fixture.server.options, { content: OTHER, etag: '"v2"', ifRange: 'unknown' })

  await fixture.start().result

  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

test('download() begins anew when the file changes while it runs', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: ({ index }) => (index === 0 ? { type: 'end', afterBytes: 1_000_000 } : undefined),
  })
  const change = (event: DownloadEvent): void => {
    if (event.type === 'retry')
      Object.assign(fixture.server.options, { content: OTHER, etag: '"v2"' })
  }

  await fixture.start({ onEvent: change }).result

  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

test('download() gives up on a file that changes for ever', async () => {
  let version = 0
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: () => {
      fixture.server.options.etag = `"v${++version}"`
      return { type: 'end', afterBytes: 100_000 }
    },
  })

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'representation-changed' })

  expect(await fixture.names()).not.toContain('file.bin')
})

test.each([{ etag: undefined }, { etag: 'W/"a"' }])(
  'download() does not go on with a version that cannot be told from another: %o',
  async (server) => {
    await using fixture = await DownloadFixture.start({ ...SLOW, ...server })
    await fixture.runUntil(1_000_000)
    fixture.server.options.content = OTHER

    const result = await fixture.start().result

    expect(result.resumedBytes).toBe(0)
    expect((await fixture.content()).equals(OTHER)).toBe(true)
  },
)

/** A whole part that was not published, since it was held against a wrong digest. */
async function stopBeforePublishing(content = CONTENT): Promise<DownloadFixture> {
  const fixture = await DownloadFixture.start({ content })
  const checksum = { algorithm: 'sha256', hex: '0'.repeat(64) }
  await expect(fixture.start({ checksum }).result).rejects.toMatchObject({
    code: 'checksum-mismatch',
  })
  fixture.server.requests.length = 0
  return fixture
}

test('download() publishes a part that was complete already once the server confirms it', async () => {
  await using fixture = await stopBeforePublishing()

  const { fetchedBytes } = await fixture.start().result

  expect(fetchedBytes).toBe(1)
  expect(fixture.server.requests.map(({ headers }) => headers['if-range'])).toEqual(['"v1"'])
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() publishes a part that was complete already where the digest confirms it', async () => {
  await using fixture = await stopBeforePublishing()
  const hex = createHash('sha256').update(CONTENT).digest('hex')

  await fixture.start({ checksum: { algorithm: 'sha256', hex } }).result

  expect(fixture.server.requests).toEqual([])
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() does not publish a part that was complete already but is another version', async () => {
  await using fixture = await stopBeforePublishing()
  Object.assign(fixture.server.options, { content: OTHER, etag: '"v2"' })

  await fixture.start().result

  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

test('download() does not publish an empty part that is another version', async () => {
  await using fixture = await stopBeforePublishing(Buffer.alloc(0))
  Object.assign(fixture.server.options, { content: OTHER, etag: '"v2"' })

  await fixture.start().result

  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

const DIGEST_ETAG = '"9e107d9d372bb6826bd81d3542a419d6"'
const otherUrls: readonly [string, (url: string) => string, string][] = [
  ['another path', (url) => url.replace('file.bin', 'other.bin'), '"v1"'],
  ['another path, though the ETag holds a digest', (url) => `${url}x`, DIGEST_ETAG],
  ['another host', (url) => url.replace('127.0.0.1', 'localhost'), '"v1"'],
  ['another query', (url) => `${url}?id=2`, '"v1"'],
]

test.each(otherUrls)('download() never goes on with a part from %s', async (_, change, etag) => {
  await using fixture = await DownloadFixture.start({ ...SLOW, etag })
  await fixture.runUntil(1_000_000)
  // As of nginx: two files of one size and time have one ETag.
  fixture.server.options.content = OTHER
  const url = change(fixture.server.url)
  const events: DownloadEvent[] = []
  const onEvent = (event: DownloadEvent): unknown => event.type !== 'state' && events.push(event)
  const options = { client: fixture.client, onEvent }

  const failed = download(url, fixture.target, { ...options, onChange: 'fail' }).result
  await expect(failed).rejects.toMatchObject({ code: 'representation-changed' })
  expect(await fixture.names()).toEqual(PART_AND_JOURNAL)
  const { resumedBytes } = await download(url, fixture.target, options).result

  expect(resumedBytes).toBe(0)
  expect(events.map(({ type }) => type)).toEqual(['restart'])
  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

test('download() goes on from a URL that is signed anew where the ETag holds a digest', async () => {
  await using fixture = await DownloadFixture.start({ ...SLOW, etag: DIGEST_ETAG })
  await fixture.runUntil(1_000_000)
  const options = { client: fixture.client }

  const run = download(`${fixture.server.url}?signature=abc`, fixture.target, options)

  expect((await run.result).resumedBytes).toBeGreaterThanOrEqual(1_000_000)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() begins anew when only a weak ETag says that the file has changed', async () => {
  const lastModified = 'Fri, 20 Nov 2020 10:00:00 GMT'
  await using fixture = await DownloadFixture.start({ ...SLOW, etag: 'W/"a"', lastModified })
  await fixture.runUntil(1_000_000)
  Object.assign(fixture.server.options, { content: OTHER, etag: 'W/"b"' })

  await expect(fixture.start({ onChange: 'fail' }).result).rejects.toMatchObject({
    code: 'representation-changed',
  })
  await fixture.start().result

  expect((await fixture.content()).equals(OTHER)).toBe(true)
})

test('download() counts what it fetched of all versions, and its speed is never negative', async () => {
  await using fixture = await DownloadFixture.start({
    ...SLOW,
    fault: ({ index }) => {
      if (index === 1) Object.assign(fixture.server.options, { content: OTHER, etag: '"v2"' })
      return index === 0 ? { type: 'end', afterBytes: 2_000_000 } : undefined
    },
  })
  const run = fixture.start({ maxConnections: 1 })
  const speeds: number[] = []
  const timer = setInterval(() => speeds.push(run.progress().bytesPerSecond), 5)

  const { fetchedBytes } = await run.result
  clearInterval(timer)

  expect(fetchedBytes).toBe(2_000_000 + OTHER.length)
  expect(Math.min(...speeds)).toBeGreaterThanOrEqual(0)
})

test.each([
  ['its part', ['file.bin.part']],
  ['all of its files', ['file.bin.part', 'file.bin.part.journal', 'file.bin.part.lock']],
  ['its lock', ['file.bin.part.lock']],
])('download() publishes nothing when somebody removes %s meanwhile', async (_, names) => {
  await using fixture = await DownloadFixture.start({ ...SLOW })
  const run = fixture.start({ maxConnections: 1 })
  await expect.poll(() => run.progress().receivedBytes).toBeGreaterThan(0)

  for (const name of names) await rm(join(fixture.folder, name))

  await expect(run.result).rejects.toMatchObject({ code: 'locked' })
  expect(await fixture.names()).not.toContain('file.bin')
})

test('download() publishes nothing of another run that has taken its place', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: 6_000_000 })
  const first = fixture.start({ maxConnections: 1 })
  const outcome = first.result.catch((error: unknown) => error)
  await expect.poll(() => first.progress().receivedBytes).toBeGreaterThan(1_000_000)
  for (const name of await fixture.names()) await rm(join(fixture.folder, name))

  const second = fixture.start({ maxConnections: 1 })

  expect(await outcome).toMatchObject({ code: 'locked' })
  await second.result
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test.each([
  ['a strong ETag', {}, true],
  ['no validator', { etag: undefined }, true],
  ['no length', { chunked: true }, false],
  ['a strong ETag but no ranges', { ranges: 'ignored' }, true],
] as const)('Download.progress() says whether it can go on: %s', async (_, server, resumable) => {
  await using fixture = await DownloadFixture.start({ ...SLOW, ...server })
  const run = fixture.start({ maxConnections: 1 })
  await expect.poll(() => run.progress().receivedBytes).toBeGreaterThan(0)

  expect(run.progress().resumable).toBe(resumable)
  await run.result
})

test('download() fetches again what a part file has lost at its end', async () => {
  await using fixture = await stopHalfWay()
  await truncate(fixture.partPath, 300_000)

  const { resumedBytes } = await fixture.start().result

  expect(resumedBytes).toBe(300_000)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() cuts off what somebody has appended to its part file', async () => {
  await using fixture = await stopHalfWay()
  await appendFile(fixture.partPath, 'more')

  await fixture.start().result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() begins anew when its journal is without its part file', async () => {
  await using fixture = await stopHalfWay()
  await rm(fixture.partPath)

  await fixture.start().result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test('download() does not trust a part file whose journal is garbled', async () => {
  await using fixture = await stopHalfWay()
  await writeFile(fixture.journalPath, 'no journal')

  const { resumedBytes } = await fixture.start().result

  expect(resumedBytes).toBe(0)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() does not write through a link that somebody has put in its place', async () => {
  await using fixture = await stopHalfWay()
  await unlink(fixture.partPath)
  await fixture.write('precious', 'precious')
  await symlink(join(fixture.folder, 'precious'), fixture.partPath)

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'not-writable' })

  expect(await readFile(join(fixture.folder, 'precious'), 'utf8')).toBe('precious')
})

test('download() keeps what it has through an error of the server', async () => {
  await using fixture = await stopHalfWay()
  fixture.server.options.fault = ({ index }) =>
    index < 99 ? { type: 'status', status: 404 } : undefined
  await expect(fixture.start().result).rejects.toMatchObject({ code: 'http-status' })
  fixture.server.options.fault = undefined

  const { resumedBytes } = await fixture.start().result

  expect(resumedBytes).toBeGreaterThanOrEqual(1_000_000)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('a journal only ever names bytes that are right in the part file', async () => {
  await using fixture = await stopHalfWay(4)

  const record = parseResumeRecord(await readFile(fixture.journalPath, 'utf8'))
  const part = await readFile(fixture.partPath)

  expect(record?.spans.bytes).toBeGreaterThanOrEqual(1_000_000)
  for (const { start, end } of record?.spans ?? []) {
    expect(part.subarray(start, end).equals(CONTENT.subarray(start, end))).toBe(true)
  }
})

const CHILD = `
  const { download } = await import(process.argv[1])
  process.stdout.write('ready')
  await download(process.argv[2], process.argv[3], { maxConnections: 3 }).result
`

test('download() survives kill -9 at any time and ends with the exact bytes', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: 200_000 })
  const module = new URL('./download.ts', import.meta.url).href
  const hasNoted = async (): Promise<boolean> =>
    (await readFile(fixture.journalPath, 'utf8').catch(() => '')).includes('"spans"')

  for (const delayMs of [0, 5, 10, 20, undefined]) {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      CHILD,
      module,
      fixture.server.url,
      fixture.target,
    ])
    const exited = new Promise((resolve) => child.once('exit', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    // The last one lives until it has noted something.
    if (delayMs === undefined) await expect.poll(hasNoted).toBe(true)
    else await new Promise((resolve) => setTimeout(resolve, delayMs))
    child.kill('SIGKILL')
    await exited
  }
  fixture.server.options.bytesPerSecond = undefined
  const { resumedBytes } = await fixture.start().result

  expect(resumedBytes).toBeGreaterThan(0)
  const digest = createHash('sha256').update(await fixture.content())
  expect(digest.digest('hex')).toBe(createHash('sha256').update(CONTENT).digest('hex'))
  expect(await fixture.names()).toEqual(['file.bin'])
})

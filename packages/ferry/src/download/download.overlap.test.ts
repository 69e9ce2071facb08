/** Files whose server names no version: what is here is compared with a part of each later response. */
import { randomBytes } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import type { FaultServerOptions } from '../testing/fault-server-answer.ts'
import type { DownloadEvent, DownloadOptions, DownloadProof } from './download-options.ts'
import { SpanSet } from '../transfer/span.ts'
import { Journal, loadResumeRecord } from './resume-record.ts'

const SIZE = 2_400_000
const OVERLAP = 65_536
const CONTENT = randomBytes(SIZE)
const OTHER = randomBytes(SIZE)

/** The file with other bytes in one place. */
function changedAt(offset: number, bytes = 1): Buffer {
  const content = Buffer.from(CONTENT)
  for (let at = offset; at < offset + bytes; at++) {
    content.writeUInt8(content.readUInt8(at) ^ 0xff, at)
  }
  return content
}

/** A part of a file without validators; `end` is how far it goes. */
async function startPart(
  options: DownloadOptions = {},
): Promise<{ fixture: DownloadFixture; end: number }> {
  const fixture = await DownloadFixture.start({
    content: CONTENT,
    etag: undefined,
    bytesPerSecond: SIZE,
  })
  await fixture.runUntil(800_000, { maxConnections: 1, ...options })
  delete fixture.server.options.bytesPerSecond
  fixture.server.requests.length = 0
  const record = await loadResumeRecord(fixture.journalPath)
  return { fixture, end: record?.spans.endFrom(0) ?? 0 }
}

/** What came of going on. */
interface Outcome {
  readonly content: Buffer
  readonly turns: readonly string[]
  readonly fetchedBytes: number
  readonly proof: DownloadProof | undefined
}

async function goOn(fixture: DownloadFixture, options: DownloadOptions = {}): Promise<Outcome> {
  const events: DownloadEvent[] = []
  const { fetchedBytes, proof } = await fixture.start({
    onEvent: (event) => events.push(event),
    ...options,
  }).result
  return {
    content: await fixture.content(),
    turns: events.map(({ type }) => type).filter((type) => type !== 'state'),
    fetchedBytes,
    proof,
  }
}

test.concurrent('download() compares the last 64 KiB that are here, and goes on', async () => {
  const { fixture, end } = await startPart()
  await using _ = fixture

  const { content, turns, fetchedBytes, proof } = await goOn(fixture)

  expect(content.equals(CONTENT)).toBe(true)
  expect(turns).toEqual([])
  expect(proof).toBe('overlap')
  expect(fixture.server.requests.map(({ range }) => range)).toEqual([[end - OVERLAP, SIZE - 1]])
  expect(fetchedBytes).toBe(SIZE - end)
})

test.concurrent.each([
  ['in the first byte that is compared', -OVERLAP, 1],
  ['in the last byte that is compared', -1, 1],
  ['in all that is compared', -OVERLAP, OVERLAP],
])('download() begins anew where the file differs %s only', async (_, from, bytes) => {
  const { fixture, end } = await startPart()
  await using _fixture = fixture
  const changed = changedAt(end + from, bytes)
  fixture.server.options.content = changed

  const { content, turns } = await goOn(fixture)

  expect(content.equals(changed)).toBe(true)
  expect(turns).toEqual(['restart'])
})

test.concurrent("download() keeps its part with onChange: 'fail' where the file differs", async () => {
  const { fixture, end } = await startPart()
  await using _ = fixture
  fixture.server.options.content = OTHER

  await expect(goOn(fixture, { onChange: 'fail' })).rejects.toMatchObject({
    code: 'representation-changed',
  })

  expect((await loadResumeRecord(fixture.journalPath))?.spans.endFrom(0)).toBe(end)
})

test.concurrent('download() says that it has only compared: a change elsewhere does not show', async () => {
  const { fixture, end } = await startPart()
  await using _ = fixture
  fixture.server.options.content = changedAt(end - OVERLAP - 1)

  const { content, proof } = await goOn(fixture)

  expect(content.equals(CONTENT)).toBe(true)
  expect(proof).toBe('overlap')
})

test.concurrent('download() finds a change elsewhere by a digest, and begins anew', async () => {
  const { fixture, end } = await startPart()
  await using _ = fixture
  const changed = changedAt(end - OVERLAP - 1)
  Object.assign(fixture.server.options, { content: changed, reprDigest: true })

  const { content, proof, turns } = await goOn(fixture)

  expect(content.equals(changed)).toBe(true)
  expect(proof).toBe('digest')
  expect(turns).toEqual(['restart'])
})

test.concurrent('download() compares what is skipped where the server now ignores ranges', async () => {
  const { fixture } = await startPart()
  await using _ = fixture
  fixture.server.options.ranges = 'ignored'

  const { content, turns } = await goOn(fixture)

  expect(content.equals(CONTENT)).toBe(true)
  expect(turns).toEqual([])
})

test.concurrent('download() begins anew where the server now ignores ranges and has another file', async () => {
  const { fixture, end } = await startPart()
  await using _ = fixture
  const changed = changedAt(end - 1)
  Object.assign(fixture.server.options, { content: changed, ranges: 'ignored' })

  const { content, turns } = await goOn(fixture)

  expect(content.equals(changed)).toBe(true)
  expect(turns).toEqual(['restart'])
})

test.concurrent('download() fills all gaps from one answer where the server now ignores ranges', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    bytesPerSecond: SIZE / 4,
  })
  await fixture.runUntil(SIZE / 2, { maxConnections: 4 })
  expect((await loadResumeRecord(fixture.journalPath))?.spans.count).toBeGreaterThan(1)
  fixture.server.requests.length = 0
  // Slow enough that more connections would be wanted.
  Object.assign(fixture.server.options, { ranges: 'ignored', bytesPerSecond: SIZE })

  const { content } = await goOn(fixture)

  expect(content.equals(CONTENT)).toBe(true)
  // The first one was asked on a condition.
  expect(fixture.server.requests.length).toBeLessThanOrEqual(2)
})

test.concurrent('download() compares what little there is', async () => {
  const { fixture } = await startPart()
  await using _ = fixture
  await truncate(fixture.partPath, 10)
  const changed = changedAt(9)
  fixture.server.options.content = changed

  const { content, turns } = await goOn(fixture)

  expect(content.equals(changed)).toBe(true)
  expect(turns).toEqual(['restart'])
})

test.concurrent('download() uses one connection only where nothing tells versions apart', async () => {
  const { fixture } = await startPart()
  await using _ = fixture
  fixture.server.options.bytesPerSecond = SIZE

  await goOn(fixture, { maxConnections: 8 })

  expect(fixture.server.maxActive).toBe(1)
})

test.concurrent('download() never joins parts that cannot be compared with each other', async () => {
  const [from, to] = [SIZE / 3, (SIZE / 3) * 2]
  // The last part is of the old file, and nothing that is missing comes right behind it.
  const changed = Buffer.concat([CONTENT.subarray(0, from), OTHER.subarray(from)])
  await using fixture = await DownloadFixture.start({ content: changed, etag: undefined })
  await fixture.write('file.bin.part', CONTENT)
  const spans = new SpanSet([
    { start: 0, end: from },
    { start: to, end: SIZE },
  ])
  const source = { url: fixture.server.url }
  const journal = await Journal.create(fixture.journalPath, {
    source,
    identity: { size: SIZE },
    spans,
  })
  await journal.close()

  const { content } = await goOn(fixture)

  expect(content.equals(changed)).toBe(true)
})

const breaks: readonly [string, Partial<FaultServerOptions>][] = [
  [
    'breaks',
    { fault: ({ index }) => (index < 2 ? { type: 'reset', afterBytes: 9e5 } : undefined) },
  ],
  ['has a weak tag', { etag: 'W/"a"' }],
]

test.concurrent.each(breaks)(
  'download() compares also within one run, where the server %s',
  async (_, server) => {
    await using fixture = await DownloadFixture.start({
      content: CONTENT,
      etag: undefined,
      fault: ({ index }) => (index === 0 ? { type: 'reset', afterBytes: 9e5 } : undefined),
      ...server,
    })

    const { content } = await goOn(fixture)

    expect(content.equals(CONTENT)).toBe(true)
    const again = fixture.server.requests.flatMap(({ range }) => range?.[0] ?? [])
    expect(again.length).toBeGreaterThan(0)
    expect(again.every((start) => start <= 9e5 * 2 - OVERLAP)).toBe(true)
  },
)

test.concurrent('download() begins anew where the file changes within a run', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    etag: undefined,
    fault: ({ index }) => {
      if (index === 1) fixture.server.options.content = OTHER
      return index === 0 ? { type: 'reset', afterBytes: 900_000 } : undefined
    },
  })

  const { content, turns } = await goOn(fixture)

  expect(content.equals(OTHER)).toBe(true)
  expect(turns).toContain('restart')
})

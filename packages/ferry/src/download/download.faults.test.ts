import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Clock } from '../clock.ts'
import { isFerryError } from '../errors.ts'
import { DownloadFixture, hastyClock } from '../testing/download-fixture.ts'
import type { Fault, FaultServerOptions, LoggedRequest } from '../testing/fault-server-answer.ts'
import { download } from './download.ts'
import type { DownloadEvent } from './download-options.ts'
import { parseResumeRecord } from './resume-record.ts'

const CONTENT = randomBytes(2_000_000)

type Script = (request: LoggedRequest) => Fault | undefined

/** The fault in the answers to the first `count` requests. */
const first =
  (count: number, fault: Fault): Script =>
  ({ index }) =>
    index < count ? fault : undefined

/** Breaks the first answer half way, so that a range is asked for; then the fault, for ranges. */
const thenForRanges =
  (fault: Fault, count = Number.POSITIVE_INFINITY): Script =>
  ({ index, range }) => {
    if (index === 0) return { type: 'reset', afterBytes: 1_000_000 }
    return range !== undefined && index <= count ? fault : undefined
  }

const mended: readonly [string, Script, Partial<FaultServerOptions>?][] = [
  ['a connection that breaks before the head', first(2, { type: 'drop' })],
  ['a reset half way', first(1, { type: 'reset', afterBytes: 1_000_000 })],
  [
    'resets again and again, each after some progress',
    ({ index }) => (index < 8 ? { type: 'reset', afterBytes: 200_000 } : undefined),
  ],
  ['a close half way', first(1, { type: 'end', afterBytes: 777_777 })],
  [
    'a close after the last byte but one',
    first(1, { type: 'end', afterBytes: CONTENT.length - 1 }),
  ],
  ['silence half way', first(1, { type: 'stall', afterBytes: 500_000 })],
  ['silence before any content', first(1, { type: 'stall', afterBytes: 0 })],
  ['503', first(3, { type: 'status', status: 503 })],
  [
    '503 with Retry-After',
    first(2, { type: 'status', status: 503, headers: { 'Retry-After': '1' } }),
  ],
  ['429', first(2, { type: 'status', status: 429 })],
  ['500 for a range', thenForRanges({ type: 'status', status: 500 }, 3)],
  ['ranges that are ignored', thenForRanges({ type: 'whole' })],
  ['ranges that are ignored now and then', thenForRanges({ type: 'whole' }, 1)],
  [
    'If-Range that always fails',
    first(1, { type: 'reset', afterBytes: 1_000_000 }),
    { ifRange: 'refused' },
  ],
  [
    'If-Range that is not known',
    first(1, { type: 'reset', afterBytes: 1_000_000 }),
    { ifRange: 'unknown' },
  ],
  ['a 206 that is too short, chunked', thenForRanges({ type: 'short', afterBytes: 1000 }, 3)],
  [
    'a break without validators',
    first(2, { type: 'reset', afterBytes: 1_000_000 }),
    { etag: undefined },
  ],
  [
    'a break of a chunked answer',
    first(2, { type: 'reset', afterBytes: 1_000_000 }),
    { chunked: true },
  ],
  ['a weak ETag and a break', first(2, { type: 'end', afterBytes: 1_000_000 }), { etag: 'W/"a"' }],
  [
    'a break where only Last-Modified tells versions apart',
    first(2, { type: 'end', afterBytes: 1_000_000 }),
    { etag: undefined, lastModified: 'Fri, 20 Nov 2020 10:00:00 GMT' },
  ],
  [
    'a total of * in Content-Range',
    ({ index, range }) => {
      if (index === 0) return { type: 'reset', afterBytes: 1_000_000 }
      return range && { type: 'content-range', value: `bytes ${range.join('-')}/*` }
    },
  ],
]

test.each(mended)(
  'download() gives the exact bytes in spite of %s',
  async (_, fault, server = {}) => {
    await using fixture = await DownloadFixture.start(
      { content: CONTENT, fault, ...server },
      { bodyTimeoutMs: 2500 },
    )

    await fixture.start({ maxConnections: 1 }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
    expect(await fixture.names()).toEqual(['file.bin'])
  },
)

test.each(mended)(
  'download() over several connections gives the exact bytes in spite of %s',
  async (_, fault, server = {}) => {
    await using fixture = await DownloadFixture.start(
      // Slow enough that the number of connections grows.
      { content: CONTENT, fault, bytesPerSecond: 8_000_000, ...server },
      { bodyTimeoutMs: 2500 },
    )

    await fixture.start({ maxConnections: 4 }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
  },
)

const wrongRanges: readonly [string, Fault][] = [
  ['of another range', { type: 'shift', by: 1000 }],
  ['without Content-Range', { type: 'content-range', value: undefined }],
  ['that are coded', { type: 'headers', headers: { 'Content-Encoding': 'br' } }],
  ['that are all of the file', { type: 'whole' }],
]

test.concurrent.each(wrongRanges)(
  'download() leaves a server that answers further connections with parts %s to the first',
  async (_, fault) => {
    await using fixture = await DownloadFixture.start({
      content: CONTENT,
      fault: ({ range }) => (range === undefined ? undefined : fault),
      // Slow enough that a further connection is tried on a busy machine, too.
      bytesPerSecond: 500_000,
    })

    const { fetchedBytes } = await fixture.start({ maxConnections: 4 }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
    expect(fixture.server.requests.length).toBeGreaterThan(1)
    expect(fetchedBytes).toBe(CONTENT.length)
  },
)

test('download() does not wait for a further connection that was told to come back later', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: ({ index }) =>
      index === 1 ? { type: 'status', status: 503, headers: { 'Retry-After': '100' } } : undefined,
    bytesPerSecond: 2_000_000,
  })
  const clock: Clock = {
    now: () => hastyClock.now(),
    // Who waits for that waits for ever.
    after: (delayMs, callback) =>
      delayMs < 90_000 ? hastyClock.after(delayMs, callback) : () => {},
  }

  const { elapsedMs } = await fixture.start({ maxConnections: 4, clock }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(elapsedMs).toBeLessThan(30_000)
})

const refused: readonly [string, Script, string, Partial<FaultServerOptions>?][] = [
  ['404', first(99, { type: 'status', status: 404 }), 'http-status'],
  ['403', first(99, { type: 'status', status: 403 }), 'http-status'],
  ['204', first(99, { type: 'status', status: 204 }), 'http-status'],
  ['416 to a plain request', first(99, { type: 'status', status: 416 }), 'http-status'],
  ['503 for ever', first(99, { type: 'status', status: 503 }), 'http-status'],
  ['connections that always break', first(99, { type: 'drop' }), 'connection-lost'],
  ['silence for ever', first(99, { type: 'stall', afterBytes: 0 }), 'timeout'],
  [
    'coded content',
    first(99, { type: 'headers', headers: { 'Content-Encoding': 'gzip' } }),
    'range-mismatch',
  ],
  ['a 206 of a later range', thenForRanges({ type: 'shift', by: 1 }), 'range-mismatch'],
  ['a 206 of an earlier range', thenForRanges({ type: 'shift', by: -1 }), 'range-mismatch'],
  ['a 206 from the beginning', thenForRanges({ type: 'shift', by: -1_000_000 }), 'range-mismatch'],
  [
    'a 206 without Content-Range',
    thenForRanges({ type: 'content-range', value: undefined }),
    'range-mismatch',
  ],
  [
    'a 206 with another length than its range',
    thenForRanges({ type: 'content-range', value: 'bytes 1000000-1000999/2000000' }),
    'range-mismatch',
  ],
  [
    'a 206 with more content than its range',
    thenForRanges({ type: 'surplus', bytes: 10 }),
    'range-mismatch',
  ],
  [
    'a 206 that is coded',
    thenForRanges({ type: 'headers', headers: { 'Content-Encoding': 'br' } }),
    'range-mismatch',
  ],
  [
    'a 206 that is always empty, chunked',
    thenForRanges({ type: 'short', afterBytes: 0 }),
    'connection-lost',
  ],
  [
    '416 within the file',
    thenForRanges({ type: 'status', status: 416, headers: { 'Content-Range': 'bytes */2000000' } }),
    'range-mismatch',
  ],
  [
    'breaks for ever of an answer of unknown length',
    first(99, { type: 'end', afterBytes: 1_000_000 }),
    'connection-lost',
    { chunked: true },
  ],
  [
    'breaks for ever at the same place where ranges are ignored',
    first(99, { type: 'end', afterBytes: 1_000_000 }),
    'connection-lost',
    { ranges: 'ignored' },
  ],
]

test.each(refused)(
  'download() fails with the right error, and publishes nothing, for %s',
  async (_, fault, code, server = {}) => {
    await using fixture = await DownloadFixture.start(
      { content: CONTENT, fault, ...server },
      { bodyTimeoutMs: 2500 },
    )
    const run = fixture.start({ maxConnections: 1, maxRetries: 2 })

    const error = await run.result.catch((caught: unknown) => caught)

    expect(error).toMatchObject({ code })
    expect(isFerryError(error)).toBe(true)
    expect(run.state).toBe('failed')
    expect(await fixture.names()).not.toContain('file.bin')
    expect(await fixture.names()).not.toContain('file.bin.part.lock')
  },
)

test('download() leaves nothing behind after a 404', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: first(9, { type: 'status', status: 404 }),
  })

  await expect(fixture.start().result).rejects.toMatchObject({ code: 'http-status', status: 404 })

  expect(await fixture.names()).toEqual([])
})

test('download() takes a server that is never reached for one that does not exist', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT })
  const { url } = fixture.server
  await fixture.server[Symbol.asyncDispose]()

  await expect(download(url, fixture.target).result).rejects.toMatchObject({
    code: 'connect-failed',
  })

  expect(await fixture.names()).toEqual([])
})

test.each([0, 1, 3])('download() tries %i times more, and tells of each', async (maxRetries) => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: first(99, { type: 'status', status: 503 }),
  })
  const events: DownloadEvent[] = []

  const run = fixture.start({
    maxRetries,
    onEvent: (event) => event.type === 'retry' && events.push(event),
  })
  await expect(run.result).rejects.toMatchObject({ code: 'http-status', status: 503 })

  expect(fixture.server.requests).toHaveLength(maxRetries + 1)
  expect(events.map((event) => event.type === 'retry' && event.attempt)).toEqual(
    Array.from({ length: maxRetries }, (_, index) => index + 1),
  )
})

test('download() counts tries in a row: progress begins the count anew', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: ({ index }) => (index < 9 ? { type: 'end', afterBytes: 100_000 } : undefined),
  })

  await fixture.start({ maxConnections: 1, maxRetries: 1 }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() waits as long as the server asks', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: first(1, { type: 'status', status: 503, headers: { 'Retry-After': '7' } }),
  })
  const delays: number[] = []

  await fixture.start({ onEvent: (event) => event.type === 'retry' && delays.push(event.delayMs) })
    .result

  expect(delays).toEqual([7000])
})

test('download() fetches again only what is missing after a break', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: first(1, { type: 'end', afterBytes: 1_500_000 }),
  })

  const { fetchedBytes } = await fixture.start({ maxConnections: 1 }).result

  expect(fetchedBytes).toBe(CONTENT.length)
  expect(fixture.server.requests[1]?.range).toEqual([1_500_000, CONTENT.length - 1])
  expect(fixture.server.requests[1]?.headers['if-range']).toBe('"v1"')
})

/** Bytes of another file behind a right Content-Range; only at its end a chunked answer is found out. */
const lies: readonly [string, Fault][] = [
  ['goes on behind its range', { type: 'surplus', bytes: 10 }],
  ['ends before its range', { type: 'short', afterBytes: 900_000 }],
]

test.each(lies)('download() keeps no byte of a chunked answer that %s', async (_, fault) => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: 8_000_000 })
  await fixture.runUntil(500_000, { maxConnections: 1 })
  const { options } = fixture.server
  Object.assign(options, { content: randomBytes(CONTENT.length), fault: () => fault })
  for (let run = 0; run < 2; run++) {
    const result = fixture.start({ maxConnections: 1, maxRetries: 1 }).result
    await expect(result).rejects.toSatisfy(isFerryError)
  }
  Object.assign(options, { content: CONTENT, fault: undefined })

  const { resumedBytes, fetchedBytes } = await fixture.start().result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThanOrEqual(500_000)
  expect(resumedBytes + fetchedBytes).toBe(CONTENT.length)
})

test('download() reads an answer without a length to its end before it believes it', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: 2_000_000 })
  await fixture.runUntil(200_000, { maxConnections: 1 })
  // Every answer has a surplus; a connection that is cut off by another would not come to see it.
  Object.assign(fixture.server.options, {
    content: randomBytes(CONTENT.length),
    fault: () => ({ type: 'surplus', bytes: 10 }),
  })
  const result = fixture.start({ maxConnections: 4, maxRetries: 1 }).result
  await expect(result).rejects.toMatchObject({ code: 'range-mismatch' })
  Object.assign(fixture.server.options, { content: CONTENT, fault: undefined })

  await fixture.start().result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('download() journals nothing of a chunked answer that is aborted', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: 8_000_000 })
  await fixture.runUntil(500_000, { maxConnections: 1 })
  const before = parseResumeRecord(await readFile(fixture.journalPath, 'utf8'))?.spans.bytes
  fixture.server.options.chunked = true

  await fixture.runUntil(1_500_000, { maxConnections: 1 })

  const after = parseResumeRecord(await readFile(fixture.journalPath, 'utf8'))?.spans.bytes
  expect(after).toBe(before)
})

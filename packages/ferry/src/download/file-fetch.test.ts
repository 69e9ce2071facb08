import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { TransferError } from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { DownloadFixture, hastyClock } from '../testing/download-fixture.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { SpanSet } from '../transfer/span.ts'
import { FileFetch, type FileFetchContext } from './file-fetch.ts'
import { HostLimits } from './host-limits.ts'
import { Verifier } from './integrity/verifier.ts'
import { PartFile } from './part-file.ts'
import { createRemote } from './remotes.ts'
import { policyOf } from './retry-download.ts'
import { parseResumeRecord } from './resume-record.ts'

function createFetch(
  fixture: DownloadFixture,
  file: PartFile,
  more: Partial<FileFetchContext> = {},
): FileFetch {
  return new FileFetch({
    client: fixture.client,
    remotes: [createRemote(HttpUrl.parse(fixture.server.url), { url: fixture.server.url })],
    headers: HeaderFields.empty,
    file,
    folder: fixture.folder,
    journalPath: fixture.journalPath,
    record: undefined,
    maxConnections: 1,
    maxRetries: 0,
    limit: new RateLimit(),
    hosts: new HostLimits(),
    clock: hastyClock,
    verifier: new Verifier(fixture.partPath, {}),
    trustsMirrors: false,
    size: undefined,
    retryPolicy: policyOf(),
    maxReadBytes: Number.POSITIVE_INFINITY,
    maxSizeBytes: Number.POSITIVE_INFINITY,
    isReserved: false,
    opening: undefined,
    signal: new AbortController().signal,
    onEvent: () => {},
    ...more,
  })
}

test('FileFetch that is aborted while it opens its journal rejects with the reason, and only that', async () => {
  await using fixture = await DownloadFixture.start({ content: randomBytes(1000) })
  await using file = await PartFile.open(fixture.partPath)
  const stop = new AbortController()
  const reason = new Error('enough')
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  const source = { url: fixture.server.url }
  const record = { source, identity: { size: 1000, etag: '"v1"' }, spans: new SpanSet() }
  const fetch = createFetch(fixture, file, { record, signal: stop.signal })

  const run = fetch.run()
  stop.abort(reason)

  await expect(run).rejects.toBe(reason)
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
  expect(fixture.server.requests).toEqual([])
})

/** Fails once, then says that all is well, as a system does after a write-back that failed. */
function failFirstSync(file: PartFile, failure: Error, afterMs: number): void {
  const sync = file.sync.bind(file)
  let calls = 0
  file.sync = async () => {
    calls++
    if (calls > 1) return sync()
    await pause(afterMs)
    throw failure
  }
}

test.each([
  ['while bytes come', 0],
  ['after the last byte', 600],
])('FileFetch journals nothing after a sync that failed %s, and fails', async (_, afterMs) => {
  const content = randomBytes(1_200_000)
  await using fixture = await DownloadFixture.start({ content, bytesPerSecond: 4_000_000 })
  await using file = await PartFile.open(fixture.partPath)
  const failure = new TransferError('disk-failed', 'Cannot sync: EIO')
  failFirstSync(file, failure, afterMs)

  await expect(createFetch(fixture, file).run()).rejects.toBe(failure)

  const record = parseResumeRecord(await readFile(fixture.journalPath, 'utf8'))
  expect(record?.spans.bytes).toBe(0)
})

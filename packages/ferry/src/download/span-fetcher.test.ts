import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { DownloadFixture, hastyClock } from '../testing/download-fixture.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { SpanSet } from '../transfer/span.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { Verifier } from './integrity/verifier.ts'
import { PartFile } from './part-file.ts'
import { createRemote } from './remotes.ts'
import { SpanFetcher } from './span-fetcher.ts'
import { SpanKeeper } from './span-keeper.ts'
import { type Assignment, WorkList } from './work-list.ts'
import { createWorker } from './worker.ts'

const SIZE = 1_000_000

/** A file whose writes take this long. */
async function openSlowFile(path: string, delayMs: number): Promise<PartFile> {
  const file = await PartFile.open(path)
  const write = file.write.bind(file)
  file.write = (bytes, offset, callback) =>
    write(bytes, offset, (error) => setTimeout(() => callback(error), delayMs))
  return file
}

test('SpanFetcher lets nobody go by how far a response has come that ends too early', async () => {
  await using fixture = await DownloadFixture.start({
    content: randomBytes(SIZE),
    fault: () => ({ type: 'short', afterBytes: 1000 }),
  })
  await using file = await openSlowFile(fixture.partPath, 100)
  const identity = { size: SIZE, etag: '"v1"' }
  const url = HttpUrl.parse(fixture.server.url)
  const remote = Object.assign(createRemote(url, { url: url.href }), { identity })
  const list = new WorkList(SIZE, new SpanSet())
  const claim = (silentLimitMs: number): Assignment | undefined =>
    list.claim({
      now: hastyClock.now(),
      newBytesPerSecond: 0,
      latencyMs: 0,
      silentLimitMs,
      onReplace: () => {},
    })
  const { span } = claim(Number.POSITIVE_INFINITY) as Assignment
  const worker = createWorker({ id: 1, remote, now: hastyClock.now() }, span)
  list.workers.set(1, worker)
  const fetcher = new SpanFetcher(
    {
      client: fixture.client,
      remotes: [remote],
      headers: HeaderFields.empty,
      file,
      folder: fixture.folder,
      journalPath: fixture.journalPath,
      limit: new RateLimit(),
      clock: hastyClock,
      verifier: new Verifier(fixture.partPath, {}),
      trustsMirrors: false,
      size: undefined,
      maxSizeBytes: Number.POSITIVE_INFINITY,
      maxReadBytes: Number.POSITIVE_INFINITY,
      isReserved: false,
      opening: undefined,
    },
    list,
    new SpanKeeper(file, new SpanSet()),
    { onHead: () => {}, onBegin: () => {}, onWritten: () => {} },
  )
  let hasEnded = false
  const fetching = fetcher.fetch(worker).finally(() => (hasEnded = true))
  fetching.catch(() => {})
  while (worker.writer === undefined && !hasEnded) await pause(1)

  const claimed: Assignment[] = []
  while (!hasEnded) {
    const assignment = claim(0)
    if (assignment !== undefined) claimed.push(assignment)
    await pause(1)
  }

  await expect(fetching).rejects.toMatchObject({ code: 'connection-lost' })
  expect(claimed).toEqual([])
  list.release(worker)
  expect(list.heldBytes).toBe(0)
  expect(claim(Number.POSITIVE_INFINITY)?.span).toEqual({ start: 0, end: SIZE })
})

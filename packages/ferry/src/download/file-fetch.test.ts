import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { DownloadFixture, hastyClock } from '../testing/download-fixture.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { SpanSet } from '../transfer/span.ts'
import { FileFetch } from './file-fetch.ts'
import { PartFile } from './part-file.ts'

test('FileFetch that is aborted while it opens its journal rejects with the reason, and only that', async () => {
  await using fixture = await DownloadFixture.start({ content: randomBytes(1000) })
  const file = await PartFile.open(fixture.partPath)
  const stop = new AbortController()
  const reason = new Error('enough')
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  const fetch = new FileFetch({
    client: fixture.client,
    url: HttpUrl.parse(fixture.server.url),
    source: { url: fixture.server.url },
    headers: HeaderFields.empty,
    file,
    folder: fixture.folder,
    journalPath: fixture.journalPath,
    record: { source: { url: fixture.server.url }, identity: { size: 1000, etag: '"v1"' }, spans: new SpanSet() },
    maxConnections: 1,
    maxRetries: 0,
    limitBytesPerSecond: undefined,
    clock: hastyClock,
    signal: stop.signal,
    onRetry: () => {},
  })

  const run = fetch.run()
  stop.abort(reason)

  await expect(run).rejects.toBe(reason)
  process.off('unhandledRejection', note)
  await file.close()
  expect(unhandled).toEqual([])
  expect(fixture.server.requests).toEqual([])
})

import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { StreamProgress } from '../../transport/request-stream.ts'
import { createResponseStream } from '../../transport/response-stream.ts'
import { decodeBody } from './decode-body.ts'
import { withDownloadProgress } from './download-progress.ts'

test('withDownloadProgress() tells of content that is not coded, with the total', async () => {
  const told: StreamProgress[] = []
  const source = createResponseStream(Buffer.alloc(150_000), { trailers: { 'X-Sum': '1' } })
  const body = withDownloadProgress(source, (progress) => told.push(progress))

  expect(body.length).toBe(150_000)
  expect((await body.bytes()).length).toBe(150_000)
  expect(told.at(-1)).toEqual({ bytes: 150_000, total: 150_000 })
  expect(body.trailers.get('x-sum')).toBe('1')
})

test('withDownloadProgress() counts what comes out of a coding, without a total', async () => {
  const told: StreamProgress[] = []
  const source = createResponseStream(gzipSync(Buffer.alloc(3_000_000)))
  const decoded = decodeBody(source, HeaderFields.from({ 'Content-Encoding': 'gzip' }))
  await withDownloadProgress(decoded, (progress) => told.push(progress)).bytes()

  expect(told.length).toBeGreaterThan(1)
  expect(told.at(-1)).toEqual({ bytes: 3_000_000, total: undefined })
})

test('what onProgress throws ends the body', async () => {
  const mistake = new Error('mine')
  const body = withDownloadProgress(createResponseStream('hello'), () => {
    throw mistake
  })

  await expect(body.bytes()).rejects.toBe(mistake)
})

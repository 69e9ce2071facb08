import { expect, test } from 'vitest'
import type { Content } from '../../transport/content.ts'
import { readStreamToBytes } from '../../transport/read-stream.ts'
import { createRequestStream, type StreamProgress } from '../../transport/request-stream.ts'
import { withUploadProgress } from './upload-progress.ts'

test('withUploadProgress() keeps length and bytes, and begins again with each attempt', async () => {
  const bytes = Buffer.alloc(150_000, 'x')
  const told: StreamProgress[] = []
  const content = withUploadProgress(bytes, (progress) => told.push(progress))

  expect(content).toMatchObject({ length: 150_000, replayable: true })
  expect((await readStreamToBytes(content)).equals(bytes)).toBe(true)
  const first = told.splice(0)
  expect(first.map((progress) => progress.bytes)).toEqual([65_536, 131_072, 150_000])
  expect(first.every(({ total }) => total === 150_000)).toBe(true)

  await readStreamToBytes(content)
  expect(told).toEqual(first)
})

test('withUploadProgress() leaves chunked what is chunked', () => {
  const chunked: Content = createRequestStream('hello', { chunked: true })

  expect(withUploadProgress(chunked, () => {}).length).toBeUndefined()
  expect(withUploadProgress(chunked, () => {}).replayable).toBe(true)
})

test('withUploadProgress() knows neither length nor a second time of a stream', async () => {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('ab'))
    yield Buffer.from('c')
  }
  const told: StreamProgress[] = []
  const content = withUploadProgress(createRequestStream(pieces()), (one) => told.push(one))

  expect(content).toMatchObject({ length: undefined, replayable: false })
  await readStreamToBytes(content)
  expect(told).toEqual([
    { bytes: 2, total: undefined },
    { bytes: 3, total: undefined },
  ])
  expect(() => content.open()).toThrow(TypeError)
})

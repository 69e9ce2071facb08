import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import { DownloadStatus, downloadWithResume } from './download-with-resume.ts'

const CONTENT = randomBytes(300_000)
const WITHOUT_WAITS = { waitInterval: 0 }

test('downloadWithResume() gives DONE and the path', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT })

  const result = await downloadWithResume(fixture.server.url, fixture.target)

  expect(result).toEqual({ status: DownloadStatus.DONE, path: fixture.target, error: undefined })
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(await fixture.names()).toEqual(['file.bin'])
})

test('downloadWithResume() leaves a file that exists alone, and asks nobody', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT })
  await fixture.write('file.bin', 'mine')

  const { status } = await downloadWithResume(fixture.server.url, fixture.target)

  expect(status).toBe('ALREADY_EXISTS')
  expect(fixture.server.requests).toEqual([])
  const again = await downloadWithResume(fixture.server.url, fixture.target, {
    overwriteExisting: true,
  })
  expect(again.status).toBe('DONE')
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test('downloadWithResume() gives PARTIAL, and the next call goes on', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: ({ index }) =>
      index === 0 ? { type: 'reset', afterBytes: 200_000 } : { type: 'status', status: 503 },
  })
  const options = { maxRetries: 2, ...WITHOUT_WAITS, makeExecutable: true }

  const first = await downloadWithResume(fixture.server.url, fixture.target, options)

  expect(first).toMatchObject({ status: 'PARTIAL', error: { code: 'http-status', status: 503 } })
  fixture.server.options.fault = undefined
  const second = await downloadWithResume(fixture.server.url, fixture.target, options)
  expect(second.status).toBe('DONE')
  expect(fixture.server.requests.at(-1)?.range?.[0]).toBeGreaterThan(0)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect((await stat(fixture.target)).mode & 0o111).toBe(0o100)
})

test('downloadWithResume() gives HTTP_ERROR, not a page that says so', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: () => ({ type: 'status', status: 404 }),
  })

  const { status, error } = await downloadWithResume(fixture.server.url, fixture.target)

  expect(status).toBe('HTTP_ERROR')
  expect(error).toMatchObject({ code: 'http-status', status: 404 })
  expect(await fixture.names()).toEqual([])
})

test('downloadWithResume() begins anew where told to, with the spellings of the helper', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: 1_000_000 })
  await fixture.runUntil(100_000)
  fixture.server.options.bytesPerSecond = undefined
  const asked = fixture.server.requests.length

  const { status } = await downloadWithResume(fixture.server.url, fixture.target, {
    resume_existing: false,
    poll_manager: fixture.client,
    chunk_size: 5120,
    max_retries: 1,
    wait_interval: 0,
  })

  expect(status).toBe('DONE')
  expect(fixture.server.requests[asked]?.range).toBeUndefined()
})

test.each([{ timeout: -1 }, { waitInterval: Number.NaN }, { chunkSize: 0 }])(
  'downloadWithResume() refuses %o',
  async (options) => {
    await expect(downloadWithResume('http://127.0.0.1:1/', '/x', options)).rejects.toMatchObject({
      code: 'config',
    })
  },
)

/** Connections that are slow or silent, on a clock that the test moves. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { PacedOrigin } from '../testing/paced-origin.ts'
import type { DownloadResult } from './download-options.ts'

const MB = 1_000_000
const CONTENT = randomBytes(12 * MB)

/** The file is right; gives what was told of it. */
async function checked(
  origin: PacedOrigin,
  result: DownloadResult | undefined,
  content = CONTENT,
): Promise<DownloadResult> {
  expect(result).toMatchObject({ outcome: 'fetched', size: content.length })
  expect((await readFile(origin.target)).equals(content)).toBe(true)
  return result as DownloadResult
}

test('download() is about as fast as all its connections together', async () => {
  await using origin = await PacedOrigin.start(CONTENT, () => ({ bytesPerSecond: MB }))

  const { fetchedBytes } = await checked(origin, await origin.run({ maxConnections: 8 }))

  // 12 s with one connection; 1.5 s with eight, which are not there from the start.
  expect(origin.elapsedMs).toBeLessThan(5000)
  expect(fetchedBytes).toBeLessThan(CONTENT.length + 2 * MB)
})

test('download() gives up no connection that has only just begun', async () => {
  await using origin = await PacedOrigin.start(CONTENT, () => ({ bytesPerSecond: MB / 2 }))

  await checked(origin, await origin.run({ maxConnections: 8 }))

  expect(origin.answers.filter(({ isClosed, sentBytes }) => isClosed && sentBytes === 0)).toEqual(
    [],
  )
})

test('download() takes the work of a connection that is far slower than the others', async () => {
  await using origin = await PacedOrigin.start(CONTENT, (index) => ({
    bytesPerSecond: index === 1 ? 20_000 : MB,
  }))

  const { fetchedBytes } = await checked(origin, await origin.run({ maxConnections: 4 }))

  // 4 s with the other three.
  expect(origin.elapsedMs).toBeLessThan(7000)
  expect(fetchedBytes).toBeLessThan(CONTENT.length * 1.1)
})

test('download() gives up a slow connection although it has far to go', async () => {
  const content = randomBytes(40 * MB)
  await using origin = await PacedOrigin.start(content, (index) => ({
    bytesPerSecond: index === 1 ? 20_000 : MB,
  }))

  await checked(origin, await origin.run({ maxConnections: 4 }), content)

  const [, slow] = origin.answers
  expect(slow?.isClosed).toBe(true)
  expect(slow?.sentBytes).toBeLessThan(200_000)
})

test('download() gives up no connection for being slow under a limit', async () => {
  await using origin = await PacedOrigin.start(CONTENT, (index) => ({
    bytesPerSecond: index === 1 ? 50_000 : MB,
  }))

  await checked(origin, await origin.run({ maxConnections: 4, limitBytesPerSecond: 1000 * MB }))

  // Nobody could say who is to blame. Without a limit it gets a second.
  expect(origin.answers[1]?.sentBytes).toBeGreaterThan(90_000)
})

test('download() takes no connection for silent that it does not listen to', async () => {
  await using origin = await PacedOrigin.start(CONTENT, () => ({
    bytesPerSecond: 10 * MB,
    stallsAfter: MB,
  }))

  // The first read is enough for minutes.
  const options = { maxConnections: 1, limitBytesPerSecond: 1000 }
  expect(await origin.run(options, 40_000).catch(() => undefined)).toBeUndefined()

  expect(origin.answers).toHaveLength(1)
})

test('download() takes the work of a connection that falls silent', async () => {
  await using origin = await PacedOrigin.start(CONTENT, (index) => ({
    bytesPerSecond: MB,
    ...(index === 1 ? { stallsAfter: 100_000 } : {}),
  }))

  const { fetchedBytes } = await checked(origin, await origin.run({ maxConnections: 4 }))

  expect(origin.elapsedMs).toBeLessThan(7500)
  expect(fetchedBytes).toBeLessThan(CONTENT.length * 1.1)
})

test('download() takes the work of a connection that says nothing at all', async () => {
  await using origin = await PacedOrigin.start(CONTENT, (index) => ({
    bytesPerSecond: MB,
    ...(index === 1 ? { headMs: 1_000_000 } : {}),
  }))

  await checked(origin, await origin.run({ maxConnections: 4 }))

  expect(origin.elapsedMs).toBeLessThan(7500)
})

test.each([
  ['', {}],
  [' under a limit', { limitBytesPerSecond: 1000 * MB }],
])('download() asks again where its only connection falls silent%s', async (_, options) => {
  await using origin = await PacedOrigin.start(CONTENT, (index) => ({
    bytesPerSecond: 4 * MB,
    ...(index === 0 ? { stallsAfter: MB } : {}),
  }))

  const { fetchedBytes } = await checked(
    origin,
    await origin.run({ maxConnections: 1, ...options }),
  )

  expect(fetchedBytes).toBe(CONTENT.length)
  expect(origin.answers).toHaveLength(2)
  expect(origin.answers[0]?.isClosed).toBe(true)
  // Not sooner: nobody could say that another connection would fare better.
  expect(origin.answers[1]).toMatchObject({ start: MB })
  expect(origin.answers[1]?.askedAt).toBeGreaterThan(12_000)
  expect(origin.answers[1]?.askedAt).toBeLessThan(13_000)
})

test('download() chases a server that is silent again and again ever less', async () => {
  await using origin = await PacedOrigin.start(CONTENT, (index) => ({
    bytesPerSecond: 4 * MB,
    ...(index < 3 ? { stallsAfter: MB } : {}),
  }))

  await checked(origin, await origin.run({ maxConnections: 1 }, 300_000))

  const asked = origin.answers.map(({ askedAt }) => askedAt)
  const waits = asked.slice(1).map((at, index) => at - (asked[index] as number))
  expect(waits).toEqual([...waits].sort((one, other) => one - other))
  expect(waits.at(-1)).toBeGreaterThan(2 * (waits[0] as number))
})

test.each([1, 4])(
  'download() waits for heads that take 3 s, over %i connections',
  async (count) => {
    await using origin = await PacedOrigin.start(CONTENT, () => ({
      bytesPerSecond: MB,
      headMs: 3000,
    }))

    await checked(origin, await origin.run({ maxConnections: count }))

    expect(origin.answers.filter(({ hasHead }) => !hasHead)).toEqual([])
    expect(origin.answers.length).toBeLessThanOrEqual(2 * count)
    // One connection takes 15 s.
    expect(origin.elapsedMs).toBeLessThan(16_500)
  },
)

test('download() waits 10 s for the first head of a part that it resumes', async () => {
  let isLate = false
  await using origin = await PacedOrigin.start(CONTENT, () => ({
    bytesPerSecond: 2 * MB,
    headMs: isLate ? 10_000 : 0,
  }))
  const stop = new AbortController()
  const timer = origin.clock.after(2000, () => stop.abort(new Error('enough')))
  await expect(origin.run({ signal: stop.signal, maxConnections: 1 })).rejects.toThrow('enough')
  timer()
  const before = origin.answers.length
  isLate = true

  await checked(origin, await origin.run({ maxConnections: 1 }))

  expect(origin.answers.length).toBe(before + 1)
})

test('download() fetches the end of a slow connection once more, and little twice', async () => {
  const content = CONTENT.subarray(0, 1.2 * MB)
  await using origin = await PacedOrigin.start(content, (index) => ({
    // Not so slow that it is given up.
    bytesPerSecond: index === 0 ? 110_000 : MB,
  }))

  const { fetchedBytes } = await checked(origin, await origin.run({ maxConnections: 2 }), content)

  // More than 3 s if the slow one were left to end what nobody would split.
  expect(origin.elapsedMs).toBeLessThan(2900)
  expect(fetchedBytes).toBeGreaterThan(content.length)
  expect(fetchedBytes).toBeLessThan(content.length + 600_000)
  expect(origin.answers[0]?.isClosed).toBe(true)
})

test('download() fetches little twice where all connections are as fast', async () => {
  await using origin = await PacedOrigin.start(CONTENT, () => ({ bytesPerSecond: MB }))

  const { fetchedBytes } = await checked(origin, await origin.run({ maxConnections: 4 }))

  expect(fetchedBytes).toBeLessThan(CONTENT.length * 1.02)
})

/** Limits on speed and connections, of one download and of several. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import { RateLimit } from '../transfer/rate-limit.ts'
import { download, type Download } from './download.ts'
import type { DownloadEvent } from './download-options.ts'
import { HostLimits } from './host-limits.ts'

const SIZE = 2_000_000
const CONTENT = randomBytes(SIZE)

function start(): Promise<DownloadFixture> {
  return DownloadFixture.start({ content: CONTENT, bytesPerSecond: 4_000_000 })
}

/** Resolves when so many bytes of the file are here. */
async function untilReceived(run: Download, bytes: number): Promise<void> {
  while (run.progress().receivedBytes < bytes) await pause(1)
}

test.concurrent('Download.limitBytesPerSecond can be set, changed and lifted while it runs', async () => {
  await using fixture = await start()
  delete fixture.server.options.bytesPerSecond
  const run = fixture.start({ limitBytesPerSecond: 200_000, maxConnections: 1 })
  const startedAt = performance.now()
  // What comes with the head may exceed the limit; the rest waits for that, too.
  await untilReceived(run, 200_000)
  expect(performance.now() - startedAt).toBeGreaterThan(500)

  run.limitBytesPerSecond = 1000
  await pause(200)
  const { receivedBytes } = run.progress()
  // One read of what waits in the system comes in any case.
  expect(receivedBytes).toBeLessThan(1_000_000)
  // What is asked to wait now would wait for minutes.
  run.limitBytesPerSecond = undefined
  await run.result

  expect(run.limitBytesPerSecond).toBeUndefined()
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('Download takes a limit while content comes at full speed', async () => {
  await using fixture = await start()
  const run = fixture.start({ maxConnections: 1 })
  await untilReceived(run, SIZE / 10)

  run.limitBytesPerSecond = 50_000
  await pause(150)
  const before = run.progress().receivedBytes
  await pause(400)
  const after = run.progress().receivedBytes

  // 20,000 bytes by the limit, 1,600,000 without it.
  expect(after - before).toBeLessThan(300_000)
  run.limitBytesPerSecond = undefined
  await run.result
})

test.concurrent('Download refuses a limit that would never let it end', async () => {
  await using fixture = await start()
  const run = fixture.start()

  expect(() => (run.limitBytesPerSecond = 0)).toThrow('expected a number above 0')
  expect(() => (run.limitBytesPerSecond = Number.NaN)).toThrow('expected a number above 0')

  await run.result
})

test.concurrent('downloads that share a limit keep to it together', async () => {
  await using first = await start()
  await using second = await start()
  for (const { server } of [first, second]) {
    Object.assign(server.options, {
      bytesPerSecond: undefined,
      content: CONTENT.subarray(0, 800_000),
    })
  }
  const limit = new RateLimit(1_000_000)
  const startedAt = performance.now()

  const options = { limit, maxConnections: 1 }
  await Promise.all([first.start(options).result, second.start(options).result])

  // 1.6 s for both; only their last reads need not be waited for.
  expect(performance.now() - startedAt).toBeGreaterThan(800)
})

test.concurrent('downloads that share their hosts share the connections to each', async () => {
  await using fixture = await start()
  fixture.server.options.bytesPerSecond = 1_000_000
  const hosts = new HostLimits({ maxConnectionsPerHost: 3 })
  const runs = ['a', 'b'].map((name) =>
    download(fixture.server.url, join(fixture.folder, name), {
      client: fixture.client,
      maxConnections: 8,
      hosts,
    }),
  )

  // The server learns later than we do that a connection was given up.
  const counts: number[] = []
  const timer = setInterval(() => {
    counts.push(runs.reduce((sum, run) => sum + run.progress().connections.length, 0))
  }, 1)
  await Promise.all(runs.map(({ result }) => result))
  clearInterval(timer)

  expect(Math.max(...counts)).toBeLessThanOrEqual(3)
  expect(fixture.server.maxActive).toBeGreaterThan(1)
  // All of it is given back.
  const key = new URL(fixture.server.url).origin
  expect(takeAll(hosts, key)).toBe(3)
})

test.concurrent('downloads give their connections back however they end', async () => {
  await using fixture = await start()
  const hosts = new HostLimits({ maxConnectionsPerHost: 3 })
  const stop = new AbortController()
  const aborted = fixture.start({ hosts, signal: stop.signal, maxConnections: 3 })
  await untilReceived(aborted, SIZE / 4)
  stop.abort(new Error('enough'))
  await expect(aborted.result).rejects.toThrow('enough')
  fixture.server.options.fault = () => ({ type: 'status', status: 404 })
  await expect(fixture.start({ hosts }).result).rejects.toMatchObject({ code: 'http-status' })
  const thrown = new Error('by a listener')
  fixture.server.options.fault = () => ({ type: 'status', status: 503 })
  const onEvent = (event: DownloadEvent): void => {
    if (event.type === 'retry') throw thrown
  }
  await expect(fixture.start({ hosts, onEvent }).result).rejects.toBe(thrown)

  expect(takeAll(hosts, new URL(fixture.server.url).origin)).toBe(3)
})

test.concurrent('download() opens no more connections where its own limit holds it back', async () => {
  await using fixture = await start()

  // By a client of its own, whose clock is not in haste.
  await download(fixture.server.url, fixture.target, {
    limitBytesPerSecond: 1_000_000,
    maxConnections: 8,
  }).result

  expect(fixture.server.connectionCount).toBe(1)
})

/** How many connections are free. */
function takeAll(hosts: HostLimits, name: string): number {
  let count = 0
  while (hosts.take(name, performance.now())) count++
  return count
}

test.concurrent('a download that waits for a connection to its host begins when one is free', async () => {
  await using fixture = await start()
  const hosts = new HostLimits({ maxConnectionsPerHost: 1 })
  const first = fixture.start({ hosts })
  await untilReceived(first, 1)
  // The server may still be ending an answer that has come whole: what counts is what has come.
  const receivedBefore: number[] = []
  fixture.server.options.fault = ({ url }) => {
    if (url.endsWith('?second')) receivedBefore.push(first.progress().receivedBytes)
    return undefined
  }
  const second = download(`${fixture.server.url}?second`, join(fixture.folder, 'second'), {
    client: fixture.client,
    hosts,
  })
  await pause(50)
  expect(fixture.server.requests).toHaveLength(1)
  expect(second.state).toBe('running')

  await Promise.all([first.result, second.result])

  expect(Math.min(...receivedBefore)).toBe(SIZE)
})

test.concurrent('a pause that a host has asked for holds for other downloads, too', async () => {
  await using fixture = await start()
  const hosts = new HostLimits()
  fixture.server.options.fault = ({ url }) =>
    url === '/busy' ? { type: 'status', status: 503, headers: { 'Retry-After': '1' } } : undefined
  const busy = download(new URL('/busy', fixture.server.url), join(fixture.folder, 'busy'), {
    client: fixture.client,
    hosts,
    maxRetries: 1,
  })
  await once(eventsOf(busy, 'retry'), 'retry')
  const startedAt = performance.now()

  await download(fixture.server.url, join(fixture.folder, 'other'), {
    client: fixture.client,
    hosts,
  }).result

  // Of the second, what has not passed yet.
  expect(performance.now() - startedAt).toBeGreaterThan(700)
  await busy.cancel()
})

function eventsOf(run: Download, type: DownloadEvent['type']): EventTarget {
  const target = new EventTarget()
  run.onEvent((event) => {
    if (event.type === type) target.dispatchEvent(new Event(type))
  })
  return target
}

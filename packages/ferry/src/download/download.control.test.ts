/** Pausing, resuming, cancelling, limiting and watching a download. */
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import type { Fault } from '../testing/fault-server-answer.ts'
import type { DownloadEvent, DownloadProgress } from './download-options.ts'
import type { Download } from './download.ts'

const SIZE = 2_000_000
const CONTENT = randomBytes(SIZE)
const CHECKSUM = { algorithm: 'sha256', hex: createHash('sha256').update(CONTENT).digest('hex') }
const PART = ['file.bin.part', 'file.bin.part.journal']

function start(): Promise<DownloadFixture> {
  return DownloadFixture.start({ content: CONTENT, bytesPerSecond: 4_000_000 })
}

/** Resolves when it is in that state. */
async function until(run: Download, state: Download['state']): Promise<void> {
  await new Promise<void>((resolve) => {
    const stop = run.onEvent((event) => {
      if (event.type !== 'state' || event.state !== state) return
      stop()
      resolve()
    })
  })
}

/** Resolves when so many bytes of the file are here. */
async function untilReceived(run: Download, bytes: number): Promise<void> {
  while (run.progress().receivedBytes < bytes) {
    if (run.state === 'failed') await run.result
    await pause(1)
  }
}

/** Notes the states that it passes. */
function statesOf(run: Download): string[] {
  const states: string[] = []
  run.onEvent((event) => {
    if (event.type === 'state') states.push(event.state)
  })
  return states
}

// ── Pause and resume

test.concurrent('Download.pause() stops for the time being, resume() goes on with what is here', async () => {
  await using fixture = await start()
  const run = fixture.start()
  const states = statesOf(run)
  await untilReceived(run, SIZE / 4)

  run.pause()
  expect(run.state).toBe('paused')
  await expect.poll(() => run.progress().connections).toEqual([])
  await fixture.server.idle()
  const sent = fixture.server.requests.length
  const { receivedBytes } = run.progress()
  await pause(100)

  expect(run.progress().receivedBytes).toBe(receivedBytes)
  expect(fixture.server.requests.length).toBe(sent)
  run.resume()
  const result = await run.result
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(states).toEqual([...['running', 'paused', 'queued', 'running', 'verifying'], 'completed'])
  expect(result).toMatchObject({ resumedBytes: 0, outcome: 'fetched' })
  expect(result.fetchedBytes).toBeLessThan(SIZE * 1.2)
})

test.concurrent('Download.resume() right after pause() goes on', async () => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)

  for (let times = 0; times < 5; times++) {
    run.pause()
    run.pause()
    run.resume()
    run.resume()
  }
  await run.result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('Download.pause() by who is told of its resume() holds until the next', async () => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)
  run.pause()
  await expect.poll(() => run.progress().connections).toEqual([])
  let pauses = 0
  run.onEvent((event) => {
    if (event.type === 'state' && event.state === 'queued' && pauses++ === 0) run.pause()
  })

  run.resume()
  expect(run.state).toBe('paused')
  await pause(50)
  run.resume()
  await run.result

  expect(pauses).toBe(2)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('Download.pause() after resume() and pause() without a moment between holds', async () => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)

  run.pause()
  run.resume()
  run.pause()
  await pause(200)

  expect(run.state).toBe('paused')
  await expect.poll(() => fixture.names()).toEqual(PART)
  run.resume()
  await run.result
})

test.concurrent('Download.pause() before it has begun keeps it from asking the server', async () => {
  await using fixture = await start()
  const run = fixture.start()

  run.pause()
  await pause(100)

  expect([run.state, fixture.server.requests.length]).toEqual(['paused', 0])
  run.resume()
  await run.result
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('Download can be paused at every percent and ends with the exact bytes', async () => {
  await using fixture = await start()
  fixture.server.options.bytesPerSecond = 20_000_000
  const run = fixture.start({ maxConnections: 4 })

  for (let percent = 5; percent < 100; percent += 5) {
    while (run.progress().receivedBytes < (SIZE * percent) / 100 && run.state !== 'completed') {
      await pause(1)
    }
    run.pause()
    if (percent % 2 === 0) await pause(5)
    run.resume()
  }

  const { resumedBytes } = await run.result
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBe(0)
})

test.concurrent('Download has nothing to pause while it verifies or when it has ended', async () => {
  await using fixture = await start()
  const run = fixture.start({ checksum: CHECKSUM })
  run.onEvent((event) => {
    if (event.type === 'state' && event.state === 'verifying') run.pause()
  })

  await run.result
  run.pause()
  run.resume()

  expect(run.state).toBe('completed')
})

test.concurrent('Download that is paused as its last byte comes can be resumed', async () => {
  await using fixture = await start()
  const run = fixture.start({ checksum: CHECKSUM, maxConnections: 1 })
  await fixture.server.whenSent(SIZE)
  // Whenever that is: all has come or nearly so, and nothing is verified yet.
  while (run.state === 'running' && run.progress().receivedBytes < SIZE) await pause(0)

  run.pause()
  await pause(100)
  expect(['paused', 'completed']).toContain(run.state)
  run.resume()
  await run.result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('Download can be paused at any moment between its last byte and its publishing', async () => {
  await using fixture = await start()
  const content = CONTENT.subarray(0, 100_000)
  const checksum = { algorithm: 'sha256', hex: createHash('sha256').update(content).digest('hex') }
  Object.assign(fixture.server.options, { content, bytesPerSecond: undefined })

  for (let delay = 0; delay < 30; delay++) {
    const run = fixture.start({ checksum, onExists: 'overwrite' })
    await untilReceived(run, content.length)
    for (let turn = 0; turn < delay; turn++) await immediate()
    run.pause()
    await pause(10)
    run.resume()
    // Does not come to an end if it has lost its way between the states.
    await run.result
  }

  expect((await fixture.content()).equals(content)).toBe(true)
})

test.concurrent('Download that was to begin anew does not do so after a pause', async () => {
  await using fixture = await start()
  await fixture.runUntil(SIZE / 4)
  const before = fixture.server.sentBytes
  const run = fixture.start({ fresh: true })
  await untilReceived(run, SIZE / 2)

  run.pause()
  await pause(50)
  run.resume()
  await run.result

  expect(fixture.server.sentBytes - before).toBeLessThan(SIZE * 1.3)
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent('Download tells how far it is while it is paused and begins again', async () => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)
  const seen: number[] = []
  const note = (): void => {
    seen.push(run.progress().receivedBytes)
  }

  run.onEvent(note)
  run.pause()
  await pause(50)
  const timer = setInterval(note, 1)
  run.resume()
  note()
  await run.result
  clearInterval(timer)

  expect(Math.min(...seen)).toBeGreaterThanOrEqual(SIZE / 4)
  expect(run.progress()).toMatchObject({ resumedBytes: 0, size: SIZE, receivedBytes: SIZE })
})

// ── Cancel

test.concurrent.each([
  [false, PART],
  [true, []],
])('Download.cancel() while it runs, with deleteFiles: %s', async (deleteFiles, names) => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)

  await run.cancel({ deleteFiles })

  expect(run.state).toBe('cancelled')
  expect(await fixture.names()).toEqual(names)
  await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
  // Nobody fetches on.
  const sent = fixture.server.requests.length
  run.resume()
  run.pause()
  await pause(50)
  expect(fixture.server.requests.length).toBe(sent)
  expect(run.state).toBe('cancelled')
})

test.concurrent.each([
  [false, PART],
  [true, []],
])('Download.cancel() while it is paused, with deleteFiles: %s', async (deleteFiles, names) => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)
  run.pause()
  await expect.poll(() => fixture.names()).toEqual(PART)

  await run.cancel({ deleteFiles })

  expect(run.state).toBe('cancelled')
  expect(await fixture.names()).toEqual(names)
})

test.concurrent.each([
  [false, PART],
  [true, []],
])('Download.cancel() before it has begun, with deleteFiles: %s', async (deleteFiles, names) => {
  await using fixture = await start()
  await fixture.runUntil(SIZE / 4)
  const sent = fixture.server.requests.length
  const run = fixture.start()
  const states = statesOf(run)

  await run.cancel({ deleteFiles })

  expect(states).toEqual(['cancelled'])
  expect(fixture.server.requests.length).toBe(sent)
  expect(await fixture.names()).toEqual(names)
})

test.concurrent('Download.cancel() while it verifies publishes nothing', async () => {
  await using fixture = await start()
  const run = fixture.start({ checksum: CHECKSUM })
  const states = statesOf(run)
  const cancelled = until(run, 'verifying').then(() => run.cancel({ deleteFiles: true }))

  await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
  await cancelled

  expect(states.at(-1)).toBe('cancelled')
  expect(await fixture.names()).toEqual([])
})

test.concurrent('Download.cancel() while it verifies what has no digest publishes nothing', async () => {
  await using fixture = await start()
  const run = fixture.start()
  run.onEvent((event) => {
    if (event.type === 'state' && event.state === 'verifying') void run.cancel()
  })

  await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })

  expect(run.state).toBe('cancelled')
  expect(await fixture.names()).toEqual(PART)
})

test.concurrent('Download.cancel() touches nothing of a download that has ended', async () => {
  await using fixture = await start()
  const run = fixture.start()
  await run.result

  await run.cancel({ deleteFiles: true })
  await run.cancel()

  expect(run.state).toBe('completed')
  expect(await fixture.names()).toEqual(['file.bin'])
})

test.concurrent('Download.cancel() deletes what a failed or cancelled download has left', async () => {
  await using fixture = await start()
  const fault = (): Fault => ({ type: 'reset', afterBytes: SIZE / 4 })
  fixture.server.options.fault = fault
  const failed = fixture.start({ maxRetries: 0, maxConnections: 1 })
  await expect(failed.result).rejects.toMatchObject({ code: 'connection-lost' })
  expect(await fixture.names()).toEqual(PART)

  await failed.cancel({ deleteFiles: true })

  expect(failed.state).toBe('failed')
  expect(await fixture.names()).toEqual([])
  delete fixture.server.options.fault
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)
  await run.cancel()
  expect(await fixture.names()).toEqual(PART)
  await run.cancel({ deleteFiles: true })
  expect(await fixture.names()).toEqual([])
})

test.concurrent('Download.cancel() twice at once ends it once', async () => {
  await using fixture = await start()
  const run = fixture.start()
  const states = statesOf(run)
  await untilReceived(run, SIZE / 4)

  await Promise.all([run.cancel(), run.cancel({ deleteFiles: true })])

  expect(states).toEqual(['running', 'cancelled'])
})

test.concurrent("Download.cancel() deletes no other download's part", async () => {
  await using fixture = await start()
  const first = fixture.start()
  await untilReceived(first, SIZE / 4)
  first.pause()
  await expect.poll(() => fixture.names()).toEqual(PART)
  // Somebody else goes on with it meanwhile.
  const second = fixture.start()
  await untilReceived(second, SIZE / 2)

  await first.cancel({ deleteFiles: true })
  const { resumedBytes } = await second.result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(0)
})

test.concurrent('Download.cancel() deletes no file that only has the name of a part', async () => {
  await using fixture = await start()
  await fixture.write('file.bin.part', 'somebody’s')
  const run = fixture.start()

  await run.cancel({ deleteFiles: true })

  expect(await fixture.names()).toEqual(['file.bin.part'])
})

// ── Signal

test.concurrent.each(['running', 'paused', 'verifying'] as const)(
  'download() that is aborted by its signal while it is %s rejects with the reason',
  async (state) => {
    await using fixture = await start()
    const stop = new AbortController()
    const reason = new Error('enough')
    const run = fixture.start({ signal: stop.signal, checksum: CHECKSUM })
    if (state === 'verifying') await until(run, 'verifying')
    else await untilReceived(run, SIZE / 4)
    if (state === 'paused') {
      run.pause()
      await pause(20)
    }

    stop.abort(reason)

    await expect(run.result).rejects.toBe(reason)
    expect(run.state).toBe('failed')
    expect(await fixture.names()).toEqual(PART)
  },
)

test.concurrent('download() leaves no listener at a signal that lives longer', async () => {
  await using fixture = await start()
  const stop = new AbortController()
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  const run = fixture.start({ signal: stop.signal })
  await run.result

  stop.abort(new Error('too late'))
  await pause(20)

  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
  expect(run.state).toBe('completed')
})

// ── Watching

test.concurrent('Download gives its progress to whoever iterates over it, up to the end', async () => {
  await using fixture = await start()
  const run = fixture.start({ maxConnections: 2 })
  const seen: DownloadProgress[] = []

  for await (const progress of run) seen.push(progress)

  expect(seen.length).toBeGreaterThan(3)
  expect(seen.at(-1)).toMatchObject({
    state: 'completed',
    receivedBytes: SIZE,
    remainingSeconds: 0,
    connections: [],
  })
  const received = seen.map(({ receivedBytes }) => receivedBytes)
  expect(received).toEqual([...received].sort((one, other) => one - other))
  const [busy] = seen.flatMap(({ connections }) => connections)
  expect(busy).toMatchObject({ url: fixture.server.url })
  expect(seen.some(({ resumable }) => resumable)).toBe(true)
})

test.concurrent('Download ends the iteration when it fails, and whoever iterates may leave', async () => {
  await using fixture = await start()
  fixture.server.options.fault = () => ({ type: 'status', status: 404 })
  const failing = fixture.start()
  const states: string[] = []

  for await (const { state } of failing) states.push(state)

  expect(states.at(-1)).toBe('failed')
  await expect(failing.result).rejects.toMatchObject({ code: 'http-status' })
  delete fixture.server.options.fault
  const run = fixture.start()
  for await (const { receivedBytes } of run) if (receivedBytes > 0) break
  await run.result
})

test.concurrent('Download tells listeners and the option of events until they leave', async () => {
  await using fixture = await start()
  const events: DownloadEvent[] = []
  const run = fixture.start({ onEvent: (event) => events.push(event) })
  const heard: DownloadEvent[] = []
  const leave = run.onEvent((event) => {
    heard.push(event)
    leave()
  })

  await run.result

  expect(heard).toEqual([{ type: 'state', state: 'running' }])
  expect(events.map((event) => event.type === 'state' && event.state)).toEqual([
    ...['running', 'verifying', 'completed'],
  ])
})

test.concurrent('download() into a target that appears meanwhile can still be cancelled', async () => {
  await using fixture = await start()
  const run = fixture.start()
  await untilReceived(run, SIZE / 4)
  await writeFile(fixture.target, 'somebody’s')

  await run.cancel({ deleteFiles: true })

  expect(await fixture.names()).toEqual(['file.bin'])
  expect((await fixture.content()).toString()).toBe('somebody’s')
})

import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'

const DAY_MS = 86_400_000

test('UploadCore takes no more than it may', async () => {
  await using core = await new MemoryUploads().open({ limits: { maxUploadBytes: 5 } })
  const { id } = await core.create({})

  await expect(core.create({ length: 6 })).rejects.toMatchObject({ code: 'upload-too-large' })
  await expect(core.append(id, 0, contentOf('abc', 'def'))).rejects.toMatchObject({
    code: 'upload-too-large',
    detail: { maxBytes: 5 },
  })

  expect(core.status(id).offset).toBe(3)
})

test('UploadCore counts unfinished uploads, and forgets the finished and the ended', async () => {
  await using core = await new MemoryUploads().open({ limits: { maxUploads: 2 } })
  const first = await core.create({ length: 1 })
  const second = await core.create({})
  await expect(core.create({})).rejects.toMatchObject({ code: 'quota-exceeded' })

  await core.append(first.id, 0, contentOf('x'))
  const third = await core.create({})
  await core.terminate(second.id)
  await core.terminate(third.id)

  await core.create({})
  await core.create({})
  await expect(core.create({})).rejects.toMatchObject({ code: 'quota-exceeded' })
})

test('UploadCore counts bytes of each owner, announced or not', async () => {
  await using core = await new MemoryUploads().open({ limits: { maxBytesPerOwner: 10 } })
  await core.create({ owner: 'anna', length: 6 })
  const { id } = await core.create({ owner: 'anna' })

  await expect(core.create({ owner: 'anna', length: 5 })).rejects.toMatchObject({
    code: 'quota-exceeded',
  })
  await expect(core.append(id, 0, contentOf('abcd', 'e'))).rejects.toMatchObject({
    code: 'quota-exceeded',
    detail: { limit: 'bytes' },
  })
  await core.create({ owner: 'bert', length: 10 })

  expect(core.status(id).offset).toBe(4)
})

test('UploadCore counts what an earlier process has left', async () => {
  const uploads = new MemoryUploads()
  const core = await uploads.open()
  await core.create({ owner: 'anna', length: 6 })
  await core.close()

  await using next = await uploads.open({ limits: { maxBytesPerOwner: 10 } })

  await expect(next.create({ owner: 'anna', length: 5 })).rejects.toMatchObject({
    code: 'quota-exceeded',
  })
})

/** A disk with so much room. */
class SmallStore extends MemoryBlobStore {
  free = 1000

  override freeBytes(): Promise<undefined> {
    return Promise.resolve(this.free as unknown as undefined)
  }
}

test('UploadCore keeps a reserve free on the disk', async () => {
  const blobs = new SmallStore()
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ blobs, limits: { reserveBytes: 100 } })

  await expect(core.create({ length: 901 })).rejects.toMatchObject({
    code: 'insufficient-storage',
    detail: { freeBytes: 1000, reserveBytes: 100 },
  })
  const { id } = await core.create({ length: 900 })
  blobs.free = 50
  // It is looked once a second.
  uploads.clock.advance(1000)
  await expect(core.append(id, 0, contentOf('abc'))).rejects.toMatchObject({
    code: 'insufficient-storage',
  })
  blobs.free = 1000
  await core.append(id, 0, contentOf('abc'))

  expect(core.status(id).offset).toBe(3)
})

test('UploadCore looks anew while much comes that nobody has announced', async () => {
  const blobs = new SmallStore()
  blobs.free = 1e9
  await using core = await new MemoryUploads().open({ blobs, limits: { reserveBytes: 100 } })
  const { id } = await core.create({})
  const chunk = Buffer.alloc(1_048_576)
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < 80; sent++) {
      // No time passes meanwhile.
      blobs.free = 50
      await new Promise(setImmediate)
      yield chunk
    }
  }

  await expect(core.append(id, 0, endless())).rejects.toMatchObject({
    code: 'insufficient-storage',
  })
})

test('UploadCore counts what unfinished uploads have announced as taken', async () => {
  const blobs = new SmallStore()
  await using core = await new MemoryUploads().open({ blobs, limits: { reserveBytes: 100 } })
  const refusal = { code: 'insufficient-storage' }
  const first = await core.create({ length: 500 })
  const open = await core.create({})

  await expect(core.create({ length: 401 })).rejects.toMatchObject(refusal)
  await expect(
    core.append(open.id, 0, contentOf('x'), { contentLength: 401 }),
  ).rejects.toMatchObject(refusal)
  await expect(core.setLength(open.id, 401)).rejects.toMatchObject(refusal)
  await core.append(open.id, 0, contentOf('abc'), { contentLength: 3 })
  blobs.free = 997
  // What was announced has its room, also when others may take no more.
  const second = await core.create({ length: 397 })
  await core.append(first.id, 0, contentOf(Buffer.alloc(500)), { contentLength: 500 })
  blobs.free = 497
  await expect(core.create({ length: 1 })).rejects.toMatchObject(refusal)
  await core.terminate(second.id)

  await core.create({ length: 397 })
})

test('UploadCore counts announced bytes that an earlier process has not stored', async () => {
  const uploads = new MemoryUploads()
  const blobs = new SmallStore()
  const limits = { reserveBytes: 100 }
  const core = await uploads.open({ blobs, limits })
  const { id } = await core.create({ length: 600 })
  await core.append(id, 0, contentOf(Buffer.alloc(200)))
  await core.close()
  blobs.free = 800

  await using next = await uploads.open({ blobs, limits })

  await expect(next.create({ length: 301 })).rejects.toMatchObject({
    code: 'insufficient-storage',
  })
  await next.create({ length: 300 })
})

test('UploadCore creates no two uploads at once for which there is room only once', async () => {
  const blobs = new SmallStore()
  await using core = await new MemoryUploads().open({ blobs, limits: { reserveBytes: 100 } })

  const outcomes = await Promise.allSettled([
    core.create({ length: 500 }),
    core.create({ length: 500 }),
  ])

  expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(2)
})

test('UploadCore counts no room twice for bytes that are dropped and come again', async () => {
  const blobs = new SmallStore()
  await using core = await new MemoryUploads().open({ blobs, limits: { reserveBytes: 100 } })
  const { id } = await core.create({ length: 400 })
  const digest = { algorithm: 'md5', hex: '0' } as const
  for (let round = 0; round < 3; round++) {
    const wrong = core.append(id, 0, contentOf(Buffer.alloc(400)), { digest })
    await expect(wrong).rejects.toMatchObject({ code: 'digest-mismatch' })
  }
  blobs.free = 600

  await core.create({ length: 500 })
  await expect(core.create({ length: 1 })).rejects.toMatchObject({ code: 'insufficient-storage' })
})

test('UploadCore ends a sender that sends nothing, and keeps what came', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ limits: { idleTimeoutMs: 1000 }, checkpointMs: 1e9 })
  const { id } = await core.create({})
  const sender = createSender()
  const writing = core.append(id, 0, sender)
  const outcome = writing.catch((error: unknown) => error)
  sender.push('abc')
  await new Promise(setImmediate)

  uploads.clock.advance(1000)
  sender.push('d')
  await new Promise(setImmediate)
  uploads.clock.advance(999)
  expect(core.status(id).isReceiving).toBe(true)
  uploads.clock.advance(1)
  await new Promise(setImmediate)
  uploads.clock.advance(1000)

  expect(await outcome).toMatchObject({ code: 'upload-interrupted', detail: { reason: 'slow' } })
  expect(core.status(id).offset).toBe(4)
})

test('UploadCore ends a sender that is slower than the minimum', async () => {
  const uploads = new MemoryUploads()
  const limits = { idleTimeoutMs: 1000, minBytesPerSecond: 10 }
  await using core = await uploads.open({ limits, checkpointMs: 1e9 })
  const { id } = await core.create({})
  const sender = createSender()
  const outcome = core.append(id, 0, sender).catch((error: unknown) => error)
  sender.push('0123456789')
  await new Promise(setImmediate)
  uploads.clock.advance(1000)
  expect(core.status(id).isReceiving).toBe(true)

  sender.push('012345678')
  await new Promise(setImmediate)
  uploads.clock.advance(1000)

  expect(await outcome).toMatchObject({ detail: { reason: 'slow' } })
  expect(core.status(id).offset).toBe(19)
})

test('UploadCore commits from time to time what has come of a long upload', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ checkpointMs: 500 })
  const { id } = await core.create({})
  const sender = createSender()
  const writing = core.append(id, 0, sender)
  sender.push('abc')
  await new Promise(setImmediate)
  expect(core.status(id).offset).toBe(0)

  uploads.clock.advance(500)
  await new Promise(setImmediate)
  expect(core.status(id).offset).toBe(3)
  sender.push(null)

  expect((await writing).offset).toBe(3)
})

test('UploadCore removes unfinished uploads that have expired, and nothing else', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ expiresInMs: 1000, sweepIntervalMs: 100 })
  const idle = await core.create({})
  const active = await core.create({})
  const lasting = await core.create({ expiresInMs: DAY_MS })
  const finished = await core.create({ length: 1, name: 'a' })
  await core.append(finished.id, 0, contentOf('x'))
  expect(idle.expiresAt).toBe(uploads.epochNow + 1000)

  uploads.clock.advance(600)
  await core.append(active.id, 0, contentOf('x'))
  uploads.clock.advance(400)
  await new Promise(setImmediate)

  expect(() => core.status(idle.id)).toThrow(/Cannot (find|go on with) upload/)
  await core.sweep()
  expect(() => core.status(idle.id)).toThrow('Cannot find upload')
  expect([active, lasting, finished].map(({ id }) => core.status(id).state)).toEqual([
    'unfinished',
    'unfinished',
    'completed',
  ])
  expect(uploads.blobs.content('a')?.toString()).toBe('x')
  expect(uploads.events.at(-1)).toMatchObject({ type: 'expired', upload: { id: idle.id } })
})

test('UploadCore forgets finished uploads after a while, and leaves their files', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ keepCompletedMs: DAY_MS })
  const { id } = await core.create({ length: 1, name: 'a' })
  await core.append(id, 0, contentOf('x'))

  uploads.clock.advance(DAY_MS)
  await core.sweep()

  expect([...core.list()]).toEqual([])
  expect(await uploads.journals.list()).toEqual([])
  expect(uploads.blobs.content('a')?.toString()).toBe('x')
})

test('UploadCore removes nothing at a start whose date is wrong, and goes on by the right one', async () => {
  const uploads = new MemoryUploads()
  const first = await uploads.open({ expiresInMs: DAY_MS })
  const { id } = await first.create({})
  await first.append(id, 0, contentOf('abc'))
  await first.close()
  const years = 1000 * DAY_MS
  uploads.epochNow += DAY_MS / 2 + years

  await using core = await uploads.open({ expiresInMs: DAY_MS })
  await core.sweep()
  expect(core.status(id).offset).toBe(3)
  uploads.epochNow -= years
  uploads.clock.advance(3_600_000)
  uploads.epochNow += 3_600_000
  await core.sweep()
  expect(core.status(id).expiresAt).toBe(uploads.epochNow + DAY_MS / 2 - 3_600_000)

  // What comes now is dated by the clock of this process alone.
  await core.append(id, 3, contentOf('d'))
  uploads.epochNow += years
  await core.sweep()
  expect(core.status(id).expiresAt).toBe(uploads.epochNow + DAY_MS)
  uploads.clock.advance(DAY_MS)
  await core.sweep()
  expect([...core.list()]).toEqual([])
})

test.each([
  ['forward', 3_600_000],
  ['backward', -3_600_000],
])('UploadCore does not age uploads when the clock jumps %s while it runs', async (_, jumpMs) => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ expiresInMs: 1000 })
  const { id } = await core.create({})

  uploads.epochNow += jumpMs
  await core.sweep()

  expect(core.status(id).expiresAt).toBe(uploads.epochNow + 1000)
})

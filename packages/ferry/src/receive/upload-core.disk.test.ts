// A disk that fails to write or to sync: what is acknowledged, and what may never be published.
import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { UploadBlob } from './blob-store.ts'
import type { UploadJournal } from './journal-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import { MemoryJournalStore } from './memory-journal-store.ts'
import type { AckLevel } from './upload-options.ts'

const FAILURE = new Error('the disk has failed')
/** As much as a writer writes at once. */
const BLOCK = Buffer.alloc(262_144, 'x')

/**
 * A store whose syncs and writes fail as long as the test says so. A failed sync does what systems
 * do: it forgets what was not synced, and the next one succeeds.
 */
class FailingStore extends MemoryBlobStore {
  failsToSync = false
  /** Writes that still succeed. */
  goodWrites = Number.POSITIVE_INFINITY

  override async open(id: string): Promise<UploadBlob> {
    const blob = await super.open(id)
    return {
      write: async (chunks, offset) => {
        const bytes = Buffer.concat(chunks)
        // A full disk takes what still finds room.
        const isGood = this.goodWrites-- > 0
        await blob.write([isGood ? bytes : bytes.subarray(0, bytes.length / 2)], offset)
        if (!isGood) throw FAILURE
      },
      read: (offset, length) => blob.read(offset, length),
      truncate: (length) => blob.truncate(length),
      close: () => blob.close(),
      sync: async () => {
        if (!this.failsToSync) return
        this.failsToSync = false
        await blob.truncate(0)
        throw FAILURE
      },
    }
  }
}

/** Journals that take nothing as long as the test says so. */
class FailingJournals extends MemoryJournalStore {
  fails = false

  override async open(id: string): Promise<UploadJournal> {
    const journal = await super.open(id)
    return {
      get size() {
        return journal.size
      },
      append: (records, options) =>
        this.fails ? Promise.reject(FAILURE) : journal.append(records, options),
      close: () => journal.close(),
    }
  }

  override rewrite(id: string, records: readonly object[]): Promise<void> {
    return this.fails ? Promise.reject(FAILURE) : super.rewrite(id, records)
  }
}

test.each<AckLevel>(['written', 'memory'])(
  'UploadCore publishes nothing of an upload acknowledged as %s whose sync has failed',
  async (ack) => {
    const uploads = new MemoryUploads()
    const blobs = new FailingStore()
    const core = await uploads.open({ blobs, ack, boot: 'this' })
    const { id } = await core.create({ name: 'a', length: 6, finish: 'when-told' })
    await core.append(id, 0, contentOf('abc'))
    await core.append(id, 3, contentOf('def'))
    blobs.failsToSync = true
    await expect(core.complete(id)).rejects.toBe(FAILURE)

    const refusal = { code: 'upload-lost' }
    await expect(core.complete(id)).rejects.toMatchObject(refusal)
    await expect(core.append(id, 6, contentOf())).rejects.toMatchObject(refusal)
    expect(() => core.status(id)).toThrow('the disk has failed')
    expect([...core.list()]).toEqual([])
    await core.close()
    await using next = await uploads.open({ blobs, ack, boot: 'this' })
    expect(next.problems).toEqual([{ type: 'lost-bytes', name: id }])
    await expect(next.complete(id)).rejects.toMatchObject(refusal)
    await next.terminate(id)

    expect(await blobs.isTaken('a')).toBe(false)
    expect(await uploads.journals.list()).toEqual([])
  },
)

test('UploadCore drops an upload whose sync has failed when its journal fails too', async () => {
  const uploads = new MemoryUploads()
  const blobs = new FailingStore()
  const journals = new FailingJournals()
  const core = await uploads.open({ blobs, journals, ack: 'written', boot: 'this' })
  const { id } = await core.create({ name: 'a', length: 3, finish: 'when-told' })
  await core.append(id, 0, contentOf('abc'))
  blobs.failsToSync = true
  journals.fails = true
  await expect(core.complete(id)).rejects.toBe(FAILURE)
  await core.close()

  journals.fails = false
  await using next = await uploads.open({ blobs, journals, ack: 'written', boot: 'this' })

  expect([...next.list()]).toEqual([])
  expect(next.problems).toEqual([{ type: 'stray-blob', name: id }])
})

test('UploadCore finishes an upload acknowledged as durable after a sync has failed', async () => {
  const uploads = new MemoryUploads()
  const blobs = new FailingStore()
  await using core = await uploads.open({ blobs })
  // With its length from the start there would be nothing left to sync.
  const { id } = await core.create({ name: 'a', finish: 'when-told' })
  await core.append(id, 0, contentOf('abc'))
  await core.setLength(id, 3)
  blobs.failsToSync = true
  await expect(core.complete(id)).rejects.toBe(FAILURE)
  // What had been synced before is there after all.
  await (await blobs.open(id)).write([Buffer.from('abc')], 0)

  await core.complete(id)

  expect(blobs.content('a')?.toString()).toBe('abc')
})

test('UploadCore ends an upload for good when durable bytes follow written ones and are lost', async () => {
  const uploads = new MemoryUploads()
  const blobs = new FailingStore()
  const first = await uploads.open({ blobs, ack: 'written', boot: 'this' })
  const { id } = await first.create({ name: 'a', length: 6 })
  await first.append(id, 0, contentOf('abc'))
  await first.close()
  await using core = await uploads.open({ blobs, ack: 'durable', boot: 'this' })
  const sender = createSender()
  const other = core.write(id, 4, sender)
  const outcome = other.catch((error: unknown) => error)
  sender.push('e')
  await new Promise(setImmediate)
  blobs.failsToSync = true

  await expect(core.write(id, 3, contentOf('d'), { contentLength: 1 })).rejects.toBe(FAILURE)

  expect(await outcome).toMatchObject({ code: 'upload-lost' })
  expect(() => core.status(id)).toThrow('the disk has failed')
})

test('UploadCore trusts written bytes once a sync of the same upload has succeeded', async () => {
  const uploads = new MemoryUploads()
  const blobs = new FailingStore()
  const first = await uploads.open({ blobs, ack: 'written', boot: 'this' })
  const { id } = await first.create({ name: 'a', length: 6, finish: 'when-told' })
  await first.append(id, 0, contentOf('abc'))
  await first.close()
  await using core = await uploads.open({ blobs, boot: 'this' })
  await core.append(id, 3, contentOf('def'))
  blobs.failsToSync = true

  await expect(core.complete(id)).rejects.toBe(FAILURE)

  expect(core.status(id)).toMatchObject({ state: 'unfinished', offset: 6 })
})

test('UploadCore keeps what was written before a write failed, although all had come', async () => {
  const uploads = new MemoryUploads()
  const blobs = new FailingStore()
  const core = await uploads.open({ blobs })
  const { id } = await core.create({ name: 'a', length: 2 * BLOCK.length + 1 })
  blobs.goodWrites = 1

  await expect(core.append(id, 0, contentOf(BLOCK, BLOCK, 'z'))).rejects.toBe(FAILURE)

  const expected = { offset: BLOCK.length, spans: [{ start: 0, end: BLOCK.length }] }
  expect(core.status(id)).toMatchObject(expected)
  await core.close()
  blobs.goodWrites = Number.POSITIVE_INFINITY
  await using next = await uploads.open({ blobs })
  expect(next.status(id)).toMatchObject(expected)
  await next.append(id, BLOCK.length, contentOf(BLOCK, 'z'))
  expect(blobs.content('a')).toEqual(Buffer.concat([BLOCK, BLOCK, Buffer.from('z')]))
})

test.each([
  ['a piece', { piece: true }],
  ['checked bytes', { digest: { algorithm: 'md5', hex: '0' } }],
] as const)('UploadCore keeps nothing of %s when a write fails', async (_, options) => {
  const blobs = new FailingStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({})
  await core.append(id, 0, contentOf('abc'))
  blobs.goodWrites = 1

  await expect(core.append(id, 3, contentOf(BLOCK, BLOCK), options)).rejects.toBe(FAILURE)
  blobs.goodWrites = Number.POSITIVE_INFINITY
  await core.append(id, 3, contentOf('d'))

  expect(core.status(id).spans).toEqual([{ start: 0, end: 4 }])
})

test('UploadCore publishes no byte of a write that failed half-way, behind an end that was set later', async () => {
  const uploads = new MemoryUploads()
  const blobs = new FailingStore()
  await using core = await uploads.open({ blobs })
  const { id } = await core.create({ name: 'a' })
  blobs.goodWrites = 0
  await expect(core.append(id, 0, contentOf('abcdef'))).rejects.toBe(FAILURE)
  blobs.goodWrites = Number.POSITIVE_INFINITY

  await core.setLength(id, 2)
  await core.append(id, 0, contentOf('xy'))

  expect(blobs.content('a')?.toString()).toBe('xy')
})

test('UploadCore makes a few uploads at a time, however many are asked for', async () => {
  let making = 0
  let most = 0
  class CountingJournals extends MemoryJournalStore {
    override async create(id: string, header: object): Promise<UploadJournal> {
      most = Math.max(most, ++making)
      await new Promise(setImmediate)
      return await super.create(id, header)
    }
  }
  class CountingStore extends MemoryBlobStore {
    override async create(id: string): Promise<UploadBlob> {
      await new Promise(setImmediate)
      making--
      return await super.create(id)
    }
  }
  const options = { journals: new CountingJournals(), blobs: new CountingStore() }
  await using core = await new MemoryUploads().open(options)

  await Promise.all(Array.from({ length: 200 }, (_, at) => core.create({ name: `${at}` })))

  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(32)
  expect([...core.list()].length).toBe(200)
})

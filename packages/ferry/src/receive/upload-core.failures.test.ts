import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { UploadBlob } from './blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'

/** Ends a sync, well or not. */
interface Gate {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

/** A store whose next sync ends when the test says so. */
class GatedStore extends MemoryBlobStore {
  gate: Gate | undefined

  close(): Gate {
    this.gate = Promise.withResolvers<void>()
    return this.gate
  }

  override async open(id: string): Promise<UploadBlob> {
    const blob = await super.open(id)
    return {
      write: (chunks, offset) => blob.write(chunks, offset),
      read: (offset, length) => blob.read(offset, length),
      truncate: (length) => blob.truncate(length),
      close: () => blob.close(),
      sync: async () => {
        const { gate } = this
        this.gate = undefined
        await gate?.promise
      },
    }
  }
}

test('UploadCore counts no bytes whose sync has failed, not even with a later one', async () => {
  const blobs = new GatedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({})
  const gate = blobs.close()
  const failing = core.write(id, 0, contentOf('abc'))
  gate.reject(new Error('the disk has failed'))
  await expect(failing).rejects.toThrow('the disk has failed')

  await core.write(id, 10, contentOf('xyz'))

  expect(core.status(id).spans).toEqual([{ start: 10, end: 13 }])
  expect((await core.write(id, 0, contentOf('abc'))).offset).toBe(3)
})

test('UploadCore acknowledges nothing when a sync on the way has failed', async () => {
  const blobs = new GatedStore()
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ blobs, checkpointMs: 100 })
  const { id } = await core.create({})
  const sender = createSender()
  const writing = core.append(id, 0, sender)
  sender.push('abc')
  await new Promise(setImmediate)
  const gate = blobs.close()
  uploads.clock.advance(100)
  await new Promise(setImmediate)
  expect(blobs.gate).toBeUndefined()

  sender.push('def')
  sender.push(null)
  await new Promise(setImmediate)
  gate.reject(new Error('the disk has failed'))

  await expect(writing).rejects.toMatchObject({ code: 'disk-failed' })
  expect(core.status(id)).toMatchObject({ offset: 0, spans: [{ start: 3, end: 6 }] })
})

test('UploadCore lets nobody write into a file that is being finished', async () => {
  const blobs = new GatedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({ name: 'a', length: 3, finish: 'when-told' })
  await core.append(id, 0, contentOf('abc'))
  const gate = blobs.close()
  const finishing = core.complete(id)
  await new Promise(setImmediate)

  const late = core.write(id, 3, contentOf(), { contentLength: 0 })
  const outcome = late.catch((error: unknown) => error)
  await new Promise(setImmediate)
  expect(core.status(id)).toMatchObject({ state: 'unfinished', isReceiving: false })
  gate.resolve()

  expect((await finishing).state).toBe('completed')
  expect(await outcome).toMatchObject({ code: 'upload-complete' })
})

test('UploadCore takes bytes again after its journal has failed', async () => {
  const uploads = new MemoryUploads()
  const { journals } = uploads
  const open = journals.open.bind(journals)
  let isBroken = false
  journals.open = async (id) => {
    const journal = await open(id)
    let failed = false
    return {
      append(records, options) {
        failed ||= isBroken
        return failed ? Promise.reject(new Error('no journal')) : journal.append(records, options)
      },
      close: () => journal.close(),
    }
  }
  await using core = await uploads.open()
  const { id } = await core.create({ length: 3, name: 'a' })
  await core.append(id, 0, contentOf('a'))
  isBroken = true
  await expect(core.append(id, 1, contentOf('b'))).rejects.toThrow('no journal')
  expect(core.status(id).offset).toBe(1)
  isBroken = false

  await core.append(id, 1, contentOf('bc'))

  expect(uploads.blobs.content('a')?.toString()).toBe('abc')
})

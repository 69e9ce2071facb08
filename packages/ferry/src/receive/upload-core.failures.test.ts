import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { UploadBlob } from './blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'

/** Ends a sync or a write, well or not. */
interface Gate {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

/** A store whose next sync, or next write, ends when the test says so. */
class GatedStore extends MemoryBlobStore {
  gate: Gate | undefined
  #writeGate: Gate | undefined

  close(): Gate {
    this.gate = Promise.withResolvers<void>()
    return this.gate
  }

  holdWrite(): Gate {
    this.#writeGate = Promise.withResolvers<void>()
    return this.#writeGate
  }

  override async open(id: string): Promise<UploadBlob> {
    const blob = await super.open(id)
    return {
      write: async (chunks, offset) => {
        const gate = this.#writeGate
        this.#writeGate = undefined
        await blob.write(chunks, offset)
        await gate?.promise
      },
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
  expect(core.status(id)).toMatchObject({ offset: 0, spans: [] })
})

test('UploadCore counts no bytes of others that came before a sync had failed', async () => {
  const blobs = new GatedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({})
  const gate = blobs.close()
  const failing = core.write(id, 0, contentOf('abc'), { contentLength: 3 })
  await new Promise(setImmediate)
  expect(blobs.gate).toBeUndefined()
  const meanwhile = core.write(id, 10, contentOf('xyz'), { contentLength: 3 })
  await new Promise(setImmediate)
  const outcomes = Promise.allSettled([failing, meanwhile])

  gate.reject(new Error('the disk has failed'))

  expect(await outcomes).toMatchObject([
    { reason: { message: 'the disk has failed' } },
    { reason: { code: 'disk-failed' } },
  ])
  expect(core.status(id).spans).toEqual([])
  await core.write(id, 10, contentOf('xyz'))
  expect(core.status(id).spans).toEqual([{ start: 10, end: 13 }])
})

test('UploadCore counts no bytes that were on their way when a sync failed', async () => {
  const blobs = new GatedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({})
  const writeGate = blobs.holdWrite()
  const sender = createSender()
  const slow = core.write(id, 10, sender)
  sender.push('xyz')
  sender.push(null)
  await new Promise(setImmediate)
  const gate = blobs.close()
  gate.reject(new Error('the disk has failed'))
  const failing = core.write(id, 0, contentOf('abc'), { contentLength: 3 })
  await expect(failing).rejects.toThrow('the disk has failed')

  writeGate.resolve()

  await expect(slow).rejects.toMatchObject({ code: 'disk-failed' })
  expect(core.status(id).spans).toEqual([])
})

// As much as a writer writes at once, so that the rest comes when this is in the blob.
const BLOCK = Buffer.alloc(262_144, 'x')
const MD5 = createHash('md5').update(BLOCK).update('z').digest('hex')

test.each([
  ['digest', { digest: { algorithm: 'md5', hex: MD5 } }],
  ['piece', { piece: true }],
] as const)('UploadCore counts nothing of a %s if a sync failed meanwhile', async (_, options) => {
  const blobs = new GatedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({})
  const sender = createSender()
  const whole = core.write(id, 3, sender, options)
  sender.push(BLOCK)
  await new Promise(setImmediate)
  expect(await (await blobs.open(id)).read(3, 1)).toEqual(Buffer.from('x'))
  const gate = blobs.close()
  gate.reject(new Error('the disk has failed'))
  const failing = core.write(id, 0, contentOf('abc'), { contentLength: 3 })
  await expect(failing).rejects.toThrow('the disk has failed')

  sender.push('z')
  sender.push(null)

  await expect(whole).rejects.toMatchObject({ code: 'disk-failed' })
  expect(core.status(id).spans).toEqual([])
  // No end of a piece is left behind where it would have been.
  const { offset } = await core.write(id, 0, contentOf('abc', BLOCK, 'zz'))
  expect([offset, core.pieceEnds(id)]).toEqual([BLOCK.length + 5, []])
})

test('UploadCore lets nobody write into a file that is being finished', async () => {
  const blobs = new GatedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({ name: 'a', finish: 'when-told' })
  await core.append(id, 0, contentOf('abc'))
  await core.setLength(id, 3)
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
      get size() {
        return journal.size
      },
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

// Content that is longer than was said: refused before anything is written where it does not belong.
import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { UploadBlob } from './blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'

/** Notes how far anything was ever written, and holds syncs when it is told to. */
class WatchedStore extends MemoryBlobStore {
  writtenEnd = 0
  syncs = 0
  onSync = (): Promise<void> => Promise.resolve()

  override async open(id: string): Promise<UploadBlob> {
    const blob = await super.open(id)
    return {
      write: async (chunks, offset) => {
        const bytes = chunks.reduce((sum, { length }) => sum + length, 0)
        this.writtenEnd = Math.max(this.writtenEnd, offset + bytes)
        await blob.write(chunks, offset)
      },
      read: (offset, length) => blob.read(offset, length),
      truncate: (length) => blob.truncate(length),
      close: () => blob.close(),
      sync: () => {
        this.syncs++
        return this.onSync()
      },
    }
  }
}

test.each([
  ['beyond the length of the whole', {}, { contentLength: 7 }],
  ['as the end, but ends elsewhere', {}, { contentLength: 5, final: true }],
])('UploadCore reads nothing of content that is announced %s', async (_, create, options) => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({ length: 6, ...create })
  const content = contentOf('abcdefg')

  await expect(core.append(id, 0, content, options)).rejects.toMatchObject({
    code: 'length-mismatch',
    detail: { expectedLength: 6 },
  })

  expect(content.readableDidRead).toBe(false)
})

test.each([
  ['its own length', {}, { contentLength: 3 }],
  ['the length of the whole', { length: 3 }, {}],
  ['the length of the whole, and has no end', { length: 3 }, { final: true }],
])('UploadCore writes nothing of content beyond %s', async (_, create, options) => {
  const blobs = new WatchedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({ ...create, finish: 'when-told' })
  const sender = createSender()
  const writing = core.append(id, 0, sender, options)
  const outcome = writing.catch((error: unknown) => error)
  sender.push('ab')
  await new Promise(setImmediate)

  sender.push('cd')

  // The sender has not come to its end, and need not.
  expect(await outcome).toMatchObject({
    code: 'length-mismatch',
    detail: { expectedLength: 3, providedLength: 4 },
  })
  expect(core.status(id).offset).toBe(2)
  expect(blobs.writtenEnd).toBe(2)
})

test('UploadCore leaves alone what another writer has beyond the announced content', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({ name: 'a' })
  const sender = createSender()
  const behind = core.write(id, 3, sender, { contentLength: 3 })
  sender.push('d')
  await new Promise(setImmediate)

  const tooLong = core.write(id, 0, contentOf('abc', 'XYZ'), { contentLength: 3 })
  await expect(tooLong).rejects.toMatchObject({ code: 'length-mismatch' })
  sender.push('ef')
  sender.push(null)
  await behind

  expect((await core.read(id, { start: 0, end: 6 })).toString()).toBe('abcdef')
})

test('UploadCore says that bytes lie beyond a length that was set while they came', async () => {
  const blobs = new WatchedStore()
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({ name: 'a', finish: 'when-told' })
  const sender = createSender()
  const outcome = core.append(id, 0, sender).catch((error: unknown) => error)
  // As much as is written at once.
  sender.push(Buffer.alloc(262_144, 'abcd'))
  await expect.poll(() => blobs.writtenEnd).toBe(262_144)

  expect(await core.setLength(id, 4)).toMatchObject({ offset: 4, length: 4 })
  sender.push(null)

  expect(await outcome).toMatchObject({
    code: 'length-mismatch',
    detail: { expectedLength: 4, providedLength: 262_144 },
  })
  expect(core.status(id)).toMatchObject({ offset: 4, length: 4 })
  await core.complete(id)
  expect(blobs.content('a')?.toString()).toBe('abcd')
})

test('UploadCore.setLength() counts what is being committed at the moment', async () => {
  const gate = Promise.withResolvers<void>()
  const blobs = new WatchedStore()
  blobs.onSync = () => gate.promise
  await using core = await new MemoryUploads().open({ blobs })
  const { id } = await core.create({ finish: 'when-told' })
  const writing = core.append(id, 0, contentOf('abcdef'))
  await expect.poll(() => blobs.syncs).toBe(1)

  const setting = core.setLength(id, 4)
  const outcome = setting.catch((error: unknown) => error)
  await new Promise(setImmediate)
  gate.resolve()

  expect(await outcome).toMatchObject({ code: 'length-mismatch' })
  expect((await writing).offset).toBe(6)
  expect(core.status(id).length).toBeUndefined()
})

test('UploadCore.setLength() takes one of two lengths that are set at once', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({})

  const outcomes = await Promise.allSettled([
    core.setLength(id, 10),
    core.setLength(id, 20),
    core.setLength(id, 10),
  ])

  expect(outcomes).toMatchObject([
    { value: { length: 10 } },
    { reason: { code: 'length-mismatch' } },
    { value: { length: 10 } },
  ])
})

import { expect, test } from 'vitest'
import { contentOf, MemoryUploads } from '../testing/upload-fixture.ts'

test('UploadCore never publishes a part by itself, whoever asks', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a', length: 3, finish: 'as-part' })
  const content = contentOf('abc')
  const refusal = { code: 'upload-is-part' }

  await expect(core.append(id, 0, content, { final: true })).rejects.toMatchObject(refusal)
  expect(content.readableDidRead).toBe(false)
  await core.append(id, 0, content)
  await expect(core.complete(id)).rejects.toMatchObject(refusal)
  await expect(core.expose(id)).rejects.toMatchObject(refusal)

  expect(core.status(id)).toMatchObject({ state: 'unfinished', offset: 3, finish: 'as-part' })
  expect(await uploads.blobs.isTaken('a')).toBe(false)
})

test('UploadCore leaves a part what it was after a restart, and puts it together', async () => {
  const uploads = new MemoryUploads()
  const first = await uploads.open()
  const empty = await first.create({ length: 0, finish: 'as-part' })
  const { id } = await first.create({ finish: 'as-part' })
  await first.append(id, 0, contentOf('abc'))
  await first.setLength(id, 3)
  await first.close()

  await using core = await uploads.open()
  expect(core.status(empty.id).state).toBe('unfinished')
  expect(core.status(id).state).toBe('unfinished')
  await core.concatenate([id, empty.id, id], { name: 'a' })

  expect(uploads.blobs.content('a')?.toString()).toBe('abcabc')
})

test('UploadCore keeps notes apart from the metadata, over a restart too', async () => {
  const uploads = new MemoryUploads()
  const first = await uploads.open()
  const metadata = { 'tus concat': 'partial' }
  const { id } = await first.create({ metadata, notes: { kind: 'x' } })
  const plain = await first.create({ metadata })
  await first.close()

  await using core = await uploads.open()

  expect(core.status(id)).toMatchObject({ metadata, notes: { kind: 'x' } })
  expect(core.status(plain.id).notes).toEqual({})
})

test('UploadCore keeps parts for a time of their own', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ expiresInMs: 5000, partsExpireInMs: 1000 })
  const part = await core.create({ finish: 'as-part' })
  const lasting = await core.create({ finish: 'as-part', expiresInMs: 9000 })
  const whole = await core.create({})

  expect([part, lasting, whole].map(({ expiresAt = 0 }) => expiresAt - uploads.epochNow)).toEqual([
    1000, 9000, 5000,
  ])
  uploads.clock.advance(1000)
  await core.sweep()

  expect([...core.list()].map(({ id }) => id)).toEqual([lasting.id, whole.id])
})

test('UploadCore keeps parts that were put together as long as what is finished', async () => {
  const uploads = new MemoryUploads()
  const options = { expiresInMs: 50_000, keepCompletedMs: 1000 }
  const first = await uploads.open(options)
  const part = await first.create({ finish: 'as-part', length: 3 })
  const rest = await first.create({ finish: 'as-part', length: 0 })
  await first.append(part.id, 0, contentOf('abc'))
  uploads.clock.advance(800)
  await first.concatenate([part.id], { name: 'a' })
  uploads.clock.advance(800)
  await first.concatenate([part.id], { name: 'b' })

  uploads.clock.advance(800)
  expect(first.status(part.id).expiresAt).toBe(uploads.epochNow + 200)
  await first.close()
  // No time passes for a fake date; a start keeps everything for a moment at least.
  await using core = await uploads.open(options)
  expect(core.status(part.id).expiresAt).toBe(uploads.epochNow + 1000)
  uploads.clock.advance(1000)
  uploads.epochNow += 1000
  await core.sweep()

  expect([...core.list()].map(({ id }) => id)).toEqual([rest.id])
  expect(uploads.blobs.content('b')?.toString()).toBe('abc')
})

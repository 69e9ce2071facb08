import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { UploadStatus } from './upload-options.ts'

function sha256(text: string): { algorithm: 'sha256'; hex: string } {
  return { algorithm: 'sha256', hex: createHash('sha256').update(text).digest('hex') }
}

test('UploadCore fills an upload and publishes it once it is full', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 6, name: 'a.txt', metadata: { kind: 'text' } })

  const first = await core.append(id, 0, contentOf('abc'))
  expect(first).toMatchObject({ state: 'unfinished', offset: 3, length: 6, isReceiving: false })
  expect(uploads.blobs.content('a.txt')).toBeUndefined()
  const last = await core.append(id, 3, contentOf('d', 'ef'))

  expect(last).toMatchObject({ state: 'completed', offset: 6, name: 'a.txt', expiresAt: undefined })
  expect(uploads.blobs.content('a.txt')?.toString()).toBe('abcdef')
  expect(uploads.log).toEqual(['created 0', 'progress 3', 'progress 6', 'completed 6'])
  expect(core.status(id).metadata).toEqual({ kind: 'text' })
  await expect(core.append(id, 6, contentOf('g'))).rejects.toMatchObject({
    code: 'upload-complete',
  })
})

test('UploadCore finishes an empty upload at once', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()

  const status = await core.create({ length: 0, name: 'empty' })

  expect(status.state).toBe('completed')
  expect(uploads.blobs.content('empty')?.length).toBe(0)
})

test('UploadCore.append() refuses another place, and takes nothing of the content', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({})
  await core.append(id, 0, contentOf('abc'))
  const content = contentOf('xyz')

  await expect(core.append(id, 2, content)).rejects.toMatchObject({
    code: 'offset-mismatch',
    detail: { expectedOffset: 3, providedOffset: 2 },
  })

  expect(content.readableDidRead).toBe(false)
})

test('UploadCore.write() takes pieces in any order, and shows only the gap-free part as offset', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a' })

  await core.write(id, 6, contentOf('ghi'), { final: true })
  await core.write(id, 3, contentOf('def'))
  expect(core.status(id)).toMatchObject({
    offset: 0,
    length: 9,
    spans: [{ start: 3, end: 9 }],
    state: 'unfinished',
  })
  expect((await core.read(id, { start: 4, end: 99 })).toString()).toBe('efghi')
  await core.write(id, 0, contentOf('abc'))

  expect(uploads.blobs.content('a')?.toString()).toBe('abcdefghi')
})

test('UploadCore finishes an upload that is to be told only when it is told', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 3, name: 'a', finish: 'when-told' })

  await core.append(id, 0, contentOf('abc'))
  expect(core.status(id)).toMatchObject({ state: 'unfinished', offset: 3 })
  await core.append(id, 3, contentOf(), { final: true })

  expect(core.status(id).state).toBe('completed')
})

test('UploadCore.complete() finishes when every byte is there, again and again', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a' })
  await core.append(id, 0, contentOf('abc'))

  await expect(core.complete(id)).rejects.toMatchObject({ code: 'upload-incomplete' })
  await core.setLength(id, 3)
  const both = await Promise.all([core.complete(id), core.complete(id)])

  expect(both.map(({ name }: UploadStatus) => name)).toEqual(['a', 'a'])
  expect(uploads.events.filter(({ type }) => type === 'completed').length).toBe(1)
})

test('UploadCore publishes nothing whose digest is another', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 3, name: 'a', digest: sha256('abd') })

  await expect(core.append(id, 0, contentOf('abc'))).rejects.toMatchObject({
    code: 'digest-mismatch',
  })
  expect(uploads.blobs.content('a')).toBeUndefined()
  expect(core.status(id)).toMatchObject({ state: 'unfinished', offset: 3 })
  await core.complete(id, { digest: sha256('abc') })

  expect(uploads.blobs.content('a')?.toString()).toBe('abc')
})

test('UploadCore drops a piece whose digest is another, and takes it again', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a' })
  await core.append(id, 0, contentOf('abc'))

  await expect(
    core.append(id, 3, contentOf('defghi'), { digest: sha256('other') }),
  ).rejects.toMatchObject({ code: 'digest-mismatch' })
  expect(core.status(id).spans).toEqual([{ start: 0, end: 3 }])
  await core.append(id, 3, contentOf('d'), { digest: sha256('d'), final: true })

  // Nothing is left of what was dropped, although it had reached further.
  expect(uploads.blobs.content('a')?.toString()).toBe('abcd')
})

test('UploadCore refuses a digest that it cannot check', async () => {
  await using core = await new MemoryUploads().open()
  const digest = { algorithm: 'crc32' as 'md5', hex: '' }

  await expect(core.create({ digest })).rejects.toMatchObject({ code: 'digest-unsupported' })
})

test('UploadCore never changes acknowledged bytes, and takes the same again', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a' })
  await core.write(id, 2, contentOf('cd'))
  await core.write(id, 6, contentOf('gh'))

  await core.write(id, 0, contentOf('abcdefgh'))
  await expect(core.write(id, 6, contentOf('gX'))).rejects.toMatchObject({
    code: 'content-mismatch',
    detail: { start: 6, end: 8 },
  })
  await core.setLength(id, 8)

  expect(uploads.blobs.content('a')?.toString()).toBe('abcdefgh')
})

test('UploadCore keeps what came before the connection broke', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 9 })
  const sender = createSender()
  const writing = core.append(id, 0, sender)
  sender.push('abc')
  await new Promise(setImmediate)

  sender.destroy(new Error('reset'))

  await expect(writing).rejects.toMatchObject({
    code: 'upload-interrupted',
    detail: { reason: 'lost' },
  })
  expect(core.status(id)).toMatchObject({ offset: 3, isReceiving: false })
})

test('UploadCore keeps nothing of a piece to be checked that did not come whole', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({})
  const sender = createSender()
  const writing = core.append(id, 0, sender, { digest: sha256('abcdef') })
  sender.push('abc')
  await new Promise(setImmediate)

  sender.destroy()

  await expect(writing).rejects.toMatchObject({ code: 'upload-interrupted' })
  expect(core.status(id).offset).toBe(0)
})

test('UploadCore does not take an end before the announced length for the whole', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({})

  await expect(
    core.append(id, 0, contentOf('abc'), { contentLength: 5, final: true }),
  ).rejects.toMatchObject({ code: 'upload-interrupted' })

  expect(core.status(id)).toMatchObject({ state: 'unfinished', offset: 3, length: undefined })
})

test('UploadCore ends the older writer, and commits what had come of it first', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({})
  const dead = createSender()
  const older = core.append(id, 0, dead)
  dead.push('abc')
  await new Promise(setImmediate)
  expect(core.status(id)).toMatchObject({ offset: 0, isReceiving: true })

  const newer = core.append(id, 3, contentOf('def'))

  await expect(older).rejects.toMatchObject({
    code: 'upload-interrupted',
    detail: { reason: 'replaced' },
  })
  expect((await newer).offset).toBe(6)
  expect(dead.destroyed).toBe(false)
})

test('UploadCore lets only the newest of several writers go on that come at once', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({})
  const senders = [createSender(), createSender(), createSender()]
  const outcomes = Promise.allSettled(senders.map((sender) => core.write(id, 0, sender)))
  await new Promise(setImmediate)

  for (const sender of senders) sender.push(null)

  expect((await outcomes).map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
    'fulfilled',
  ])
})

test('UploadCore.interrupt() makes the offset one that the next writer can use', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({})
  const dead = createSender()
  const older = core.append(id, 0, dead)
  dead.push('abc')
  await new Promise(setImmediate)

  const { offset } = await core.interrupt(id)

  await expect(older).rejects.toMatchObject({ code: 'upload-interrupted' })
  expect((await core.append(id, offset, contentOf('d'))).offset).toBe(4)
})

test('UploadCore lets pieces that do not meet come side by side', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 6, name: 'a' })
  const [left, right] = [createSender(), createSender()]
  const writes = [
    core.write(id, 0, left, { contentLength: 3 }),
    core.write(id, 3, right, { contentLength: 3 }),
  ]

  for (const letter of ['d', 'e', 'f']) right.push(letter)
  for (const letter of ['a', 'b', 'c']) left.push(letter)
  right.push(null)
  left.push(null)
  await Promise.all(writes)

  expect(uploads.blobs.content('a')?.toString()).toBe('abcdef')
})

test('UploadCore ends pieces that still come when the upload is finished without them', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a' })
  const late = createSender()
  const beyond = core.write(id, 10, late, { contentLength: 5 })
  const outcome = beyond.catch((error: unknown) => error)
  await new Promise(setImmediate)

  await core.write(id, 0, contentOf('abc'), { contentLength: 3, final: true })
  late.push('xx')

  expect(await outcome).toMatchObject({ code: 'upload-interrupted' })
  expect(uploads.blobs.content('a')?.toString()).toBe('abc')
})

test('UploadCore rejects with the reason of an abort, and keeps what had come', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({})
  const sender = createSender()
  const controller = new AbortController()
  const writing = core.append(id, 0, sender, { signal: controller.signal })
  sender.push('abc')
  await new Promise(setImmediate)

  controller.abort(new Error('enough'))

  await expect(writing).rejects.toThrow('enough')
  expect(core.status(id).offset).toBe(3)
  await expect(core.create({}, controller.signal)).rejects.toThrow('enough')
})

test('UploadCore takes nothing beyond the length, announced or not', async () => {
  await using core = await new MemoryUploads().open()
  const { id } = await core.create({ length: 5 })

  await expect(core.append(id, 0, contentOf('abcdef'), { contentLength: 6 })).rejects.toMatchObject(
    { code: 'length-mismatch' },
  )
  await expect(core.append(id, 0, contentOf('abc', 'def'))).rejects.toMatchObject({
    code: 'length-mismatch',
  })
  expect(core.status(id)).toMatchObject({ offset: 3, state: 'unfinished' })
  await expect(core.setLength(id, 6)).rejects.toMatchObject({ code: 'length-mismatch' })
})

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
  'UploadCore takes %d for a mistake of its caller',
  async (bytes) => {
    await using core = await new MemoryUploads().open()
    const { id } = await core.create({})

    await expect(core.create({ length: bytes })).rejects.toThrow(RangeError)
    await expect(core.append(id, bytes, contentOf('a'))).rejects.toThrow(RangeError)
    await expect(core.append(id, 0, contentOf(), { contentLength: bytes })).rejects.toThrow(
      RangeError,
    )
    await expect(core.setLength(id, bytes)).rejects.toThrow(RangeError)
  },
)

test.each(['', '..', '../x', 'f'.repeat(32), '\0'])('UploadCore finds no upload %j', async (id) => {
  await using core = await new MemoryUploads().open()

  expect(() => core.status(id)).toThrow(expect.objectContaining({ code: 'upload-not-found' }))
  await expect(core.terminate(id)).rejects.toMatchObject({ code: 'upload-not-found' })
})

test('UploadCore.terminate() ends the writer and removes everything', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ owner: 'anna' })
  const sender = createSender()
  const outcome = core.append(id, 0, sender).catch((error: unknown) => error)
  sender.push('abc')
  await new Promise(setImmediate)

  await core.terminate(id)

  expect(await outcome).toMatchObject({ code: 'upload-interrupted' })
  expect(() => core.status(id)).toThrow('Cannot find upload')
  expect((await uploads.blobs.recover()).lengths.size).toBe(0)
  expect(await uploads.journals.list()).toEqual([])
  expect(uploads.events.at(-1)?.type).toBe('terminated')
})

test('UploadCore.terminate() of a finished upload leaves the file', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 1, name: 'a' })
  await core.append(id, 0, contentOf('x'))

  await core.terminate(id)

  expect(uploads.blobs.content('a')?.toString()).toBe('x')
  expect(await uploads.journals.list()).toEqual([])
})

test.each([
  ['rename', ['a.txt', 'a (1).txt'], ['1', '2']],
  ['overwrite', ['a.txt', 'a.txt'], ['2', '2']],
] as const)('UploadCore gives a taken name by the policy %s', async (collision, names, texts) => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ collision })
  const found: string[] = []
  for (const text of ['1', '2']) {
    const { id } = await core.create({ length: 1, name: 'a.txt' })
    found.push((await core.append(id, 0, contentOf(text))).name)
  }

  expect(found).toEqual(names)
  expect(names.map((name) => uploads.blobs.content(name)?.toString())).toEqual(texts)
})

test('UploadCore keeps an upload whose name is taken, by the policy fail', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ collision: 'fail' })
  const first = await core.create({ length: 1, name: 'a' })
  await core.append(first.id, 0, contentOf('1'))
  const second = await core.create({ length: 1, name: 'a' })

  await expect(core.append(second.id, 0, contentOf('2'))).rejects.toMatchObject({
    code: 'target-exists',
  })

  expect(core.status(second.id)).toMatchObject({ state: 'unfinished', offset: 1 })
  expect(uploads.blobs.content('a')?.toString()).toBe('1')
})

test('UploadCore.concatenate() makes one file of whole uploads, which stay', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const parts: string[] = []
  for (const text of ['abc', '', 'de']) {
    const { id } = await core.create({ length: text.length, finish: 'when-told' })
    await core.append(id, 0, contentOf(text))
    parts.push(id)
  }

  const whole = await core.concatenate([...parts, parts[0] as string], { name: 'all' })

  expect(whole).toMatchObject({ state: 'completed', length: 8, name: 'all' })
  expect(uploads.blobs.content('all')?.toString()).toBe('abcdeabc')
  expect(core.status(parts[0] as string).state).toBe('unfinished')
})

test('UploadCore.concatenate() takes no part that lacks bytes', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open()
  const { id } = await core.create({ length: 3, finish: 'when-told' })
  await core.append(id, 0, contentOf('ab'))

  await expect(core.concatenate([id], {})).rejects.toMatchObject({ code: 'upload-incomplete' })

  expect([...core.list()].length).toBe(1)
})

test('UploadCore.subscribe() tells until it is ended', async () => {
  await using core = await new MemoryUploads().open()
  const types: string[] = []
  const end = core.subscribe(({ type }) => types.push(type))
  const { id } = await core.create({ length: 2 })

  end()
  await core.terminate(id)

  expect(types).toEqual(['created'])
})

test('UploadCore.close() keeps what has come of every writer, and takes nothing more', async () => {
  const uploads = new MemoryUploads()
  const core = await uploads.open()
  const { id } = await core.create({})
  const sender = createSender()
  const outcome = core.append(id, 0, sender).catch((error: unknown) => error)
  sender.push('abc')
  await new Promise(setImmediate)

  await Promise.all([core.close(), core.close()])

  expect(await outcome).toMatchObject({ code: 'upload-interrupted', detail: { reason: 'closed' } })
  await expect(core.create({})).rejects.toMatchObject({ code: 'upload-interrupted' })
  expect(uploads.clock.pending).toBe(0)
  await using next = await uploads.open()
  expect(next.status(id).offset).toBe(3)
})

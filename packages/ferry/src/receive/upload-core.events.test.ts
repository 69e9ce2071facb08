// That an upload is finished is heard at least once, whenever a crash comes in between.
import { expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import { UploadCore } from './upload-core.ts'
import type { UploadEvent } from './upload-options.ts'

test('UploadCore tells after a restart what nobody has heard, under the same id', async () => {
  const uploads = new MemoryUploads()
  const heard: UploadEvent[] = []
  const first = await uploads.open({
    // A listener whose process ends before it has done its part.
    onEvent: (event) => {
      heard.push(event)
      return new Promise(() => {})
    },
  })
  const { id } = await first.create({ length: 1, name: 'a' })
  await first.append(id, 0, contentOf('x'))
  await first.close()

  const second = await uploads.open({ onEvent: (event) => heard.push(event) })
  await second.close()
  const third = await uploads.open({ onEvent: (event) => heard.push(event) })
  await third.close()

  const completed = heard.filter(({ type }) => type === 'completed')
  expect(completed.map((event) => event.id)).toEqual([`${id}-completed`, `${id}-completed`])
  expect(completed[1]?.upload).toMatchObject({ id, state: 'completed', name: 'a' })
})

test('UploadCore tells at a start in the order in which uploads were finished', async () => {
  const uploads = new MemoryUploads()
  const first = await uploads.open({ onEvent: () => Promise.reject(new Error('not now')) })
  const late = await first.create({ length: 1, name: 'late' })
  const early = await first.create({ length: 1, name: 'early' })
  await first.append(early.id, 0, contentOf('x'))
  uploads.epochNow += 1000
  await first.append(late.id, 0, contentOf('x'))
  await first.close()

  await using _ = await uploads.open()

  const told = uploads.events.map(({ type, upload }) => `${type} ${upload.name}`)
  expect(told).toEqual(['completed early', 'completed late'])
})

test('UploadCore tells again what could not be heard, and forgets it only then', async () => {
  const uploads = new MemoryUploads()
  let failures = 2
  const ids: string[] = []
  await using core = await uploads.open({
    keepCompletedMs: 100,
    onEvent: async (event) => {
      if (event.type !== 'completed') return
      ids.push(event.id)
      await Promise.resolve()
      if (failures-- > 0) throw new Error('not now')
    },
  })
  const { id } = await core.create({ length: 1 })
  await core.append(id, 0, contentOf('x'))
  uploads.clock.advance(1000)
  await new Promise(setImmediate)

  await core.sweep()
  await new Promise(setImmediate)
  expect([...core.list()].length).toBe(1)
  await core.sweep()
  await new Promise(setImmediate)
  await core.sweep()

  expect(ids).toEqual(Array.from({ length: 3 }, () => `${id}-completed`))
  expect([...core.list()]).toEqual([])
})

test('UploadCore tells nobody else of what was missed, and keeps no account without a listener', async () => {
  const uploads = new MemoryUploads()
  const first = await openUnheard(uploads)
  const { id } = await first.create({ length: 1 })
  await first.append(id, 0, contentOf('x'))
  await first.close()

  await using next = await openUnheard(uploads)
  const heard: UploadEvent[] = []
  next.subscribe((event) => heard.push(event))
  await next.sweep()

  expect(heard).toEqual([])
})

test('UploadCore opens nothing any more for those who hear after it was closed', async () => {
  const uploads = new MemoryUploads()
  const hearing = Promise.withResolvers<void>()
  const core = await uploads.open({ onEvent: () => hearing.promise })
  const { id } = await core.create({ length: 1, name: 'a' })
  await core.append(id, 0, contentOf('x'))
  await core.close()
  let opened = 0
  uploads.journals.open = () => {
    opened++
    return Promise.reject(new Error('closed'))
  }

  hearing.resolve()
  await new Promise(setImmediate)

  expect(opened).toBe(0)
})

test('UploadCore gives every event an id of its own', async () => {
  const uploads = new MemoryUploads()
  await using core = await uploads.open({ checkpointMs: 10 })
  const gone = await core.create({})
  await core.terminate(gone.id)
  const { id } = await core.create({ length: 3 })
  const sender = createSender()
  const writing = core.append(id, 0, sender)
  for (const text of ['a', 'b', 'c']) {
    sender.push(text)
    await new Promise(setImmediate)
    uploads.clock.advance(10)
    await new Promise(setImmediate)
  }
  sender.push(null)
  await writing

  expect(uploads.events.map((event) => event.id)).toEqual([
    `${gone.id}-created`,
    `${gone.id}-terminated`,
    `${id}-created`,
    `${id}-progress-1`,
    `${id}-progress-2`,
    `${id}-progress-3`,
    `${id}-completed`,
  ])
})

/** A core to which nobody listens from its start on. */
function openUnheard({ blobs, journals, clock }: MemoryUploads): Promise<UploadCore> {
  return UploadCore.open({ blobs, journals, clock })
}

// Many uploads: started with, and written to at once.
import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import { formatRecord } from '../transfer/record-log.ts'
import { UploadFolder } from './upload-folder.ts'
import { formatHeader, type UploadHeader } from './upload-record.ts'

const IS_BIG = process.env['FERRY_BIG'] !== undefined
const UPLOADS = IS_BIG ? 10_000 : 2000
const WRITERS = IS_BIG ? 1000 : 200

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-scale-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

async function countOpenFiles(): Promise<number> {
  return (await readdir('/proc/self/fd')).length
}

/** Leaves uploads with two bytes in each, as a process would that was killed. */
async function leaveUploads(folder: string, count: number): Promise<void> {
  const own = join(folder, '.ferry', 'uploads')
  await mkdir(own, { recursive: true, mode: 0o700 })
  const at = Date.now()
  for (let index = 0; index < count; index++) {
    const id = index.toString(16).padStart(32, '0')
    const header: UploadHeader = {
      ...{ id, createdAt: at, name: id, finish: 'when-full', expiresInMs: 1e9, metadata: {} },
    }
    const records = [formatHeader(header), { type: 'spans', spans: [[0, 2]], at }]
    writeFileSync(join(own, `${id}.journal`), records.map(formatRecord).join(''))
    writeFileSync(join(own, `${id}.data`), 'ab and what was never acknowledged')
  }
}

test(`UploadFolder opens with ${UPLOADS} unfinished uploads`, { timeout: 120_000 }, async () => {
  const folder = await createFolder()
  await leaveUploads(folder, UPLOADS)
  const before = process.memoryUsage().rss
  const filesBefore = await countOpenFiles()
  let most = 0
  const watch = setInterval(() => void countOpenFiles().then((n) => (most = Math.max(most, n))), 20)

  await using opened = await UploadFolder.open(folder, { limits: { maxUploads: UPLOADS } })
  clearInterval(watch)

  const { core } = opened
  expect(core.problems).toEqual([])
  const uploads = [...core.list()]
  expect(uploads.length).toBe(UPLOADS)
  expect(uploads.every(({ offset }) => offset === 2)).toBe(true)
  expect(most - filesBefore).toBeLessThan(200)
  expect((await countOpenFiles()) - filesBefore).toBeLessThan(200)
  expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000 + UPLOADS * 20_000)
  await expect(core.create({})).rejects.toMatchObject({ code: 'quota-exceeded' })
})

test('UploadCore that cannot be opened leaves nothing under way', async () => {
  const uploads = new MemoryUploads()
  const core = await uploads.open()
  for (let index = 0; index < 100; index++) await core.create({})
  await core.close()
  const { journals } = uploads
  const recover = journals.recover.bind(journals)
  let begun = 0
  let ended = 0
  journals.recover = async (id) => {
    const isBad = ++begun === 20
    await new Promise(setImmediate)
    ended++
    if (isBad) throw new Error('the disk has failed')
    return recover(id)
  }

  await expect(uploads.open()).rejects.toThrow('the disk has failed')

  expect(ended).toBe(begun)
  expect(begun).toBeLessThan(100)
})

test(`UploadCore takes ${WRITERS} writers at once`, { timeout: 120_000 }, async () => {
  const folder = await createFolder()
  const filesBefore = await countOpenFiles()
  await using opened = await UploadFolder.open(folder)
  const { core } = opened
  const senders = await Promise.all(
    Array.from({ length: WRITERS }, async (_, index) => {
      const { id } = await core.create({ length: 10, name: `${index}` })
      const sender = createSender()
      return { id, sender, writing: core.append(id, 0, sender) }
    }),
  )
  for (const { sender } of senders) sender.push('01234')
  await expect.poll(() => [...core.list()].filter((one) => one.isReceiving).length).toBe(WRITERS)

  // A file each, and a few for all.
  expect((await countOpenFiles()) - filesBefore).toBeLessThan(WRITERS + 200)
  for (const { sender } of senders) sender.push('56789')
  for (const { sender } of senders) sender.push(null)
  const states = (await Promise.all(senders.map(({ writing }) => writing))).map(
    ({ state }) => state,
  )

  expect(new Set(states)).toEqual(new Set(['completed']))
  expect((await countOpenFiles()) - filesBefore).toBeLessThan(200)
  await core.append((await core.create({ length: 1 })).id, 0, contentOf('x'))
})

// Journals of long uploads stay short, whatever happens while one is written anew.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { contentOf, MemoryUploads } from '../testing/upload-fixture.ts'
import { CoreContext } from './core-context.ts'
import { createEntry } from './create-entry.ts'
import { DiskJournalStore } from './disk-journal-store.ts'
import type { UploadJournal } from './journal-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import { MemoryJournalStore } from './memory-journal-store.ts'
import { UploadFolder } from './upload-folder.ts'
import { fillDefaults } from './upload-options.ts'
import { parseUpload, type UploadRecord } from './upload-record.ts'

const RECORDS = 100_000
const BATCH = 500

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-journal-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

test('the journal of an upload stays short over 100,000 records', { timeout: 60_000 }, async () => {
  const folder = await createFolder()
  const journals = new DiskJournalStore(folder)
  const context = new CoreContext(fillDefaults({ blobs: new MemoryBlobStore(), journals }))
  const entry = await createEntry(context, { length: RECORDS + 1, expiresInMs: 1e9 })
  let longest = 0

  for (let first = 0; first < RECORDS; first += BATCH) {
    const records = Array.from({ length: BATCH }, (_, index): UploadRecord => {
      const start = first + index
      return { type: 'spans', spans: [[start, start + 1]], at: start }
    })
    await context.note(entry, records)
    longest = Math.max(longest, (await stat(join(folder, `${entry.id}.journal`))).size)
  }

  // The limit, and what one batch adds.
  expect(longest).toBeLessThan(262_144 + BATCH * 80)
  const facts = parseUpload(await journals.recover(entry.id), '')
  expect(facts?.spans.toJSON()).toEqual([[0, RECORDS]])
  await context.close()
})

test('a journal that cannot be short is written anew in proportion to its growth', async () => {
  const journals = new MemoryJournalStore()
  let rewrites = 0
  const rewrite = journals.rewrite.bind(journals)
  journals.rewrite = (id, records) => {
    rewrites++
    return rewrite(id, records)
  }
  const settings = fillDefaults({ blobs: new MemoryBlobStore(), journals, maxJournalBytes: 1000 })
  const context = new CoreContext(settings)
  const entry = await createEntry(context, {})
  rewrites = 0

  for (let index = 0; index < 2000; index++) {
    await context.note(entry, [{ type: 'spans', spans: [[index * 2, index * 2 + 1]], at: 1 }])
  }

  expect(entry.facts.spans.count).toBe(2000)
  expect(rewrites).toBeGreaterThan(3)
  expect(rewrites).toBeLessThan(20)
  expect(parseUpload(await journals.recover(entry.id), '')?.spans.count).toBe(2000)
})

test('a crash while a journal is written anew leaves the old one or the new one', async () => {
  const folder = await createFolder()
  const first = await UploadFolder.open(folder)
  const { id } = await first.core.create({ length: 10, name: 'a' })
  await first.core.append(id, 0, contentOf('abc'))
  await first.core.append(id, 3, contentOf('def'))
  await first.close()
  const own = join(folder, '.ferry', 'uploads')
  const journals = new DiskJournalStore(own)
  const old = await readFile(join(own, `${id}.journal`))
  await journals.rewrite(id, (await journals.recover(id)) as object[])
  const whole = await readFile(join(own, `${id}.journal`))

  // Until it is renamed, any part of the new one may be there beside the old one.
  for (let length = 0; length <= whole.length; length += 11) {
    await writeFile(join(own, `${id}.journal`), old)
    await writeFile(join(own, `${id}.journal.new`), whole.subarray(0, length))
    await using opened = await UploadFolder.open(folder)
    expect(opened.core.problems).toEqual([])
    expect(opened.core.status(id).offset).toBe(6)
    expect((await readdir(own)).toSorted()).toEqual([`${id}.data`, `${id}.journal`])
  }
})

test('UploadCore goes on with the long journal where a new one cannot be written', async () => {
  const uploads = new MemoryUploads()
  const { journals } = uploads
  const core = await uploads.open({ maxJournalBytes: 1 })
  const { id } = await core.create({ length: 6 })
  const rewrite = journals.rewrite.bind(journals)
  journals.rewrite = () => Promise.reject(new Error('no room'))
  await core.append(id, 0, contentOf('abc'))
  await core.append(id, 3, contentOf('d'))
  await core.close()
  journals.rewrite = rewrite

  await using next = await uploads.open()

  expect(next.status(id).offset).toBe(4)
})

/** Journals that, like systems, may forget what was not synced when a sync fails, and only then. */
class ForgetfulJournals extends MemoryJournalStore {
  fails = false

  override async open(id: string): Promise<UploadJournal> {
    const journal = await super.open(id)
    let synced = await this.recover(id)
    return {
      get size() {
        return journal.size
      },
      append: async (records, options) => {
        if (this.fails) {
          await this.rewrite(id, synced as object[])
          throw new Error('the disk has failed')
        }
        await journal.append(records, options)
        if (options.durable) synced = await this.recover(id)
      },
      close: () => journal.close(),
    }
  }
}

test('UploadCore writes a journal anew that may have forgotten records', async () => {
  const uploads = new MemoryUploads()
  const journals = new ForgetfulJournals()
  const options = { journals, ack: 'written', boot: 'this' } as const
  const core = await uploads.open(options)
  const { id } = await core.create({ length: 6, name: 'a' })
  await core.append(id, 0, contentOf('abc'))
  journals.fails = true
  await expect(core.append(id, 3, contentOf('d'))).rejects.toThrow('the disk has failed')
  journals.fails = false

  await core.append(id, 3, contentOf('e'))
  await core.close()

  await using next = await uploads.open(options)
  expect(next.status(id).offset).toBe(4)
})

test('UploadCore journals one thing after another, whoever asks', async () => {
  const uploads = new MemoryUploads()
  const { journals } = uploads
  const open = journals.open.bind(journals)
  let appending = 0
  let most = 0
  journals.open = async (id) => {
    const journal = await open(id)
    return {
      get size() {
        return journal.size
      },
      async append(records, options) {
        most = Math.max(most, ++appending)
        await new Promise(setImmediate)
        await journal.append(records, options)
        appending--
      },
      close: () => journal.close(),
    }
  }
  await using core = await uploads.open()
  const { id } = await core.create({ name: 'a' })
  await core.append(id, 0, contentOf('abc'), { piece: true })

  await Promise.all([core.expose(id), core.append(id, 3, contentOf('d')), core.expose(id)])

  expect(most).toBe(1)
})

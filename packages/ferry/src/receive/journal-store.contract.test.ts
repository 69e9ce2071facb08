import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DiskJournalStore } from './disk-journal-store.ts'
import type { JournalStore } from './journal-store.ts'
import { MemoryJournalStore } from './memory-journal-store.ts'

const ID = '0123456789abcdef0123456789abcdef'
const HEADER = { type: 'upload', name: 'ä' }
const DURABLE = { durable: true }

async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-journals-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

async function openDisk(): Promise<JournalStore> {
  return new DiskJournalStore(await openFolder())
}

describe.each([
  ['disk', openDisk],
  ['memory', () => Promise.resolve(new MemoryJournalStore())],
])('JournalStore on %s', (_, open) => {
  test('gives back the records in their order', async () => {
    const store: JournalStore = await open()
    const made = await store.create(ID, HEADER)
    await made.append([{ a: 1 }], DURABLE)
    await made.close()

    const journal = await store.open(ID)
    expect(journal.size).toBe(made.size)
    await journal.append([{ a: 2 }], DURABLE)
    await journal.append([{ a: 3 }], { durable: false })
    await journal.close()

    expect(await store.recover(ID)).toEqual([HEADER, { a: 1 }, { a: 2 }, { a: 3 }])
    expect(await store.list()).toEqual([ID])
  })

  test('goes on behind what is there when a journal is opened again', async () => {
    const store: JournalStore = await open()
    await (await store.create(ID, HEADER)).close()
    for (const a of [1, 2, 3]) {
      const journal = await store.open(ID)
      await journal.append([{ a }], DURABLE)
      await journal.close()
    }

    expect(await store.recover(ID)).toEqual([HEADER, { a: 1 }, { a: 2 }, { a: 3 }])
  })

  test('makes no journal twice, and opens none that is not there', async () => {
    const store: JournalStore = await open()
    await (await store.create(ID, HEADER)).close()

    await expect(store.create(ID, { other: true })).rejects.toThrow('There is a journal')
    await expect(store.open('f'.repeat(32))).rejects.toThrow(/There is no|Cannot write/)

    expect(await store.recover(ID)).toEqual([HEADER])
  })

  test('puts other records in the place of all', async () => {
    const store: JournalStore = await open()
    await (await store.create(ID, HEADER)).close()
    const before = await store.open(ID)
    await before.append([{ a: 1 }, { a: 2 }, { a: 3 }], DURABLE)
    const longSize = before.size
    await before.close()

    await store.rewrite(ID, [HEADER, { b: 1 }])
    const after = await store.open(ID)
    expect(after.size).toBeLessThan(longSize)
    await after.append([{ b: 2 }], DURABLE)
    await after.close()

    expect(await store.recover(ID)).toEqual([HEADER, { b: 1 }, { b: 2 }])
    expect(await store.list()).toEqual([ID])
  })

  test('tells how long a journal is, also when it is opened again', async () => {
    const store: JournalStore = await open()
    await (await store.create(ID, HEADER)).close()
    const journal = await store.open(ID)
    const empty = journal.size
    await journal.append([{ a: 1 }], DURABLE)
    const { size } = journal
    await journal.close()

    expect(size).toBeGreaterThan(empty)
    const again = await store.open(ID)
    expect(again.size).toBe(size)
    await again.close()
  })

  test('removes a journal, also one that is not there', async () => {
    const store: JournalStore = await open()
    await (await store.create(ID, HEADER)).close()

    await store.remove(ID)
    await store.remove(ID)

    expect(await store.list()).toEqual([])
  })
})

test('DiskJournalStore cuts off a tail that is torn at any place, and goes on before it', async () => {
  const folder = await openFolder()
  const path = join(folder, `${ID}.journal`)
  const whole = new DiskJournalStore(folder)
  await (await whole.create(ID, HEADER)).close()
  const journal = await whole.open(ID)
  await journal.append([{ a: 'é' }], DURABLE)
  const kept = (await readFile(path)).length
  await journal.append([{ b: 'ü' }], DURABLE)
  await journal.close()
  const all = await readFile(path)

  for (let length = kept; length < all.length; length++) {
    await writeFile(path, all.subarray(0, length))
    const store = new DiskJournalStore(folder)

    expect(await store.recover(ID)).toEqual([HEADER, { a: 'é' }])
    const again = await store.open(ID)
    await again.append([{ c: 1 }], DURABLE)
    await again.close()

    expect(await store.recover(ID)).toEqual([HEADER, { a: 'é' }, { c: 1 }])
  }
})

test('DiskJournalStore does not touch a file that is no journal', async () => {
  const folder = await openFolder()
  const path = join(folder, `${ID}.journal`)
  await writeFile(path, 'dear diary\n')
  const store = new DiskJournalStore(folder)

  expect(await store.recover(ID)).toEqual([])
  expect(await readFile(path, 'utf8')).toBe('dear diary\n')
})

import { createHash } from 'node:crypto'
import { link, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BlobStore } from './blob-store.ts'
import { DiskBlobStore } from './disk-blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'

const ID = '0123456789abcdef0123456789abcdef'
const OTHER = 'f'.repeat(32)

/** A store, and a look at what it has published. */
interface Opened {
  readonly store: BlobStore
  readonly published: (name: string) => Promise<string | undefined>
}

async function openFolders(): Promise<{ folder: string; target: string }> {
  const target = await mkdtemp(join(tmpdir(), 'ferry-blobs-'))
  onTestFinished(() => rm(target, { recursive: true }))
  const folder = join(target, '.own')
  await mkdir(folder)
  return { folder, target }
}

async function openDisk(): Promise<Opened> {
  const { folder, target } = await openFolders()
  return {
    store: new DiskBlobStore({ folder, target }),
    published: (name) => readFile(join(target, name), 'utf8').catch(() => undefined),
  }
}

/** On a file system without hard links, as FAT. */
async function openDiskWithoutLinks(): Promise<Opened> {
  const { folder, target } = await openFolders()
  const makeLink = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' }))
  return {
    store: new DiskBlobStore({ folder, target, makeLink }),
    published: (name) => readFile(join(target, name), 'utf8').catch(() => undefined),
  }
}

function openMemory(): Promise<Opened> {
  const store = new MemoryBlobStore()
  return Promise.resolve({
    store,
    published: (name) => Promise.resolve(store.content(name)?.toString()),
  })
}

async function put(store: BlobStore, id: string, text: string): Promise<void> {
  const blob = await store.create(id)
  await blob.write([Buffer.from(text)], 0)
  await blob.sync()
  await blob.close()
}

describe.each([
  ['disk', openDisk],
  ['disk without hard links', openDiskWithoutLinks],
  ['memory', openMemory],
])('BlobStore on %s', (_, open) => {
  test('keeps what is written at any place, in any order', async () => {
    const { store } = await open()
    await (await store.create(ID)).close()
    const blob = await store.open(ID)

    await blob.write([Buffer.from('gh'), Buffer.from('ij')], 6)
    await blob.write([Buffer.from('ab'), Buffer.from(''), Buffer.from('c')], 0)
    await blob.sync()

    expect((await blob.read(0, 10)).toString()).toBe('abc\0\0\0ghij')
    expect((await blob.read(8, 10)).toString()).toBe('ij')
    expect((await blob.read(20, 10)).length).toBe(0)
    await blob.close()
    expect((await store.recover()).lengths).toEqual(new Map([[ID, 10]]))
  })

  test('cuts, and what is cut off reads as zeros when more is written behind it', async () => {
    const { store } = await open()
    await put(store, ID, 'abcdef')
    const blob = await store.open(ID)

    await blob.truncate(2)
    await blob.write([Buffer.from('x')], 4)

    expect((await blob.read(0, 10)).toString()).toBe('ab\0\0x')
    await blob.close()
  })

  test('makes no blob twice, and opens none that is not there', async () => {
    const { store } = await open()
    await (await store.create(ID)).close()

    await expect(store.create(ID)).rejects.toThrow(/There is a blob|Cannot create/)
    await expect(store.open(OTHER)).rejects.toThrow(/Cannot (open|write)/)
  })

  test('removes a blob, also one that is not there', async () => {
    const { store } = await open()
    await put(store, ID, 'abc')

    await store.remove(ID)
    await store.remove(ID)

    expect((await store.recover()).lengths.size).toBe(0)
  })

  test('copies a blob into an empty one; each goes its own way then', async () => {
    const { store } = await open()
    await put(store, ID, 'abcdef')
    await (await store.create(OTHER)).close()
    const copy = await store.open(OTHER)

    await store.copy(ID, OTHER)
    await copy.write([Buffer.from('X')], 0)

    expect((await copy.read(0, 10)).toString()).toBe('Xbcdef')
    await copy.close()
    const source = await store.open(ID)
    expect((await source.read(0, 10)).toString()).toBe('abcdef')
    await source.close()
    await expect(store.copy(ID, '1'.repeat(32))).rejects.toThrow(/Cannot (open|write)/)
  })

  test('gives the digest of what is there, whether or not it was told of it before', async () => {
    const { store } = await open()
    const text = 'x'.repeat(700_000)
    await put(store, ID, `${text}behind`)
    const expected = createHash('sha256').update(text).digest('hex')
    for (const told of [[], [1], [1, 300_000, 300_000, 700_000]]) {
      const digest = store.openDigest(ID, 'sha256')
      for (const end of told) digest.advance(end)

      expect(await digest.finish(text.length)).toBe(expected)
      await digest.close()
    }
  })

  test('gives no digest of more than is there, and none after its end', async () => {
    const { store } = await open()
    await put(store, ID, 'abc')
    const digest = store.openDigest(ID, 'md5')

    await expect(digest.finish(4)).rejects.toThrow('Cannot')
    await digest.close()
    await expect(digest.finish(3)).rejects.toThrow('Cannot')
  })

  test('publishes under a name, and keeps nothing under the id', async () => {
    const { store, published } = await open()
    await put(store, ID, 'abc')
    expect(await store.isTaken('a.txt')).toBe(false)

    await store.publish(ID, 'a.txt', { overwrite: false })

    expect(await published('a.txt')).toBe('abc')
    expect(await store.isTaken('a.txt')).toBe(true)
    expect((await store.recover()).lengths.size).toBe(0)
  })

  test('makes the folders of a name', async () => {
    const { store, published } = await open()
    await put(store, ID, 'abc')

    await store.publish(ID, 'one/two/a.txt', { overwrite: false })

    expect(await published('one/two/a.txt')).toBe('abc')
  })

  test('replaces a file only when it is told to', async () => {
    const { store, published } = await open()
    await put(store, ID, 'old')
    await put(store, OTHER, 'new')
    await store.publish(ID, 'a.txt', { overwrite: false })

    await expect(store.publish(OTHER, 'a.txt', { overwrite: false })).rejects.toMatchObject({
      code: 'target-exists',
    })
    expect(await published('a.txt')).toBe('old')
    await store.publish(OTHER, 'a.txt', { overwrite: true })

    expect(await published('a.txt')).toBe('new')
    expect((await store.recover()).lengths.size).toBe(0)
  })
})

test('DiskBlobStore brings a publication to its end that a crash cut short', async () => {
  const { folder, target } = await openFolders()
  const store = new DiskBlobStore({ folder, target })
  await put(store, ID, 'abc')
  await link(join(folder, `${ID}.data`), join(target, 'a.txt'))

  expect(await store.isPublishedAs(ID, 'a.txt')).toBe(true)
  expect(await store.isPublishedAs(ID, 'b.txt')).toBe(false)
  await store.publish(ID, 'a.txt', { overwrite: false })

  expect(await readFile(join(target, 'a.txt'), 'utf8')).toBe('abc')
  expect(await readdir(folder)).toEqual([])
})

test('DiskBlobStore follows no link, neither in a name nor in its own folder', async () => {
  const { folder, target } = await openFolders()
  const outside = await mkdtemp(join(tmpdir(), 'ferry-outside-'))
  onTestFinished(() => rm(outside, { recursive: true }))
  await symlink(outside, join(target, 'link'))
  await writeFile(join(outside, 'secret'), 'secret')
  await symlink(join(outside, 'secret'), join(folder, `${OTHER}.data`))
  await symlink(join(outside, 'secret'), join(target, 'a.txt'))
  const store = new DiskBlobStore({ folder, target })
  await put(store, ID, 'abc')

  await expect(store.publish(ID, 'link/a.txt', { overwrite: true })).rejects.toMatchObject({
    code: 'name-refused',
  })
  await expect(store.open(OTHER)).rejects.toMatchObject({ code: 'not-writable' })
  await expect(store.copy(OTHER, ID)).rejects.toThrow('is no file')
  await expect(store.copy(ID, OTHER)).rejects.toThrow('is no file')
  await expect(store.publish(ID, 'a.txt', { overwrite: false })).rejects.toMatchObject({
    code: 'target-exists',
  })
  await store.publish(ID, 'a.txt', { overwrite: true })

  expect(await readdir(outside)).toEqual(['secret'])
  expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret')
  expect(await readFile(join(target, 'a.txt'), 'utf8')).toBe('abc')
})

test('DiskBlobStore tells of files that are not its own, and leaves them alone', async () => {
  const { folder, target } = await openFolders()
  const files = [`${ID}.data.bak`, `${'F'.repeat(32)}.data`, 'notes.txt']
  for (const name of files) await writeFile(join(folder, name), 'x')
  await mkdir(join(folder, `${OTHER}.data`))
  const strangers: string[] = [...files, `${OTHER}.data`].sort()
  await writeFile(join(folder, `${ID}.journal.new`), 'half')
  const store = new DiskBlobStore({ folder, target })

  const found = await store.recover()

  expect(found.lengths.size).toBe(0)
  expect(found.strangers).toEqual(strangers)
  expect((await readdir(folder)).toSorted()).toEqual(strangers)
})

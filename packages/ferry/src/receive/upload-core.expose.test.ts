import { lstat, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contentOf, createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import { DiskBlobStore } from './disk-blob-store.ts'
import type { UploadCore } from './upload-core.ts'
import { UploadFolder } from './upload-folder.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

function seen(name: string): Promise<string> {
  return readFile(join(folder, name), 'utf8')
}

async function createShown(core: UploadCore, name: string): Promise<string> {
  const { id } = await core.create({ name, finish: 'when-told' })
  await core.append(id, 0, contentOf('abc'), { piece: true })
  await core.expose(id)
  return id
}

describe('UploadCore.expose()', () => {
  test('shows what is acknowledged under the final name, which finishing keeps', async () => {
    await using uploads = await UploadFolder.open(folder)
    const { core } = uploads
    const id = await createShown(core, 'a')
    expect(await seen('a')).toBe('abc')
    await core.append(id, 3, contentOf('def'))
    expect(await seen('a')).toBe('abcdef')

    await core.setLength(id, 6)
    const status = await core.complete(id)

    expect(status).toMatchObject({ state: 'completed', name: 'a' })
    expect((await lstat(join(folder, 'a'))).nlink).toBe(1)
  })

  test('takes another name where the wanted one is taken, and tells it', async () => {
    await writeFile(join(folder, 'a'), 'mine')
    await using uploads = await UploadFolder.open(folder)
    const id = await createShown(uploads.core, 'a')

    expect(uploads.core.status(id).name).toBe('a (1)')
    expect((await uploads.core.expose(id)).name).toBe('a (1)')
    expect(await seen('a')).toBe('mine')
  })

  test.each([
    ['overwrite', 'abc'],
    ['fail', 'mine'],
  ] as const)('by the policy %s', async (collision, left) => {
    await writeFile(join(folder, 'a'), 'mine')
    await using uploads = await UploadFolder.open(folder, { collision })

    const shown = createShown(uploads.core, 'a')

    if (collision === 'fail') await expect(shown).rejects.toMatchObject({ code: 'target-exists' })
    else await shown
    expect(await seen('a')).toBe(left)
  })

  test('is remembered by the next start, also without its record', async () => {
    let id: string
    {
      await using uploads = await UploadFolder.open(folder)
      id = await createShown(uploads.core, 'a')
      await uploads.core.append(id, 3, contentOf('def'), { piece: true })
    }
    const journal = join(folder, '.ferry/uploads', `${id}.journal`)
    const lines = (await readFile(journal, 'utf8')).split('\n')
    {
      await using uploads = await UploadFolder.open(folder)
      expect(uploads.core.status(id).name).toBe('a')
      expect(uploads.core.pieceEnds(id)).toEqual([3, 6])
    }
    await writeFile(journal, lines.filter((line) => !line.includes('exposed')).join('\n'))
    await using uploads = await UploadFolder.open(folder)

    const status = await uploads.core.expose(id)

    expect(status.name).toBe('a')
    expect(await seen('a')).toBe('abcdef')
  })

  test('does nothing where the file system has no hard links, until it is finished', async () => {
    const makeLink = (): Promise<void> =>
      Promise.reject(Object.assign(new Error('no links'), { code: 'EPERM' }))
    const store = new DiskBlobStore({ folder, target: join(folder, 'out'), makeLink })
    await (await store.create('0'.repeat(32))).close()

    expect(await store.expose('0'.repeat(32), 'a', { overwrite: false })).toBe(false)
  })

  test('works in memory too', async () => {
    const uploads = new MemoryUploads()
    await using core = await uploads.open()
    const id = await createShown(core, 'a')
    const other = await createShown(core, 'a')
    await core.setLength(id, 3)

    await core.complete(id)

    expect(uploads.blobs.content('a')?.toString()).toBe('abc')
    expect([core.status(id).name, core.status(other).name]).toEqual(['a', 'a (1)'])
  })
})

describe('a piece', () => {
  test('counts only when all of it has come, and leaves nothing else in the file', async () => {
    await using uploads = await UploadFolder.open(folder)
    const { core } = uploads
    const id = await createShown(core, 'a')
    const sender = createSender()
    const work = core.append(id, 3, sender, { piece: true, contentLength: 600_000 })
    sender.push(Buffer.alloc(500_000, 'x'))
    await expect.poll(async () => (await lstat(join(folder, 'a'))).size).toBeGreaterThan(3)

    sender.destroy(new Error('lost'))

    await expect(work).rejects.toMatchObject({ code: 'upload-interrupted' })
    expect(await seen('a')).toBe('abc')
    expect(core.status(id).offset).toBe(3)
    expect(core.pieceEnds(id)).toEqual([3])
  })

  test('of no bytes counts too', async () => {
    const uploads = new MemoryUploads()
    await using core = await uploads.open()
    const { id } = await core.create({ name: 'a' })

    await core.append(id, 0, contentOf(), { piece: true })

    expect(core.pieceEnds(id)).toEqual([0])
  })
})

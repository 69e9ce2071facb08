import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkFreeSpace, fileError, publishFile, syncFolder } from './files.ts'

async function useFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-files-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** A file system without hard links, as FAT. */
function refuseLinks(code: string): () => Promise<void> {
  return () => Promise.reject(Object.assign(new Error(code), { code }))
}

test.each(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])(
  'publishFile() replaces nothing where there are no hard links (%s)',
  async (code) => {
    await useFolder(async (folder) => {
      const [part, target] = [join(folder, 'a.part'), join(folder, 'a')]
      const options = { overwrite: false, makeLink: refuseLinks(code) }
      await writeFile(part, 'new')
      await writeFile(target, 'of somebody else')

      await expect(publishFile(part, target, options)).rejects.toMatchObject({
        code: 'target-exists',
      })
      expect(await readFile(target, 'utf8')).toBe('of somebody else')
      await rm(target)
      await publishFile(part, target, options)

      expect(await readdir(folder)).toEqual(['a'])
      expect(await readFile(target, 'utf8')).toBe('new')
    })
  },
)

test('publishFile() leaves no empty file where it cannot rename', async () => {
  await useFolder(async (folder) => {
    const options = { overwrite: false, makeLink: refuseLinks('EPERM') }

    const published = publishFile(join(folder, 'a.part'), join(folder, 'a'), options)

    await expect(published).rejects.toMatchObject({ code: 'not-writable' })
    expect(await readdir(folder)).toEqual([])
  })
})

test('publishFile() does not rename for any other failure to link', async () => {
  await useFolder(async (folder) => {
    await writeFile(join(folder, 'a.part'), 'new')
    const options = { overwrite: false, makeLink: refuseLinks('EIO') }

    const published = publishFile(join(folder, 'a.part'), join(folder, 'a'), options)

    await expect(published).rejects.toMatchObject({ code: 'disk-failed' })
    expect(await readdir(folder)).toEqual(['a.part'])
  })
})

test('publishFile() renames, without overwriting unless told', async () => {
  await useFolder(async (folder) => {
    const [part, target] = [join(folder, 'a.part'), join(folder, 'a')]
    await writeFile(part, 'new')
    await writeFile(target, 'old')

    await expect(publishFile(part, target, { overwrite: false })).rejects.toMatchObject({
      code: 'target-exists',
    })
    expect(await readdir(folder)).toEqual(['a', 'a.part'])
    expect(await readFile(target, 'utf8')).toBe('old')
    await publishFile(part, target, { overwrite: true })

    expect(await readdir(folder)).toEqual(['a'])
    expect(await readFile(target, 'utf8')).toBe('new')
  })
})

test('publishFile() gives a free name', async () => {
  await useFolder(async (folder) => {
    await writeFile(join(folder, 'a.part'), 'new')

    await publishFile(join(folder, 'a.part'), join(folder, 'a'), { overwrite: false })

    expect(await readdir(folder)).toEqual(['a'])
  })
})

test('publishFile() never replaces a folder, and says why', async () => {
  await useFolder(async (folder) => {
    await writeFile(join(folder, 'a.part'), 'new')
    await mkdir(join(folder, 'a'))

    for (const overwrite of [true, false]) {
      const published = publishFile(join(folder, 'a.part'), join(folder, 'a'), { overwrite })
      await expect(published).rejects.toMatchObject({
        code: overwrite ? 'not-writable' : 'target-exists',
      })
    }
    await expect(
      publishFile(join(folder, 'a.part'), join(folder, 'no', 'a'), { overwrite: false }),
    ).rejects.toMatchObject({ code: 'not-writable' })
    expect(await readdir(folder)).toEqual(['a', 'a.part'])
  })
})

test('checkFreeSpace() compares with what the file system has', async () => {
  await checkFreeSpace(tmpdir(), 1)
  await checkFreeSpace('/nowhere', 1)
  await expect(checkFreeSpace(tmpdir(), Number.MAX_SAFE_INTEGER)).rejects.toMatchObject({
    code: 'no-space',
  })
})

test('syncFolder() does not mind a folder that cannot be opened', async () => {
  await expect(syncFolder('/nowhere')).resolves.toBeUndefined()
})

test.each([
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
  ['EFBIG', 'no-space'],
  ['EACCES', 'not-writable'],
  ['EROFS', 'not-writable'],
  ['ENOENT', 'not-writable'],
  ['EEXIST', 'target-exists'],
  ['EIO', 'disk-failed'],
])('fileError() of %s has the code %s, and is not wrapped twice', (code, expected) => {
  const cause = Object.assign(new Error('system words'), { code })
  const error = fileError('Cannot write a', cause)

  expect(error).toMatchObject({ code: expected, cause })
  expect(fileError('Cannot write b', error)).toBe(error)
})

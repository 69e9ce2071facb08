import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkFreeSpace, fileError, PartFile, publishFile, syncFolder } from './part-file.ts'

async function useFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-part-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

function write(file: PartFile, text: string, offset: number): Promise<Error | undefined> {
  return new Promise((resolve) => file.write(Buffer.from(text), offset, resolve))
}

test('PartFile writes at any place, in any order', async () => {
  await useFolder(async (folder) => {
    const file = await PartFile.open(join(folder, 'a'))
    await file.setLength(10)

    const errors = await Promise.all([write(file, 'fghij', 5), write(file, 'abcde', 0)])
    await file.sync()

    expect(errors).toEqual([undefined, undefined])
    expect(await file.length()).toBe(10)
    await file.close()
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('abcdefghij')
  })
})

test('PartFile.open() keeps what is in the file', async () => {
  await useFolder(async (folder) => {
    await writeFile(join(folder, 'a'), 'abcdef')
    const file = await PartFile.open(join(folder, 'a'))

    await write(file, 'X', 2)
    await file.close()

    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('abXdef')
  })
})

test('PartFile.open() says why it cannot', async () => {
  await useFolder(async (folder) => {
    await expect(PartFile.open(join(folder, 'no', 'a'))).rejects.toMatchObject({
      code: 'not-writable',
    })
    await expect(PartFile.open(folder)).rejects.toMatchObject({ code: 'not-writable' })
  })
})

test('PartFile reports a full disk, and does not write on after it', async () => {
  expect((await stat('/dev/full')).isCharacterDevice()).toBe(true)
  const file = await PartFile.open('/dev/full')

  const error = await write(file, 'abc', 0)

  expect(error).toMatchObject({
    code: 'no-space',
    message: 'Cannot write /dev/full: the disk is full',
  })
  expect(await write(file, 'def', 3)).toBe(error)
  await file.close()
})

test('PartFile that could not sync or write once never again says that all is well', async () => {
  // Nothing can be synced there, nor written.
  await using unsynced = await PartFile.open('/dev/full')
  await using unwritten = await PartFile.open('/dev/full')

  const syncError = await unsynced.sync().catch((error: unknown) => error)
  const writeError = await write(unwritten, 'abc', 0)

  expect(syncError).toMatchObject({ code: 'disk-failed' })
  expect(await write(unsynced, 'abc', 0)).toBe(syncError)
  await expect(unsynced.sync()).rejects.toBe(syncError)
  await expect(unwritten.sync()).rejects.toBe(writeError)
})

test('PartFile.isInPlace() sees that its name leads elsewhere', async () => {
  await useFolder(async (folder) => {
    const path = join(folder, 'a')
    await using file = await PartFile.open(path)
    expect(await file.isInPlace()).toBe(true)

    await rm(path)
    expect(await file.isInPlace()).toBe(false)
    await writeFile(path, '')
    expect(await file.isInPlace()).toBe(false)
  })
})

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

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

import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PartFile } from './part-file.ts'

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

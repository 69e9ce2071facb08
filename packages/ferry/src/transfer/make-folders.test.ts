import { mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { TempDir } from '../../../../test/support/temp-dir.ts'
import { makeFolders } from './make-folders.ts'

test('makeFolders makes what is missing, and names the topmost', async () => {
  await using dir = await TempDir.create()
  await mkdir(dir.join('a'))

  expect(await makeFolders(dir.join('a/b/c/d'), 0o700)).toBe(dir.join('a/b'))
  expect((await stat(dir.join('a/b/c'))).mode & 0o777).toBe(0o700)
  expect((await stat(dir.join('a/b/c/d'))).mode & 0o777).toBe(0o700)
  expect(await makeFolders(dir.join('a/b/c/d'))).toBeUndefined()
})

test('makeFolders takes a link to a folder for one', async () => {
  await using dir = await TempDir.create()
  await mkdir(dir.join('a'))
  await symlink('a', dir.join('link'))

  expect(await makeFolders(dir.join('link'))).toBeUndefined()
  expect(await makeFolders(dir.join('link/b'))).toBe(dir.join('link/b'))
})

test('makeFolders refuses a name that something else has', async () => {
  await using dir = await TempDir.create()
  await writeFile(dir.join('file'), '')
  await symlink('nowhere', dir.join('dangling'))

  for (const path of ['file', 'file/below', 'dangling']) {
    await expect(makeFolders(dir.join(path))).rejects.toMatchObject({ code: 'ENOTDIR' })
  }
})

test.runIf(process.platform === 'linux')('makeFolders ends where none can be made', async () => {
  await expect(makeFolders('/proc/ferry/below')).rejects.toMatchObject({ code: 'ENOENT' })
})

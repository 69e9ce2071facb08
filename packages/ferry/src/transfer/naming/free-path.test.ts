import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findFreePath } from './free-path.ts'

async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-free-path-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

test('findFreePath() gives the name itself, then numbers', async () => {
  const folder = await openFolder()
  for (let count = 0; count < 4; count++) {
    await writeFile(await findFreePath(folder, 'a.tar.gz', exists), '', { flag: 'wx' })
  }

  const names = await readdir(folder)
  expect(names.toSorted()).toEqual(['a (1).tar.gz', 'a (2).tar.gz', 'a (3).tar.gz', 'a.tar.gz'])
})

test('findFreePath() fills a gap', async () => {
  const folder = await openFolder()
  for (const name of ['a', 'a (2)']) await writeFile(join(folder, name), '')

  expect(await findFreePath(folder, 'a', exists)).toBe(join(folder, 'a (1)'))
})

test('findFreePath() finds a path for a name as long as a file system takes', async () => {
  const folder = await openFolder()
  const name = `${'ä'.repeat(125)}.txt`
  await writeFile(join(folder, name), '')

  const path = await findFreePath(folder, name, exists)

  await writeFile(path, '', { flag: 'wx' })
  expect(path.endsWith('ä (1).txt')).toBe(true)
})

test('findFreePath() gives up when every number is taken', async () => {
  const asked: string[] = []
  const found = findFreePath('folder', 'a.txt', (path) => {
    asked.push(path)
    return Promise.resolve(true)
  })

  await expect(found).rejects.toMatchObject({
    code: 'target-exists',
    message: `Cannot find a free name for ${join('folder', 'a.txt')}: its first 9999 numbers are taken`,
  })
  expect(asked.at(-1)).toBe(join('folder', 'a (9999).txt'))
})

test('findFreePath() hands on what the look at the disk fails with', async () => {
  const failure = new Error('EIO')

  await expect(findFreePath('folder', 'a', () => Promise.reject(failure))).rejects.toBe(failure)
})

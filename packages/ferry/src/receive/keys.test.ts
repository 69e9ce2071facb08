import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createKeyFile, generateKey, hashKey, KeyRing, readKeyFile } from './keys.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('KeyRing finds whose key it is', () => {
  const keys = new KeyRing([
    { owner: 'ann', sha256: hashKey('one') },
    { owner: 'bob', sha256: hashKey('two') },
    { owner: 'ann', sha256: hashKey('three') },
  ])

  expect(['one', 'two', 'three', '', 'One'].map((key) => keys.findOwner(key))).toEqual([
    'ann',
    'bob',
    'ann',
    undefined,
    undefined,
  ])
})

test('createKeyFile() makes a file for its owner only, which readKeyFile() reads', async () => {
  const path = join(folder, 'keys')

  const key = await createKeyFile(path, 'ann')

  expect(key).toMatch(/^[0-9a-f]{64}$/)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await readKeyFile(path)).findOwner(key)).toBe('ann')
  await expect(createKeyFile(path)).rejects.toMatchObject({ code: 'config', option: 'keyFile' })
  expect(await readFile(path, 'utf8')).toBe(`ann ${key}\n`)
})

test('readKeyFile() reads plain keys, hashes, comments, and keys alone', async () => {
  const path = join(folder, 'keys')
  await writeFile(path, `# keys\n\nann one\nbob sha256:${hashKey('two')}\n  three\n`, {
    mode: 0o600,
  })

  const keys = await readKeyFile(path)

  expect(['one', 'two', 'three'].map((key) => keys.findOwner(key))).toEqual([
    'ann',
    'bob',
    'default',
  ])
})

test('readKeyFile() refuses plain keys that others can read, and takes hashes', async () => {
  const path = join(folder, 'keys')
  await writeFile(path, 'ann secret-key\n')
  await chmod(path, 0o640)
  await expect(readKeyFile(path)).rejects.toMatchObject({
    message: expect.not.stringContaining('secret-key') as string,
    option: 'keyFile',
  })

  await writeFile(path, `ann sha256:${hashKey('one')}\n`)

  expect((await readKeyFile(path)).findOwner('one')).toBe('ann')
})

test.each([
  ['nothing', '# only a comment\n'],
  ['three words in a line', 'ann secret key\n'],
])('readKeyFile() refuses a file with %s', async (_, text) => {
  const path = join(folder, 'keys')
  await writeFile(path, text, { mode: 0o600 })

  await expect(readKeyFile(path)).rejects.toMatchObject({ code: 'config', option: 'keyFile' })
})

test('generateKey() gives another key each time', () => {
  expect(generateKey()).not.toBe(generateKey())
})

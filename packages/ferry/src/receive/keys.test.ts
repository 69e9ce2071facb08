import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createKeyFile, generateKey, hashKey, KeyRing, readKeyFile, reloadKeyFile } from './keys.ts'

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

test('readKeyFile() reads what a key may do', async () => {
  const path = join(folder, 'keys')
  await writeFile(
    path,
    'ann one scope=upload,status\nbob two door=tus,ietf folder=bob/in\nthree= scope=admin\nscope=upload four\n',
    { mode: 0o600 },
  )

  const keys = await readKeyFile(path)

  expect(keys.find('one')).toEqual({
    owner: 'ann',
    sha256: hashKey('one'),
    scopes: ['upload', 'status'],
  })
  expect(keys.find('two')).toMatchObject({ doors: ['tus', 'ietf'], folder: 'bob/in' })
  expect(keys.find('three=')).toMatchObject({ owner: 'default', scopes: ['admin'] })
  expect(keys.find('four')).toEqual({ owner: 'scope=upload', sha256: hashKey('four') })
  expect([keys.folderOf('bob'), keys.folderOf('ann')]).toEqual(['bob/in', undefined])
})

test.each([
  ['nothing', '# only a comment\n'],
  ['three words in a line', 'ann secret key\n'],
  ['a scope that there is not', 'ann key scope=secret\n'],
  ['a door that there is not', 'ann key door=secret\n'],
  ['a folder that leads away', 'ann key folder=../secret\n'],
  ['a folder of its own', 'ann key folder=.ferry\n'],
  ['words behind what it may do', 'ann key scope=upload secret\n'],
])('readKeyFile() refuses a file with %s', async (_, text) => {
  const path = join(folder, 'keys')
  await writeFile(path, text, { mode: 0o600 })

  await expect(readKeyFile(path)).rejects.toMatchObject({
    code: 'config',
    option: 'keyFile',
    message: expect.not.stringContaining('secret') as string,
  })
})

test('reloadKeyFile() lets new keys in and old ones out; what is no key file changes nothing', async () => {
  const path = join(folder, 'keys')
  await writeFile(path, 'ann one\nbob two\n', { mode: 0o600 })
  const keys = await readKeyFile(path)
  await writeFile(path, 'bob two\nann three\n')
  const owners = (): unknown[] => ['one', 'two', 'three'].map((key) => keys.findOwner(key))

  await reloadKeyFile(path, keys)
  expect(owners()).toEqual([undefined, 'bob', 'ann'])
  await writeFile(path, 'ann one scopes=everything\n')
  await expect(reloadKeyFile(path, keys)).rejects.toMatchObject({ option: 'keyFile' })
  expect(owners()).toEqual([undefined, 'bob', 'ann'])
  await writeFile(path, '# nobody\n')
  await reloadKeyFile(path, keys)

  expect(owners()).toEqual([undefined, undefined, undefined])
})

test('KeyRing.find() looks at every key, whichever it finds', () => {
  const count = 20_000
  const keys = new KeyRing(
    Array.from({ length: count }, (_, n) => ({ owner: String(n), sha256: hashKey(String(n)) })),
  )
  const timeOf = (key: string): number => {
    const times = Array.from({ length: 9 }, () => {
      const startedAt = performance.now()
      keys.find(key)
      return performance.now() - startedAt
    })
    // What nothing else has disturbed.
    return Math.min(...times)
  }
  timeOf('to be warm')

  const first = timeOf('0')
  const others = [timeOf(String(count - 1)), timeOf('none'), timeOf('')]

  // One that ends where it has found would be thousands of times as fast.
  for (const other of others) expect(first).toBeGreaterThan(other / 20)
})

test('generateKey() gives another key each time', () => {
  expect(generateKey()).not.toBe(generateKey())
})

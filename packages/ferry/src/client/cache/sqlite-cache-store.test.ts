import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { TempDir } from '../../../../../test/support/temp-dir.ts'
import type { CacheEntry } from './cache-store.ts'
import { openSqliteCacheStore } from './sqlite-cache-store.ts'

const ENTRY: CacheEntry = {
  id: '1',
  key: 'k',
  variant: 'v',
  vary: [],
  status: 200,
  statusText: '',
  version: '2',
  headers: [],
  requestedAt: 1,
  receivedAt: 2,
}

test('a file keeps its entries from one opening to the next, for its owner alone', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('cache.sqlite')
  {
    await using store = await openSqliteCacheStore(path)
    await store.put(ENTRY, Buffer.from('text'))
  }
  await using store = await openSqliteCacheStore(path)

  expect(await store.find('k')).toEqual([ENTRY])
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('closed, it is one file', async () => {
  await using folder = await TempDir.create()
  const store = await openSqliteCacheStore(folder.join('cache.sqlite'))
  await store.put(ENTRY, Buffer.from('text'))

  await store.close()

  expect(await folder.names()).toEqual(['cache.sqlite'])
})

test('a file of another layout is begun anew', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('cache.sqlite')
  const other = new DatabaseSync(path)
  other.exec('CREATE TABLE entries (x TEXT); PRAGMA user_version = 99')
  other.close()

  await using store = await openSqliteCacheStore(path)
  await store.put(ENTRY, Buffer.from('text'))

  expect((await store.find('k')).length).toBe(1)
})

test('a file that is something else is refused and left alone', async () => {
  await using folder = await TempDir.create()
  const path = await folder.write('text', 'some text that is no database, and longer than a head')

  await expect(openSqliteCacheStore(path)).rejects.toThrow(
    expect.objectContaining({ code: 'config', option: 'path' }),
  )
  await expect(openSqliteCacheStore(folder.join('no/folder'))).rejects.toThrow(
    expect.objectContaining({ code: 'config' }),
  )

  expect((await folder.read('text')).toString()).toContain('some text')
})

test('a database of something else is refused, and closed', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('other.sqlite')
  const other = new DatabaseSync(path)
  other.exec('PRAGMA journal_mode = WAL; CREATE TABLE notes (x TEXT); PRAGMA user_version = 1')
  other.close()

  await expect(openSqliteCacheStore(path)).rejects.toThrow(
    expect.objectContaining({ code: 'config', option: 'path' }),
  )

  // While a connection is open, its files stand beside it.
  expect(await folder.names()).toEqual(['other.sqlite'])
})

test('several processes fill one file at a time, and it stays within its size', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('cache.sqlite')
  const maxBytes = 200_000
  const source = `
    import { openSqliteCacheStore } from ${JSON.stringify(new URL('sqlite-cache-store.ts', import.meta.url).pathname)}
    const store = await openSqliteCacheStore(${JSON.stringify(path)}, { maxBytes: ${maxBytes} })
    for (let index = 0; index < 150; index++) {
      const id = process.argv[1] + index
      const entry = { ...${JSON.stringify(ENTRY)}, id, key: 'k' + (index % 50), variant: process.argv[1] }
      store.put(entry, Buffer.alloc(2000, index))
      for (const found of store.find('k' + (index % 7))) {
        const body = store.readBody(found.id)
        if (body !== undefined && body.length !== 2000) throw new Error('torn content')
      }
    }
    await store.close()
  `
  const run = (name: string): Promise<unknown> =>
    promisify(execFile)(process.execPath, ['--input-type=module-typescript', '-e', source, name], {
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
    })

  await Promise.all(['a', 'b', 'c'].map(run))

  const database = new DatabaseSync(path)
  const counted = database.prepare('SELECT sum(bytes) AS bytes FROM entries').get()?.['bytes']
  const total = database.prepare('SELECT bytes FROM total').get()?.['bytes']
  const check = database.prepare('PRAGMA integrity_check').get()?.['integrity_check']
  const mode = database.prepare('PRAGMA journal_mode').get()?.['journal_mode']
  database.close()
  expect(mode).toBe('wal')
  expect(check).toBe('ok')
  expect(counted).toBe(total)
  expect(counted).toBeLessThanOrEqual(maxBytes)
  expect(counted).toBeGreaterThan(maxBytes - 5000)
})

/** What every store of a cache must do. */
import { describe, expect, test } from 'vitest'
import { TempDir } from '../../../../../test/support/temp-dir.ts'
import type { CacheEntry, CacheStore } from './cache-store.ts'
import { createMemoryCacheStore, sizeOf } from './memory-cache-store.ts'
import { openSqliteCacheStore } from './sqlite-cache-store.ts'

const ENTRY: CacheEntry = {
  id: '1',
  key: 'k',
  variant: 'v',
  vary: ['accept'],
  status: 200,
  statusText: 'OK',
  version: '1.1',
  headers: [
    ['ETag', '"a"'],
    ['X-Ä', '\u00e4'],
  ],
  requestedAt: 1,
  receivedAt: 2,
}
/** What an entry with a content of one byte counts for. */
const ENTRY_BYTES = sizeOf({ ...ENTRY, id: 'a', key: 'a' }, Buffer.from('x'))

type Create = (maxBytes?: number) => CacheStore | Promise<CacheStore>

describe('in memory', () => {
  describeCacheStore((maxBytes) => createMemoryCacheStore({ maxBytes }))
})

describe('in a file', () => {
  describeCacheStore(async (maxBytes) => {
    const folder = await TempDir.create()
    const store = await openSqliteCacheStore(folder.join('cache.sqlite'), { maxBytes })
    const close = store.close.bind(store)
    return Object.assign(store, {
      [Symbol.asyncDispose]: async () => {
        await close()
        await folder[Symbol.asyncDispose]()
      },
    })
  })
})

function describeCacheStore(create: Create): void {
  test('an entry and its content are given as they were put', async () => {
    await using store = await create()

    await store.put(ENTRY, Buffer.from([0, 1, 255]))

    expect(await store.find('k')).toEqual([ENTRY])
    expect([...((await store.readBody('1')) ?? [])]).toEqual([0, 1, 255])
  })

  test('content may be empty, or longer than a page', async () => {
    await using store = await create()
    const long = Buffer.alloc(1_000_000, 'x')

    await store.put(ENTRY, Buffer.alloc(0))
    await store.put({ ...ENTRY, id: '2', key: 'l' }, long)

    expect((await store.readBody('1'))?.length).toBe(0)
    expect(Buffer.compare((await store.readBody('2')) ?? Buffer.alloc(0), long)).toBe(0)
  })

  test('what is not there is not found', async () => {
    await using store = await create()

    expect(await store.find('k')).toEqual([])
    expect(await store.readBody('1')).toBeUndefined()
    await store.update(ENTRY)
    await store.remove('k')
    expect(await store.find('k')).toEqual([])
  })

  test('the newest entry of a key comes first', async () => {
    await using store = await create()
    for (const id of ['1', '2', '3'])
      await store.put({ ...ENTRY, id, variant: id }, Buffer.from(id))
    await store.readBody('1')

    expect((await store.find('k')).map(({ id }) => id)).toEqual(['3', '2', '1'])
  })

  test('an entry takes the place of the one with its key and variant', async () => {
    await using store = await create()
    await store.put(ENTRY, Buffer.from('old'))
    await store.put({ ...ENTRY, id: '2', variant: 'other' }, Buffer.from('other'))

    await store.put({ ...ENTRY, id: '3' }, Buffer.from('new'))

    expect((await store.find('k')).map(({ id }) => id)).toEqual(['3', '2'])
    expect(await store.readBody('1')).toBeUndefined()
  })

  test('an update changes the entry and leaves its content', async () => {
    await using store = await create()
    await store.put(ENTRY, Buffer.from('text'))
    const changed = { ...ENTRY, headers: [['ETag', '"b"']] as const, receivedAt: 9 }

    await store.update(changed)

    expect(await store.find('k')).toEqual([changed])
    expect(Buffer.from((await store.readBody('1')) ?? []).toString()).toBe('text')
  })

  test('all entries of a key are removed, and no others', async () => {
    await using store = await create()
    await store.put(ENTRY, Buffer.from('a'))
    await store.put({ ...ENTRY, id: '2', variant: 'w' }, Buffer.from('b'))
    await store.put({ ...ENTRY, id: '3', key: 'l' }, Buffer.from('c'))

    await store.remove('k')

    expect(await store.find('k')).toEqual([])
    expect((await store.find('l')).map(({ id }) => id)).toEqual(['3'])
    expect(await store.readBody('2')).toBeUndefined()
  })

  test('what was used longest ago goes when there are too many bytes', async () => {
    await using store = await create(ENTRY_BYTES * 3)
    const put = async (id: string): Promise<void> =>
      store.put({ ...ENTRY, id, key: id }, Buffer.from('x'))
    const found = async (): Promise<string> => {
      const entries: CacheEntry[] = []
      for (const key of ['a', 'b', 'c', 'd']) entries.push(...(await store.find(key)))
      return entries.map(({ id }) => id).join('')
    }
    for (const id of ['a', 'b', 'c']) await put(id)
    expect(await found()).toBe('abc')

    await store.readBody('a')
    await put('d')
    expect(await found()).toBe('acd')

    // Room that was given back is used again.
    await store.remove('c')
    await put('b')
    expect(await found()).toBe('abd')
  })

  test('what is longer than the store is not kept, nor what it would have replaced', async () => {
    await using store = await create(ENTRY_BYTES * 3)
    await store.put({ ...ENTRY, id: 'a', key: 'a' }, Buffer.from('x'))
    await store.put({ ...ENTRY, id: 'b', key: 'b' }, Buffer.from('x'))

    await store.put({ ...ENTRY, id: 'c', key: 'b' }, Buffer.alloc(ENTRY_BYTES * 3))

    expect(await store.find('b')).toEqual([])
    expect((await store.find('a')).length).toBe(1)
  })

  test('closing twice is as good as once', async () => {
    await using store = await create()

    await store.close()

    expect(() => store.close()).not.toThrow()
  })
}

test.each([-1, Number.NaN])('no store holds %s bytes', async (maxBytes) => {
  const refusal = expect.objectContaining({ code: 'config' })
  await using folder = await TempDir.create()

  expect(() => createMemoryCacheStore({ maxBytes })).toThrow(refusal)
  await expect(openSqliteCacheStore(folder.join('x'), { maxBytes })).rejects.toEqual(refusal)
})

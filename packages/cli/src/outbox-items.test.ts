import { addContent, createMemoryOutbox, type OutboxItem } from 'ferry/upload'
import { expect, test } from 'vitest'
import { describeItem, OnceBook, removeAll } from './outbox-items.ts'

const ITEM: OutboxItem = {
  id: '00112233-4455',
  name: 'a.bin',
  type: undefined,
  size: 2048,
  addedAt: 0,
  metadata: {},
  content: { mode: 'stored', partBytes: 1024, keptFrom: 0, sha256: 'ab' },
  note: undefined,
  leasedUntil: undefined,
}
const REFERENCE: OutboxItem['content'] = {
  mode: 'reference',
  path: '/a.bin',
  fingerprint: '1',
  sha256: undefined,
}

test('OnceBook keeps the older of two that are the same, and both of two that are not', async () => {
  await using outbox = createMemoryOutbox()
  const first = await addContent(outbox, 'a', 'one')
  const book = await OnceBook.open(outbox)
  const same = await book.keep(await addContent(outbox, 'a', 'one'))
  const version = await book.keep(await addContent(outbox, 'a', 'two'))
  const again = await book.keep(await addContent(outbox, 'a', 'two'))
  const name = await book.keep(await addContent(outbox, 'b', 'one'))
  const target = await book.keep(
    await addContent(outbox, 'a', 'one', { metadata: { url: 'http://a/' } }),
  )

  expect(same).toMatchObject({ item: { id: first.id }, wasThere: true })
  expect(again).toMatchObject({ item: { id: version.item.id }, wasThere: true })
  expect([version, name, target].map(({ wasThere }) => wasThere)).toEqual([false, false, false])
  expect((await book.settle()).size).toBe(0)
  expect(await outbox.list()).toHaveLength(4)
})

test('OnceBook adds again what was there, and has been delivered since', async () => {
  await using outbox = createMemoryOutbox()
  const first = await addContent(outbox, 'a', 'one')
  const book = await OnceBook.open(outbox)
  await outbox.remove(first.id)

  const { wasThere } = await book.keep(await addContent(outbox, 'a', 'one'))

  expect(wasThere).toBe(false)
  expect(await outbox.list()).toHaveLength(1)
})

test('OnceBook loses nothing when two add the same at the same time, and keeps one of it', async () => {
  await using outbox = createMemoryOutbox()
  const books = [await OnceBook.open(outbox), await OnceBook.open(outbox)]
  const kept = await Promise.all(
    books.map(async (book) => await book.keep(await addContent(outbox, 'a', 'one'))),
  )

  const settled = await Promise.all(books.map((book) => book.settle()))

  const [item] = await outbox.list()
  expect(await outbox.list()).toHaveLength(1)
  for (const [index, { item: added }] of kept.entries()) {
    expect((settled[index]?.get(added.id) ?? added).id).toBe(item?.id)
  }
})

test('removeAll() tells which were removed, and which are being sent', async () => {
  await using outbox = createMemoryOutbox()
  const items = [await addContent(outbox, 'a', 'one'), await addContent(outbox, 'b', 'two')]
  await using _lease = await outbox.lease((items[0] as OutboxItem).id)
  const gone = { ...ITEM, name: 'gone' }

  const { removed, kept } = await removeAll(outbox, [...items, gone])

  expect([removed, kept].map((some) => some.map(({ name }) => name))).toEqual([['b'], ['a']])
})

test.each([
  [{}, 'a.bin  2 KiB'],
  [{ content: REFERENCE }, 'a.bin  2 KiB, stays where it is'],
  [{ leasedUntil: 1, note: {} }, 'a.bin  2 KiB, being sent'],
  [{ note: {} }, 'a.bin  2 KiB, partly sent'],
])('describeItem() of %j', (changes, told) => {
  expect(describeItem({ ...ITEM, ...changes })).toBe(told)
})

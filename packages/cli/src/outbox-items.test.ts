import { addContent, createMemoryOutbox, type OutboxItem } from 'ferry/upload'
import { expect, test } from 'vitest'
import { describeItem, keepOnce, removeAll } from './outbox-items.ts'

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

test('keepOnce() keeps the older of two that are the same, and both of two that are not', async () => {
  await using outbox = createMemoryOutbox()
  const first = await addContent(outbox, 'a', 'one')
  const same = await keepOnce(outbox, await addContent(outbox, 'a', 'one'))
  const version = await keepOnce(outbox, await addContent(outbox, 'a', 'two'))
  const name = await keepOnce(outbox, await addContent(outbox, 'b', 'one'))
  const target = await keepOnce(
    outbox,
    await addContent(outbox, 'a', 'one', { metadata: { url: 'http://a/' } }),
  )

  expect(same).toMatchObject({ item: { id: first.id }, wasThere: true })
  expect([version, name, target].map(({ wasThere }) => wasThere)).toEqual([false, false, false])
  expect(await outbox.list()).toHaveLength(4)
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

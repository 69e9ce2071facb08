import type { OutboxItem } from 'ferry/upload'
import { expect, test } from 'vitest'
import { describeItems } from './outbox-list.ts'

const NOW = 1_000_000
const ITEM: OutboxItem = {
  id: '00112233-4455',
  name: 'a.bin',
  type: undefined,
  size: 2048,
  addedAt: NOW - 5000,
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

test('describeItems() tells items apart, and what is with each', () => {
  const items = [
    ITEM,
    {
      ...ITEM,
      id: 'aabbccdd-1',
      name: 'b',
      size: 1,
      content: REFERENCE,
      metadata: { url: 'http://a/x?key=secret' },
    },
    { ...ITEM, id: 'aabbccdd-2', leasedUntil: 1 },
    { ...ITEM, id: 'eeff0011-0', note: {} },
  ]

  expect(describeItems(items, NOW)).toEqual([
    'ID          Size   Added      State       Name',
    '00112233    2 KiB  5.0 s ago  copied      a.bin',
    'aabbccdd-1  1 B    5.0 s ago  noted       b → http://a/x?…',
    'aabbccdd-2  2 KiB  5.0 s ago  being sent  a.bin',
    'eeff0011    2 KiB  5.0 s ago  begun       a.bin',
    '4 files, 6 KiB',
  ])
})

test('describeItems() takes no word of other programs for a URL', () => {
  const [, line] = describeItems([{ ...ITEM, metadata: { url: 'page 3' } }], NOW)

  expect(line).toMatch(/ a\.bin$/)
})

test('describeItems() lists more items than a call takes arguments', () => {
  const count = 150_000
  const items = Array.from({ length: count }, (_, index) => ({
    ...ITEM,
    id: index.toString(16).padStart(8, '0'),
  }))

  expect(describeItems(items, NOW)).toHaveLength(count + 2)
})

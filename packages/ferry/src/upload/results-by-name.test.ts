import { expect, test } from 'vitest'
import type { OutboxItem } from './outbox.ts'
import type { SentItem } from './item-sender.ts'
import { resultsByName } from './results-by-name.ts'
import type { UploadResult } from './upload-options.ts'

function sent(name: string, remoteName?: string): SentItem {
  return { type: 'sent', item: itemOf(name), result: { name, remoteName } as UploadResult }
}

function itemOf(name: string): OutboxItem {
  return { name } as OutboxItem
}

test('resultsByName() gives the names of the server, or the same where it does not say', () => {
  const { sent: map, failures, untried } = resultsByName([sent('a', 'x'), sent('b')])

  expect(map).toEqual({ a: 'x', b: 'b' })
  expect([failures, untried]).toEqual([[], []])
})

test('resultsByName() loses none of several of one name', () => {
  const outcomes = [
    sent('a', '1'),
    sent('a', '2'),
    sent('a (2)', '3'),
    sent('a', '4'),
    sent('a (2)', '5'),
  ]

  expect(resultsByName(outcomes).sent).toEqual({
    a: '1',
    'a (3)': '2',
    'a (2)': '3',
    'a (4)': '4',
    'a (2) (2)': '5',
  })
})

test('resultsByName() takes any text for a name', () => {
  const { sent: map } = resultsByName([sent('__proto__', 'x'), sent('constructor', 'y')])

  expect(Object.entries(map)).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ])
})

test('resultsByName() tells failures and what was not tried, and leaves to others what is theirs', () => {
  const error = new Error('no')
  const outcomes: SentItem[] = [
    { type: 'failed', item: itemOf('a'), error },
    { type: 'skipped', item: itemOf('b') },
    { type: 'untried', item: itemOf('c') },
    sent('d'),
  ]

  expect(resultsByName(outcomes)).toEqual({
    sent: { d: 'd' },
    failures: [{ name: 'a', error }],
    untried: ['c'],
  })
})

test('resultsByName() gathers 100,000 files of one name', () => {
  const outcomes = Array.from({ length: 100_000 }, () => sent('index.html', 'x'))

  expect(Object.keys(resultsByName(outcomes).sent).length).toBe(100_000)
})

import { expect, test } from 'vitest'
import type { FileVersion } from './outbox-watch-scan.ts'
import { SettleBook } from './outbox-watch-settle.ts'

const SETTLE_MS = 1000

/** What a look at a folder has found, each file with its version. */
function found(versions: Readonly<Record<string, string>>): Map<string, FileVersion> {
  return new Map(
    Object.entries(versions).map(([path, identity]) => [
      path,
      { size: 1, stamp: identity, identity },
    ]),
  )
}

function notes(book: SettleBook, versions: Record<string, string>, now: number): string[] {
  return book.note(found(versions), now).map(({ path, version }) => `${path} ${version.identity}`)
}

test('SettleBook tells a file once, when it has not changed for as long as it takes', () => {
  const book = new SettleBook(SETTLE_MS)

  expect(notes(book, { a: '1' }, 0)).toEqual([])
  expect(notes(book, { a: '1' }, 999)).toEqual([])
  expect(notes(book, { a: '1' }, 1000)).toEqual(['a 1'])
  expect(notes(book, { a: '1' }, 9000)).toEqual([])
})

test('SettleBook begins anew with each change, also of what was told', () => {
  const book = new SettleBook(SETTLE_MS)
  notes(book, { a: '1' }, 0)

  expect(notes(book, { a: '2' }, 900)).toEqual([])
  expect(notes(book, { a: '2' }, 1800)).toEqual([])
  expect(notes(book, { a: '2' }, 1900)).toEqual(['a 2'])
  expect(notes(book, { a: '3' }, 2000)).toEqual([])
  expect(notes(book, { a: '3' }, 3000)).toEqual(['a 3'])
})

test('SettleBook begins anew with a file that was away, or is to be told again', () => {
  const book = new SettleBook(SETTLE_MS)
  notes(book, { a: '1', b: '2', c: '2' }, 0)
  notes(book, { b: '2', c: '2' }, 500)
  expect(notes(book, { a: '1', b: '2', c: '2' }, 1000)).toEqual(['b 2', 'c 2'])

  book.forget('b')
  expect(notes(book, { a: '1', b: '2', c: '2' }, 2000)).toEqual(['a 1'])
  book.forgetVersion('2')
  notes(book, { a: '1', b: '2', c: '2' }, 3000)

  expect(notes(book, { a: '1', b: '2', c: '2' }, 4000)).toEqual(['b 2', 'c 2'])
})

test('SettleBook knows when the next file may be at rest', () => {
  const book = new SettleBook(SETTLE_MS)
  expect(book.msToNext(0)).toBeUndefined()

  notes(book, { a: '1' }, 0)
  notes(book, { a: '1', b: '2' }, 400)

  expect(book.msToNext(400)).toBe(600)
  notes(book, { a: '1', b: '2' }, 1000)
  expect(book.msToNext(1000)).toBe(400)
  expect(book.msToNext(2000)).toBe(0)
  notes(book, { a: '1', b: '2' }, 2000)
  expect(book.msToNext(2000)).toBeUndefined()
})

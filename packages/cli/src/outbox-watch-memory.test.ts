import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { TempDir } from '../../../test/support/temp-dir.ts'
import { memoryPathOf, type TakenFile, WatchMemory } from './outbox-watch-memory.ts'

const FILE: TakenFile = { path: '/w/a', version: { identity: '5-1-77-8', stamp: '5-1' } }

test('WatchMemory knows what was taken, by name and stamp and by identity, also when opened again', async () => {
  await using dir = await TempDir.create()
  const path = dir.join('memory.db')
  {
    using memory = WatchMemory.open(path)
    memory.take([FILE, { ...FILE, path: '/w/link' }])
  }

  using memory = WatchMemory.open(path)

  expect(memory.has(FILE)).toBe(true)
  // Numbers of inodes may be others after a mount.
  expect(memory.has({ ...FILE, version: { identity: '5-1-99-9', stamp: '5-1' } })).toBe(true)
  expect(memory.has({ ...FILE, version: { identity: '5-2-77-8', stamp: '5-2' } })).toBe(false)
  expect(memory.pathsOf('5-1-77-8').sort()).toEqual(['/w/a', '/w/link'])
  expect(memory.pathsOf('5-2-77-8')).toEqual([])
})

test('WatchMemory forgets one name of a version', async () => {
  await using dir = await TempDir.create()
  using memory = WatchMemory.open(dir.join('memory.db'))
  memory.take([FILE, { ...FILE, path: '/w/link' }])

  memory.forget('5-1-77-8', '/w/a')

  expect(memory.has(FILE)).toBe(false)
  expect(memory.pathsOf('5-1-77-8')).toEqual(['/w/link'])
})

test('WatchMemory is for one at a time, and says when its file is none of its own', async () => {
  await using dir = await TempDir.create()
  const text = 'a text of somebody, longer than the head of a database'.repeat(3)
  writeFileSync(dir.join('text.db'), text)
  using _memory = WatchMemory.open(dir.join('memory.db'))

  expect(() => WatchMemory.open(dir.join('memory.db'))).toThrow(/another ferry watches it/)
  expect(() => WatchMemory.open(dir.join('text.db'))).toThrow(/Cannot remember in .*text\.db/)
  expect((await dir.read('text.db')).toString()).toBe(text)
})

test('memoryPathOf() gives each folder and URL a file beside the outbox', () => {
  const paths = [
    memoryPathOf('/h/ferry.db', { dir: '/w', url: 'http://a/' }),
    memoryPathOf('/h/ferry.db', { dir: '/w', url: 'http://b/' }),
    memoryPathOf('/h/ferry.db', { dir: '/x', url: 'http://a/' }),
    memoryPathOf('/h/other', { dir: '/x', url: 'http://a/' }),
  ]

  expect(new Set(paths).size).toBe(4)
  expect(paths[0]).toMatch(/^\/h\/ferry-watch-[\da-f]{16}\.db$/)
  expect(paths[3]).toMatch(/^\/h\/other-watch-[\da-f]{16}\.db$/)
})

import fc from 'fast-check'
import { isAbsolute, join, sep } from 'node:path'
import { expect, test } from 'vitest'
import { findFreeName, toFinalName } from './final-name.ts'

test.each([
  ['a.txt', 'a.txt'],
  ['one/two/a.txt', 'one/two/a.txt'],
  ['/etc/passwd', 'etc/passwd'],
  ['../../etc/passwd', 'etc/passwd'],
  ['one/../a.txt', 'one/a.txt'],
  ['./a//b', 'a/b'],
  ['.ferry/uploads/x.data', '_ferry/uploads/x.data'],
  ['one\\..\\a.txt', 'one_.._a.txt'],
  ['a\0b', 'a_b'],
  ['CON/aux.txt', '_CON/_aux.txt'],
  ['..', undefined],
  ['', undefined],
  ['/', undefined],
])('toFinalName(%j) is %j', (text, name) => {
  expect(toFinalName(text)).toBe(name)
})

test('toFinalName() never leaves the folder, nor meets the own one', () => {
  const text = fc.string({
    unit: fc.constantFrom('.', '/', '\\', ' ', '\0', '\n', 'a', '~', ':', '‮', 'ferry'),
  })
  fc.assert(
    fc.property(text, (wanted) => {
      const name = toFinalName(wanted)
      if (name === undefined) return
      const path = join('/target', name)

      expect(isAbsolute(name)).toBe(false)
      expect(path.startsWith(`/target${sep}`)).toBe(true)
      expect(path).toBe(`/target/${name}`)
      expect(name.split('/').filter((segment) => segment.startsWith('.'))).toEqual([])
      expect(toFinalName(name)).toBe(name)
    }),
  )
})

test('toFinalName() keeps the end of a path that no system would take', () => {
  const name = toFinalName(`${'long/'.repeat(2000)}a.txt`)

  expect(name?.endsWith('/a.txt')).toBe(true)
  expect(name?.length).toBeLessThan(4000)
})

test('findFreeName() numbers the last segment', async () => {
  const taken = new Set(['one/a.txt', 'one/a (1).txt'])

  expect(await findFreeName('one/a.txt', (name) => Promise.resolve(taken.has(name)))).toBe(
    'one/a (2).txt',
  )
  expect(await findFreeName('a.txt', (name) => Promise.resolve(taken.has(name)))).toBe('a.txt')
})

import { expect, test } from 'vitest'
import { decodeName } from './indexedcp-fields.ts'
import { lastSegmentOf, type PathMode, storedNameOf } from './indexedcp-names.ts'

const PLAIN = 'Filename must not contain path separators or traversal sequences'
const INSIDE = 'Filename must not contain traversal sequences or absolute paths'
const NAMELESS = 'Filename must have a name in it'

test.each<[mode: PathMode, clientName: string, storedName: string]>([
  ['ignore', 'a.txt', 'a.txt'],
  ['ignore', '/etc/passwd', 'passwd'],
  ['ignore', '../../a.txt', 'a.txt'],
  ['ignore', 'C:\\dir\\a.txt', 'a.txt'],
  ['ignore', 'dir/', 'dir'],
  ['ignore', '.ferry', '_ferry'],
  ['ignore', 'a\0b\nc.txt', 'a_b_c.txt'],
  ['ignore', 'con.txt', '_con.txt'],
  ['ignore', 'x'.repeat(4000), 'x'.repeat(200)],
  ['sanitize', 'a..b.txt', 'a..b.txt'],
  ['allow-paths', 'dir/sub/a.txt', 'dir/sub/a.txt'],
  ['allow-paths', './dir//a.txt', 'dir/a.txt'],
  ['allow-paths', 'dir\\a.txt', 'dir/a.txt'],
  ['allow-paths', '.ferry/lock', '_ferry/lock'],
])('storedNameOf() by %s makes %j the name %j', (mode, clientName, storedName) => {
  expect(storedNameOf(mode, clientName)).toBe(storedName)
})

test.each<[mode: PathMode, clientName: string, message: string]>([
  ['ignore', '..', NAMELESS],
  ['ignore', '.', NAMELESS],
  ['ignore', '/', NAMELESS],
  ['sanitize', 'dir/a.txt', PLAIN],
  ['sanitize', 'dir\\a.txt', PLAIN],
  ['sanitize', '..', PLAIN],
  ['sanitize', 'c:a.txt', PLAIN],
  ['sanitize', '.', NAMELESS],
  ['allow-paths', '../a.txt', INSIDE],
  ['allow-paths', 'dir/../a.txt', INSIDE],
  ['allow-paths', 'dir\\..\\a.txt', INSIDE],
  ['allow-paths', '/a.txt', INSIDE],
  ['allow-paths', '\\\\host\\share', INSIDE],
  ['allow-paths', 'C:/a.txt', INSIDE],
])('storedNameOf() by %s refuses %j', (mode, clientName, message) => {
  expect(() => storedNameOf(mode, clientName)).toThrow(
    expect.objectContaining({ status: 400, title: 'Invalid filename', message }),
  )
})

test.each([
  ['\xc3\xa9.txt', 'é.txt'],
  ['\xe9.txt', 'é.txt'],
  ['\xef\xbb\xbfa', '\ufeffa'],
  ['a.txt', 'a.txt'],
])('decodeName() reads the bytes of %j', (text, name) => {
  expect(decodeName(text)).toBe(name)
})

test('lastSegmentOf() gives what stands behind the last separator', () => {
  expect(['a', 'd/a', 'd\\a', 'd/a/', '/'].map(lastSegmentOf)).toEqual(['a', 'a', 'a', 'a', '/'])
})

import { stripVTControlCharacters } from 'node:util'
import type { UploadStatus } from 'ferry/receive'
import { expect, test } from 'vitest'
import type { ShownUpload } from './receive-book.ts'
import { renderRunning, renderRunningLine } from './receive-view.ts'

const MIB = 1_048_576
const SIZE = { columns: 80, rows: 24 }
const NONE = { count: 0, bytes: 0 }

function shown(name: string, length: number | undefined): ShownUpload {
  const upload = { name, length, finish: 'when-full' } as UploadStatus
  return { upload, receivedBytes: 25 * MIB, bytesPerSecond: 5 * MIB }
}

function plain(...args: Parameters<typeof renderRunning>): string[] {
  return renderRunning(...args).map((line) => stripVTControlCharacters(line))
}

test('renderRunning() shows a line each, and one for all', () => {
  const two = [shown('a.bin', 100 * MIB), shown('b\u001b[2J.bin', undefined)]

  expect(plain(two, { count: 3, bytes: MIB }, SIZE)).toEqual([
    'a.bin                ████░░░░░░░░░░ 25 % of 100 MiB, 5 MiB/s, 15 s left',
    'b?[2J.bin            ░░░░░░░░░░░░░░ 25 MiB, 5 MiB/s',
    '2 on the way, 10 MiB/s; 3 received before, 1 MiB',
  ])
  expect(plain(two.slice(0, 1), NONE, SIZE).at(-1)).toBe('1 on the way, 5 MiB/s')
  expect(plain([], NONE, SIZE)).toEqual([])
})

test('renderRunning() shows as many as there is room for', () => {
  const many = Array.from({ length: 30 }, (_, index) => shown(`${index}.bin`, MIB))

  expect(plain(many, NONE, SIZE).slice(-3)).toEqual([
    expect.stringMatching(/^18\.bin /),
    'and 11 more',
    '30 on the way, 150 MiB/s',
  ])
})

test('renderRunningLine() shows the only one, or all together', () => {
  const one = shown('a.bin', 100 * MIB)

  expect(renderRunningLine([one])).toBe('a.bin: 25 % of 100 MiB, 5 MiB/s, 15 s left')
  expect(renderRunningLine([one, one])).toBe('2 on the way, 10 MiB/s')
})

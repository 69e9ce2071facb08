import { stripVTControlCharacters } from 'node:util'
import type { DownloadProgress } from 'ferry/download'
import { describe, expect, test } from 'vitest'
import {
  remainingMs,
  renderTransfers,
  renderLine,
  renderProgress,
  renderTotal,
  type ShownCounts,
  type ShownTransfer,
} from './progress-view.ts'

const MIB = 1_048_576

const RUNNING: DownloadProgress = {
  state: 'running',
  size: 100 * MIB,
  receivedBytes: 25 * MIB,
  resumable: true,
  resumedBytes: 0,
  fetchedBytes: 25 * MIB,
  bytesPerSecond: 5 * MIB,
  remainingSeconds: 15,
  connections: [
    {
      id: 1,
      state: 'receiving',
      url: 'http://a.example/file.iso',
      cursor: 25 * MIB,
      end: 60 * MIB,
      bytesPerSecond: 5 * MIB,
      receivedBytes: 25 * MIB,
    },
    {
      id: 2,
      state: 'waiting',
      url: 'http://a.example/file.iso',
      cursor: 60 * MIB,
      end: 100 * MIB,
      bytesPerSecond: 0,
      receivedBytes: 0,
    },
  ],
}

function plain(progress: DownloadProgress, columns = 80): string[] {
  return renderProgress('file.iso', progress, columns).map((line) => stripVTControlCharacters(line))
}

describe('renderProgress()', () => {
  test('shows the name, the whole, and each connection', () => {
    expect(plain(RUNNING)).toEqual([
      'file.iso',
      '███████░░░░░░░░░░░░░░░░░░░░░ 25 % of 100 MiB, 5 MiB/s, 15 s left',
      '   1  25 MiB → 60 MiB  5 MiB/s',
      '   2  60 MiB → 100 MiB  waiting',
    ])
  })

  test('shows what it knows when the size is not known', () => {
    const { size: _, ...rest } = RUNNING
    const progress = { ...rest, size: undefined, connections: [] }

    expect(plain(progress)[1]).toBe('░'.repeat(28) + ' 25 MiB, 5 MiB/s')
  })

  test.each([
    { state: 'waiting', says: 'waiting to try again, 25 % of 100 MiB' },
    { state: 'answering', says: 'waiting for the answer, 25 % of 100 MiB' },
    { state: 'copying', says: 'copying into the outbox, 25 % of 100 MiB, 5 MiB/s, 15 s left' },
  ])('says what is going on while it is $state', ({ state, says }) => {
    const { connections: _, ...rest } = RUNNING

    expect(renderLine('a', { ...rest, state })).toBe(`a: ${says}`)
    expect(renderProgress('a', { ...rest, state }, 120)).toHaveLength(2)
  })

  test('never draws a line as wide as the terminal', () => {
    for (const columns of [10, 20, 40, 64]) {
      for (const line of plain(RUNNING, columns)) expect(line.length).toBeLessThan(columns)
    }
  })

  test('cuts between characters, not within one', () => {
    const [name] = renderProgress('😀'.repeat(50), RUNNING, 40)

    expect(stripVTControlCharacters(name ?? '')).toBe(`${'😀'.repeat(38)}…`)
  })

  test('never shows 100 % before the last byte', () => {
    const progress = { ...RUNNING, receivedBytes: 100 * MIB - 1 }

    expect(plain(progress)[1]).toContain('99 %')
  })

  test('an empty file is complete', () => {
    expect(plain({ ...RUNNING, size: 0, receivedBytes: 0 })[1]).toContain('100 %')
  })

  test('says that it checks the digest', () => {
    expect(plain({ ...RUNNING, state: 'verifying' })[1]).toContain('checking the digest')
  })
})

describe('renderTransfers()', () => {
  const COUNTS: ShownCounts = { all: 5, done: 2, doneBytes: 50 * MIB, failed: 0 }
  const SIZE = { columns: 100, rows: 24 }

  function shown(name: string, progress: Partial<DownloadProgress> = {}): ShownTransfer {
    return { name, progress: { ...RUNNING, ...progress } }
  }

  function render(
    downloads: readonly ShownTransfer[],
    { counts = COUNTS, size = SIZE } = {},
  ): string[] {
    return renderTransfers(downloads, counts, size).map((line) => stripVTControlCharacters(line))
  }

  test('has a line for each download and one for all', () => {
    expect(
      render([
        shown('a.iso'),
        shown('b.iso', { size: undefined }),
        shown('c', { state: 'verifying' }),
      ]),
    ).toEqual([
      `${'a.iso'.padEnd(32)} ████░░░░░░░░░░ 25 % of 100 MiB, 5 MiB/s, 15 s left`,
      `${'b.iso'.padEnd(32)} ░░░░░░░░░░░░░░ 25 MiB, 5 MiB/s`,
      `${'c'.padEnd(32)} ████░░░░░░░░░░ checking the digest`,
      '2 of 5 files done, 3 on the way, 125 MiB, 15 MiB/s, 6 connections',
    ])
  })

  test('shows the connections of a download that is the only one', () => {
    const counts = { all: 1, done: 0, doneBytes: 0, failed: 0 }

    expect(render([shown('file.iso')], { counts })).toEqual(plain(RUNNING, 100))
    expect(render([], { counts })).toEqual([])
  })

  test('takes from the middle of a name that is too long', () => {
    const [line] = render([shown(`${'x'.repeat(40)}.part1.tar.gz`)])

    expect(line?.slice(0, 33)).toBe(`${'x'.repeat(16)}…xx.part1.tar.gz `)
  })

  test('leaves the terminal some lines, and counts what it does not show', () => {
    const downloads = Array.from({ length: 9 }, (_, index) => shown(`${index}`))

    const lines = render(downloads, { size: { columns: 100, rows: 8 } })

    expect(lines).toHaveLength(5)
    expect(lines[3]).toBe('and 6 more')
  })

  test('draws within any terminal', () => {
    const downloads = Array.from({ length: 9 }, (_, index) => shown(`long name ${index}`))
    for (const columns of [1, 10, 40, 61, 73, 100]) {
      for (const rows of [1, 2, 5, 24]) {
        const lines = render(downloads, { size: { columns, rows } })
        expect(lines.length).toBeLessThanOrEqual(Math.max(3, rows))
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(1, columns - 1))
      }
    }
  })
})

test('renderTotal() counts one connection as one', () => {
  const [connection] = RUNNING.connections
  const progress = { ...RUNNING, connections: connection === undefined ? [] : [connection] }

  expect(renderTotal([{ name: 'a', progress }], { all: 2, done: 0, doneBytes: 0, failed: 1 })).toBe(
    '0 of 2 files done, 1 failed, 1 on the way, 25 MiB, 5 MiB/s, 1 connection',
  )
})

test('renderLine() is one line for a log', () => {
  expect(renderLine('file.iso', RUNNING)).toBe(
    'file.iso: 25 % of 100 MiB, 5 MiB/s, 15 s left, 2 connections',
  )
})

test('remainingMs() is not known without a size or a speed', () => {
  expect(remainingMs(RUNNING)).toBe(15_000)
  expect(remainingMs({ ...RUNNING, size: undefined })).toBeUndefined()
  expect(remainingMs({ ...RUNNING, bytesPerSecond: 0 })).toBeUndefined()
})

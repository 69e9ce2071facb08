import { stripVTControlCharacters } from 'node:util'
import type { DownloadProgress } from 'ferry/download'
import { describe, expect, test } from 'vitest'
import { remainingMs, renderLine, renderProgress } from './progress-view.ts'

const MIB = 1_048_576

const RUNNING: DownloadProgress = {
  state: 'running',
  size: 100 * MIB,
  receivedBytes: 25 * MIB,
  resumable: true,
  resumedBytes: 0,
  bytesPerSecond: 5 * MIB,
  connections: [
    { id: 1, state: 'receiving', cursor: 25 * MIB, end: 60 * MIB, bytesPerSecond: 5 * MIB },
    { id: 2, state: 'waiting', cursor: 60 * MIB, end: 100 * MIB, bytesPerSecond: 0 },
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

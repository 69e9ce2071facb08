import { describe, expect, test } from 'vitest'
import type { RunStats } from './stats-log.ts'
import { renderSummary, speedsOf } from './stats-summary.ts'

const MIB = 1_048_576

function runOf(connections: readonly (readonly number[])[], { durationMs = 4000 } = {}): RunStats {
  const carriers = connections.map((perInterval, index) => ({
    id: index + 1,
    host: 'a.example',
    bytes: perInterval.reduce((sum, one) => sum + one, 0),
    perInterval,
  }))
  const bytes = carriers.reduce((sum, one) => sum + one.bytes, 0)
  const download = { name: 'file', bytes, connections: carriers }
  return { intervalMs: 1000, durationMs, downloads: [download] }
}

describe('renderSummary()', () => {
  test('draws the speed over time and tells the shares, the largest first', () => {
    const run = runOf([
      [MIB, 2 * MIB, 2 * MIB, 0],
      [0, 2 * MIB, 6 * MIB, MIB],
    ])

    expect(renderSummary(run)).toEqual([
      '  ▂▅█▂  14 MiB in 4.0 s, 3.5 MiB/s on average, 8 MiB/s at best',
      '  2 connections carried 64 %, 36 %',
    ])
  })

  test('has no shares of one connection, nor of several files', () => {
    const one = runOf([[MIB, MIB, MIB, MIB]])
    const several = { ...one, downloads: [...one.downloads, ...one.downloads] }

    expect(renderSummary(one)).toHaveLength(1)
    expect(renderSummary(several)).toHaveLength(1)
  })

  test('says nothing of a run that was over at once, or brought nothing', () => {
    expect(renderSummary(runOf([[MIB]], { durationMs: 999 }))).toEqual([])
    expect(renderSummary(runOf([]))).toEqual([])
  })

  test('lists eight connections at most', () => {
    const [, shares] = renderSummary(runOf(Array.from({ length: 10 }, () => [1, 1, 1, 1])))

    expect(shares).toBe(`  10 connections carried ${'10 %, '.repeat(8)}…`)
  })
})

describe('speedsOf()', () => {
  test('gives bytes per second, whatever the number of spans', () => {
    const run = runOf([[10, 20, 30, 40]])

    expect(speedsOf(run, 4)).toEqual([10, 20, 30, 40])
    expect(speedsOf(run, 2)).toEqual([15, 35])
    expect(speedsOf(run, 3)).toEqual([15, 35])
  })

  test('counts a span that the end has cut by how long it was', () => {
    expect(speedsOf(runOf([[10, 10]], { durationMs: 1500 }), 2)).toEqual([10, 20])
  })
})

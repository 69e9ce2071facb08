import { describe, expect, test } from 'vitest'
import type { ConnectionStats, RunStats } from './stats-log.ts'
import { renderStatsSvg } from './stats-svg.ts'

const MIB = 1_048_576

function carrier(id: number, perInterval: readonly number[], host = 'a.example'): ConnectionStats {
  return { id, host, bytes: perInterval.reduce((sum, one) => sum + one, 0), perInterval }
}

function runOf(
  connections: readonly ConnectionStats[],
  { name = 'file.iso', durationMs = 300 } = {},
): RunStats {
  const bytes = connections.reduce((sum, one) => sum + one.bytes, 0)
  return { intervalMs: 100, durationMs, downloads: [{ name, bytes, connections }] }
}

/** What is written in the figure, in its order. */
function textsOf(svg: string): string[] {
  return [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text as string)
}

/** Corners of the areas. */
function pathsOf(svg: string): [number, number][][] {
  return [...svg.matchAll(/<path d="M([^"]*)" fill/g)].map(([, corners]) =>
    (corners as string)
      .split(' ')
      .filter((corner) => corner.includes(','))
      .map((corner) => corner.split(',').map(Number) as [number, number]),
  )
}

describe('renderStatsSvg()', () => {
  const run = runOf([carrier(1, [MIB, MIB, 0]), carrier(2, [0, MIB, MIB])])

  test('says what came, how fast, and who carried it', () => {
    const texts = textsOf(renderStatsSvg(run))

    expect(texts.slice(0, 2)).toEqual([
      'file.iso: 4 MiB in 0.3 s',
      '13.3 MiB/s on average over 2 connections',
    ])
    expect(texts).toContain('20 MiB/s')
    expect(texts.slice(-4)).toEqual(['connection 1', '2 MiB, 50 %', 'connection 2', '2 MiB, 50 %'])
  })

  test('stacks the connections on each other, to scale', () => {
    const [first, second] = pathsOf(renderStatsSvg(run)) as [[number, number][], [number, number][]]
    // 20 MiB/s are 260 pixels, from 324 up.
    expect(first.slice(0, 6).map(([, y]) => y)).toEqual([194, 194, 194, 194, 324, 324])
    expect(second.slice(0, 6).map(([, y]) => y)).toEqual([194, 194, 64, 64, 194, 194])
    expect(first.slice(0, 6).map(([x]) => x)).toEqual([96, 376, 376, 656, 656, 936])
  })

  test('counts the last interval by how long it was', () => {
    const svg = renderStatsSvg(runOf([carrier(1, [MIB, MIB / 2])], { durationMs: 150 }))

    expect(
      pathsOf(svg)[0]
        ?.slice(0, 4)
        .map(([, y]) => y),
    ).toEqual([64, 64, 64, 64])
  })

  test('names files and hosts where there are several', () => {
    const [download] = runOf([carrier(1, [MIB]), carrier(2, [MIB], 'b.example')]).downloads
    const stats = { intervalMs: 100, durationMs: 100, downloads: [download, download] }

    const texts = textsOf(renderStatsSvg(stats as RunStats))

    expect(texts[0]).toBe('2 files: 4 MiB in 0.1 s')
    expect(texts).toContain('file.iso · connection 2 · b.example')
  })

  test('is XML whatever the name', () => {
    const svg = renderStatsSvg(runOf([carrier(1, [1])], { name: '<a & "b">\u0000\ud800' }))

    expect(svg).toContain('<title>&lt;a &amp; &quot;b&quot;&gt;\ufffd: 1 B in 0.3 s</title>')
  })

  test('shows the first of very many connections, and says so', () => {
    const svg = renderStatsSvg(runOf(Array.from({ length: 60 }, (_, id) => carrier(id, [1]))))

    expect(textsOf(svg)).toContain('What each connection carried (the first 48 of 60)')
    expect(textsOf(svg)).not.toContain('connection 48')
  })

  test.each([
    { what: 'nothing at all', stats: { intervalMs: 100, durationMs: 0, downloads: [] } },
    { what: 'a download that brought nothing', stats: runOf([]) },
    { what: 'a moment', stats: runOf([carrier(1, [5])], { durationMs: 0 }) },
    { what: 'days', stats: runOf([carrier(1, [5])], { durationMs: 9 * 86_400_000 }) },
  ])('draws $what', ({ stats }) => {
    const svg = renderStatsSvg(stats)

    expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/)
    expect(svg).not.toMatch(/NaN|Infinity|undefined/)
    expect(svg.length).toBeLessThan(10_000)
  })
})

import { describe, expect, test } from 'vitest'
import { type RunStats, StatsLog } from './stats-log.ts'

const URL = 'http://a.example:81/file?secret'

function connection(
  id: number,
  receivedBytes: number,
  url: string = URL,
): { readonly id: number; readonly receivedBytes: number; readonly url: string } {
  return { id, receivedBytes, url }
}

function carried({ downloads }: RunStats): [id: number, bytes: number][] {
  return downloads.flatMap(({ connections }) =>
    connections.map(({ id, bytes }): [number, number] => [id, bytes]),
  )
}

describe('StatsLog', () => {
  test('gives each interval what a connection brought in it', () => {
    const log = new StatsLog(1000)
    const download = log.add(URL, 1000)

    log.note(download, 1100, 'file', { fetchedBytes: 10, connections: [connection(1, 10)] })
    log.note(download, 1200, 'file', {
      fetchedBytes: 60,
      connections: [connection(1, 30), connection(2, 30, 'http://b.example/file')],
    })

    expect(log.stats).toEqual({
      intervalMs: 100,
      durationMs: 200,
      downloads: [
        {
          name: 'file',
          bytes: 60,
          connections: [
            { id: 1, host: 'a.example:81', bytes: 30, perInterval: [10, 20] },
            { id: 2, host: 'b.example', bytes: 30, perInterval: [0, 30] },
          ],
        },
      ],
    })
  })

  test('spreads what comes between two late looks over the time between them', () => {
    const log = new StatsLog(0)
    const download = log.add(URL, 50)

    log.note(download, 350, 'file', { fetchedBytes: 30, connections: [connection(1, 30)] })

    expect(log.stats.downloads[0]?.connections[0]?.perInterval).toEqual([5, 10, 10, 5])
  })

  test('gives connections that have ended what they brought since the last look', () => {
    const log = new StatsLog(0)
    const download = log.add(URL, 0)
    const two = [connection(1, 10), connection(2, 10)]

    log.note(download, 100, 'file', { fetchedBytes: 20, connections: two })
    log.note(download, 200, 'file', { fetchedBytes: 45, connections: [connection(2, 20)] })
    log.note(download, 300, 'file', { fetchedBytes: 50, connections: [] })

    expect(carried(log.stats)).toEqual([
      [1, 25],
      [2, 25],
    ])
  })

  test('knows a connection of a download that was over before the first look', () => {
    const log = new StatsLog(0)

    log.note(log.add(URL, 0), 20, 'file', { fetchedBytes: 7, connections: [] })

    expect(carried(log.stats)).toEqual([[1, 7]])
  })

  test('takes a connection that begins anew under an old number for another one', () => {
    const log = new StatsLog(0)
    const download = log.add(URL, 0)

    log.note(download, 100, 'file', { fetchedBytes: 10, connections: [connection(1, 10)] })
    log.note(download, 200, 'file', { fetchedBytes: 14, connections: [connection(1, 4)] })

    expect(carried(log.stats)).toEqual([
      [1, 10],
      [1, 4],
    ])
  })

  test('has room for a run of any length, and loses no byte', () => {
    const log = new StatsLog(0)
    const download = log.add(URL, 0)
    const looks = 5000

    for (let look = 1; look <= looks; look++) {
      const progress = { fetchedBytes: look * 8, connections: [connection(1, look * 8)] }
      log.note(download, look * 997, 'file', progress)
    }

    const { intervalMs, durationMs, downloads } = log.stats
    const perInterval = downloads[0]?.connections[0]?.perInterval ?? []
    expect(durationMs).toBe(looks * 997)
    expect(perInterval.length).toBeLessThanOrEqual(600)
    expect(perInterval.length * intervalMs).toBeGreaterThanOrEqual(durationMs)
    expect(perInterval.reduce((sum, bytes) => sum + bytes, 0)).toBeCloseTo(looks * 8)
    expect(Math.max(...perInterval.slice(0, -1))).toBeCloseTo((intervalMs * 8) / 997)
  })
})

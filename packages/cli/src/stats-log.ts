/**
 * What is remembered of a run's downloads for a figure: how many bytes each connection brought in each
 * interval of time. Pure; time is given. Its memory is bounded, however long a run takes: when there
 * are too many intervals, they become twice as long.
 */
import type { DownloadProgress } from 'ferry/download'

/** What a run has come to. */
export interface RunStats {
  readonly intervalMs: number
  /** From the first look to the last. */
  readonly durationMs: number
  readonly downloads: readonly DownloadStats[]
}

export interface DownloadStats {
  readonly name: string
  /** That came over the network. */
  readonly bytes: number
  readonly connections: readonly ConnectionStats[]
}

export interface ConnectionStats {
  /** Unique within its download but for a download that began anew. */
  readonly id: number
  readonly host: string
  readonly bytes: number
  /** Bytes in each interval of the run. */
  readonly perInterval: readonly number[]
}

/** What is looked at. */
export type SampledProgress = Pick<DownloadProgress, 'fetchedBytes'> & {
  readonly connections: readonly Pick<
    DownloadProgress['connections'][number],
    'id' | 'url' | 'receivedBytes'
  >[]
}

const FIRST_INTERVAL_MS = 100
// About as many as a figure has room for.
const MAX_INTERVALS = 600

interface Connection {
  readonly id: number
  readonly host: string
  bytes: number
  perInterval: number[]
  /** Its own account at the last look. */
  seenBytes: number
}

interface Watched {
  name: string
  readonly host: string
  bytes: number
  lastAt: number
  readonly connections: Connection[]
  /** Those that were there at the last look. */
  live: Connection[]
}

/** The record of one run. */
export class StatsLog {
  readonly #startedAt: number
  readonly #downloads: Watched[] = []
  #intervalMs = FIRST_INTERVAL_MS
  #lastAt: number

  constructor(startedAt: number) {
    this.#startedAt = startedAt
    this.#lastAt = startedAt
  }

  /** Begins a download from `url`; gives its number. */
  add(url: string, at: number): number {
    const host = hostOf(url)
    this.#downloads.push({ name: host, host, bytes: 0, lastAt: at, connections: [], live: [] })
    return this.#downloads.length - 1
  }

  /** Notes a look at a download. */
  note(download: number, at: number, name: string, progress: SampledProgress): void {
    const watched = this.#downloads[download] as Watched
    const growth = Math.max(0, progress.fetchedBytes - watched.bytes)
    const span = { from: watched.lastAt, to: at }
    const before = watched.live
    let told = 0
    watched.live = progress.connections.map(({ id, url, receivedBytes }) => {
      const known = before.find((one) => one.id === id && one.seenBytes <= receivedBytes)
      const connection = known ?? addConnection(watched, id, hostOf(url))
      const bytes = receivedBytes - connection.seenBytes
      connection.seenBytes = receivedBytes
      told += bytes
      this.#spread(connection, bytes, span)
      return connection
    })
    // What a connection brings between the last look and its end shows in the sum alone.
    const gone = before.filter((one) => !watched.live.includes(one))
    const takers = [gone, watched.live, watched.connections].find(({ length }) => length > 0) ?? [
      addConnection(watched, 1, watched.host),
    ]
    if (growth > told) {
      for (const one of takers) this.#spread(one, (growth - told) / takers.length, span)
    }
    watched.name = name
    watched.bytes = progress.fetchedBytes
    watched.lastAt = at
    this.#lastAt = Math.max(this.#lastAt, at)
  }

  /** What is known so far. */
  get stats(): RunStats {
    const durationMs = this.#lastAt - this.#startedAt
    const count = Math.max(1, Math.ceil(durationMs / this.#intervalMs))
    return {
      intervalMs: this.#intervalMs,
      durationMs,
      downloads: this.#downloads.map(({ name, bytes, connections }) => ({
        name,
        bytes,
        connections: connections.map((one) => ({
          id: one.id,
          host: one.host,
          bytes: Math.round(one.bytes),
          perInterval: Array.from({ length: count }, (_, index) => one.perInterval[index] ?? 0),
        })),
      })),
    }
  }

  /** Gives bytes to the intervals of a span, evenly. */
  #spread(connection: Connection, bytes: number, { from, to }: { from: number; to: number }): void {
    if (bytes <= 0) return
    connection.bytes += bytes
    const start = from - this.#startedAt
    const end = Math.max(start + 1, to - this.#startedAt)
    while (end > this.#intervalMs * MAX_INTERVALS) this.#widen()
    const last = Math.ceil(end / this.#intervalMs) - 1
    for (let index = Math.floor(start / this.#intervalMs); index <= last; index++) {
      const overlap =
        Math.min(end, (index + 1) * this.#intervalMs) - Math.max(start, index * this.#intervalMs)
      const share = (bytes * overlap) / (end - start)
      connection.perInterval[index] = (connection.perInterval[index] ?? 0) + share
    }
  }

  /** Makes the intervals twice as long. */
  #widen(): void {
    this.#intervalMs *= 2
    for (const connection of this.#downloads.flatMap(({ connections }) => connections)) {
      const { perInterval } = connection
      connection.perInterval = Array.from(
        { length: Math.ceil(perInterval.length / 2) },
        (_, index) => (perInterval[2 * index] ?? 0) + (perInterval[2 * index + 1] ?? 0),
      )
    }
  }
}

function addConnection({ connections }: Watched, id: number, host: string): Connection {
  const connection = { id, host, bytes: 0, perInterval: [], seenBytes: 0 }
  connections.push(connection)
  return connection
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url
}

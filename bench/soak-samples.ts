/** What the soak watches at rest, how it is shown, and what of it is too much. */
import { readdirSync, readlinkSync } from 'node:fs'
import { memoryUsage } from 'node:process'
import type { ConnectionPool } from 'ferry/transport'
import { MIB } from './support.ts'

/** The process while nothing is under way, after a collection of garbage. */
export interface SoakSample {
  readonly seconds: number
  readonly requests: number
  readonly heapBytes: number
  readonly externalBytes: number
  readonly rssBytes: number
  readonly sockets: number
  /** What keeps the process alive, by kind: `TCPSocketWrap 2, Timeout 1`. */
  readonly resources: string
  readonly pool: string
}

/** What heap and buffers may grow by: a leak of one object in a hundred requests shows. */
export const MAX_GROWTH_BYTES_PER_REQUEST = 1
/** What growth is never held against: optimised code and the like. */
export const ALLOWED_GROWTH_BYTES: number = MIB

/** Looks at the process. @throws {Error} without `--expose-gc` */
export function takeSample(pool: ConnectionPool, requests: number, seconds: number): SoakSample {
  if (globalThis.gc === undefined) throw new Error('Cannot measure memory: --expose-gc is missing')
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external, rss } = memoryUsage()
  return {
    seconds,
    requests,
    heapBytes: heapUsed,
    externalBytes: external,
    rssBytes: rss,
    sockets: countSockets(),
    resources: listResources(),
    pool: String(pool),
  }
}

export const SAMPLE_HEADING = formatCells([
  'seconds',
  'requests',
  'heap KiB',
  'external KiB',
  'RSS MiB',
  'sockets',
  'active/idle/waiting',
  'resources',
])

export function formatSample(sample: SoakSample): string {
  const { active, idle, waiting } = readPool(sample.pool)
  return formatCells([
    sample.seconds.toFixed(1),
    String(sample.requests),
    (sample.heapBytes / 1024).toFixed(0),
    (sample.externalBytes / 1024).toFixed(0),
    (sample.rssBytes / MIB).toFixed(0),
    String(sample.sockets),
    `${active}/${idle}/${waiting}`,
    sample.resources,
  ])
}

/** Bytes of heap and buffers that came with each request: the slope of the line through all. */
export function growthPerRequest(samples: readonly SoakSample[]): number {
  const mean = (of: (sample: SoakSample) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
  const bytesOf = ({ heapBytes, externalBytes }: SoakSample): number => heapBytes + externalBytes
  const [requests, bytes] = [mean((sample) => sample.requests), mean(bytesOf)]
  let [covariance, variance] = [0, 0]
  for (const sample of samples) {
    covariance += (sample.requests - requests) * (bytesOf(sample) - bytes)
    variance += (sample.requests - requests) ** 2
  }
  return variance === 0 ? 0 : covariance / variance
}

/** What a pool says of itself, over all origins; `busy` is whatever is neither idle nor closed. */
export function readPool(text: string): {
  active: number
  idle: number
  waiting: number
  busy: number
} {
  const sum = (word: string): number =>
    [...text.matchAll(new RegExp(` ${word} (\\d+)`, 'g'))].reduce(
      (total, [, count]) => total + Number(count),
      0,
    )
  const [active, idle, waiting] = [sum('active'), sum('idle'), sum('waiting')]
  return { active, idle, waiting, busy: active + waiting + sum('connecting') }
}

function countSockets(): number {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:')
    } catch {
      // The one that listed the folder is closed by now.
      return false
    }
  }).length
}

function listResources(): string {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return [...counts]
    .map(([kind, count]) => `${kind} ${count}`)
    .toSorted()
    .join(', ')
}

function formatCells(cells: readonly string[]): string {
  return cells
    .map((cell, index) =>
      index === cells.length - 1 ? `  ${cell}` : cell.padStart(index === 6 ? 21 : 13),
    )
    .join('')
}

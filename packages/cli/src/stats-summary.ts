/** A run in two lines of text: its speed over time, and what each connection carried. Pure. */
import { formatBytes, formatDuration, formatSpeed } from './format.ts'
import type { RunStats } from './stats-log.ts'

const LEVELS = '▁▂▃▄▅▆▇█'
const CELLS = 32
// What is over at once needs no summary.
const SHORTEST_MS = 1000
const MAX_CONNECTIONS = 8

/** The lines; none of a run that was over at once or brought nothing. */
export function renderSummary(stats: RunStats): string[] {
  const [first, ...others] = stats.downloads
  const bytes = stats.downloads.reduce((sum, download) => sum + download.bytes, 0)
  if (stats.durationMs < SHORTEST_MS || bytes === 0) return []
  const speeds = speedsOf(stats, CELLS)
  const highest = Math.max(...speeds)
  const mean = (bytes * 1000) / stats.durationMs
  const figure = speeds.map((speed) => LEVELS[levelOf(speed, highest)]).join('')
  return [
    `  ${figure}  ${formatBytes(bytes)} in ${formatDuration(stats.durationMs)}, ` +
      `${formatSpeed(mean)} on average, ${formatSpeed(highest)} at best`,
    // Shares of several files would tell of their sizes.
    ...(others.length > 0 ? [] : renderShares(first?.connections.map((one) => one.bytes) ?? [])),
  ]
}

/** Bytes per second of all connections, in `count` spans of equal length, or fewer. */
export function speedsOf({ downloads, intervalMs, durationMs }: RunStats, count: number): number[] {
  const series = downloads.flatMap(({ connections }) => connections.map((one) => one.perInterval))
  const length = Math.max(0, ...series.map((one) => one.length))
  const totals = Array.from({ length }, (_, index) =>
    series.reduce((sum, one) => sum + (one[index] ?? 0), 0),
  )
  const perSpan = Math.max(1, Math.ceil(totals.length / count))
  const spans = Array.from({ length: Math.ceil(totals.length / perSpan) }, (_, index) => ({
    bytes: totals.slice(index * perSpan, (index + 1) * perSpan).reduce((sum, one) => sum + one, 0),
    // The last one is cut by the end.
    ms: Math.min(durationMs, (index + 1) * perSpan * intervalMs) - index * perSpan * intervalMs,
  }))
  return spans.map(({ bytes, ms }) => (bytes * 1000) / Math.max(1, ms))
}

function levelOf(speed: number, highest: number): number {
  return Math.min(LEVELS.length - 1, Math.floor((speed / highest) * LEVELS.length))
}

function renderShares(bytes: readonly number[]): string[] {
  if (bytes.length < 2) return []
  const total = bytes.reduce((sum, one) => sum + one, 0)
  const sorted = bytes.toSorted((one, other) => other - one)
  const shares = sorted.slice(0, MAX_CONNECTIONS).map((one) => {
    return `${Math.round((one * 100) / total)} %`
  })
  const rest = sorted.length > MAX_CONNECTIONS ? ', …' : ''
  return [`  ${bytes.length} connections carried ${shares.join(', ')}${rest}`]
}

/** What a running download looks like: lines of text from a value; pure. */
import { stripVTControlCharacters, styleText } from 'node:util'
import type { DownloadProgress } from 'ferry/download'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'

const BAR_CELLS = 28
// More connections than this are counted, not listed.
const MAX_LISTED_CONNECTIONS = 16

type ConnectionProgress = DownloadProgress['connections'][number]

/** What is shown of a transfer. */
export type ShownProgress = Pick<
  DownloadProgress,
  'state' | 'size' | 'receivedBytes' | 'bytesPerSecond' | 'connections'
>

/**
 * The lines of a terminal, none of more characters than `columns`. Some characters take two cells;
 * only the terminal knows which, so it has to be told not to wrap.
 */
export function renderProgress(name: string, progress: ShownProgress, columns: number): string[] {
  const { connections } = progress
  const lines = [
    styleText('bold', name),
    `${renderBar(progress)} ${renderNumbers(progress)}`,
    ...connections
      .slice(0, MAX_LISTED_CONNECTIONS)
      .map((connection) => renderConnection(connection, progress.size)),
  ]
  return lines.map((line) => cut(line, columns))
}

/** One line for logs. */
export function renderLine(name: string, progress: ShownProgress): string {
  return `${name}: ${renderNumbers(progress)}, ${countOf(progress.connections.length)}`
}

/** What is left at the present speed, in ms; undefined when that cannot be told. */
export function remainingMs({
  size,
  receivedBytes,
  bytesPerSecond,
}: ShownProgress): number | undefined {
  if (size === undefined || bytesPerSecond <= 0) return undefined
  return ((size - receivedBytes) / bytesPerSecond) * 1000
}

function renderNumbers(progress: ShownProgress): string {
  const { size, receivedBytes, bytesPerSecond, state } = progress
  if (state === 'verifying') return 'checking the digest'
  const left = remainingMs(progress)
  return [
    size === undefined
      ? formatBytes(receivedBytes)
      : `${Math.floor(fractionOf(progress) * 100)} % of ${formatBytes(size)}`,
    formatSpeed(bytesPerSecond),
    left === undefined ? undefined : `${formatDuration(left)} left`,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
}

function renderBar(progress: ShownProgress): string {
  if (progress.size === undefined) return styleText('dim', '░'.repeat(BAR_CELLS))
  const full = Math.round(fractionOf(progress) * BAR_CELLS)
  return styleText('cyan', '█'.repeat(full)) + styleText('dim', '░'.repeat(BAR_CELLS - full))
}

function fractionOf({ size, receivedBytes }: ShownProgress): number {
  if (size === undefined || size === 0) return size === 0 ? 1 : 0
  return Math.min(1, receivedBytes / size)
}

function renderConnection(connection: ConnectionProgress, size: number | undefined): string {
  const { id, state, cursor, end, bytesPerSecond } = connection
  const to = end ?? size
  const span = `${formatBytes(cursor)} → ${to === undefined ? '?' : formatBytes(to)}`
  const doing = state === 'receiving' ? formatSpeed(bytesPerSecond) : state
  return styleText('dim', `  ${String(id).padStart(2)}  ${span}  ${doing}`)
}

function countOf(connections: number): string {
  return connections === 1 ? '1 connection' : `${connections} connections`
}

/** Cuts at the terminal's edge; whole characters, not halves of a surrogate pair. */
function cut(line: string, columns: number): string {
  const plain = [...stripVTControlCharacters(line)]
  return plain.length < columns ? line : `${plain.slice(0, Math.max(0, columns - 2)).join('')}…`
}

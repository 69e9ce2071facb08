/** What running transfers look like: lines of text from values; pure. */
import { stripVTControlCharacters, styleText } from 'node:util'
import type { DownloadProgress } from 'ferry/download'
import { formatBytes, formatDuration, formatSpeed } from './format.ts'

const BAR_CELLS = 28
// In a line of its own with a name before it and numbers after it.
const SMALL_BAR_CELLS = 14
// More connections than this are counted, not listed.
const MAX_LISTED_CONNECTIONS = 16
const MAX_NAME_CELLS = 32
const MIN_NAME_CELLS = 12
// What stands beside a name: the bar and the numbers.
const BESIDE_NAME_CELLS = 60
// Some lines of what was printed before stay in sight.
const KEPT_ROWS = 4

// What is going on, where it is not that bytes are carried.
const STATES: Readonly<Record<string, string>> = {
  waiting: 'waiting to try again',
  answering: 'waiting for the answer',
  copying: 'copying into the outbox',
}
const STANDSTILLS: readonly string[] = ['waiting', 'answering']

type ConnectionProgress = DownloadProgress['connections'][number]

/** What is shown of a transfer. */
export interface ShownProgress extends Pick<
  DownloadProgress,
  'size' | 'receivedBytes' | 'bytesPerSecond'
> {
  readonly state: string
  /** Left out where nobody asks which connection does what. */
  readonly connections?: readonly ConnectionProgress[] | undefined
}

/** One of several. */
export interface ShownTransfer {
  readonly name: string
  readonly progress: ShownProgress
}

/** How many there are in all. */
export interface ShownCounts {
  readonly all: number
  /** Those that are here whole. */
  readonly done: number
  readonly doneBytes: number
  readonly failed: number
}

/**
 * The lines of a terminal, none of more characters than `columns`. Some characters take two cells;
 * only the terminal knows which, so it has to be told not to wrap.
 */
export function renderProgress(name: string, progress: ShownProgress, columns: number): string[] {
  const { connections = [] } = progress
  const lines = [
    styleText('bold', name),
    `${renderBar(progress, BAR_CELLS)} ${renderNumbers(progress)}`,
    ...connections
      .slice(0, MAX_LISTED_CONNECTIONS)
      .map((connection) => renderConnection(connection, progress.size)),
  ]
  return lines.map((line) => cut(line, columns))
}

/** The same for several at once: a line each, as far as there is room, and one for all of them. */
export function renderTransfers(
  transfers: readonly ShownTransfer[],
  counts: ShownCounts,
  { columns, rows }: { readonly columns: number; readonly rows: number },
): string[] {
  const [only] = transfers
  if (counts.all === 1) {
    return only === undefined ? [] : renderProgress(only.name, only.progress, columns)
  }
  return renderList(transfers, renderTotal(transfers, counts), { columns, rows })
}

/** A line each, as far as there is room, and a last one for all of them. */
export function renderList(
  shown: readonly ShownTransfer[],
  total: string,
  { columns, rows }: { readonly columns: number; readonly rows: number },
): string[] {
  const room = Math.max(1, rows - KEPT_ROWS)
  const listed = shown.length <= room ? shown : shown.slice(0, room - 1)
  const nameCells = Math.max(MIN_NAME_CELLS, Math.min(MAX_NAME_CELLS, columns - BESIDE_NAME_CELLS))
  const hidden = shown.length - listed.length
  return [
    ...listed.map((one) => renderOneOfMany(one, nameCells)),
    ...(hidden === 0 ? [] : [styleText('dim', `and ${hidden} more`)]),
    styleText('bold', total),
  ].map((line) => cut(line, columns))
}

/** One line for logs. */
export function renderLine(name: string, progress: ShownProgress): string {
  const { connections } = progress
  const by = connections === undefined ? '' : `, ${countOf(connections.length)}`
  return `${name}: ${renderNumbers(progress)}${by}`
}

/** One line for all of several. */
export function renderTotal(
  transfers: readonly ShownTransfer[],
  { all, done, doneBytes, failed }: ShownCounts,
): string {
  const sum = (pick: (progress: ShownProgress) => number): number =>
    transfers.reduce((total, { progress }) => total + pick(progress), 0)
  const bytes = doneBytes + sum(({ receivedBytes }) => receivedBytes)
  const speed = sum(({ bytesPerSecond }) => bytesPerSecond)
  const isListed = transfers.some(({ progress }) => progress.connections !== undefined)
  return [
    `${done} of ${all} files done`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    `${transfers.length} on the way`,
    formatBytes(bytes),
    formatSpeed(speed),
    ...(isListed ? [countOf(sum(({ connections = [] }) => connections.length))] : []),
  ].join(', ')
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

function renderOneOfMany({ name, progress }: ShownTransfer, nameCells: number): string {
  const label = shorten(name, nameCells).padEnd(nameCells)
  return `${label} ${renderBar(progress, SMALL_BAR_CELLS)} ${renderNumbers(progress)}`
}

/** How far, how fast, how much longer. */
export function renderNumbers(progress: ShownProgress): string {
  const { size, receivedBytes, bytesPerSecond, state } = progress
  if (state === 'verifying') return 'checking the digest'
  const moves = !STANDSTILLS.includes(state)
  const left = moves ? remainingMs(progress) : undefined
  return [
    STATES[state],
    size === undefined
      ? formatBytes(receivedBytes)
      : `${Math.floor(fractionOf(progress) * 100)} % of ${formatBytes(size)}`,
    moves ? formatSpeed(bytesPerSecond) : undefined,
    left === undefined ? undefined : `${formatDuration(left)} left`,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
}

function renderBar(progress: ShownProgress, cells: number): string {
  if (progress.size === undefined) return styleText('dim', '░'.repeat(cells))
  const full = Math.round(fractionOf(progress) * cells)
  return styleText('cyan', '█'.repeat(full)) + styleText('dim', '░'.repeat(cells - full))
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

/** Takes from the middle: names of one site differ at their ends. */
function shorten(name: string, cells: number): string {
  const characters = [...name]
  if (characters.length <= cells) return name
  const end = Math.floor((cells - 1) / 2)
  const begin = cells - 1 - end
  return `${characters.slice(0, begin).join('')}…${characters.slice(-end).join('')}`
}

/** Cuts at the terminal's edge; whole characters, not halves of a surrogate pair. */
function cut(line: string, columns: number): string {
  const plain = [...stripVTControlCharacters(line)]
  return plain.length < columns ? line : `${plain.slice(0, Math.max(0, columns - 2)).join('')}…`
}

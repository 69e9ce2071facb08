/**
 * Draws a run as a figure: the speed over time, stacked by connection, and below it a row for each
 * connection with what it carried. Pure: numbers become the text of an SVG file.
 */
import { formatBytes, formatDuration, formatSpeed } from './format.ts'
import type { RunStats } from './stats-log.ts'

// In pixels.
const WIDTH = 960
const LEFT = 96
const RIGHT = 24
const TOP = 64
const PLOT_WIDTH = WIDTH - LEFT - RIGHT
const PLOT_HEIGHT = 260
const ROW_HEIGHT = 42
const ROW_LABEL_HEIGHT = 16
const ROW_BAR_HEIGHT = 18
/** Between the plot with its scale and the first row. */
const ROWS_AT = TOP + PLOT_HEIGHT + 72
// More rows than this would be a wall; the rest is told in a line.
const MAX_ROWS = 48
const MAX_TICKS = 6
// In seconds: what people count time in.
const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21_600, 43_200,
]
const MAX_LABEL_CHARACTERS = 90

// Okabe and Ito's colours without black and yellow, then lighter ones: told apart by most eyes.
const COLORS: readonly string[] = [
  '#0072b2',
  '#e69f00',
  '#009e73',
  '#cc79a7',
  '#56b4e9',
  '#d55e00',
  '#6a5acd',
  '#8a8d0f',
]
const INK = '#1f2328'
const FAINT = '#59636e'
const LINE = '#d1d9e0'

/** A connection as it is drawn. */
interface Row {
  readonly label: string
  readonly color: string
  readonly bytes: number
  /** Bytes per second in each interval. */
  readonly speeds: readonly number[]
}

/** The text of the figure. */
export function renderStatsSvg(stats: RunStats): string {
  const rows = rowsOf(stats)
  const shown = rows.slice(0, MAX_ROWS)
  const height = ROWS_AT + shown.length * ROW_HEIGHT + 32
  const title = titleOf(stats)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
      `viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(LEFT, 28, title, { size: 16, weight: 600 }),
    text(LEFT, 48, subtitleOf(stats), { color: FAINT }),
    ...drawPlot(stats, rows),
    ...drawRows(stats, shown, rows),
    '</svg>',
    '',
  ].join('\n')
}

function titleOf({ downloads, durationMs }: RunStats): string {
  const bytes = downloads.reduce((sum, download) => sum + download.bytes, 0)
  const what = downloads.length === 1 ? (downloads[0]?.name ?? '') : `${downloads.length} files`
  return `${what}: ${formatBytes(bytes)} in ${formatDuration(durationMs)}`
}

function subtitleOf({ downloads, durationMs }: RunStats): string {
  const bytes = downloads.reduce((sum, download) => sum + download.bytes, 0)
  const count = downloads.reduce((sum, { connections }) => sum + connections.length, 0)
  const speed = formatSpeed(durationMs > 0 ? (bytes * 1000) / durationMs : 0)
  return `${speed} on average over ${count === 1 ? '1 connection' : `${count} connections`}`
}

function rowsOf({ downloads, intervalMs, durationMs }: RunStats): Row[] {
  const hosts = new Set(downloads.flatMap(({ connections }) => connections.map((one) => one.host)))
  const rows = downloads.flatMap(({ name, connections }) =>
    connections.map((connection) => {
      const parts = [
        downloads.length > 1 ? name : undefined,
        `connection ${connection.id}`,
        hosts.size > 1 ? connection.host : undefined,
      ]
      return {
        label: parts.filter((part) => part !== undefined).join(' · '),
        bytes: connection.bytes,
        speeds: connection.perInterval.map((bytes, index) => {
          // The last interval is cut by the end.
          const ms = Math.min(intervalMs, Math.max(1, durationMs - index * intervalMs))
          return (bytes * 1000) / ms
        }),
      }
    }),
  )
  return rows.map((row, index) => ({ ...row, color: COLORS[index % COLORS.length] as string }))
}

// ── Speed over time

/** Where an interval begins. */
function toX({ durationMs, intervalMs }: RunStats, index: number): number {
  return xAt(Math.min(durationMs, index * intervalMs), durationMs)
}

function xAt(ms: number, durationMs: number): number {
  return LEFT + (PLOT_WIDTH * ms) / Math.max(1, durationMs)
}

function drawPlot(stats: RunStats, rows: readonly Row[]): string[] {
  const { durationMs } = stats
  const levels = stack(rows)
  const highest = Math.max(0, ...(levels.at(-1) ?? []))
  const scale = niceScale(highest)
  const bottom = TOP + PLOT_HEIGHT
  const x = (index: number): number => toX(stats, index)
  const toY = (speed: number): number => bottom - (PLOT_HEIGHT * speed) / scale.top
  const areas = rows.map(({ color, label }, index) => {
    const upper = levels[index + 1] as readonly number[]
    const lower = levels[index] as readonly number[]
    const path = `${stepsOf(upper, x, toY)} ${stepsOf(lower, x, toY, { back: true })} Z`
    return `<path d="M${path}" fill="${color}" shape-rendering="crispEdges"><title>${escapeXml(label)}</title></path>`
  })
  return [
    ...scale.ticks.flatMap((speed) => {
      const y = toY(speed)
      return [
        line(LEFT, y, WIDTH - RIGHT, y),
        text(LEFT - 8, y + 4, formatSpeed(speed), { anchor: 'end', color: FAINT }),
      ]
    }),
    ...areas,
    line(LEFT, bottom, WIDTH - RIGHT, bottom, INK),
    ...timeTicks(durationMs).map((ms) =>
      text(xAt(ms, durationMs), bottom + 18, formatDuration(ms), {
        anchor: 'middle',
        color: FAINT,
      }),
    ),
  ]
}

/** The sums of the first no, one, two … rows, in each interval. */
function stack(rows: readonly Row[]): (readonly number[])[] {
  const count = Math.max(0, ...rows.map(({ speeds }) => speeds.length))
  const levels: number[][] = [Array.from({ length: count }, () => 0)]
  for (const { speeds } of rows) {
    const below = levels.at(-1) as number[]
    levels.push(below.map((speed, index) => speed + (speeds[index] ?? 0)))
  }
  return levels
}

/** An outline that is level within each interval, to the right or, `back`, to the left. */
function stepsOf(
  speeds: readonly number[],
  x: (index: number) => number,
  y: (speed: number) => number,
  { back = false }: { readonly back?: boolean } = {},
): string {
  const points = speeds.flatMap((speed, index) => [
    `${round(x(index))},${round(y(speed))}`,
    `${round(x(index + 1))},${round(y(speed))}`,
  ])
  return (back ? points.toReversed() : points).join(' ')
}

/** Round numbers of bytes per second up to above the highest. */
function niceScale(highest: number): { readonly top: number; readonly ticks: readonly number[] } {
  const unit = 1024 ** Math.max(0, Math.floor(Math.log2(Math.max(1, highest)) / 10))
  const raw = Math.max(1 / 64, highest / unit / (MAX_TICKS - 1))
  const magnitude = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5, 10].find((one) => one * magnitude >= raw) ?? 10) * magnitude * unit
  const count = Math.max(1, Math.ceil(highest / step))
  return { top: step * count, ticks: Array.from({ length: count + 1 }, (_, at) => at * step) }
}

function timeTicks(durationMs: number): number[] {
  const days = Math.ceil(durationMs / 86_400_000 / MAX_TICKS) * 86_400
  const fits = (step: number): boolean => durationMs / 1000 / step <= MAX_TICKS
  const stepMs = (TIME_STEPS.find(fits) ?? days) * 1000
  return Array.from({ length: Math.floor(durationMs / stepMs) + 1 }, (_, index) => index * stepMs)
}

// ── What each connection carried

function drawRows(stats: RunStats, shown: readonly Row[], rows: readonly Row[]): string[] {
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0)
  const highest = Math.max(1, ...rows.flatMap(({ speeds }) => speeds))
  const heading =
    shown.length === rows.length ? '' : ` (the first ${shown.length} of ${rows.length})`
  return [
    text(LEFT, ROWS_AT - 18, `What each connection carried${heading}`, { size: 14, weight: 600 }),
    ...shown.flatMap((row, index) => {
      const bottom = ROWS_AT + index * ROW_HEIGHT + ROW_LABEL_HEIGHT + ROW_BAR_HEIGHT
      const share = total === 0 ? 0 : Math.round((row.bytes * 100) / total)
      const labelY = bottom - ROW_BAR_HEIGHT - 4
      return [
        text(LEFT, labelY, shorten(row.label)),
        text(WIDTH - RIGHT, labelY, `${formatBytes(row.bytes)}, ${share} %`, { anchor: 'end' }),
        drawBar(stats, row, { bottom, highest }),
        line(LEFT, bottom, WIDTH - RIGHT, bottom),
      ]
    }),
  ]
}

/** The speed of one connection. */
function drawBar(
  stats: RunStats,
  { color, speeds }: Row,
  { bottom, highest }: { readonly bottom: number; readonly highest: number },
): string {
  const x = (index: number): number => toX(stats, index)
  const outline = stepsOf(speeds, x, (speed) => bottom - (ROW_BAR_HEIGHT * speed) / highest)
  const area = `M${LEFT},${bottom} ${outline} ${round(x(speeds.length))},${bottom} Z`
  return `<path d="${area}" fill="${color}" shape-rendering="crispEdges"/>`
}

function shorten(label: string): string {
  const characters = [...label]
  if (characters.length <= MAX_LABEL_CHARACTERS) return label
  // The end says which connection it is.
  const end = characters.slice(-Math.floor(MAX_LABEL_CHARACTERS / 2))
  const begin = characters.slice(0, MAX_LABEL_CHARACTERS - end.length - 1)
  return `${begin.join('')}…${end.join('')}`
}

// ── SVG

function text(
  x: number,
  y: number,
  content: string,
  style: {
    readonly anchor?: 'middle' | 'end'
    readonly color?: string
    readonly size?: number
    readonly weight?: number
  } = {},
): string {
  const { anchor = 'start', color = INK, size = 12, weight = 400 } = style
  return (
    `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${color}" ` +
    `font-size="${size}" font-weight="${weight}">${escapeXml(content)}</text>`
  )
}

function line(x1: number, y1: number, x2: number, y2: number, color: string = LINE): string {
  return `<path d="M${round(x1)},${round(y1)} ${round(x2)},${round(y2)}" stroke="${color}"/>`
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}

/** What XML 1.0 cannot hold, even escaped, is left out. */
function escapeXml(content: string): string {
  return content
    .toWellFormed()
    .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

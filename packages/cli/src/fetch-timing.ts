/** Where the time went: phases of each exchange from its steps, and their picture; pure. */
import { styleText } from 'node:util'
import type { FetchExchange, StepTimes } from './fetch-exchanges.ts'
import { formatBytes, formatSpeed } from './format.ts'
import { printableHead } from './terminal-text.ts'

/** The phases, in the order in which they come. `send` is there when there was content to send. */
export type PhaseName =
  | 'queue'
  | 'resolve'
  | 'connect'
  | 'proxy'
  | 'tls'
  | 'send'
  | 'wait'
  | 'content'

/** A phase; ms on the client's clock. */
export interface Phase {
  readonly name: PhaseName
  readonly start: number
  readonly end: number
}

/** What the picture is made of. */
export interface TimingFacts {
  readonly exchanges: readonly FetchExchange[]
  /** Of content, decoded. */
  readonly bytes: number
  /** Whether to use colours. */
  readonly color: boolean
}

const BAR_CELLS = 32
const OPENING = ['resolve', 'connect', 'proxy', 'tls'] as const
// Waiting for a connection that is there takes some microseconds and tells nothing.
const NOTABLE_MS = 0.05

/** The phases of one exchange; one that was cut off ends where it was cut off. */
export function phasesOf({ steps }: FetchExchange): Phase[] {
  const lastAt = Math.max(...[...steps.values()].flatMap(({ start, end }) => [start, end ?? start]))
  const phases: Phase[] = []
  const add = (name: PhaseName, times: StepTimes | undefined, end = times?.end): void => {
    if (times !== undefined) phases.push({ name, start: times.start, end: end ?? lastAt })
  }
  const openedAt = Math.min(
    ...OPENING.map((step) => steps.get(step)?.start ?? Number.POSITIVE_INFINITY),
  )
  const queue = steps.get('queue')
  if (queue !== undefined) {
    const end = Math.min(queue.end ?? lastAt, Math.max(openedAt, queue.start))
    if (end - queue.start >= NOTABLE_MS) phases.push({ name: 'queue', start: queue.start, end })
  }
  for (const step of OPENING) add(step, steps.get(step))
  add('send', steps.get('send-body'))
  const head = steps.get('read-head')
  add('wait', steps.get('wait') ?? head, head === undefined ? undefined : (head.end ?? lastAt))
  add('content', steps.get('read-body'))
  return phases
}

/** Lines for the terminal: each exchange with a bar for each phase, on one scale, then the whole. */
export function renderTiming({ exchanges, bytes, color }: TimingFacts): string[] {
  const timed = exchanges.map((exchange) => ({ exchange, phases: phasesOf(exchange) }))
  const all = timed.flatMap(({ phases }) => phases)
  const start = Math.min(...all.map((phase) => phase.start))
  const end = Math.max(...all.map((phase) => phase.end))
  if (all.length === 0) return []
  const paint: Paint = (style, text) =>
    color ? styleText(style, text, { validateStream: false }) : text
  const lines: string[] = []
  for (const { exchange, phases } of timed) {
    lines.push(paint('bold', titleOf(exchange)))
    for (const phase of phases) {
      const isLast = exchange === exchanges.at(-1) && phase.name === 'content'
      const note = isLast ? `  ${formatAmount(bytes, phase.end - phase.start)}` : ''
      const bar = barOf(phase, { start, end })
      const row = `  ${phase.name.padEnd(8)}${formatMs(phase.end - phase.start)}  `
      lines.push((row + paint('cyan', bar) + note).trimEnd())
    }
    if (exchange.retry !== undefined) lines.push(`  pause   ${formatMs(exchange.retry.delayMs)}`)
  }
  const way = wayOf(exchanges.at(-1))
  lines.push(
    `${paint('bold', 'total')}     ${formatMs(end - start)}${way === '' ? '' : `  ${way}`}`,
  )
  return lines
}

type Paint = (style: 'bold' | 'cyan', text: string) => string

function titleOf({ request, response, error }: FetchExchange): string {
  const what = `${request.method} ${request.url.label}`
  if (response !== undefined) {
    return `${what}  ${response.status} ${printableHead(response.statusText)}`.trimEnd()
  }
  return error === undefined ? what : `${what}  failed`
}

function barOf({ start, end }: Phase, whole: { start: number; end: number }): string {
  const scale = BAR_CELLS / Math.max(whole.end - whole.start, Number.EPSILON)
  const offset = Math.min(Math.floor((start - whole.start) * scale), BAR_CELLS - 1)
  const cells = Math.min(Math.round((end - start) * scale), BAR_CELLS - offset)
  const bar = cells === 0 ? '▏' : '█'.repeat(cells)
  return (' '.repeat(offset) + bar).padEnd(BAR_CELLS)
}

/** `  12.3 ms`, all equally wide. */
function formatMs(ms: number): string {
  return `${ms.toFixed(1).padStart(9)} ms`
}

function formatAmount(bytes: number, ms: number): string {
  if (bytes === 0 || ms <= 0) return formatBytes(bytes)
  return `${formatBytes(bytes)}, ${formatSpeed((bytes * 1000) / ms)}`
}

/** `HTTP/2, TLSv1.3, 203.0.113.7:443` */
function wayOf(exchange: FetchExchange | undefined): string {
  if (exchange?.response === undefined) return ''
  const { carrier, response } = exchange
  return [
    `HTTP/${response.version}`,
    carrier?.tls,
    carrier?.peer,
    carrier?.reused === true ? 'connection used again' : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
}

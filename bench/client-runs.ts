/** Runs of client processes that carry one large file, and the table that compares them. */
import { formatSpread, formatTable, median, pairwiseRatio } from './statistics.ts'
import { type Measurement, MIB } from './support.ts'

/** One run of a client. */
export interface ClientRun extends Measurement {
  /** From its first call on, as it tells itself; of curl the whole. */
  readonly ownMs: number
}

/** The runs of each client, in the order of the rounds. */
export type ClientRuns = ReadonlyMap<string, readonly ClientRun[]>

/** Who is compared with whom, and what is to come out. */
export interface ClientComparison {
  readonly title: string
  readonly base: string
  /** The most that clients' wall time may be, as a ratio to the base's. */
  readonly goals: readonly { readonly client: string; readonly atMost: number }[]
}

/** A markdown table of all clients, with the goals in a line. */
export function formatRuns({ title, base, goals }: ClientComparison, runs: ClientRuns): string {
  const of = (name: string, part: 'wallMs' | 'ownMs' | 'cpuMs' | 'peakRssBytes'): number[] =>
    (runs.get(name) ?? []).map((run) => run[part])
  const ratio = (name: string, part: 'wallMs' | 'ownMs' | 'cpuMs'): string =>
    pairwiseRatio(of(name, part), of(base, part)).toFixed(2)
  const rows = [...runs.keys()].map((name) => [
    name,
    formatSpread(of(name, 'wallMs')),
    ratio(name, 'wallMs'),
    median(of(name, 'ownMs')).toFixed(0),
    ratio(name, 'ownMs'),
    median(of(name, 'cpuMs')).toFixed(0),
    ratio(name, 'cpuMs'),
    (median(of(name, 'peakRssBytes')) / MIB).toFixed(0),
  ])
  const table = formatTable(
    title,
    [
      'client',
      'wall ms, min / median / max',
      `wall × ${base}`,
      'without start, ms',
      `without start × ${base}`,
      'CPU ms',
      `CPU × ${base}`,
      'peak RSS MiB',
    ],
    rows,
  )
  const wanted = goals.map(
    ({ client, atMost }) =>
      `${client} ≤ ${atMost.toFixed(2)} × ${base}: ${ratio(client, 'wallMs')}`,
  )
  return `${table}\n${wanted.length === 1 ? 'Goal' : 'Goals'}, wall of ${wanted.join('; ')}.\n`
}

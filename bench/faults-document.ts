/** The tables of docs/download-behaviour.md. */
import { type Ending, type Outcome, PATIENCE_MS } from './faults-run.ts'
import type { FaultTool } from './faults-tools.ts'

/** One line of a table: what each program made of a case, in the order of the columns. */
export interface FaultRow {
  readonly name: string
  /** What can be had at best. */
  readonly best: string
  readonly outcomes: readonly Outcome[]
}

/** What all rows of a table share. */
export interface FaultTable {
  readonly title: string
  /** What else there is to know of its rows. */
  readonly note?: string
  /** Of the file. */
  readonly bytes: number
  readonly bytesPerSecond: number
  readonly rows: readonly FaultRow[]
}

const MEGABYTE = 1_000_000

/** The whole document; `tools` are the columns. */
export function formatDocument(
  tools: readonly FaultTool[],
  tables: readonly FaultTable[],
  kills: FaultTable,
): string {
  return [
    formatIntroduction(tools, tables[0] ?? kills),
    formatTotals(tools, [...tables, kills]),
    ...tables.map((table) => formatSection(tools, table)),
    formatSection(tools, kills),
  ].join('\n')
}

function formatIntroduction(tools: readonly FaultTool[], table: FaultTable): string {
  const versions = tools.map(({ name, version }) => `${name} ${version()}`).join(', ')
  const calls = tools.map(({ call }) => `- \`${call}\``).join('\n')
  return `# What download tools make of trouble

Written by \`npm run faults\` on ${new Date().toISOString().slice(0, 10)}, with ${versions}.
The cases are in \`test/support/fault-scenarios-table.ts\`; \`test/interop/download-faults.test.ts\` asserts
what Ferry makes of them. The server is \`FaultServer\` of \`ferry/testing\`. The programs are called so:

${calls}

${describeSpeed(table)} All programs of a row run at the same time, each with
a server of its own.

A cell says how it ended, after how many seconds, how often the bytes of the file were sent, and with
how many requests. \`right\`: the program told of success, and the file is the server's, byte by byte
(either version, where it was replaced). **CORRUPT**: it told of success, and the file is another one.
**no file**: it told of success, and there is none. \`error\`: an exit code other than 0. \`> ${PATIENCE_MS / 1000} s\`: it
was not done by then, and was killed. "At best" is what a program comes to that makes no mistake.
`
}

function describeSpeed({ bytes, bytesPerSecond }: FaultTable): string {
  const oneMs = (bytes / bytesPerSecond) * 1000
  return `${megabytes(bytes)} MB come at ${megabytes(bytesPerSecond)} MB/s on each connection: one needs ${seconds(oneMs)} s, four need ${seconds(oneMs / 4)} s.`
}

function formatSection(
  tools: readonly FaultTool[],
  { title, note, bytes, rows }: FaultTable,
): string {
  const heads = ['case', 'at best', ...tools.map(({ name }) => name)]
  const lines = rows.map(({ name, best, outcomes }) => [
    name,
    best,
    ...outcomes.map((outcome) => formatOutcome(outcome, bytes)),
  ])
  const table = [heads, heads.map(() => '---'), ...lines]
  const text = table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  return [`## ${title}`, '', ...(note === undefined ? [] : [note, '']), text, ''].join('\n')
}

/** How often each program ended in which way. */
function formatTotals(tools: readonly FaultTool[], tables: readonly FaultTable[]): string {
  const rows = tables.flatMap((table) => table.rows)
  const count = (tool: number, types: readonly Ending['type'][]): string =>
    String(rows.filter(({ outcomes }) => isAmong(outcomes[tool], types)).length)
  const lines: readonly (readonly [string, readonly Ending['type'][]])[] = [
    ['right file', ['right']],
    ['error', ['error']],
    ['**wrong or no file, told as success**', ['corrupt', 'missing']],
    [`> ${PATIENCE_MS / 1000} s`, ['late']],
  ]
  const cells = [
    [`of ${rows.length} cases`, ...tools.map(({ name }) => name)],
    ['---', ...tools.map(() => '---:')],
    ...lines.map(([name, types]) => [name, ...tools.map((_, index) => count(index, types))]),
  ]
  return ['## In all', '', ...cells.map((line) => `| ${line.join(' | ')} |`), ''].join('\n')
}

function isAmong(outcome: Outcome | undefined, types: readonly Ending['type'][]): boolean {
  return outcome !== undefined && types.includes(outcome.ending.type)
}

/** One cell. */
export function formatOutcome(
  { ending, wallMs, sentBytes, requests }: Outcome,
  bytes: number,
): string {
  const cost = `${(sentBytes / bytes).toFixed(2)}× · ${requests}`
  const time = ending.type === 'late' ? '' : ` · ${seconds(wallMs)} s`
  return `${formatEnding(ending)}${time} · ${cost}`
}

function formatEnding(ending: Ending): string {
  switch (ending.type) {
    case 'right':
      return 'right'
    case 'corrupt':
      return '**CORRUPT**'
    case 'missing':
      return '**no file**'
    case 'error':
      return `error ${ending.exitCode}`
    case 'late':
      return `> ${PATIENCE_MS / 1000} s`
  }
}

function megabytes(bytes: number): string {
  return String(Number((bytes / MEGABYTE).toFixed(1)))
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

/**
 * Lets download tools fetch a file from servers that fail in every way of the table, and tells what
 * became of the file: `npm run faults [-- --only TEXT --tools NAMES]`. When everything ran, the result
 * is kept as docs/download-behaviour.md. Nothing passes or fails here.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  FAULT_SCENARIOS,
  type FaultScenario,
  type FaultSetting,
} from '../test/support/fault-scenarios-table.ts'
import { type FaultRow, type FaultTable, formatDocument, formatOutcome } from './faults-document.ts'
import { KILL_AFTER_MS, KILL_CASES, type Outcome, playKill, playScenario } from './faults-run.ts'
import { FAULT_TOOLS, type FaultTool } from './faults-tools.ts'
import { clearUpAtExit, createFolder, exitOnSignals, progress } from './support.ts'

const DOCUMENT = join(import.meta.dirname, '../docs/download-behaviour.md')
const BYTES = 16_000_000
const SETTING: FaultSetting = {
  content: randomBytes(BYTES),
  replacement: randomBytes(BYTES),
  bytesPerSecond: 2_000_000,
  fewConnections: 2,
}
/** Slow enough that four connections are under way when the kill comes. */
const KILL_SETTING: FaultSetting = { ...SETTING, bytesPerSecond: 800_000 }
const BEST = { file: 'the file', error: 'an error', either: 'the file or an error' } as const

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, tools: { type: 'string' } },
})
const names = values.tools?.split(',')
const tools = FAULT_TOOLS.filter(({ name }) => names?.includes(name) ?? true)
exitOnSignals()
clearUpAtExit()
const parent = createFolder(FAULT_TOOLS.length * 4 * BYTES)

const tables: FaultTable[] = []
for (const [group, scenarios] of Map.groupBy(FAULT_SCENARIOS, ({ group }) => group)) {
  const rows: FaultRow[] = []
  for (const scenario of scenarios.filter(isWanted)) rows.push(await playRow(scenario))
  if (rows.length > 0) tables.push({ ...describeSetting(SETTING), title: titleOf(group), rows })
}
const kills: FaultTable = {
  ...describeSetting(KILL_SETTING),
  title: 'kill -9, then the same command again',
  note: `The program is killed ${KILL_AFTER_MS / 1000} s after its start; each connection has ${KILL_SETTING.bytesPerSecond / 1e6} MB/s, the file has an ETag
and Last-Modified. Seconds, copies and requests are those of the second run.`,
  rows: await playKills(),
}
const text = formatDocument(tools, tables, kills)
process.stdout.write(text)
if (values.only !== '' || names !== undefined) progress(`${DOCUMENT} is kept: not a full run`)
else writeFileSync(DOCUMENT, text)

async function playRow(scenario: FaultScenario): Promise<FaultRow> {
  const { name, ends } = scenario
  const outcomes = await playAll(name, (tool) =>
    playScenario(scenario, tool, { setting: SETTING, parent }),
  )
  return { name, best: BEST[ends], outcomes }
}

async function playKills(): Promise<FaultRow[]> {
  const rows: FaultRow[] = []
  for (const kill of KILL_CASES.filter(isWanted)) {
    const { name } = kill
    const outcomes = await playAll(name, (tool) =>
      playKill(kill, tool, { setting: KILL_SETTING, parent }),
    )
    rows.push({ name, best: BEST.file, outcomes })
  }
  return rows
}

async function playAll(
  name: string,
  play: (tool: FaultTool) => Promise<Outcome>,
): Promise<Outcome[]> {
  const outcomes = await Promise.all(tools.map(play))
  const told = outcomes.map((outcome, index) => {
    return `${tools[index]?.name}: ${formatOutcome(outcome, BYTES)}`
  })
  progress(`${name}: ${told.join(', ')}`)
  return outcomes
}

function isWanted({ name }: { readonly name: string }): boolean {
  return name.includes(values.only)
}

function describeSetting({ content, bytesPerSecond }: FaultSetting): {
  readonly bytes: number
  readonly bytesPerSecond: number
} {
  return { bytes: content.length, bytesPerSecond }
}

function titleOf(group: string): string {
  return `${group.slice(0, 1).toUpperCase()}${group.slice(1)}`
}

/**
 * What an idle connection and a queued request weigh: each client in a process of its own
 * (`memory-client.ts`), each at two sizes. Flat per item means that both sizes tell the same.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MemoryReport, MemoryTask } from './memory-client.ts'
import type { MemoryClientName } from './memory-clients.ts'
import { startNginx } from './nginx.ts'
import { createJson } from './requests.ts'
import { formatTable, median } from './statistics.ts'
import {
  type BenchOptions,
  createFolder,
  measureClient,
  NODE,
  progress,
  removeFolder,
  rotate,
} from './support.ts'

interface MemoryCase {
  readonly state: MemoryTask['state']
  readonly title: string
  readonly clients: readonly MemoryClientName[]
  readonly sizes: readonly [small: number, large: number]
  /** Undefined for one an item. */
  readonly connections?: number
}

type Reports = ReadonlyMap<string, MemoryReport[]>

const BODY_BYTES = 707
const ROUNDS = 3
const CLIENT = fileURLToPath(new URL('./memory-client.ts', import.meta.url))
const CLIENTS = [
  'ferry dispatch',
  'ferry transport',
  'undici.request',
  'undici dispatch',
  'node:http',
] as const

const CASES: readonly MemoryCase[] = [
  {
    state: 'idle',
    title: 'Memory of an idle connection',
    clients: ['ferry transport', 'undici.request', 'node:http'],
    sizes: [250, 1000],
  },
  {
    state: 'queued',
    title: 'Memory of a queued request, 10 connections',
    clients: CLIENTS,
    sizes: [2500, 10_000],
    connections: 10,
  },
]

/** Measures memory; resolves with a table for each state. */
export async function benchMemory({ quick }: BenchOptions): Promise<string> {
  const folder = createFolder()
  mkdirSync(join(folder, 'served'))
  writeFileSync(join(folder, 'served/body.json'), createJson(BODY_BYTES))
  await using nginx = await startNginx(join(folder, 'served'))
  const tables: string[] = []
  for (const memoryCase of CASES) {
    const rounds = quick ? 1 : ROUNDS
    tables.push(await benchCase(memoryCase, nginx.url, rounds))
  }
  removeFolder(folder)
  return tables.join('\n')
}

async function benchCase(memoryCase: MemoryCase, origin: string, rounds: number): Promise<string> {
  const { state, clients, sizes, connections } = memoryCase
  const reports: Reports = new Map(
    clients.flatMap((client) => sizes.map((items) => [`${client} ${items}`, []])),
  )
  for (let round = 1; round <= rounds; round++) {
    progress(`memory, ${state}: round ${round} of ${rounds}`)
    for (const client of rotate(clients, round)) {
      for (const items of sizes) {
        const task: MemoryTask = {
          ...{ client, origin, state, items, connections: connections ?? items },
          ...{ path: '/body.json', bodyBytes: BODY_BYTES },
        }
        const command = [NODE, '--expose-gc', CLIENT, JSON.stringify(task)] as const
        const { stdout } = await measureClient(command)
        reports.get(`${client} ${items}`)?.push(JSON.parse(stdout) as MemoryReport)
      }
    }
  }
  return formatCase(memoryCase, reports, rounds)
}

function formatCase(memoryCase: MemoryCase, reports: Reports, rounds: number): string {
  const { state, clients, sizes } = memoryCase
  const rows = clients.map((client) => {
    const of = (items: number, part: keyof MemoryReport): number =>
      median((reports.get(`${client} ${items}`) ?? []).map((report) => report[part]))
    const perItem = (part: keyof MemoryReport): string =>
      sizes.map((items) => (of(items, part) / items).toFixed(0)).join(' / ')
    const whole = (part: keyof MemoryReport): string =>
      sizes.map((items) => of(items, part).toFixed(0)).join(' / ')
    const own = state === 'idle' ? [whole('sockets')] : [whole('servedMs'), whole('displacement')]
    return [client, perItem('heapBytes'), perItem('externalBytes'), perItem('rssBytes'), ...own]
  })
  const own = state === 'idle' ? ['sockets'] : ['all served, ms', 'places out of order']
  return formatTable(
    `${memoryCase.title}, at ${sizes.join(' / ')}, ${rounds} rounds`,
    ['client', 'heap bytes each', 'external bytes each', 'RSS bytes each', ...own],
    rows,
  )
}

/**
 * Many small server-sent events: each client in a process of its own on one core, the server on the
 * other. Clients take turns, and each run is compared with the peer's run of the same round.
 */
import { fileURLToPath } from 'node:url'
import { startNodeServer } from './node-server.ts'
import type { SseClientName, SseTask } from './sse-client.ts'
import { formatSpread, formatTable, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  measureClient,
  NODE,
  onServerCore,
  progress,
  rotate,
} from './support.ts'
import type { WorkReport } from './work-report.ts'

/** One run, all events together. */
interface EventsCost {
  readonly cpuMs: number
  readonly wallMs: number
}

const FERRY_CLIENT = 'ferry eventSource'
const BASE = 'eventsource'
const CLIENTS: readonly SseClientName[] = [FERRY_CLIENT, BASE]
const GOAL_RATIO = 0.7
const EVENTS = 100_000
const WARM_UP_EVENTS = 50_000
const ROUNDS = 7
const QUICK_ROUNDS = 2
const CLIENT = fileURLToPath(new URL('./sse-client.ts', import.meta.url))
const SERVER = fileURLToPath(new URL('./sse-server.ts', import.meta.url))

/** Measures taking events; resolves with a table. */
export async function benchSse({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  await using server = await startNodeServer(onServerCore([NODE, SERVER]))
  const url = `http://127.0.0.1:${server.ports[0]}/`
  const costs = new Map<SseClientName, EventsCost[]>(CLIENTS.map((client) => [client, []]))
  for (let round = 1; round <= rounds; round++) {
    progress(`sse: round ${round} of ${rounds}`)
    for (const client of rotate(CLIENTS, round)) {
      const task: SseTask = { client, url, events: EVENTS, warmUpEvents: WARM_UP_EVENTS }
      costs.get(client)?.push(await runClient(task))
    }
  }
  return formatCosts(costs, rounds)
}

async function runClient(task: SseTask): Promise<EventsCost> {
  const { stdout } = await measureClient([NODE, CLIENT, JSON.stringify(task)])
  const { wallMicros, userMicros, systemMicros } = JSON.parse(stdout) as WorkReport
  return { cpuMs: (userMicros + systemMicros) / 1000, wallMs: wallMicros / 1000 }
}

function formatCosts(
  costs: ReadonlyMap<SseClientName, readonly EventsCost[]>,
  rounds: number,
): string {
  const of = (client: SseClientName, part: keyof EventsCost): number[] =>
    (costs.get(client) ?? []).map((cost) => cost[part])
  const ratio = (client: SseClientName, part: keyof EventsCost): string =>
    pairwiseRatio(of(client, part), of(BASE, part)).toFixed(2)
  const rows = CLIENTS.map((client) => [
    client,
    formatSpread(of(client, 'cpuMs')),
    ratio(client, 'cpuMs'),
    formatSpread(of(client, 'wallMs')),
    ratio(client, 'wallMs'),
  ])
  const table = formatTable(
    `${EVENTS} server-sent events, ${rounds} rounds`,
    [
      'client',
      'CPU ms, min / median / max',
      `CPU × ${BASE}`,
      'wall ms, min / median / max',
      `wall × ${BASE}`,
    ],
    rows,
  )
  const reached = `CPU ${ratio(FERRY_CLIENT, 'cpuMs')}, wall ${ratio(FERRY_CLIENT, 'wallMs')}`
  return `${table}\nGoal, ${FERRY_CLIENT} ≤ ${GOAL_RATIO.toFixed(2)} × ${BASE}: ${reached}.\n`
}

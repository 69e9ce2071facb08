/**
 * CPU time and wall time per message over one WebSocket: each client in a process of its own on one
 * core, a server of the package `ws` that echoes on the other. Clients take turns, and each run is
 * compared with the peer's run of the same round.
 */
import { fileURLToPath } from 'node:url'
import { startNodeServer } from './node-server.ts'
import { formatSpread, formatTable, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  measureClient,
  NODE,
  onServerCore,
  progress,
  rotate,
} from './support.ts'
import type { WebSocketClientName, WebSocketTask } from './websocket-client.ts'
import type { WorkReport } from './work-report.ts'

/** Many times the same message. */
interface Exchange {
  readonly title: string
  readonly messageBytes: number
  /** 1: one after another. */
  readonly inFlight: number
  /** In each run of a client. */
  readonly messages: number
}

/** One run, per message. */
interface MessageCost {
  readonly cpuMicros: number
  readonly wallMicros: number
}

type Costs = ReadonlyMap<WebSocketClientName, MessageCost[]>

const FERRY_CLIENT = 'ferry connectWebSocket'
const BASE = 'ws'
const CLIENTS: readonly WebSocketClientName[] = [FERRY_CLIENT, BASE]
const GOAL_RATIO = 1
const ROUNDS = 7
const QUICK_ROUNDS = 2
/** A quick run sends this part of the messages; as many warm a client up. */
const SHARE = 1 / 4
const SMALL_BYTES = 64
const LARGE_BYTES = 65_536
const IN_FLIGHT = 64
const CLIENT = fileURLToPath(new URL('./websocket-client.ts', import.meta.url))
const SERVER = fileURLToPath(new URL('./websocket-server.ts', import.meta.url))

const EXCHANGES: readonly Exchange[] = [
  { title: '64 B, one by one', messageBytes: SMALL_BYTES, inFlight: 1, messages: 40_000 },
  { title: '64 B, 64 at once', messageBytes: SMALL_BYTES, inFlight: IN_FLIGHT, messages: 300_000 },
  { title: '64 KiB, one by one', messageBytes: LARGE_BYTES, inFlight: 1, messages: 8000 },
  { title: '64 KiB, 64 at once', messageBytes: LARGE_BYTES, inFlight: IN_FLIGHT, messages: 16_000 },
]

/** Measures exchanging messages; resolves with a table. */
export async function benchWebSocket({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  await using server = await startNodeServer(onServerCore([NODE, SERVER]))
  const url = `ws://127.0.0.1:${server.ports[0]}/`
  const tables: [Exchange, Costs][] = []
  for (const exchange of EXCHANGES) {
    const { title, messageBytes, inFlight, messages } = exchange
    const costs: Costs = new Map(CLIENTS.map((client) => [client, []]))
    const task = {
      ...{ url, messageBytes, inFlight },
      messages: quick ? messages * SHARE : messages,
      warmUpMessages: messages * SHARE,
    }
    for (let round = 1; round <= rounds; round++) {
      progress(`websocket, ${title}: round ${round} of ${rounds}`)
      for (const client of rotate(CLIENTS, round)) {
        costs.get(client)?.push(await runClient({ ...task, client }))
      }
    }
    tables.push([exchange, costs])
  }
  return formatCosts(tables, rounds)
}

async function runClient(task: WebSocketTask): Promise<MessageCost> {
  const { stdout } = await measureClient([NODE, CLIENT, JSON.stringify(task)])
  const { wallMicros, userMicros, systemMicros } = JSON.parse(stdout) as WorkReport
  return {
    cpuMicros: (userMicros + systemMicros) / task.messages,
    wallMicros: wallMicros / task.messages,
  }
}

function formatCosts(tables: readonly [Exchange, Costs][], rounds: number): string {
  const rows = tables.flatMap(([{ title }, costs]) =>
    CLIENTS.map((client) => [
      title,
      client,
      formatSpread(partOf(costs, client, 'cpuMicros'), 1),
      ratioOf(costs, client, 'cpuMicros'),
      formatSpread(partOf(costs, client, 'wallMicros'), 1),
      ratioOf(costs, client, 'wallMicros'),
    ]),
  )
  const table = formatTable(
    `WebSocket, echo over one connection, ${rounds} rounds`,
    [
      'messages',
      'client',
      'CPU µs a message, min / median / max',
      `CPU × ${BASE}`,
      'wall µs, min / median / max',
      `wall × ${BASE}`,
    ],
    rows,
  )
  const reached = tables.map(([{ title }, costs]) => {
    const [cpu, wall] = [
      ratioOf(costs, FERRY_CLIENT, 'cpuMicros'),
      ratioOf(costs, FERRY_CLIENT, 'wallMicros'),
    ]
    return `${title} ${cpu} and ${wall}`
  })
  const goal = `Goal, CPU and wall of ${FERRY_CLIENT} ≤ ${GOAL_RATIO.toFixed(2)} × ${BASE}`
  return `${table}\n${goal}: ${reached.join('; ')}.\n`
}

function partOf(costs: Costs, client: WebSocketClientName, part: keyof MessageCost): number[] {
  return (costs.get(client) ?? []).map((cost) => cost[part])
}

function ratioOf(costs: Costs, client: WebSocketClientName, part: keyof MessageCost): string {
  return pairwiseRatio(partOf(costs, client, part), partOf(costs, BASE, part)).toFixed(2)
}

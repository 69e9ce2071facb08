/**
 * CPU time and wall time per request over kept connections: each client in a process of its own on
 * one core (`request-client.ts`), nginx on the other. Clients take turns, and each run is compared
 * with the peer's run of the same round.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Nginx, startNginx } from './nginx.ts'
import type { RequestTask } from './request-client.ts'
import type { ClientName } from './request-clients.ts'
import { formatSpread, formatTable, median, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  createFolder,
  measureClient,
  NODE,
  progress,
  removeFolder,
  rotate,
} from './support.ts'
import type { WorkReport } from './work-report.ts'
import { type Workload, WORKLOADS } from './workloads.ts'

/** One run, per request. */
interface RequestCost {
  readonly cpuMicros: number
  readonly userMicros: number
  readonly wallMicros: number
}

/** The runs of each client, in the order of the rounds. */
type Costs = ReadonlyMap<ClientName, RequestCost[]>

const QUICK_ROUNDS = 2
/** What nginx takes as one word of its settings. */
const MAX_BODY_IN_SETTINGS = 4000
/** A quick run makes this part of the requests. */
const QUICK_SHARE = 1 / 3
const CLIENT = fileURLToPath(new URL('./request-client.ts', import.meta.url))

/** The benchmark of each workload, by its name. */
export const REQUEST_BENCHMARKS: Readonly<
  Record<string, (options: BenchOptions) => Promise<string>>
> = Object.fromEntries(
  Object.entries(WORKLOADS).map(([name, workload]) => [
    name,
    (options: BenchOptions) => benchRequests(name, workload, options),
  ]),
)

async function benchRequests(
  name: string,
  workload: Workload,
  { quick }: BenchOptions,
): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : workload.rounds
  const requests = quick ? Math.round(workload.requests * QUICK_SHARE) : workload.requests
  const folder = createFolder()
  mkdirSync(join(folder, 'served'))
  const body = createJson(workload.bodyBytes)
  writeFileSync(join(folder, 'served/body.json'), body)
  const http2Body = workload.bodyBytes <= MAX_BODY_IN_SETTINGS ? body : undefined
  await using nginx = await startNginx(join(folder, 'served'), { http2Body })
  const task = createTask({ ...workload, requests }, body, nginx)
  const costs: Costs = new Map(workload.clients.map((client) => [client, []]))
  for (let round = 1; round <= rounds; round++) {
    progress(`${name}: round ${round} of ${rounds}`)
    for (const client of rotate(workload.clients, round)) {
      costs.get(client)?.push(await runClient({ ...task, client }))
    }
  }
  removeFolder(folder)
  return formatCosts(workload, costs, rounds)
}

/** JSON of that many bytes. */
export function createJson(bytes: number): string {
  const empty = JSON.stringify({ id: 1, text: '' })
  return JSON.stringify({ id: 1, text: 'x'.repeat(bytes - empty.length) })
}

function createTask(
  { bodyBytes, connections, protocol, streams, tls, requests, warmUpRequests }: Workload,
  body: string,
  nginx: Nginx,
): Omit<RequestTask, 'client'> {
  const plain = protocol === 'HTTP/2' ? nginx.http2Url : nginx.url
  const secure = protocol === 'HTTP/2' ? nginx.http2TlsUrl : nginx.tlsUrl
  return {
    url: `${tls ? secure : plain}/body.json`,
    ca: tls ? readFileSync(nginx.certificatePath, 'utf8') : undefined,
    bodySha256: createHash('sha256').update(body).digest('hex'),
    bodyBytes,
    connections,
    protocol,
    streams,
    requests,
    warmUpRequests,
  }
}

async function runClient(task: RequestTask): Promise<RequestCost> {
  const { stdout } = await measureClient([NODE, CLIENT, JSON.stringify(task)])
  const { wallMicros, userMicros, systemMicros } = JSON.parse(stdout) as WorkReport
  return {
    cpuMicros: (userMicros + systemMicros) / task.requests,
    userMicros: userMicros / task.requests,
    wallMicros: wallMicros / task.requests,
  }
}

function formatCosts(workload: Workload, costs: Costs, rounds: number): string {
  const { title, bases } = workload
  const of = (client: ClientName, part: keyof RequestCost): number[] =>
    (costs.get(client) ?? []).map((cost) => cost[part])
  const ratio = (client: ClientName, base: ClientName, part: keyof RequestCost): string =>
    pairwiseRatio(of(client, part), of(base, part)).toFixed(2)
  const rows = [...costs.keys()].map((client) => [
    client,
    formatSpread(of(client, 'cpuMicros'), 1),
    ...bases.map((base) => ratio(client, base, 'cpuMicros')),
    median(of(client, 'userMicros')).toFixed(1),
    median(of(client, 'wallMicros')).toFixed(1),
    ...bases.slice(0, 1).map((base) => ratio(client, base, 'wallMicros')),
  ])
  const table = formatTable(
    `${title}: ${describeWorkload(workload)}, ${rounds} rounds`,
    [
      'client',
      'CPU µs a request, min / median / max',
      ...bases.map((base) => `CPU × ${base}`),
      'user µs',
      'wall µs',
      ...bases.slice(0, 1).map((base) => `wall × ${base}`),
    ],
    rows,
  )
  const goals = workload.goals.map(
    ({ client, base, atMost }) =>
      `${client} ≤ ${atMost.toFixed(2)} × ${base}: ${ratio(client, base, 'cpuMicros')}`,
  )
  if (goals.length === 0) return table
  return `${table}\nGoals, CPU: ${goals.join('; ')}.\n`
}

function describeWorkload({ bodyBytes, protocol, tls, connections, streams }: Workload): string {
  const parts = [`${bodyBytes} bytes`, protocol]
  if (tls) parts.push('TLS')
  parts.push(`${connections} ${connections === 1 ? 'connection' : 'connections'}`)
  if (streams > 1) parts.push(`${streams} streams at once`)
  return parts.join(', ')
}

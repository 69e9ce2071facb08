/**
 * CPU time per small GET over 50 kept connections: each client in a process of its own on core 0
 * (`small-client.ts`), nginx on core 1. Clients take turns; each round is compared with
 * undici.request in the same round.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CLIENT_NAMES, type ClientName } from './small-clients.ts'
import {
  type BenchOptions,
  createFolder,
  formatSpread,
  formatTable,
  measure,
  median,
  NODE,
  pairwiseRatio,
  progress,
  removeFolder,
  startNginx,
} from './support.ts'

/** What a client's process prints. */
export interface ClientReport {
  readonly userMicros: number
  readonly systemMicros: number
}

const BODY_BYTES = 707
const REQUESTS = 60_000
const QUICK_REQUESTS = 20_000
const ROUNDS = 7
const QUICK_ROUNDS = 2
const CLIENT_CORE = '0'
const BASE: ClientName = 'undici.request'
const CLIENT = fileURLToPath(new URL('./small-client.ts', import.meta.url))

/** Measures small requests; resolves with a table. */
export async function benchSmall({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const requests = quick ? QUICK_REQUESTS : REQUESTS
  const folder = createFolder()
  const served = join(folder, 'served')
  mkdirSync(served)
  writeFileSync(join(served, 'small.json'), createBody())
  await using nginx = await startNginx(served)
  const results = new Map<ClientName, ClientResult[]>(CLIENT_NAMES.map((name) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    progress(`small: round ${round} of ${rounds}`)
    for (const name of CLIENT_NAMES) {
      const args = [CLIENT, name, `${nginx.url}/small.json`, String(requests)]
      const { stdout } = await measure(['taskset', '-c', CLIENT_CORE, NODE, ...args])
      const { userMicros, systemMicros } = JSON.parse(stdout) as ClientReport
      const cpuMicros = (userMicros + systemMicros) / requests
      results.get(name)?.push({ cpuMicros, userMicros: userMicros / requests })
    }
  }
  removeFolder(folder)
  return formatResults(results, rounds)
}

/** One run, per request. */
interface ClientResult {
  readonly cpuMicros: number
  readonly userMicros: number
}

function createBody(): string {
  const empty = JSON.stringify({ id: 1, text: '' })
  return JSON.stringify({ id: 1, text: 'x'.repeat(BODY_BYTES - empty.length) })
}

function formatResults(
  results: ReadonlyMap<ClientName, readonly ClientResult[]>,
  rounds: number,
): string {
  const cpuOf = (name: ClientName): number[] =>
    (results.get(name) ?? []).map(({ cpuMicros }) => cpuMicros)
  const rows = [...results].map(([name, runs]) => [
    name,
    formatSpread(cpuOf(name), 1),
    pairwiseRatio(cpuOf(name), cpuOf(BASE)).toFixed(2),
    median(runs.map(({ userMicros }) => userMicros)).toFixed(1),
  ])
  return formatTable(
    `Small GET: JSON of ${BODY_BYTES} bytes, HTTP/1.1, 50 connections, ${rounds} rounds`,
    ['client', 'CPU µs a request, min / median / max', `× ${BASE}`, 'user µs'],
    rows,
  )
}

/**
 * Many requests of all kinds through one pool: `npm run soak [-- --requests N | --seconds S]`; over
 * HTTP/2 with `--http2`. Downloads that are killed: `--downloads` (soak-downloads.ts); servers that are
 * killed while they receive: `--receive` (soak-receive.ts); senders that are killed: `--send`
 * (soak-send.ts).
 *
 * Between batches everything comes to rest and is looked at. Fails when a response was wrong, when
 * anything is left at the end, or when memory grows with the number of requests. Ctrl-C ends it with
 * the figures so far; a second one at once.
 */
import { getEventListeners } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ConnectionPool, type ConnectionPoolOptions } from 'ferry/transport'
import { startNginx } from './nginx.ts'
import { startNodeServer } from './node-server.ts'
import { contentOf } from './soak-content.ts'
import { DEFAULT_ROUNDS, soakDownloads } from './soak-downloads.ts'
import { DEFAULT_RECEIVE_ROUNDS, soakReceive } from './soak-receive.ts'
import { DEFAULT_SEND_ROUNDS, soakSending } from './soak-send.ts'
import {
  ALLOWED_GROWTH_BYTES,
  formatSample,
  growthPerRequest,
  MAX_GROWTH_BYTES_PER_REQUEST,
  readPool,
  SAMPLE_HEADING,
  type SoakSample,
  takeSample,
} from './soak-samples.ts'
import { HTTP1_SCENARIOS, HTTP2_SCENARIOS, type Scenario, type SoakBed } from './soak-scenarios.ts'
import { clearUpAtExit, createFolder, NODE } from './support.ts'

const DEFAULT_REQUESTS = 1_000_000
const BATCHES = 20
/** The first tenth compiles and fills what is made once. */
const WARM_UP_BATCHES = 2
/** More than the pool's connections take, so that requests also wait. */
const WORKERS = 120
const POOL_OPTIONS = {
  // Connections that are never given back must show as failures, and soon.
  poolTimeoutMs: 5000,
  headersTimeoutMs: 1000,
  bodyTimeoutMs: 1000,
} as const
/** Within it the pool must be at rest after the last answer; sweeps come four times a second. */
const REST_TIMEOUT_MS = 3000
const FILE_SIZES = [707, 65_536, 524_288]

/** What differs from one version of HTTP to the other. */
interface Version {
  readonly scenarios: Readonly<Record<string, Scenario>>
  readonly pool: ConnectionPoolOptions
  readonly server: URL
  readonly filesUrl: 'url' | 'http2Url'
}

const VERSIONS: Readonly<Record<'http1' | 'http2', Version>> = {
  http1: {
    scenarios: HTTP1_SCENARIOS,
    pool: { ...POOL_OPTIONS, maxConnections: 96, maxConnectionsPerOrigin: 40 },
    server: new URL('./soak-server.ts', import.meta.url),
    filesUrl: 'url',
  },
  http2: {
    scenarios: HTTP2_SCENARIOS,
    pool: {
      ...POOL_OPTIONS,
      http2: 'prior-knowledge',
      maxConnections: 6,
      maxConnectionsPerOrigin: 2,
    },
    server: new URL('./soak-http2-server.ts', import.meta.url),
    filesUrl: 'http2Url',
  },
}
/** What nginx takes at once on a connection; together less than there are workers. */
const NGINX_STREAMS = 16

/** How often a scenario ran, and what went wrong. */
interface Tally {
  ran: number
  failed: number
}

const { values } = parseArgs({
  options: {
    requests: { type: 'string' },
    seconds: { type: 'string' },
    http2: { type: 'boolean', default: false },
    downloads: { type: 'boolean', default: false },
    receive: { type: 'boolean', default: false },
    send: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seed: { type: 'string' },
  },
})
const version = VERSIONS[values.http2 ? 'http2' : 'http1']
const seconds = values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds)
const requests = Number(
  values.requests ?? (values.seconds === undefined ? DEFAULT_REQUESTS : Number.POSITIVE_INFINITY),
)
if (!(requests > 0 && seconds > 0))
  throw new Error('Cannot start: --requests N or --seconds S, above 0')

const lottery = Object.entries(version.scenarios).flatMap(([name, { weight }]) =>
  Array.from({ length: weight }, () => name),
)
const tallies = new Map<string, Tally>(
  Object.keys(version.scenarios).map((name) => [name, { ran: 0, failed: 0 }]),
)
const failures: string[] = []
let stopping = false
let done = 0

clearUpAtExit()
process.once('SIGTERM', () => process.exit(143))
process.once('SIGINT', () => {
  stopping = true
  process.stderr.write('soak: ending, the figures follow\n')
  process.once('SIGINT', () => process.exit(130))
})
process.exitCode = (await runChosen()) ? 0 : 1
process.exit()

function runChosen(): Promise<boolean> {
  if (values.downloads) return soakKilled(soakDownloads, DEFAULT_ROUNDS)
  if (values.receive) return soakKilled(soakReceive, DEFAULT_RECEIVE_ROUNDS)
  if (values.send) return soakKilled(soakSending, DEFAULT_SEND_ROUNDS)
  return soak()
}

function soakKilled(play: typeof soakDownloads, defaultRounds: number): Promise<boolean> {
  const rounds = Number(
    values.rounds ?? (values.seconds === undefined ? defaultRounds : Number.POSITIVE_INFINITY),
  )
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000)
  if (!(rounds > 0 && Number.isSafeInteger(seed)))
    throw new Error('Cannot start: --rounds N above 0, --seed a whole number')
  return play({ rounds, seconds, seed, isStopping: () => stopping })
}

async function soak(): Promise<boolean> {
  const folder = createFolder()
  mkdirSync(join(folder, 'served'))
  for (const bytes of FILE_SIZES)
    writeFileSync(join(folder, `served/${bytes}.bin`), contentOf(bytes))
  await using nginx = await startNginx(join(folder, 'served'), { http2Streams: NGINX_STREAMS })
  await using server = await startNodeServer([NODE, fileURLToPath(version.server)])
  const [rough = '', steady = '', fragile = ''] = server.ports.map(
    (port) => `http://127.0.0.1:${port}`,
  )
  const pool = new ConnectionPool(version.pool)
  const before = takeSample(pool, 0, 0)
  const sharedSignal = new AbortController().signal
  const files = nginx[version.filesUrl]
  const bed: SoakBed = { rough, steady, fragile, pool, files, sharedSignal }
  const samples = await runBatches(bed)
  const atRest = String(pool)
  await pool.close()
  await wait(200)
  const after = takeSample(pool, done, 0)
  const problems = [
    ...findLeftovers(before, after, atRest, sharedSignal),
    ...findGrowth(samples.slice(WARM_UP_BATCHES)),
    ...failures,
  ]
  printTallies()
  for (const problem of problems) console.log(`FAIL ${problem}`)
  if (problems.length === 0)
    console.log(`ok   ${done} requests; nothing was wrong, nothing is left`)
  return problems.length === 0
}

async function runBatches(bed: SoakBed): Promise<SoakSample[]> {
  const samples: SoakSample[] = []
  const startedAt = performance.now()
  console.log(SAMPLE_HEADING)
  for (let batch = 1; batch <= BATCHES && !stopping; batch++) {
    const untilCount = (requests * batch) / BATCHES
    const untilTime = startedAt + (seconds * 1000 * batch) / BATCHES
    const isOver = (): boolean => stopping || done >= untilCount || performance.now() >= untilTime
    await Promise.all(Array.from({ length: WORKERS }, () => work(bed, isOver)))
    await rest(bed.pool)
    const sample = takeSample(bed.pool, done, (performance.now() - startedAt) / 1000)
    samples.push(sample)
    console.log(formatSample(sample))
  }
  return samples
}

async function work(bed: SoakBed, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    done++
    const name = lottery[Math.floor(Math.random() * lottery.length)] as string
    const tally = tallies.get(name) as Tally
    tally.ran++
    try {
      await version.scenarios[name]?.run(bed)
    } catch (error) {
      tally.failed++
      // The first of each kind says enough.
      if (tally.failed === 1) failures.push(`${name}: ${String(error)}`)
    }
  }
}

/** Waits until the pool has nothing under way, or until that should long have been so. */
async function rest(pool: ConnectionPool): Promise<void> {
  const deadline = performance.now() + REST_TIMEOUT_MS
  while (readPool(String(pool)).busy > 0 && performance.now() < deadline) await wait(10)
  // Sockets that were closed are gone a turn or two later.
  await wait(50)
}

function findLeftovers(
  before: SoakSample,
  after: SoakSample,
  atRest: string,
  sharedSignal: AbortSignal,
): string[] {
  const problems: string[] = []
  if (readPool(atRest).busy > 0) problems.push(`the pool is not at rest:\n${atRest}`)
  if (after.sockets > before.sockets) {
    problems.push(`${after.sockets - before.sockets} sockets are left after close()`)
  }
  if (after.resources !== before.resources) {
    problems.push(`resources were "${before.resources}" and are "${after.resources}"`)
  }
  const listeners = getEventListeners(sharedSignal, 'abort').length
  if (listeners > 0) problems.push(`${listeners} listeners are left on a signal`)
  return problems
}

function findGrowth(samples: readonly SoakSample[]): string[] {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || samples.length < 3) {
    console.log('\nmemory: too few samples to tell whether it grows')
    return []
  }
  const slope = growthPerRequest(samples)
  const grown = slope * (last.requests - first.requests)
  const figures = `${slope.toFixed(2)} bytes a request, ${(grown / 1024).toFixed(0)} KiB in all`
  const limit = `${MAX_GROWTH_BYTES_PER_REQUEST} byte a request and ${ALLOWED_GROWTH_BYTES / 1024} KiB`
  console.log(`\nheap and buffers grow by ${figures} (allowed: ${limit})`)
  const isTooMuch = slope > MAX_GROWTH_BYTES_PER_REQUEST && grown > ALLOWED_GROWTH_BYTES
  return isTooMuch ? [`memory grows by ${figures}`] : []
}

function printTallies(): void {
  console.log('')
  for (const [name, { ran, failed }] of tallies) {
    console.log(
      `${name.padEnd(26)}${String(ran).padStart(9)} ran${String(failed).padStart(7)} wrong`,
    )
  }
  console.log('')
}

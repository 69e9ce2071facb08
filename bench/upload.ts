/**
 * One large file from memory to nginx, which reads it whole before it answers: each client a whole
 * process from spawning to its exit, on one core, nginx on the other. Clients take turns, and each
 * run is compared with curl's of the same round.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { requireTool } from '../test/support/tools.ts'
import { type Nginx, startNginx } from './nginx.ts'
import { formatSpread, formatTable, median, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  type Command,
  createFolder,
  GIB,
  type Measurement,
  measure,
  measureClient,
  MIB,
  NODE,
  progress,
  removeFolder,
  rotate,
  writeRandomFile,
} from './support.ts'
import type { UploadReport } from './upload-client.ts'

/** One run of a sender. */
interface UploadRun extends Measurement {
  /** From its first call on, as it tells itself; of curl the whole. */
  readonly ownMs: number
}

const ROUNDS = 7
const QUICK_ROUNDS = 2
const BASE = 'curl -T'
const FERRY_CLIENT = 'ferry transport'
const GOAL_RATIO = 1
/** nginx frees the memory of a request's body after its answer: that is not to be the next one's time. */
const SERVER_REST_MS = 500
const SENDERS = [FERRY_CLIENT, BASE, 'undici.request', 'node:http']
const CLIENT = fileURLToPath(new URL('./upload-client.ts', import.meta.url))

/** Measures sending a file of 1 GiB; resolves with a table. */
export async function benchUpload({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const folder = createFolder(3 * GIB)
  const file = join(folder, 'file.bin')
  progress('making file.bin')
  writeRandomFile(file, GIB)
  const runs = new Map<string, UploadRun[]>(SENDERS.map((name) => [name, []]))
  try {
    await using nginx = await startNginx(folder)
    for (let round = 0; round <= rounds; round++) {
      progress(`upload: round ${round} of ${rounds}`)
      for (const name of rotate(SENDERS, round)) {
        // The first round warms up, and shows that every client brings the very file.
        if (round === 0) await expectSameFile(name, file, nginx)
        else runs.get(name)?.push(await send(name, `${nginx.url}/sink`, file))
      }
    }
  } finally {
    removeFolder(folder)
  }
  return formatRuns(runs, rounds)
}

async function expectSameFile(name: string, file: string, nginx: Nginx): Promise<void> {
  await send(name, `${nginx.url}/keep`, file)
  const [kept = ''] = readdirSync(nginx.keptFolder)
  await measure(['cmp', file, join(nginx.keptFolder, kept)])
  rmSync(join(nginx.keptFolder, kept))
}

/** @throws {Error} when the server did not get all of it, or did not answer with 200 */
async function send(name: string, url: string, file: string): Promise<UploadRun> {
  await wait(SERVER_REST_MS)
  const measurement = await measureClient(commandFor(name, url, file))
  const report = readReport(name, measurement)
  // nginx tells the length of the whole request: more than the content, by its head.
  if (report.status !== 200 || Number(report.answer) < GIB) {
    throw new Error(`${name}: expected 200 for ${GIB} bytes, got ${JSON.stringify(report)}`)
  }
  return { ...measurement, ownMs: report.ownMs }
}

function commandFor(name: string, url: string, file: string): Command {
  if (name !== BASE) return [NODE, CLIENT, name, url, file]
  return [requireTool('curl'), '-s', '-w', ' %{http_code}', '-T', file, url]
}

function readReport(name: string, { stdout, wallMs }: Measurement): UploadReport {
  if (name !== BASE) return JSON.parse(stdout) as UploadReport
  const [answer = '', status] = stdout.split(' ')
  return { answer, status: Number(status), ownMs: wallMs }
}

function formatRuns(runs: ReadonlyMap<string, readonly UploadRun[]>, rounds: number): string {
  const of = (name: string, part: 'wallMs' | 'ownMs' | 'cpuMs' | 'peakRssBytes'): number[] =>
    (runs.get(name) ?? []).map((run) => run[part])
  const ratio = (name: string, part: 'wallMs' | 'ownMs' | 'cpuMs'): string =>
    pairwiseRatio(of(name, part), of(BASE, part)).toFixed(2)
  const rows = SENDERS.map((name) => [
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
    `Upload of 1 GiB from memory to nginx, ${rounds} rounds`,
    [
      'client',
      'wall ms, min / median / max',
      `wall × ${BASE}`,
      'without start, ms',
      `without start × ${BASE}`,
      'CPU ms',
      `CPU × ${BASE}`,
      'peak RSS MiB',
    ],
    rows,
  )
  const goal = `wall of ${FERRY_CLIENT} ≤ ${GOAL_RATIO.toFixed(2)} × ${BASE}`
  return `${table}\nGoal, ${goal}: ${ratio(FERRY_CLIENT, 'wallMs')}.\n`
}

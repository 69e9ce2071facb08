/**
 * One large file from nginx over HTTP/2 with TLS: each client a whole process from spawning to its
 * exit, on one core and one connection, nginx on the other core. Both write into memory; they take
 * turns, and each run is compared with curl's of the same round.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireTool } from '../test/support/tools.ts'
import { type ClientRun, formatRuns } from './client-runs.ts'
import type { DownloadReport } from './download-client.ts'
import { startNginx } from './nginx.ts'
import {
  type BenchOptions,
  type Command,
  createFolder,
  GIB,
  isInMemory,
  type Measurement,
  measure,
  measureClient,
  MIB,
  NODE,
  progress,
  removeFolder,
  rotate,
  touchMemory,
  writeRandomFile,
} from './support.ts'

/** What a client is to fetch, and where to. */
interface Errand {
  readonly url: string
  readonly ca: string
  readonly target: string
}

const ROUNDS = 7
const QUICK_ROUNDS = 2
const BASE = 'curl --http2'
const FERRY_CLIENT = 'ferry transport'
const GOAL_RATIO = 1
const CLIENT = fileURLToPath(new URL('./download-client.ts', import.meta.url))

const COMMANDS: Readonly<Record<string, (errand: Errand) => Command>> = {
  [FERRY_CLIENT]: ({ url, ca, target }) => [NODE, CLIENT, url, ca, target],
  [BASE]: ({ url, ca, target }) => [
    requireTool('curl'),
    ...['-s', '--http2', '-w', '%{http_code}', '--cacert', ca, '-o', target, url],
  ],
}

/** Measures fetching a file of 1 GiB; resolves with a table. */
export async function benchHttp2Download({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const folder = createFolder(2 * GIB + 64 * MIB)
  const place = isInMemory(folder) ? 'memory' : 'disk'
  const served = join(folder, 'served')
  mkdirSync(served)
  const [file, target] = [join(served, 'file.bin'), join(folder, 'out.bin')]
  progress('making file.bin')
  writeRandomFile(file, GIB)
  const names = Object.keys(COMMANDS)
  const runs = new Map<string, ClientRun[]>(names.map((name) => [name, []]))
  try {
    await using nginx = await startNginx(served)
    const errand: Errand = {
      url: `${nginx.http2TlsUrl}/file.bin`,
      ca: nginx.certificatePath,
      target,
    }
    for (let round = 0; round <= rounds; round++) {
      progress(`h2-download: round ${round} of ${rounds}`)
      for (const name of rotate(names, round)) {
        rmSync(target, { force: true })
        touchMemory(target, GIB)
        const run = await fetchFile(name, errand)
        // The first round warms up, and shows that each client brings the very file.
        if (round > 0) runs.get(name)?.push(run)
        else await measure(['cmp', file, target])
      }
    }
  } finally {
    removeFolder(folder)
  }
  const title = `1 GiB from nginx to ${place}, HTTP/2, TLS, 1 connection, ${rounds} rounds`
  const goals = [{ client: FERRY_CLIENT, atMost: GOAL_RATIO }]
  return formatRuns({ title, base: BASE, goals }, runs)
}

/** @throws {Error} when the server did not answer with 200 */
async function fetchFile(name: string, errand: Errand): Promise<ClientRun> {
  const command = COMMANDS[name]?.(errand)
  if (command === undefined) throw new Error(`Cannot measure ${name}: no such client`)
  const measurement = await measureClient(command)
  const report = readReport(command, measurement)
  if (report.status !== 200) throw new Error(`${name}: expected 200, got ${report.status}`)
  return { ...measurement, ownMs: report.ownMs }
}

function readReport([program]: Command, { stdout, wallMs }: Measurement): DownloadReport {
  if (program === NODE) return JSON.parse(stdout) as DownloadReport
  return { status: Number(stdout), ownMs: wallMs }
}

/**
 * One large file from memory to nginx, which reads it whole before it answers: each client a whole
 * process from spawning to its exit, on one core, nginx on the other. Clients take turns, and each
 * run is compared with curl's of the same round. Over HTTP/1.1, or over HTTP/2 with TLS.
 */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { requireTool } from '../test/support/tools.ts'
import { type ClientRun, formatRuns } from './client-runs.ts'
import { type Nginx, startNginx } from './nginx.ts'
import {
  type BenchOptions,
  type Command,
  createFolder,
  GIB,
  type Measurement,
  measure,
  measureClient,
  NODE,
  progress,
  removeFolder,
  rotate,
  writeRandomFile,
} from './support.ts'
import type { UploadReport } from './upload-client.ts'

/** How the file goes. */
interface Way {
  readonly name: string
  readonly title: string
  /** curl, with what it is told besides. */
  readonly base: string
  readonly curlOptions: (nginx: Nginx) => readonly string[]
  readonly senders: readonly string[]
  readonly originOf: (nginx: Nginx) => string
}

const ROUNDS = 7
const QUICK_ROUNDS = 2
const FERRY_CLIENT = 'ferry transport'
const GOAL_RATIO = 1
/** nginx frees the memory of a request's body after its answer: that is not to be the next one's time. */
const SERVER_REST_MS = 500
const CLIENT = fileURLToPath(new URL('./upload-client.ts', import.meta.url))

const HTTP1: Way = {
  name: 'upload',
  title: 'Upload of 1 GiB from memory to nginx',
  base: 'curl -T',
  curlOptions: () => [],
  senders: [FERRY_CLIENT, 'curl -T', 'undici.request', 'node:http'],
  originOf: ({ url }) => url,
}

const HTTP2: Way = {
  name: 'h2-upload',
  title: 'Upload of 1 GiB from memory to nginx, HTTP/2, TLS',
  base: 'curl --http2 -T',
  curlOptions: ({ certificatePath }) => ['--http2', '--cacert', certificatePath],
  senders: [FERRY_CLIENT, 'curl --http2 -T', 'node:http2'],
  originOf: ({ http2TlsUrl }) => http2TlsUrl,
}

/** Measures sending a file of 1 GiB; resolves with a table. */
export function benchUpload(options: BenchOptions): Promise<string> {
  return benchWay(HTTP1, options)
}

/** The same over HTTP/2, with TLS. */
export function benchHttp2Upload(options: BenchOptions): Promise<string> {
  return benchWay(HTTP2, options)
}

async function benchWay(way: Way, { quick }: BenchOptions): Promise<string> {
  const { name: wayName, senders, originOf, base } = way
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const folder = createFolder(3 * GIB)
  const file = join(folder, 'file.bin')
  progress('making file.bin')
  writeRandomFile(file, GIB)
  const runs = new Map<string, ClientRun[]>(senders.map((name) => [name, []]))
  try {
    await using nginx = await startNginx(folder)
    const sendTo = (place: string, name: string): Promise<ClientRun> =>
      send(name, commandFor(way, name, { url: `${originOf(nginx)}/${place}`, file, nginx }))
    for (let round = 0; round <= rounds; round++) {
      progress(`${wayName}: round ${round} of ${rounds}`)
      for (const name of rotate(senders, round)) {
        if (round > 0) {
          runs.get(name)?.push(await sendTo('sink', name))
        } else {
          // The first round warms up, and shows that every client brings the very file.
          await sendTo('keep', name)
          await expectKept(file, nginx)
        }
      }
    }
  } finally {
    removeFolder(folder)
  }
  const goals = [{ client: FERRY_CLIENT, atMost: GOAL_RATIO }]
  return formatRuns({ title: `${way.title}, ${rounds} rounds`, base, goals }, runs)
}

async function expectKept(file: string, { keptFolder }: Nginx): Promise<void> {
  const [kept = ''] = readdirSync(keptFolder)
  await measure(['cmp', file, join(keptFolder, kept)])
  rmSync(join(keptFolder, kept))
}

/** @throws {Error} when the server did not get all of it, or did not answer with 200 */
async function send(name: string, command: Command): Promise<ClientRun> {
  await wait(SERVER_REST_MS)
  const measurement = await measureClient(command)
  const report = readReport(command, measurement)
  // nginx tells the length of the whole request: more than the content, by its head.
  if (report.status !== 200 || Number(report.answer) < GIB) {
    throw new Error(`${name}: expected 200 for ${GIB} bytes, got ${JSON.stringify(report)}`)
  }
  return { ...measurement, ownMs: report.ownMs }
}

function commandFor(
  { base, curlOptions }: Way,
  name: string,
  { url, file, nginx }: { readonly url: string; readonly file: string; readonly nginx: Nginx },
): Command {
  if (name !== base) return [NODE, CLIENT, name, url, file, nginx.certificatePath]
  const format = ['-w', ' %{http_code}']
  return [requireTool('curl'), '-s', ...curlOptions(nginx), ...format, '-T', file, url]
}

function readReport([program]: Command, { stdout, wallMs }: Measurement): UploadReport {
  if (program === NODE) return JSON.parse(stdout) as UploadReport
  const [answer = '', status] = stdout.split(' ')
  return { answer, status: Number(status), ownMs: wallMs }
}

/**
 * One large file from nginx to memory, each tool a whole process from spawning to its exit; over
 * HTTP, or over TLS with a certificate of our own. Tools take turns, so that what else the machine
 * does hits all alike, and each round's time is compared with curl's of the same round.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool } from '../test/support/tools.ts'
import { startNginx } from './nginx.ts'
import { formatSpread, formatTable, median, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  type Command,
  createFolder,
  FERRY,
  GIB,
  isInMemory,
  type Measurement,
  measure,
  MIB,
  progress,
  removeFolder,
  rotate,
  touchMemory,
  writeRandomFile,
} from './support.ts'

/** How a tool is called to fetch `url` into the file `name` in `folder`. */
interface Contender {
  readonly name: string
  readonly command: (url: string, folder: string, ca: string) => Command
  /** Reads a time that the tool itself has measured. */
  readonly ownTimeMs?: (stdout: string) => number
}

const FILE_NAME = 'file.bin'
const OUTPUT_NAME = 'out.bin'
const ROUNDS = 7
const QUICK_ROUNDS = 2
const BASE = 'curl'
/** The time that a tool tells itself: from its first request to the finished file, without its start. */
const OWN_TIME = 'of that, the download itself'

const FERRY_GET = (...options: string[]): Command => [...FERRY, 'get', '-x', '4', ...options]

const CONTENDERS: readonly Contender[] = [
  {
    name: 'ferry get -x 4',
    command: (url, folder, ca) =>
      FERRY_GET('--json', '--cacert', ca, '-d', folder, '-o', OUTPUT_NAME, url),
    ownTimeMs: readElapsedMs,
  },
  {
    name: BASE,
    command: (url, folder, ca) => [
      requireTool('curl'),
      ...['-s', '--cacert', ca, '-o', join(folder, OUTPUT_NAME), url],
    ],
  },
  {
    name: 'wget2',
    command: (url, folder, ca) => [
      requireTool('wget2'),
      ...['-q', `--ca-certificate=${ca}`, '-O', join(folder, OUTPUT_NAME), url],
    ],
  },
  {
    name: 'aria2c -x4 -s4',
    command: (url, folder, ca) => [
      requireTool('aria2c'),
      ...['-q', '-x4', '-s4', '--no-conf', '--file-allocation=none', `--ca-certificate=${ca}`],
      ...['-d', folder, '-o', OUTPUT_NAME, url],
    ],
  },
]

/** It cannot be told which certificates to trust, so it runs without TLS only. */
const AXEL: Contender = {
  name: 'axel -n4',
  command: (url, folder) => [
    requireTool('axel'),
    ...['-q', '-n4', '-o', join(folder, OUTPUT_NAME), url],
  ],
}

/** Measures a file of 1 GiB; resolves with a table. */
export async function benchTransfer(
  options: BenchOptions & { readonly tls: boolean },
): Promise<string> {
  const contenders = options.tls ? CONTENDERS : [...CONTENDERS, AXEL]
  const folder = createFolder(2 * GIB + 64 * MIB)
  const [served, target] = [join(folder, 'served'), join(folder, 'target')]
  mkdirSync(served)
  const file = join(served, FILE_NAME)
  progress(`making ${FILE_NAME}`)
  writeRandomFile(file, GIB)
  try {
    await using nginx = await startNginx(served)
    const results = new Map<string, Measurement[]>()
    for (const { name, ownTimeMs } of contenders) {
      results.set(name, [])
      if (ownTimeMs !== undefined) results.set(OWN_TIME, [])
    }
    const rounds = options.quick ? QUICK_ROUNDS : ROUNDS
    for (let round = 0; round <= rounds; round++) {
      progress(`${options.tls ? 'tls' : 'transfer'}: round ${round} of ${rounds}`)
      for (const contender of rotate(contenders, round)) {
        rmSync(target, { recursive: true, force: true })
        mkdirSync(target)
        touchMemory(join(target, OUTPUT_NAME), GIB)
        const url = `${options.tls ? nginx.tlsUrl : nginx.url}/${FILE_NAME}`
        const measurement = await measure(contender.command(url, target, nginx.certificatePath))
        // The first round warms up, and shows that every tool brings the very file.
        if (round > 0) note(results, contender, measurement)
        else await measure(['cmp', file, join(target, OUTPUT_NAME)])
      }
    }
    const place = isInMemory(folder) ? 'memory' : 'disk'
    const title = `1 GiB from nginx to ${place}, ${options.tls ? 'TLS' : 'plain'}, ${rounds} rounds`
    return formatResults(title, results)
  } finally {
    removeFolder(folder)
  }
}

function note(
  results: ReadonlyMap<string, Measurement[]>,
  { name, ownTimeMs }: Contender,
  measurement: Measurement,
): void {
  results.get(name)?.push(measurement)
  if (ownTimeMs === undefined) return
  results.get(OWN_TIME)?.push({ ...measurement, wallMs: ownTimeMs(measurement.stdout) })
}

function readElapsedMs(stdout: string): number {
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; elapsedMs?: number })
  return events.find(({ event }) => event === 'completed')?.elapsedMs ?? Number.NaN
}

function formatResults(
  title: string,
  results: ReadonlyMap<string, readonly Measurement[]>,
): string {
  const wallOf = (name: string): number[] => (results.get(name) ?? []).map(({ wallMs }) => wallMs)
  const rows = [...results].map(([name, measurements]) => [
    name,
    formatSpread(wallOf(name)),
    pairwiseRatio(wallOf(name), wallOf(BASE)).toFixed(2),
    median(measurements.map(({ cpuMs }) => cpuMs)).toFixed(0),
    (median(measurements.map(({ peakRssBytes }) => peakRssBytes)) / MIB).toFixed(0),
  ])
  return formatTable(
    title,
    ['tool', 'wall ms, min / median / max', '× curl', 'CPU ms', 'peak RSS MiB'],
    rows,
  )
}

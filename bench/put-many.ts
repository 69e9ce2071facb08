/**
 * Sending many small files by tus, beside tus-js-client, which sends them one after another: each client
 * a process on one core, the server on the other. Clients take turns, and each run is compared with that
 * of tus-js-client to the same server in the same round.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PutManyWay } from './put-many-client.ts'
import { type ReceiveServer, type ServerKind, startReceiveServer } from './receive-process.ts'
import { formatSpread, formatTable, median, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  createDiskFolder,
  createFolder,
  GIB,
  measureClient,
  NODE,
  progress,
  removeFolder,
  rotate,
} from './support.ts'
import type { WorkReport } from './work-report.ts'

interface Contest {
  readonly title: string
  readonly server: ServerKind
  readonly folder: () => string
  readonly ways: readonly PutManyWay[]
}

interface ManyRun {
  readonly filesPerSecond: number
  readonly cpuMicros: number
}

const FILES = 10_000
const QUICK_FILES = 1000
const FILE_BYTES = 4096
const ROUNDS = 3
const QUICK_ROUNDS = 1
const GOAL_RATIO = 3
const BASE: PutManyWay = 'tus-js-client'
const GOAL_WAYS: readonly PutManyWay[] = [
  'ferry, 8 at once',
  'ferry, outbox by reference, 8 at once',
]
const WAYS: readonly PutManyWay[] = [
  BASE,
  'tus-js-client, uploadDataDuringCreation',
  'ferry',
  'ferry, createWithContent',
  ...GOAL_WAYS,
  'ferry by IndexedCP, 8 at once',
  'ferry, outbox by reference',
]
const CLIENT = fileURLToPath(new URL('./put-many-client.ts', import.meta.url))

const CONTESTS: readonly Contest[] = [
  {
    title: "ferry's server, ack: durable, files in memory",
    server: 'ferry',
    folder: () => createFolder(GIB),
    ways: WAYS,
  },
  {
    title: "ferry's server, ack: durable, files on disk",
    server: 'ferry',
    folder: createDiskFolder,
    ways: [BASE, ...GOAL_WAYS],
  },
  {
    title: '@tus/server, files in memory',
    server: '@tus/server',
    folder: () => createFolder(GIB),
    ways: [BASE, 'ferry', ...GOAL_WAYS],
  },
]

/** Measures sending small files; resolves with a table for each server. */
export async function benchPutMany({ quick }: BenchOptions): Promise<string> {
  const files = quick ? QUICK_FILES : FILES
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const folder = createFolder(GIB)
  const source = join(folder, 'files')
  progress(`making ${files} files`)
  mkdirSync(source)
  for (let at = 0; at < files; at++) {
    writeFileSync(join(source, `${at}.bin`), randomBytes(FILE_BYTES))
  }
  const sections: string[] = []
  for (const contest of CONTESTS) {
    sections.push(await runContest(contest, { source, files, rounds }))
  }
  removeFolder(folder)
  return sections.join('\n')
}

async function runContest(
  contest: Contest,
  {
    source,
    files,
    rounds,
  }: { readonly source: string; readonly files: number; readonly rounds: number },
): Promise<string> {
  const { title, ways } = contest
  const runs = new Map<string, ManyRun[]>(ways.map((way) => [way, []]))
  const outboxFolder = createDiskFolder()
  for (let round = 0; round < rounds; round++) {
    for (const way of rotate(ways, round)) {
      progress(`put-many to ${title}: round ${round + 1} of ${rounds}, ${way}`)
      const folder = contest.folder()
      const server = await startReceiveServer(contest.server, folder)
      try {
        const report = await send(way, server, { source, outboxPath: join(outboxFolder, 'out.db') })
        expectKept(folder, files)
        runs.get(way)?.push({
          filesPerSecond: files / (report.wallMicros / 1e6),
          cpuMicros: (report.userMicros + report.systemMicros) / files,
        })
      } finally {
        await server[Symbol.asyncDispose]()
        removeFolder(folder)
      }
    }
  }
  removeFolder(outboxFolder)
  return formatContest(`${files} files of 4 KiB to ${title}, ${rounds} rounds`, runs)
}

async function send(
  way: PutManyWay,
  { url }: ReceiveServer,
  { source, outboxPath }: { readonly source: string; readonly outboxPath: string },
): Promise<WorkReport> {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${outboxPath}${suffix}`, { force: true })
  const path = way === 'ferry by IndexedCP, 8 at once' ? 'upload' : 'files'
  const command = [NODE, CLIENT, way, `${url}/${path}`, source, outboxPath] as const
  return JSON.parse((await measureClient(command)).stdout) as WorkReport
}

/** @throws {Error} when not every file has come */
function expectKept(folder: string, files: number): void {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(
    (entry) =>
      entry.isFile() && !/^\.|\.json$/.test(entry.name) && !entry.parentPath.includes('.ferry'),
  )
  if (names.length !== files) throw new Error(`Expected ${files} files, got ${names.length}`)
}

function formatContest(title: string, runs: ReadonlyMap<string, readonly ManyRun[]>): string {
  const of = (way: string, part: keyof ManyRun): number[] =>
    (runs.get(way) ?? []).map((run) => run[part])
  const ratio = (way: string, part: keyof ManyRun): string =>
    pairwiseRatio(of(way, part), of(BASE, part)).toFixed(2)
  const rows = [...runs.keys()].map((way) => [
    way,
    formatSpread(of(way, 'filesPerSecond')),
    ratio(way, 'filesPerSecond'),
    median(of(way, 'cpuMicros')).toFixed(0),
    ratio(way, 'cpuMicros'),
  ])
  const columns = [
    'client',
    'files/s, min / median / max',
    `files/s × ${BASE}`,
    'CPU µs a file',
    `CPU × ${BASE}`,
  ]
  const goals = GOAL_WAYS.map(
    (way) => `${way} ≥ ${GOAL_RATIO.toFixed(2)} × ${BASE}: ${ratio(way, 'filesPerSecond')}`,
  )
  return `${formatTable(title, columns, rows)}\nGoals, files/s of ${goals.join('; ')}.\n`
}

/**
 * Adding one large file to an outbox, which keeps it whatever happens from then on, beside copying it
 * so that it survives as well: cp, then fsync of the copy. On the same disk, or both in memory.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatSpread, formatTable, median, pairwiseRatio } from './statistics.ts'
import {
  type BenchOptions,
  createDiskFolder,
  createFolder,
  GIB,
  isInMemory,
  measure,
  MIB,
  NODE,
  progress,
  removeFolder,
  rotate,
  touchMemory,
  writeRandomFile,
} from './support.ts'

/** One adding, or copying. */
interface AddRun {
  readonly wallMs: number
  /** Until it is safe, without the start of the process and closing. */
  readonly ownMs: number
  readonly cpuMs: number
  readonly peakRssBytes: number
}

const ROUNDS = 7
const QUICK_ROUNDS = 3
const BASE = 'cp, fsync'
const STORED = 'outbox, stored'
const WAYS = [STORED, 'outbox, by reference', BASE] as const
const GOAL_RATIO = 3
const MEMORY_BYTES = 7 * GIB
// The copy, the cache of what is read, and the log.
const TOUCHED_BYTES = 4 * GIB
const CLIENT = fileURLToPath(new URL('./put-outbox-client.ts', import.meta.url))

/** Measures adding 1 GiB to an outbox; resolves with a table for disk and for memory. */
export async function benchPutOutbox({ quick }: BenchOptions): Promise<string> {
  const rounds = quick ? QUICK_ROUNDS : ROUNDS
  const sections: string[] = []
  for (const folder of [createDiskFolder(), createFolder(MEMORY_BYTES)]) {
    sections.push(await benchIn(folder, rounds))
    removeFolder(folder)
  }
  return sections.join('\n')
}

async function benchIn(folder: string, rounds: number): Promise<string> {
  const touched = isInMemory(folder) ? folder : createFolder(TOUCHED_BYTES)
  const place = isInMemory(folder) ? 'in memory' : 'on disk'
  const file = join(folder, 'file.bin')
  progress('making file.bin')
  writeRandomFile(file, GIB)
  const runs = new Map<string, AddRun[]>(WAYS.map((way) => [way, []]))
  for (let round = 0; round <= rounds; round++) {
    progress(`put-outbox ${place}: round ${round} of ${rounds}`)
    for (const way of rotate(WAYS, round)) {
      // What others have left to be written is not to be this one's time.
      if (!isInMemory(folder)) await measure(['sync', '-f', folder])
      touchMemory(join(touched, 'touched'), TOUCHED_BYTES)
      const run = await add(way, folder, file)
      // The first round warms up.
      if (round > 0) runs.get(way)?.push(run)
    }
  }
  return formatAdds(`Adding 1 GiB to an outbox ${place}, ${rounds} rounds`, runs)
}

async function add(way: string, folder: string, file: string): Promise<AddRun> {
  const path = join(folder, 'copy')
  try {
    if (way === BASE) {
      const copy = `cp --reflink=never "$0" "$1" && sync "$1"`
      const measurement = await measure(['sh', '-c', copy, file, path])
      return { ...measurement, ownMs: measurement.wallMs }
    }
    const mode = way === STORED ? 'stored' : 'reference'
    const measurement = await measure([NODE, CLIENT, mode, path, file])
    return { ...measurement, ...(JSON.parse(measurement.stdout) as { ownMs: number }) }
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-content']) {
      rmSync(`${path}${suffix}`, { force: true, recursive: true })
    }
  }
}

function formatAdds(title: string, runs: ReadonlyMap<string, readonly AddRun[]>): string {
  const of = (way: string, part: keyof AddRun): number[] =>
    (runs.get(way) ?? []).map((run) => run[part])
  const ratio = (way: string, part: keyof AddRun): string =>
    pairwiseRatio(of(way, part), of(BASE, part)).toFixed(2)
  const rows = WAYS.map((way) => [
    way,
    formatSpread(of(way, 'ownMs')),
    ratio(way, 'ownMs'),
    formatSpread(of(way, 'wallMs')),
    ratio(way, 'wallMs'),
    median(of(way, 'cpuMs')).toFixed(0),
    (median(of(way, 'peakRssBytes')) / MIB).toFixed(0),
  ])
  const columns = [
    'way',
    'ms until it is safe, min / median / max',
    `× ${BASE}`,
    'wall ms of the process, min / median / max',
    `wall × ${BASE}`,
    'CPU ms',
    'peak RSS MiB',
  ]
  const goal = `${STORED} ≤ ${GOAL_RATIO.toFixed(2)} × ${BASE}: ${ratio(STORED, 'ownMs')}`
  return `${formatTable(title, columns, rows)}\nGoal, until it is safe: ${goal}.\n`
}

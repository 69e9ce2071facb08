/**
 * What sending a very large file takes of memory: one that is sent from where it is, one that an outbox
 * refers to, and one that an outbox has stored. The file is sparse, so that it needs no disk; what is
 * stored does.
 */
import { closeSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startNodeServer } from './node-server.ts'
import type { PutWay } from './put-client.ts'
import { formatTable } from './statistics.ts'
import {
  type BenchOptions,
  createDiskFolder,
  GIB,
  type Measurement,
  measure,
  measureClient,
  MIB,
  NODE,
  onServerCore,
  progress,
  removeFolder,
} from './support.ts'

interface MemoryCase {
  readonly way: PutWay
  readonly bytes: number
}

const LARGE_BYTES = 10_000_000_000
const QUICK_BYTES = 2_000_000_000
/** This much is written to the disk. */
const STORED_BYTES: number = 4 * GIB
const GOAL_MIB = 120
const SINK = fileURLToPath(new URL('./put-sink.ts', import.meta.url))
const CLIENT = fileURLToPath(new URL('./put-client.ts', import.meta.url))
const ADD_CLIENT = fileURLToPath(new URL('./put-outbox-client.ts', import.meta.url))

/** Measures the memory of senders; resolves with a table. */
export async function benchPutMemory({ quick }: BenchOptions): Promise<string> {
  const bytes = quick ? QUICK_BYTES : LARGE_BYTES
  const storedBytes = quick ? QUICK_BYTES : STORED_BYTES
  const cases: readonly MemoryCase[] = [
    { way: 'tus', bytes },
    { way: 'ietf', bytes },
    { way: 'indexedcp', bytes },
    { way: 'outbox by reference', bytes },
    { way: 'outbox, stored before', bytes: storedBytes },
  ]
  const folder = createDiskFolder()
  const outboxPath = join(folder, 'outbox.db')
  await using sink = await startNodeServer(onServerCore([NODE, SINK]))
  const rows: string[][] = []
  for (const { way, bytes: size } of cases) {
    const file = makeSparseFile(join(folder, way), size)
    if (way === 'outbox, stored before') {
      progress(`put-memory: adding ${size} bytes to an outbox`)
      const added = await measure([NODE, ADD_CLIENT, 'stored', outboxPath, file])
      rows.push(formatRow('adding to an outbox, stored', size, added))
    }
    progress(`put-memory: ${way}, ${size} bytes`)
    const url = `http://127.0.0.1:${sink.ports[0]}/${way === 'indexedcp' ? 'upload' : 'files'}`
    const sent = await measureClient([NODE, CLIENT, way, url, file, outboxPath])
    rows.push(formatRow(`sending, ${way}`, size, sent))
  }
  removeFolder(folder)
  const columns = ['what', 'GB', 'peak RSS MiB', 'MB/s']
  const table = formatTable('Memory of a sender, one run each', columns, rows)
  return `${table}\nGoal, peak RSS ≤ ${GOAL_MIB} MiB.\n`
}

function makeSparseFile(path: string, bytes: number): string {
  const file = openSync(path, 'w')
  ftruncateSync(file, bytes)
  closeSync(file)
  return path
}

function formatRow(what: string, bytes: number, { peakRssBytes, wallMs }: Measurement): string[] {
  return [
    what,
    (bytes / 1e9).toFixed(1),
    (peakRssBytes / MIB).toFixed(0),
    (bytes / 1e6 / (wallMs / 1000)).toFixed(0),
  ]
}

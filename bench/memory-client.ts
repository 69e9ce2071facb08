/**
 * The process whose memory is measured: `memory-client.ts TASK`, the task as JSON; needs
 * `--expose-gc`. Prints, as JSON, what came on top of a client that was warm already.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { createMemoryClient, type FetchPath } from './memory-clients.ts'

/** What the process is told. */
export interface MemoryTask {
  readonly client: string
  readonly origin: string
  readonly path: string
  readonly bodyBytes: number
  /** `idle`: as many connections as items, unused; `queued`: items wait for few connections. */
  readonly state: 'idle' | 'queued'
  readonly items: number
  readonly connections: number
}

/** What the process tells; bytes of all items together. */
export interface MemoryReport {
  readonly heapBytes: number
  /** Outside the heap: buffers and what the system's handles hold. */
  readonly externalBytes: number
  readonly rssBytes: number
  /** Sockets that are open at the end. */
  readonly sockets: number
  /** From the first request on until all had an answer. */
  readonly servedMs: number
  /** By how many places a request was answered earlier or later than it was made, at most. */
  readonly displacement: number
}

type Usage = Pick<MemoryReport, 'heapBytes' | 'externalBytes' | 'rssBytes'>

const WARM_UP_REQUESTS = 500

const task = JSON.parse(process.argv[2] ?? '') as MemoryTask
await warmUp()
const fetchPath = createMemoryClient(task.client, task.origin, task.connections)
await fetchPath(task.path)
await settle()
const before = readUsage()
const startedAt = performance.now()
const displacements = fetchAll(fetchPath)
const queued = readUsage()
const displacement = Math.max(...(await displacements))
const servedMs = performance.now() - startedAt
await settle()
const after = task.state === 'idle' ? readUsage() : queued
const report: MemoryReport = {
  heapBytes: after.heapBytes - before.heapBytes,
  externalBytes: after.externalBytes - before.externalBytes,
  rssBytes: after.rssBytes - before.rssBytes,
  sockets: countSockets(),
  servedMs,
  displacement,
}
process.stdout.write(JSON.stringify(report), () => process.exit(0))

/** Compiled code and what is made once are no item's memory; over a client of its own. */
async function warmUp(): Promise<void> {
  const fetchWarm = createMemoryClient(task.client, task.origin, 10)
  await Promise.all(Array.from({ length: WARM_UP_REQUESTS }, () => fetchWarm(task.path)))
}

/** Begins all at once; resolves with each one's distance from its place in the order. */
function fetchAll(fetchNext: FetchPath): Promise<number[]> {
  let answered = 0
  const fetchItem = async (_: unknown, index: number): Promise<number> => {
    const { byteLength } = await fetchNext(`${task.path}?${index}`)
    if (byteLength !== task.bodyBytes) throw new Error(`Expected a body, got ${byteLength} bytes`)
    return Math.abs(answered++ - index)
  }
  return Promise.all(Array.from({ length: task.items }, fetchItem))
}

/** Lets what is under way end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    globalThis.gc?.()
  }
}

function readUsage(): Usage {
  if (globalThis.gc === undefined) throw new Error('Cannot measure memory: --expose-gc is missing')
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heapBytes: heapUsed, externalBytes: external, rssBytes: rss }
}

function countSockets(): number {
  const descriptors = readdirSync('/proc/self/fd')
  return descriptors.filter((descriptor) => isSocket(`/proc/self/fd/${descriptor}`)).length
}

function isSocket(link: string): boolean {
  try {
    return readlinkSync(link).startsWith('socket:')
  } catch {
    // The one that listed the folder is closed by now.
    return false
  }
}

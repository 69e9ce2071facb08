/**
 * The process that makes requests: `request-client.ts TASK`, the task as JSON. Prints, as JSON, the
 * time that they took after a warm-up; starting and compiling are not in it.
 */
import { createHash } from 'node:crypto'
import { type ClientTask, createClient, type FetchOnce } from './request-clients.ts'

/** What the process is told. */
export interface RequestTask extends ClientTask {
  readonly client: string
  readonly requests: number
  readonly warmUpRequests: number
  readonly bodyBytes: number
  /** Of the content, in hexadecimal digits. */
  readonly bodySha256: string
}

/** What the process tells: of all measured requests together. */
export interface RequestReport {
  readonly wallMicros: number
  readonly userMicros: number
  readonly systemMicros: number
}

const task = JSON.parse(process.argv[2] ?? '') as RequestTask
const fetchOnce = createClient(task.client, task)
const digest = createHash('sha256').update(new Uint8Array(await fetchOnce()))
if (digest.digest('hex') !== task.bodySha256) throw new Error('Cannot go on: the content is wrong')
await fetchMany(fetchOnce, task.warmUpRequests)
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
await fetchMany(fetchOnce, task.requests)
const wallMicros = (performance.now() - startedAt) * 1000
const { user, system } = process.cpuUsage(cpuBefore)
const report: RequestReport = { wallMicros, userMicros: user, systemMicros: system }
process.stdout.write(JSON.stringify(report), () => process.exit(0))

/** Keeps every connection busy until all is fetched. */
async function fetchMany(fetchNext: FetchOnce, requests: number): Promise<void> {
  let left = requests
  const work = async (): Promise<void> => {
    while (left-- > 0) {
      const { byteLength } = await fetchNext()
      if (byteLength !== task.bodyBytes) {
        throw new Error(`Expected ${task.bodyBytes} bytes, got ${byteLength}`)
      }
    }
  }
  await Promise.all(Array.from({ length: task.connections }, work))
}

/**
 * The process that makes requests: `request-client.ts TASK`, the task as JSON. Prints, as JSON, the
 * time that they took after a warm-up; starting and compiling are not in it.
 */
import { createHash } from 'node:crypto'
import { type ClientTask, createClient, type FetchOnce } from './request-clients.ts'
import { measureWork, reportAndExit } from './work-report.ts'

/** What the process is told. */
export interface RequestTask extends ClientTask {
  readonly client: string
  readonly requests: number
  readonly warmUpRequests: number
  readonly bodyBytes: number
  /** Of the content, in hexadecimal digits. */
  readonly bodySha256: string
}

const task = JSON.parse(process.argv[2] ?? '') as RequestTask
const fetchOnce = createClient(task.client, task)
const first = await fetchOnce()
const content = 'value' in first ? JSON.stringify(first.value) : new Uint8Array(first)
const digest = createHash('sha256').update(content)
if (digest.digest('hex') !== task.bodySha256) throw new Error('Cannot go on: the content is wrong')
await fetchMany(fetchOnce, task.warmUpRequests)
reportAndExit(await measureWork(() => fetchMany(fetchOnce, task.requests)))

/** Keeps every connection busy, or every stream, until all is fetched. */
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
  await Promise.all(Array.from({ length: task.connections * task.streams }, work))
}

/**
 * The process that makes small requests: `small-client.ts NAME URL COUNT`. Prints, as JSON, the CPU
 * time that they took after a warm-up; starting and compiling are not in it.
 */
import type { ClientReport } from './small.ts'
import { CONNECTIONS, createClient, type FetchOnce } from './small-clients.ts'

const WARM_UP_REQUESTS = 5000

const [name = '', url = '', count = ''] = process.argv.slice(2)
const fetchOnce = createClient(name, url)
const expectedBytes = await fetchOnce()
await fetchMany(fetchOnce, WARM_UP_REQUESTS)
const before = process.cpuUsage()
await fetchMany(fetchOnce, Number(count))
const { user, system } = process.cpuUsage(before)
const report: ClientReport = { userMicros: user, systemMicros: system }
process.stdout.write(JSON.stringify(report), () => process.exit(0))

/** Keeps every connection busy until all is fetched. */
async function fetchMany(fetchNext: FetchOnce, requests: number): Promise<void> {
  let left = requests
  const work = async (): Promise<void> => {
    while (left-- > 0) {
      const bytes = await fetchNext()
      if (bytes !== expectedBytes) throw new Error(`Expected ${expectedBytes} bytes, got ${bytes}`)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, work))
}

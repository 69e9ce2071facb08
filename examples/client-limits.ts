/** Many requests with a limit on their rate, and requests that are tried again. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpClient, type RetryEvent } from 'ferry/client'

let flaky = 0
const arrivals: number[] = []
await using server = createServer(({ url }, response) => {
  if (url?.startsWith('/flaky') === true && ++flaky <= 2) {
    response.writeHead(503, { 'Retry-After': '0' }).end()
    return
  }
  if (url?.startsWith('/item') === true) arrivals.push(performance.now())
  response.end(JSON.stringify({ url }))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

// 20 at once, but no more than 100 a second start.
await using limited = new HttpClient({ baseUrl, maxRateLimit: 100 })
const items = await Promise.all(
  Array.from({ length: 20 }, (_, index) => limited.get(`/item/${index}`)),
)
const tookMs = (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)
console.log(`${items.length} responses, spread over more than 150 ms: ${tookMs > 150}`)

await using client = new HttpClient({ baseUrl })
const tell = ({ attempt, reason }: RetryEvent): void => console.log(`attempt ${attempt}: ${reason}`)
console.log(await client.get('/flaky-endpoint', { retries: 5, retryDelayMs: 10, onRetry: tell }))

// POST may have had its effect, and is sent again only where the program says that twice is fine.
flaky = 0
const data = { id: 7 }
const again = { retries: 5, retryDelayMs: 10, retryMethods: ['POST'], onRetry: tell }
console.log(await client.post('/flaky', { json: data, ...again }))

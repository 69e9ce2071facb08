/** Follows the events of a server: over a lost connection, to the end of an answer, and for a while. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, eventSource } from 'ferry/transport'

// Prices: two events, then the connection breaks; one more for who asks again; then 204, no more.
function sendPrices(lastEventId: string | undefined, response: ServerResponse): void {
  if (lastEventId === '3') response.writeHead(204).end()
  else if (lastEventId === '2') {
    response.write('id: 3\nevent: price\ndata: 102\n\n')
    setTimeout(() => response.end(), 50)
  } else {
    response.write('retry: 10\n\nid: 1\nevent: price\ndata: 100\n\n')
    const rest = 'id: 2\nevent: price\ndata: 101\n\nid: 3\ndata: cut sho'
    response.write(rest, () => response.socket?.end())
  }
}

await using server = createServer((request, response) => {
  response.setHeader('Content-Type', 'text/event-stream')
  if (request.url === '/prices') sendPrices(request.headers['last-event-id'] as string, response)
  else if (request.url === '/answer') response.end('data: It\n\ndata: depends.\n\n')
  else response.write(': nothing happens here\n\n')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
await using pool = new ConnectionPool()

const prices = eventSource(`${url}/prices`, {
  pool,
  onOpen: () => console.log(`open, from ${prices.lastEventId || 'the beginning'}`),
  onRetry: ({ attempt }) => console.log(`attempt ${attempt} after ${prices.retryMs} ms or more`),
})
for await (const { type, data, lastEventId } of prices) {
  console.log(`${type} ${lastEventId}: ${data}`)
}
console.log(`the server wants no more requests: ${prices.state}`)

// A POST is not sent again by itself: where its answer ends, the events end.
const question = { method: 'POST', headers: { 'Content-Type': 'application/json' }, content: '{}' }
const words: string[] = []
for await (const { data } of eventSource(`${url}/answer`, { pool, ...question })) words.push(data)
console.log(words.join(' '))

// A signal ends it at any point. So does leaving the loop, or `close()`.
try {
  const signal = AbortSignal.timeout(50)
  const comments = { onComment: (text: string) => console.log(`comment: ${text}`) }
  for await (const event of eventSource(`${url}/quiet`, { pool, signal, ...comments })) {
    console.log(event.data)
  }
} catch (error) {
  console.log((error as Error).name)
}
console.log(`connections in use: ${pool.metrics().active}`)

/** Looks into a pool: who waits, what is open, what has been, and how long each part took. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest } from 'ferry/transport'

await using server = createServer((_, response) => {
  console.log(stateOf(client))
  response.end('ok')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
await using client = new ConnectionPool({ maxConnectionsPerOrigin: 1 })

const request = new HttpRequest('GET', `${origin}/`)
const both = [client.request(request), client.request(request)]
// One connection is being opened; two requests wait for it and get it one after the other.
console.log(stateOf(client))
const responses = await Promise.all(both)
for (const response of responses) await response.body.bytes()
console.log(stateOf(client))

const { created, reused, closed, connections } = client.metrics()
console.log(`created ${created}, reused ${reused}, closed ${closed}`)
for (const { id, requestCount, errorRate } of connections) {
  console.log(`connection ${id}: ${requestCount} requests, error rate ${errorRate}`)
}
for (const { timings, connection } of responses) {
  const { queueMs, headMs, bodyMs, opening } = timings ?? {}
  const known = [queueMs, headMs, bodyMs].every((time) => time !== undefined)
  const connected = opening === undefined ? 'on a connection that was there' : 'connected for it'
  console.log(`timings known: ${known}, reused: ${connection?.reused}, ${connected}`)
}

function stateOf(pool: ConnectionPool): string {
  return pool.toString().replace(origin, 'origin')
}

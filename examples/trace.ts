/** Tells each step of a request: to a callback of one pool, and to whoever asks in the process. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest, TRACE_CHANNEL, type TraceEvent } from 'ferry/transport'

await using server = createServer((request, response) => {
  request.resume().on('end', () => response.end('done'))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://localhost:${(server.address() as AddressInfo).port}/items?token=secret`

// One pool, by its option.
const steps: string[] = []
{
  await using client = new ConnectionPool({
    trace: ({ step, phase }) => steps.push(`${step} ${phase}`),
  })
  const content = Buffer.alloc(100_000)
  const response = await client.request(new HttpRequest('PUT', url, { content }))
  await response.body.bytes()
}
// `localhost` may have an IPv6 address where nobody listens; the one that answered is what counts.
const opening = ['resolve end', 'connect end', 'queue end'].map((step) => steps.indexOf(step))
console.log(`in order: ${opening.every((at, index) => at > (opening[index - 1] ?? -1))}`)
console.log(steps.slice(steps.indexOf('queue end') + 1).join(', '))

// Every pool of the process, by the diagnostics channel: how long a server takes to answer.
const startedAt = new Map<number, number>()
const measure = (message: unknown): void => {
  const { step, phase, at, exchange = 0, request } = message as TraceEvent
  if (step !== 'wait') return
  if (phase === 'start') {
    startedAt.set(exchange, at)
  } else {
    const tookMs = at - (startedAt.get(exchange) ?? at)
    console.log(
      `${request?.replace(/\d{4,}/, 'PORT')} waited, ${tookMs < 1000 ? 'not long' : 'long'}`,
    )
  }
}
subscribe(TRACE_CHANNEL, measure)
{
  await using client = new ConnectionPool()
  const response = await client.request(new HttpRequest('GET', url))
  await response.body.bytes()
}
unsubscribe(TRACE_CHANNEL, measure)

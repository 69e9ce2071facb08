/**
 * The server of the benchmark of events: `/NUMBER` gives as many small events, as fast as they are
 * taken, and then leaves the response open, so that nobody connects again. Prints its port once it
 * listens.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { formatEvent } from './sse-events.ts'

/** Some 16 KiB, as a server writes that has much to tell. */
const EVENTS_AT_ONCE = 200

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  sendEvents(response, 0, Number(request.url?.slice(1)))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
process.stdout.write(`${(server.address() as AddressInfo).port}\n`)

/** Sends the events from `start` up to, not including, `end`. */
function sendEvents(response: ServerResponse, start: number, end: number): void {
  let hasRoom = true
  for (let at = start; at < end; at += EVENTS_AT_ONCE) {
    if (!hasRoom) {
      response.once('drain', () => sendEvents(response, at, end))
      return
    }
    const count = Math.min(EVENTS_AT_ONCE, end - at)
    hasRoom = response.write(
      Array.from({ length: count }, (_, index) => formatEvent(at + index)).join(''),
    )
  }
}

/** Takes responses by callback: the interim ones too, at one's own pace, and without promises. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type BodySink, ConnectionPool, type Exchange, HttpRequest } from 'ferry/transport'

await using server = createServer((_, response) => {
  response.writeEarlyHints({ link: '</style.css>; rel=preload' })
  response.end(Buffer.alloc(1_000_000))
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const request = new HttpRequest(
  'GET',
  `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
)
await using client = new ConnectionPool()

await new Promise<void>((resolve, reject) => {
  let running: Exchange | undefined
  let length = 0
  let pauses = 0
  client.dispatch(request, {
    onInformation: (head) => console.log(`${head.status}: ${head.headers.get('link')}`),
    onHead(head, announced, exchange) {
      running = exchange
      console.log(`${head.status}, ${announced} bytes announced`)
    },
    onContent(bytes) {
      // The bytes are ours only until we return: copy what is to be kept.
      length += bytes.length
      pauses++
      setTimeout(() => running?.resume(), 1)
      return false
    },
    onComplete() {
      console.log(`${length} bytes, paused: ${pauses > 1}`)
      resolve()
    },
    onError: reject,
  })
})

// A response from `request()` can be poured into a sink in the same manner.
const response = await client.request(request)
let sum = 0
const sink: BodySink = {
  write(bytes) {
    sum += bytes.length
    return true
  },
}
await response.body.pipe(sink)
console.log(`${sum} bytes poured`)

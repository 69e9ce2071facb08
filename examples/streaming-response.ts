/** Reads a response piece by piece as it comes, with progress, and gives up another early. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, createResponseStream, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) => {
  if (request.url === '/endless') {
    const timer = setInterval(() => response.write('tick\n'), 10)
    response.on('close', () => clearInterval(timer))
  } else {
    response.setHeader('Content-Length', 300_000)
    for (let piece = 0; piece < 3; piece++) response.write(Buffer.alloc(100_000, String(piece)))
    response.end()
  }
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo
await using client = new ConnectionPool()

const response = await client.request(new HttpRequest('GET', `http://127.0.0.1:${port}/file`))
let furthest = 0
const body = createResponseStream(response.body, {
  onProgress: ({ bytes, total = bytes }) => (furthest = bytes / total),
})
let length = 0
for await (const piece of body) length += piece.length
console.log(`Read ${length} bytes, ${furthest * 100} %`)

// Leaving the loop gives the response up; the connection is closed, for the rest is on its way.
const endless = await client.request(new HttpRequest('GET', `http://127.0.0.1:${port}/endless`))
let lines = ''
for await (const piece of endless.body) {
  lines += Buffer.from(piece).toString()
  if (lines.length >= 15) break
}
console.log(
  `Read ${lines.split('\n').length > 3 ? 'three lines' : 'too little'} of an endless response`,
)

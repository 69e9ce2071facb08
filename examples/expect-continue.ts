/** Asks before it sends: content is held back until the server wants it (RFC 9110 §10.1.1). */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, createRequestStream, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) => {
  request.resume().on('end', () => response.end('stored'))
})
server.on('checkContinue', (request, response) => {
  if (request.headers.authorization === undefined) {
    response.writeHead(401).end('who are you?')
  } else {
    response.writeContinue()
    server.emit('request', request, response)
  }
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
await using client = new ConnectionPool()

await upload({})
await upload({ Authorization: 'Bearer token' })

async function upload(headers: Record<string, string>): Promise<void> {
  const content = createRequestStream(Buffer.alloc(1_000_000))
  const request = new HttpRequest('PUT', url, {
    headers: { Expect: '100-continue', ...headers },
    content,
  })
  // Against servers that never answer it, the content goes out after `continueTimeoutMs`.
  const response = await client.request(request, { continueTimeoutMs: 10_000 })
  const answer = (await response.body.bytes()).toString()
  console.log(`${response.status} ${answer}; ${content.bytesRead} bytes left here`)
}

/** Meets servers that answer before the upload is over: a refusal ends it, an acceptance does not. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, createRequestStream, HttpRequest } from 'ferry/transport'

const PIECES = 64
const PIECE_BYTES = 1_048_576

let received = 0
const { promise: receivedAll, resolve } = Promise.withResolvers<void>()
await using server = createServer((request, response) => {
  if (request.url === '/too-large') {
    response.writeHead(413).end('too large')
    return
  }
  response.writeHead(202).end('going on')
  request.on('data', (bytes: Buffer) => (received += bytes.length))
  request.on('end', resolve)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
await using client = new ConnectionPool()

const refused = createRequestStream(generatePieces())
const refusal = await client.request(
  new HttpRequest('POST', `${origin}/too-large`, { content: refused }),
)
console.log(`${refusal.status} ${(await refusal.body.bytes()).toString()}`)
console.log(`sent it all: ${refused.bytesRead === PIECES * PIECE_BYTES}`)

const accepted = await client.request(
  new HttpRequest('POST', `${origin}/log`, { content: generatePieces() }),
)
console.log(`${accepted.status} came before the end: ${received < PIECES * PIECE_BYTES}`)
// The rest is sent while the response is read; it ends when both have ended.
console.log((await accepted.body.bytes()).toString())
await receivedAll
console.log(`received it all: ${received === PIECES * PIECE_BYTES}`)

function* generatePieces(): Generator<Uint8Array> {
  const piece = Buffer.alloc(PIECE_BYTES)
  for (let index = 0; index < PIECES; index++) yield piece
}

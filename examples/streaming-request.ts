/** Sends content that is generated piece by piece, and tells how far it has come. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, createRequestStream, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) => {
  let length = 0
  request.on('data', (bytes: Buffer) => (length += bytes.length))
  request.on('end', () => {
    response.end(`received ${length} bytes, ${request.headers['transfer-encoding']}`)
  })
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo

/** Gives a large text in pieces, as if it were read from somewhere. */
async function* generatePieces(): AsyncGenerator<Uint8Array> {
  const content = Buffer.from('Hello, World!'.repeat(1000))
  const pieceBytes = 8192
  for (let offset = 0; offset < content.length; offset += pieceBytes) {
    await Promise.resolve()
    yield content.subarray(offset, offset + pieceBytes)
  }
}

const stream = createRequestStream(generatePieces(), {
  chunked: true,
  onProgress: ({ bytes }) => console.log(`Uploaded: ${bytes} bytes`),
})
const request = HttpRequest.create({
  method: 'POST',
  url: `http://127.0.0.1:${port}/upload`,
  headers: [['Content-Type', 'application/octet-stream']],
  stream,
})

await using client = new ConnectionPool()
const response = await client.request(request)
const answer = await response.body.bytes()

console.log(`Total uploaded: ${stream.bytesRead} bytes`)
console.log(`Server: ${answer.toString()}`)

// The same content without a request: a stream can be iterated by itself, too.
let totalBytes = 0
for await (const piece of createRequestStream(generatePieces())) totalBytes += piece.length
console.log(`Total read: ${totalBytes} bytes`)

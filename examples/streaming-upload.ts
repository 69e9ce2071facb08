/** Uploads from an iterable whose length is known: sent with Content-Length, progress in percent. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, createRequestStream, HttpRequest } from 'ferry/transport'

const PIECES = 4
const PIECE_BYTES = 1_048_576

await using server = createServer((request, response) => {
  let length = 0
  request.on('data', (bytes: Buffer) => (length += bytes.length))
  request.on('end', () => {
    response.end(`${length} of ${request.headers['content-length']} bytes`)
  })
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/upload`
await using client = new ConnectionPool()

/** Uses the same memory for every piece: each has left before the next is asked for. */
function* generatePieces(count: number): Generator<Uint8Array> {
  const piece = Buffer.alloc(PIECE_BYTES)
  for (let index = 0; index < count; index++) yield piece.fill(index)
}

const content = createRequestStream(generatePieces(PIECES), {
  contentLength: PIECES * PIECE_BYTES,
  onProgress: ({ bytes, total = bytes }) => console.log(`${Math.round((bytes / total) * 100)} %`),
})
const response = await client.request(new HttpRequest('PUT', url, { content }))
console.log(`Server: ${(await response.body.bytes()).toString()}`)

// A source that gives less than announced is never taken for a whole upload.
const tooShort = createRequestStream(generatePieces(1), { contentLength: PIECES * PIECE_BYTES })
try {
  await client.request(new HttpRequest('PUT', url, { content: tooShort }))
} catch (error) {
  console.log(String(error))
}

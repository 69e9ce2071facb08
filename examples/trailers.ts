/** Sends a digest after the content, when it is known, and reads one after a response. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, createRequestStream, HttpRequest } from 'ferry/transport'

await using server = createServer((request, response) => {
  const hash = createHash('sha256')
  request.on('data', (bytes: Buffer) => hash.update(bytes))
  request.on('end', () => {
    const digest = formatDigest(hash.digest())
    response.setHeader('Trailer', 'X-Verdict')
    response.write(`server: ${request.trailers['repr-digest']}\n`)
    response.addTrailers({
      'X-Verdict': request.trailers['repr-digest'] === digest ? 'equal' : 'different',
    })
    response.end()
  })
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const { port } = server.address() as AddressInfo
await using client = new ConnectionPool()

// The digest follows the bytes that really were sent.
const hash = createHash('sha256')
async function* generatePieces(): AsyncGenerator<Uint8Array> {
  for (const text of ['one, ', 'two, ', 'three']) {
    await Promise.resolve()
    const piece = Buffer.from(text)
    hash.update(piece)
    yield piece
  }
}
function formatDigest(digest: Buffer): string {
  return `sha-256=:${digest.toString('base64')}:`
}

const response = await client.request(
  new HttpRequest('POST', `http://127.0.0.1:${port}/`, {
    headers: { Trailer: 'Repr-Digest' },
    content: createRequestStream(generatePieces()),
    trailers: () => ({ 'Repr-Digest': formatDigest(hash.digest()) }),
  }),
)
process.stdout.write(await response.body.bytes())
console.log(`verdict: ${response.body.trailers.get('x-verdict')}`)

// What a server needs before the content may not come after it.
try {
  const content = createRequestStream('text', { chunked: true })
  new HttpRequest('POST', 'http://example.org/', { content, trailers: { Host: 'example.com' } })
} catch (error) {
  console.log(String(error))
}

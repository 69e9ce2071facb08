/** Many requests on one connection: HTTP/2, chosen in the TLS handshake. */
import { once } from 'node:events'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { createCertificate } from './support/certificates.ts'

const certificate = await createCertificate('IP:127.0.0.1')
await using server = createSecureServer({ ...certificate, allowHTTP1: true })
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  const path = headers[':path']
  stream.on('error', () => {})
  stream.respond({ ':status': 200 })
  if (path === '/endless') stream.write('a beginning, and no end')
  else stream.end(path)
})
server.on('request', ({ httpVersion }, response) => {
  if (httpVersion === '1.1') response.end('as ever')
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
const tls = { ca: certificate.cert }
await using client = new ConnectionPool({ tls })

// All of them ask at once; the first connection turns out to take them all.
const paths = Array.from({ length: 100 }, (_, index) => `/${index}`)
const texts = await Promise.all(paths.map((path) => get(client, path)))
console.log(`${texts.length} responses, ${client.metrics().created} connection`)

// Giving one up ends its stream, not the connection.
const endless = await client.request(new HttpRequest('GET', `${origin}/endless`))
endless.body.cancel()
const next = await client.request(new HttpRequest('GET', `${origin}/next`))
console.log(`the same connection: ${next.connection?.id === endless.connection?.id}`)
console.log(`version ${next.version}: ${(await next.body.bytes()).toString()}`)

await using plain = new ConnectionPool({ tls, http2: 'off' })
const { version, body } = await plain.request(new HttpRequest('GET', `${origin}/`))
console.log(`version ${version}: ${(await body.bytes()).toString()}`)

async function get(pool: ConnectionPool, path: string): Promise<string> {
  const response = await pool.request(new HttpRequest('GET', `${origin}${path}`))
  return (await response.body.bytes()).toString()
}

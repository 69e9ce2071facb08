/** How a client gets there: a proxy for one call, TLS as an old server needs it, and a log of it all. */
import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { buildTlsContext, HttpClient, type RequestLogger } from 'ferry/client'
import { NetworkError } from 'ferry/errors'
import { createCertificate } from './support/certificates.ts'

await using api = createServer(({ url, headers }, response) => {
  response.end(JSON.stringify({ url, via: headers.via ?? 'nobody' }))
})
await listen(api)

await using proxy = createServer(({ method, url = '', headers }, response) => {
  const onward = forward(url, { method, headers: { ...headers, via: '1.1 example' } }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  onward.end()
})
await listen(proxy)

const certificate = await createCertificate('IP:127.0.0.1')
await using old = createTlsServer({ ...certificate, maxVersion: 'TLSv1.2' }, (_, response) =>
  response.end('{"old":true}'),
)
await listen(old)

/** Anything with `info` and `warn`: pino, the console. */
const logger: RequestLogger = {
  info: (_, message) => console.log('info:', withoutPorts(message)),
  warn: (_, message) => console.log('warn:', withoutPorts(message)),
}

await using client = new HttpClient({ baseUrl: `http://127.0.0.1:${portOf(api)}`, logger })
console.log(await client.get('/endpoint'))
console.log(await client.get('/endpoint', { proxy: `http://127.0.0.1:${portOf(proxy)}` }))

// A dead proxy is not taken for a dead server.
try {
  await client.get('/endpoint', { proxy: 'http://user:secret@127.0.0.1:1', retries: 0 })
} catch (error) {
  if (!(error instanceof NetworkError)) throw error
  console.log(error.code, withoutPorts(error.message))
}

// The context of the document: the oldest version to accept, and servers of before RFC 5746.
const tls = buildTlsContext(
  { protocol: 'TLSv1.2', enableLegacyServerConnect: true, ca: certificate.cert },
  {},
)
const call = client.get(`https://127.0.0.1:${portOf(old)}/`, { tls })
const { connection } = await call.response
console.log(connection?.getExtraInfo('tls')?.version, await call)

async function listen(server: Server): Promise<void> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

function withoutPorts(text: string): string {
  return text.replaceAll(/127\.0\.0\.1:\d{2,}/g, 'HOST')
}

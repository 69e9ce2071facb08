/** Goes through an HTTP proxy: requests for http origins are forwarded, https ones tunnelled. */
import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Server } from 'node:net'
import { isFerryError } from 'ferry/errors'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { createCertificate } from './support/certificates.ts'

const ports = new Map<number, string>()

await using plainServer = createServer((_, response) => response.end('plain'))
await listen(plainServer, 'PLAIN')
const certificate = await createCertificate('IP:127.0.0.1')
await using tlsServer = createTlsServer(certificate, (_, response) => response.end('protected'))
await listen(tlsServer, 'TLS')

await using proxy = createServer((request, response) => {
  note(request)
  if (!isAllowed(request)) {
    response.writeHead(407).end()
    return
  }
  // Forwarding: the request line holds the whole URL, and the proxy sends the request on.
  const { method, headers, url = '' } = request
  const onward = forward(url, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  request.pipe(onward)
})
proxy.on('connect', (request, socket) => {
  note(request)
  if (!isAllowed(request)) {
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    return
  }
  // Tunnelling: the proxy sees bytes only.
  const onward = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    onward.pipe(socket).pipe(onward)
  })
  onward.on('close', () => socket.destroy())
})
await listen(proxy, 'PROXY')

await using client = new ConnectionPool({
  proxy: `http://user:secret@127.0.0.1:${portOf(proxy)}`,
  tls: { ca: certificate.cert },
})
for (const [scheme, server] of [
  ['http', plainServer],
  ['https', tlsServer],
] as const) {
  const url = `${scheme}://127.0.0.1:${portOf(server)}/page?id=1`
  const response = await client.request(new HttpRequest('GET', url))
  const peer = response.connection?.getExtraInfo('peer')
  const content = (await response.body.bytes()).toString()
  console.log(`  ${response.status} ${content}, from ${ports.get(peer?.port ?? 0)}`)
}

// A proxy that does not let us through is an error when it should have opened a tunnel.
await using stranger = new ConnectionPool({ proxy: `http://127.0.0.1:${portOf(proxy)}` })
try {
  await stranger.request(new HttpRequest('GET', `https://127.0.0.1:${portOf(tlsServer)}/`))
} catch (error) {
  if (!isFerryError(error, 'proxy-failed')) throw error
  console.log(`  ${error.code}, ${String(error.detail['status'])}`)
}

function note({ method, url, headers }: IncomingMessage): void {
  const named = url?.replace(/\d+(?=\/|$)/, (port) => ports.get(Number(port)) ?? port)
  console.log(`${method} ${named}, ${headers['proxy-authorization'] ?? 'no credentials'}`)
}

function isAllowed({ headers }: IncomingMessage): boolean {
  return headers['proxy-authorization'] === `Basic ${btoa('user:secret')}`
}

async function listen(server: Server, name: string): Promise<void> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  ports.set(portOf(server), name)
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

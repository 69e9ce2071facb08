/**
 * A server of node:http and node:https for a folder; see node-origin-routes.ts. It also takes an
 * upgrade to the protocol `echo`.
 *
 *     node node-origin-main.ts PORT TLS_PORT ROOT KEY CERT
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { createRoutes } from './node-origin-routes.ts'

// Two of /fields have to fit.
const MAX_HEADER_BYTES = 131_072
const [port, tlsPort, root = '', key = '', cert = ''] = process.argv.slice(2)
const { answer, answerExpectation } = createRoutes(root)
const options = { keepAliveTimeout: 60_000, requestTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES }
const tls = { ...options, key: readFileSync(key), cert: readFileSync(cert) }
listen(createServer(options), port)
listen(createTlsServer(tls), tlsPort)

function listen(server: Server, at: string | undefined): void {
  server.on('request', answer)
  server.on('checkContinue', answerExpectation)
  server.on('upgrade', upgrade)
  server.listen(Number(at), '127.0.0.1')
}

function upgrade(request: IncomingMessage, socket: Duplex, first: Buffer): void {
  socket.on('error', () => {})
  if (request.headers.upgrade !== 'echo') {
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    return
  }
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
  socket.write(first)
  socket.pipe(socket)
}

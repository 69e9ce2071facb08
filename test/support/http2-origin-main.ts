/**
 * A server of node:http2 for a folder, with prior knowledge on its plain port and by ALPN on that of
 * TLS, where HTTP/1.1 is spoken too; see node-origin-routes.ts.
 *
 *     node http2-origin-main.ts PORT TLS_PORT ROOT KEY CERT MAX_CONCURRENT_STREAMS
 */
import { readFileSync } from 'node:fs'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
} from 'node:http2'
import { createRoutes } from './node-origin-routes.ts'

const [port, tlsPort, root = '', key = '', cert = '', maxStreams] = process.argv.slice(2)
const { answer, answerExpectation } = createRoutes(root)
const options = {
  // Fields of a request; a jar of cookies has more than the 128 of node's default.
  maxHeaderListPairs: 1000,
  // MB. What a thousand requests at once take is more than node's 10.
  maxSessionMemory: 100,
  settings: { maxConcurrentStreams: Number(maxStreams), maxHeaderListSize: 262_144 },
}
const tls = { ...options, allowHTTP1: true, key: readFileSync(key), cert: readFileSync(cert) }
listen(createServer(options), port)
listen(createSecureServer(tls), tlsPort)

function listen(server: Http2Server | Http2SecureServer, at: string | undefined): void {
  server.on('request', answer)
  server.on('checkContinue', answerExpectation)
  // A client that goes away is no fault of the server.
  server.on('sessionError', () => {})
  server.listen(Number(at), '127.0.0.1')
}

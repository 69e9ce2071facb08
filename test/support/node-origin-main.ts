/**
 * A server of node:http and node:https: files of a folder, and what a server of files cannot do.
 *
 *     node node-origin-main.ts PORT TLS_PORT ROOT KEY CERT
 *
 *     GET  /small.txt, /big.bin   a file, with Last-Modified and If-Modified-Since
 *     POST /sink, PUT /sink       tells what came as JSON: see `Receipt`
 *     GET  /stall                 never answers
 *     GET  /chunked               three chunks
 *     GET  /trailers              three chunks and the trailer X-Sum
 *     GET  /hints                 103, then 200
 *     GET  /status/CODE           that status without content
 *     POST /late                  as /sink, with 100 (Continue) only after LATE_CONTINUE_MS
 *     POST /refused               417 to `Expect: 100-continue`, without reading the content
 *     GET  /echo                  upgrades to the protocol `echo`
 */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { type Duplex, pipeline } from 'node:stream'
import { LATE_CONTINUE_MS, type Receipt } from './node-origin-api.ts'

const FILES: ReadonlySet<string> = new Set(['/small.txt', '/big.bin'])
const [port, tlsPort, root = '', key = '', cert = ''] = process.argv.slice(2)
const options = { keepAliveTimeout: 60_000, requestTimeout: 0 }
const tls = { ...options, key: readFileSync(key), cert: readFileSync(cert) }
listen(createServer(options), port)
listen(createTlsServer(tls), tlsPort)

function listen(server: Server, at: string | undefined): void {
  server.on('request', answer)
  server.on('checkContinue', answerExpectation)
  server.on('upgrade', upgrade)
  server.listen(Number(at), '127.0.0.1')
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '').replace(/\?.*$/, '')
  const status = /^\/status\/(\d{3})$/.exec(path)?.[1]
  if (FILES.has(path)) answerFile(request, response, join(root, path))
  else if (status !== undefined) response.writeHead(Number(status)).end()
  else if (path === '/sink' || path === '/late') answerSink(request, response)
  else if (path === '/chunked') answerChunks(response)
  else if (path === '/trailers') answerTrailers(response)
  else if (path === '/hints') answerHints(response)
  else if (path !== '/stall') response.writeHead(404).end()
}

function answerExpectation(request: IncomingMessage, response: ServerResponse): void {
  if (request.url === '/refused') {
    response.writeHead(417, { 'Content-Length': 0 }).end()
    return
  }
  const delayMs = request.url === '/late' ? LATE_CONTINUE_MS : 0
  setTimeout(() => {
    response.writeContinue()
    answer(request, response)
  }, delayMs)
}

function answerFile(request: IncomingMessage, response: ServerResponse, path: string): void {
  const { size, mtime } = statSync(path)
  const modified = mtime.toUTCString()
  if (request.headers['if-modified-since'] === modified) {
    response.writeHead(304, { 'Last-Modified': modified }).end()
    return
  }
  response.writeHead(200, { 'Content-Length': size, 'Last-Modified': modified })
  if (request.method === 'HEAD') response.end()
  // A client that goes away is no fault of the server.
  else pipeline(createReadStream(path, { highWaterMark: 262_144 }), response, () => {})
}

function answerSink(request: IncomingMessage, response: ServerResponse): void {
  const digest = createHash('sha256')
  let length = 0
  request.on('data', (bytes: Buffer) => {
    digest.update(bytes)
    length += bytes.length
  })
  request.on('end', () => {
    const { method = '', headers, trailers } = request
    const receipt: Receipt = { method, length, sha256: digest.digest('hex'), headers, trailers }
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(receipt))
  })
  request.on('error', () => {})
}

function answerChunks(response: ServerResponse): void {
  for (const piece of ['one ', 'two ', 'three']) response.write(piece)
  response.end()
}

function answerTrailers(response: ServerResponse): void {
  response.writeHead(200, { Trailer: 'X-Sum' })
  response.addTrailers({ 'X-Sum': 'abc' })
  answerChunks(response)
}

function answerHints(response: ServerResponse): void {
  response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
  response.writeHead(200, { 'Content-Length': 2 }).end('ok')
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

/**
 * The misbehaving server of the soak, a process of its own: prints its three ports once it listens:
 * rough, steady, fragile. Rough and fragile close kept connections whenever they like, as each route
 * tells; the steady one never does, so that requests which cannot be repeated have no excuse there.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { contentOf, digestOf } from './soak-content.ts'

type Route = (request: IncomingMessage, response: ServerResponse, bytes: number) => void

// Short enough that requests often meet a connection that is being closed.
const KEEP_ALIVE_TIMEOUT_MS = 30
const SLOW_MS = 20
const CHUNK_BYTES = 5000
/** Longer than a head takes to be on its way; a reset overtakes what has not been read yet. */
const BEFORE_RESET_MS = 5

/** `/name/BYTES` */
const ROUTES: Readonly<Record<string, Route>> = {
  length: sendWhole,
  chunked: sendChunked,
  information: sendWithInformation,
  slow: sendSlowly,
  trailers: (_, response, bytes) => {
    response.writeHead(200, { trailer: 'x-digest' }).write(contentOf(bytes))
    response.addTrailers({ 'x-digest': digestOf(contentOf(bytes)) })
    response.end()
  },
  echo: (request, response) => void answerWithDigest(request, response, 'content'),
  'echo-trailers': (request, response) => void answerWithDigest(request, response, 'trailers'),
  close: (request, response, bytes) => {
    response.setHeader('connection', 'close')
    sendWhole(request, response, bytes)
  },
  'close-silently': (request, response, bytes) => {
    sendWhole(request, response, bytes)
    response.once('finish', () => request.socket.end())
  },
  reset: ({ socket }) => socket.resetAndDestroy(),
  'reset-half': ({ socket }, response, bytes) => {
    sendHalf(response, bytes)
    setTimeout(() => socket.resetAndDestroy(), BEFORE_RESET_MS)
  },
  'end-half': ({ socket }, response, bytes) => {
    sendHalf(response, bytes)
    setTimeout(() => socket.destroy(), BEFORE_RESET_MS)
  },
  'stall-head': () => {},
  'stall-half': (_, response, bytes) => sendHalf(response, bytes),
}

const ports = await Promise.all([KEEP_ALIVE_TIMEOUT_MS, 0, KEEP_ALIVE_TIMEOUT_MS].map(listen))
process.stdout.write(`${ports.join(' ')}\n`)

async function listen(keepAliveTimeout: number): Promise<number> {
  const server = createServer({ keepAliveTimeout }, answer)
  // Added to the timeout, so that clients which heed it are never late. Ours shall be.
  server.keepAliveTimeoutBuffer = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const [, name = '', bytes] = (request.url ?? '').split('/')
  request.on('error', () => {})
  response.on('error', () => {})
  const route = ROUTES[name]
  if (route !== undefined) route(request, response, Number(bytes))
  else response.writeHead(404).end()
}

function sendWhole(_request: IncomingMessage, response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': bytes }).end(contentOf(bytes))
}

function sendChunked(_request: IncomingMessage, response: ServerResponse, bytes: number): void {
  response.writeHead(200)
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    response.write(contentOf(bytes).subarray(at, at + CHUNK_BYTES))
  }
  response.end()
}

function sendWithInformation(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: number,
): void {
  response.writeProcessing()
  response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => {
    sendWhole(request, response, bytes)
  })
}

function sendSlowly(_request: IncomingMessage, response: ServerResponse, bytes: number): void {
  sendHalf(response, bytes)
  setTimeout(() => response.end(contentOf(bytes).subarray(bytes / 2)), SLOW_MS)
}

/** The head promises all of it. */
function sendHalf(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': bytes }).write(contentOf(bytes / 2))
}

/** The digest is of the content, or what the trailers tell of it. */
async function answerWithDigest(
  request: IncomingMessage,
  response: ServerResponse,
  source: 'content' | 'trailers',
): Promise<void> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    // The client gave up; nobody waits for an answer.
    return
  }
  const content = Buffer.concat(chunks)
  const digest = source === 'content' ? digestOf(content) : request.trailers['x-digest']
  response.end(`${content.length} ${digest}`)
}

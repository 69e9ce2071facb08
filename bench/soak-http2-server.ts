/**
 * The misbehaving server of the soak over HTTP/2, without TLS: prints its three ports once it listens.
 * Rough ends its connections now and then, but lets each request that runs come to its end; steady
 * never does; fragile breaks connections under those who ask for it, and whoever shares them.
 */
import { once } from 'node:events'
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { contentOf, digestOf } from './soak-content.ts'

type Route = (stream: ServerHttp2Stream, bytes: number) => void

/**
 * More than come. node still counts streams that have just ended, and ends those beyond its bound with
 * ENHANCE_YOUR_CALM, which does not say that nothing was done. Requests that wait are nginx's part.
 */
const MAX_STREAMS = 1000
const MAX_SESSION_MS = 4000
/** Of a connection. node's own of 64 KiB would make a hundred uploads wait for each other. */
const WINDOW_BYTES = 1_048_576
const SLOW_MS = 20
const PIECE_BYTES = 5000
/** Longer than a head takes to be on its way; a reset overtakes what has not been read yet. */
const BEFORE_RESET_MS = 5
/** Rarely enough that no request is refused more often than it is sent again. */
const REFUSED_SHARE = 0.02
/** A connection is that of many requests, and one that came too late is sent again a few times only. */
const CLOSED_SHARE = 0.03
const OPTIONS = {
  settings: { maxConcurrentStreams: MAX_STREAMS },
  // Giving up is what clients do here all the time; it is no attack.
  streamResetBurst: 1_000_000_000,
  streamResetRate: 1_000_000_000,
  maxSessionRejectedStreams: 1_000_000_000,
} as const

/** `/name/BYTES` */
const ROUTES: Readonly<Record<string, Route>> = {
  length: sendWhole,
  chunked: sendInPieces,
  information: (stream, bytes) => {
    stream.additionalHeaders({ ':status': 102 })
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' })
    sendWhole(stream, bytes)
  },
  slow: (stream, bytes) => {
    sendHalf(stream, bytes)
    setTimeout(() => endWith(stream, contentOf(bytes).subarray(bytes / 2)), SLOW_MS)
  },
  trailers: sendTrailers,
  echo: (stream) => void answerWithDigest(stream, 'content'),
  'echo-trailers': (stream) => void answerWithDigest(stream, 'trailers'),
  // GOAWAY: what runs goes on, what comes too late is to be sent again.
  close: (stream, bytes) => {
    sendWhole(stream, bytes)
    if (Math.random() < CLOSED_SHARE) stream.session?.close()
  },
  refuse: (stream, bytes) => {
    if (Math.random() < REFUSED_SHARE) stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else sendWhole(stream, bytes)
  },
  reset,
  'reset-half': (stream, bytes) => {
    sendHalf(stream, bytes)
    setTimeout(reset, BEFORE_RESET_MS, stream)
  },
  lose: ({ session }) => session?.destroy(),
  'end-half': (stream, bytes) => {
    sendHalf(stream, bytes)
    setTimeout(() => stream.session?.destroy(), BEFORE_RESET_MS)
  },
  'stall-head': () => {},
  'stall-half': sendHalf,
}

const servers = [createServer(OPTIONS), createServer(OPTIONS), createServer(OPTIONS)] as const
servers[0].on('session', endSoon)
const ports = await Promise.all(servers.map(listen))
process.stdout.write(`${ports.join(' ')}\n`)

async function listen(server: Http2Server): Promise<number> {
  server.on('stream', answer)
  server.on('session', (session) => {
    session.on('error', () => {})
    session.setLocalWindowSize(WINDOW_BYTES)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** At any moment, also between requests. */
function endSoon(session: ServerHttp2Session): void {
  const timer = setTimeout(() => session.close(), Math.random() * MAX_SESSION_MS)
  session.once('close', () => clearTimeout(timer))
}

function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const [, name = '', bytes] = (headers[':path'] ?? '').split('/')
  stream.on('error', () => {})
  const route = ROUTES[name]
  if (route !== undefined) route(stream, Number(bytes))
  else stream.respond({ ':status': 404 }, { endStream: true })
}

function sendWhole(stream: ServerHttp2Stream, bytes: number): void {
  stream.respond({ ':status': 200, 'content-length': bytes })
  stream.end(contentOf(bytes))
}

/** Without saying how much it will be. */
function sendInPieces(stream: ServerHttp2Stream, bytes: number): void {
  stream.respond({ ':status': 200 })
  for (let at = 0; at < bytes; at += PIECE_BYTES) {
    stream.write(contentOf(bytes).subarray(at, at + PIECE_BYTES))
  }
  stream.end()
}

/** The head promises all of it. */
function sendHalf(stream: ServerHttp2Stream, bytes: number): void {
  stream.respond({ ':status': 200, 'content-length': bytes })
  stream.write(contentOf(bytes / 2))
}

/** `close()` would send an end before. */
function reset(stream: ServerHttp2Stream): void {
  stream.destroy(new Error('Reset by the soak'))
}

function sendTrailers(stream: ServerHttp2Stream, bytes: number): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-digest': digestOf(contentOf(bytes)) }))
  stream.end(contentOf(bytes))
}

/** The digest is of the content, or what the trailers tell of it. */
async function answerWithDigest(
  stream: ServerHttp2Stream,
  source: 'content' | 'trailers',
): Promise<void> {
  const chunks: Buffer[] = []
  let announced: unknown
  stream.on('trailers', (trailers) => (announced = trailers['x-digest']))
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer)
  } catch {
    // The client gave up; nobody waits for an answer.
    return
  }
  const content = Buffer.concat(chunks)
  const digest = source === 'content' ? digestOf(content) : String(announced)
  if (stream.destroyed) return
  stream.respond({ ':status': 200 })
  stream.end(`${content.length} ${digest}`)
}

function endWith(stream: ServerHttp2Stream, bytes: Uint8Array): void {
  if (!stream.destroyed) stream.end(bytes)
}

/** How many streams servers allow on a connection, and what else they may do with frames as they like. */
import {
  createServer,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CountingBackend } from '../support/counting-backend.ts'
import { Nghttpd } from '../support/nghttpd.ts'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import { Site, SMALL_TEXT } from '../support/site.ts'
import { digestOf } from '../support/temp-dir.ts'

const MANY = 200

let site: Site
beforeAll(async () => {
  site = await Site.create()
})
afterAll(() => site[Symbol.asyncDispose]())

test('node:http2 that allows two streams never has three on a connection', async () => {
  await using server = await openLimited(2)
  await using pool = new ConnectionPool({ http2: 'prior-knowledge', maxConnectionsPerOrigin: 2 })

  const texts = await burst(pool, server.url)

  expect(new Set(texts)).toEqual(new Set(['ok']))
  expect(server.peak).toBeLessThanOrEqual(2)
})

test('nghttpd that allows one stream is asked one after another', async () => {
  await using server = await Nghttpd.start(site, { maxConcurrentStreams: 1 })
  await using pool = new ConnectionPool({
    http2: 'alpn',
    tls: { ca: site.ca },
    maxConnectionsPerOrigin: 1,
  })

  const texts = await burst(pool, server.url('/small.txt', 'https'))

  expect(new Set(texts)).toEqual(new Set([SMALL_TEXT]))
})

test('nginx that allows three streams is asked over more connections', async () => {
  await using server = await startNginxOrigin(site, { http2: { maxConcurrentStreams: 3 } })
  const backend = new CountingBackend()
  await using pool = new ConnectionPool({
    backend,
    http2: 'alpn',
    tls: { ca: site.ca },
    maxConnectionsPerOrigin: 4,
  })

  const texts = await burst(pool, server.url('/small.txt', 'https'))

  expect(new Set(texts)).toEqual(new Set([SMALL_TEXT]))
  expect(backend.opened).toBeLessThanOrEqual(4)
})

test('a request that waits for a stream can be given up', async () => {
  await using server = await Nghttpd.start(site, { maxConcurrentStreams: 1 })
  await using pool = new ConnectionPool({ http2: 'prior-knowledge', maxConnectionsPerOrigin: 1 })
  const big = await pool.request(new HttpRequest('GET', server.url('/big.bin', 'http')))
  const abort = new AbortController()
  const reason = new Error('enough')
  const small = new HttpRequest('GET', server.url('/small.txt', 'http'))
  const waiting = pool.request(small, { signal: abort.signal })
  await expect.poll(() => pool.toString(), { interval: 5 }).toContain('waiting 1')

  abort.abort(reason)

  await expect(waiting).rejects.toBe(reason)
  big.body.cancel()
  const next = await pool.request(small)
  expect((await next.body.bytes()).toString()).toBe(SMALL_TEXT)
  expect(pool.metrics().created).toBe(1)
})

test('nghttpd that pads its frames is no attacker', async () => {
  await using server = await Nghttpd.start(site, { maxConcurrentStreams: 100, maxPadding: 64 })
  await using pool = new ConnectionPool({ http2: 'prior-knowledge' })

  const response = await pool.request(new HttpRequest('GET', server.url('/big.bin', 'http')))

  expect(digestOf(await response.body.bytes())).toBe(site.bigDigest)
})

/** A server in this process. Whoever opens it disposes of it. */
interface Limited extends AsyncDisposable {
  readonly url: string
  /** The most streams that a connection has had at once. */
  readonly peak: number
}

async function openLimited(maxConcurrentStreams: number): Promise<Limited> {
  const server = createServer({ settings: { maxConcurrentStreams } })
  const sessions = new Set<ServerHttp2Session>()
  const open = new Map<Http2Session, number>()
  let peak = 0
  const count = (session: Http2Session, change: number): void => {
    open.set(session, (open.get(session) ?? 0) + change)
    peak = Math.max(peak, open.get(session) ?? 0)
  }
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream: ServerHttp2Stream) => {
    const { session } = stream
    if (session === undefined) return
    count(session, 1)
    stream.on('close', () => count(session, -1))
    setTimeout(() => {
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }, 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get peak() {
      return peak
    },
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sends so many as MANY at once and gives the contents. */
function burst(pool: ConnectionPool, url: string): Promise<string[]> {
  return Promise.all(
    Array.from({ length: MANY }, async () => {
      const response = await pool.request(new HttpRequest('GET', url))
      return (await response.body.bytes()).toString()
    }),
  )
}

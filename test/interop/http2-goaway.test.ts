/**
 * Servers that end HTTP/2 connections while requests are under way: reloads of real ones, GOAWAY of
 * node:http2, streams that are refused. No idempotent request may be lost to it.
 */
import {
  createServer,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { startApache } from '../support/apache.ts'
import { startCaddy } from '../support/caddy.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { startNghttpx } from '../support/nghttpx.ts'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import type { OriginServer, Scheme } from '../support/origin-server.ts'
import { Site } from '../support/site.ts'

const HTTP2 = { maxConcurrentStreams: 100 }
const LOOPS = 200
const RELOADS = 2
const RELOAD_INTERVAL_MS = 400
/** node:http2 as `NGHTTP2_REFUSED_STREAM`. */
const REFUSED_STREAM = 0x7

interface Row {
  readonly name: string
  readonly start: (site: Site) => Promise<OriginServer>
  /** Where its connections live through a reload. */
  readonly keeps?: Scheme
}

const SERVERS: readonly Row[] = [
  { name: 'nginx', start: (site) => startNginxOrigin(site, { http2: HTTP2 }) },
  { name: 'apache', start: (site) => startApache(site, HTTP2) },
  { name: 'haproxy', start: (site) => startHaproxy(site, HTTP2) },
  { name: 'caddy', start: (site) => startCaddy(site, { http2: true }), keeps: 'http' },
  { name: 'nghttpx', start: (site) => startNghttpx(site, HTTP2) },
]
const SCHEMES: readonly Scheme[] = ['https', 'http']

let site: Site
beforeAll(async () => {
  site = await Site.create()
})
afterAll(() => site[Symbol.asyncDispose]())

describe.each(SERVERS)('$name', ({ start, keeps }) => {
  let server: OriginServer
  beforeAll(async () => {
    server = await start(site)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test.each(SCHEMES)('%s: a reload under load fails no idempotent request', async (scheme) => {
    onTestFailed(() => console.log(`${server.name} said:\n${server.log.slice(-4000)}`))
    await using pool = new ConnectionPool({
      http2: scheme === 'https' ? 'alpn' : 'prior-knowledge',
      tls: { ca: site.ca },
    })
    const load = startLoad(pool, server.url('/small.txt', scheme))

    try {
      for (let reload = 0; reload < RELOADS; reload++) {
        await sleep(RELOAD_INTERVAL_MS)
        await server.reload()
      }
      await sleep(RELOAD_INTERVAL_MS)
      await expect.poll(() => load.answers, { timeout: 20_000 }).toBeGreaterThan(LOOPS)
    } finally {
      await load.stop()
    }

    expect(load.failures).toEqual([])
    // It did go over to the new ones.
    if (scheme !== keeps) expect(pool.metrics().created).toBeGreaterThan(1)
  })
})

describe('node:http2', () => {
  test('session.close() under load fails no idempotent request', async () => {
    await using server = await openServer()
    await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
    const load = startLoad(pool, server.url)

    for (let round = 0; round < 20; round++) {
      await sleep(30)
      await expect.poll(() => pool.metrics().created, { interval: 5 }).toBeGreaterThan(round)
      for (const session of server.sessions) session.close()
    }
    await load.stop()

    expect(load.failures).toEqual([])
  })

  test('GOAWAY with the last stream that is served fails no idempotent request', async () => {
    await using server = await openServer()
    await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
    const load = startLoad(pool, server.url)

    for (let round = 0; round < 20; round++) {
      await sleep(30)
      await expect.poll(() => pool.metrics().created, { interval: 5 }).toBeGreaterThan(round)
      for (const session of server.sessions) session.goaway(0, server.lastStreamOf(session))
    }
    await load.stop()

    expect(load.failures).toEqual([])
  })

  test('a stream that GOAWAY leaves is served to its end', async () => {
    await using server = await openServer()
    await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
    const slow = await pool.request(new HttpRequest('GET', `${server.url}slow`))

    for (const session of server.sessions) session.close()
    const next = await pool.request(new HttpRequest('GET', server.url))

    expect((await next.body.bytes()).toString()).toBe('ok')
    expect((await slow.body.bytes()).toString()).toBe('slow and whole')
    expect(pool.metrics().created).toBe(2)
  })

  test('streams that are refused at first are served later', async () => {
    await using server = await openServer({ refuse: 20 })
    await using pool = new ConnectionPool({ http2: 'prior-knowledge' })

    const outcomes = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const method = index % 2 === 0 ? 'GET' : 'POST'
        const content = method === 'POST' ? { content: 'hello' } : {}
        const response = await pool.request(new HttpRequest(method, server.url, content))
        return (await response.body.bytes()).toString()
      }),
    )

    expect(new Set(outcomes)).toEqual(new Set(['ok']))
  })

  test('a connection that is destroyed under load fails nothing that can be sent again', async () => {
    await using server = await openServer()
    await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
    // Each has used its connection before.
    const load = startLoad(pool, server.url, { mayBeLost: true })

    for (let round = 0; round < 10; round++) {
      await sleep(30)
      for (const session of server.sessions) session.destroy()
    }
    await load.stop()

    expect(load.failures).toEqual([])
    expect(pool.toString()).toMatch(/^empty$|active 0 .* connecting 0 waiting 0/)
  })
})

interface Load {
  readonly failures: readonly string[]
  readonly answers: number
  stop(): Promise<void>
}

/** Sends GET over and over in as many loops as LOOPS. */
function startLoad(
  pool: ConnectionPool,
  url: string,
  { mayBeLost = false }: { mayBeLost?: boolean } = {},
): Load {
  const failures: string[] = []
  let answers = 0
  let running = true
  const repeat = async (): Promise<void> => {
    while (running) {
      try {
        const response = await pool.request(new HttpRequest('GET', url))
        await response.body.bytes()
        if (response.status === 200) answers++
        // A server that gives up its own connection to the one behind it says 502: an answer.
        else if (response.status !== 502) failures.push(String(response.status))
      } catch (error) {
        const { code } = error as { code?: string }
        if (!mayBeLost || code !== 'connection-lost') failures.push(String(error))
      }
      await sleep(1)
    }
  }
  const loops = Array.from({ length: LOOPS }, repeat)
  return {
    failures,
    get answers() {
      return answers
    },
    stop: async () => {
      running = false
      await Promise.all(loops)
    },
  }
}

/** A server in this process. Whoever opens it disposes of it. */
interface Listening extends AsyncDisposable {
  readonly url: string
  readonly sessions: ReadonlySet<ServerHttp2Session>
  /** The number of the last stream that was begun on a connection. */
  lastStreamOf(session: ServerHttp2Session): number
}

/** Opens a server that answers `ok`, slowly at /slow, after refusing so many streams. */
async function openServer({ refuse = 0 }: { refuse?: number } = {}): Promise<Listening> {
  const server: Http2Server = createServer()
  const sessions = new Set<ServerHttp2Session>()
  const lastStreams = new WeakMap<Http2Session, number>()
  let refused = 0
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    if (stream.session !== undefined) lastStreams.set(stream.session, stream.id ?? 0)
    if (refused++ < refuse) {
      stream.close(REFUSED_STREAM)
      return
    }
    stream.respond({ ':status': 200 })
    if (headers[':path'] !== '/slow') {
      stream.end('ok')
      return
    }
    stream.write('slow ')
    setTimeout(() => stream.end('and whole'), 100)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    sessions,
    lastStreamOf: (session) => lastStreams.get(session) ?? 0,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

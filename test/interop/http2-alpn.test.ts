/** Which version is spoken, as ALPN and the pool's settings have it, and what a cold burst opens. */
import { readFile } from 'node:fs/promises'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import { createServer as createHttpsServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { ConnectionPool, type ConnectionPoolOptions, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CountingBackend } from '../support/counting-backend.ts'
import { Site } from '../support/site.ts'

const BURST = 50

let site: Site
let tls: { readonly key: string; readonly cert: string }
beforeAll(async () => {
  site = await Site.create()
  tls = { key: await readFile(site.tls.key, 'utf8'), cert: site.ca }
})
afterAll(() => site[Symbol.asyncDispose]())

/** Servers of each choice, and what each setting of the pool makes of them: version or error code. */
const CHOICES = [
  { offers: 'h2 and http/1.1', alpn: '2', prior: '2', off: '1.1' },
  { offers: 'h2 only', alpn: '2', prior: '2', off: 'tls-failed' },
  { offers: 'http/1.1 only', alpn: '1.1', prior: 'tls-failed', off: '1.1' },
  { offers: 'no ALPN', alpn: '1.1', prior: 'tls-failed', off: '1.1' },
] as const

test.each(CHOICES)('$offers: alpn $alpn, prior-knowledge $prior, off $off', async (choice) => {
  await using server = await openSecure(choice.offers)

  expect(await versionOf(server.url, { http2: 'alpn' })).toBe(choice.alpn)
  expect(await versionOf(server.url, {})).toBe(choice.alpn)
  expect(await versionOf(server.url, { http2: 'prior-knowledge' })).toBe(choice.prior)
  expect(await versionOf(server.url, { http2: 'off' })).toBe(choice.off)
})

test('plain http is HTTP/1.1 unless HTTP/2 is known to be spoken', async () => {
  const url = site.backend.url('/small.txt')

  expect(await versionOf(url, { http2: 'alpn' })).toBe('1.1')
  expect(await versionOf(url, { http2: 'off' })).toBe('1.1')
  expect(await versionOf(url, { http2: 'prior-knowledge' })).toBe('remote-protocol')
})

test('a cold burst opens one connection to a server of HTTP/2', async () => {
  await using server = await openSecure('h2 and http/1.1')
  const backend = new CountingBackend()
  await using pool = new ConnectionPool({ backend, tls: { ca: site.ca } })

  const versions = await burst(pool, server.url, BURST)

  expect(new Set(versions)).toEqual(new Set(['2']))
  expect(backend.opened).toBe(1)
})

test('a cold burst opens as many as it may to a server of HTTP/1.1', async () => {
  await using server = await openSecure('http/1.1 only')
  const backend = new CountingBackend()
  await using pool = new ConnectionPool({
    backend,
    tls: { ca: site.ca },
    maxConnectionsPerOrigin: 8,
  })

  const versions = await burst(pool, server.url, BURST)

  expect(new Set(versions)).toEqual(new Set(['1.1']))
  expect(backend.opened).toBeLessThanOrEqual(8)
})

test('a burst after an HTTP/2 connection was closed opens one again', async () => {
  await using server = await openSecure('h2 and http/1.1')
  const backend = new CountingBackend()
  await using pool = new ConnectionPool({ backend, tls: { ca: site.ca }, idleTimeoutMs: 20 })
  await burst(pool, server.url, 1)
  await expect.poll(() => pool.metrics().closed, { interval: 10 }).toBe(1)

  await burst(pool, server.url, BURST)

  expect(backend.opened).toBe(2)
})

/** A server in this process. Whoever opens it disposes of it. */
interface Listening extends AsyncDisposable {
  readonly url: string
}

type AnyServer = Http2SecureServer | Server

function openSecure(offers: (typeof CHOICES)[number]['offers']): Promise<Listening> {
  return listen(createFor(offers))
}

function createFor(offers: (typeof CHOICES)[number]['offers']): AnyServer {
  switch (offers) {
    case 'h2 and http/1.1':
      return createSecureServer({ ...tls, allowHTTP1: true }, (_request, response) => {
        response.end('ok')
      })
    case 'h2 only':
      return createSecureServer({ ...tls }, (_request, response) => {
        response.end('ok')
      })
    case 'http/1.1 only':
      return createHttpsServer({ ...tls, ALPNProtocols: ['http/1.1'] }, (_request, response) => {
        response.end('ok')
      })
    case 'no ALPN':
      return createHttpsServer({ ...tls, ALPNProtocols: [] }, (_request, response) => {
        response.end('ok')
      })
  }
}

async function listen(server: AnyServer): Promise<Listening> {
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session: ServerHttp2Session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function versionOf(url: string, options: ConnectionPoolOptions): Promise<string> {
  await using pool = new ConnectionPool({ ...options, tls: { ca: site.ca } })
  try {
    const response = await pool.request(new HttpRequest('GET', url))
    await response.body.bytes()
    return response.version
  } catch (error) {
    return String((error as { code?: string }).code)
  }
}

/** Sends so many at once and gives the version of each answer. */
function burst(pool: ConnectionPool, url: string, count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const response = await pool.request(new HttpRequest('GET', url))
      await response.body.bytes()
      return response.version
    }),
  )
}

/**
 * Every behaviour of http2-behaviours.ts against every server, over TLS by ALPN and over plain TCP
 * by prior knowledge.
 */
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { startApache } from '../support/apache.ts'
import { startCaddy } from '../support/caddy.ts'
import { CountingBackend } from '../support/counting-backend.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { startHttp2Origin } from '../support/http2-origin.ts'
import { createHttp2Site, type Http2Site } from '../support/http2-site.ts'
import { startLighttpd } from '../support/lighttpd.ts'
import { Nghttpd } from '../support/nghttpd.ts'
import { startNghttpx } from '../support/nghttpx.ts'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import type { Scheme } from '../support/origin-server.ts'
import { type Site, SMALL_TEXT } from '../support/site.ts'
import {
  HTTP2_BEHAVIOURS,
  type Http2Behaviour,
  type Http2BehaviourId,
  type Http2Visit,
} from './http2-behaviours.ts'

/** A server that is running. */
interface Peer extends AsyncDisposable {
  readonly name: string
  readonly log: string
  url(path: string, scheme: Scheme): string
}

/** A server, and what it cannot show, each with the reason. */
interface Row {
  readonly name: string
  readonly start: (site: Site) => Promise<Peer>
  readonly cannot: Partial<Record<Http2BehaviourId, string>>
  readonly uploads?: Http2Visit['uploads']
}

/** A thousand requests fit into one connection at once. */
const HTTP2 = { maxConcurrentStreams: 1024 }

const DEAF_TO_CONTINUE = 'keeps every second such request back from the server behind it (1.52)'
const WANTS_LENGTH =
  'refuses content of unknown length (411) when the server behind it has to read it'
const NO_ROUTES = 'serves files and nothing else'
const SERVERS: readonly Row[] = [
  {
    name: 'node:http2',
    start: (site) => startHttp2Origin(site, HTTP2),
    cannot: {},
  },
  {
    name: 'nginx',
    start: (site) => startNginxOrigin(site, { http2: HTTP2 }),
    cannot: {
      continue: 'sends no 100 over HTTP/2 (1.22)',
      'late-continue': 'sends no 100 over HTTP/2 (1.22)',
      'sent-trailers': 'closes the connection, saying PROTOCOL_ERROR (1.22)',
      hints: 'takes a 103 from behind for the response, and is of no use afterwards (1.22)',
    },
  },
  {
    name: 'apache',
    start: (site) => startApache(site, HTTP2),
    cannot: { 'sent-trailers': 'drops them' },
  },
  { name: 'haproxy', start: (site) => startHaproxy(site, HTTP2), cannot: {} },
  {
    name: 'caddy',
    start: (site) => startCaddy(site, { http2: true }),
    cannot: {
      'sent-trailers': 'drops them',
      'late-continue': 'sends 100 by itself',
      refusal: 'asks for the content before the server behind has answered',
    },
  },
  {
    name: 'nghttpx',
    start: (site) => startNghttpx(site, HTTP2),
    cannot: {
      continue: DEAF_TO_CONTINUE,
      'late-continue': DEAF_TO_CONTINUE,
      refusal: DEAF_TO_CONTINUE,
    },
  },
  {
    name: 'lighttpd',
    start: startLighttpd,
    cannot: {
      'post-unknown': WANTS_LENGTH,
      'upload-unknown': WANTS_LENGTH,
      'sent-trailers': WANTS_LENGTH,
      'abort-upload': WANTS_LENGTH,
      trailers: 'makes a malformed field of them (1.4.69)',
      hints: 'sends the names of fields in capitals (1.4.69)',
      'late-continue': 'sends 100 by itself',
      'sent-fields': 'takes 8 KiB of fields',
    },
  },
  {
    name: 'nghttpd',
    start: (site) => Nghttpd.start(site, HTTP2),
    uploads: 'echo',
    cannot: {
      '204': NO_ROUTES,
      hints: NO_ROUTES,
      'late-continue': NO_ROUTES,
      refusal: NO_ROUTES,
      'abort-head': NO_ROUTES,
      fields: NO_ROUTES,
      cookies: 'does not tell what it got',
      'sent-fields': 'does not tell what it got',
      'sent-trailers': 'does not tell what it got',
    },
  },
]
const SCHEMES: readonly Scheme[] = ['https', 'http']

let made: Http2Site
beforeAll(async () => {
  made = await createHttp2Site()
})
afterAll(() => made.site[Symbol.asyncDispose]())

describe.each(SERVERS)('$name', ({ start, cannot, uploads = 'receipt' }) => {
  let server: Peer
  beforeAll(async () => {
    server = await start(made.site)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const shown = (Object.entries(HTTP2_BEHAVIOURS) as [Http2BehaviourId, Http2Behaviour][]).filter(
    ([id]) => cannot[id] === undefined,
  )
  describe.each(SCHEMES)('%s', (scheme) => {
    test.each(shown.map(([, behaviour]) => behaviour))('$name', async ({ show }) => {
      onTestFailed(() => console.log(`${server.name} said:\n${server.log.slice(-4000)}`))
      const { site, mediumDigest } = made
      const backend = new CountingBackend()
      await using pool = new ConnectionPool({
        backend,
        http2: scheme === 'https' ? 'alpn' : 'prior-knowledge',
        tls: { ca: site.ca },
        maxConnectionsPerOrigin: 1,
      })
      const url = (path: string): string => server.url(path, scheme)

      await show({ site, mediumDigest, pool, backend, url, uploads })

      await expectAtRest(pool)
      const next = await pool.request(new HttpRequest('GET', url('/small.txt')))
      expect((await next.body.bytes()).toString()).toBe(SMALL_TEXT)
    })
  })
})

/** Expects that no exchange is left in the pool; idle connections may stay. */
async function expectAtRest(pool: ConnectionPool): Promise<void> {
  await expect
    .poll(() => pool.toString(), { interval: 10, timeout: 5000 })
    .toMatch(/^(empty|\S+ active 0 idle \d+ connecting 0 waiting 0)$/)
}

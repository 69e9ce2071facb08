/** Every behaviour of http1-behaviours.ts against every server, over plain TCP and over TLS. */
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { startApache } from '../support/apache.ts'
import { startCaddy } from '../support/caddy.ts'
import { CountingBackend } from '../support/counting-backend.ts'
import { startHaproxy } from '../support/haproxy.ts'
import { startLighttpd } from '../support/lighttpd.ts'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import { startNodeOrigin } from '../support/node-origin.ts'
import type { OriginServer, Scheme } from '../support/origin-server.ts'
import { Site, SMALL_TEXT } from '../support/site.ts'
import { type Behaviour, type BehaviourId, BEHAVIOURS, expectAtRest } from './http1-behaviours.ts'

/** A server, and what it cannot show, each with the reason. */
interface Row {
  readonly name: string
  readonly start: (site: Site) => Promise<OriginServer>
  readonly cannot: Partial<Record<BehaviourId, string>>
}

const SERVERS: readonly Row[] = [
  {
    name: 'node:http',
    start: startNodeOrigin,
    cannot: { reload: 'it is no server with settings' },
  },
  {
    name: 'nginx',
    start: (site) => startNginxOrigin(site),
    cannot: {
      'late-continue': 'sends 100 by itself',
      'sent-trailers': 'drops them',
      hints: 'takes a 103 from behind for the response, and is of no use afterwards (1.22)',
    },
  },
  {
    name: 'apache',
    start: startApache,
    cannot: {
      trailers: 'drops them',
      'sent-trailers': 'drops them',
      'late-continue': 'sends 100 by itself',
    },
  },
  { name: 'haproxy', start: startHaproxy, cannot: {} },
  {
    name: 'caddy',
    start: startCaddy,
    cannot: {
      'sent-trailers': 'drops them',
      'late-continue': 'sends 100 by itself',
      refusal: 'asks for the content before the server behind has answered',
    },
  },
  {
    name: 'lighttpd',
    start: startLighttpd,
    cannot: {
      trailers: 'makes ordinary fields of them',
      'sent-trailers': 'drops them',
      'late-continue': 'sends 100 by itself',
      'slow-server': 'keeps what the server behind does not take in files',
    },
  },
]
const SCHEMES: readonly Scheme[] = ['http', 'https']

let site: Site
beforeAll(async () => {
  site = await Site.create()
})
afterAll(() => site[Symbol.asyncDispose]())

describe.each(SERVERS)('$name', ({ start, cannot }) => {
  let server: OriginServer
  beforeAll(async () => {
    server = await start(site)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const shown = (Object.entries(BEHAVIOURS) as [BehaviourId, Behaviour][]).filter(
    ([id]) => cannot[id] === undefined,
  )
  describe.each(SCHEMES)('%s', (scheme) => {
    test.each(shown.map(([, behaviour]) => behaviour))('$name', async ({ show }) => {
      onTestFailed(() => console.log(`${server.name} said:\n${server.log.slice(-4000)}`))
      const backend = new CountingBackend()
      await using pool = new ConnectionPool({
        http2: 'off',
        backend,
        tls: { ca: site.ca },
        maxConnectionsPerOrigin: 4,
      })
      const url = (path: string): string => server.url(path, scheme)

      await show({ server, site, scheme, pool, backend, url })

      await expectAtRest(pool)
      const next = await pool.request(new HttpRequest('GET', url('/small.txt')))
      expect((await next.body.bytes()).toString()).toBe(SMALL_TEXT)
    })
  })
})

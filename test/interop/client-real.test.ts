/** The client against servers and proxies that others wrote: nginx, Apache, squid, dante, microsocks. */
import { execFile } from 'node:child_process'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { filePart, HttpClient, type HttpClientOptions, MultipartForm } from 'ferry/client'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { startApache } from '../support/apache.ts'
import { startDante } from '../support/dante.ts'
import { startMicrosocks } from '../support/microsocks.ts'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import type { Receipt } from '../support/node-origin-api.ts'
import type { OriginServer, Scheme } from '../support/origin-server.ts'
import type { ProxyServer, ProxyUser } from '../support/proxy-server.ts'
import { freePorts } from '../support/server-process.ts'
import { Site, SMALL_TEXT } from '../support/site.ts'
import { startSquid } from '../support/squid.ts'
import { TempDir } from '../support/temp-dir.ts'

const HTTP2 = { maxConcurrentStreams: 100 }
const QUICK = { responseFormat: 'text', retryDelayMs: 5, timeoutMs: 10_000 } as const
// What a URL has to encode.
const USER: ProxyUser = { username: 'ferry', password: 'p:a/s@s%' }
const PLAIN_USER: ProxyUser = { username: 'ferry', password: 'secret' }

let site: Site
beforeAll(async () => {
  site = await Site.create()
})
afterAll(() => site[Symbol.asyncDispose]())

const trusting = (options: HttpClientOptions = {}): HttpClient<'text'> =>
  new HttpClient({ ...QUICK, proxy: false, tls: { ca: site.ca }, ...options, ...QUICK })

// ── Servers

interface ServerRow {
  readonly name: string
  readonly version: '1.1' | '2'
  readonly schemes: readonly Scheme[]
  readonly start: () => Promise<OriginServer>
}

const SERVERS: readonly ServerRow[] = [
  {
    name: 'nginx',
    version: '1.1',
    schemes: ['http', 'https'],
    start: () => startNginxOrigin(site),
  },
  {
    name: 'nginx',
    version: '2',
    schemes: ['https'],
    start: () => startNginxOrigin(site, { http2: HTTP2 }),
  },
  { name: 'apache', version: '1.1', schemes: ['http', 'https'], start: () => startApache(site) },
  { name: 'apache', version: '2', schemes: ['https'], start: () => startApache(site, HTTP2) },
]

describe.each(SERVERS)('$name over HTTP/$version', ({ version, schemes, start }) => {
  let server: OriginServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  describe.each(schemes)('%s', (scheme) => {
    test('calls give content, and errors of their statuses', async () => {
      onTestFailed(() => console.log(server.log.slice(-4000)))
      await using client = trusting({ baseUrl: server.url('/', scheme) })

      const call = client.get('small.txt')
      expect(await call).toBe(SMALL_TEXT)
      expect((await call.response).version).toBe(version)
      expect((await client.head('small.txt')).headers.get('content-length')).toBe(
        String(SMALL_TEXT.length),
      )
      await expect(client.get('status/404')).rejects.toMatchObject({ status: 404, attempts: 1 })
      await expect(client.get('status/503')).rejects.toMatchObject({ status: 503, attempts: 4 })
      await expect(client.post('status/503', { json: 1 })).rejects.toMatchObject({ attempts: 1 })
      expect(await client.get('status/204')).toBe('')
    })

    test('contents of every kind arrive whole', async () => {
      await using dir = await TempDir.create()
      const path = await dir.write('file.bin', 'x'.repeat(300_000))
      await using client = trusting({ baseUrl: server.url('/', scheme) })
      const form = new MultipartForm().addField('a', '1').add(await filePart('file', path))
      const streamed = Readable.from(['one ', 'two'].map((text) => Buffer.from(text)))

      const receipts: Receipt[] = []
      for (const options of [
        { json: { a: 1 } },
        { form: { a: 1 } },
        { body: 'text' },
        { body: form },
        { body: streamed },
      ]) {
        receipts.push(await client.post('sink', options).json<Receipt>())
      }

      const lengths = receipts.map(({ length }) => length)
      expect([...lengths.slice(0, 3), lengths[4]]).toEqual([7, 3, 4, 7])
      expect(lengths[3]).toBeGreaterThan(300_000)
      expect(receipts[3]?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/)
    })

    test('a hundred calls at once, and a limit of time that ends one that is silent', async () => {
      await using client = trusting({ baseUrl: server.url('/', scheme) })

      const silent = client.get('stall', { timeoutMs: 300, retries: 0 })
      const calls = Array.from({ length: 100 }, () => client.get('small.txt'))
      const outcome = expect(silent).rejects.toMatchObject({ phase: 'total', timeoutMs: 300 })

      expect(new Set(await Promise.all(calls))).toEqual(new Set([SMALL_TEXT]))
      await outcome
    })
  })
})

test('a client that offers HTTP/2 and one call that does not', async () => {
  await using server = await startNginxOrigin(site, { http2: HTTP2 })
  await using client = trusting()
  const url = server.url('/small.txt', 'https')

  const versions = [
    (await client.get(url).response).version,
    (await client.get(url, { http2: 'off' }).response).version,
    (await client.get(url).response).version,
  ]

  expect(versions).toEqual(['2', '1.1', '2'])
})

// ── Proxies

interface ProxyRow {
  readonly name: string
  readonly scheme: string
  readonly user?: ProxyUser
  readonly port: (proxy: ProxyServer) => number
  readonly start: (user?: ProxyUser) => Promise<ProxyServer>
}

const squid = (user?: ProxyUser): Promise<ProxyServer> => startSquid({ tls: site.tls, user })
const PROXIES: readonly ProxyRow[] = [
  { name: 'squid', scheme: 'http', user: USER, port: ({ port }) => port, start: squid },
  {
    name: 'squid over TLS',
    scheme: 'https',
    user: USER,
    port: ({ tlsPort }) => tlsPort,
    start: squid,
  },
  { name: 'dante', scheme: 'socks5h', port: ({ port }) => port, start: () => startDante() },
  {
    name: 'microsocks',
    scheme: 'socks5',
    user: PLAIN_USER,
    port: ({ port }) => port,
    start: (user) => startMicrosocks({ user }),
  },
]

function urlOf({ scheme, port }: ProxyRow, proxy: ProxyServer, user?: ProxyUser): string {
  const credentials =
    user === undefined
      ? ''
      : `${encodeURIComponent(user.username)}:${encodeURIComponent(user.password)}@`
  return `${scheme}://${credentials}127.0.0.1:${port(proxy)}`
}

describe.each(PROXIES)('$name', (row) => {
  let proxy: ProxyServer
  beforeAll(async () => {
    proxy = await row.start(row.user)
  })
  afterAll(() => proxy[Symbol.asyncDispose]())
  const way = (user = row.user): HttpClientOptions['proxy'] => ({
    url: urlOf(row, proxy, user),
    tls: { ca: site.ca },
  })

  test.each(['http', 'https'] as const)(
    'carries a call for %s that asks for it',
    async (scheme) => {
      onTestFailed(() => console.log(proxy.log.slice(-4000)))
      const url = site.backend.url('/small.txt', scheme)
      await using client = trusting()
      await using always = trusting({ proxy: way() })

      expect(await client.get(url, { proxy: way() })).toBe(SMALL_TEXT)
      expect(await always.get(url)).toBe(SMALL_TEXT)
      expect(await always.post(site.backend.url('/sink', scheme), { json: 1 })).toContain('"POST"')
      await client.close()
      await always.close()
      await expect.poll(() => proxy.log, { interval: 5 }).toContain(String(new URL(url).port))
    },
  )

  test('is not asked again when it refuses who asks, and the password stays secret', async () => {
    if (row.user === undefined) return
    const wrong = { ...row.user, password: 'hunter2' }
    await using client = trusting({ proxy: way(wrong), retries: 2 })

    for (const scheme of ['http', 'https'] as const) {
      const error: unknown = await client.get(site.backend.url('/small.txt', scheme)).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      const { code, status } = error as { code: string; status?: number }
      expect(status === 407 || code === 'proxy-failed', `${code} ${status}`).toBe(true)
      expect(error).toMatchObject({ attempts: 1 })
      expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('hunter2')
    }
  })
})

const PROGRAM = `
import { HttpClient } from 'ferry/client'
const [url, ca] = process.argv.slice(1)
await using client = new HttpClient({ responseFormat: 'text', retries: 0, tls: { ca } })
console.log(await client.get(url).catch((error) => error.code + ' ' + (error.status ?? '')))
`

/** What a program gets whose environment names proxies. */
async function runWith(env: Record<string, string>, url: string): Promise<string> {
  const args = ['--conditions=ferry-source', '--input-type=module', '-e', PROGRAM, url, site.ca]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: import.meta.dirname,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  })
  return stdout
}

test('the environment names the proxy, its user, and what goes straight', async () => {
  await using proxy = await squid(USER)
  const [closed] = await freePorts(1)
  const proxyUrl = urlOf(PROXIES[0] as ProxyRow, proxy, USER)
  const plain = site.backend.url('/small.txt')
  const secure = site.backend.url('/small.txt', 'https')
  const dead = `http://127.0.0.1:${closed}`

  const outcomes = await Promise.all([
    runWith({ http_proxy: proxyUrl }, plain),
    runWith({ HTTPS_PROXY: proxyUrl }, secure),
    runWith({ ALL_PROXY: proxyUrl }, secure),
    runWith({ http_proxy: dead }, plain),
    runWith({ http_proxy: dead, NO_PROXY: '127.0.0.1' }, plain),
    runWith({ http_proxy: dead, no_proxy: '127.0.0.0/8' }, plain),
    runWith({ http_proxy: proxyUrl.replace(/\/\/.*@/, '//') }, plain),
    runWith({ https_proxy: proxyUrl.replace(/\/\/.*@/, '//') }, secure),
  ])

  expect(outcomes.map((text) => text.trim())).toEqual([
    SMALL_TEXT.trim(),
    SMALL_TEXT.trim(),
    SMALL_TEXT.trim(),
    'proxy-failed',
    SMALL_TEXT.trim(),
    SMALL_TEXT.trim(),
    'http-status 407',
    'proxy-failed',
  ])
})

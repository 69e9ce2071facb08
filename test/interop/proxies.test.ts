/** Requests through proxies that were not made for Ferry: squid, tinyproxy, dante and microsocks. */
import { createHash } from 'node:crypto'
import { isFerryError } from 'ferry/errors'
import { ConnectionPool, type ConnectionPoolOptions, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { CountingBackend } from '../support/counting-backend.ts'
import { startDante } from '../support/dante.ts'
import { startMicrosocks } from '../support/microsocks.ts'
import type { Receipt } from '../support/node-origin-api.ts'
import type { Scheme } from '../support/origin-server.ts'
import type { ProxyServer, ProxyUser } from '../support/proxy-server.ts'
import { freePorts } from '../support/server-process.ts'
import { BIG_SIZE, Site, SMALL_TEXT } from '../support/site.ts'
import { startSquid } from '../support/squid.ts'
import { startTinyproxy } from '../support/tinyproxy.ts'

/** A proxy and how it is spoken to. */
interface Row {
  readonly name: string
  readonly scheme: 'http' | 'https' | 'socks5' | 'socks5h'
  readonly user?: ProxyUser | undefined
  /**
   * Ends the connection after each answer without a word, so that only what is idempotent may follow
   * on it: Ferry sends that again.
   */
  readonly closes?: true
  readonly start: (site: Site, user: ProxyUser | undefined) => Promise<ProxyServer>
}

// A colon, a slash, an at sign and a percent sign: what a URL has to encode.
const USER: ProxyUser = { username: 'ferry', password: 'p:a/s@s%' }
/** tinyproxy and the command line of microsocks take less. */
const PLAIN_USER: ProxyUser = { username: 'ferry', password: 'secret' }

const squid: Row['start'] = (site, user) => startSquid({ tls: site.tls, user })
const tinyproxy: Row['start'] = (_site, user) => startTinyproxy({ user })
const microsocks: Row['start'] = (_site, user) => startMicrosocks({ user })
const dante: Row['start'] = () => startDante()

const PROXIES: readonly Row[] = [
  { name: 'squid', scheme: 'http', start: squid },
  { name: 'squid with a password', scheme: 'http', user: USER, start: squid },
  { name: 'squid over TLS', scheme: 'https', start: squid },
  { name: 'squid over TLS with a password', scheme: 'https', user: USER, start: squid },
  { name: 'tinyproxy', scheme: 'http', closes: true, start: tinyproxy },
  {
    name: 'tinyproxy with a password',
    scheme: 'http',
    user: PLAIN_USER,
    closes: true,
    start: tinyproxy,
  },
  { name: 'dante', scheme: 'socks5', start: dante },
  { name: 'dante that resolves', scheme: 'socks5h', start: dante },
  { name: 'microsocks', scheme: 'socks5h', start: microsocks },
  { name: 'microsocks with a password', scheme: 'socks5', user: PLAIN_USER, start: microsocks },
]
const SCHEMES: readonly Scheme[] = ['http', 'https']

let site: Site
beforeAll(async () => {
  site = await Site.create()
})
afterAll(() => site[Symbol.asyncDispose]())

describe.each(PROXIES)('$name', (row) => {
  let server: ProxyServer
  beforeAll(async () => {
    server = await row.start(site, row.user)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  describe.each(SCHEMES)('for %s', (scheme) => {
    test('POST and GET take one connection where the proxy keeps it', async () => {
      onTestFailed(() => console.log(`${server.name} said:\n${server.log.slice(-4000)}`))
      const backend = new CountingBackend()
      await using pool = openPool(proxyUrl(row, server), { backend })
      const target = site.backend.url('/small.txt', scheme)

      const sink = site.backend.url('/sink', scheme)
      const [, receipt] = await read(pool, new HttpRequest('POST', sink, { content: 'hello' }))
      for (let index = 0; index < 3; index++) {
        expect(await read(pool, new HttpRequest('GET', target))).toEqual([200, SMALL_TEXT])
      }

      expect(JSON.parse(receipt) as Receipt).toMatchObject({ method: 'POST', length: 5 })
      const keeps = !forwards(row, scheme) || row.closes !== true
      expect(backend.opened).toBe(keeps ? 1 : 4)
      // squid tells of a tunnel at its end.
      await pool.close()
      await expect.poll(() => server.log, { interval: 5 }).toContain(new URL(target).port)
    })

    test('a name is reached as well as an address', async () => {
      await using pool = openPool(proxyUrl(row, server))
      const target = site.backend.url('/small.txt', scheme).replace('127.0.0.1', 'localhost')

      expect(await read(pool, new HttpRequest('GET', target))).toEqual([200, SMALL_TEXT])
    })

    test('a big file arrives whole', async () => {
      await using pool = openPool(proxyUrl(row, server))
      const digest = createHash('sha256')

      const target = site.backend.url('/big.bin', scheme)
      const response = await pool.request(new HttpRequest('GET', target))
      await response.body.pipe({ write: (bytes) => digest.update(bytes) !== undefined })

      expect(response.body.length).toBe(BIG_SIZE)
      expect(digest.digest('hex')).toBe(site.bigDigest)
    })

    test('an abort within the content leaves no connection', async () => {
      await using pool = openPool(proxyUrl(row, server))
      const abort = new AbortController()
      const request = new HttpRequest('GET', site.backend.url('/big.bin', scheme))
      const response = await pool.request(request, { signal: abort.signal })

      abort.abort(new Error('enough'))

      await expect(response.body.bytes()).rejects.toThrow('enough')
      expect(pool.toString()).toMatch(/active 0 idle 0 connecting 0 waiting 0$/)
    })

    test('a target that refuses is told apart from a proxy that does', async () => {
      await using pool = openPool(proxyUrl(row, server))
      const [closed] = await freePorts(1)
      const request = new HttpRequest('GET', `${scheme}://127.0.0.1:${closed}/`)

      const outcome = await outcomeOf(pool, request)

      // What is forwarded is answered by the proxy itself: 503 by squid, 500 by tinyproxy.
      if (forwards(row, scheme)) expect(outcome).toMatch(/^50[0-4]$/)
      else expect(outcome).toBe('proxy-failed')
    })
  })
})

const ASKING = PROXIES.flatMap((row) => {
  return row.user === undefined ? [] : SCHEMES.map((scheme) => ({ row, scheme, name: row.name }))
})

test.each(ASKING)(
  '$name, but a wrong one or none, is refused for $scheme',
  async ({ row, scheme }) => {
    await using server = await row.start(site, row.user)
    const request = new HttpRequest('GET', site.backend.url('/small.txt', scheme))
    const wrong = { username: row.user?.username ?? '', password: 'not-it' }

    for (const user of [wrong, undefined]) {
      await using pool = openPool(proxyUrl({ ...row, user }, server))
      const outcome = await outcomeOf(pool, request)

      // tinyproxy says 401 for a wrong password, though it is not the origin.
      if (forwards(row, scheme)) expect(outcome).toMatch(/^40[17]$/)
      else expect(outcome).toBe('proxy-failed')
    }
  },
)

test.each([
  { scheme: 'socks5', code: 'resolve-failed' },
  { scheme: 'socks5h', code: 'proxy-failed' },
] as const)('$scheme leaves a name that does not exist to be $code', async ({ scheme, code }) => {
  await using server = await startDante()
  await using pool = openPool(`${scheme}://127.0.0.1:${server.port}`)

  expect(await outcomeOf(pool, new HttpRequest('GET', 'http://nobody.invalid/'))).toBe(code)
})

test('the certificate of an https proxy is checked', async () => {
  await using server = await startSquid({ tls: site.tls })
  const url = `https://127.0.0.1:${server.tlsPort}`
  await using pool = new ConnectionPool({ proxy: url, tls: { ca: site.ca } })

  const outcome = await outcomeOf(pool, new HttpRequest('GET', site.backend.url('/small.txt')))

  expect(outcome).toBe('tls-failed')
})

test('a proxy that does not run is told by its address', async () => {
  const [closed] = await freePorts(1)
  await using pool = openPool(`http://ferry:secret@127.0.0.1:${closed}`)

  const outcome = pool.request(new HttpRequest('GET', site.backend.url('/small.txt')))

  await expect(outcome).rejects.toMatchObject({
    code: 'proxy-failed',
    message: expect.stringContaining(`127.0.0.1:${closed}`) as unknown,
  })
  await expect(outcome).rejects.not.toThrow('secret')
})

test.each([
  { what: 'squid that forwards', scheme: 'http', target: 'http', start: squid },
  { what: 'squid with a tunnel', scheme: 'http', target: 'https', start: squid },
  { what: 'squid with a tunnel within TLS', scheme: 'https', target: 'https', start: squid },
  { what: 'dante', scheme: 'socks5', target: 'http', start: dante },
] as const)('$what dies within the content', async ({ what, scheme, target, start }) => {
  await using server = await start(site, undefined)
  await using pool = openPool(proxyUrl({ name: what, scheme, start }, server))
  const request = new HttpRequest('GET', site.backend.url('/big.bin', target))
  const response = await pool.request(request)
  let received = 0
  let killed: Promise<void> | undefined

  const outcome = response.body.pipe({
    write: (bytes) => {
      killed ??= server.kill()
      received += bytes.length
      return true
    },
  })

  await expect(outcome).rejects.toMatchObject({ code: 'connection-lost', expectedBytes: BIG_SIZE })
  expect(received).toBeLessThan(BIG_SIZE)
  await killed
  expect(await outcomeOf(pool, request)).toBe('proxy-failed')
  expect(pool.toString()).toMatch(/active 0 idle 0 connecting 0 waiting 0$/)
})

test('a tunnel of our own through squid is a stream', async () => {
  await using server = await startSquid({ tls: site.tls })
  await using pool = new ConnectionPool()
  const target = `127.0.0.1:${site.backend.port}`

  const outcome = await pool.upgrade(
    new HttpRequest('CONNECT', `http://127.0.0.1:${server.port}`, { target }),
  )

  if (outcome.type !== 'upgraded') throw new Error(`refused with ${outcome.response.status}`)
  const { stream } = outcome
  let received = ''
  const ended = new Promise<void>((resolve, reject) => {
    stream.read({
      onBytes: (bytes) => (received += bytes.toString()),
      onEnd: resolve,
      onError: reject,
      nextBuffer: () => undefined,
    })
  })
  stream.write(`GET /small.txt HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`)
  await ended
  stream.close()
  expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(received.endsWith(SMALL_TEXT)).toBe(true)
})

test('a tunnel of our own that squid refuses is a response', async () => {
  await using server = await startSquid({ tls: site.tls })
  await using pool = new ConnectionPool()
  const [closed] = await freePorts(1)
  const target = `127.0.0.1:${closed}`

  const outcome = await pool.upgrade(
    new HttpRequest('CONNECT', `http://127.0.0.1:${server.port}`, { target }),
  )

  if (outcome.type !== 'refused') throw new Error('The tunnel was opened')
  expect(outcome.response.status).toBe(503)
  expect((await outcome.response.body.bytes()).length).toBeGreaterThan(0)
})

function openPool(url: string, options: ConnectionPoolOptions = {}): ConnectionPool {
  const tls = { ca: site.ca }
  return new ConnectionPool({ tls, proxy: { url, tls }, ...options })
}

function proxyUrl({ scheme, user }: Row, server: ProxyServer): string {
  const port = scheme === 'https' ? server.tlsPort : server.port
  const names = user === undefined ? [] : [user.username, user.password].map(encodeURIComponent)
  return `${scheme}://${names.length === 0 ? '' : `${names.join(':')}@`}127.0.0.1:${port}`
}

/** Whether the proxy sees the request, instead of a tunnel. */
function forwards({ scheme }: Row, target: Scheme): boolean {
  return target === 'http' && (scheme === 'http' || scheme === 'https')
}

async function read(pool: ConnectionPool, request: HttpRequest): Promise<[number, string]> {
  const { status, body } = await pool.request(request)
  return [status, (await body.bytes()).toString()]
}

/** The status of the response, or the code of the error, which must not show a password. */
async function outcomeOf(pool: ConnectionPool, request: HttpRequest): Promise<string> {
  try {
    const [status] = await read(pool, request)
    return String(status)
  } catch (error) {
    if (!isFerryError(error)) throw error
    expect(JSON.stringify(error)).not.toMatch(/not-it|secret/)
    return error.code
  }
}

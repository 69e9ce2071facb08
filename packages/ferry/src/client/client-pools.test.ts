import { expect, test } from 'vitest'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { createCertificate } from '../testing/certificates.ts'
import { HttpTestServer } from '../testing/http-test-server.ts'
import { ClientPools } from './client-pools.ts'
import { HttpClient } from './http-client.ts'

const QUICK = { retries: 0, responseFormat: 'text', proxy: false } as const
const hello = (): Promise<HttpTestServer> =>
  HttpTestServer.start((_, response) => void response.end('hello'))

test('ClientPools gives one pool to all who wish for nothing, and one to each wish', async () => {
  const pools = new ClientPools({ proxy: false })
  const tls = { ca: 'x' }
  const wishes = [
    {},
    { proxy: 'http://127.0.0.1:1' },
    { proxy: 'http://127.0.0.1:2' },
    { proxy: false },
    { verifySsl: false },
    { verifySsl: true },
    { http2: 'off' },
    { tls },
    { tls, http2: 'off' },
  ] as const

  const made = wishes.map((wish) => pools.poolFor(wish))

  expect(new Set(made).size).toBe(wishes.length)
  expect(wishes.map((wish) => pools.poolFor(wish))).toEqual(made)
  expect(pools.poolFor({ proxy: undefined, tls: undefined })).toBe(made[0])
  await pools.close()
  expect(made.map(({ closed }) => closed)).toEqual(made.map(() => true))
})

test('ClientPools gives one pool to literals that say the same', async () => {
  const pools = new ClientPools({ proxy: false })
  const made = [1, 2].map(() =>
    pools.poolFor({ tls: { ca: 'x' }, proxy: { url: 'http://127.0.0.1:1' }, connectTimeoutMs: 9 }),
  )

  expect(made[0]).toBe(made[1])
  expect(pools.poolFor({ tls: { ca: 'y' } })).not.toBe(pools.poolFor({ tls: { ca: 'x' } }))
  expect(pools.poolFor({ connectTimeoutMs: 9 })).not.toBe(pools.poolFor({ connectTimeoutMs: 8 }))
  await pools.close()
})

test('calls with the same literal share their connection', async () => {
  await using server = await hello()
  await using client = new HttpClient(QUICK)
  const ids = new Set<number | undefined>()

  for (let count = 0; count < 5; count++) {
    const { connection } = await client.get(server.url(), { tls: { ca: 'x' } }).response
    ids.add(connection?.id)
  }

  expect([...ids]).toEqual([1])
  expect(server.connections).toBe(1)
})

test('ClientPools keeps no more than so many pools that nobody uses', async () => {
  const pools = new ClientPools({ proxy: false })

  const made = Array.from({ length: 50 }, (_, index) => {
    return pools.poolFor({ proxy: `http://127.0.0.1:${index + 1}` })
  })

  expect(made.filter(({ closed }) => !closed)).toHaveLength(32)
  expect(made.at(-1)?.closed).toBe(false)
  await pools.close()
})

test('ClientPools makes no pool after its end', async () => {
  const pools = new ClientPools({ proxy: false })
  await pools.close()

  expect(() => pools.poolFor({})).toThrow('closed')
  expect(() => pools.poolFor({ http2: 'off' })).toThrow('closed')
})

test('ClientPools leaves a shared pool open', async () => {
  await using pool = new ConnectionPool()
  const pools = new ClientPools({ pool })
  expect(pools.poolFor({})).toBe(pool)

  await pools.close()

  expect(pool.closed).toBe(false)
})

test('ClientPools refuses a proxy that cannot be used when it is asked for', () => {
  const pools = new ClientPools({})

  expect(() => pools.poolFor({ proxy: 'ftp://h' })).toThrow(
    expect.objectContaining({ code: 'config', option: 'proxy' }),
  )
})

test('HttpClient takes the way of its client, and a call its own', async () => {
  await using server = await hello()
  await using proxy = await HttpTestServer.start((request, response) => {
    response.end(`by proxy: ${request.url}`)
  })
  const url = server.url('/x')
  await using client = new HttpClient(QUICK)
  await using proxied = new HttpClient({ ...QUICK, proxy: proxy.url() })

  expect(await client.get(url)).toBe('hello')
  expect(await client.get(url, { proxy: proxy.url() })).toBe(`by proxy: ${url}`)
  expect(await client.get(url)).toBe('hello')
  expect(await proxied.get(url)).toBe(`by proxy: ${url}`)
  expect(await proxied.get(url, { proxy: false })).toBe('hello')
  expect(await proxied.get(url, { proxy: () => undefined })).toBe('hello')
  expect(server.connections).toBe(3)
})

test('HttpClient reads the environment when it needs a proxy, unless told otherwise', async () => {
  await using server = await hello()
  await using proxy = await HttpTestServer.start((_, response) => void response.end('by proxy'))
  const { http_proxy: before } = process.env
  process.env['http_proxy'] = proxy.url()
  try {
    await using client = new HttpClient({ ...QUICK, proxy: undefined })
    await using told = new HttpClient({ ...QUICK, proxy: 'environment' })
    await using straight = new HttpClient(QUICK)

    expect(await client.get(server.url())).toBe('by proxy')
    expect(await told.get(server.url())).toBe('by proxy')
    expect(await straight.get(server.url())).toBe('hello')
    expect(await straight.get(server.url(), { proxy: 'environment' })).toBe('by proxy')
    expect(await client.get(server.url(), { proxy: false })).toBe('hello')
  } finally {
    if (before === undefined) delete process.env['http_proxy']
    else process.env['http_proxy'] = before
  }
})

test('HttpClient checks certificates, unless a call or its client says otherwise', async () => {
  const certificate = createCertificate('IP:127.0.0.1')
  await using server = await HttpTestServer.start(
    (_, response) => void response.end('hello'),
    certificate,
  )
  const url = server.url()
  const refused = { code: 'tls-failed' }
  await using client = new HttpClient(QUICK)
  await using lax = new HttpClient({ ...QUICK, verifySsl: false })
  await using trusting = new HttpClient({ ...QUICK, tls: { ca: certificate.cert } })

  await expect(client.get(url)).rejects.toMatchObject(refused)
  expect(await client.get(url, { verifySsl: false })).toBe('hello')
  await expect(client.get(url)).rejects.toMatchObject(refused)
  expect(await client.get(url, { tls: { ca: certificate.cert } })).toBe('hello')
  expect(await lax.get(url)).toBe('hello')
  await expect(lax.get(url, { verifySsl: true })).rejects.toMatchObject(refused)
  expect(await trusting.get(url)).toBe('hello')
  expect(await trusting.get(url, { verifySsl: true })).toBe('hello')
})

test('HttpClient tries a bad certificate once', async () => {
  await using server = await HttpTestServer.start(() => {}, createCertificate('DNS:other.test'))
  await using client = new HttpClient({ ...QUICK, retries: 3, retryDelayMs: 1 })

  await expect(client.get(server.url())).rejects.toMatchObject({ attempts: 1 })
})

// ── extend()

test('extend() keeps the connections, and what it does not name', async () => {
  await using server = await hello()
  await using client = new HttpClient({
    ...QUICK,
    baseUrl: server.url('/v1'),
    headers: { 'X-A': '1', 'X-B': '1' },
    params: { a: 1 },
  })
  const child = client.extend({ headers: { 'x-b': '2', 'X-C': '2' }, params: { b: 2 } })

  expect(await client.get('x')).toBe('hello')
  expect(await child.get('x')).toBe('hello')
  expect(await child.extend({}).get('x')).toBe('hello')

  expect(server.asked).toEqual(['GET /v1/x?a=1', 'GET /v1/x?a=1&b=2', 'GET /v1/x?a=1&b=2'])
  expect(server.received('x-a')).toEqual(['1', '1', '1'])
  expect(server.received('x-b')).toEqual(['1', '2', '2'])
  expect(server.received('x-c')).toEqual([undefined, '2', '2'])
  expect(server.connections).toBe(1)
})

test('extend() adds to the params, or takes them away with false', async () => {
  await using server = await hello()
  await using client = new HttpClient({ ...QUICK, baseUrl: server.url(), params: { a: 1 } })
  const without = client.extend({ params: false })

  await without.get('x')
  await without.extend({}).get('x', { params: { c: 3 } })
  await without.extend({ params: { d: 4 } }).get('x')

  expect(server.asked).toEqual(['GET /x', 'GET /x?c=3', 'GET /x?d=4'])
})

test('extend() does not take undefined for an option', async () => {
  await using server = await HttpTestServer.start(() => {})
  await using client = new HttpClient({ ...QUICK, timeoutMs: 50, baseUrl: server.url() })

  const child = client.extend({ timeoutMs: undefined, baseUrl: undefined, retries: undefined })

  await expect(child.get('/')).rejects.toMatchObject({ phase: 'total', timeoutMs: 50 })
})

test('extend() adds interceptors inside those that there are', async () => {
  await using server = await hello()
  const seen: string[] = []
  const note = (name: string): { preRequest: () => void } => ({
    preRequest: () => void seen.push(name),
  })
  await using client = new HttpClient({ ...QUICK, interceptors: [note('outer')] })

  await client.extend({ interceptors: [note('inner')] }).get(server.url())

  expect(seen).toEqual(['outer', 'inner'])
})

test('extend() shares the cookies of the first, unless it is given another jar', async () => {
  let seen = 0
  await using server = await HttpTestServer.start((_, response) => {
    response.setHeader('Set-Cookie', `seen=${++seen}`).end('hello')
  })
  await using client = new HttpClient({ ...QUICK, cookies: true })
  const child = client.extend({ headers: { 'X-A': '1' } })
  const none = client.extend({ cookies: false })

  for (const one of [client, child, client, none]) await one.get(server.url())

  expect(server.received('cookie')).toEqual([undefined, 'seen=1', 'seen=2', undefined])
})

test('extend() with another way takes that way', async () => {
  const certificate = createCertificate('IP:127.0.0.1')
  await using server = await hello()
  await using secure = await HttpTestServer.start(
    (_, response) => void response.end('hello'),
    certificate,
  )
  await using proxy = await HttpTestServer.start((_, response) => void response.end('by proxy'))
  await using client = new HttpClient(QUICK)
  await using proxied = client.extend({ proxy: proxy.url() })
  await using straight = proxied.extend({ proxy: false })
  await using lax = client.extend({ verifySsl: false })
  await using trusting = client.extend({ tls: { ca: certificate.cert } })

  expect(await client.get(server.url())).toBe('hello')
  expect(await proxied.get(server.url())).toBe('by proxy')
  expect(await straight.get(server.url())).toBe('hello')
  expect(await lax.get(secure.url())).toBe('hello')
  expect(await trusting.get(secure.url())).toBe('hello')
  await expect(client.get(secure.url())).rejects.toMatchObject({ code: 'tls-failed' })
})

test('extend() with limits of its own on connections keeps to them', async () => {
  let active = 0
  let most = 0
  await using server = await HttpTestServer.start((_, response) => {
    most = Math.max(most, ++active)
    setTimeout(() => {
      active--
      response.end('hello')
    }, 20)
  })
  await using client = new HttpClient(QUICK)
  await using child = client.extend({ maxConnectionsPerOrigin: 1 })

  await Promise.all([1, 2, 3].map(() => child.get(server.url())))

  expect(most).toBe(1)
})

test('a client on a shared pool has no say in its connections', async () => {
  await using pool = new ConnectionPool()

  for (const options of [
    { proxy: 'http://127.0.0.1:1' },
    { proxy: false },
    { verifySsl: false },
    { tls: {} },
    { http2: 'off' },
    { maxConnectionsPerOrigin: 1 },
  ] as const) {
    const [option] = Object.keys(options)
    expect(() => new HttpClient({ pool, ...options })).toThrow(
      expect.objectContaining({ code: 'config', option }),
    )
  }
})

test('a call of a client on a shared pool, and one that extends it, may take another way', async () => {
  await using server = await hello()
  await using proxy = await HttpTestServer.start((_, response) => void response.end('by proxy'))
  await using pool = new ConnectionPool()
  await using client = new HttpClient({ responseFormat: 'text', pool })
  await using child = client.extend({ proxy: proxy.url() })

  expect(await client.get(server.url())).toBe('hello')
  expect(await client.get(server.url(), { proxy: proxy.url() })).toBe('by proxy')
  expect(await child.get(server.url())).toBe('by proxy')
  await child.close()
  expect(pool.closed).toBe(false)
})

test('closing an extended client leaves the first; closing the first ends both', async () => {
  await using server = await hello()
  const client = new HttpClient(QUICK)
  const child = client.extend({})
  const own = client.extend({ http2: 'off' })

  await child.close()
  expect(await client.get(server.url())).toBe('hello')
  await expect(child.get(server.url())).rejects.toThrow('closed')
  await client.close()
  await expect(client.get(server.url())).rejects.toThrow('closed')
  await own.close()
  await expect.poll(() => server.connections, { interval: 5 }).toBe(0)
})

test('close() closes every connection, twice is once, and calls afterwards fail at once', async () => {
  await using server = await hello()
  await using proxy = await HttpTestServer.start((_, response) => void response.end('by proxy'))
  const client = new HttpClient(QUICK)
  await client.get(server.url())
  await client.get(server.url(), { http2: 'off' })
  await client.get(server.url(), { proxy: proxy.url() })
  expect([server.connections, proxy.connections]).toEqual([2, 1])

  await Promise.all([client.close(), client.close()])
  await client.close()

  await expect.poll(() => server.connections + proxy.connections, { interval: 5 }).toBe(0)
  for (const options of [
    {},
    { http2: 'off' },
    { proxy: proxy.url() },
    { verifySsl: false },
  ] as const) {
    await expect(client.get(server.url(), options)).rejects.toMatchObject({
      code: 'connection-lost',
      message: expect.stringContaining('closed') as unknown,
    })
  }
  const unused = new HttpClient(QUICK)
  await unused.close()
  await expect(unused.get(server.url())).rejects.toThrow('closed')
})

test('a client that was never used closes', async () => {
  await using client = new HttpClient()

  expect(await client.close()).toBeUndefined()
})

import { createHash, randomBytes } from 'node:crypto'
import { get as getOverTls } from 'node:https'
import { expect, test } from 'vitest'
import { createCertificate } from './certificates.ts'
import { FaultServer } from './fault-server.ts'
import type { Fault, FaultServerOptions } from './fault-server-answer.ts'

const CONTENT = randomBytes(1000)

interface Got {
  readonly status: number
  readonly content: Buffer
  readonly headers: Headers
}

async function get(
  { url }: { readonly url: string },
  headers: Record<string, string> = {},
): Promise<Got> {
  const response = await fetch(url, { headers })
  const content = Buffer.from(await response.arrayBuffer())
  return { status: response.status, content, headers: response.headers }
}

const ask = (first: number, last: number): Record<string, string> => ({
  range: `bytes=${first}-${last}`,
})

test('FaultServer serves the whole and ranges honestly by default', async () => {
  await using server = await FaultServer.start({ content: CONTENT })

  const whole = await get(server)
  const part = await get(server, { ...ask(10, 19), 'if-range': '"v1"' })
  const changed = await get(server, { ...ask(10, 19), 'if-range': '"v0"' })
  const beyond = await get(server, { range: 'bytes=1000-' })

  expect(whole).toMatchObject({ status: 200, content: CONTENT })
  expect(part).toMatchObject({ status: 206, content: CONTENT.subarray(10, 20) })
  expect(part.headers.get('content-range')).toBe('bytes 10-19/1000')
  expect(changed.status).toBe(200)
  expect(beyond.status).toBe(416)
  expect(beyond.headers.get('content-range')).toBe('bytes */1000')
  expect(server.requests.map(({ status }) => status)).toEqual([200, 206, 200, 416])
  expect(server.requests[1]).toMatchObject({ index: 1, range: [10, 19], sentBytes: 10 })
})

test('FaultServer answers HEAD without content', async () => {
  await using server = await FaultServer.start({ content: CONTENT })

  const { headers } = await fetch(server.url, { method: 'HEAD' })

  expect(headers.get('content-length')).toBe('1000')
  expect(headers.get('accept-ranges')).toBe('bytes')
  expect(server.sentBytes).toBe(0)
})

test('FaultServer changes its content and validators while it runs', async () => {
  await using server = await FaultServer.start({ content: CONTENT })

  Object.assign(server.options, {
    content: Buffer.from('new'),
    etag: undefined,
    lastModified: 'Fri, 20 Nov 2020 10:00:00 GMT',
  })
  const { content, headers } = await get(server)

  expect(content.toString()).toBe('new')
  expect(headers.get('etag')).toBeNull()
  expect(headers.get('last-modified')).toBe('Fri, 20 Nov 2020 10:00:00 GMT')
})

const broken: readonly Fault[] = [
  { type: 'drop' },
  { type: 'reset', afterBytes: 10 },
  { type: 'end', afterBytes: 10 },
  { type: 'length', by: 10 },
]

test.each(broken)('FaultServer breaks a connection: $type', async (fault) => {
  await using server = await FaultServer.start({ content: CONTENT, fault: () => fault })

  await expect(get(server)).rejects.toThrow(TypeError)
})

test('FaultServer falls silent until the client gives up', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: () => ({ type: 'stall', afterBytes: 10 }),
  })

  const response = await fetch(server.url)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const { value } = await reader.read()
  const next = await Promise.race([
    reader.read(),
    new Promise((resolve) => setTimeout(() => resolve('nothing'), 100)),
  ])

  expect(value).toHaveLength(10)
  expect(next).toBe('nothing')
})

test('FaultServer sends a whole answer that is too short or too long', async () => {
  const faults: readonly Fault[] = [
    { type: 'short', afterBytes: 7 },
    { type: 'surplus', bytes: 7 },
    { type: 'length', by: -7 },
  ]
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: ({ index }) => faults[index],
  })

  expect((await get(server)).content).toHaveLength(7)
  expect((await get(server)).content).toHaveLength(1007)
  expect((await get(server)).content).toHaveLength(993)
})

const partOf: readonly { readonly fault: Fault; readonly range: string | null; first: number }[] = [
  { fault: { type: 'shift', by: 5 }, range: 'bytes 15-24/1000', first: 15 },
  { fault: { type: 'shift', by: -50 }, range: 'bytes 0-0/1000', first: 0 },
  { fault: { type: 'content-range', value: 'bytes 1-2/3' }, range: 'bytes 1-2/3', first: 10 },
  { fault: { type: 'content-range', value: undefined }, range: null, first: 10 },
]

test.each(partOf)('FaultServer sends a part with $fault', async ({ fault, range, first }) => {
  await using server = await FaultServer.start({ content: CONTENT, fault: () => fault })

  const { status, content, headers } = await get(server, ask(10, 19))

  expect(status).toBe(206)
  expect(headers.get('content-range')).toBe(range)
  expect(content.equals(CONTENT.subarray(first, first + content.length))).toBe(true)
})

const wholes: readonly (readonly [string, Partial<FaultServerOptions>])[] = [
  ['ranges are ignored', { ranges: 'ignored' }],
  ['a range is ignored', { fault: () => ({ type: 'whole' }) }],
  ['If-Range is refused', { ifRange: 'refused' }],
  ['the ETag is not the one of If-Range', { etag: '"v2"' }],
]

test.each(wholes)('FaultServer sends the whole when %s', async (_, options) => {
  await using server = await FaultServer.start({ content: CONTENT, ...options })

  const { status, content } = await get(server, { ...ask(10, 19), 'if-range': '"v1"' })

  expect(status).toBe(200)
  expect(content.equals(CONTENT)).toBe(true)
})

test('FaultServer gives each request its own ETag, and takes If-Range by it', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    etag: ({ index }) => `"edge-${index % 2}"`,
  })

  const first = await get(server)
  const second = await get(server, { ...ask(0, 0), 'if-range': '"edge-0"' })
  const third = await get(server, { ...ask(0, 0), 'if-range': '"edge-0"' })

  expect(first.headers.get('etag')).toBe('"edge-0"')
  expect(second).toMatchObject({ status: 200 })
  expect(third).toMatchObject({ status: 206 })
})

test('FaultServer damages one byte of the file in whatever answer has it', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: () => ({ type: 'damage', offset: 15 }),
    reprDigest: true,
  })
  const damaged = Buffer.from(CONTENT)
  damaged[15] = (CONTENT[15] as number) ^ 0xff

  const whole = await get(server)

  expect(whole.content.equals(damaged)).toBe(true)
  expect((await get(server, ask(10, 19))).content).toEqual(damaged.subarray(10, 20))
  expect((await get(server, ask(16, 19))).content).toEqual(CONTENT.subarray(16, 20))
  const digest = createHash('sha256').update(CONTENT).digest('base64')
  expect(whole.headers.get('repr-digest')).toBe(`sha-256=:${digest}:`)
})

test('FaultServer codes the whole file though nobody asked for it', async () => {
  await using server = await FaultServer.start({ content: CONTENT, contentCoding: 'gzip' })

  const { status, content, headers } = await get(server, ask(10, 19))

  expect(status).toBe(200)
  expect(headers.get('content-encoding')).toBe('gzip')
  expect(headers.get('content-length')).toBeNull()
  expect(headers.get('etag')).toBe('W/"v1"')
  // fetch has decoded it.
  expect(content.equals(CONTENT)).toBe(true)
})

test('FaultServer adds fields, to every answer or to one', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    headers: { 'Content-Disposition': 'attachment; filename="a.txt"' },
    fault: ({ index }) =>
      index === 0 ? undefined : { type: 'headers', headers: { 'X-Fault': 'yes' } },
  })

  const plain = await get(server)
  const spoilt = await get(server)

  expect(plain.headers.get('content-disposition')).toBe('attachment; filename="a.txt"')
  expect(plain.headers.get('x-fault')).toBeNull()
  expect(spoilt.headers.get('content-disposition')).toBe('attachment; filename="a.txt"')
  expect(spoilt.headers.get('x-fault')).toBe('yes')
})

/** The times are lower bounds of what a speed allows; the upper one only tells it from none. */
const speeds: readonly (readonly [string, Partial<FaultServerOptions>, number])[] = [
  ['each answer', { bytesPerSecond: 5000 }, 180],
  ['all answers together', { totalBytesPerSecond: 10_000 }, 180],
  ['one answer', { fault: () => ({ type: 'slow', bytesPerSecond: 5000 }) }, 180],
  ['a head', { fault: () => ({ type: 'late', delayMs: 200 }) }, 190],
]

test.each(speeds)('FaultServer keeps to the speed of %s', async (_, options, atLeastMs) => {
  await using server = await FaultServer.start({ content: CONTENT, ...options })
  const startedAt = performance.now()

  await Promise.all([get(server), get(server)])

  expect(performance.now() - startedAt).toBeGreaterThan(atLeastMs)
  expect(performance.now() - startedAt).toBeLessThan(5000)
})

const limits: readonly (readonly [number, Partial<FaultServerOptions>])[] = [
  [503, {}],
  [403, { busy: { status: 403 } }],
]

test.each(limits)(
  'FaultServer refuses answers beyond its limit with %i',
  async (status, options) => {
    await using server = await FaultServer.start({
      content: CONTENT,
      bytesPerSecond: 1000,
      maxConcurrent: 1,
      ...options,
    })

    const both = await Promise.all([get(server), get(server)])

    expect(both.map((got) => got.status).sort((a, b) => a - b)).toEqual([200, status])
  },
)

test('FaultServer resets connections beyond its limit', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    bytesPerSecond: 1000,
    maxConnections: 1,
  })

  const both = await Promise.allSettled([get(server), get(server)])

  expect(both.map((got) => got.status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(server.connectionCount).toBe(1)
})

test('FaultServer redirects to URLs that are good for a while', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    signedUrls: { expireAfterMs: 60_000 },
  })

  const response = await fetch(server.url)
  server.options.signedUrls = { expireAfterMs: 10 }
  await new Promise((resolve) => setTimeout(resolve, 20))
  const expired = await fetch(response.url)
  server.options.signedUrls = { expireAfterMs: 60_000 }
  const again = await fetch(server.url)

  expect(response.status).toBe(200)
  expect(new URL(response.url).search).not.toBe('')
  expect(expired.status).toBe(403)
  expect(again.status).toBe(200)
  expect(server.requests.map(({ status }) => status)).toEqual([302, 200, 403, 302, 200])
})

test('FaultServer tells when so much was sent, and breaks every connection', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 500 })

  const got = get(server)
  await server.whenSent(50)
  server.disconnect()

  await expect(got).rejects.toThrow(TypeError)
  expect(server.sentBytes).toBeGreaterThanOrEqual(50)
  expect(server.sentBytes).toBeLessThan(CONTENT.length)
})

test('FaultServer numbers connections in the order of their first requests', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 1000 })

  await Promise.all([get(server), get(server)])

  expect(server.requests.map(({ connection }) => connection)).toEqual([0, 1])
  expect(server.maxActive).toBe(2)
})

test('FaultServer serves over TLS', async () => {
  const tls = createCertificate('IP:127.0.0.1')
  await using server = await FaultServer.start({ content: CONTENT }, { tls, path: '/a/b.iso' })

  const status = await new Promise((resolve, reject) => {
    getOverTls(server.url, { ca: tls.cert, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode))
    }).on('error', reject)
  })

  expect(status).toBe(200)
  expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/a\/b\.iso$/)
  expect(server.sentBytes).toBe(CONTENT.length)
})

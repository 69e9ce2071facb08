/** Options of the pool that only a real server can prove, against nginx. */
import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConnectionPool, type ConnectionPoolOptions, HttpRequest } from 'ferry/transport'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CountingBackend } from '../support/counting-backend.ts'
import { startNginxOrigin } from '../support/nginx-origin.ts'
import { Site, SMALL_TEXT } from '../support/site.ts'
import { TempDir } from '../support/temp-dir.ts'

let site: Site
beforeAll(async () => {
  site = await Site.create()
})
afterAll(() => site[Symbol.asyncDispose]())

test('socketPath reaches a server on a Unix domain socket', async () => {
  await using dir = await TempDir.create()
  const socketPath = dir.join('nginx.sock')
  await using _server = await startNginxOrigin(site, { socketPath })

  expect(await get({ socketPath }, 'http://nginx.invalid/small.txt')).toEqual([200, SMALL_TEXT])
})

test('tls.minVersion refuses a server that only knows an older one', async () => {
  await using server = await startNginxOrigin(site, { tlsProtocols: 'TLSv1.2' })
  const url = server.url('/small.txt', 'https')

  expect(await get({ tls: { ca: site.ca } }, url)).toEqual([200, SMALL_TEXT])
  await expect(get({ tls: { ca: site.ca, minVersion: 'TLSv1.3' } }, url)).rejects.toMatchObject({
    code: 'tls-failed',
  })
})

test('tls.cert and tls.key show who we are', async () => {
  await using server = await startNginxOrigin(site, { clientCa: site.tls.cert })
  const url = server.url('/small.txt', 'https')
  const [cert, key] = [site.ca, await readFile(site.tls.key, 'utf8')]

  const [status] = await get({ tls: { ca: site.ca } }, url)
  const known = await get({ tls: { ca: site.ca, cert, key } }, url)

  expect(status).toBe(400)
  expect(known).toEqual([200, SMALL_TEXT])
})

test('tls.pins lets through the key that is named, and no other', async () => {
  await using server = await startNginxOrigin(site)
  const url = server.url('/small.txt', 'https')
  const { publicKey } = new X509Certificate(site.ca)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const pin = createHash('sha256').update(spki).digest('base64')
  const wrong = createHash('sha256').update('another').digest('base64')

  expect(await get({ tls: { ca: site.ca, pins: [wrong, pin] } }, url)).toEqual([200, SMALL_TEXT])
  await expect(get({ tls: { ca: site.ca, pins: [wrong] } }, url)).rejects.toMatchObject({
    code: 'tls-failed',
  })
})

test('maxRequestsPerConnection changes the connection in time', async () => {
  await using server = await startNginxOrigin(site)
  const backend = new CountingBackend()
  await using pool = new ConnectionPool({ backend, maxRequestsPerConnection: 2 })

  for (let index = 0; index < 5; index++) {
    const response = await pool.request(new HttpRequest('GET', server.url('/small.txt')))
    expect((await response.body.bytes()).toString()).toBe(SMALL_TEXT)
  }

  expect(backend.opened).toBe(3)
})

test('trace tells the steps of a request in their order', async () => {
  await using server = await startNginxOrigin(site)
  const steps: string[] = []
  const url = server.url('/small.txt', 'https')

  await get(
    { tls: { ca: site.ca }, trace: ({ step, phase }) => void steps.push(`${step} ${phase}`) },
    url,
  )

  const ends = steps.filter((step) => step.endsWith(' end')).map((step) => step.split(' ')[0])
  expect(ends.filter((step) => step !== 'resolve')).toEqual([
    'connect',
    'tls',
    'queue',
    'send-head',
    'wait',
    'read-head',
    'read-body',
    'close',
  ])
})

async function get(options: ConnectionPoolOptions, url: string): Promise<[number, string]> {
  await using pool = new ConnectionPool(options)
  const { status, body } = await pool.request(new HttpRequest('GET', url))
  return [status, (await body.bytes()).toString()]
}

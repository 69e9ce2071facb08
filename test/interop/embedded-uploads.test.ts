/** Upload servers inside servers of others: fastify, and node:http with routes of its own. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { fastifyUploads, UploadServer } from 'ferry/receive'
import { Upload } from 'tus-js-client'
import { expect, test } from 'vitest'
import { digestOf, TempDir } from '../support/temp-dir.ts'

// More than fastify reads of any content by itself.
const CONTENT = randomBytes(3_000_000)

/** Uploads by tus, in pieces. */
function upload(endpoint: string, headers: Record<string, string> = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    new Upload(CONTENT, {
      endpoint,
      headers,
      metadata: { filename: 'file.bin' },
      chunkSize: 2_000_000,
      retryDelays: null,
      onSuccess: () => resolve(),
      onError: reject,
    }).start()
  })
}

/** A fastify server with a route that reads JSON, and uploads beside it. */
async function openFastify(
  folder: string,
  prefix: string,
): Promise<{
  readonly fastify: FastifyInstance
  readonly uploads: UploadServer
  readonly url: string
}> {
  const uploads = await UploadServer.open(folder, { mount: prefix })
  const fastify = Fastify()
  fastify.post('/double', (request, reply) =>
    reply.send({ doubled: (request.body as { readonly value: number }).value * 2 }),
  )
  await fastify.register(fastifyUploads(uploads), { prefix })
  return { fastify, uploads, url: await fastify.listen({ port: 0, host: '127.0.0.1' }) }
}

test.each(['', '/api'])(
  'fastify takes uploads below "%s", beside its own routes',
  async (prefix) => {
    await using dir = await TempDir.create()
    const { fastify, uploads, url } = await openFastify(dir.path, prefix)
    const json = { 'Content-Type': 'application/json' }

    await upload(`${url}${prefix}/files`)
    const draft = await fetch(`${url}${prefix}/files`, {
      method: 'POST',
      headers: {
        ...json,
        'Upload-Complete': '?1',
        'Content-Disposition': 'inline; filename="a.json"',
      },
      body: CONTENT,
    })
    const chunk = await fetch(`${url}${prefix}/upload`, {
      method: 'POST',
      headers: { 'X-Chunk-Index': '0', 'X-File-Name': 'b.bin' },
      body: CONTENT,
    })
    const trailing = await fetch(`${url}${prefix}/files/`, {
      method: 'POST',
      headers: { 'Upload-Complete': '?0' },
    })
    const preflight = await fetch(`${url}${prefix}/files`, { method: 'OPTIONS' })
    const own = await fetch(`${url}/double`, {
      method: 'POST',
      headers: json,
      body: '{"value":21}',
    })
    const unknown = await fetch(`${url}${prefix}/unknown`)

    const statuses = [draft, chunk, trailing, preflight].map(({ status }) => status)
    expect(statuses).toEqual([201, 200, 201, 200])
    for (const name of ['file.bin', 'a.json', 'b.bin']) {
      expect(await dir.digest(name)).toBe(digestOf(CONTENT))
    }
    expect(await own.json()).toEqual({ doubled: 42 })
    // Its answer, not ours.
    expect(await unknown.json()).toMatchObject({ statusCode: 404 })
    await fastify.close()
    await uploads.close()
  },
)

test('A hook of fastify decides before an upload comes to the server', async () => {
  await using dir = await TempDir.create()
  await using uploads = await UploadServer.open(dir.path)
  await using fastify = Fastify()
  fastify.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization !== 'Bearer it') await reply.code(401).send({ error: 'who?' })
  })
  await fastify.register(fastifyUploads(uploads))
  const endpoint = `${await fastify.listen({ port: 0, host: '127.0.0.1' })}/files`

  await expect(upload(endpoint)).rejects.toThrow(/401/)
  await upload(endpoint, { Authorization: 'Bearer it' })

  expect(await dir.digest('file.bin')).toBe(digestOf(CONTENT))
  expect(await dir.names()).toEqual(['.ferry', 'file.bin'])
})

test('A server of node:http takes uploads below a mount, beside its own routes', async () => {
  await using dir = await TempDir.create()
  await using uploads = await UploadServer.open(dir.path, { mount: '/api' })
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    if (request.url?.startsWith('/api/') === true) void uploads.handler(request, response)
    else response.end('own')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  await upload(`${url}/api/files`)
  const own = await fetch(`${url}/files`)

  expect(await own.text()).toBe('own')
  expect(await dir.digest('file.bin')).toBe(digestOf(CONTENT))
  server.closeAllConnections()
  server.close()
})

/** Something else answers in place of the server; and whoever gives credentials takes his time. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { upload, type UploadOptions } from '../../packages/ferry/src/upload/index.ts'
import { SendingSite } from '../support/sending-site.ts'

const CONTENT = randomBytes(300_000)

/** The site's server behind a gateway that answers content with a page after the first `passed`. */
async function gateway(site: SendingSite, passed: number): Promise<string> {
  let count = 0
  const server = createServer((request, response) => {
    const isContent = request.method === 'POST' || request.method === 'PATCH'
    if (!isContent || count++ < passed) {
      void site.server.handler(request, response)
      return
    }
    request.resume().once('end', () => {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>Please log in</html>')
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test.each([
  ['indexedcp', 0],
  ['indexedcp', 1],
  ['tus', 1],
  ['ietf', 1],
] as const)('by %s a page in place of answer %d is no delivery', async (protocol, passed) => {
  await using site = await SendingSite.open()
  const path = protocol === 'indexedcp' ? 'upload' : 'files'
  const url = `${await gateway(site, passed)}/${path}`
  const options: UploadOptions = { protocol, chunkBytes: 100_000, parallel: 1, name: 'a' }

  const { result } = upload(CONTENT, url, options)

  await expect(result).rejects.toMatchObject({ code: 'remote-protocol' })
  expect(await site.dir.names()).toEqual(['.ferry'])
})

test('an upload can be given up while somebody is asked for credentials', async () => {
  await using site = await SendingSite.open()
  const asked = Promise.withResolvers<void>()
  const running = site.send(CONTENT, 'tus', {
    credentials: () => {
      asked.resolve()
      return new Promise(() => {})
    },
  })
  await asked.promise

  await running.cancel()

  await expect(running.result).rejects.toMatchObject({ name: 'AbortError' })
})

test('credentials that are refused are asked for once, however many requests are on their way', async () => {
  await using site = await SendingSite.open()
  const refusing = createServer((request, response) => {
    const isOld = request.headers.authorization === 'Bearer 1'
    if (request.method === 'POST' && isOld) {
      // All of them have come before one is answered.
      request.resume()
      setTimeout(() => response.writeHead(401).end(), 100)
    } else void site.server.handler(request, response)
  })
  await once(refusing.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void refusing.close())
  const asked: boolean[] = []

  await upload(CONTENT, `http://127.0.0.1:${(refusing.address() as AddressInfo).port}/upload`, {
    chunkBytes: 50_000,
    retryDelayMs: 5,
    credentials: async ({ refused }) => {
      const key = asked.push(refused)
      await new Promise((resolve) => setTimeout(resolve, 200))
      return { Authorization: `Bearer ${key}` }
    },
  }).result

  expect(asked).toEqual([false, true])
})

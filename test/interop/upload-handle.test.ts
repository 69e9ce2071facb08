/** An upload as its user holds it: paused, cancelled and listened to at moments that are seldom. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { upload } from '../../packages/ferry/src/upload/index.ts'
import { OldServer } from '../support/indexedcp-servers.ts'
import { SendingSite } from '../support/sending-site.ts'
import { digestOf } from '../support/temp-dir.ts'
import { UncaughtErrors } from '../support/uncaught-errors.ts'

const CONTENT = randomBytes(600_000)
const SLOWLY = { limitBytesPerSecond: 500_000, chunkBytes: 100_000 }

test('an upload that is cancelled keeps no connection', async () => {
  await using site = await SendingSite.open()
  const server = createServer((request, response) => void site.server.handler(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/files`
  const connections = promisify(server.getConnections.bind(server))

  // It has been created, and the connection is free for what comes next.
  const running = upload(CONTENT, url, {
    protocol: 'tus',
    onNote: () => void running.cancel(),
  })
  await expect(running.result).rejects.toMatchObject({ name: 'AbortError' })

  await expect.poll(() => connections()).toBe(0)
  server.close()
})

test('an upload that has failed can still be given up at the server', async () => {
  await using site = await SendingSite.open()
  const running = site.send(CONTENT, 'tus', { ...SLOWLY, maxRetries: 0, offline: 'fail' })
  await site.progress()
  await site.proxy.goDown()
  await expect(running.result).rejects.toMatchObject({ name: 'StreamError' })
  await site.proxy.comeUp()

  await running.cancel({ terminate: true })

  expect(running.state).toBe('failed')
  expect(site.proxy.requests.at(-1)).toMatch(/^DELETE \/files\//)
})

test('an upload that is paused as soon as it goes on stays so until it is resumed again', async () => {
  await using site = await SendingSite.open()
  const running = site.send(CONTENT, 'tus', SLOWLY)
  await site.progress()
  running.pause()
  // It has come to rest.
  await new Promise((resolve) => setTimeout(resolve, 50))
  const forget = running.onEvent(({ type }) => {
    if (type === 'state' && running.state === 'queued') running.pause()
  })
  running.resume()
  expect(running.state).toBe('paused')
  forget()

  running.limitBytesPerSecond = undefined
  running.resume()

  await running.result
  expect(await site.dir.digest('upload')).toBe(digestOf(CONTENT))
})

test('a pause at the moment at which it runs again holds at a server that cannot be asked', async () => {
  await using server = await OldServer.openNode1()
  const running = upload(CONTENT, server.url, {
    ...SLOWLY,
    headers: { Authorization: `Bearer ${server.key}` },
  })
  await expect.poll(() => running.progress().acknowledgedBytes).toBeGreaterThan(0)
  running.pause()
  // The chunk that was on its way is there.
  await expect.poll(() => running.note?.state['sending']).toBeUndefined()
  const forget = running.onEvent(({ type }) => {
    if (type === 'state' && running.state === 'running') running.pause()
  })
  running.resume()
  await expect.poll(() => running.state).toBe('paused')
  const { posts } = server
  forget()
  running.limitBytesPerSecond = undefined
  // Time enough for all of it.
  await new Promise((resolve) => setTimeout(resolve, 150))
  expect([server.posts, running.state]).toEqual([posts, 'paused'])

  running.resume()
  await running.result
  expect(server.content('upload').equals(CONTENT)).toBe(true)
})

test('what was acknowledged before a pause still counts while the server is not there after it', async () => {
  await using site = await SendingSite.open()
  const running = site.send(CONTENT, 'tus', SLOWLY)
  await expect.poll(() => running.progress().acknowledgedBytes).toBeGreaterThan(0)
  running.pause()
  const { acknowledgedBytes } = running.progress()
  await site.proxy.goDown()

  running.resume()
  await expect.poll(() => running.state).toBe('waiting')

  expect(running.progress()).toMatchObject({ acknowledgedBytes, sentBytes: acknowledgedBytes })
  await running.cancel()
})

test('what an earlier run has brought counts although this one was paused before it could know', async () => {
  await using site = await SendingSite.open()
  const path = await site.source.write('a.bin', CONTENT)
  const first = site.send(path, 'tus', SLOWLY)
  await expect.poll(() => first.progress().acknowledgedBytes).toBeGreaterThan(0)
  const { acknowledgedBytes } = first.progress()
  await first.cancel()

  const second = site.send(path, 'tus', { saved: first.note })
  const forget = second.onEvent(({ type }) => {
    if (type === 'protocol') second.pause()
  })
  await expect.poll(() => second.state).toBe('paused')
  forget()
  await new Promise((resolve) => setTimeout(resolve, 20))
  second.resume()

  const { resumedBytes, transmittedBytes } = await second.result
  expect(resumedBytes).toBeGreaterThanOrEqual(acknowledgedBytes)
  expect(resumedBytes + transmittedBytes).toBe(CONTENT.length)
})

test('what a listener throws is uncaught, and ends no upload', async () => {
  await using site = await SendingSite.open()
  using uncaught = new UncaughtErrors()
  const running = site.send(CONTENT, 'tus', {
    onEvent: () => {
      throw new Error('by the option')
    },
  })
  running.onEvent(({ type }) => {
    throw new Error(`by a listener, ${type}`)
  })

  await running.result

  expect(running.state).toBe('completed')
  const told = ['by the option', 'by a listener, state']
  const messages = uncaught.errors.map((error) => (error as Error).message)
  expect(messages).toEqual([...told, 'by the option', 'by a listener, protocol', ...told])
})

/** eventSource() on real sockets, with servers of node:http. */
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ConnectionPool } from '../connection-pool.ts'
import { eventSource } from './event-source.ts'

const EVENTS = { 'content-type': 'text/event-stream' }

interface OpenServer extends AsyncDisposable {
  readonly url: string
  readonly server: Server
}

async function serve(listener: RequestListener): Promise<OpenServer> {
  const server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('eventSource() goes on after a server that ends, one that breaks, and one that is gone', async () => {
  const asked: (string | string[] | undefined)[] = []
  await using server = await serve((request, response) => {
    asked.push(request.headers['last-event-id'])
    const count = asked.length
    if (count === 3) {
      response.destroy()
      return
    }
    response.writeHead(200, EVENTS)
    response.write(`retry: 5\nid: ${count}\ndata: number ${count}\n\ndata: cut`, () => {
      if (count === 1) response.end()
      if (count === 2) response.destroy()
    })
  })
  await using pool = new ConnectionPool()
  const data: string[] = []

  for await (const event of eventSource(server.url, { pool })) {
    data.push(event.data)
    if (data.length === 3) break
  }

  expect(data).toEqual(['number 1', 'number 2', 'number 4'])
  expect(asked).toEqual([undefined, '1', '2', '2'])
})

test('eventSource() keeps no more of a fast server than it was told', async () => {
  const piece = 'data: 0123456789abcdef\n\n'.repeat(1000)
  let written = 0
  await using server = await serve((_, response) => {
    response.writeHead(200, EVENTS)
    const write = (): void => {
      while (!response.destroyed && response.write(piece)) written += 1000
      response.once('drain', write)
    }
    write()
  })
  await using pool = new ConnectionPool()
  await using subscription = eventSource(server.url, { pool, maxHeldBytes: 10_000 })

  await subscription.next()
  let before = -1
  // Sockets have buffers of their own; when those are full, the server stands still.
  while (before !== written) {
    before = written
    await sleep(200)
  }
  const held = Number(/(\d+) held/.exec(subscription.toString())?.[1])
  for (let count = 0; count < 300_000; count++) await subscription.next()

  // One read beyond the bound, of a slab of 256 KiB.
  expect(held).toBeGreaterThan(0)
  expect(held * 24).toBeLessThan(262_144 + 10_000)
  expect(written).toBeGreaterThan(before)
})

test('eventSource() sends a body and reads events while a server answers', async () => {
  await using server = await serve((request, response) => {
    response.writeHead(200, EVENTS)
    request.on('data', (bytes: Buffer) => response.write(`data: ${bytes.toString()}\n\n`))
    request.on('end', () => response.end())
  })
  await using pool = new ConnectionPool()
  async function* content(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('one')
    await sleep(20)
    yield Buffer.from('two')
  }
  const data: string[] = []

  const options = { pool, method: 'POST', content: content() }
  for await (const event of eventSource(server.url, options)) data.push(event.data)

  expect(data).toEqual(['one', 'two'])
})

test('eventSource() closed frees the connection at the server', async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, EVENTS)
    response.write('data: a\n\n')
  })
  await using pool = new ConnectionPool()
  const subscription = eventSource(server.url, { pool })
  const closed = new Promise((resolve) =>
    server.server.on('connection', (socket) => socket.on('close', resolve)),
  )
  await subscription.next()

  await subscription.close()

  await closed
  expect(pool.metrics()).toMatchObject({ active: 0, closed: 1 })
})

/** WebSockets over HTTP/2 (RFC 8441), with Node's server. */
import { ConnectionPool, HttpRequest } from 'ferry/transport'
import { expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { connectWebSocket } from '../../packages/ferry/src/transport/websocket/connect-websocket.ts'
import { Http2EchoServer } from '../support/websocket-http2-server.ts'

const certificate = createCertificate('IP:127.0.0.1')

/** A pool with an open connection: only one that is known to take other protocols gets them. */
async function openPool(server: Http2EchoServer): Promise<ConnectionPool> {
  const pool = new ConnectionPool({ tls: { ca: certificate.cert } })
  const url = server.url('/page').replace('wss:', 'https:')
  const response = await pool.request(new HttpRequest('GET', url))
  await response.body.bytes()
  server.requests.length = 0
  server.closes.length = 0
  return pool
}

test('two sockets share a connection, and each closes by itself', async () => {
  await using server = await Http2EchoServer.start(certificate)
  await using pool = await openPool(server)
  const url = server.url('/echo')
  const first = await connectWebSocket(url, { pool, protocols: ['chat'] })
  const second = await connectWebSocket(url, { pool })
  const long = Buffer.alloc(1_000_000, 7)

  await Promise.all([first.send('one'), second.send('two'), first.send(long)])
  expect(await second.receive()).toBe('two')
  expect(await first.receive()).toBe('one')
  expect(((await first.receive()) as Buffer).equals(long)).toBe(true)
  expect(await first.ping()).toBeGreaterThan(0)
  expect(await first.close()).toEqual({ code: 1000, reason: 'bye', wasClean: true })
  await second.send('still here')

  expect(await second.receive()).toBe('still here')
  expect([first.head.version, first.head.status, first.protocol]).toEqual(['2', 200, 'chat'])
  expect(server.sessions).toBe(1)
  expect(server.requests[0]).toMatchObject({ ':method': 'CONNECT', ':protocol': 'websocket' })
  expect(server.requests[0]).not.toHaveProperty('sec-websocket-key')
  await second.close()
})

test('terminate() resets the stream and leaves the connection', async () => {
  await using server = await Http2EchoServer.start(certificate)
  await using pool = await openPool(server)
  const socket = await connectWebSocket(server.url('/echo'), { pool })

  socket.terminate()

  // CANCEL (RFC 9113 §7)
  await expect.poll(() => server.closes).toEqual([8])
  await using next = await connectWebSocket(server.url('/echo'), { pool })
  await next.send('hello')
  expect(await next.receive()).toBe('hello')
  expect(server.sessions).toBe(1)
})

test('a pool that closes breaks the sockets on its connections', async () => {
  await using server = await Http2EchoServer.start(certificate)
  const pool = await openPool(server)
  const socket = await connectWebSocket(server.url('/echo'), { pool })

  await pool.close()

  await expect(socket.receive()).rejects.toMatchObject({ code: 'connection-lost' })
  expect((await socket.closed).wasClean).toBe(false)
})

test('a refusal is an HttpStatusError', async () => {
  await using server = await Http2EchoServer.start(certificate)
  await using pool = await openPool(server)

  const opening = connectWebSocket(server.url('/other'), { pool })

  await expect(opening).rejects.toMatchObject({ code: 'http-status', status: 403 })
})

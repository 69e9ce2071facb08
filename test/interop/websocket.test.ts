/** WebSockets with servers that were not made for Ferry, straight and through what stands between. */
import { randomBytes } from 'node:crypto'
import { ConnectionPool, type ConnectionPoolOptions } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { connectWebSocket } from '../../packages/ferry/src/transport/websocket/connect-websocket.ts'
import type { WebSocketChannel } from '../../packages/ferry/src/transport/websocket/websocket-channel.ts'
import { startMicrosocks } from '../support/microsocks.ts'
import { startTinyproxy } from '../support/tinyproxy.ts'
import { EchoServer } from '../support/websocket-echo-server.ts'
import { startWebSocketNginx } from '../support/websocket-nginx.ts'
import { startPythonEcho } from '../support/websocket-python.ts'

const certificate = createCertificate('IP:127.0.0.1')
const DEFLATE = { threshold: 1024 } as const

/** Messages of every size of header, text and bytes, empty ones too. */
const MESSAGES: readonly (string | Buffer)[] = [
  '',
  'hello',
  'grüße 👋',
  'x'.repeat(126),
  'é'.repeat(40_000),
  Buffer.alloc(0),
  randomBytes(125),
  randomBytes(65_535),
  randomBytes(65_536),
  randomBytes(3_000_000),
]

/** A way to a server that echoes; whoever opens it disposes of it. */
interface Way extends AsyncDisposable {
  readonly url: string
  readonly pool?: ConnectionPoolOptions
}

async function direct(perMessageDeflate = false): Promise<Way> {
  const server = await EchoServer.start({ perMessageDeflate })
  return { url: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

async function overTls(): Promise<Way> {
  const server = await EchoServer.start({ certificate })
  return {
    url: server.url,
    pool: { tls: { ca: certificate.cert } },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function python(): Promise<Way> {
  const server = await startPythonEcho()
  return wayThrough(server, { url: `ws://127.0.0.1:${server.ports[0]}/` })
}

async function nginx(): Promise<Way> {
  const server = await EchoServer.start()
  const proxy = await startWebSocketNginx(server.port)
  return wayThrough(proxy, { url: `ws://127.0.0.1:${proxy.ports[0]}/echo` }, server)
}

async function throughProxy(scheme: 'http' | 'socks5h', certified = false): Promise<Way> {
  const server = await EchoServer.start(certified ? { certificate } : {})
  const proxy = await (scheme === 'http' ? startTinyproxy() : startMicrosocks())
  const pool = { proxy: `${scheme}://127.0.0.1:${proxy.port}`, tls: { ca: certificate.cert } }
  return wayThrough(proxy, { url: server.url, pool }, server)
}

function wayThrough(
  outer: AsyncDisposable,
  way: Omit<Way, typeof Symbol.asyncDispose>,
  server?: AsyncDisposable,
): Way {
  return {
    ...way,
    async [Symbol.asyncDispose]() {
      await outer[Symbol.asyncDispose]()
      await server?.[Symbol.asyncDispose]()
    },
  }
}

const WAYS: readonly { name: string; open: () => Promise<Way>; compresses?: boolean }[] = [
  { name: 'the ws server', open: () => direct() },
  { name: 'the ws server, compressing', open: () => direct(true), compresses: true },
  { name: 'the ws server over TLS', open: overTls },
  { name: 'python3-websockets, compressing', open: python, compresses: true },
  { name: 'the ws server behind nginx', open: nginx },
  { name: 'the ws server over TLS through tinyproxy', open: () => throughProxy('http', true) },
  { name: 'the ws server through microsocks', open: () => throughProxy('socks5h') },
]

describe.each(WAYS)('$name', ({ open, compresses = false }) => {
  let way: Way
  let pool: ConnectionPool
  beforeAll(async () => {
    way = await open()
    pool = new ConnectionPool(way.pool)
  })
  afterAll(async () => {
    await pool.close()
    await way[Symbol.asyncDispose]()
  })
  const connect = (): Promise<WebSocketChannel> =>
    connectWebSocket(way.url, { pool, perMessageDeflate: compresses && DEFLATE })

  test('echoes messages of every kind and size, whole and in order', async () => {
    await using socket = await connect()
    expect(socket.extensions !== '').toBe(compresses)

    for (const message of MESSAGES) void socket.send(message)
    for (const message of MESSAGES) {
      const echo = await socket.receive()
      expect(typeof echo).toBe(typeof message)
      // A plain comparison: one of megabytes takes vitest seconds.
      expect(Buffer.from(echo ?? '!').equals(Buffer.from(message))).toBe(true)
    }
  })

  test('takes a message in pieces, with a ping between them', async () => {
    await using socket = await connect()
    async function* pieces(): AsyncGenerator<string> {
      yield 'one '
      yield 'two '
      await socket.ping()
      yield '\ud83d'
      yield '\udc4b'
    }

    await Promise.all([socket.send(pieces()), socket.send('next')])

    expect(await socket.receive()).toBe('one two 👋')
    expect(await socket.receive()).toBe('next')
  })

  test('answers a ping', async () => {
    await using socket = await connect()

    expect(await socket.ping()).toBeGreaterThan(0)
    expect(await socket.ping('payload')).toBeGreaterThan(0)
  })

  test('closes cleanly', async () => {
    const socket = await connect()

    expect(await socket.close(3000, 'bye')).toEqual({ code: 3000, reason: 'bye', wasClean: true })
    expect(socket.state).toBe('closed')
    expect(await socket.receive()).toBeUndefined()
  })
})

test('a ws server that closes ends the loop, and its code and reason are told', async () => {
  await using server = await EchoServer.start({
    onSocket: (socket) => {
      socket.send('one')
      socket.send(Buffer.from('two'))
      socket.close(4000, 'all said')
    },
  })
  await using socket = await connectWebSocket(server.url)

  const messages: unknown[] = []
  for await (const message of socket) messages.push(message)

  expect(messages).toEqual(['one', Buffer.from('two')])
  expect(await socket.closed).toEqual({ code: 4000, reason: 'all said', wasClean: true })
  await expect.poll(() => server.closes).toEqual(['4000'])
})

test('a ws server that terminates is a broken connection', async () => {
  await using server = await EchoServer.start({ onSocket: (socket) => socket.terminate() })
  await using socket = await connectWebSocket(server.url)

  await expect(socket.receive()).rejects.toMatchObject({ code: 'connection-lost' })
  expect(await socket.closed).toEqual({ code: 1006, reason: '', wasClean: false })
})

test('python3-websockets chooses a subprotocol and closes with a code', async () => {
  await using server = await startPythonEcho()
  const url = `ws://127.0.0.1:${server.ports[0]}/`
  await using socket = await connectWebSocket(url, { protocols: ['other', 'chat'] })

  expect(socket.protocol).toBe('chat')
  expect(await socket.receive()).toBe('subprotocol chat')
  await socket.send('close')
  expect(await socket.receive()).toBeUndefined()
  expect(await socket.closed).toEqual({ code: 4001, reason: 'as you wish', wasClean: true })
})

test.each([
  ['no context of either side', { clientNoContextTakeover: true, serverNoContextTakeover: true }],
  ['small windows', { serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
  ['the smallest windows', { serverMaxWindowBits: 8, clientMaxWindowBits: 8 }],
])('compression with %s goes both ways', async (_, perMessageDeflate) => {
  await using server = await EchoServer.start({ perMessageDeflate: true })
  await using socket = await connectWebSocket(server.url, {
    perMessageDeflate: { threshold: 0, ...perMessageDeflate },
  })
  const messages = ['', 'a', 'b'.repeat(70_000), randomBytes(70_000).toString('hex')]

  for (const message of [...messages, ...messages]) {
    await socket.send(message)
    expect((await socket.receive()) === message).toBe(true)
  }
})

test('compression can be chosen for each message', async () => {
  const lengths: number[] = []
  await using server = await EchoServer.start({
    perMessageDeflate: true,
    onSocket: (socket) => {
      const { _socket: raw } = socket as unknown as { _socket: { bytesRead: number } }
      let before = raw.bytesRead
      socket.on('message', () => {
        lengths.push(raw.bytesRead - before)
        before = raw.bytesRead
        socket.send('next')
      })
    },
  })
  await using socket = await connectWebSocket(server.url, { perMessageDeflate: true })
  for (const options of [{}, { compress: false }, { compress: true }]) {
    await socket.send('x'.repeat(2000), options)
    await socket.receive()
  }
  await socket.send('x'.repeat(100))
  await socket.receive()

  expect(lengths.map((length) => length > 100)).toEqual([false, true, false, true])
})

test('without a pool a socket brings its own, and closes it', async () => {
  await using server = await EchoServer.start()
  const socket = await connectWebSocket(server.url.replace('ws:', 'http:'))
  await socket.send('hello')

  expect(await socket.receive()).toBe('hello')
  expect(socket.head.status).toBe(101)
  expect(socket.connection?.getExtraInfo('peer')?.port).toBe(server.port)
  await socket.close()
  await expect.poll(() => server.sockets.size).toBe(0)
})

/** TcpClient against servers of node:net and node:tls: slow, cut, half-closed, refusing. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { TcpClient } from './tcp-client.ts'
import type { TcpClientOptions } from './tcp-client-options.ts'

const CERTIFICATE = createCertificate('IP:127.0.0.1')
const MIB = 1_048_576

async function connect(
  server: { readonly port: number },
  options: Partial<TcpClientOptions> = {},
): Promise<TcpClient> {
  const client = new TcpClient({ host: '127.0.0.1', port: server.port, ...options })
  await client.connect()
  return client
}

/** A server whose sockets may be half-closed, closed with the test. */
async function listenHalfOpen(onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, onSocket)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1))
}

function reset(socket: Socket): void {
  socket.resetAndDestroy()
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A port that nobody listens on. */
async function unusedPort(): Promise<number> {
  const server = await LoopbackServer.open()
  const { port } = server
  await server[Symbol.asyncDispose]()
  return port
}

test('TcpClient talks in lines', async () => {
  await using server = await LoopbackServer.open((socket) => {
    socket.on('data', (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()))
  })
  await using client = await connect(server)

  await client.send('one\r\ntwo\n')

  expect([await client.readLine(), await client.readLine()]).toEqual(['ONE', 'TWO'])
  expect(client.getExtraInfo('peer')).toEqual({ address: '127.0.0.1', port: server.port })
})

test('connect() to a port that refuses tries again, then gives the reason', async () => {
  const port = await unusedPort()
  const client = new TcpClient({ host: '127.0.0.1', port, retries: 2, retryDelayMs: 20 })
  const startedAt = performance.now()

  await expect(client.connect()).rejects.toMatchObject({ code: 'connect-failed' })

  // 20 and 40 ms.
  expect(performance.now() - startedAt).toBeGreaterThan(55)
})

test('connect() reaches a server that comes up meanwhile', async () => {
  const port = await unusedPort()
  await using client = new TcpClient({ host: '127.0.0.1', port, retryDelayMs: 50 })
  const connecting = client.connect()
  const server = createServer((socket) => socket.end('late\n'))
  await once(server.listen(port, '127.0.0.1'), 'listening')

  await connecting

  expect(await client.readLine()).toBe('late')
  server.close()
})

test('a handshake that does not come times out as the connecting it is', async () => {
  await using server = await LoopbackServer.open()
  const options = { tls: { ca: CERTIFICATE.cert }, timeoutMs: 50, retries: 1, retryDelayMs: 1 }

  await expect(connect(server, options)).rejects.toMatchObject({
    code: 'timeout',
    phase: 'connect',
  })
})

test('many bytes go both ways at once and arrive whole', async () => {
  await using server = await LoopbackServer.open((socket) => void socket.pipe(socket))
  await using client = await connect(server)
  const content = randomBytes(16 * MIB)

  const sending = client.send(content)
  const received = await client.readExactly(content.length)
  await sending

  expect(digest(received)).toBe(digest(content))
})

test('bytes that nobody reads wait at the server', async () => {
  let written = 0
  await using server = await LoopbackServer.open((socket) => {
    const fill = (): void => {
      while (written < 64 * MIB && socket.write(Buffer.alloc(MIB))) written += MIB
    }
    socket.on('drain', fill)
    fill()
  })
  await using client = await connect(server)
  await client.receive(1)
  await new Promise((resolve) => setTimeout(resolve, 300))

  // What the kernel's two buffers take, and ours.
  expect(written).toBeLessThan(20 * MIB)
})

test('a read of a silent server times out, and the connection goes on', async () => {
  await using server = await LoopbackServer.open((socket) => {
    socket.on('data', () => socket.write('at last\n'))
  })
  const clock = new FakeClock()
  await using client = await connect(server, { clock, timeoutMs: 50 })

  const reading = client.readLine()
  await until(() => clock.pending > 0)
  clock.advance(50)
  await expect(reading).rejects.toMatchObject({ code: 'timeout', phase: 'body' })
  await client.send('?')

  expect(await client.readLine()).toBe('at last')
})

test('a server that reads nothing makes a send time out', async () => {
  await using server = await LoopbackServer.open((socket) => socket.pause())
  await using client = await connect(server, { timeoutMs: 1000 })

  await expect(client.send(Buffer.alloc(64 * MIB))).rejects.toMatchObject({ code: 'timeout' })

  expect(client.isConnected).toBe(false)
})

test('a connection cut in the middle gives what came, then the break', async () => {
  await using server = await LoopbackServer.open((socket) => {
    // The client reads between the timer's turn and the next one.
    socket.write('half a l', () => setTimeout(() => setImmediate(reset, socket), 50))
  })
  await using client = await connect(server)

  await expect(client.readLine()).rejects.toMatchObject({
    code: 'connection-lost',
    bytesReceived: 8,
    cause: { code: 'ECONNRESET' },
  })
  expect(String(await client.receive())).toBe('half a l')
  expect(client.isConnected).toBe(false)
})

test('a send that the system refuses is an error, not a success', async () => {
  const isReset = Promise.withResolvers<void>()
  await using server = await LoopbackServer.open((socket) => {
    socket.on('close', () => isReset.resolve())
    // So much that the client stops reading, and so does not see the break by reading.
    socket.write(Buffer.alloc(8 * MIB))
    setTimeout(reset, 50, socket)
  })
  await using client = await connect(server)
  await isReset.promise

  const failures: unknown[] = []
  for (let index = 0; index < 3; index++) {
    await client.send('x').catch((error: unknown) => failures.push(error))
  }

  expect(failures).toHaveLength(3)
  expect(failures[0]).toMatchObject({ code: 'connection-lost' })
  expect(client.isConnected).toBe(false)
})

test('end() closes our half; the answer still comes', async () => {
  const server = await listenHalfOpen((socket) => {
    const received: Buffer[] = []
    socket.on('data', (bytes: Buffer) => received.push(bytes))
    socket.on('end', () => socket.end(`${Buffer.concat(received).length} bytes\n`))
  })
  await using client = await connect(server.address() as AddressInfo)

  await client.send(Buffer.alloc(100_000))
  await client.end()

  expect(await client.readLine()).toBe('100000 bytes')
  expect(await client.readLine()).toBeUndefined()
  server.close()
})

test('a server that has closed is found out before the next send, and reached anew', async () => {
  let connections = 0
  await using server = await LoopbackServer.open((socket) => {
    connections++
    socket.once('data', (bytes: Buffer) => socket.end(bytes))
  })
  await using client = await connect(server, { reconnect: true })

  for (const line of ['a', 'b', 'c']) {
    await client.send(`${line}\n`)
    expect(await client.readLine()).toBe(line)
    expect(await client.readLine()).toBeUndefined()
  }

  expect(connections).toBe(3)
})

test('TLS from the first byte, by an authority of our own', async () => {
  await using server = await LoopbackServer.open((socket) => socket.end('hello\n'), CERTIFICATE)
  await using client = await connect(server, { tls: { ca: CERTIFICATE.cert } })

  expect(await client.readLine()).toBe('hello')
  expect(await client.readLine()).toBeUndefined()
  expect(client.getExtraInfo('tls')).toMatchObject({ authorized: true })
  await expect(connect(server, { tls: {} })).rejects.toMatchObject({ code: 'tls-failed' })
})

/** Answers STARTTLS with `reply` and a handshake, and inside it every line in capitals. */
function startTlsServer(reply: string): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => {
      socket.write(reply)
      const secured = new TLSSocket(socket, { ...CERTIFICATE, isServer: true })
      secured.on('error', () => {})
      secured.on('data', (bytes: Buffer) => secured.write(bytes.toString().toUpperCase()))
    })
  }
}

test('startTls() protects an open connection', async () => {
  await using server = await LoopbackServer.open(startTlsServer('go\n'))
  await using client = await connect(server)

  await client.send('STARTTLS\n')
  await client.readLine()
  await client.startTls({ ca: CERTIFICATE.cert })
  await client.send('secret\n')

  expect(await client.readLine()).toBe('SECRET')
  expect(client.getExtraInfo('tls')).toMatchObject({ authorized: true })
})

test.each([
  ['in the same packet', 0],
  ['right behind it', 20],
])('startTls() takes no plain byte for a protected one: %s', async (_, delayMs) => {
  await using server = await LoopbackServer.open((socket) => {
    socket.once('data', () => {
      if (delayMs === 0) socket.write('go\ninjected\n')
      else {
        socket.write('go\n')
        setTimeout(() => socket.write('injected\n'), delayMs / 2)
      }
    })
  })
  await using client = await connect(server)
  await client.send('STARTTLS\n')
  await client.readLine()
  await new Promise((resolve) => setTimeout(resolve, delayMs))

  await expect(client.startTls({ ca: CERTIFICATE.cert })).rejects.toMatchObject({
    code: 'tls-failed',
  })

  await until(() => server.connections === 0)
  await expect(client.send('secret')).rejects.toThrow('not connected')
})

test('startTls() with the wrong peer closes the connection', async () => {
  await using server = await LoopbackServer.open(startTlsServer('go\n'))
  await using client = await connect(server)
  await client.send('STARTTLS\n')
  await client.readLine()

  await expect(client.startTls()).rejects.toMatchObject({ code: 'tls-failed' })

  expect(client.isConnected).toBe(false)
  await until(() => server.connections === 0)
})

test('startTls() is ended by close() and by an abort', async () => {
  await using server = await LoopbackServer.open((socket) => void socket.resume())
  await using first = await connect(server)
  const closing = first.startTls()
  await new Promise((resolve) => setTimeout(resolve, 20))
  await first.close()
  await expect(closing).rejects.toMatchObject({ code: 'connection-lost' })

  await using second = await connect(server)
  await expect(second.startTls({}, { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({
    name: 'TimeoutError',
  })
  await until(() => server.connections === 0)
})

test.each([
  ['plain', undefined],
  ['over TLS', CERTIFICATE],
])('bytesPerSecond holds on a real connection, %s', async (_, certificate) => {
  await using server = await LoopbackServer.open((socket) => void socket.pipe(socket), certificate)
  const tls = certificate && { ca: certificate.cert }
  await using client = await connect(server, { bytesPerSecond: 400_000, tls })
  const startedAt = performance.now()

  await Promise.all([client.send(Buffer.alloc(160_000)), client.readExactly(160_000)])

  // 0.4 s at the limit; the last tenth of a second's bytes need not be waited for.
  expect(performance.now() - startedAt).toBeGreaterThan(280)
  expect(performance.now() - startedAt).toBeLessThan(4000)
})

test('close() frees the process: nothing stays open', async () => {
  await using server = await LoopbackServer.open()
  const client = await connect(server)
  await until(() => server.connections === 1)

  await client.close()

  await until(() => server.connections === 0)
  expect(`${client}`).toBe(`TcpClient(host=127.0.0.1, port=${server.port}) disconnected`)
})

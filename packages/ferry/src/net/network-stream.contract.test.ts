/**
 * What NetworkStream promises, run on every implementation: in memory, TCP, Unix domain socket, TLS,
 * and TLS started on an open stream, plain or protected already.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import { createCertificate } from '../testing/certificates.ts'
import {
  describeNetworkStream,
  type FarSide,
  type Pair,
} from '../testing/describe-network-stream.ts'
import { MemoryStream } from './memory-backend.ts'
import type { NetworkStream } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'

const CERTIFICATE = createCertificate('IP:127.0.0.1')
const TLS = { ca: CERTIFICATE.cert }
const backend = new NodeBackend()

/** A far side on the server's socket; `raw` is the one on the wire. */
function farSide(socket: Socket, raw: Socket, canReset: boolean): FarSide {
  const received: Buffer[] = []
  let ended = false
  socket.on('data', (bytes: Buffer) => received.push(bytes))
  socket.on('end', () => (ended = true))
  return {
    send: (bytes) => void socket.write(bytes),
    end: () => void socket.end(),
    reset: canReset ? () => void raw.resetAndDestroy() : undefined,
    received: () => Buffer.concat(received).toString('latin1'),
    sawEnd: () => ended,
    closed: () => raw.destroyed,
    waiting: () => socket.writableLength,
    stall: () => void socket.pause(),
  }
}

interface Setup {
  readonly server: Server
  readonly socketPath?: string
  readonly canReset: boolean
  /** From the server's socket to the one that carries the content. */
  readonly wrap?: (socket: Socket) => Socket
  readonly open: (port: number) => Promise<NetworkStream>
}

/** Listens, connects, and gives both ends. */
async function openPair({ server, socketPath, canReset, wrap, open }: Setup): Promise<Pair> {
  const raw = Promise.withResolvers<Socket>()
  const accepted = Promise.withResolvers<Socket>()
  const ready = (socket: Socket): void => accepted.resolve(socket)
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {})
    raw.resolve(socket)
  })
  server.on(server.listenerCount('secureConnection') > 0 ? 'ready' : 'connection', ready)
  const place = socketPath === undefined ? { port: 0, host: '127.0.0.1' } : { path: socketPath }
  await new Promise<void>((resolve) => server.listen(place, resolve))
  const address = server.address()
  const opening = open(typeof address === 'object' ? (address?.port ?? 0) : 0)
  const socket = wrap === undefined ? await accepted.promise : wrap(await accepted.promise)
  socket.on('error', () => {})
  const rawSocket = await raw.promise
  const far = farSide(socket, rawSocket, canReset)
  const stream = await opening
  return {
    stream,
    far,
    [Symbol.asyncDispose]: async () => {
      stream.close()
      rawSocket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A server of node:tls that tells of each secured socket by 'ready'. */
function tlsServer(): Server {
  const server: Server = createTlsServer({ ...CERTIFICATE, allowHalfOpen: true }, (socket) =>
    server.emit('ready', socket),
  )
  return server
}

function plainServer(): Server {
  return createServer({ allowHalfOpen: true })
}

function secureOnServer(socket: Socket): Socket {
  return new TLSSocket(socket, { ...CERTIFICATE, isServer: true, allowHalfOpen: true } as never)
}

const HOST = { host: '127.0.0.1', timeoutMs: 10_000 }

async function openUnix(): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-net-'))
  const socketPath = join(folder, 'socket')
  const open = (): Promise<NetworkStream> => backend.connect({ ...HOST, port: 80, socketPath })
  const pair = await openPair({ server: plainServer(), socketPath, canReset: false, open })
  return {
    ...pair,
    [Symbol.asyncDispose]: async () => {
      await pair[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    },
  }
}

function openMemory(): Promise<Pair> {
  const stream = new MemoryStream()
  const far: FarSide = {
    send: (bytes) => stream.send(bytes),
    end: () => stream.sendEnd(),
    reset: () => stream.fail(Object.assign(new Error('reset'), { code: 'ECONNRESET' })),
    received: () => stream.written,
    sawEnd: () => stream.ended,
    closed: () => stream.closed,
    waiting: () => undefined,
    stall: () => (stream.stalled = true),
  }
  const close = (): Promise<void> => Promise.resolve(stream.close())
  return Promise.resolve({ stream, far, [Symbol.asyncDispose]: close })
}

const IMPLEMENTATIONS: readonly (readonly [name: string, open: () => Promise<Pair>])[] = [
  ['MemoryStream', openMemory],
  [
    'NodeStream over TCP',
    () =>
      openPair({
        server: plainServer(),
        canReset: true,
        open: (port) => backend.connect({ ...HOST, port }),
      }),
  ],
  ['NodeStream over a Unix domain socket', openUnix],
  [
    'NodeStream over TLS',
    () =>
      openPair({
        server: tlsServer(),
        canReset: true,
        open: (port) => backend.connect({ ...HOST, port, tls: TLS }),
      }),
  ],
  [
    'NodeStream upgraded to TLS',
    () =>
      openPair({
        server: tlsServer(),
        canReset: true,
        open: async (port) => {
          const plain = await backend.connect({ ...HOST, port })
          return backend.startTls(plain, { ...HOST, port, tls: TLS })
        },
      }),
  ],
  [
    'NodeStream upgraded to TLS within TLS',
    () =>
      openPair({
        server: tlsServer(),
        // node:tls passes a reset of the outer connection on as an end.
        canReset: false,
        wrap: secureOnServer,
        open: async (port) => {
          const outer = await backend.connect({ ...HOST, port, tls: TLS })
          return backend.startTls(outer, { ...HOST, port, tls: TLS })
        },
      }),
  ],
]

for (const [name, open] of IMPLEMENTATIONS) describeNetworkStream(name, open)

import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import type { NetworkStream, StreamReader } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'

const CERTIFICATE = createCertificate('IP:127.0.0.1')

/** Records what a stream brings; offers `windows`, one a read, and then nothing. */
class RecordingReader implements StreamReader {
  readonly events: string[] = []
  received = Buffer.alloc(0)
  readonly landed: Buffer[] = []
  windows: Buffer[] = []
  onChunk = (): void => {}

  onBytes(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes])
    this.landed.push(bytes)
    this.onChunk()
  }

  onEnd(): void {
    this.events.push('end')
  }

  onError(error: Error): void {
    this.events.push(`error ${(error as NodeJS.ErrnoException).code}`)
  }

  nextBuffer(): Buffer | undefined {
    return this.windows.shift()
  }
}

/** Both ends of a connection over the loopback. */
class Pair implements AsyncDisposable {
  readonly server: LoopbackServer
  readonly stream: NetworkStream
  readonly socket: Socket

  private constructor(server: LoopbackServer, stream: NetworkStream, socket: Socket) {
    this.server = server
    this.stream = stream
    this.socket = socket
  }

  static async open(options: { tls: boolean }): Promise<Pair> {
    const { promise, resolve } = Promise.withResolvers<Socket>()
    const server = await LoopbackServer.open(resolve, options.tls ? CERTIFICATE : undefined)
    const { port } = server
    const tls = options.tls ? { ca: CERTIFICATE.cert } : undefined
    const stream = await new NodeBackend().connect({
      host: '127.0.0.1',
      port,
      tls,
      timeoutMs: 10_000,
    })
    return new Pair(server, stream, await promise)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stream.close()
    await this.server[Symbol.asyncDispose]()
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn()
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Enough turns for anything that is on its way over the loopback to arrive. */
async function turns(count = 200): Promise<void> {
  for (let turned = 0; turned < count; turned++) await turn()
}

const KINDS = [
  ['TCP', { tls: false }],
  ['TLS', { tls: true }],
] as const

test('NodeStream gives nothing after the end, even when the connection breaks then', async () => {
  await using pair = await Pair.open({ tls: false })
  const reader = new RecordingReader()
  reader.onEnd = () => {
    reader.events.push('end')
    pair.stream.write('a peer that is gone answers with a reset')
  }
  pair.stream.read(reader)

  pair.socket.destroy()
  await until(() => reader.events.length > 0)
  await turns()

  expect(reader.events).toEqual(['end'])
})

test.each(KINDS)(
  'NodeStream over %s reads into the memory that its reader offers',
  async (_, options) => {
    await using pair = await Pair.open(options)
    const reader = new RecordingReader()
    const first = Buffer.alloc(4)
    const second = Buffer.alloc(64)
    pair.stream.read(reader)
    pair.socket.write('head')
    reader.windows = [first, second]
    await until(() => reader.received.length === 4)

    pair.socket.write('0123456789')
    await until(() => reader.received.length === 14)

    expect(String(first)).toBe('0123')
    expect(second.toString('latin1', 0, 6)).toBe('456789')
    expect(reader.landed[1]?.buffer).toBe(first.buffer)
    expect(String(reader.received)).toBe('head0123456789')
  },
)

test.each(KINDS)('NodeStream over %s asks for memory again after a pause', async (_, options) => {
  await using pair = await Pair.open(options)
  const reader = new RecordingReader()
  const window = Buffer.alloc(4)
  pair.stream.read(reader)
  pair.socket.write('head')
  reader.windows = [window]
  await until(() => reader.received.length === 4)
  reader.onChunk = () => pair.stream.pause()
  pair.socket.write('kept')
  await until(() => reader.received.length === 8)

  pair.socket.write('more')
  await turns()
  pair.stream.resume()
  await until(() => reader.received.length === 12)

  expect(String(window)).toBe('kept')
})

test('NodeStream holds a fast sender back while it is paused', async () => {
  await using pair = await Pair.open({ tls: false })
  const reader = new RecordingReader()
  pair.stream.read(reader)
  reader.onChunk = () => pair.stream.pause()
  const chunk = Buffer.alloc(1_048_576)
  for (let sent = 0; sent < 32; sent++) pair.socket.write(chunk)

  await turns()

  expect(reader.landed).toHaveLength(1)
  expect(pair.socket.writableLength).toBeGreaterThan(chunk.length)
})

test.each(KINDS)(
  'NodeStream over %s keeps held bytes and the memory of its reader apart',
  async (_, options) => {
    await using pair = await Pair.open(options)
    const memory = Buffer.alloc(1_048_576)
    const sent = Buffer.alloc(memory.length)
    for (let at = 0; at < sent.length; at++) sent[at] = at % 251
    let filled = 0
    let ended = false
    // As a writer of blocks does: what did not land where it belongs is copied there.
    pair.stream.read({
      onBytes(bytes) {
        const landed =
          bytes.buffer === memory.buffer && bytes.byteOffset === memory.byteOffset + filled
        if (!landed) bytes.copy(memory, filled)
        filled += bytes.length
        pair.stream.pause()
        setImmediate(() => pair.stream.resume())
      },
      onEnd: () => (ended = true),
      onError: () => {},
      nextBuffer: () => (filled < memory.length ? memory.subarray(filled) : undefined),
    })

    pair.socket.end(sent)
    await until(() => ended)

    expect(filled).toBe(sent.length)
    expect(memory.equals(sent)).toBe(true)
  },
)

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { toDuplex } from './duplex.ts'
import { MemoryStream } from './memory-backend.ts'
import { NodeBackend } from './node-backend.ts'

test('toDuplex() carries bytes both ways, whole and in order', async () => {
  const content = randomBytes(5_000_000)
  await using server = await LoopbackServer.open((socket) => void socket.pipe(socket))
  const stream = await new NodeBackend().connect({
    host: '127.0.0.1',
    port: server.port,
    timeoutMs: 5_000,
  })
  const duplex = toDuplex(stream)

  const [echoed] = await Promise.all([
    buffer(duplex),
    pipeline(
      Readable.from(
        Array.from({ length: 50 }, (_, index) =>
          content.subarray(index * 100_000, (index + 1) * 100_000),
        ),
      ),
      duplex,
      { end: true },
    ).catch(() => {}),
  ])

  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  expect(digest(echoed)).toBe(digest(content))
})

test('toDuplex() pauses the stream while nobody reads, and goes on', async () => {
  const stream = new MemoryStream()
  const duplex = toDuplex(stream)
  for (let piece = 0; piece < 5; piece++) stream.send('x'.repeat(50_000))
  expect(stream.paused).toBe(true)
  stream.sendEnd()

  expect((await buffer(duplex)).length).toBe(250_000)
})

test('toDuplex() waits for what is written to leave', async () => {
  const stream = new MemoryStream()
  stream.stalled = true
  const duplex = toDuplex(stream)
  const written = new Promise((resolve) => duplex.write('a', resolve))
  const first = await Promise.race([written.then(() => 'written'), Promise.resolve('waiting')])
  stream.flush()
  await written

  expect(first).toBe('waiting')
  expect(stream.written).toBe('a')
})

test('toDuplex() closes the stream when it is destroyed, and is destroyed when that breaks', async () => {
  const closed = new MemoryStream()
  toDuplex(closed).destroy()
  expect(closed.closed).toBe(true)

  const broken = new MemoryStream()
  const duplex = toDuplex(broken)
  const failed = once(duplex, 'error')
  const error = new Error('reset')
  broken.fail(error)
  expect(await failed).toEqual([error])
})

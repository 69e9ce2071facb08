import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import type { NetworkStream } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'

const ANSWER = 'HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
const CERTIFICATE = createCertificate('IP:127.0.0.1')
const ROUNDS = 10

/** A server in a thread of its own: it goes on while ours is busy. It answers the first bytes, closes,
 * and leaves the rest unread, so that what still comes is reset. */
const SERVER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { createServer } = require(workerData.tls ? 'node:tls' : 'node:net')
  const server = createServer(workerData.certificate, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.pause()
      socket.write(workerData.answer, () => socket.destroy())
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

test.each([{ tls: false }, { tls: true }])(
  'NodeStream reads the answer of a server that cuts an upload off, tls $tls',
  async ({ tls }) => {
    const workerData = { tls, certificate: CERTIFICATE, answer: ANSWER }
    const worker = new Worker(SERVER, { eval: true, workerData })
    const [port] = (await once(worker, 'message')) as [number]
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const stream = await new NodeBackend().connect({
          host: '127.0.0.1',
          port,
          timeoutMs: 5_000,
          tls: tls ? { ca: CERTIFICATE.cert } : undefined,
        })
        expect(await sendUntilCutOff(stream)).toBe(ANSWER)
      }
    } finally {
      await worker.terminate()
    }
  },
)

/** Sends three times, too busy in between to read; gives what had come when all was over. */
async function sendUntilCutOff(stream: NetworkStream): Promise<string> {
  let received = ''
  const { promise: over, resolve: end } = Promise.withResolvers<void>()
  stream.read({
    onBytes: (bytes) => void (received += bytes.toString('latin1')),
    onEnd: end,
    onError: () => end(),
  })
  // The first is answered; the second meets a closed socket, which resets; the third fails.
  for (let piece = 0; piece < 3; piece++) {
    stream.write(Buffer.alloc(1_000))
    const busyUntil = performance.now() + 5
    while (performance.now() < busyUntil);
  }
  await over
  stream.close()
  return received
}

import { getEventListeners } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createCertificate } from '../testing/certificates.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import { MemoryStream } from './memory-backend.ts'
import type { ConnectStep, NetworkStream, StartTlsOptions } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'

const CERTIFICATE = createCertificate('DNS:origin.test')
const ORIGIN = { host: 'origin.test', port: 443, timeoutMs: 10_000, tls: { ca: CERTIFICATE.cert } }
const backend = new NodeBackend()

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

function connect(server: LoopbackServer, by = backend): Promise<NetworkStream> {
  return by.connect({ host: '127.0.0.1', port: server.port, timeoutMs: 10_000 })
}

test('startTls() protects an open stream and checks for the host given', async () => {
  await using server = await LoopbackServer.open((socket) => socket.end('hello'), CERTIFICATE)
  const steps: string[] = []
  const onStep = ({ step, phase }: ConnectStep): void => void steps.push(`${step} ${phase}`)

  const options: StartTlsOptions = { ...ORIGIN, alpnProtocols: ['h2'], onStep }
  const stream = await backend.startTls(await connect(server), options)

  expect(stream.getExtraInfo('tls')).toMatchObject({ authorized: true, alpnProtocol: 'h2' })
  expect(stream.getExtraInfo('peer')).toEqual({ address: '127.0.0.1', port: server.port })
  expect(steps).toEqual(['tls start', 'tls end'])
  stream.close()
  await until(() => server.connections === 0)
})

test.each([
  ['other.test', {}, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['127.0.0.1', {}, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['origin.test', { serverName: 'other.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['origin.test', { ca: undefined }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
])('startTls() refuses the wrong peer for %s, %j, and closes', async (host, tls, reason) => {
  await using server = await LoopbackServer.open(undefined, CERTIFICATE)
  const stream = await connect(server)

  const starting = backend.startTls(stream, { ...ORIGIN, host, tls: { ...ORIGIN.tls, ...tls } })

  await expect(starting).rejects.toMatchObject({ code: 'tls-failed', detail: { reason } })
  await until(() => server.connections === 0)
})

test('startTls() takes sessions up again', async () => {
  await using server = await LoopbackServer.open((socket) => socket.end('hello'), CERTIFICATE)
  const visit = async (): Promise<void> => {
    const stream = await backend.startTls(await connect(server), ORIGIN)
    const ended = Promise.withResolvers<void>()
    stream.read({
      onBytes: () => {},
      onEnd: () => ended.resolve(),
      onError: (error) => ended.reject(error),
      nextBuffer: () => undefined,
    })
    await ended.promise
    stream.close()
  }
  await visit()
  const stream = await backend.startTls(await connect(server), ORIGIN)

  expect(stream.getExtraInfo('tls')?.resumed).toBe(true)
  stream.close()
})

test.each([
  ['held', (stream: NetworkStream) => stream],
  ['given back', (stream: NetworkStream) => stream.unread(Buffer.from('x'))],
])('startTls() refuses bytes from before the handshake that are %s', async (how, prepare) => {
  await using server = await LoopbackServer.open((socket) => {
    if (how === 'held') socket.write('injected')
  })
  const stream = await connect(server)
  prepare(stream)
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))

  await expect(backend.startTls(stream, ORIGIN)).rejects.toMatchObject({
    code: 'tls-failed',
    message: expect.stringContaining('bytes came before the handshake') as string,
  })
  await until(() => server.connections === 0)
})

test('startTls() refuses a stream that is closed already', async () => {
  await using server = await LoopbackServer.open()
  const stream = await connect(server)
  stream.close()

  await expect(backend.startTls(stream, ORIGIN)).rejects.toMatchObject({ code: 'tls-failed' })
})

test('startTls() leaves the stream given without a reader, and deaf', async () => {
  await using server = await LoopbackServer.open((socket) => socket.end('hello'), CERTIFICATE)
  const plain = await connect(server)
  const heard: string[] = []
  plain.read({
    onBytes: () => heard.push('bytes'),
    onEnd: () => heard.push('end'),
    onError: () => heard.push('error'),
    nextBuffer: () => undefined,
  })

  const stream = await backend.startTls(plain, ORIGIN)
  plain.close()
  const received: string[] = []
  stream.read({
    onBytes: (bytes) => received.push(bytes.toString()),
    onEnd: () => received.push('end'),
    onError: () => received.push('error'),
    nextBuffer: () => undefined,
  })
  await until(() => received.includes('end'))

  expect(heard).toEqual([])
  expect(received).toEqual(['hello', 'end'])
  stream.close()
})

test('startTls() is a TypeError for a stream of another backend', async () => {
  await expect(backend.startTls(new MemoryStream(), ORIGIN)).rejects.toBeInstanceOf(TypeError)
})

test('startTls() closes the stream when an option cannot be used', async () => {
  let accepted: Socket | undefined
  await using server = await LoopbackServer.open((socket) => (accepted = socket.resume()))
  const stream = await connect(server)

  const starting = backend.startTls(stream, { ...ORIGIN, tls: { ca: 'nonsense' } })

  await expect(starting).rejects.toMatchObject({ code: 'config' })
  await until(() => accepted !== undefined && server.connections === 0)
})

test('startTls() times out, tells the step, and closes', async () => {
  let sent = 0
  await using server = await LoopbackServer.open((socket) =>
    socket.on('data', (bytes: Buffer) => (sent += bytes.length)),
  )
  const clock = new FakeClock()
  const impatient = new NodeBackend({ clock })
  const steps: string[] = []
  const onStep = ({ step, phase }: ConnectStep): void => void steps.push(`${step} ${phase}`)
  const stream = await connect(server, impatient)
  const starting = impatient.startTls(stream, { ...ORIGIN, timeoutMs: 500, onStep })
  const outcome = expect(starting).rejects.toMatchObject({
    phase: 'connect',
    timeoutMs: 500,
    message: 'Cannot secure the connection to origin.test:443: not done within 500 ms',
  })
  await until(() => sent > 0)

  clock.advance(500)

  await outcome
  await until(() => server.connections === 0)
  expect(steps).toEqual(['tls start', 'tls error'])
  expect(clock.pending).toBe(0)
})

test('startTls() aborted at any moment leaves nothing open', async () => {
  await using server = await LoopbackServer.open((socket) => socket.resume(), CERTIFICATE)
  const clock = new FakeClock()
  const patient = new NodeBackend({ clock })
  for (let turns = 0, done = false; !done; turns++) {
    const abort = new AbortController()
    const stream = await connect(server, patient)
    const starting = patient.startTls(stream, { ...ORIGIN, signal: abort.signal })
    const outcome = starting.then(
      (secured) => secured,
      (reason: unknown) => reason,
    )
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    abort.abort('enough')
    const result = await outcome

    done = result !== 'enough'
    if (done) (result as NetworkStream).close()
    await until(() => server.connections === 0)
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
    expect(clock.pending).toBe(0)
  }
})

test('startTls() aborted beforehand closes the stream', async () => {
  let accepted: Socket | undefined
  await using server = await LoopbackServer.open((socket) => (accepted = socket.resume()))
  const stream = await connect(server)

  const starting = backend.startTls(stream, { ...ORIGIN, signal: AbortSignal.abort('early') })

  await expect(starting).rejects.toBe('early')
  await until(() => accepted !== undefined && server.connections === 0)
})

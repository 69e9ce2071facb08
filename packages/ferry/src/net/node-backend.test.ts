import { getEventListeners, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { expect, test } from 'vitest'
import { ConfigError, ConnectError, TimeoutError } from '../errors.ts'
import { createCertificate } from '../testing/certificates.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { LoopbackServer } from '../testing/loopback-server.ts'
import type { Address } from './happy-eyeballs.ts'
import type { ConnectStep, NetworkStream } from './network-backend.ts'
import { NodeBackend } from './node-backend.ts'
import { CachingResolver, type Resolver } from './resolver.ts'

const LOOPBACK: Address = { address: '127.0.0.1', family: 4 }
const OPTIONS = { host: '127.0.0.1', timeoutMs: 10_000 }
const CERTIFICATE = createCertificate('DNS:server.test')

/** Resolves every name to the loopback. */
const local = new NodeBackend({ resolver: resolverOf(() => Promise.resolve([LOOPBACK])) })

function resolverOf(resolve: Resolver['resolve']): Resolver {
  return { resolve, forget: () => {} }
}

async function refusedPort(): Promise<number> {
  await using server = await LoopbackServer.open()
  return server.port
}

/** Waits until a condition holds, a turn of the event loop at a time. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

test('NodeBackend connects and tells who is at both ends', async () => {
  await using server = await LoopbackServer.open()
  const stream = await local.connect({ ...OPTIONS, host: 'any.test', port: server.port })

  expect(stream.getExtraInfo('peer')).toEqual({ address: '127.0.0.1', port: server.port })
  expect(stream.getExtraInfo('local')?.address).toBe('127.0.0.1')
  expect(stream.getExtraInfo('tls')).toBeUndefined()
  stream.close()
  expect(stream.getExtraInfo('peer')).toEqual({ address: '127.0.0.1', port: server.port })
  await until(() => server.connections === 0)
})

test('NodeBackend does not resolve an address', async () => {
  await using server = await LoopbackServer.open()
  const backend = new NodeBackend({
    resolver: resolverOf(() => Promise.reject(new Error('asked'))),
  })

  const stream = await backend.connect({ ...OPTIONS, port: server.port })

  expect(stream.getExtraInfo('peer')?.address).toBe('127.0.0.1')
  stream.close()
})

test('NodeBackend fails with connect-failed on a refused port', async () => {
  const port = await refusedPort()

  const failure = await local.connect({ ...OPTIONS, port }).catch((error: unknown) => error)

  expect(failure).toBeInstanceOf(ConnectError)
  expect(failure).toMatchObject({
    code: 'connect-failed',
    phase: 'connect',
    message: `Cannot connect to 127.0.0.1:${port} at 127.0.0.1: connection refused`,
    cause: { code: 'ECONNREFUSED' },
  })
})

test('NodeBackend goes on to the next address when one refuses', async () => {
  await using server = await LoopbackServer.open()
  const dead: Address = { address: '::1', family: 6 }
  const backend = new NodeBackend({ resolver: resolverOf(() => Promise.resolve([dead, LOOPBACK])) })

  const stream = await backend.connect({ ...OPTIONS, host: 'both.test', port: server.port })

  expect(stream.getExtraInfo('peer')?.address).toBe('127.0.0.1')
  stream.close()
})

test.each([
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the name server does not answer'],
])('NodeBackend fails with resolve-failed when the resolver says %s', async (code, reason) => {
  const cause = Object.assign(new Error(`getaddrinfo ${code}`), { code })
  const backend = new NodeBackend({ resolver: resolverOf(() => Promise.reject(cause)) })

  const connecting = backend.connect({ ...OPTIONS, host: 'gone.test', port: 80 })

  await expect(connecting).rejects.toMatchObject({
    code: 'resolve-failed',
    message: `Cannot resolve host gone.test: ${reason}`,
    cause,
  })
})

test('NodeBackend fails with resolve-failed when a name has no address', async () => {
  const backend = new NodeBackend({ resolver: resolverOf(() => Promise.resolve([])) })

  const connecting = backend.connect({ ...OPTIONS, host: 'empty.test', port: 80 })

  await expect(connecting).rejects.toMatchObject({ code: 'resolve-failed' })
})

test('NodeBackend times out while it resolves', async () => {
  const clock = new FakeClock()
  const backend = new NodeBackend({ clock, resolver: resolverOf(() => new Promise(() => {})) })
  const connecting = backend.connect({ host: 'slow.test', port: 80, timeoutMs: 500 })
  const outcome = expect(connecting).rejects.toMatchObject({ phase: 'connect', timeoutMs: 500 })

  clock.advance(500)

  await outcome
  expect(clock.pending).toBe(0)
})

test('NodeBackend times out while TLS is not done, and closes the socket', async () => {
  let accepted: Socket | undefined
  await using server = await LoopbackServer.open((socket) => (accepted = socket))
  const clock = new FakeClock()
  const backend = new NodeBackend({ clock })
  const connecting = backend.connect({ ...OPTIONS, port: server.port, tls: {}, timeoutMs: 500 })
  const outcome = expect(connecting).rejects.toBeInstanceOf(TimeoutError)
  await until(() => accepted !== undefined)

  clock.advance(500)

  await outcome
  accepted?.resume()
  await until(() => server.connections === 0)
})

test('NodeBackend rejects with the very reason of an abort', async () => {
  const reason = { because: 'the user said so' }
  const early = AbortSignal.abort(reason)
  const late = new AbortController()
  const backend = new NodeBackend({ resolver: resolverOf(() => new Promise(() => {})) })
  const options = { ...OPTIONS, host: 'slow.test', port: 80 }

  await expect(backend.connect({ ...options, signal: early })).rejects.toBe(reason)
  const connecting = backend.connect({ ...options, signal: late.signal })
  late.abort(reason)

  await expect(connecting).rejects.toBe(reason)
  expect(getEventListeners(late.signal, 'abort')).toHaveLength(0)
})

test('NodeBackend closes the socket when aborted in the TLS handshake', async () => {
  let accepted: Socket | undefined
  await using server = await LoopbackServer.open((socket) => (accepted = socket))
  const abort = new AbortController()
  const connecting = local.connect({ ...OPTIONS, port: server.port, tls: {}, signal: abort.signal })
  const outcome = expect(connecting).rejects.toBe('enough')
  await until(() => accepted !== undefined)

  abort.abort('enough')

  await outcome
  accepted?.resume()
  await until(() => server.connections === 0)
})

test('NodeBackend leaves neither timer nor listener behind when it has connected', async () => {
  await using server = await LoopbackServer.open()
  const clock = new FakeClock()
  const { signal } = new AbortController()

  const stream = await new NodeBackend({ clock }).connect({ ...OPTIONS, port: server.port, signal })

  expect(clock.pending).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  stream.close()
})

test('NodeBackend refuses a certificate that nobody vouches for', async () => {
  await using server = await LoopbackServer.open(undefined, CERTIFICATE)

  const connecting = local.connect({ ...OPTIONS, host: 'server.test', port: server.port, tls: {} })

  await expect(connecting).rejects.toMatchObject({
    code: 'tls-failed',
    phase: 'tls',
    message: expect.stringMatching(/: the certificate is self-signed$/) as string,
    detail: { reason: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  })
  await until(() => server.connections === 0)
})

test.each([
  ['its certificate is among those to trust', { ca: CERTIFICATE.cert }],
  ['any certificate will do', { insecure: true }],
])('NodeBackend connects over TLS when %s', async (_, tls) => {
  await using server = await LoopbackServer.open(undefined, CERTIFICATE)

  const stream = await local.connect({
    ...OPTIONS,
    host: 'server.test',
    port: server.port,
    tls,
    alpnProtocols: ['http/1.1'],
  })

  expect(stream.getExtraInfo('tls')).toMatchObject({ version: 'TLSv1.3', alpnProtocol: 'http/1.1' })
  expect(stream.getExtraInfo('peer')?.port).toBe(server.port)
  stream.close()
  expect(stream.getExtraInfo('tls')?.version).toBe('TLSv1.3')
})

test('NodeBackend does not let one connection without checks weaken the next', async () => {
  await using server = await LoopbackServer.open(undefined, CERTIFICATE)
  const options = { ...OPTIONS, host: 'server.test', port: server.port }
  const stream = await local.connect({ ...options, tls: { insecure: true } })
  stream.close()

  await expect(local.connect({ ...options, tls: {} })).rejects.toMatchObject({ code: 'tls-failed' })
})

test.each(['other.test', '127.0.0.1'])(
  'NodeBackend refuses a trusted certificate that is not for %s',
  async (host) => {
    await using server = await LoopbackServer.open(undefined, CERTIFICATE)
    const tls = { ca: CERTIFICATE.cert }

    const connecting = local.connect({ ...OPTIONS, host, port: server.port, tls })

    await expect(connecting).rejects.toMatchObject({
      code: 'tls-failed',
      message: expect.stringMatching(/: the certificate is for another host$/) as string,
    })
  },
)

test('NodeBackend accepts a trusted certificate for an address', async () => {
  const certificate = createCertificate('IP:127.0.0.1')
  await using server = await LoopbackServer.open(undefined, certificate)

  const stream = await local.connect({
    ...OPTIONS,
    port: server.port,
    tls: { ca: certificate.cert },
  })

  expect(stream.getExtraInfo('tls')?.version).toBe('TLSv1.3')
  stream.close()
})

test('NodeBackend refuses a trusted certificate that has expired', async () => {
  const certificate = createCertificate('DNS:server.test', { expired: true })
  await using server = await LoopbackServer.open(undefined, certificate)
  const tls = { ca: certificate.cert }

  const connecting = local.connect({ ...OPTIONS, host: 'server.test', port: server.port, tls })

  await expect(connecting).rejects.toMatchObject({
    code: 'tls-failed',
    message: expect.stringMatching(/: the certificate has expired$/) as string,
  })
})

test.each([
  ['answers in plain text', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['hangs up', (socket: Socket) => socket.destroy()],
])('NodeBackend fails with tls-failed when a server on a TLS port %s', async (_, answer) => {
  await using server = await LoopbackServer.open((socket) =>
    socket.once('data', () => answer(socket)),
  )

  const connecting = local.connect({ ...OPTIONS, port: server.port, tls: {} })

  await expect(connecting).rejects.toMatchObject({ code: 'tls-failed' })
})

test.each([
  [''],
  [[]],
  ['no certificate'],
  ['-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----'],
])('NodeBackend fails with a ConfigError for the CA %j', async (ca) => {
  const connecting = local.connect({ ...OPTIONS, port: 1, tls: { ca } })

  await expect(connecting).rejects.toBeInstanceOf(ConfigError)
})

test('NodeBackend writes text one character a byte, and bytes as they are', async () => {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  await using server = await LoopbackServer.open(resolve)
  const stream = await local.connect({ ...OPTIONS, port: server.port })
  const socket = await promise
  const received: Buffer[] = []
  socket.on('data', (bytes: Buffer) => received.push(bytes))

  stream.write('\u00e9\r\n')
  stream.write(Buffer.of(0, 255))

  await until(() => Buffer.concat(received).length === 5)
  expect(Buffer.concat(received)).toEqual(Buffer.of(0xe9, 13, 10, 0, 255))
  const closed = once(socket, 'close')
  stream.close()
  await closed
})

/** Records steps as text. */
function recordSteps(): { steps: string[]; onStep: (step: ConnectStep) => void } {
  const steps: string[] = []
  const onStep = ({ step, phase, address = '' }: ConnectStep): void => {
    steps.push(`${step} ${phase} ${address}`.trim())
  }
  return { steps, onStep }
}

test('NodeBackend tells its steps: the look-up, each address, the winner, TLS', async () => {
  await using server = await LoopbackServer.open(undefined, CERTIFICATE)
  const dead: Address = { address: '127.0.0.2', family: 4 }
  const backend = new NodeBackend({ resolver: resolverOf(() => Promise.resolve([dead, LOOPBACK])) })
  const { steps, onStep } = recordSteps()

  const stream = await backend.connect({
    ...OPTIONS,
    host: 'server.test',
    port: server.port,
    tls: { ca: CERTIFICATE.cert },
    onStep,
  })
  stream.close()

  expect(steps).toEqual([
    'resolve start',
    'resolve end',
    'connect start 127.0.0.2',
    'connect error 127.0.0.2',
    'connect start 127.0.0.1',
    'connect end 127.0.0.1',
    'tls start',
    'tls end',
  ])
})

test('NodeBackend tells the step that failed, and nothing afterwards', async () => {
  const { steps, onStep } = recordSteps()
  const port = await refusedPort()
  const failing = new NodeBackend({ resolver: resolverOf(() => Promise.reject(new Error('no'))) })

  await failing.connect({ ...OPTIONS, host: 'a.test', port, onStep }).catch(() => {})
  await local.connect({ ...OPTIONS, host: 'a.test', port, onStep }).catch(() => {})
  await until(() => true)

  expect(steps).toEqual([
    'resolve start',
    'resolve error',
    'resolve start',
    'resolve end',
    'connect start 127.0.0.1',
    'connect error 127.0.0.1',
  ])
})

test('NodeBackend forgets addresses of which none could be connected to', async () => {
  const port = await refusedPort()
  const forgotten: string[] = []
  const resolver: Resolver = {
    resolve: () => Promise.resolve([LOOPBACK]),
    forget: (host) => forgotten.push(host),
  }

  await new NodeBackend({ resolver }).connect({ ...OPTIONS, host: 'a.test', port }).catch(() => {})

  expect(forgotten).toEqual(['a.test'])
})

test('NodeBackend does not let an abort fail others who wait for the same look-up', async () => {
  await using server = await LoopbackServer.open()
  const { promise, resolve } = Promise.withResolvers<Address[]>()
  const backend = new NodeBackend({ resolver: new CachingResolver({ lookup: () => promise }) })
  const abort = new AbortController()
  const options = { ...OPTIONS, host: 'a.test', port: server.port }
  const aborted = backend.connect({ ...options, signal: abort.signal })
  const other = backend.connect(options)

  abort.abort('enough')
  await expect(aborted).rejects.toBe('enough')
  resolve([LOOPBACK])

  const stream = await other
  expect(stream.getExtraInfo('peer')?.port).toBe(server.port)
  stream.close()
})

test.each([
  ['plainly', undefined],
  ['over TLS', { ca: CERTIFICATE.cert }],
])('NodeBackend connects to a Unix domain socket %s', async (_, tls) => {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-net-'))
  const socketPath = join(folder, 'socket')
  const server = tls === undefined ? createServer() : createTlsServer({ ...CERTIFICATE })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const { steps, onStep } = recordSteps()

  const options = { ...OPTIONS, host: 'server.test', port: 80, socketPath, tls, onStep }
  const stream = await local.connect(options)

  expect(stream.getExtraInfo('peer')).toEqual({ address: socketPath, port: undefined })
  expect(stream.getExtraInfo('tls')?.authorized).toBe(tls && true)
  expect(steps.slice(0, 2)).toEqual([`connect start ${socketPath}`, `connect end ${socketPath}`])
  stream.close()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

test('NodeBackend says when there is no such Unix domain socket', async () => {
  const socketPath = '/no/such/socket'

  await expect(
    local.connect({ ...OPTIONS, host: 'server.test', port: 80, socketPath }),
  ).rejects.toMatchObject({
    code: 'connect-failed',
    message: 'Cannot connect to server.test:80 at /no/such/socket: no such socket',
  })
})

test('NodeBackend aborted at any moment leaves nothing open', async () => {
  await using server = await LoopbackServer.open((socket) => socket.resume(), CERTIFICATE)
  const clock = new FakeClock()
  const resolver = resolverOf(() => Promise.resolve([LOOPBACK]))
  const backend = new NodeBackend({ clock, resolver })
  const options = { ...OPTIONS, host: 'server.test', port: server.port }
  const tls = { ca: CERTIFICATE.cert }
  for (let turns = 0, done = false; !done; turns++) {
    const abort = new AbortController()
    const { steps, onStep } = recordSteps()
    const outcome = backend.connect({ ...options, tls, onStep, signal: abort.signal }).then(
      (stream) => stream,
      (reason: unknown) => reason,
    )
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    abort.abort('enough')
    const result = await outcome
    const told = steps.length

    done = result !== 'enough'
    if (done) (result as NetworkStream).close()
    await until(() => server.connections === 0)
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
    expect(clock.pending).toBe(0)
    expect(steps).toHaveLength(told)
    expect(steps.filter((step) => step.includes('start'))).toHaveLength(told / 2)
  }
})

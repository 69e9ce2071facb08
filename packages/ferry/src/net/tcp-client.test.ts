/** TcpClient on a network in memory and a clock moved by hand: every order of events, exactly. */
import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { ConnectError } from '../errors.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { MemoryBackend, type MemoryStream } from './memory-backend.ts'
import type { ConnectOptions, NetworkStream, StartTlsOptions } from './network-backend.ts'
import { TcpClient } from './tcp-client.ts'
import { retryWaitMs } from './tcp-client-connect.ts'
import type { TcpClientOptions } from './tcp-client-options.ts'

/** A client and both its rims. */
class Fixture {
  readonly clock = new FakeClock()
  readonly backend = new MemoryBackend()
  readonly client: TcpClient

  constructor(options: Partial<TcpClientOptions> = {}) {
    const { clock, backend } = this
    const place = { host: 'a.test', port: 7, jitter: 0 }
    this.client = new TcpClient({ ...place, backend, clock, ...options })
  }

  static async connected(options: Partial<TcpClientOptions> = {}): Promise<Fixture> {
    const fixture = new Fixture(options)
    await fixture.client.connect()
    return fixture
  }

  /** The far side of the connection opened last. */
  get far(): MemoryStream {
    const stream = this.backend.streams.at(-1)
    if (stream === undefined) throw new RangeError('Nothing was opened')
    return stream
  }
}

/** Lets every promise go on that can. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

const text = async (reading: Promise<Buffer | undefined>): Promise<string | undefined> =>
  (await reading)?.toString('latin1')

const OPTIONS = { host: 'a.test', port: 7 }

test.each([
  [{ host: 7 }, TypeError],
  [{ port: '7' }, TypeError],
  [{ port: undefined }, TypeError],
  [{ timeoutMs: '5' }, TypeError],
  [{ retries: null }, undefined],
  [{ retryDelayMs: true }, TypeError],
  [{ reconnect: 'yes' }, TypeError],
  [{ tls: true }, TypeError],
  [{ bytesPerSecond: '1k' }, TypeError],
])('TcpClient refuses values of the wrong type: %j', (wrong, error) => {
  const make = (): unknown => new TcpClient({ ...OPTIONS, ...wrong } as unknown as TcpClientOptions)

  if (error === undefined) expect(make).not.toThrow()
  else expect(make).toThrow(error)
})

test.each([
  ['host', ''],
  ['host', 'http://user:secret@a.test'],
  ['host', 'a.test:80'],
  ['host', 'a test'],
  ['port', 0],
  ['port', 65_536],
  ['port', 80.5],
  ['port', Number.NaN],
  ['timeoutMs', 0],
  ['timeoutMs', -1],
  ['timeoutMs', Number.NaN],
  ['retries', -1],
  ['retries', 0.5],
  ['retryDelayMs', 0],
  ['retryDelayMs', Number.POSITIVE_INFINITY],
  ['jitter', 1.1],
  ['bytesPerSecond', 0],
  ['maxLineBytes', 0],
])('TcpClient refuses %s %s', (option, value) => {
  const make = (): unknown => new TcpClient({ ...OPTIONS, [option]: value })

  expect(make).toThrow(expect.objectContaining({ code: 'config', option }))
  expect(make).not.toThrow(/secret/)
})

test('TcpClient connects with what it was given, IPv6 without brackets', async () => {
  const { client, backend } = new Fixture({ host: '[::1]', timeoutMs: 70, tls: { ca: 'x' } })

  await client.connect()

  expect(backend.requests).toMatchObject([
    { host: '::1', port: 7, timeoutMs: 70, tls: { ca: 'x' } },
  ])
  expect(client.getExtraInfo('peer')).toEqual({ address: 'memory', port: undefined })
})

test('TcpClient tells its state', async () => {
  const { client, far } = await Fixture.connected()
  const states = [`${client}`]

  far.sendEnd()
  states.push(`${client}`)
  await client.close()
  states.push(`${client}`)

  expect(states).toEqual([
    'TcpClient(host=a.test, port=7) connected',
    'TcpClient(host=a.test, port=7) disconnected',
    'TcpClient(host=a.test, port=7) disconnected',
  ])
})

test('connect() tries again with growing waits, and gives the last error', async () => {
  const { client, backend, clock } = new Fixture({ retries: 2, retryDelayMs: 100 })
  backend.refuse = new ConnectError('connect', 'refused')
  const outcome = expect(client.connect()).rejects.toBe(backend.refuse)

  const attempts: number[] = []
  for (const ms of [0, 99, 1, 199, 1]) {
    clock.advance(ms)
    await turn()
    attempts.push(backend.requests.length)
  }

  expect(attempts).toEqual([1, 1, 2, 2, 3])
  await outcome
  expect(clock.pending).toBe(0)
  expect(client.isConnected).toBe(false)
})

test('connect() succeeds on a later attempt', async () => {
  const { client, backend, clock } = new Fixture({ retryDelayMs: 100 })
  backend.refuse = new ConnectError('resolve', 'no such host')
  const connecting = client.connect()
  await turn()

  backend.refuse = undefined
  clock.advance(100)
  await connecting

  expect(client.isConnected).toBe(true)
})

test('connect() does not try again what cannot go better', async () => {
  const { client, backend } = new Fixture()
  const detail = { reason: 'CERT_HAS_EXPIRED' }
  backend.refuse = new ConnectError('tls', 'expired', { detail })

  await expect(client.connect()).rejects.toBe(backend.refuse)

  expect(backend.requests).toHaveLength(1)
})

test('retryWaitMs() doubles up to 30 s, and adds up to the jitter', () => {
  const waits = [1, 2, 3, 6, 60].map((retry) =>
    retryWaitMs(retry, 0, { retryDelayMs: 1000, jitter: 0.5 }),
  )

  expect(waits).toEqual([1000, 2000, 4000, 30_000, 30_000])
  expect(retryWaitMs(1, 0.5, { retryDelayMs: 1000, jitter: 0.5 })).toBe(1250)
})

test('connect() stops at an abort, in an attempt and between two', async () => {
  const { client, backend, clock } = new Fixture()
  const first = new AbortController()
  const connecting = client.connect({ signal: first.signal })
  first.abort('enough')
  await expect(connecting).rejects.toBe('enough')

  backend.refuse = new ConnectError('connect', 'refused')
  const second = new AbortController()
  const waiting = client.connect({ signal: second.signal })
  await turn()
  second.abort('enough again')

  await expect(waiting).rejects.toBe('enough again')
  expect(clock.pending).toBe(0)
  expect(backend.streams).toHaveLength(0)
  await expect(client.connect({ signal: second.signal })).rejects.toBe('enough again')
})

test('close() ends a connect(), also one that was just about to succeed', async () => {
  const { client, backend } = new Fixture()
  const connecting = client.connect()

  await client.close()

  await expect(connecting).rejects.toMatchObject({ code: 'connection-lost' })
  expect(backend.streams.every(({ closed }) => closed)).toBe(true)
  await client.connect()
  expect(client.isConnected).toBe(true)
})

test('connect() refuses a second one beside it, and does nothing on a connection', async () => {
  const { client, backend } = new Fixture()
  const connecting = client.connect()

  await expect(client.connect()).rejects.toThrow(TypeError)
  await connecting
  await client.connect()

  expect(backend.requests).toHaveLength(1)
})

test('TcpClient without a connection refuses every call by name', async () => {
  const { client } = new Fixture()
  const refusal = { code: 'connection-lost', message: expect.stringMatching(/: not connected$/) }

  await expect(client.send('x')).rejects.toMatchObject(refusal)
  await expect(client.receive()).rejects.toMatchObject(refusal)
  await expect(client.readLine()).rejects.toMatchObject(refusal)
  await expect(client.end()).rejects.toMatchObject(refusal)
  await expect(client.startTls()).rejects.toMatchObject(refusal)
  await client.close()
  await client.disconnect()
})

test('send() is fulfilled when the system has the bytes', async () => {
  const { client, far } = await Fixture.connected()
  far.stalled = true
  const events: string[] = []
  const sending = client.send('grüße').then(() => events.push('sent'))
  await turn()
  events.push('flush')

  far.flush()
  await sending

  expect(events).toEqual(['flush', 'sent'])
  expect(Buffer.from(far.written, 'latin1').toString()).toBe('grüße')
})

test('send() keeps the order of the calls, and end() comes after them', async () => {
  const { client, far } = await Fixture.connected()
  const long = Buffer.alloc(300_000, 'a')

  await Promise.all([client.send(long), client.send(''), client.send('b'), client.end()])

  expect(far.written).toBe(`${long.toString()}b`)
  expect(far.ended).toBe(true)
  await client.end()
  await expect(client.send('c')).rejects.toThrow('end() was called')
})

test('send() that the peer does not take times out and closes the connection', async () => {
  const { client, far, clock } = await Fixture.connected({ timeoutMs: 1000 })
  far.stalled = true
  const sending = client.send(Buffer.alloc(200_000))
  const behind = client.send('behind')
  const outcomes = [
    expect(sending).rejects.toMatchObject({ code: 'timeout', phase: 'body', timeoutMs: 1000 }),
    expect(behind).rejects.toThrow('a send was given up halfway'),
  ]
  await turn()

  clock.advance(1000)

  await Promise.all(outcomes)
  expect(far.closed).toBe(true)
  expect(client.isConnected).toBe(false)
  await expect(client.receive()).rejects.toThrow('a send was given up halfway')
  expect(clock.pending).toBe(0)
})

test('send() has its limit of time for each slice that is taken', async () => {
  const { client, far, clock } = await Fixture.connected({ timeoutMs: 1000 })
  far.stalled = true
  const sending = client.send(Buffer.alloc(300_000))
  for (let slice = 0; slice < 3; slice++) {
    await turn()
    clock.advance(900)
    far.flush()
    far.stalled = true
  }
  await sending

  expect(far.written).toHaveLength(300_000)
})

test('send() aborted before its turn leaves the connection, in the middle closes it', async () => {
  const { client, far } = await Fixture.connected()
  far.stalled = true
  const first = new AbortController()
  const second = new AbortController()
  const sending = client.send('first', { signal: first.signal })
  const waiting = client.send('second', { signal: second.signal })
  await turn()

  second.abort('not needed')
  await expect(waiting).rejects.toBe('not needed')
  expect(client.isConnected).toBe(true)
  first.abort('stop')
  await expect(sending).rejects.toBe('stop')

  expect(far.written).toBe('first')
  expect(far.closed).toBe(true)
  expect(getEventListeners(first.signal, 'abort')).toHaveLength(0)
  expect(getEventListeners(second.signal, 'abort')).toHaveLength(0)
})

test('send() refuses what is neither text nor bytes', async () => {
  const { client } = await Fixture.connected()

  await expect(client.send(7 as unknown as string)).rejects.toThrow(TypeError)
  await expect(client.send('x', { timeoutMs: 0 })).rejects.toMatchObject({ option: 'timeoutMs' })
})

test('close() ends a send and a read that are running', async () => {
  const { client, far, clock } = await Fixture.connected()
  far.stalled = true
  const outcomes = [client.send('x'), client.receive()].map((call) =>
    expect(call).rejects.toThrow('it was closed here'),
  )
  await turn()

  await client.close()

  await Promise.all(outcomes)
  expect(far.closed).toBe(true)
  expect(clock.pending).toBe(0)
})

test('bytesPerSecond holds sending to an even speed', async () => {
  const { client, far, clock } = await Fixture.connected({ bytesPerSecond: 1000 })
  const sending = client.send(Buffer.alloc(250))
  const sent: number[] = []
  for (const ms of [0, 50, 50, 50, 50]) {
    clock.advance(ms)
    await turn()
    sent.push(far.written.length)
  }
  await sending

  expect(sent).toEqual([100, 100, 200, 200, 250])
})

test('bytesPerSecond makes the peer wait when it sends faster', async () => {
  const { client, far, clock } = await Fixture.connected({ bytesPerSecond: 1000 })

  far.send(Buffer.alloc(100))
  const paused = [far.paused]
  clock.advance(99)
  paused.push(far.paused)
  clock.advance(1)
  paused.push(far.paused)

  expect(paused).toEqual([true, true, false])
  expect(await client.receive()).toHaveLength(100)
})

test('an abort while a send rests for its pace closes only what was begun', async () => {
  const { client, far, clock } = await Fixture.connected({ bytesPerSecond: 1000 })
  await client.send(Buffer.alloc(100))
  const before = new AbortController()
  const waiting = client.send('later', { signal: before.signal })
  await turn()
  before.abort('no')
  await expect(waiting).rejects.toBe('no')
  expect(far.closed).toBe(false)

  const middle = new AbortController()
  const sending = client.send(Buffer.alloc(200), { signal: middle.signal })
  await turn()
  clock.advance(100)
  await turn()
  middle.abort('stop')

  await expect(sending).rejects.toBe('stop')
  expect(far.closed).toBe(true)
})

test('a lost connection stays lost unless reconnect is asked for', async () => {
  const { client, far, backend } = await Fixture.connected()
  far.sendEnd()

  await expect(client.send('x')).rejects.toThrow('the peer has closed the connection')

  expect(backend.streams).toHaveLength(1)
  await client.connect()
  await client.send('x')
  expect(backend.streams.map(({ written }) => written)).toEqual(['', 'x'])
})

test.each([
  ['ended', (far: MemoryStream) => far.sendEnd()],
  ['broken', (far: MemoryStream) => far.fail(new Error('reset'))],
])('reconnect: a send on a connection that has %s goes out on a new one', async (_, lose) => {
  const { client, far, backend } = await Fixture.connected({ reconnect: true })
  far.send('left behind')
  lose(far)

  await Promise.all([client.send('a'), client.send('b')])

  expect(backend.streams.map(({ written, closed }) => [written, closed])).toEqual([
    ['', true],
    ['ab', false],
  ])
  backend.streams[1]?.send('new')
  expect(await text(client.receive())).toBe('new')
})

test('reconnect: what was handed on is not sent again', async () => {
  const { client, far, backend } = await Fixture.connected({ reconnect: true })
  far.stalled = true
  const sending = expect(client.send('a')).rejects.toMatchObject({ code: 'connection-lost' })
  await turn()

  far.fail(new Error('reset'))
  await sending

  expect(backend.streams.map(({ written }) => written)).toEqual(['a'])
})

test('reconnect: a failed attempt is not the last', async () => {
  const { client, far, backend } = await Fixture.connected({ reconnect: true, retries: 0 })
  far.sendEnd()
  backend.refuse = new ConnectError('connect', 'refused')
  await expect(client.send('a')).rejects.toBe(backend.refuse)

  backend.refuse = undefined
  await client.send('b')

  expect(backend.streams.map(({ written }) => written)).toEqual(['', 'b'])
})

test('reconnect: never after close(), and never without the TLS that startTls() began', async () => {
  const closed = await Fixture.connected({ reconnect: true })
  await closed.client.close()
  await expect(closed.client.send('x')).rejects.toThrow('not connected')

  const upgraded = await Fixture.connected({ reconnect: true })
  await upgraded.client.startTls()
  upgraded.far.sendEnd()

  await expect(upgraded.client.send('password')).rejects.toThrow('the peer has closed')
  expect(upgraded.backend.streams).toHaveLength(1)
})

test('startTls() goes by the backend, for the host, and the connection goes on', async () => {
  const { client, far, backend } = await Fixture.connected({ timeoutMs: 70 })
  await client.send('STARTTLS\n')
  far.send('go\n')
  await client.readLine()

  await client.startTls({ serverName: 'b.test' })
  await client.send('inside')
  far.send('yes\n')

  expect(backend.tlsRequests).toMatchObject([
    { host: 'a.test', port: 7, tls: { serverName: 'b.test' }, timeoutMs: 70 },
  ])
  expect(far.written).toBe('STARTTLS\ninside')
  expect(await client.readLine()).toBe('yes')
})

test('startTls() refuses bytes from before the handshake', async () => {
  const { client, far, backend } = await Fixture.connected()
  far.send('go\ninjected\n')
  await client.readLine()

  await expect(client.startTls()).rejects.toMatchObject({ code: 'tls-failed' })

  expect(far.closed).toBe(true)
  expect(backend.tlsRequests).toEqual([])
  await expect(client.receive()).rejects.toThrow('not connected')
})

test('startTls() refuses to begin under a read', async () => {
  const { client, far } = await Fixture.connected()
  const reading = client.receive()

  await expect(client.startTls()).rejects.toThrow(TypeError)
  far.send('x')

  expect(await text(reading)).toBe('x')
})

test('startTls() leaves to the backend what comes meanwhile, and lets the peer go on', async () => {
  class Backend extends MemoryBackend {
    override startTls(stream: NetworkStream, options: StartTlsOptions): Promise<NetworkStream> {
      this.streams[0]?.send('early')
      return super.startTls(stream, options)
    }
  }
  const { client, clock } = new Fixture({ backend: new Backend(), bytesPerSecond: 10 })
  await client.connect()

  await client.startTls()

  expect(await text(client.receive())).toBe('early')
  expect(clock.pending).toBe(1)
  await client.close()
  expect(clock.pending).toBe(0)
})

test('startTls() goes on with a connection that rests for its pace', async () => {
  const { client, far } = await Fixture.connected({ bytesPerSecond: 10 })
  far.send('go\n')
  await client.readLine()
  expect(far.paused).toBe(true)

  await client.startTls()

  expect(far.paused).toBe(false)
})

test('reconnect: again, once a connection was made anew without startTls()', async () => {
  const { client, far, backend } = await Fixture.connected({ reconnect: true })
  await client.startTls()
  far.sendEnd()
  await client.connect()
  backend.streams[1]?.sendEnd()

  await client.send('x')

  expect(backend.streams.map(({ written }) => written)).toEqual(['', '', 'x'])
})

test('close() closes a stream that a backend opens in spite of it', async () => {
  class Backend extends MemoryBackend {
    override connect({ signal: _, ...options }: ConnectOptions): Promise<NetworkStream> {
      return super.connect(options)
    }
  }
  const backend = new Backend()
  const { client } = new Fixture({ backend })
  const connecting = client.connect()

  await client.close()

  await expect(connecting).rejects.toMatchObject({ code: 'connection-lost' })
  expect(backend.streams.map(({ closed }) => closed)).toEqual([true])
})

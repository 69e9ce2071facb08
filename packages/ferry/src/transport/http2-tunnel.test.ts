/** What a tunnel through HTTP/2 does to its connection, and the other way round. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import type { NetworkStream, StreamReader } from '../net/network-backend.ts'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { HttpRequest } from './http-request.ts'

const WINDOW = 262_144
const MISTAKE = new Error('a mistake in a callback')
const CONNECT = new HttpRequest('CONNECT', 'https://h/', { target: 'inner:1' })

let uncaught: unknown[] = []
let listeners: NodeJS.UncaughtExceptionListener[] = []
const collect = (error: unknown): void => void uncaught.push(error)

beforeEach(() => {
  uncaught = []
  listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', collect)
})

afterEach(() => {
  process.off('uncaughtException', collect)
  for (const listener of listeners) process.on('uncaughtException', listener)
})

class TunnelHandler extends RecordingHandler {
  stream: NetworkStream | undefined

  onUpgrade(_: unknown, stream: NetworkStream): void {
    this.stream = stream
  }
}

/** Records what a stream brings. */
class RecordingReader implements StreamReader {
  readonly events: string[] = []
  received = 0
  error: Error | undefined

  onBytes(bytes: Buffer): void {
    this.received += bytes.length
    if (bytes.length < 50) this.events.push(bytes.toString('latin1'))
  }

  onEnd(): void {
    this.events.push('END')
  }

  onError(error: Error): void {
    this.error = error
    this.events.push('ERROR')
  }
}

/** A connection with a tunnel on stream 1 that nobody reads yet. */
async function tunnelled(
  values: Parameters<typeof Http2ConnectionFixture.settled>[0] = {},
): Promise<{ fixture: Http2ConnectionFixture; tunnel: NetworkStream; reader: RecordingReader }> {
  const fixture = Http2ConnectionFixture.settled(values)
  const handler = new TunnelHandler()
  fixture.start(CONNECT, handler)
  await turn()
  fixture.peer.head(1, 200)
  await turn()
  fixture.peer.take()
  if (handler.stream === undefined) throw new Error('the tunnel was not handed over')
  return { fixture, tunnel: handler.stream, reader: new RecordingReader() }
}

test('a tunnel keeps its connection busy, and lets others beside it', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  const { connection, peer, stream } = fixture
  tunnel.read(reader)
  const seen = [connection.state, stream.idle, connection.upgraded]
  const other = fixture.dispatch()
  await turn()

  peer.respond(3)
  tunnel.write('mine')
  await turn()
  tunnel.close()
  await turn()

  expect(seen).toEqual(['active', false, false])
  expect(other.events.at(-1)).toBe('complete')
  expect(peer.request(1)).toMatchObject({ content: 'mine', ended: false, reset: true })
  expect(connection.state).toBe('idle')
  expect(stream.idle).toBe(true)
  expect(connection.metrics).toMatchObject({ requestCount: 2, errorsCount: 0 })
})

test('a tunnel tells who its peer is, as the connection does', async () => {
  const { fixture, tunnel } = await tunnelled()

  expect(tunnel.getExtraInfo('peer')).toEqual(fixture.stream.getExtraInfo('peer'))
})

test('a tunnel that both sides have ended is over without a reset', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  tunnel.read(reader)

  tunnel.write('last')
  tunnel.end()
  tunnel.write('late')
  await turn()
  fixture.peer.data(1, 'bye', true)
  tunnel.close()
  await turn()

  expect(reader.events).toEqual(['bye', 'END'])
  expect(fixture.peer.request(1)).toMatchObject({ content: 'last', ended: true, reset: false })
  expect(fixture.connection.state).toBe('idle')
})

test('a tunnel can be closed by the callback that is told of it', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = new TunnelHandler()
  handler.onUpgrade = (_, stream) => stream.close()
  fixture.start(CONNECT, handler)
  await turn()

  fixture.peer.head(1, 200)
  await turn()

  expect(fixture.peer.request(1).reset).toBe(true)
  expect(fixture.connection.state).toBe('idle')
})

test('a head that ends the stream gives a tunnel that has ended', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = new TunnelHandler()
  fixture.start(CONNECT, handler)
  await turn()

  fixture.peer.head(1, 200, [], true)
  const reader = new RecordingReader()
  handler.stream?.read(reader)
  handler.stream?.write('mine')
  handler.stream?.end()
  await turn()

  expect(reader.events).toEqual(['END'])
  expect(fixture.peer.request(1)).toMatchObject({ content: 'mine', ended: true })
  expect(fixture.connection.state).toBe('idle')
})

test('what nobody reads is bounded by the window of the stream', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  const { peer } = fixture

  peer.offer(1, Buffer.alloc(4 * WINDOW), { end: true })
  await turn()
  const unread = 4 * WINDOW - peer.offerMore()
  tunnel.pause()
  tunnel.read(reader)
  await turn()
  const paused = [reader.received, 4 * WINDOW - peer.offerMore()]
  tunnel.resume()
  for (let step = 0; step < 40; step++) {
    peer.offerMore()
    await turn()
  }

  expect(unread).toBe(WINDOW)
  expect(paused).toEqual([0, WINDOW])
  expect(reader.received).toBe(4 * WINDOW)
  expect(reader.events).toEqual(['END'])
})

test('a slow reader of a tunnel never gets a wider window', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  const { peer } = fixture
  const size = 16 * WINDOW
  tunnel.read(reader)
  tunnel.pause()
  peer.offer(1, Buffer.alloc(size))
  const held: number[] = []

  for (let step = 0; step < 12; step++) {
    held.push(size - peer.offerMore() - reader.received)
    tunnel.resume()
    tunnel.pause()
    await turn()
  }

  expect(held).toEqual(held.map(() => WINDOW))
})

test('an end during a pause is told behind it', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  tunnel.read(reader)
  tunnel.pause()

  fixture.peer.data(1, '', true)
  const paused = [...reader.events]
  tunnel.resume()

  expect(paused).toEqual([])
  expect(reader.events).toEqual(['END'])
})

test('writes wait for the windows of the peer, and tell when they are taken', async () => {
  const { fixture, tunnel } = await tunnelled({ windowBytes: 10 })
  const { peer } = fixture
  const flushed: number[] = []
  for (const [index, length] of [4, 4, 4, 20].entries()) {
    tunnel.write(Buffer.alloc(length), () => flushed.push(index))
  }
  await turn()
  const first = [...flushed]

  peer.widen(2, 1)
  await turn()
  const second = [...flushed]
  peer.widen(19, 1)
  await turn()
  const third = [...flushed]
  peer.widen(1, 1)
  await turn()

  expect([first, second, third, flushed]).toEqual([
    [0, 1],
    [0, 1, 2],
    [0, 1, 2],
    [0, 1, 2, 3],
  ])
  expect(peer.request(1).content).toHaveLength(32)
})

test('a write of nothing is told of, after write() has returned', async () => {
  const { tunnel } = await tunnelled()
  let flushed = 0

  tunnel.write('', () => flushed++)
  const before = flushed
  await turn()

  expect([before, flushed]).toEqual([0, 1])
})

test.each([
  ['close() of the connection', (fixture: Http2ConnectionFixture) => fixture.connection.close()],
  [
    'loss of the connection',
    (fixture: Http2ConnectionFixture) => fixture.stream.fail(new Error('reset')),
  ],
  ['RST_STREAM', (fixture: Http2ConnectionFixture) => fixture.peer.reset(1, 'CANCEL')],
  ['a fault of the peer', (fixture: Http2ConnectionFixture) => fixture.peer.data(0, 'x')],
  ['a fault on its stream', (fixture: Http2ConnectionFixture) => fixture.peer.widen(0, 1)],
])('a tunnel tells of %s once, and of each write that waited', async (_, happen) => {
  const { fixture, tunnel, reader } = await tunnelled({ windowBytes: 2 })
  tunnel.read(reader)
  const flushed: number[] = []
  for (let index = 0; index < 3; index++) tunnel.write('xyz', () => flushed.push(index))
  await turn()

  happen(fixture)
  tunnel.write('late', () => flushed.push(3))
  tunnel.end()
  tunnel.close()
  tunnel.close()
  await turn()

  expect(reader.events).toEqual(['ERROR'])
  expect(reader.error).toBeInstanceOf(Error)
  expect(flushed.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
  expect(fixture.connection.state).toMatch(/idle|closed/)
})

test('a loss has its cause', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  tunnel.read(reader)
  const cause = new Error('read ECONNRESET')

  fixture.stream.fail(cause)

  expect(reader.error).toBeInstanceOf(StreamError)
  expect(reader.error?.message).toContain('ECONNRESET')
  expect(reader.error?.cause).toBe(cause)
})

test.each(['RST_STREAM', 'a loss', 'an end, and a loss'])(
  'who reads first after %s gets what came before',
  async (what) => {
    const { fixture, tunnel, reader } = await tunnelled()
    const { peer, stream } = fixture
    peer.data(1, 'last words', what.startsWith('an end'))
    if (what === 'RST_STREAM') peer.reset(1, 'CANCEL')
    else stream.fail(new Error('reset'))

    tunnel.read(reader)
    const second = new RecordingReader()
    tunnel.read(second)

    const outcome = what.startsWith('an end') ? 'END' : 'ERROR'
    expect(reader.events).toEqual(['last words', outcome])
    expect(second.events).toEqual([outcome])
  },
)

test('a break during a pause waits behind bytes that came before it', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  tunnel.read(reader)
  tunnel.pause()
  fixture.peer.data(1, 'before')
  fixture.peer.reset(1, 'CANCEL')
  const paused = [...reader.events]

  tunnel.resume()

  expect(paused).toEqual([])
  expect(reader.events).toEqual(['before', 'ERROR'])
})

test('GOAWAY leaves a tunnel as it is, and the connection closes behind it', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  tunnel.read(reader)

  fixture.peer.goAway(1)
  fixture.peer.data(1, 'still here')
  const { state } = fixture.connection
  tunnel.close()

  expect(reader.events).toEqual(['still here'])
  expect(state).toBe('active')
  expect(fixture.connection.state).toBe('closed')
})

test('a reader of a tunnel that throws harms neither its connection nor other exchanges', async () => {
  const { fixture, tunnel, reader } = await tunnelled()
  reader.onBytes = () => {
    throw MISTAKE
  }
  tunnel.read(reader)
  const other = fixture.dispatch()
  await turn()

  fixture.peer.data(1, 'x')
  fixture.peer.respond(3)
  await turn()

  expect(other.events.at(-1)).toBe('complete')
  expect(fixture.connection.state).not.toBe('closed')
  expect(uncaught).toEqual([MISTAKE])
})

test.each(['onEnd', 'onError'] as const)(
  '%s of a tunnel that throws keeps nothing from being told',
  async (name) => {
    const { fixture, tunnel, reader } = await tunnelled()
    reader[name] = () => {
      throw MISTAKE
    }
    tunnel.read(reader)
    const second = new TunnelHandler()
    fixture.start(CONNECT, second)
    await turn()
    fixture.peer.head(3, 200)
    const other = new RecordingReader()
    second.stream?.read(other)

    if (name === 'onEnd') fixture.peer.data(1, '', true)
    fixture.stream.fail(new Error('reset'))
    await turn()

    expect(other.events).toEqual(['ERROR'])
    expect(fixture.states.at(-1)).toBe('closed')
    expect(uncaught).toEqual([MISTAKE])
  },
)

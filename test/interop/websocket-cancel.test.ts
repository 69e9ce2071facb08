/** WebSockets that are given up: at every point of their lives, and with nothing left open. */
import { ConnectionPool } from 'ferry/transport'
import { describe, expect, test } from 'vitest'
import { connectWebSocket } from '../../packages/ferry/src/transport/websocket/connect-websocket.ts'
import { EchoServer } from '../support/websocket-echo-server.ts'
import { formatFrame, OPCODES } from '../support/websocket-frames.ts'
import { MemoryFixture, turn } from '../support/websocket-in-memory.ts'
import { switching, WebSocketPeer } from '../support/websocket-peer.ts'

const { text, ping } = OPCODES
const REASON = new Error('not wanted any more')

describe('signal', () => {
  test('aborted beforehand opens nothing', async () => {
    await using fixture = new MemoryFixture()

    const { opening } = await fixture.begin({ signal: AbortSignal.abort(REASON) })

    await expect(opening).rejects.toBe(REASON)
    expect(fixture.backend.streams).toEqual([])
  })

  test.each([
    ['before the answer', 0],
    ['within the answer', 40],
  ])('aborted %s closes the stream', async (_, length) => {
    await using fixture = new MemoryFixture()
    const abort = new AbortController()
    const { opening, far } = await fixture.begin({ signal: abort.signal })

    far.stream.send(switching(far.key).slice(0, length))
    abort.abort(REASON)

    await expect(opening).rejects.toBe(REASON)
    expect(far.stream.closed).toBe(true)
    expect(fixture.pool.toString()).toMatch(/active 0 idle 0 connecting 0 waiting 0/)
  })

  test('aborted in the turn of the answer closes the stream', async () => {
    await using fixture = new MemoryFixture()
    const abort = new AbortController()
    const { opening, far } = await fixture.begin({ signal: abort.signal })

    far.stream.send(switching(far.key))
    abort.abort(REASON)

    await expect(opening).rejects.toBe(REASON)
    expect(far.stream.closed).toBe(true)
  })

  test('aborted later terminates the socket, and everything that waits fails with it', async () => {
    await using fixture = new MemoryFixture()
    const abort = new AbortController()
    const { socket, far } = await fixture.open({ signal: abort.signal, pingIntervalMs: 1000 })
    far.stream.stalled = true
    const waiting = [
      socket.receive(),
      socket.ping(),
      socket.send(Buffer.alloc(100_000)),
      socket.send(
        (async function* endless(): AsyncGenerator<string> {
          yield 'x'
          await new Promise(() => {})
        })(),
      ),
      socket.send('in turn'),
    ]
    await turn()

    abort.abort(REASON)

    const results = await Promise.allSettled(waiting)
    expect(results.map((result) => (result as PromiseRejectedResult).reason)).toEqual(
      waiting.map(() => REASON),
    )
    await expect(socket.receive()).rejects.toBe(REASON)
    expect(await socket.closed).toMatchObject({ code: 1006, wasClean: false })
    expect([socket.state, far.stream.closed]).toEqual(['closed', true])
    await fixture.pool.close()
    expect(fixture.clock.pending).toBe(0)
  })

  test('aborted while closing ends the wait', async () => {
    await using fixture = new MemoryFixture()
    const abort = new AbortController()
    const { socket, far } = await fixture.open({ signal: abort.signal })

    const closing = socket.close()
    await turn()
    abort.abort(REASON)

    expect((await closing).wasClean).toBe(false)
    expect(far.stream.closed).toBe(true)
  })

  test('aborted throws away what nobody has taken', async () => {
    await using fixture = new MemoryFixture()
    const abort = new AbortController()
    const { socket, far } = await fixture.open({ signal: abort.signal })
    far.stream.send(formatFrame(text, 'held'))

    abort.abort(REASON)

    await expect(socket.receive()).rejects.toBe(REASON)
  })

  test('is forgotten when the socket has closed', async () => {
    await using fixture = new MemoryFixture()
    const abort = new AbortController()
    const { socket, far } = await fixture.open({ signal: abort.signal })
    far.stream.send(Buffer.from([0x88, 0]))
    far.stream.sendEnd()
    await socket.closed

    abort.abort(REASON)

    expect(await socket.receive()).toBeUndefined()
  })
})

describe('nothing is left open', () => {
  test('by a handshake that fails, of a pool of its own', async () => {
    await using peer = await WebSocketPeer.open(() => {}, { answer: () => switching('wrong') })

    await expect(connectWebSocket(peer.url)).rejects.toMatchObject({ code: 'remote-protocol' })

    await expect.poll(() => peer.connections).toBe(0)
  })

  test('by `await using`, which closes cleanly', async () => {
    await using server = await EchoServer.start()
    {
      await using socket = await connectWebSocket(server.url)
      await socket.send('hello')
    }

    await expect.poll(() => server.closes).toEqual(['1000'])
  })

  test('by terminate(), which does not', async () => {
    await using server = await EchoServer.start()
    const socket = await connectWebSocket(server.url)
    const receiving = socket.receive()

    socket.terminate()
    socket.terminate()

    await expect(receiving).rejects.toThrow(/was terminated/)
    await expect.poll(() => server.closes).toEqual(['1006'])
  })

  test('by a pool that closes: the socket has left it', async () => {
    await using server = await EchoServer.start()
    const pool = new ConnectionPool()
    await using socket = await connectWebSocket(server.url, { pool })

    await pool.close()
    await socket.send('still here')

    expect(await socket.receive()).toBe('still here')
  })
})

describe('send() with a signal', () => {
  test('aborted beforehand sends nothing, and the socket lives on', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()

    const sending = socket.send('x', { signal: AbortSignal.abort(REASON) })
    await expect(sending).rejects.toBe(REASON)
    await socket.send('y')
    await turn()

    expect(far.said).toEqual(['text "y"'])
    socket.terminate()
  })

  test('aborted while it waits its turn gives the turn to the next, in order', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>()
    async function* slow(): AsyncGenerator<string> {
      yield 'a'
      await gate
      yield 'b'
    }
    const abort = new AbortController()
    const first = socket.send(slow())
    const second = socket.send('given up', { signal: abort.signal })
    const third = socket.send('third')
    await turn()

    abort.abort(REASON)
    await expect(second).rejects.toBe(REASON)
    await turn()
    expect(far.said).toEqual(['text+ "a"'])
    openGate()
    await Promise.all([first, third])
    await turn()

    expect(far.said).toEqual(['text+ "a"', 'continuation+ "b"', 'continuation ""', 'text "third"'])
    socket.terminate()
  })

  test('aborted in the middle of its pieces ends the socket with 1011', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ closeTimeoutMs: 500 })
    const abort = new AbortController()
    let returned = false
    const source = {
      [Symbol.asyncIterator]: () => ({
        count: 0,
        next(): Promise<IteratorResult<string>> {
          if (this.count++ === 0) return Promise.resolve({ done: false, value: 'x' })
          return new Promise(() => {})
        },
        return(): Promise<IteratorResult<string>> {
          returned = true
          return Promise.resolve({ done: true, value: undefined })
        },
      }),
    }
    const sending = socket.send(source, { signal: abort.signal })
    await turn()

    abort.abort(REASON)
    await expect(sending).rejects.toBe(REASON)
    await expect(socket.receive()).rejects.toBe(REASON)
    await turn()

    expect(far.said).toEqual(['text+ "x"', 'close 1011 ""'])
    expect([returned, far.stream.ended]).toEqual([true, true])
    fixture.clock.advance(500)
    expect(far.stream.closed).toBe(true)
  })
})

describe('a message in pieces', () => {
  test('whose source fails after the first ends the socket with 1011', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()
    async function* failing(): AsyncGenerator<string> {
      yield 'x'
      await turn()
      throw REASON
    }

    await expect(socket.send(failing())).rejects.toBe(REASON)
    await turn()

    expect(far.said).toEqual(['text+ "x"', 'close 1011 ""'])
    far.stream.sendEnd()
    expect((await socket.closed).wasClean).toBe(false)
  })

  test('whose source fails before the first does no harm', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()

    await expect(socket.send([1 as unknown as string])).rejects.toThrow(TypeError)
    await expect(socket.send({} as unknown as string)).rejects.toThrow(TypeError)
    await socket.send([])
    await socket.send(['a', 'b'])
    await turn()

    expect(far.said).toEqual(['binary ""', 'text+ "a"', 'continuation+ "b"', 'continuation ""'])
    socket.terminate()
  })

  test('of text and bytes is refused', async () => {
    await using fixture = new MemoryFixture()
    const { socket } = await fixture.open()

    await expect(socket.send(['a', Buffer.from('b')])).rejects.toThrow(TypeError)
    socket.terminate()
  })

  test('is broken off by close(), which does not wait for it', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()
    async function* slow(): AsyncGenerator<string> {
      yield 'a'
      await new Promise(() => {})
    }
    const sending = socket.send(slow())
    sending.catch(() => {})
    await turn()

    const closing = socket.close()
    await expect(sending).rejects.toMatchObject({ code: 'connection-lost' })
    await turn()
    far.stream.send(Buffer.from([0x88, 0]))
    far.stream.sendEnd()

    expect(far.said).toEqual(['text+ "a"', 'close 1000 ""'])
    expect((await closing).wasClean).toBe(true)
  })
})

describe('pings on time', () => {
  test('find out that the peer has gone', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ pingIntervalMs: 1000, pongTimeoutMs: 300 })

    fixture.clock.advance(1000)
    await turn()
    expect(far.said).toEqual(['ping "\\u0000\\u0000\\u0000\\u0001"'])
    fixture.clock.advance(300)

    await expect(socket.receive()).rejects.toMatchObject({ code: 'timeout', timeoutMs: 300 })
    expect(far.stream.closed).toBe(true)
    expect(fixture.clock.pending).toBe(0)
  })

  test('are content with any sign of life', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ pingIntervalMs: 1000, pongTimeoutMs: 300 })

    for (let round = 0; round < 3; round++) {
      fixture.clock.advance(1000)
      far.stream.send(formatFrame(ping))
    }

    expect(socket.state).toBe('open')
    socket.terminate()
  })

  test('say nothing while nobody takes what has come', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({
      pingIntervalMs: 1000,
      pongTimeoutMs: 300,
      maxHeldBytes: 100,
    })
    far.stream.send(formatFrame(text, 'x'.repeat(200)))
    expect(far.stream.paused).toBe(true)

    fixture.clock.advance(5000)

    expect([socket.state, far.said]).toEqual(['open', []])
    socket.terminate()
  })

  test('ping() measures by the clock, and a later answer is one for those before', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()
    const first = socket.ping('one')
    const second = socket.ping('two')
    fixture.clock.advance(25)
    far.stream.send(formatFrame(OPCODES.pong, 'two'))

    expect(await Promise.all([first, second])).toEqual([25, 25])
    const late = socket.ping('late')
    socket.terminate()
    await expect(late).rejects.toThrow(/terminated/)
    await expect(socket.ping()).rejects.toThrow(/closed/)
  })

  test('ping() refuses more than 125 bytes', async () => {
    await using fixture = new MemoryFixture()
    const { socket } = await fixture.open()

    await expect(socket.ping(Buffer.alloc(126))).rejects.toThrow(RangeError)
    socket.terminate()
  })
})

test('close() refuses what may not be sent, and the socket lives on', async () => {
  await using fixture = new MemoryFixture()
  const { socket } = await fixture.open()

  await expect(socket.close(1006)).rejects.toThrow(RangeError)
  await expect(socket.close(1000, 'x'.repeat(124))).rejects.toThrow(RangeError)
  expect(socket.state).toBe('open')
  socket.terminate()
})

test('`background` lets the process end', async () => {
  await using fixture = new MemoryFixture()
  const { socket, far } = await fixture.open({ background: true })

  expect(far.stream.idle).toBe(true)
  socket.terminate()
})

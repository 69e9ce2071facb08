/** WebSockets whose two ends are not equally fast: nothing piles up, on either side. */
import { once } from 'node:events'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { connectWebSocket } from '../../packages/ferry/src/transport/websocket/connect-websocket.ts'
import { MemoryWatch } from '../support/memory-watch.ts'
import { EchoServer } from '../support/websocket-echo-server.ts'
import { formatClose, formatFrame, OPCODES } from '../support/websocket-frames.ts'
import { MemoryFixture, turn } from '../support/websocket-in-memory.ts'
import { switching, WebSocketPeer } from '../support/websocket-peer.ts'

const MESSAGE_BYTES = 65_536
const { text } = OPCODES

/** Lets the network do what it can. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))

describe('a slow reader', () => {
  test('holds little, and gets every message', async () => {
    const count = 500
    await using server = await EchoServer.start({
      onSocket: (socket) => {
        for (let index = 0; index < count; index++) {
          socket.send(Buffer.alloc(MESSAGE_BYTES, index))
        }
        socket.close()
      },
    })
    await using socket = await connectWebSocket(server.url, { maxHeldBytes: 4 * MESSAGE_BYTES })
    await settle()
    const [client] = server.sockets
    // The server cannot get rid of what it has: most of it is not in our memory.
    expect(client?.bufferedAmount).toBeGreaterThan(10_000_000)

    let index = 0
    for await (const message of socket) {
      if (index % 100 === 0) await settle()
      expect((message as Buffer)[0]).toBe(index++ & 255)
    }

    expect(index).toBe(count)
    expect((await socket.closed).wasClean).toBe(true)
  })

  test('is not outwitted by messages that are small until they are inflated', async () => {
    // 100 messages of 1 MB in some 100 KB: they arrive in one or two reads.
    const bomb = deflateRawSync(Buffer.alloc(1_000_000))
    const count = 100
    const answer = (key: string): string =>
      switching(key, 'Sec-WebSocket-Extensions: permessage-deflate')
    await using peer = await WebSocketPeer.open(
      (client) => {
        const frame = formatFrame(OPCODES.binary, bomb, { reserved: 4 })
        client.send(...Array.from({ length: count }, () => frame), formatClose(1000))
      },
      { answer },
    )
    const watch = new MemoryWatch()
    await using socket = await connectWebSocket(peer.url, { perMessageDeflate: true })
    await settle()
    watch.look()
    expect(watch.peakBytes).toBeLessThan(5_000_000)

    let received = 0
    for await (const message of socket) {
      expect(message.length).toBe(1_000_000)
      if (++received === count) peer.clients[0]?.socket.end()
    }
    expect(received).toBe(count)
  })

  test('pauses the stream above maxHeldBytes and goes on when half is taken', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ maxHeldBytes: 1000 })

    far.stream.send(formatFrame(text, 'x'.repeat(500)))
    expect(far.stream.paused).toBe(false)
    far.stream.send(formatFrame(text, 'y'.repeat(500)))
    expect(far.stream.paused).toBe(true)
    far.stream.send(formatFrame(text, 'z'))
    await socket.receive()
    await socket.receive()
    expect(far.stream.paused).toBe(false)

    expect(await socket.receive()).toBe('z')
    socket.terminate()
  })

  test('can close without taking what is held', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ maxHeldBytes: 100 })
    far.stream.send(formatFrame(text, 'x'.repeat(200)))
    far.stream.send(formatFrame(text, 'dropped'))
    far.stream.send(formatClose(1000, 'bye'))
    far.stream.sendEnd()

    expect(await socket.close()).toEqual({ code: 1000, reason: 'bye', wasClean: true })
    expect(await socket.receive()).toBe('x'.repeat(200))
    expect(await socket.receive()).toBeUndefined()
  })
})

describe('a peer that does not read', () => {
  test('makes send() wait, and whoever waits for it holds little', async () => {
    await using server = await EchoServer.start({
      onSocket: (socket) => {
        socket.pause()
        socket.on('message', (bytes: Buffer) => socket.send(String(bytes.length)))
      },
    })
    await using socket = await connectWebSocket(server.url)
    let sent = 0
    const sending = (async () => {
      for (let index = 0; index < 500; index++) {
        await socket.send(Buffer.alloc(MESSAGE_BYTES))
        sent++
      }
    })()
    for (let before = -1; before !== sent; await settle()) before = sent

    // What lies between are buffers of the system.
    expect(sent).toBeLessThan(400)
    expect(socket.bufferedBytes).toBeGreaterThan(0)
    expect(socket.bufferedBytes).toBeLessThan(2.5 * MESSAGE_BYTES)
    const [client] = server.sockets
    client?.resume()
    await sending
    for (let index = 0; index < 500; index++) expect(await socket.receive()).toBe('65536')
    expect(socket.bufferedBytes).toBe(0)
  })

  test('makes a source wait too', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()
    far.stream.stalled = true
    let given = 0
    function* pieces(): Generator<Buffer> {
      for (; given < 100; given++) yield Buffer.alloc(50_000)
    }

    const sending = socket.send(pieces())
    await turn()
    expect(given).toBeLessThan(4)
    far.stream.flush()
    await sending

    expect(given).toBe(100)
    socket.terminate()
  })

  test('does not hold up a close beyond its limit', async () => {
    await using peer = await WebSocketPeer.open((client) => client.socket.pause())
    const socket = await connectWebSocket(peer.url, { closeTimeoutMs: 100 })
    const sending = socket.send(Buffer.alloc(50_000_000))
    sending.catch(() => {})

    const outcome = await socket.close()

    expect(outcome.wasClean).toBe(false)
    await expect(sending).rejects.toMatchObject({ code: 'connection-lost' })
    const [client] = peer.clients
    client?.socket.resume()
    if (client?.ended === false) await once(client.socket, 'close')
  })

  test('makes compressed messages wait', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open(
      { perMessageDeflate: true },
      'Sec-WebSocket-Extensions: permessage-deflate',
    )
    far.stream.stalled = true
    const order: string[] = []
    const sends = [
      socket.send('x'.repeat(5000)).then(() => order.push('compressed')),
      socket.send('plain').then(() => order.push('plain')),
    ]
    await settle()
    expect(order).toEqual([])
    expect(socket.bufferedBytes).toBeGreaterThan(0)
    far.stream.flush()
    await Promise.all(sends)

    expect(order).toEqual(['compressed', 'plain'])
    expect(far.said.at(-1)).toBe('text "plain"')
    socket.terminate()
  })
})

/** Servers that break the rules of WebSockets, or use them against us. */
import { deflateRawSync } from 'node:zlib'
import { type HttpStatusError, isFerryError } from 'ferry/errors'
import { describe, expect, test } from 'vitest'
import { connectWebSocket } from '../../packages/ferry/src/transport/websocket/connect-websocket.ts'
import type { WebSocketOptions } from '../../packages/ferry/src/transport/websocket/websocket-options.ts'
import {
  type FrameOptions,
  formatClose,
  formatFrame,
  OPCODES,
} from '../support/websocket-frames.ts'
import { MemoryFixture, turn } from '../support/websocket-in-memory.ts'
import { acceptFor, type PeerSocket, switching, WebSocketPeer } from '../support/websocket-peer.ts'

const { text, binary, continuation, close, ping, pong } = OPCODES
const DEFLATE_LINE = 'Sec-WebSocket-Extensions: permessage-deflate'

describe('an answer that is refused', () => {
  test.each<[string, (key: string) => string, WebSocketOptions, RegExp]>([
    ['another accept key', () => switching('x'), {}, /Sec-WebSocket-Accept/],
    [
      'two accept keys',
      (key) => switching(key, `Sec-WebSocket-Accept: ${acceptFor(key)}`),
      {},
      /Sec-WebSocket-Accept/,
    ],
    [
      'another protocol',
      (key) => switching(key).replace('Upgrade: websocket', 'Upgrade: h2c'),
      {},
      /Upgrade/,
    ],
    [
      'a subprotocol that was not offered',
      (key) => switching(key, 'Sec-WebSocket-Protocol: c'),
      { protocols: ['a', 'b'] },
      /subprotocol/,
    ],
    ['no subprotocol of those offered', (key) => switching(key), { protocols: ['a'] }, /subproto/],
    ['an extension that was not offered', (key) => switching(key, DEFLATE_LINE), {}, /extensions/],
    [
      'an unknown extension',
      (key) => switching(key, 'Sec-WebSocket-Extensions: x-mux'),
      { perMessageDeflate: true },
      /extensions/,
    ],
  ])('%s', async (_, answer, options, message) => {
    await using peer = await WebSocketPeer.open(() => {}, { answer })

    const error = await connectWebSocket(peer.url, options).catch((reason: Error) => reason)

    expect(isFerryError(error, 'remote-protocol')).toBe(true)
    expect((error as Error).message).toMatch(message)
    await expect.poll(() => peer.connections).toBe(0)
  })

  test.each([
    ['200 OK', 200],
    ['401 Unauthorized', 401],
    ['302 Found', 302],
    ['426 Upgrade Required', 426],
  ])('status %s is an HttpStatusError with the fields', async (line, status) => {
    const answer = (): string =>
      `HTTP/1.1 ${line}\r\nLocation: /other\r\nContent-Length: 1000000\r\n\r\nsome of it`
    await using peer = await WebSocketPeer.open(() => {}, { answer })

    const error = await connectWebSocket(peer.url).catch((reason: Error) => reason)

    expect(error).toMatchObject({ code: 'http-status', status })
    expect([...(error as HttpStatusError).headers]).toContainEqual(['Location', '/other'])
    await expect.poll(() => peer.connections).toBe(0)
  })

  test('no answer at all runs into the limit', async () => {
    await using peer = await WebSocketPeer.open(() => {}, { answer: () => 'HTTP/1.1 101 ' })

    const opening = connectWebSocket(peer.url, { handshakeTimeoutMs: 100 })

    await expect(opening).rejects.toMatchObject({ code: 'timeout', timeoutMs: 100 })
    await expect.poll(() => peer.connections).toBe(0)
  })
})

/** Frames that end a WebSocket, with the code that the server is told. */
const VIOLATIONS: readonly [string, readonly Uint8Array[], number][] = [
  ['a masked frame', [formatFrame(text, 'hi', { masked: true })], 1002],
  ...[1, 2, 4].map<[string, readonly Uint8Array[], number]>((reserved) => [
    `reserved bit ${reserved}`,
    [formatFrame(text, 'hi', { reserved })],
    1002,
  ]),
  ...[3, 7, 11, 15].map<[string, readonly Uint8Array[], number]>((opcode) => [
    `opcode ${opcode}`,
    [formatFrame(opcode)],
    1002,
  ]),
  ['a ping of 126 bytes', [formatFrame(ping, 'x'.repeat(126))], 1002],
  ['a close of 126 bytes', [formatClose(1000, 'x'.repeat(124))], 1002],
  ['a ping in pieces', [formatFrame(ping, 'x', { fin: false })], 1002],
  ['a close of one byte', [formatFrame(close, 'x')], 1002],
  ['a continuation of nothing', [formatFrame(continuation, 'x')], 1002],
  [
    'a message within a message',
    [formatFrame(text, 'x', { fin: false }), formatFrame(binary, 'y')],
    1002,
  ],
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map<[string, readonly Uint8Array[], number]>(
    (code) => [`close code ${code}`, [formatClose(code)], 1002],
  ),
  ['a close reason that is no UTF-8', [formatClose(1000, Buffer.from([0xff]))], 1007],
  ['text that is no UTF-8', [formatFrame(text, Buffer.from([0x61, 0xff]))], 1007],
  ['text cut within a character', [formatFrame(text, Buffer.from([0xe2, 0x82]))], 1007],
  [
    'no UTF-8 in the second of two pieces',
    [
      formatFrame(text, Buffer.from([0xe2]), { fin: false }),
      formatFrame(continuation, Buffer.from([0xff])),
    ],
    1007,
  ],
  ['a message of 1001 bytes', [formatFrame(binary, Buffer.alloc(1001))], 1009],
  [
    'a message of 1001 bytes in pieces',
    [
      formatFrame(binary, Buffer.alloc(1000), { fin: false }),
      formatFrame(continuation, Buffer.alloc(1)),
    ],
    1009,
  ],
  [
    'a header that announces 2^40 bytes',
    [formatFrame(binary, '', { claimedLength: 2 ** 40 })],
    1009,
  ],
]

describe('frames that are refused', () => {
  test.each(VIOLATIONS)('%s', async (_, frames, code) => {
    await using peer = await WebSocketPeer.open((client) =>
      client.send(formatFrame(text, 'before'), ...frames, formatFrame(text, 'after')),
    )
    await using socket = await connectWebSocket(peer.url, { maxMessageBytes: 1000 })

    expect(await socket.receive()).toBe('before')
    const error = await socket.receive().catch((reason: Error) => reason)
    expect(isFerryError(error, code === 1009 ? 'connection-lost' : 'remote-protocol')).toBe(true)
    await expect(socket.send('late')).rejects.toMatchObject({ code: 'connection-lost' })

    // It is told why, sees our end, and ends its side.
    const client = peer.clients[0] as PeerSocket
    await expect.poll(() => client.ended).toBe(true)
    expect(client.said).toEqual([`close ${code} ""`])
    expect(await socket.closed).toEqual({ code: 1006, reason: '', wasClean: false })
  })

  test.each([
    ['a bomb', deflateRawSync(Buffer.alloc(50_000_000)), 1009],
    ['what is no deflate', Buffer.from([0xff, 0xff, 0xff]), 1007],
    ['no UTF-8, compressed', deflateRawSync(Buffer.from([0xff])), 1007],
  ])('%s', async (_, payload, code) => {
    await using peer = await openDeflating((client) =>
      client.send(formatFrame(text, payload, { reserved: 4 })),
    )
    await using socket = await connectWebSocket(peer.url, { perMessageDeflate: true })
    const before = process.memoryUsage().arrayBuffers

    await expect(socket.receive()).rejects.toThrow(/Cannot receive a message/)

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60_000_000)
    await expect.poll(() => peer.clients[0]?.said).toEqual([`close ${code} ""`])
  })

  test.each<[string, FrameOptions, number]>([
    ['a control frame with RSV1', {}, ping],
    ['a continuation with RSV1', {}, continuation],
  ])('%s while compressing', async (_, options, opcode) => {
    await using peer = await openDeflating((client) =>
      client.send(formatFrame(opcode, '', { ...options, reserved: 4 })),
    )
    await using socket = await connectWebSocket(peer.url, { perMessageDeflate: true })

    await expect(socket.receive()).rejects.toMatchObject({ code: 'remote-protocol' })
    await expect.poll(() => peer.clients[0]?.said).toEqual(['close 1002 ""'])
  })

  test('a peer that goes on after the refusal is left after the limit', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ closeTimeoutMs: 500 })

    far.stream.send(formatFrame(15))
    await expect(socket.receive()).rejects.toMatchObject({ code: 'remote-protocol' })
    far.stream.send(formatFrame(text, 'more'))
    expect([far.stream.ended, far.stream.closed]).toEqual([true, false])
    fixture.clock.advance(500)

    expect(far.stream.closed).toBe(true)
    expect((await socket.closed).wasClean).toBe(false)
  })
})

describe('frames however they are cut', () => {
  const wire = Buffer.concat([
    formatFrame(text, 'hello'),
    formatFrame(text, 'grü', { fin: false }),
    formatFrame(ping, 'p'),
    formatFrame(continuation, 'ße'),
    formatFrame(binary, Buffer.alloc(300, 7)),
    formatClose(1000, 'bye'),
  ])
  const expected = ['hello', 'grüße', Buffer.alloc(300, 7)]

  test('byte by byte, and at every split', async () => {
    await using fixture = new MemoryFixture()
    const cuts = [[...wire].map((byte) => Buffer.from([byte]))]
    for (let split = 1; split < wire.length; split++) {
      cuts.push([wire.subarray(0, split), wire.subarray(split)])
    }
    for (const pieces of cuts) {
      const { socket, far } = await fixture.open()
      for (const piece of pieces) far.stream.send(piece)
      far.stream.sendEnd()

      const messages: unknown[] = []
      for await (const message of socket) messages.push(message)

      expect(messages).toEqual(expected)
      expect(far.said).toEqual(['pong "p"', 'close 1000 ""'])
      expect(await socket.closed).toEqual({ code: 1000, reason: 'bye', wasClean: true })
      expect(far.stream.closed).toBe(true)
    }
  })

  test('right behind the head, in the same packet', async () => {
    await using peer = await WebSocketPeer.open(() => {}, { greeting: wire })
    await using socket = await connectWebSocket(peer.url)

    const messages: unknown[] = []
    for await (const message of socket) {
      messages.push(message)
      if (messages.length === expected.length) peer.clients[0]?.socket.end()
    }

    expect(messages).toEqual(expected)
  })
})

describe('a close', () => {
  test.each<[string, Uint8Array, object]>([
    ['without a code', formatClose(), { code: 1005, reason: '', wasClean: true }],
    ['with 4000', formatClose(4000, 'x'), { code: 4000, reason: 'x', wasClean: true }],
    ['with 1012', formatClose(1012), { code: 1012, reason: '', wasClean: true }],
  ])('%s is answered in kind', async (_, frame, outcome) => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()

    far.stream.send(Buffer.concat([frame, formatFrame(text, 'late')]))
    await turn()
    expect(socket.state).toBe('closing')
    expect(far.said[0]).toMatch(/^close/)
    expect(far.stream.closed).toBe(false)
    far.stream.sendEnd()

    expect(await socket.closed).toEqual(outcome)
    expect(await socket.receive()).toBeUndefined()
  })

  test('that is not answered ends after the limit', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ closeTimeoutMs: 500 })

    const closing = socket.close(1000, 'bye')
    await turn()
    expect(far.said).toEqual(['close 1000 "bye"'])
    fixture.clock.advance(499)
    expect(far.stream.closed).toBe(false)
    fixture.clock.advance(1)

    expect(await closing).toEqual({ code: 1006, reason: '', wasClean: false })
    expect(far.stream.closed).toBe(true)
    await expect(socket.receive()).rejects.toThrow(/within 500 ms/)
  })

  test('from both sides at once is clean', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open()

    const closing = socket.close()
    far.stream.send(formatClose(1001, 'going'))
    far.stream.sendEnd()

    expect(await closing).toEqual({ code: 1001, reason: 'going', wasClean: true })
    expect(far.said).toEqual(['close 1000 ""'])
  })

  test('whose server keeps the connection open ends after the limit, cleanly', async () => {
    await using fixture = new MemoryFixture()
    const { socket, far } = await fixture.open({ closeTimeoutMs: 500 })

    far.stream.send(formatClose(1000))
    fixture.clock.advance(500)

    expect((await socket.closed).wasClean).toBe(true)
    expect(far.stream.closed).toBe(true)
  })
})

test('a connection that is cut within a frame is broken, after what came whole', async () => {
  await using peer = await WebSocketPeer.open((client) => {
    client.send(formatFrame(text, 'whole'), formatFrame(text, 'half').subarray(0, 4))
    client.socket.end()
  })
  await using socket = await connectWebSocket(peer.url)

  expect(await socket.receive()).toBe('whole')
  await expect(socket.receive()).rejects.toMatchObject({ code: 'connection-lost' })
  expect((await socket.closed).code).toBe(1006)
})

test('a flood of pings is answered with no more than the peer reads', async () => {
  await using fixture = new MemoryFixture()
  const { socket, far } = await fixture.open()
  far.stream.stalled = true

  const flood = Array.from({ length: 10_000 }, (_, index) => formatFrame(ping, String(index)))
  far.stream.send(Buffer.concat([...flood, formatFrame(text, 'all')]))
  expect(await socket.receive()).toBe('all')
  expect(socket.bufferedBytes).toBeLessThan(200)
  far.stream.flush()

  // The first that was under way, and the last that came meanwhile (RFC 6455 §5.5.3).
  await expect.poll(() => far.said).toEqual(['pong "0"', 'pong "9999"'])
  socket.terminate()
})

test('pongs that nobody asked for are ignored', async () => {
  await using fixture = new MemoryFixture()
  const { socket, far } = await fixture.open()

  far.stream.send(Buffer.concat([formatFrame(pong, 'x'), formatFrame(text, 'hello')]))

  expect(await socket.receive()).toBe('hello')
  socket.terminate()
})

test('many empty pieces of a message end with 1008', async () => {
  await using peer = await WebSocketPeer.open((client) => {
    const piece = formatFrame(continuation, '', { fin: false })
    client.send(
      formatFrame(text, '', { fin: false }),
      ...Array.from({ length: 17_000 }, () => piece),
    )
  })
  await using socket = await connectWebSocket(peer.url)

  await expect(socket.receive()).rejects.toThrow(/too many parts/)
  await expect.poll(() => peer.clients[0]?.said).toEqual(['close 1008 ""'])
})

function openDeflating(onOpen: (client: PeerSocket) => void): Promise<WebSocketPeer> {
  return WebSocketPeer.open(onOpen, { answer: (key) => switching(key, DEFLATE_LINE) })
}

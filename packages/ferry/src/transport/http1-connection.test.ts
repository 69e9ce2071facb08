import { expect, test } from 'vitest'
import { LocalProtocolError, RemoteProtocolError, StreamError, TimeoutError } from '../errors.ts'
import { MemoryStream } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { startExchange } from '../testing/start-exchange.ts'
import type { Exchange } from './connection.ts'
import { Http1Connection } from './http1-connection.ts'
import { HttpRequest } from './http-request.ts'

const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const GET = new HttpRequest('GET', 'http://h/a')
const TWO_HOSTS = new HttpRequest('GET', 'http://h/', {
  headers: [
    ['Host', 'a'],
    ['Host', 'b'],
  ],
})

/** A connection in memory, its far side, and the states it has told its owner. */
class Fixture {
  readonly clock = new FakeClock()
  readonly stream = new MemoryStream()
  readonly states: string[] = []
  readonly connection = new Http1Connection(this.stream, {
    clock: this.clock,
    id: 1,
    onStateChange: ({ state }) => this.states.push(state),
  })
  readonly handler = new RecordingHandler()

  start(request = GET, handler = this.handler): Exchange {
    return startExchange(this.connection, request, handler, { clock: this.clock })
  }
}

test('Http1Connection goes new, active, idle, active, closed', () => {
  const { connection, stream, states, ...fixture } = new Fixture()
  const seen = [connection.state]

  startExchange(connection, GET, fixture.handler, fixture)
  seen.push(connection.state)
  stream.send(HELLO)
  seen.push(connection.state)
  startExchange(connection, GET, new RecordingHandler(), fixture)
  seen.push(connection.state)
  connection.close()
  seen.push(connection.state)

  expect(seen).toEqual(['new', 'active', 'idle', 'active', 'closed'])
  expect(states).toEqual(['idle', 'closed'])
  expect(connection.exchanges).toBe(2)
})

test('Http1Connection writes the head and the content', () => {
  const fixture = new Fixture()

  fixture.start(new HttpRequest('PUT', 'http://h/a?b', { headers: { A: '1' }, content: 'xyz' }))

  expect(fixture.stream.written).toBe(
    'PUT /a?b HTTP/1.1\r\nHost: h\r\nA: 1\r\nContent-Length: 3\r\n\r\nxyz',
  )
})

const responses: readonly [string, string, string[]][] = [
  ['a length', HELLO, ['head 200 5', 'content hello', 'complete']],
  ['no content', 'HTTP/1.1 204 No Content\r\n\r\n', ['head 204 0', 'complete']],
  [
    'chunks and trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
    ['head 200 unknown', 'content hello', 'complete X=y'],
  ],
  [
    'informational responses before it',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${HELLO}`,
    ['information 100', 'information 103', 'head 200 5', 'content hello', 'complete'],
  ],
]

test.each(responses)(
  'Http1Connection gives a response with %s and is idle then',
  (_, wire, events) => {
    const fixture = new Fixture()
    fixture.start()

    fixture.stream.send(wire)

    expect(fixture.handler.events).toEqual(events)
    expect(fixture.connection.state).toBe('idle')
    expect(fixture.stream.idle).toBe(true)
  },
)

test.each(responses)(
  'Http1Connection gives the same response with %s byte by byte',
  (_, wire, events) => {
    const fixture = new Fixture()
    fixture.start()

    for (const byte of Buffer.from(wire, 'latin1')) fixture.stream.send(Buffer.of(byte))

    const content = (lines: string[]): string =>
      lines
        .filter((line) => line.startsWith('content '))
        .map((line) => line.slice(8))
        .join('')
    const others = (lines: string[]): string[] =>
      lines.filter((line) => !line.startsWith('content '))
    expect(others(fixture.handler.events)).toEqual(others(events))
    expect(content(fixture.handler.events)).toBe(content(events))
    expect(fixture.connection.state).toBe('idle')
  },
)

const closing: readonly [string, string][] = [
  ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['bytes after the response', `${HELLO}HTTP/1.1 200 OK\r\n`],
]

test.each(closing)('Http1Connection delivers the response and closes on %s', (_, wire) => {
  const fixture = new Fixture()
  fixture.start()

  fixture.stream.send(wire)

  expect(fixture.handler.events).toEqual(['head 200 5', 'content hello', 'complete'])
  expect(fixture.connection.state).toBe('closed')
  expect(fixture.states).toEqual(['closed'])
  expect(fixture.stream.closed).toBe(true)
})

test('Http1Connection ends content without a length where the server closes', () => {
  const fixture = new Fixture()
  fixture.start()

  fixture.stream.send('HTTP/1.1 200 OK\r\n\r\nall of it')
  fixture.stream.sendEnd()

  expect(fixture.handler.events).toEqual(['head 200 unknown', 'content all of it', 'complete'])
  expect(fixture.states).toEqual(['closed'])
})

test('Http1Connection closes when an idle one receives bytes that nobody asked for', () => {
  const fixture = new Fixture()
  fixture.start()
  fixture.stream.send(HELLO)

  fixture.stream.send('HTTP/1.1 408 Request Timeout\r\n\r\n')

  expect(fixture.states).toEqual(['idle', 'closed'])
  expect(fixture.handler.events.at(-1)).toBe('complete')
})

test('Http1Connection closes when bytes come before the first request', () => {
  const fixture = new Fixture()

  fixture.stream.send('SSH-2.0-OpenSSH\r\n')

  expect(fixture.states).toEqual(['closed'])
})

test.each([
  ['ends', (stream: MemoryStream) => stream.sendEnd()],
  ['fails', (stream: MemoryStream) => stream.fail(new Error('reset'))],
])('Http1Connection closes when its idle stream %s', (_, happen) => {
  const fixture = new Fixture()
  fixture.start()
  fixture.stream.send(HELLO)

  happen(fixture.stream)

  expect(fixture.states).toEqual(['idle', 'closed'])
})

test.each([
  ['of a known length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell', 4, 9],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel', 3, undefined],
  ['before its head is whole', 'HTTP/1.1 200 OK\r\nCont', 0, undefined],
] as const)(
  'Http1Connection tells how far it came when the server closes in content %s',
  (_, wire, bytesReceived, expectedBytes) => {
    const fixture = new Fixture()
    fixture.start()

    fixture.stream.send(wire)
    fixture.stream.sendEnd()

    expect(fixture.handler.error).toBeInstanceOf(StreamError)
    expect(fixture.handler.error).toMatchObject({ bytesReceived, expectedBytes })
    expect(fixture.handler.events.at(-1)).toBe('error after the response began')
    expect(fixture.states).toEqual(['closed'])
  },
)

test('Http1Connection says that nothing had come when the server closes at once', () => {
  const fixture = new Fixture()
  fixture.start()

  fixture.stream.sendEnd()

  expect(fixture.handler.events).toEqual(['error before the response began'])
})

test('Http1Connection keeps the cause when the stream breaks', () => {
  const fixture = new Fixture()
  const cause = new Error('read ECONNRESET')
  fixture.start()

  fixture.stream.fail(cause)

  expect(fixture.handler.error).toBeInstanceOf(StreamError)
  expect(fixture.handler.error).toMatchObject({ cause })
})

test.each([
  ['is no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['has two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['switches protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
])('Http1Connection fails and closes when the answer %s', (_, wire) => {
  const fixture = new Fixture()
  fixture.start()

  fixture.stream.send(wire)

  expect(fixture.handler.error).toBeInstanceOf(RemoteProtocolError)
  expect(fixture.states).toEqual(['closed'])
})

test('Http1Connection fails a request whose head cannot be written, and sends nothing', () => {
  const fixture = new Fixture()

  fixture.start(TWO_HOSTS)

  expect(fixture.handler.error).toBeInstanceOf(LocalProtocolError)
  expect(fixture.stream.written).toBe('')
})

test('Http1Connection fails with the very reason of an abort and closes', () => {
  const fixture = new Fixture()
  const reason = new Error('enough')
  const exchange = fixture.start()

  exchange.abort(reason)

  expect(fixture.handler.error).toBe(reason)
  expect(fixture.states).toEqual(['closed'])
})

test('Http1Connection ignores abort and resume of an exchange that has ended', () => {
  const fixture = new Fixture()
  const exchange = fixture.start()
  fixture.stream.send(HELLO)
  const next = new RecordingHandler()
  fixture.start(GET, next)

  exchange.abort(new Error('too late'))
  exchange.resume()

  expect(fixture.connection.state).toBe('active')
  expect(next.events).toEqual([])
})

test('Http1Connection gives what had come in the same read after a handler gave up, to nobody', () => {
  const fixture = new Fixture()
  const exchange = fixture.start()
  const reason = new Error('seen enough')
  fixture.handler.onContent = () => {
    exchange.abort(reason)
    return false
  }

  fixture.stream.send(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n',
  )

  expect(fixture.handler.events).toEqual(['head 200 unknown', 'error after the response began'])
  expect(fixture.handler.error).toBe(reason)
})

test('Http1Connection fails with what a handler throws', () => {
  const fixture = new Fixture()
  const thrown = new Error('disk full')
  fixture.handler.onContent = () => {
    throw thrown
  }
  fixture.start()

  fixture.stream.send(HELLO)

  expect(fixture.handler.error).toBe(thrown)
  expect(fixture.states).toEqual(['closed'])
})

test('Http1Connection pauses the stream until the exchange is resumed', () => {
  const fixture = new Fixture()
  fixture.handler.flowing = false
  const exchange = fixture.start()
  fixture.stream.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
  expect(fixture.stream.paused).toBe(true)
  fixture.stream.send('c')
  expect(fixture.handler.events.at(-1)).toBe('content ab')

  fixture.handler.flowing = true
  exchange.resume()
  fixture.stream.send('d')

  expect(fixture.handler.events.slice(1)).toEqual([
    'content ab',
    'content c',
    'content d',
    'complete',
  ])
  expect(fixture.stream.paused).toBe(false)
})

test('Http1Connection reads on for the next exchange when the last one ended paused', () => {
  const fixture = new Fixture()
  fixture.handler.flowing = false
  fixture.start()

  fixture.stream.send(HELLO)

  expect(fixture.stream.paused).toBe(false)
  expect(fixture.states).toEqual(['idle'])
})

test('Http1Connection closes when bytes that were held as it ended paused are not asked for', () => {
  const fixture = new Fixture()
  fixture.handler.flowing = false
  const exchange = fixture.start()
  fixture.stream.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
  fixture.stream.send('b')
  fixture.stream.send('unsolicited')

  exchange.resume()

  expect(fixture.handler.events.slice(1)).toEqual(['content a', 'content b', 'complete'])
  expect(fixture.states).toEqual(['idle', 'closed'])
})

test('Http1Connection lets content land in the memory that the handler offers', () => {
  const fixture = new Fixture()
  const memory = Buffer.alloc(16)
  fixture.handler.offered = memory
  let landed: Buffer | undefined
  fixture.start()
  fixture.stream.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
  fixture.handler.onContent = (bytes) => {
    landed = bytes
    return true
  }

  fixture.stream.send('hello')

  expect(landed?.buffer).toBe(memory.buffer)
  expect(landed?.byteOffset).toBe(memory.byteOffset)
  expect(memory.toString('latin1', 0, 5)).toBe('hello')
})

test('Http1Connection keeps heads out of the memory that the handler offers', () => {
  const fixture = new Fixture()
  const memory = Buffer.alloc(256)
  fixture.handler.offered = memory
  fixture.start()

  fixture.stream.send(HELLO)

  expect(memory.equals(Buffer.alloc(256))).toBe(true)
})

test('Http1Connection times out when no head comes', () => {
  const fixture = new Fixture()
  fixture.start()
  fixture.stream.send('HTTP/1.1 100 Continue\r\n\r\n')

  fixture.connection.checkTimeouts(fixture.clock.now() + 999)
  expect(fixture.connection.state).toBe('active')
  fixture.connection.checkTimeouts(fixture.clock.now() + 1_000)

  expect(fixture.handler.error).toBeInstanceOf(TimeoutError)
  expect(fixture.handler.error).toMatchObject({ phase: 'headers', timeoutMs: 1_000 })
  expect(fixture.states).toEqual(['closed'])
})

test('Http1Connection counts the body timeout from the last content', () => {
  const fixture = new Fixture()
  fixture.start()
  fixture.stream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')
  fixture.clock.advance(499)
  fixture.stream.send('a')
  fixture.clock.advance(499)
  fixture.connection.checkTimeouts(fixture.clock.now())
  expect(fixture.connection.state).toBe('active')

  fixture.clock.advance(1)
  fixture.connection.checkTimeouts(fixture.clock.now())

  expect(fixture.handler.error).toMatchObject({ phase: 'body', timeoutMs: 500 })
})

test('Http1Connection does not time out a reader who has paused, and starts anew on resume', () => {
  const fixture = new Fixture()
  fixture.handler.flowing = false
  const exchange = fixture.start()
  fixture.stream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na')

  fixture.clock.advance(60_000)
  fixture.connection.checkTimeouts(fixture.clock.now())
  expect(fixture.connection.state).toBe('active')
  exchange.resume()
  fixture.clock.advance(499)
  fixture.connection.checkTimeouts(fixture.clock.now())
  expect(fixture.connection.state).toBe('active')
  fixture.clock.advance(1)
  fixture.connection.checkTimeouts(fixture.clock.now())

  expect(fixture.handler.error).toMatchObject({ phase: 'body' })
})

test('Http1Connection counts as idle since it was made, and lets the process end meanwhile', () => {
  const fixture = new Fixture()

  expect(fixture.connection.idleSince).toBe(fixture.clock.now())
  expect(fixture.stream.idle).toBe(true)
  fixture.start()
  expect(fixture.stream.idle).toBe(false)
})

test('close() is idempotent and fails what runs', () => {
  const fixture = new Fixture()
  fixture.start()

  fixture.connection.close()
  fixture.connection.close()

  expect(fixture.handler.error).toBeInstanceOf(StreamError)
  expect(fixture.states).toEqual(['closed'])
})

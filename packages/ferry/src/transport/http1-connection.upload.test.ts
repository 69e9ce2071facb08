import { expect, test } from 'vitest'
import { LocalProtocolError } from '../errors.ts'
import { MemoryStream } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { startExchange } from '../testing/start-exchange.ts'
import { Http1Connection } from './http1-connection.ts'
import type { ContentInit, StreamedContent } from './content.ts'
import { HttpRequest, type HttpRequestInit } from './http-request.ts'

const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n'

/** Content that a test gives piece by piece, and that tells whether it was closed. */
class Source implements StreamedContent {
  readonly replayable = false
  readonly length?: number
  closed = false
  pulled = 0
  #next: PromiseWithResolvers<Uint8Array | undefined> = Promise.withResolvers()

  constructor(length?: number) {
    if (length !== undefined) this.length = length
  }

  give(text: string): Promise<void> {
    this.#next.resolve(Buffer.from(text))
    return turn()
  }

  end(): Promise<void> {
    this.#next.resolve(undefined)
    return turn()
  }

  fail(error: Error): Promise<void> {
    this.#next.reject(error)
    return turn()
  }

  async *open(): AsyncIterable<Uint8Array> {
    try {
      for (;;) {
        this.pulled++
        const bytes = await this.#next.promise
        if (bytes === undefined) return
        this.#next = Promise.withResolvers()
        yield bytes
      }
    } finally {
      this.closed = true
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function upload(content: ContentInit, init: HttpRequestInit = {}) {
  const stream = new MemoryStream()
  const clock = new FakeClock()
  const handler = new RecordingHandler()
  const states: string[] = []
  const connection = new Http1Connection(stream, {
    clock,
    id: 1,
    onStateChange: ({ state }) => states.push(state),
  })
  const exchange = startExchange(
    connection,
    new HttpRequest('PUT', 'http://h/', { content, ...init }),
    handler,
    { clock },
  )
  const sent = (): string => stream.written.slice(stream.written.indexOf('\r\n\r\n') + 4)
  return { clock, handler, states, connection, stream, exchange, sent }
}

test('Http1Connection sends content of unknown length chunked', async () => {
  const source = new Source()
  const { stream, sent, states, handler } = upload(source)
  await source.give('hello')
  await source.give('0123456789abcdef')
  await source.end()

  expect(stream.written).toContain('\r\nTransfer-Encoding: chunked\r\n')
  expect(sent()).toBe('5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n')
  stream.send(NO_CONTENT)
  expect(handler.events).toEqual(['head 204 0', 'complete'])
  expect(states).toEqual(['idle'])
})

test('Http1Connection sends no chunk for an empty piece, which would end the content', async () => {
  const source = new Source()
  const { sent } = upload(source)
  await source.give('a')
  await source.give('')
  await source.give('b')
  await source.end()

  expect(sent()).toBe('1\r\na\r\n1\r\nb\r\n0\r\n\r\n')
})

test('Http1Connection sends content of known length as it is', async () => {
  const source = new Source(5)
  const { stream, sent, states } = upload(source)
  await source.give('he')
  await source.give('llo')
  await source.end()
  stream.send(NO_CONTENT)

  expect(stream.written).toContain('\r\nContent-Length: 5\r\n')
  expect(sent()).toBe('hello')
  expect(states).toEqual(['idle'])
})

test('Http1Connection fails, sends nothing of it and closes when a source gives too much', async () => {
  const source = new Source(4)
  const { sent, states, handler } = upload(source)
  await source.give('abc')
  await source.give('de')

  expect(sent()).toBe('abc')
  expect(handler.error).toBeInstanceOf(LocalProtocolError)
  expect(states).toEqual(['closed'])
  expect(source.closed).toBe(true)
})

test('Http1Connection fails and closes when a source gives too little', async () => {
  const source = new Source(4)
  const { states, handler } = upload(source)
  await source.give('abc')
  await source.end()

  expect(handler.error).toBeInstanceOf(LocalProtocolError)
  expect(states).toEqual(['closed'])
})

test('Http1Connection fails with the very error of the source', async () => {
  const source = new Source()
  const { states, handler } = upload(source)
  const error = new Error('cannot read the file')
  await source.fail(error)

  expect(handler.error).toBe(error)
  expect(states).toEqual(['closed'])
})

test('Http1Connection fails when the source cannot even be opened', async () => {
  const error = new Error('no such file')
  const { states, handler } = upload({
    replayable: true,
    open: () => {
      throw error
    },
  })
  await turn()

  expect(handler.error).toBe(error)
  expect(states).toEqual(['closed'])
})

test('Http1Connection delivers an early response, closes, and closes the source', async () => {
  const source = new Source()
  const { stream, sent, states, handler } = upload(source)
  await source.give('a')

  stream.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno')
  await source.give('b')

  expect(handler.events).toEqual(['head 413 2', 'content no', 'complete'])
  expect(states).toEqual(['closed'])
  expect(sent()).toBe('1\r\na\r\n')
  expect(source.closed).toBe(true)
})

const LARGE = 'x'.repeat(20_000)

test('Http1Connection takes nothing from the source while a large piece is on its way', async () => {
  const source = new Source(40_000)
  const { stream, sent, connection } = upload(source)
  stream.stalled = true
  await source.give(LARGE)
  await source.give(LARGE)
  expect(source.pulled).toBe(1)

  stream.flush()
  await turn()

  expect(source.pulled).toBe(3)
  expect(sent()).toBe(LARGE + LARGE)
  connection.close()
})

test('Http1Connection lets small pieces run ahead by 64 KiB, then waits', async () => {
  const source = new Source()
  const { stream, connection } = upload(source)
  stream.stalled = true
  for (let piece = 0; piece < 20; piece++) await source.give('x'.repeat(10_000))
  expect(source.pulled).toBe(7)

  stream.flush()
  await turn()

  // The eighth had been given already.
  expect(source.pulled).toBe(9)
  connection.close()
})

test('Http1Connection sends what a source gave before its memory is used again', async () => {
  const memory = Buffer.alloc(20_000)
  async function* reuse(): AsyncGenerator<Uint8Array> {
    for (const [letter, length] of [
      ['a', 3],
      ['b', 20_000],
      ['c', 16_384],
    ] as const) {
      yield await Promise.resolve(memory.subarray(0, length).fill(letter))
    }
    memory.fill('z')
  }
  const { sent } = upload({ replayable: false, open: reuse, length: 36_387 })
  await turn()

  expect(sent()).toBe('aaa' + 'b'.repeat(20_000) + 'c'.repeat(16_384))
})

test('Http1Connection closes the source and asks it for no more when given up while full', async () => {
  const source = new Source()
  const { exchange, handler, stream } = upload(source)
  stream.stalled = true
  await source.give(LARGE)
  const reason = new Error('enough')

  exchange.abort(reason)
  await turn()

  expect(handler.error).toBe(reason)
  expect(source.pulled).toBe(1)
  expect(source.closed).toBe(true)
})

test('Http1Connection times out when the server takes nothing', async () => {
  const source = new Source()
  const { stream, clock, connection, handler } = upload(source)
  stream.stalled = true
  await source.give(LARGE)
  clock.advance(499)
  connection.checkTimeouts(clock.now())
  expect(connection.state).toBe('active')

  clock.advance(1)
  connection.checkTimeouts(clock.now())

  expect(handler.error).toMatchObject({ phase: 'body', timeoutMs: 500 })
  expect((handler.error as Error).message).toContain('the server took nothing for 500 ms')
})

test('Http1Connection does not time out while its own source is slow', async () => {
  const source = new Source()
  const { clock, connection } = upload(source)
  await source.give('a')

  clock.advance(1_000_000)
  connection.checkTimeouts(clock.now())

  expect(connection.state).toBe('active')
  connection.close()
})

test('Http1Connection sends large bytes in slices that the server must take in time', async () => {
  const { stream, clock, connection, handler, sent } = upload(Buffer.alloc(3_000_000, 'y'))
  stream.stalled = true
  await turn()
  expect(sent().length).toBe(393_216)

  stream.flush()
  await turn()

  expect(sent()).toBe('y'.repeat(3_000_000))
  clock.advance(1000)
  connection.checkTimeouts(clock.now())
  expect(handler.error).toMatchObject({ phase: 'headers' })
})

test('Http1Connection sends trailers after chunked content', async () => {
  const source = new Source()
  let ended = false
  const { sent, stream, states } = upload(source, {
    trailers: () => ({ Digest: ended ? 'after' : 'before' }),
  })
  await source.give('a')
  ended = true
  await source.end()
  stream.send(NO_CONTENT)

  expect(sent()).toBe('1\r\na\r\n0\r\nDigest: after\r\n\r\n')
  expect(states).toEqual(['idle'])
})

test('Http1Connection names trailers that it knows beforehand', async () => {
  const source = new Source()
  const { sent, stream } = upload(source, { trailers: { Digest: 'x', 'X-Sum': 'y' } })
  await source.end()

  expect(stream.written).toContain('\r\nTrailer: Digest, X-Sum\r\n')
  expect(sent()).toBe('0\r\nDigest: x\r\nX-Sum: y\r\n\r\n')
})

test('Http1Connection fails when its trailers cannot be had', async () => {
  const source = new Source()
  const error = new Error('no digest')
  const { handler, states } = upload(source, {
    trailers: () => {
      throw error
    },
  })
  await source.end()

  expect(handler.error).toBe(error)
  expect(states).toEqual(['closed'])
})

// ── Early responses

test('Http1Connection goes on sending after an early 2xx, and is idle when all is sent', async () => {
  const source = new Source()
  const { stream, sent, states, handler } = upload(source)
  await source.give('a')
  stream.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  expect(handler.events).toEqual(['head 200 2', 'content ok', 'complete'])
  expect(states).toEqual([])

  await source.give('b')
  await source.end()

  expect(sent()).toBe('1\r\na\r\n1\r\nb\r\n0\r\n\r\n')
  expect(states).toEqual(['idle'])
})

test('Http1Connection ends with an early 2xx that closes', async () => {
  const source = new Source()
  const { stream, states, handler } = upload(source)
  await source.give('a')

  stream.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')

  expect(handler.events.at(-1)).toBe('complete')
  expect(states).toEqual(['closed'])
})

const EARLY_OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test.each([
  ['the server goes', (far: MemoryStream) => far.sendEnd()],
  ['the connection breaks', (far: MemoryStream) => far.fail(new Error('reset'))],
  ['bytes come that nobody asked for', (far: MemoryStream) => far.send('HTTP/1.1 400 No\r\n\r\n')],
])('Http1Connection closes when, after an early 2xx and before the rest, %s', async (_, happen) => {
  const source = new Source()
  const { stream, states, handler } = upload(source)
  await source.give('a')
  stream.send(EARLY_OK)

  happen(stream)
  await source.give('b')

  expect(handler.events).toEqual(['head 200 2', 'content ok', 'complete'])
  expect(states).toEqual(['closed'])
  expect(source.closed).toBe(true)
})

test('Http1Connection closes when, after an early 2xx, its source fails', async () => {
  const source = new Source()
  const { stream, states, handler } = upload(source)
  stream.send(EARLY_OK)

  await source.fail(new Error('cannot read'))

  expect(handler.events.at(-1)).toBe('complete')
  expect(states).toEqual(['closed'])
})

test('Http1Connection closes when, after an early 2xx, the server takes no more', async () => {
  const source = new Source()
  const { stream, clock, connection, states, handler } = upload(source)
  stream.stalled = true
  await source.give(LARGE)
  stream.send(EARLY_OK)

  clock.advance(500)
  connection.checkTimeouts(clock.now())

  expect(handler.events.at(-1)).toBe('complete')
  expect(states).toEqual(['closed'])
})

test('Http1Connection does not touch the memory of a response that is whole', async () => {
  const source = new Source()
  const { stream, handler } = upload(source)
  handler.offered = Buffer.alloc(100)
  await source.give('a')
  stream.send(EARLY_OK)
  await source.end()

  stream.send('stray')

  expect(handler.offered.equals(Buffer.alloc(100))).toBe(true)
})

test('Http1Connection carries both ways at once', async () => {
  const source = new Source()
  const { stream, handler, sent } = upload(source)
  await source.give('ping')
  stream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n')
  await source.give('ping')
  stream.send('4\r\npong\r\n')
  await source.end()
  stream.send('0\r\n\r\n')

  expect(handler.events).toEqual(['head 200 unknown', 'content pong', 'content pong', 'complete'])
  expect(sent()).toBe('4\r\nping\r\n4\r\nping\r\n0\r\n\r\n')
})

// ── Expect: 100-continue

const EXPECT = { headers: { Expect: '100-Continue' } }

test.each([
  ['bytes', Buffer.from('hello')],
  ['pieces', { replayable: true, length: 5, open: () => piecesOf('he', 'llo') }],
])('Http1Connection holds %s back until 100 (Continue)', async (_, content) => {
  const { stream, sent, handler, states } = upload(content, EXPECT)
  await turn()
  expect(sent()).toBe('')

  stream.send('HTTP/1.1 103 Early Hints\r\n\r\n')
  await turn()
  expect(sent()).toBe('')
  stream.send('HTTP/1.1 100 Continue\r\n\r\n')
  await turn()
  expect(sent()).toBe('hello')

  stream.send(NO_CONTENT)
  expect(handler.events.at(-1)).toBe('complete')
  expect(states).toEqual(['idle'])
})

test('Http1Connection sends what it held when no 100 (Continue) comes in time', async () => {
  const { clock, sent, connection } = upload('hello', EXPECT)
  clock.advance(299)
  await turn()
  expect(sent()).toBe('')

  clock.advance(1)
  await turn()

  expect(sent()).toBe('hello')
  connection.close()
})

test('Http1Connection never sends held content after a final response, and closes', async () => {
  const { clock, stream, sent, handler, states } = upload('hello', EXPECT)

  stream.send('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno')
  clock.advance(1000)
  await turn()

  expect(sent()).toBe('')
  expect(handler.events.at(-1)).toBe('complete')
  expect(states).toEqual(['closed'])
})

test('Http1Connection forgets its timer when given up while content is held', async () => {
  const { clock, exchange, sent } = upload('hello', EXPECT)

  exchange.abort(new Error('enough'))
  await turn()

  expect(clock.pending).toBe(0)
  expect(sent()).toBe('')
})

async function* piecesOf(...pieces: string[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(Buffer.from(piece))
}

test('Http1Connection does not time out an upload that moves', async () => {
  const source = new Source()
  const { clock, connection, handler } = upload(source)
  for (let piece = 0; piece < 5; piece++) {
    clock.advance(900)
    await source.give('x')
    connection.checkTimeouts(clock.now())
  }
  expect(connection.state).toBe('active')

  await source.end()
  clock.advance(1_000)
  connection.checkTimeouts(clock.now())

  expect(handler.error).toMatchObject({ phase: 'headers' })
})

test.each([
  ['a source of text', 'hello' as unknown as Uint8Array],
  ['a source of numbers', 5 as unknown as Uint8Array],
])('Http1Connection sends nothing of %s', async (_, piece) => {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    await Promise.resolve()
    yield piece
  }
  const { handler, sent } = upload({ replayable: true, open: pieces })
  await turn()

  expect(handler.error).toBeInstanceOf(TypeError)
  expect(sent()).toBe('')
})

test('Http1Connection refuses trailers that are a promise', async () => {
  const source = new Source()
  const { handler } = upload(source, {
    trailers: (() => Promise.resolve({ A: '1' })) as unknown as () => Record<string, string>,
  })
  await source.end()

  expect(handler.error).toBeInstanceOf(LocalProtocolError)
})

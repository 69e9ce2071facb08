import { expect, test } from 'vitest'
import { MemoryStream } from '../net/memory-backend.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import { Http1Connection } from './http1-connection.ts'
import { HttpRequest, type StreamedContent } from './http-request.ts'

const TIMEOUTS = { headersTimeoutMs: 1_000, bodyTimeoutMs: 500 }
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

/** A stream whose queue is full until the test drains it. */
class FullStream extends MemoryStream {
  override write(bytes: string | Uint8Array): boolean {
    super.write(bytes)
    return false
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function upload(content: StreamedContent, stream: MemoryStream = new MemoryStream()) {
  const clock = new FakeClock()
  const handler = new RecordingHandler()
  const states: string[] = []
  const connection = new Http1Connection(stream, {
    clock,
    onStateChange: ({ state }) => states.push(state),
  })
  const exchange = connection.start(
    new HttpRequest('PUT', 'http://h/', { content }),
    handler,
    TIMEOUTS,
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
  expect(handler.error).toBeInstanceOf(RangeError)
  expect(states).toEqual(['closed'])
  expect(source.closed).toBe(true)
})

test('Http1Connection fails and closes when a source gives too little', async () => {
  const source = new Source(4)
  const { states, handler } = upload(source)
  await source.give('abc')
  await source.end()

  expect(handler.error).toBeInstanceOf(RangeError)
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

test('Http1Connection takes nothing from the source while the stream is full', async () => {
  const source = new Source()
  const { connection, sent } = upload(source, new FullStream())
  await source.give('a')
  await source.give('b')
  expect(sent()).toBe('1\r\na\r\n')

  connection.onDrain()
  await turn()

  expect(sent()).toBe('1\r\na\r\n1\r\nb\r\n')
  connection.close()
})

test('Http1Connection closes the source and asks it for no more when given up while full', async () => {
  const source = new Source()
  const { exchange, handler } = upload(source, new FullStream())
  await source.give('a')
  const reason = new Error('enough')

  exchange.abort(reason)
  await turn()

  expect(handler.error).toBe(reason)
  expect(source.pulled).toBe(1)
  expect(source.closed).toBe(true)
})

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

import { expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import { GET, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import type { MemoryStream } from '../net/memory-backend.ts'
import type { HttpResponse } from './http-response.ts'
import type { BodySink } from './response-body.ts'

const READ_BYTES = 65_536

interface Answer {
  readonly fixture: PoolFixture
  readonly stream: MemoryStream
  readonly response: HttpResponse
}

/** A response whose head has come, and of whose content the test sends the rest. */
async function answer(fixture: PoolFixture, wire: string): Promise<Answer> {
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  const stream = fixture.lastStream()
  stream.send(wire)
  return { fixture, stream, response: await pending }
}

function withLength(length: number, content = ''): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${content}`
}

/** A sink that records, and answers `flowing`. */
class RecordingSink implements BodySink {
  readonly chunks: string[] = []
  flowing = true
  flow: { resume(): void } | undefined

  start(flow: { resume(): void }): void {
    this.flow = flow
  }

  write(bytes: Buffer): boolean {
    this.chunks.push(bytes.toString('latin1'))
    return this.flowing
  }
}

test('bytes() gives content that had come with the head', async () => {
  await using fixture = new PoolFixture()
  const { response } = await answer(fixture, HELLO)

  await expect(response.body.bytes()).resolves.toEqual(Buffer.from('hello'))
})

test('bytes() gives content that comes later, in order', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(6, 'ab'))
  const taken = response.body.bytes()

  stream.send('cd')
  stream.send('ef')

  await expect(taken).resolves.toEqual(Buffer.from('abcdef'))
})

test('bytes() gives an empty buffer where there is no content', async () => {
  await using fixture = new PoolFixture()
  const { response } = await answer(fixture, 'HTTP/1.1 204 No Content\r\n\r\n')

  expect((await response.body.bytes()).length).toBe(0)
})

test('bytes() copies, so that memory of the connection may be reused', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(4))
  const memory = Buffer.alloc(2)
  const chunks: Buffer[] = []
  const taken = response.body.pipe({
    buffer: () => memory,
    write: (bytes) => {
      chunks.push(bytes)
      return true
    },
  })
  stream.send('ab')
  stream.send('cd')
  await taken

  expect(chunks.map(String)).toEqual(['cd', 'cd'])
  const { stream: second, response: other } = await answer(fixture, withLength(4))
  const bytes = other.body.bytes()
  second.send('ab')
  second.send('cd')
  await expect(bytes).resolves.toEqual(Buffer.from('abcd'))
})

test.each([
  ['had come whole', HELLO, ''],
  ['is still coming', withLength(5, 'hel'), 'lo'],
])(
  'bytes(max) takes exactly max bytes, and rejects one more, when content %s',
  async (_, wire, rest) => {
    for (const max of [5, 4]) {
      await using fixture = new PoolFixture()
      const { stream, response } = await answer(fixture, wire)
      const taken = response.body.bytes(max)
      const outcome =
        max === 5
          ? expect(taken).resolves.toEqual(Buffer.from('hello'))
          : expect(taken).rejects.toBeInstanceOf(StreamError)
      if (rest !== '') stream.send(rest)

      await outcome
      expect(fixture.state()).not.toContain('active 1')
    }
  },
)

test('bytes(max) closes the connection as soon as there is too much', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(1_000, 'hello'))

  await expect(response.body.bytes(4)).rejects.toThrow('more than 4 bytes')

  expect(stream.closed).toBe(true)
})

test('bytes() rejects when the connection breaks, also when it broke before', async () => {
  for (const before of [true, false]) {
    await using fixture = new PoolFixture()
    const { stream, response } = await answer(fixture, withLength(5, 'he'))
    if (before) stream.sendEnd()
    const outcome = expect(response.body.bytes()).rejects.toMatchObject({
      bytesReceived: 2,
      expectedBytes: 5,
    })
    if (!before) stream.sendEnd()

    await outcome
  }
})

test('pipe() gives held content first, then what comes, and resolves at the end', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(4, 'ab'))
  const sink = new RecordingSink()
  const piped = response.body.pipe(sink)

  stream.send('cd')

  await piped
  expect(sink.chunks).toEqual(['ab', 'cd'])
})

test('pipe() pauses the connection while the sink is full', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(6))
  const sink = new RecordingSink()
  sink.flowing = false
  const piped = response.body.pipe(sink)
  stream.send('ab')
  expect(stream.paused).toBe(true)
  stream.send('cd')
  stream.send('ef')
  expect(sink.chunks).toEqual(['ab'])

  sink.flow?.resume()
  expect(sink.chunks).toEqual(['ab', 'cd'])
  sink.flow?.resume()

  await piped
  expect(sink.chunks).toEqual(['ab', 'cd', 'ef'])
})

test('pipe() goes on with a connection that had paused because nobody read', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(READ_BYTES + 2))
  stream.send(Buffer.alloc(READ_BYTES, 'x'))
  expect(stream.paused).toBe(true)
  stream.send('yz')
  const sink = new RecordingSink()

  await response.body.pipe(sink)

  expect(sink.chunks.map(({ length }) => length)).toEqual([READ_BYTES, 2])
})

test('pipe() leaves a connection paused when the sink is full with what was held', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(READ_BYTES + 2))
  stream.send(Buffer.alloc(READ_BYTES, 'x'))
  stream.send('yz')
  const sink = new RecordingSink()
  sink.flowing = false
  const piped = response.body.pipe(sink)
  expect(sink.chunks).toHaveLength(1)

  sink.flow?.resume()

  await piped
  expect(sink.chunks).toHaveLength(2)
})

test('pipe() rejects with the error of the connection', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(5, 'he'))
  const piped = response.body.pipe(new RecordingSink())

  stream.sendEnd()

  await expect(piped).rejects.toBeInstanceOf(StreamError)
})

test.each([
  ['start()', ''],
  ['write() of held content', 'he'],
  ['write() of what comes', ''],
])(
  'pipe() rejects with what %s of the sink throws, and closes the connection',
  async (where, held) => {
    await using fixture = new PoolFixture()
    const { stream, response } = await answer(fixture, withLength(5, held))
    const thrown = new Error('disk full')
    const fail = (): never => {
      throw thrown
    }
    const piped = response.body.pipe(
      where === 'start()' ? { start: fail, write: () => true } : { write: fail },
    )
    const outcome = expect(piped).rejects.toBe(thrown)
    if (where === 'write() of what comes') stream.send('llo')

    await outcome
    expect(stream.closed).toBe(true)
    expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
  },
)

test('pipe() lets content land in the memory of the sink', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(6))
  const memory = Buffer.alloc(6)
  let filled = 0
  const inPlace: boolean[] = []
  const piped = response.body.pipe({
    buffer: () => (filled < memory.length ? memory.subarray(filled) : undefined),
    write: (bytes) => {
      inPlace.push(
        bytes.buffer === memory.buffer && bytes.byteOffset === memory.byteOffset + filled,
      )
      filled += bytes.length
      return true
    },
  })

  for (const text of ['ab', 'cd', 'ef']) stream.send(text)

  await piped
  expect(memory.toString()).toBe('abcdef')
  expect(inPlace).toEqual([true, true, true])
})

test('iterating gives the content piece by piece', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(6, 'ab'))
  const chunks: string[] = []

  for await (const bytes of response.body) {
    chunks.push(String(bytes))
    if (chunks.length === 1) stream.send('cd')
    if (chunks.length === 2) setImmediate(() => stream.send('ef'))
  }

  expect(chunks).toEqual(['ab', 'cd', 'ef'])
  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
})

test('iterating gives what had come before it throws', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(5, 'he'))
  stream.sendEnd()
  const chunks: string[] = []
  const iterate = async (): Promise<void> => {
    for await (const bytes of response.body) chunks.push(String(bytes))
  }

  await expect(iterate()).rejects.toBeInstanceOf(StreamError)

  expect(chunks).toEqual(['he'])
})

test('leaving an iteration early closes the connection', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(5, 'he'))

  for await (const bytes of response.body) {
    expect(String(bytes)).toBe('he')
    break
  }

  expect(stream.closed).toBe(true)
})

test('content can be taken only once, however it is taken', async () => {
  const takers = [
    (body: HttpResponse['body']) => body.bytes(),
    (body: HttpResponse['body']) => body.pipe(new RecordingSink()),
    (body: HttpResponse['body']) => body[Symbol.asyncIterator]().next(),
  ]
  for (const first of takers) {
    for (const second of takers) {
      await using fixture = new PoolFixture()
      const { response } = await answer(fixture, HELLO)
      expect(response.body.used).toBe(false)
      await first(response.body)
      expect(response.body.used).toBe(true)

      await expect(second(response.body)).rejects.toThrow(TypeError)
    }
  }
})

test('cancel() closes the connection, and what is taken afterwards fails with its reason', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(fixture, withLength(5))
  const reason = new Error('not wanted')

  response.body.cancel(reason)
  response.body.cancel()

  expect(stream.closed).toBe(true)
  await expect(response.body.bytes()).rejects.toBe(reason)
})

test('cancel() after the end leaves the connection and the content alone', async () => {
  await using fixture = new PoolFixture()
  const { response } = await answer(fixture, HELLO)

  response.body.cancel()

  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
  await expect(response.body.bytes()).resolves.toEqual(Buffer.from('hello'))
})

test('trailers are there once the content has come', async () => {
  await using fixture = new PoolFixture()
  const { stream, response } = await answer(
    fixture,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n',
  )
  expect(response.body.trailers.size).toBe(0)

  stream.send('0\r\nDigest: x\r\n\r\n')

  await response.body.bytes()
  expect([...response.body.trailers]).toEqual([['Digest', 'x']])
})

test('a body that nobody reads holds no more than 64 KiB and one read', async () => {
  await using fixture = new PoolFixture()
  const total = 100 * READ_BYTES
  const { stream, response } = await answer(fixture, withLength(total))
  let sent = 0
  while (!stream.paused) {
    stream.send(Buffer.alloc(READ_BYTES / 2))
    sent += READ_BYTES / 2
  }
  expect(sent).toBe(READ_BYTES)

  // A slow reader: each piece taken makes room for as much again, and no more.
  const iterator = response.body[Symbol.asyncIterator]()
  await iterator.next()
  while (!stream.paused) {
    stream.send(Buffer.alloc(READ_BYTES / 2))
    sent += READ_BYTES / 2
  }

  expect(sent).toBe(2 * READ_BYTES)
  await iterator.return?.()
})

test('pipe() gives what was held before what is still to come, whenever its sink resumes', async () => {
  await using fixture = new PoolFixture()
  const first = 'a'.repeat(READ_BYTES)
  const { response, stream } = await answer(fixture, withLength(READ_BYTES + 3, first))
  stream.send('bcd')
  const chunks: string[] = []
  let resume = (): void => {}

  await response.body.pipe({
    start: (flow) => {
      resume = () => flow.resume()
      resume()
    },
    write: (bytes) => {
      chunks.push(bytes.toString('latin1'))
      resume()
      return false
    },
  })

  expect(chunks.join('')).toBe(`${first}bcd`)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalProtocolError, StreamError } from '../errors.ts'
import { PoolFixture, GET } from '../testing/pool-fixture.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { ResponseBody } from './response-body.ts'
import { createResponseStream } from './response-stream.ts'
import type { StreamProgress } from './request-stream.ts'

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function* generate(...pieces: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await Promise.resolve()
    yield Buffer.from(piece)
  }
}

/** Pieces of 10 kB, without end; counts those that were asked for. */
class Endless {
  pulled = 0
  closed = false

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        await Promise.resolve()
        this.pulled++
        yield Buffer.alloc(10_000)
      }
    } finally {
      this.closed = true
    }
  }
}

test('a body gives the same bytes whichever way it is taken', async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 50_000, size: 'max' }), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(pieces, fc.boolean(), async (list, inMemory) => {
      const expected = Buffer.concat(list)
      const make = () => createResponseStream(inMemory ? expected : list[Symbol.iterator]())
      const iterated: Uint8Array[] = []
      for await (const piece of make()) iterated.push(Uint8Array.from(piece))
      const piped: Uint8Array[] = []
      await make().pipe({ write: (bytes) => piped.push(Uint8Array.from(bytes)) > 0 })

      expect((await make().bytes()).equals(expected)).toBe(true)
      expect(Buffer.concat(iterated).equals(expected)).toBe(true)
      expect(Buffer.concat(piped).equals(expected)).toBe(true)
    }),
    { numRuns: 20 },
  )
})

test('a body knows its length where the source does', () => {
  expect(createResponseStream('hello').length).toBe(5)
  expect(createResponseStream(generate('hello')).length).toBeUndefined()
  expect(createResponseStream(generate('hello'), { contentLength: 5 }).length).toBe(5)
  expect(() => createResponseStream('hello', { contentLength: 4 })).toThrow(LocalProtocolError)
})

test.each([
  [4, 'more bytes than the 4 announced, 5'],
  [6, 'fewer bytes than the 6 announced, 5'],
])('5 bytes where %s are announced are an error', async (contentLength, message) => {
  const body = createResponseStream(generate('he', 'llo'), { contentLength })
  const taken = body.bytes()

  await expect(taken).rejects.toThrow(StreamError)
  await expect(taken).rejects.toMatchObject({
    message: expect.stringContaining(message),
    bytesReceived: 5,
    expectedBytes: contentLength,
  })
})

test('trailers come with the end', async () => {
  const body = createResponseStream(generate('a'), { trailers: { A: '1' } })
  expect(body.trailers.size).toBe(0)
  await body.bytes()

  expect([...body.trailers]).toEqual([['A', '1']])
})

test('a body reads nothing before it is taken, and nothing when it is cancelled', async () => {
  const source = new Endless()
  const body = createResponseStream(source)
  await turn()
  body.cancel()
  await turn()

  expect(source.pulled).toBe(0)
  await expect(body.bytes()).rejects.toThrow(StreamError)
})

test('a sink that is full holds the source back', async () => {
  const source = new Endless()
  const body = createResponseStream(source)
  let flow: { resume(): void } | undefined
  const piped = body.pipe({ start: (given) => (flow = given), write: () => false })
  await turn()
  const before = source.pulled

  await turn()
  expect(source.pulled).toBe(before)
  flow?.resume()
  await turn()
  expect(source.pulled).toBe(before + 1)
  body.cancel(new Error('enough'))

  await expect(piped).rejects.toThrow('enough')
})

test('leaving an iteration early closes the source', async () => {
  const source = new Endless()
  for await (const _ of createResponseStream(source)) break
  await turn()

  expect(source.closed).toBe(true)
})

test.each(['before', 'while'])(
  'the error of a source comes through, %s it is taken',
  async (when) => {
    const error = new Error('no tape')
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a')
      await Promise.resolve()
      throw error
    })()
    const body = createResponseStream(source)
    if (when === 'before') await turn()

    await expect(body.bytes()).rejects.toBe(error)
  },
)

test('what a sink throws ends the source and comes through', async () => {
  const source = new Endless()
  const error = new Error('disk full')
  const piped = createResponseStream(source).pipe({
    write: () => {
      throw error
    },
  })

  await expect(piped).rejects.toBe(error)
  await turn()
  expect(source.closed).toBe(true)
})

test('a received body is wrapped: progress is told, bytes, trailers and back pressure pass', async () => {
  await using fixture = new PoolFixture()
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  const stream = fixture.lastStream()
  stream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n')
  const seen: StreamProgress[] = []
  const { body: received } = await pending
  const body = createResponseStream(received, { onProgress: (progress) => seen.push(progress) })
  const taken = body.bytes()
  stream.send('3\r\nllo\r\n0\r\nA: 1\r\n\r\n')

  await expect(taken).resolves.toEqual(Buffer.from('hello'))
  expect(seen).toEqual([
    { bytes: 2, total: undefined },
    { bytes: 5, total: undefined },
  ])
  expect([...body.trailers]).toEqual([['A', '1']])
  expect(received.used).toBe(true)
})

test('cancelling a wrapping body cancels the received one', async () => {
  await using fixture = new PoolFixture()
  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.lastStream().send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe')
  const body = createResponseStream((await pending).body)

  body.cancel()

  await expect(body.bytes()).rejects.toThrow(StreamError)
  expect(fixture.lastStream().closed).toBe(true)
})

test.each(['hello', Buffer.alloc(100_000)])(
  'what the progress callback throws fails the body',
  async (source) => {
    const error = new Error('enough')
    const onProgress = (): never => {
      throw error
    }

    await expect(createResponseStream(source, { onProgress }).bytes()).rejects.toBe(error)
  },
)

test('wrapping a body does not take it: forgotten, it is given up like any other', async () => {
  let aborted: Error | undefined
  const source = new ResponseBody({ resume: () => {}, abort: (reason) => (aborted = reason) }, 10)
  const wrapped = createResponseStream(source)
  expect(source.used).toBe(false)

  const reason = new Error('enough')
  wrapped.cancel(reason)

  expect(aborted).toBe(reason)
  await expect(wrapped.bytes()).rejects.toBe(reason)
})

test('a wrapped body of a response to HEAD is empty, whatever it announces', async () => {
  const source = new ResponseBody({ resume: () => {}, abort: () => {} }, 10)
  source.complete(HeaderFields.empty)

  expect(await createResponseStream(source).bytes()).toHaveLength(0)
})

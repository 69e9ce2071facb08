import { expect, test } from 'vitest'
import { LocalProtocolError, StreamError } from '../errors.ts'
import { HttpRequest } from './http-request.ts'
import { createRequestStream, type StreamProgress } from './request-stream.ts'
import { readStreamToBytes } from './read-stream.ts'

const PIECES = [Buffer.from('he'), Buffer.from('l'), Buffer.from('lo')]

async function* generate(pieces: readonly Uint8Array[] = PIECES): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await Promise.resolve()
    yield piece
  }
}

test('a stream from an iterable is of unknown length, and chunked', () => {
  const stream = createRequestStream(generate())

  expect(stream).toMatchObject({ contentLength: undefined, chunked: true, replayable: false })
  expect(stream.length).toBeUndefined()
})

test('a stream from an iterable takes its length from the option', async () => {
  const stream = createRequestStream(generate(), { contentLength: 5 })

  expect(stream).toMatchObject({ contentLength: 5, length: 5, chunked: false })
  await expect(readStreamToBytes(stream)).resolves.toEqual(Buffer.from('hello'))
})

test('a stream of known length is sent chunked on demand', () => {
  const stream = createRequestStream('hello', { chunked: true })

  expect(stream).toMatchObject({ contentLength: 5, length: undefined, chunked: true })
})

test('a stream of unknown length cannot be sent otherwise than chunked', () => {
  expect(() => createRequestStream(generate(), { chunked: false })).toThrow(LocalProtocolError)
})

test.each([4, 6, -1, 1.5])('a length of 5 is not announced as %s', (contentLength) => {
  expect(() => createRequestStream('hello', { contentLength })).toThrow(LocalProtocolError)
})

test.each([true, false])(
  'too many bytes end the reading before them; chunked: %s',
  async (chunked) => {
    const stream = createRequestStream(generate(), { contentLength: 3, chunked })
    const given: string[] = []
    const reading = (async () => {
      for await (const piece of stream) given.push(String(piece))
    })()

    await expect(reading).rejects.toThrow(LocalProtocolError)
    expect(given).toEqual(['he', 'l'])
  },
)

test.each([true, false])('too few bytes end the reading; chunked: %s', async (chunked) => {
  const stream = createRequestStream(generate(), { contentLength: 6, chunked })

  await expect(readStreamToBytes(stream)).rejects.toThrow('6 bytes announced, 5 given')
})

test('nothing is read before the stream is', () => {
  let pulled = false
  async function* source(): AsyncGenerator<Uint8Array> {
    await Promise.resolve()
    pulled = true
    yield Buffer.from('a')
  }
  const stream = createRequestStream(source(), { chunked: true })
  const request = HttpRequest.create({ method: 'POST', url: 'http://h/', stream })

  expect(request.content).toBe(stream)
  expect(pulled).toBe(false)
})

test('bytes and arrays are read again and again, iterables once', async () => {
  for (const source of ['hello', Buffer.from('hello'), PIECES]) {
    const stream = createRequestStream(source)
    for (let time = 0; time < 2; time++) {
      await expect(readStreamToBytes(stream)).resolves.toEqual(Buffer.from('hello'))
      expect(stream.bytesRead).toBe(5)
    }
  }
  const once = createRequestStream(generate())
  await readStreamToBytes(once)

  expect(() => once.open()).toThrow(TypeError)
})

test('bytesRead counts a piece when it is given, progress when the next is asked for', async () => {
  const seen: (StreamProgress | string)[] = []
  const onProgress = (progress: StreamProgress): number => seen.push(progress)
  const stream = createRequestStream(generate(), { contentLength: 5, onProgress })
  for await (const piece of stream) seen.push(`${piece} ${stream.bytesRead}`)

  expect(seen).toEqual([
    'he 2',
    { bytes: 2, total: 5 },
    'l 3',
    { bytes: 3, total: 5 },
    'lo 5',
    { bytes: 5, total: 5 },
  ])
})

test('bytes in memory are given in pieces, so that progress can be told', async () => {
  const seen: number[] = []
  const bytes = Buffer.alloc(200_000, 'x')
  const stream = createRequestStream(bytes, { onProgress: (progress) => seen.push(progress.bytes) })

  await expect(readStreamToBytes(stream)).resolves.toEqual(bytes)
  expect(seen).toEqual([65_536, 131_072, 196_608, 200_000])
})

test('what the progress callback throws ends the reading and closes the source', async () => {
  let closed = false
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* generate()
    } finally {
      closed = true
    }
  }
  const error = new Error('enough')
  const onProgress = (): never => {
    throw error
  }

  await expect(readStreamToBytes(createRequestStream(source(), { onProgress }))).rejects.toBe(error)
  expect(closed).toBe(true)
})

test('close() fails who reads, also while a piece is waited for, and who begins later', async () => {
  const never = (async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('a')
    await new Promise(() => {})
  })()
  const stream = createRequestStream(never)
  const reading = readStreamToBytes(stream)
  await new Promise((resolve) => setImmediate(resolve))
  expect(stream.closed).toBe(false)

  stream.close()
  stream.close()

  await expect(reading).rejects.toThrow(StreamError)
  expect(stream.closed).toBe(true)
  expect(() => stream.open()).toThrow(StreamError)
})

test('a stream is closed at the end of its block', async () => {
  const stream = createRequestStream('hello')
  {
    await using held = stream
    expect(held.closed).toBe(false)
  }

  expect(stream.closed).toBe(true)
})

test('a sender that stops early closes the source and sees no error', async () => {
  const stopping = new AbortController()
  const stream = createRequestStream(generate(), { contentLength: 5 })
  const given: string[] = []
  for await (const piece of stream.open(stopping.signal)) {
    given.push(String(piece))
    stopping.abort()
  }

  expect(given).toEqual(['he'])
})

import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LocalProtocolError } from '../errors.ts'
import {
  calculateContentLength,
  type ContentInit,
  isStreamEmpty,
  type StreamedContent,
  toContent,
} from './content.ts'
import { createRequestStream } from './request-stream.ts'
import { readStreamToBytes } from './read-stream.ts'

/** Splits bytes at the given places. */
function split(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length]
  cuts.sort((a, b) => a - b)
  return cuts.slice(1).map((end, index) => bytes.slice(cuts[index], end))
}

function* generate(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  yield* pieces
}

async function* generateLater(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await Promise.resolve()
    yield piece
  }
}

type Shape = readonly [
  name: string,
  make: (pieces: Uint8Array[]) => ContentInit,
  lengthKnown: boolean,
  replayable: boolean,
]

const SHAPES: readonly Shape[] = [
  ['Uint8Array', (pieces) => new Uint8Array(Buffer.concat(pieces)), true, true],
  ['ArrayBuffer', (pieces) => new Uint8Array(Buffer.concat(pieces)).buffer, true, true],
  ['DataView', (pieces) => viewWithin(Buffer.concat(pieces)), true, true],
  ['Blob', (pieces) => new Blob(pieces as Uint8Array<ArrayBuffer>[]), true, true],
  ['array', (pieces) => pieces, true, true],
  ['generator', generate, false, false],
  ['Set', (pieces) => new Set(pieces), false, false],
  ['asynchronous generator', generateLater, false, false],
  ['ReadableStream', (pieces) => ReadableStream.from(pieces), false, false],
  ['Readable', (pieces) => Readable.from(pieces), false, false],
  [
    'StreamedContent',
    (pieces) => ({ replayable: true, open: () => generateLater(pieces) }),
    false,
    true,
  ],
  ['RequestStream', (pieces) => createRequestStream(pieces), true, true],
]

/** A view that begins and ends within its buffer. */
function viewWithin(bytes: Buffer): DataView {
  const around = new Uint8Array(bytes.length + 5).fill(0xee)
  around.set(bytes, 3)
  return new DataView(around.buffer, 3, bytes.length)
}

describe.each(SHAPES)('content from %s', (_, make, lengthKnown, replayable) => {
  test('gives the same bytes however they are split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 64 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        async (bytes, places) => {
          const read = await readStreamToBytes(make(split(bytes, places)))

          expect(new Uint8Array(read)).toEqual(bytes)
        },
      ),
      { numRuns: 30 },
    )
  })

  test(`has a length that is ${lengthKnown ? 'known' : 'unknown'}`, () => {
    const content = make([Buffer.from('hel'), Buffer.from('lo')])

    expect(calculateContentLength(content)).toBe(lengthKnown ? 5 : undefined)
    expect(isStreamEmpty(content)).toBe(lengthKnown ? false : undefined)
    expect(isStreamEmpty(make([]))).toBe(lengthKnown ? true : undefined)
  })

  test(`can be sent ${replayable ? 'again and again' : 'once'}`, async () => {
    const content = toContent(make([Buffer.from('hel'), Buffer.from('lo')]))
    await readStreamToBytes(content)

    expect(content instanceof Uint8Array || content.replayable).toBe(replayable)
    const again = readStreamToBytes(content)
    await (replayable
      ? expect(again).resolves.toEqual(Buffer.from('hello'))
      : expect(again).rejects.toThrow(TypeError))
  })
})

test('text is content in UTF-8', () => {
  expect(toContent('aü€😀')).toEqual(Buffer.from('aü€😀'))
  expect(calculateContentLength('aü€😀')).toBe(10)
})

test('bytes are not copied, arrays of them are', async () => {
  const bytes = new Uint8Array(3)
  const pieces = [Buffer.from('a')]
  const content = toContent(pieces)
  pieces.push(Buffer.from('b'))

  expect(toContent(bytes)).toBe(bytes)
  expect(await readStreamToBytes(content)).toEqual(Buffer.from('a'))
})

test.each([null, 1, true, {}, () => 'x', Symbol.iterator, new Date()])(
  'content cannot be made from %s',
  (value) => {
    expect(() => toContent(value as never)).toThrow(LocalProtocolError)
  },
)

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
  'a stream cannot announce %s bytes',
  (length) => {
    const content: StreamedContent = { length, replayable: true, open: () => generateLater([]) }

    expect(() => toContent(content)).toThrow(LocalProtocolError)
  },
)

test.each([['text'], [undefined], [[1]], [new Uint16Array(1)]])(
  'a piece cannot be %j, and the source is closed',
  async (piece) => {
    let closed = false
    async function* source(): AsyncGenerator<never> {
      try {
        await Promise.resolve()
        yield piece as never
      } finally {
        closed = true
      }
    }

    await expect(readStreamToBytes(source())).rejects.toThrow(TypeError)
    expect(closed).toBe(true)
    expect(() => toContent([piece] as never)).toThrow(TypeError)
  },
)

test('a Readable with an encoding is refused when it gives text', async () => {
  const readable = Readable.from([Buffer.from('a')]).setEncoding('utf8')

  await expect(readStreamToBytes(readable)).rejects.toThrow(TypeError)
  expect(readable.destroyed).toBe(true)
})

test('stopping early closes the source', async () => {
  const readable = Readable.from([Buffer.from('a'), Buffer.from('b')])
  const content = toContent(readable) as StreamedContent
  for await (const _ of content.open()) break

  expect(readable.destroyed).toBe(true)
})

test('a signal ends the wait for a piece that never comes', async () => {
  const silent = new Readable({ read() {} })
  const stopping = new AbortController()
  const content = toContent(silent) as StreamedContent
  const iterator = content.open(stopping.signal)[Symbol.asyncIterator]()
  const next = iterator.next()

  stopping.abort()

  await expect(next).resolves.toEqual({ done: true, value: undefined })
  await expect(iterator.next()).resolves.toEqual({ done: true, value: undefined })
  expect(silent.destroyed).toBe(true)
})

test('a signal cancels a web stream whose piece never comes, and lets go of it', async () => {
  let cancelled = false
  const silent = new ReadableStream({ cancel: () => void (cancelled = true) })
  const stopping = new AbortController()
  const content = toContent(silent) as StreamedContent
  const iterator = content.open(stopping.signal)[Symbol.asyncIterator]()
  const next = iterator.next()

  stopping.abort()

  await expect(next).resolves.toEqual({ done: true, value: undefined })
  expect(cancelled).toBe(true)
  await expect.poll(() => silent.locked).toBe(false)
})

test('a web stream that was read to its end is let go of', async () => {
  const stream = ReadableStream.from([Buffer.from('ab')])

  expect(String(await readStreamToBytes(stream))).toBe('ab')
  expect(stream.locked).toBe(false)
})

test('the error of a source is passed on as it is', async () => {
  const error = new Error('no tape')
  // oxlint-disable-next-line require-yield -- it fails first
  async function* source(): AsyncGenerator<Uint8Array> {
    await Promise.resolve()
    throw error
  }

  await expect(readStreamToBytes(source())).rejects.toBe(error)
})

import { randomBytes } from 'node:crypto'
import * as zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { MemoryWatch } from '../../../../../test/support/memory-watch.ts'
import { RemoteProtocolError, StreamError } from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { ResponseBody } from '../../transport/response-body.ts'
import { createResponseStream } from '../../transport/response-stream.ts'
import { decodeBody, type DecodeOptions } from './decode-body.ts'

const MIB = 1_048_576
const MUCH_BYTES = 100 * MIB

function decode(source: ResponseBody, codings: string, options: DecodeOptions = {}): ResponseBody {
  return decodeBody(source, HeaderFields.from({ 'content-encoding': codings }), options)
}

/** Counts what is asked of it. */
class Wire {
  pulledBytes = 0
  closed = false
  readonly #pieces: Iterable<Buffer> | AsyncIterable<Buffer>

  constructor(pieces: Iterable<Buffer> | AsyncIterable<Buffer>) {
    this.#pieces = pieces
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of this.#pieces) {
        this.pulledBytes += piece.length
        yield piece
      }
    } finally {
      this.closed = true
    }
  }
}

/** Zeros in gzip, as they are made: ten mebibytes of them at a time. */
async function* gzippedZeros(bytes: number, ...outer: (() => zlib.Gzip)[]): AsyncGenerator<Buffer> {
  const zeros = Buffer.alloc(10 * MIB)
  const encoders = [zlib.createGzip({ level: 9 }), ...outer.map((create) => create())]
  const [first] = encoders as [zlib.Gzip]
  const last = encoders.reduce((before, after) => before.pipe(after))
  const feed = (left: number): void => {
    if (left <= 0) first.end()
    else first.write(zeros, () => feed(left - zeros.length))
  }
  feed(bytes)
  for await (const piece of last) yield piece as Buffer
}

/** Zeros in gzip, made beforehand: a member of a mebibyte, again and again. */
function* repeatedMember(bytes: number): Generator<Buffer> {
  const member = zlib.gzipSync(Buffer.alloc(MIB), { level: 9 })
  const piece = Buffer.concat(Array.from({ length: 32 }, () => member))
  for (let made = 0; made < bytes; made += 32 * MIB) yield piece
}

/** The most memory outside the heap that it holds until it fails, in bytes; 0 for what is little. */
async function peakOf(run: () => Promise<unknown>): Promise<number> {
  const watch = new MemoryWatch()
  const before = process.memoryUsage().arrayBuffers
  const timer = setInterval(() => {
    // What nobody holds any more is found by collecting garbage, which takes long.
    if (process.memoryUsage().arrayBuffers - before > MUCH_BYTES) watch.look()
  }, 5)
  try {
    await run()
  } finally {
    clearInterval(timer)
  }
  return watch.peakBytes
}

test('10 GB of zeros in gzip end soon when they are streamed', async () => {
  const wire = new Wire(repeatedMember(10_000 * MIB))
  let taken = 0
  const peakBytes = await peakOf(async () => {
    const reading = (async () => {
      const body = decode(createResponseStream(wire), 'gzip', { what: 'GET http://h/bomb' })
      for await (const piece of body) taken += piece.length
    })()
    await expect(reading).rejects.toThrow(RemoteProtocolError)
    await expect(reading).rejects.toThrow(
      /^Cannot decode the content of GET http:\/\/h\/bomb: \d+ bytes out of \d+, and not yet the end: maxRatio is 200$/,
    )
  })

  expect(taken).toBeLessThan(70 * MIB)
  await expect.poll(() => wire.closed).toBe(true)
  // Of ten megabytes.
  expect(wire.pulledBytes).toBeLessThan(500_000)
  expect(peakBytes).toBeLessThan(MUCH_BYTES)
})

test('10 GB of zeros in gzip end soon when they are taken whole', async () => {
  const wire = new Wire(repeatedMember(10_000 * MIB))
  const peakBytes = await peakOf(async () => {
    const body = decode(createResponseStream(wire), 'gzip')
    await expect(body.bytes(16 * MIB)).rejects.toThrow('more than 16777216 bytes')
  })

  await expect.poll(() => wire.closed).toBe(true)
  // Of ten megabytes.
  expect(wire.pulledBytes).toBeLessThan(500_000)
  expect(peakBytes).toBeLessThan(MUCH_BYTES)
})

test('a bomb that is one member ends soon too', async () => {
  const wire = new Wire(gzippedZeros(300 * MIB))
  const body = decode(createResponseStream(wire), 'gzip')

  await expect(body.pipe({ write: () => true })).rejects.toThrow(RemoteProtocolError)
  await expect.poll(() => wire.closed).toBe(true)
})

test('a bomb within a bomb ends soon', async () => {
  const wire = new Wire(gzippedZeros(300 * MIB, zlib.createGzip))
  const body = decode(createResponseStream(wire), 'gzip, gzip')

  await expect(body.pipe({ write: () => true })).rejects.toThrow(RemoteProtocolError)
})

test('a bomb that only the outer coding is ends soon', async () => {
  // The inner content is nothing but empty members, so nothing ever comes out of it.
  const empty = zlib.gzipSync('')
  const many = Buffer.concat(Array.from({ length: 52_000 }, () => empty))
  const outer = zlib.gzipSync(Buffer.concat(Array.from({ length: 100 }, () => many)))
  const body = decode(createResponseStream(new Wire([outer])), 'gzip, gzip')

  await expect(body.bytes()).rejects.toThrow(RemoteProtocolError)
})

test.each([
  ['gzip', zlib.gzipSync],
  [
    'br',
    (bytes: Buffer) =>
      zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }),
  ],
  ['zstd', zlib.zstdCompressSync],
] as const)('%s: what is short may have any ratio', async (coding, encode) => {
  const content = Buffer.alloc(20 * MIB)
  const body = decode(createResponseStream(encode(content)), coding)

  expect((await body.bytes()).equals(content)).toBe(true)
})

test.each([999, 1000])(
  'maxDecodedBytes of %i allows 1000 bytes or not',
  async (maxDecodedBytes) => {
    const wire = zlib.gzipSync(Buffer.alloc(1000))
    for (const source of [wire, new Wire([wire.subarray(0, 20), wire.subarray(20)])]) {
      const taken = decode(createResponseStream(source), 'gzip', { maxDecodedBytes }).bytes()
      if (maxDecodedBytes === 1000) expect((await taken).length).toBe(1000)
      else await expect(taken).rejects.toThrow('maxDecodedBytes is 999')
    }
  },
)

test('maxRatio can be lifted', async () => {
  const wire = new Wire(repeatedMember(96 * MIB))
  const body = decode(createResponseStream(wire), 'gzip', { maxRatio: Infinity })
  let taken = 0
  await body.pipe({ write: (bytes) => (taken += bytes.length) > 0 })

  expect(taken).toBe(96 * MIB)
})

test('a reader that is slow holds the source back', async () => {
  const wire = new Wire(repeatedMember(4000 * MIB))
  const body = decode(createResponseStream(wire), 'gzip', { maxRatio: Infinity })
  const iterator = body[Symbol.asyncIterator]()
  await iterator.next()
  // What is under way when the reader stops still comes.
  for (let before = -1; before !== wire.pulledBytes && before < 500_000;) {
    before = wire.pulledBytes
    await new Promise((resolve) => setTimeout(resolve, 100))
  }

  expect(wire.pulledBytes).toBeLessThan(500_000)
  await iterator.return?.()
  await expect.poll(() => wire.closed).toBe(true)
})

test('a sink that pauses gets everything in the end', async () => {
  const content = randomBytes(2 * MIB)
  const body = decode(createResponseStream(zlib.gzipSync(zlib.gzipSync(content))), 'gzip, gzip')
  const pieces: Buffer[] = []
  let flow = { resume: (): void => {} }
  await body.pipe({
    start: (one) => (flow = one),
    write: (bytes) => {
      pieces.push(Buffer.from(bytes))
      setTimeout(() => flow.resume(), 1)
      return false
    },
  })

  expect(Buffer.concat(pieces).equals(content)).toBe(true)
})

/** A body as a connection fills it, that records why it was given up. */
function createSource(reasons: Error[] = []): ResponseBody {
  const source: ResponseBody = new ResponseBody(
    {
      resume: () => {},
      abort: (reason) => {
        reasons.push(reason)
        source.fail(reason)
      },
    },
    undefined,
  )
  return source
}

test.each([100, 500_000])('memory of the source is free again at once: %i bytes', async (size) => {
  const content = randomBytes(size)
  const wire = zlib.gzipSync(content)
  const source = createSource()
  const taken = decode(source, 'gzip').bytes()
  const memory = Buffer.alloc(10_000)
  for (let at = 0; at < wire.length; at += memory.length) {
    const piece = memory.subarray(0, wire.copy(memory, 0, at))
    source.receive(piece)
    piece.fill(0)
  }
  source.complete(HeaderFields.empty)

  expect((await taken).equals(content)).toBe(true)
})

test('nothing is given after the content was given up, also of what is decoded', async () => {
  const body = decode(createResponseStream(zlib.gzipSync(Buffer.alloc(5 * MIB))), 'gzip')
  let flow = { resume: (): void => {} }
  let writes = 0
  const taken = body.pipe({
    start: (one) => (flow = one),
    write: () => {
      if (++writes === 2) body.cancel()
      else setTimeout(() => flow.resume(), 20)
      return false
    },
  })

  await expect(taken).rejects.toThrow(StreamError)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(writes).toBe(2)
})

test.each([1, 100_000])(
  'giving up ends the source, also while it brings nothing',
  async (count) => {
    const reasons: Error[] = []
    const source = createSource(reasons)
    const body = decode(source, 'gzip')
    const reason = new Error('enough')
    const taken = body.bytes()
    source.receive(zlib.gzipSync(randomBytes(count)).subarray(0, -1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    body.cancel(reason)
    body.cancel()

    await expect(taken).rejects.toBe(reason)
    expect(reasons).toEqual([reason])
  },
)

test('what a sink throws is the error, and ends the source', async () => {
  const wire = new Wire(repeatedMember(100 * MIB))
  const mistake = new StreamError('mine')
  const write = (): never => {
    throw mistake
  }

  await expect(decode(createResponseStream(wire), 'gzip').pipe({ write })).rejects.toBe(mistake)
  await expect.poll(() => wire.closed).toBe(true)

  const short = decode(createResponseStream(zlib.gzipSync('hello')), 'gzip')
  await expect(short.pipe({ write })).rejects.toBe(mistake)
})

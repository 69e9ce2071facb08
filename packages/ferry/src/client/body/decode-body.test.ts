import * as zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { RemoteProtocolError, StreamError } from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { ContentInit } from '../../transport/content.ts'
import type { ResponseBody } from '../../transport/response-body.ts'
import { createResponseStream } from '../../transport/response-stream.ts'
import { decodeBody } from './decode-body.ts'

const encodings: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  'x-gzip': (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  'raw deflate': (bytes) => zlib.deflateRawSync(bytes),
  'stored deflate': (bytes) => zlib.deflateRawSync(bytes, { level: 0 }),
  br: (bytes) => zlib.brotliCompressSync(bytes),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
}
const names = Object.keys(encodings)

/** The value of Content-Encoding; some kinds share one. */
function nameOf(kind: string): string {
  return kind.replace(/^\w+ /, '')
}

function encode(content: string | Uint8Array, ...kinds: string[]): Buffer {
  let bytes: Buffer = Buffer.from(content)
  for (const kind of kinds) bytes = encodings[kind]?.(bytes) as Buffer
  return bytes
}

function decode(wire: ContentInit | ResponseBody, ...kinds: string[]): ResponseBody {
  const source = createResponseStream(wire)
  const headers = HeaderFields.from({ 'Content-Encoding': kinds.map(nameOf).join(', ') })
  return decodeBody(source, headers, { what: 'GET http://h/x' })
}

/** Each piece in a turn of its own, so that nothing is decoded at once. */
async function* apart(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    yield piece
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function splitAt(bytes: Buffer, at: number): [Buffer, Buffer] {
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

const TEXT = 'Grüße an alle, die dies lesen. '.repeat(5)

test.each(names)('decodeBody() decodes %s, at once and in pieces at every split', async (kind) => {
  const wire = encode(TEXT, kind)

  for (let at = 0; at <= wire.length; at++) {
    const [first, second] = splitAt(wire, at)
    expect((await decode([first, second], kind).bytes()).toString(), `at once ${at}`).toBe(TEXT)
    expect((await decode(apart(first, second), kind).bytes()).toString(), `at ${at}`).toBe(TEXT)
  }
})

test.each(names)('decodeBody() decodes %s byte by byte', async (kind) => {
  const bytes = [...encode(TEXT, kind)].map((byte) => Buffer.of(byte))

  expect((await decode(apart(...bytes), kind).bytes()).toString()).toBe(TEXT)
})

test.each([
  ['deflate', 'gzip'],
  ['gzip', 'raw deflate'],
  ['br', 'zstd', 'gzip', 'deflate', 'br'],
  ['gzip', 'gzip'],
])('decodeBody() decodes several codings: %s, %s', async (...kinds) => {
  const wire = encode(TEXT, ...kinds)

  expect((await decode(wire, ...kinds).bytes()).toString()).toBe(TEXT)
  for (let at = 0; at <= wire.length; at += 7) {
    const body = decode(apart(...splitAt(wire, at)), ...kinds)
    expect((await body.bytes()).toString(), `at ${at}`).toBe(TEXT)
  }
})

test.each(names)('decodeBody() gives much content of %s however it is taken', async (kind) => {
  const content = Buffer.alloc(3_000_000)
  for (let at = 0; at < content.length; at += 3) content.writeUInt8((at * at) % 251, at)
  const wire = encode(content, kind)

  const iterated: Uint8Array[] = []
  for await (const piece of decode(wire, kind)) iterated.push(Uint8Array.from(piece))
  const piped: Buffer[] = []
  await decode(wire, kind).pipe({ write: (bytes) => piped.push(Buffer.from(bytes)) > 0 })

  expect((await decode(wire, kind).bytes()).equals(content)).toBe(true)
  expect(Buffer.concat(iterated).equals(content)).toBe(true)
  expect(Buffer.concat(piped).equals(content)).toBe(true)
})

test('decodeBody() gives the same body where there is nothing to decode', () => {
  const body = createResponseStream('hello')

  expect(decodeBody(body, HeaderFields.empty)).toBe(body)
  expect(decodeBody(body, HeaderFields.from({ 'content-encoding': 'identity' }))).toBe(body)
})

test.each([...names, 'compress', 'gzip, gzip, gzip, gzip, gzip, gzip'])(
  'decodeBody() gives no content of none in %s',
  async (kind) => {
    expect(await decode('', kind).bytes()).toEqual(Buffer.alloc(0))
    expect(await decode(apart(), kind).bytes()).toEqual(Buffer.alloc(0))
  },
)

test.each(names)('decodeBody() gives no content of the %s of none', async (kind) => {
  const wire = encode('', kind)

  expect((await decode(wire, kind).bytes()).length).toBe(0)
  expect((await decode(apart(wire), kind, kind).bytes()).length).toBe(0)
})

test.each(names)('decodeBody() refuses %s that is cut, wherever', async (kind) => {
  const wire = encode(TEXT, kind)
  const message = `Cannot decode the content of GET http://h/x: the ${nameOf(kind).replace('x-', '')} content`

  for (let at = 1; at < wire.length; at++) {
    const [cut] = splitAt(wire, at)
    for (const source of [cut, apart(cut)]) {
      const taken = decode(source, kind).bytes()
      await expect(taken, `at ${at}`).rejects.toThrow(RemoteProtocolError)
      await expect(taken, `at ${at}`).rejects.toThrow(message)
    }
  }
})

test.each(names)('decodeBody() refuses bytes behind the end of %s', async (kind) => {
  const wire = encode(TEXT, kind)

  for (const trailing of ['garbage', '\n', '\0', '\0\0\0\0', '\x1f', '\x1f\x8b', '(\xb5/\xfd']) {
    const more = Buffer.from(trailing, 'latin1')
    for (const source of [Buffer.concat([wire, more]), apart(wire, more)]) {
      const taken = decode(source, kind).bytes()
      await expect(taken, JSON.stringify(trailing)).rejects.toThrow(RemoteProtocolError)
    }
  }
})

test.each(['gzip', 'zstd'])(
  'decodeBody() takes several members of %s for one content',
  async (kind) => {
    const first = encode('first ', kind)
    const wire = Buffer.concat([first, encode('', kind), encode('second', kind)])

    for (let at = 0; at <= wire.length; at++) {
      for (const source of [splitAt(wire, at), apart(...splitAt(wire, at))]) {
        expect((await decode(source, kind).bytes()).toString(), `at ${at}`).toBe('first second')
      }
    }
    // node:zlib takes the first bytes of a frame of zstd for nothing.
    const unseen = kind === 'zstd' ? 3 : 0
    const second = first.length + encode('', kind).length
    for (let at = first.length + 1; at < wire.length; at++) {
      if (at <= first.length + unseen || (at >= second && at <= second + unseen)) continue
      const [cut] = splitAt(wire, at)
      for (const source of [cut, apart(cut)]) {
        await expect(decode(source, kind).bytes(), `cut ${at}`).rejects.toThrow(RemoteProtocolError)
      }
    }
  },
)

test.each(['gzip', 'deflate', 'zstd'])('decodeBody() finds a changed byte of %s', async (kind) => {
  const params = { [zlib.constants.ZSTD_c_checksumFlag]: 1 }
  const wire = kind === 'zstd' ? zlib.zstdCompressSync(TEXT, { params }) : encode(TEXT, kind)
  // In the middle: the header of gzip has fields that mean nothing.
  for (let at = Math.floor(wire.length / 2); at < wire.length; at++) {
    const changed = Buffer.from(wire)
    changed.writeUInt8((changed[at] as number) ^ 0x55, at)
    for (const source of [changed, apart(changed)]) {
      await expect(decode(source, kind).bytes(), `at ${at}`).rejects.toThrow(RemoteProtocolError)
    }
  }
})

test('decodeBody() keeps the reason that zlib gives', async () => {
  const taken = decode('<html>', 'gzip').bytes()

  await expect(taken).rejects.toMatchObject({
    message:
      'Cannot decode the content of GET http://h/x: the gzip content is corrupt: incorrect header check',
    cause: { code: 'Z_DATA_ERROR' },
  })
})

test('decodeBody() refuses an unknown coding when there is content, and ends the source', async () => {
  let closed = false
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield await Promise.resolve(Buffer.from('x'))
    } finally {
      closed = true
    }
  }

  await expect(decode(pieces(), 'gzip', 'lzw').bytes()).rejects.toThrow(
    'Cannot decode the content of GET http://h/x: content coding "lzw" is unknown',
  )
  expect(closed).toBe(true)
})

test('decodeBody() refuses windows of zstd above 8 MiB before anything is decoded', async () => {
  const params = { [zlib.constants.ZSTD_c_windowLog]: 24 }
  const encoder = zlib.createZstdCompress({ params })
  encoder.write('x'.repeat(1000))
  encoder.end()
  const wire = Buffer.concat(await encoder.toArray())

  for (const source of [wire, apart(wire)]) {
    await expect(decode(source, 'zstd').bytes()).rejects.toThrow(RemoteProtocolError)
  }
})

test('decodeBody() gives what has come before the rest is here', async () => {
  const encoder = zlib.createGzip()
  let made: Buffer[] = []
  encoder.on('data', (bytes: Buffer) => made.push(bytes))
  const flushed = async (text: string): Promise<Buffer> => {
    made = []
    encoder.write(text)
    await new Promise<void>((resolve) => encoder.flush(() => resolve()))
    return Buffer.concat(made)
  }
  let go = (): void => {}
  const isTold = new Promise<void>((resolve) => (go = resolve))
  async function* wire(): AsyncGenerator<Uint8Array> {
    yield await flushed('first')
    await isTold
    yield await flushed('second')
    made = []
    encoder.end()
    await new Promise((resolve) => encoder.once('end', resolve))
    yield Buffer.concat(made)
  }

  const texts: string[] = []
  for await (const piece of decode(wire(), 'gzip')) {
    texts.push(Buffer.from(piece).toString())
    go()
  }

  expect(texts).toEqual(['first', 'second'])
})

test('decodeBody() takes nothing from the source before somebody takes the content', async () => {
  const source = createResponseStream(apart(encode(TEXT, 'gzip')))
  const body = decodeBody(source, HeaderFields.from({ 'content-encoding': 'gzip' }))
  await new Promise((resolve) => setImmediate(resolve))

  expect(source.used).toBe(false)
  expect(body.length).toBeUndefined()
  expect((await body.bytes()).toString()).toBe(TEXT)
})

test('decodeBody() gives up the source when it is given up before it is taken', async () => {
  const source = createResponseStream(apart(encode(TEXT, 'gzip')))
  const body = decodeBody(source, HeaderFields.from({ 'content-encoding': 'gzip' }))
  const reason = new Error('enough')
  body.cancel(reason)
  body.cancel()

  await expect(body.bytes()).rejects.toBe(reason)
  await expect(source.bytes()).rejects.toBe(reason)
})

test('decodeBody() keeps trailers', async () => {
  const headers = HeaderFields.from({ 'content-encoding': 'gzip' })
  for (const wire of [encode(TEXT, 'gzip'), apart(encode(TEXT, 'gzip'))]) {
    const body = decodeBody(createResponseStream(wire, { trailers: { 'X-Sum': '1' } }), headers)
    expect(body.trailers.size).toBe(0)
    await body.bytes()
    expect(body.trailers.get('x-sum')).toBe('1')
  }
})

test('decodeBody() passes on the error of the source', async () => {
  const lost = new StreamError('lost')
  async function* wire(): AsyncGenerator<Uint8Array> {
    yield encode(TEXT, 'gzip').subarray(0, 50)
    await new Promise((resolve) => setImmediate(resolve))
    throw lost
  }

  await expect(decode(wire(), 'gzip').bytes()).rejects.toBe(lost)
})

test('decodeBody() fails where its source was taken already', async () => {
  const source = createResponseStream(encode(TEXT, 'gzip'))
  const body = decodeBody(source, HeaderFields.from({ 'content-encoding': 'gzip' }))
  await source.bytes()

  await expect(body.bytes()).rejects.toThrow(TypeError)
})

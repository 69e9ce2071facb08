import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { type Span, SpanSet } from '../transfer/span.ts'
import type { UploadBlob } from './blob-store.ts'
import type { ByteSink, ByteSource } from './byte-source.ts'
import { UploadWriter, type WriterOptions } from './upload-writer.ts'

const KIB = 1024

/** A source that the test pushes, and that notes what it is told. */
class TestSource implements ByteSource {
  givesChunksAway = false
  readonly calls: string[] = []
  sink!: ByteSink

  start(sink: ByteSink): void {
    this.sink = sink
  }

  pause(): void {
    this.calls.push('pause')
  }

  resume(): void {
    this.calls.push('resume')
  }

  cancel(): void {
    this.calls.push('cancel')
  }
}

/** A blob whose writes end when the test says so. */
class SlowBlob implements UploadBlob {
  readonly writes: { readonly bytes: number; readonly chunks: number; readonly offset: number }[] =
    []
  readonly content: Buffer = Buffer.alloc(16_384 * KIB)
  readonly #waiting: PromiseWithResolvers<void>[] = []

  write(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    const bytes = Buffer.concat(chunks)
    bytes.copy(this.content, offset)
    this.writes.push({ bytes: bytes.length, chunks: chunks.length, offset })
    const waiting = Promise.withResolvers<void>()
    this.#waiting.push(waiting)
    return waiting.promise
  }

  async release(error?: Error): Promise<void> {
    const waiting = this.#waiting.shift()
    if (error === undefined) waiting?.resolve()
    else waiting?.reject(error)
    await new Promise(setImmediate)
  }

  async releaseAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.release()
  }

  read(offset: number, length: number): Promise<Buffer> {
    return Promise.resolve(this.content.subarray(offset, offset + length))
  }

  sync(): Promise<void> {
    return Promise.resolve()
  }

  truncate(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function createWriter(options: Partial<WriterOptions> = {}): {
  source: TestSource
  blob: SlowBlob
  writer: UploadWriter
  written: Span[]
  run: Promise<Error | undefined>
} {
  const source = new TestSource()
  const blob = new SlowBlob()
  const written: Span[] = []
  const writer = new UploadWriter(source, {
    id: 'id',
    offset: 0,
    blob,
    committed: new SpanSet(),
    digest: undefined,
    losses: () => 0,
    admit: () => {},
    onReceived: () => {},
    onStored: () => {},
    onWritten: (span) => written.push(span),
    ...options,
  })
  return { source, blob, writer, written, run: writer.run() }
}

test('UploadWriter gathers chunks to blocks, and writes one at a time', async () => {
  const { source, blob, written } = createWriter({ offset: 100 })

  for (let chunk = 0; chunk < 24; chunk++) source.sink.onChunk(Buffer.alloc(64 * KIB))
  expect(blob.writes).toEqual([{ bytes: 256 * KIB, chunks: 4, offset: 100 }])
  await blob.release()

  expect(blob.writes[1]).toEqual({ bytes: 1024 * KIB, chunks: 16, offset: 100 + 256 * KIB })
  expect(written).toEqual([{ start: 100, end: 100 + 256 * KIB }])
})

test('UploadWriter does not hold on to many small chunks', async () => {
  const { source, blob } = createWriter()

  for (let chunk = 0; chunk < 1100; chunk++) source.sink.onChunk(Buffer.alloc(1))
  await blob.releaseAll()

  expect(blob.writes.map(({ chunks }) => chunks)).toEqual([512, 512])
})

test('UploadWriter holds the source back while the disk is slow', async () => {
  const { source, blob, writer } = createWriter()

  for (let chunk = 0; chunk < 64; chunk++) source.sink.onChunk(Buffer.alloc(64 * KIB))
  expect(source.calls).toEqual([])
  source.sink.onChunk(Buffer.alloc(64 * KIB))
  expect([source.calls, writer.isHeldBack]).toEqual([['pause'], true])
  await blob.releaseAll()

  expect([source.calls, writer.isHeldBack]).toEqual([['pause', 'resume'], false])
})

test('UploadWriter writes every byte, whatever the chunks', async () => {
  const { source, blob, writer, run } = createWriter()
  const content = randomBytes(3000 * KIB)
  let at = 0
  for (let size = 1; at < content.length; size = (size * 7 + 3) % 300_000) {
    source.sink.onChunk(content.subarray(at, at + size))
    at += size
    await blob.release()
  }
  source.sink.onEnd()

  expect(await run).toBeUndefined()
  const finished = writer.finish()
  await blob.releaseAll()
  await finished
  expect(blob.content.subarray(0, content.length).equals(content)).toBe(true)
})

test('UploadWriter stops at once, writes what had come, and takes nothing more', async () => {
  const { source, blob, writer, written, run } = createWriter()
  const reason = new Error('enough')
  source.sink.onChunk(Buffer.from('abc'))

  writer.stop(reason)
  source.sink.onChunk(Buffer.from('def'))
  source.sink.onEnd()

  expect(await run).toBe(reason)
  expect(source.calls).toEqual(['cancel'])
  const flushed = writer.flush()
  await blob.releaseAll()
  await flushed
  expect(written).toEqual([{ start: 0, end: 3 }])
})

test('UploadWriter that is stopped before it runs never starts its source', async () => {
  const source = new TestSource()
  const reason = new Error('late')
  const { blob } = createWriter()
  const writer = new UploadWriter(source, {
    ...{ id: 'id', offset: 0, blob, committed: new SpanSet(), digest: undefined },
    ...{
      losses: () => 0,
      admit: () => {},
      onReceived: () => {},
      onStored: () => {},
      onWritten: () => {},
    },
  })

  writer.stop(reason)

  expect(await writer.run()).toBe(reason)
  expect(source.sink).toBeUndefined()
})

test('UploadWriter tells of a failed write, and writes nothing behind it', async () => {
  const { source, blob, writer, written, run } = createWriter()
  const failure = new Error('no disk')
  for (let chunk = 0; chunk < 8; chunk++) source.sink.onChunk(Buffer.alloc(64 * KIB))

  await blob.release(failure)

  expect(await run).toBe(failure)
  expect([blob.writes.length, written, source.calls]).toEqual([1, [], ['cancel']])
  await writer.flush()
  await expect(writer.finish()).rejects.toBe(failure)
})

test('UploadWriter writes around what is acknowledged, and compares that', async () => {
  const committed = new SpanSet([
    { start: 2, end: 4 },
    { start: 6, end: 8 },
  ])
  const { source, blob, writer, written } = createWriter({ committed })
  blob.content.write('..cd..gh')
  source.sink.onChunk(Buffer.from('abcdefghi'))
  source.sink.onEnd()

  const finished = writer.finish()
  await new Promise(setImmediate)
  await blob.releaseAll()
  await finished

  expect(blob.writes.map(({ offset, bytes }) => [offset, bytes])).toEqual([
    [0, 2],
    [4, 2],
    [8, 1],
  ])
  expect(blob.content.subarray(0, 9).toString()).toBe('abcdefghi')
  expect(written).toEqual([{ start: 0, end: 9 }])
})

test('UploadWriter counts nothing as written before its digest is right', async () => {
  const hex = createHash('md5').update('abc').digest('hex')
  const right = createWriter({ digest: { algorithm: 'md5', hex: hex.toUpperCase() } })
  const wrong = createWriter({ digest: { algorithm: 'md5', hex } })
  right.source.sink.onChunk(Buffer.from('abc'))
  wrong.source.sink.onChunk(Buffer.from('abd'))

  for (const { source } of [right, wrong]) source.sink.onEnd()
  const outcomes = Promise.allSettled([right, wrong].map(({ writer }) => writer.finish()))
  for (const { blob } of [right, wrong]) await blob.releaseAll()

  expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  expect([right.written, wrong.written]).toEqual([[{ start: 0, end: 3 }], []])
})

test.each([
  ['frees chunks that were given away, once they are written', true],
  ['leaves chunks alone that others may have', false],
])('UploadWriter %s', async (_, givesChunksAway) => {
  const { source, blob, writer } = createWriter()
  source.givesChunksAway = givesChunksAway
  const [first, second] = [new Uint8Array(256 * KIB).fill(1), new Uint8Array(256 * KIB).fill(2)]
  // Beside other bytes in its memory.
  const shared = new Uint8Array(20).fill(3)
  for (const chunk of [first, second, shared.subarray(5, 10)]) source.sink.onChunk(chunk)
  source.sink.onEnd()
  const finished = writer.finish()
  expect(first.length).toBe(256 * KIB)
  await blob.releaseAll()
  await finished

  const isFreed = (chunk: Uint8Array): boolean => chunk.buffer.byteLength === 0
  expect([first, second].map(isFreed)).toEqual([givesChunksAway, givesChunksAway])
  expect(shared).toEqual(new Uint8Array(20).fill(3))
  expect(blob.content.subarray(0, 512 * KIB + 5)).toEqual(
    Buffer.concat([Buffer.alloc(256 * KIB, 1), Buffer.alloc(256 * KIB, 2), Buffer.alloc(5, 3)]),
  )
})

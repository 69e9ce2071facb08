import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PartFile } from './part-file.ts'
import { BlockPool, type SegmentEvents, SegmentWriter } from './segment-writer.ts'

const BLOCK = 1_048_576

interface PendingWrite {
  readonly bytes: Buffer
  readonly offset: number
  /** What the bytes were when they were handed over. */
  readonly copy: Buffer
  readonly callback: (error: Error | undefined) => void
}

/** A file in memory whose writes end when the test says so; it reads their memory only then. */
class FakePartFile {
  readonly path = 'fake.part'
  readonly content: Buffer
  readonly pending: PendingWrite[] = []
  /** Ends each write at once, though not within the call. */
  auto = true

  constructor(size = 0) {
    this.content = Buffer.alloc(size)
  }

  write(bytes: Buffer, offset: number, callback: (error: Error | undefined) => void): void {
    this.pending.push({ bytes, offset, copy: Buffer.from(bytes), callback })
    if (this.auto) queueMicrotask(() => this.finish())
  }

  /** Ends one of the pending writes. */
  finish(position = 0, error?: Error): void {
    const [write] = this.pending.splice(position, 1)
    if (write === undefined) return
    if (error === undefined) {
      expect(write.bytes.equals(write.copy), 'memory was changed while a write read it').toBe(true)
      write.bytes.copy(this.content, write.offset)
    }
    write.callback(error)
  }
}

interface Fixture {
  readonly writer: SegmentWriter
  readonly written: [number, number][]
  readonly flow: { resumes: number }
  satisfied: number
  received: number
}

function createWriter(
  file: FakePartFile | PartFile,
  options: Partial<ConstructorParameters<typeof SegmentWriter>[3]> & {
    pool?: BlockPool
    pauseMs?: () => number
  },
): Fixture {
  const { pool = new BlockPool(), pauseMs = () => 0, ...rest } = options
  const fixture = {
    written: [] as [number, number][],
    flow: { resumes: 0 },
    satisfied: 0,
    received: 0,
  }
  const events: SegmentEvents = {
    onWritten: (start, end) => fixture.written.push([start, end]),
    onReceived: (bytes) => {
      fixture.received += bytes
      return pauseMs()
    },
    onSatisfied: () => fixture.satisfied++,
  }
  const settings = { position: 0, cursor: 0, end: Number.POSITIVE_INFINITY, ...rest }
  const writer = new SegmentWriter(file as PartFile, pool, events, settings)
  writer.start({ resume: () => fixture.flow.resumes++ })
  return Object.assign(fixture, { writer })
}

/** Gives content as a socket does: in the offered memory where there is some, else in its own. */
function deliver(
  writer: SegmentWriter,
  content: Buffer,
  { inPlace }: { inPlace: boolean },
): boolean {
  let flowing = true
  for (let at = 0; at < content.length;) {
    const window = inPlace ? writer.buffer() : undefined
    const length = Math.min(content.length - at, window?.length ?? content.length)
    if (window === undefined) {
      flowing = writer.write(Buffer.from(content.subarray(at, at + length)))
    } else {
      content.copy(window, 0, at, at + length)
      flowing = writer.write(window.subarray(0, length))
    }
    at += length
  }
  return flowing
}

async function useTempFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-writer-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test.each([true, false])(
  'SegmentWriter puts content where it belongs in a real file (in place: %s)',
  async (inPlace) => {
    await useTempFolder(async (folder) => {
      const content = randomBytes(3 * BLOCK + 12_345)
      const file = await PartFile.open(join(folder, 'a.part'))
      const { writer, written } = createWriter(file, {
        position: 100,
        cursor: 100,
        end: 100 + content.length,
      })

      for (let at = 0; at < content.length; at += 70_001) {
        deliver(writer, content.subarray(at, at + 70_001), { inPlace })
      }
      await writer.close()
      await file.close()

      const got = await readFile(join(folder, 'a.part'))
      expect(got.length).toBe(100 + content.length)
      expect(got.subarray(0, 100).equals(Buffer.alloc(100))).toBe(true)
      expect(got.subarray(100).equals(content)).toBe(true)
      expect(written.reduce((sum, [start, end]) => sum + end - start, 0)).toBe(content.length)
      expect(writer.cursor).toBe(100 + content.length)
    })
  },
)

test('SegmentWriter drops what comes before its cursor, and offers no memory for it', async () => {
  const file = new FakePartFile(20)
  const fixture = createWriter(file, { position: 0, cursor: 10, end: 20 })
  const { writer } = fixture

  expect(writer.buffer()).toBeUndefined()
  writer.write(Buffer.from('0123456'))
  expect(writer.cursor).toBe(10)
  writer.write(Buffer.from('789abcd'))
  writer.write(Buffer.from('efghij'))
  await writer.close()

  expect(file.content.subarray(10).toString()).toBe('abcdefghij')
  expect(file.content.subarray(0, 10).equals(Buffer.alloc(10))).toBe(true)
  expect(fixture.received).toBe(10)
})

test('SegmentWriter drops what comes behind its end, and says that it has enough', async () => {
  const file = new FakePartFile(10)
  const fixture = createWriter(file, { end: 5 })

  fixture.writer.write(Buffer.from('01234567'))
  fixture.writer.write(Buffer.from('89'))
  await fixture.writer.close()

  expect(file.content.toString()).toBe('01234\0\0\0\0\0')
  expect(fixture.received).toBe(5)
  expect(fixture.satisfied).toBeGreaterThan(0)
  expect(fixture.writer.cursor).toBe(5)
})

test('SegmentWriter wants fewer bytes after setEnd(), never fewer than have come', async () => {
  const file = new FakePartFile(10)
  const { writer } = createWriter(file, { end: 10 })
  writer.write(Buffer.from('0123'))

  writer.setEnd(6)
  writer.write(Buffer.from('4567'))
  writer.setEnd(2)
  await writer.close()

  expect(writer.cursor).toBe(6)
  expect(file.content.toString()).toBe('012345\0\0\0\0')
})

test('SegmentWriter wants more bytes after setEnd() while none of them has passed', async () => {
  const file = new FakePartFile(10)
  const { writer } = createWriter(file, { end: 4 })
  writer.write(Buffer.from('0123'))

  writer.setEnd(8)
  writer.write(Buffer.from('456789'))
  await writer.close()

  expect(file.content.toString()).toBe('01234567\0\0')
})

test('SegmentWriter never writes later bytes at the place of those that it has dropped', async () => {
  const file = new FakePartFile(10)
  const { writer } = createWriter(file, { end: 4 })
  writer.write(Buffer.from('012345'))

  writer.setEnd(10)
  writer.write(Buffer.from('6789'))
  await writer.close()

  expect(file.content.toString()).toBe('0123\0\0\0\0\0\0')
  expect(writer.cursor).toBe(4)
})

test('SegmentWriter refuses content behind the end that the response has announced', () => {
  const file = new FakePartFile(10)
  const { writer } = createWriter(file, { end: 10, responseEnd: 5 })

  writer.write(Buffer.from('01234'))

  expect(() => writer.write(Buffer.from('5'))).toThrow(
    expect.objectContaining({ code: 'range-mismatch' }),
  )
  expect(writer.cursor).toBe(5)
})

test('SegmentWriter takes content that shares its memory but not its place, as chunked content does', async () => {
  const file = new FakePartFile(12)
  const { writer } = createWriter(file, {})
  const window = writer.buffer() as Buffer
  window.write('5\r\n01234\r\n7\r\n56789ab\r\n', 'latin1')

  writer.write(window.subarray(3, 8))
  writer.write(window.subarray(13, 20))
  await writer.close()

  expect(file.content.toString()).toBe('0123456789ab')
})

test('SegmentWriter pauses when two writes are under way, and goes on when one has ended', async () => {
  const file = new FakePartFile(4 * BLOCK)
  file.auto = false
  const { writer, flow } = createWriter(file, {})

  expect(deliver(writer, Buffer.alloc(BLOCK, 1), { inPlace: true })).toBe(true)
  expect(deliver(writer, Buffer.alloc(BLOCK, 2), { inPlace: true })).toBe(false)
  expect(flow.resumes).toBe(0)
  file.finish()

  expect(flow.resumes).toBe(1)
  file.auto = true
  file.finish()
  await writer.close()
})

test('SegmentWriter pauses for the rate limit and goes on by itself', async () => {
  const file = new FakePartFile(10)
  const pauses = [30, 0]
  const { writer, flow } = createWriter(file, { pauseMs: () => pauses.shift() ?? 0 })

  expect(writer.write(Buffer.from('0'))).toBe(false)
  expect(flow.resumes).toBe(0)
  await new Promise((resolve) => setTimeout(resolve, 60))

  expect(flow.resumes).toBe(1)
  expect(writer.write(Buffer.from('1'))).toBe(true)
  await writer.close()
})

test('SegmentWriter pauses as long as the latest content asks for', async () => {
  const file = new FakePartFile(10)
  const pauses = [10, 80]
  const { writer, flow } = createWriter(file, { pauseMs: () => pauses.shift() ?? 0 })
  writer.write(Buffer.from('0'))
  writer.write(Buffer.from('1'))

  await new Promise((resolve) => setTimeout(resolve, 40))
  expect(flow.resumes).toBe(0)
  await new Promise((resolve) => setTimeout(resolve, 80))

  expect(flow.resumes).toBe(1)
  await writer.close()
})

test('SegmentWriter.close() ends the pause of the rate limit', async () => {
  const { writer, flow } = createWriter(new FakePartFile(10), { pauseMs: () => 20 })
  writer.write(Buffer.from('0'))

  await writer.close()
  await new Promise((resolve) => setTimeout(resolve, 50))

  expect(flow.resumes).toBe(0)
})

test('SegmentWriter keeps windows to the size asked for', () => {
  const { writer } = createWriter(new FakePartFile(), { maxWindowBytes: 4096 })

  expect(writer.buffer()?.length).toBe(4096)
})

test('SegmentWriter surfaces a failed write: in write(), flush() and close()', async () => {
  const file = new FakePartFile(10)
  file.auto = false
  const { writer, written } = createWriter(file, {})
  const full = new Error('disk full')
  writer.write(Buffer.from('0123'))

  const flushed = writer.flush()
  file.finish(0, full)

  await expect(flushed).rejects.toBe(full)
  expect(() => writer.write(Buffer.from('4'))).toThrow(full)
  await expect(writer.close()).rejects.toBe(full)
  expect(written).toEqual([])
})

test('SegmentWriter.close() rejects when the last write fails', async () => {
  const file = new FakePartFile(10)
  file.auto = false
  const { writer } = createWriter(file, { end: 4 })
  const full = new Error('disk full')
  writer.write(Buffer.from('0123'))

  const closed = writer.close()
  file.finish(0, full)

  await expect(closed).rejects.toBe(full)
})

test('SegmentWriter.flush() waits for what has come, not for what comes meanwhile', async () => {
  const file = new FakePartFile(4 * BLOCK)
  file.auto = false
  const { writer, written } = createWriter(file, {})
  deliver(writer, Buffer.alloc(BLOCK, 1), { inPlace: true })
  let flushed = false
  const flushing = writer.flush().then(() => (flushed = true))

  // A slow disk: whenever a write ends another has begun already.
  deliver(writer, Buffer.alloc(BLOCK, 2), { inPlace: true })
  file.finish()
  await new Promise((resolve) => setImmediate(resolve))

  expect(flushed).toBe(true)
  expect(written).toEqual([[0, BLOCK]])
  file.auto = true
  file.finish()
  await flushing
  await writer.close()
})

test('SegmentWriter.flush() is not ended by a later write that overtakes', async () => {
  const file = new FakePartFile(4 * BLOCK)
  file.auto = false
  const { writer } = createWriter(file, {})
  deliver(writer, Buffer.alloc(BLOCK, 1), { inPlace: true })
  let flushed = false
  const flushing = writer.flush().then(() => (flushed = true))
  deliver(writer, Buffer.alloc(BLOCK, 2), { inPlace: true })

  file.finish(1)
  await new Promise((resolve) => setImmediate(resolve))
  expect(flushed).toBe(false)

  file.finish(0)
  await flushing
  await writer.close()
})

test('BlockPool never gives memory out while a write reads it', () => {
  const pool = new BlockPool()
  const block = pool.take()
  block.writes = 1
  block.retired = true
  pool.reclaim(block)

  expect(pool.take().memory).not.toBe(block.memory)

  block.writes = 0
  pool.reclaim(block)
  expect(pool.take().memory).toBe(block.memory)
})

// What happens to two writers that share a pool, in any order.
type Step =
  | {
      readonly type: 'deliver'
      readonly who: 0 | 1
      readonly bytes: number
      readonly inPlace: boolean
    }
  | { readonly type: 'flush'; readonly who: 0 | 1 }
  | { readonly type: 'finish'; readonly position: number }
  | { readonly type: 'reopen'; readonly who: 0 | 1 }

const who = fc.constantFrom(0 as const, 1 as const)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('deliver' as const),
      who,
      bytes: fc.oneof(
        fc.integer({ min: 1, max: 50_000 }),
        fc.integer({ min: BLOCK - 20_000, max: BLOCK }),
      ),
      inPlace: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('flush' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('finish' as const), position: fc.nat(3) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const), who }) },
)

const SHARE = 8 * BLOCK
const CONTENT = randomBytes(2 * SHARE)

test('SegmentWriters that share a pool write the right bytes, whatever order writes end in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const file = new FakePartFile(CONTENT.length)
      file.auto = false
      const pool = new BlockPool()
      const open = (at: number): Fixture => createWriter(file, { pool, position: at, cursor: at })
      const fixtures = [open(0), open(SHARE)]
      const closing: Promise<void>[] = []
      const flushing: Promise<void>[] = []
      for (const one of steps) {
        if (one.type === 'finish') {
          if (file.pending.length > 0) file.finish(one.position % file.pending.length)
          continue
        }
        const fixture = fixtures[one.who] as Fixture
        const { writer } = fixture
        if (one.type === 'flush') flushing.push(writer.flush())
        if (one.type === 'reopen') {
          closing.push(writer.close())
          fixtures[one.who] = open(writer.cursor)
        }
        if (one.type === 'deliver') {
          const end = Math.min(writer.cursor + one.bytes, SHARE * (one.who + 1))
          deliver(writer, CONTENT.subarray(writer.cursor, end), one)
        }
        await Promise.resolve()
      }
      closing.push(...fixtures.map(({ writer }) => writer.close()))
      while (file.pending.length > 0) file.finish(file.pending.length - 1)
      await Promise.all([...closing, ...flushing])

      for (const [index, { writer }] of fixtures.entries()) {
        const start = index * SHARE
        const got = file.content.subarray(start, writer.cursor)
        expect(got.equals(CONTENT.subarray(start, writer.cursor))).toBe(true)
      }
    }),
    { numRuns: 60 },
  )
})

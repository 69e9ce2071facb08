/** What every outbox must do. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { digestOf, TempDir } from '../../../../test/support/temp-dir.ts'
import { createMemoryOutbox } from './memory-outbox.ts'
import type { NewItem, Outbox, OutboxLease } from './outbox.ts'
import { openSqliteOutbox } from './sqlite-outbox.ts'

/** A clock that both outboxes take: their leases end when the test says so. */
class TestTime {
  wallMs = 1_000_000_000_000
  uptime = 5_000

  readonly now = (): number => this.wallMs
  readonly uptimeMs = (): number => this.uptime

  pass(ms: number): void {
    this.wallMs += ms
    this.uptime += ms
  }
}

type Create = (time?: TestTime) => Outbox | Promise<Outbox>

describe('in memory', () => {
  describeOutbox((time) => createMemoryOutbox(time))
})

describe('in a file', () => {
  describeOutbox(async (time) => {
    const folder = await TempDir.create()
    const outbox = await openSqliteOutbox({ path: folder.join('outbox.db'), ...time })
    const close = outbox.close.bind(outbox)
    return Object.assign(outbox, {
      [Symbol.asyncDispose]: async () => {
        await close()
        await folder[Symbol.asyncDispose]()
      },
    })
  })
})

function describeOutbox(create: Create): void {
  describe('adding', () => {
    test('an item is kept as it was given, with digests of the whole and of each part', async () => {
      await using outbox = await create(new TestTime())
      const bytes = randomBytes(2500)
      const given = { name: 'ä/b.bin', type: 'text/x', metadata: { to: 'ü' } }

      const [item] = await outbox.add([{ ...given, content: stored([bytes], 1000) }])

      expect(item).toEqual({
        ...given,
        id: expect.stringMatching(/^[0-9a-f]{8}-/) as string,
        size: 2500,
        addedAt: 1_000_000_000_000,
        content: { mode: 'stored', partBytes: 1000, keptFrom: 0, sha256: digestOf(bytes) },
        note: undefined,
        leasedUntil: undefined,
      })
      expect(await outbox.list()).toEqual([item])
      expect(await outbox.get(item?.id ?? '')).toEqual(item)
      await using lease = await leaseOf(outbox, item?.id)
      expect(await readParts(lease)).toMatchObject([
        { offset: 0, bytes: bytes.subarray(0, 1000), sha256: digestOf(bytes.subarray(0, 1000)) },
        {
          offset: 1000,
          bytes: bytes.subarray(1000, 2000),
          sha256: digestOf(bytes.subarray(1000, 2000)),
        },
        { offset: 2000, bytes: bytes.subarray(2000), sha256: digestOf(bytes.subarray(2000)) },
      ])
    })

    test('content is cut into parts of the same size and a rest, however it comes', async () => {
      await using outbox = await create()
      for (const [size, parts] of [
        [0, 0],
        [1, 1],
        [9, 1],
        [10, 1],
        [11, 2],
        [30, 3],
        [31, 4],
      ] as const) {
        const bytes = randomBytes(size)
        const single = [...bytes].map((byte) => Uint8Array.of(byte))
        const empty = new Uint8Array(0)

        const items = await outbox.add(
          [[bytes], single, reusing(bytes), [empty, bytes, empty]].map((pieces, at) => ({
            name: String(at),
            content: stored(pieces, 10),
          })),
        )

        expect(items.map((item) => item.size)).toEqual([size, size, size, size])
        for (const { id } of items) {
          await using lease = await leaseOf(outbox, id)
          const kept = await readParts(lease)
          expect(kept.length).toBe(parts)
          expect(Buffer.concat(kept.map((part) => part.bytes)).equals(bytes)).toBe(true)
        }
      }
    })

    test('items come in the order in which their adding ended', async () => {
      await using outbox = await create()
      const gate = Promise.withResolvers<void>()
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('slow')
        await gate.promise
      }

      const first = outbox.add([{ name: 'slow', content: stored(slow()) }])
      await outbox.add([newItem('a'), newItem('b')])
      expect(await names(outbox)).toEqual(['a', 'b'])
      gate.resolve()
      await first

      expect(await names(outbox)).toEqual(['a', 'b', 'slow'])
    })

    test('many items are added together, also more than go at a time', async () => {
      await using outbox = await create()
      const expected = Array.from({ length: 600 }, (_, at) => `item ${at}`)

      const items = await outbox.add(expected.map((name) => newItem(name)))

      expect(items.map(({ name }) => name)).toEqual(expected)
      expect(await names(outbox)).toEqual(expected)
      expect(new Set(items.map(({ id }) => id)).size).toBe(600)
      await using lease = await leaseOf(outbox, items[599]?.id)
      expect(await readText(lease)).toBe('content of item 599')
    })

    test('what fails to come is not added, nor what came before it in the same call', async () => {
      await using outbox = await create()
      const failure = new Error('the stream broke')
      // oxlint-disable-next-line typescript/require-await -- a stream
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(2500)
        throw failure
      }

      const added = outbox.add([newItem('a'), { name: 'b', content: stored(broken(), 1000) }])

      await expect(added).rejects.toBe(failure)
      expect(await outbox.list()).toEqual([])
      expect((await outbox.add([newItem('c')])).length).toBe(1)
      expect(await names(outbox)).toEqual(['c'])
    })

    test('an abort ends the adding while a piece is waited for, and the stream is told', async () => {
      await using outbox = await create()
      const abort = new AbortController()
      const reason = new Error('enough')
      const waiting = Promise.withResolvers<void>()
      const cancelled = Promise.withResolvers<void>()
      const stream = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(Buffer.from('x')),
        pull: () => waiting.resolve(),
        cancel: () => cancelled.resolve(),
      })

      const added = outbox.add([newItem('a'), { name: 'b', content: stored(stream) }], {
        signal: abort.signal,
      })
      const refused = expect(added).rejects.toBe(reason)
      await waiting.promise
      abort.abort(reason)

      await refused
      await cancelled.promise
      expect(await outbox.list()).toEqual([])
    })

    test('an abort before the beginning adds nothing', async () => {
      await using outbox = await create()
      const reason = new Error('never')

      await expect(outbox.add([newItem('a')], { signal: AbortSignal.abort(reason) })).rejects.toBe(
        reason,
      )
      expect(await outbox.list()).toEqual([])
    })

    test('progress is told by item and byte', async () => {
      await using outbox = await create()
      const told: [string, number][] = []
      const items = [
        { name: 'long', content: stored([Buffer.alloc(25)], 10) },
        { name: 'empty', content: stored([]) },
      ]

      await outbox.add(items, { onProgress: (name, bytes) => told.push([name, bytes]) })

      expect(told).toEqual([
        ['long', 10],
        ['long', 20],
        ['long', 25],
        ['empty', 0],
      ])
    })

    test('parts have at least a byte and at most 64 MiB', async () => {
      await using outbox = await create()

      for (const partBytes of [0, -1, 1.5, 67_108_865, Number.NaN]) {
        await expect(
          outbox.add([{ name: 'a', content: stored([], partBytes) }]),
        ).rejects.toMatchObject({ code: 'config', option: 'partBytes' })
      }
    })

    test('a name is text, and not empty', async () => {
      await using outbox = await create()

      for (const name of ['', 'lone \ud800 surrogate']) {
        await expect(outbox.add([newItem(name)])).rejects.toMatchObject({
          code: 'config',
          option: 'name',
        })
      }
    })

    test('a reference is kept without content', async () => {
      await using outbox = await create()
      const content = {
        mode: 'reference',
        path: '/x/Straße',
        fingerprint: 'f',
        size: 5_000_000_000_000,
        sha256: undefined,
      } as const

      const [item] = await outbox.add([{ name: 'r', content }])

      const { size, ...kept } = content
      expect(item).toMatchObject({ size, content: kept })
      expect(await outbox.list()).toEqual([item])
      await using lease = await leaseOf(outbox, item?.id)
      await expect(lease.readPart(0)).rejects.toThrow(RangeError)
      await lease.dropParts(10)
      expect(lease.item.content).toEqual(kept)
    })
  })

  describe('a lease', () => {
    test('is had by one sender at a time', async () => {
      const time = new TestTime()
      await using outbox = await create(time)
      const [{ id } = NOTHING] = await outbox.add([newItem('a')])

      const lease = await leaseOf(outbox, id)

      expect(await outbox.lease(id)).toBeUndefined()
      expect((await outbox.get(id))?.leasedUntil).toBe(time.wallMs + 60_000)
      expect(await outbox.remove(id)).toBe(false)
      await lease.release()
      await lease.release()
      expect((await outbox.get(id))?.leasedUntil).toBeUndefined()
      expect(await outbox.lease(id)).toBeDefined()
    })

    test('of several senders that ask at the same time, one has it', async () => {
      await using outbox = await create()
      const [{ id } = NOTHING] = await outbox.add([newItem('a')])

      const leases = await Promise.all(Array.from({ length: 5 }, () => outbox.lease(id)))

      expect(leases.filter((lease) => lease !== undefined).length).toBe(1)
    })

    test('is over after its time unless it is renewed, and then another sender’s', async () => {
      const time = new TestTime()
      await using outbox = await create(time)
      const [{ id } = NOTHING] = await outbox.add([newItem('a')])
      const lease = await leaseOf(outbox, id, 1000)

      time.pass(999)
      await lease.renew()
      time.pass(999)
      expect(await outbox.lease(id)).toBeUndefined()
      time.pass(1)
      expect((await outbox.get(id))?.leasedUntil).toBeUndefined()
      // As long as nobody has taken it, it is still the old one's.
      expect(await readText(lease)).toBe('content of a')
      const next = await leaseOf(outbox, id)

      const lost = { code: 'locked' }
      await expect(lease.renew()).rejects.toMatchObject(lost)
      await expect(lease.readPart(0)).rejects.toMatchObject(lost)
      await expect(lease.dropParts(1)).rejects.toMatchObject(lost)
      await expect(lease.setNote(1)).rejects.toMatchObject(lost)
      await expect(lease.done()).rejects.toMatchObject(lost)
      await lease.release()
      expect(await readText(next)).toBe('content of a')
      expect(await outbox.lease(id)).toBeUndefined()
    })

    test('does not mind that the clock jumps', async () => {
      const time = new TestTime()
      await using outbox = await create(time)
      const [{ id } = NOTHING] = await outbox.add([newItem('a')])
      await leaseOf(outbox, id, 1000)

      for (const jumpMs of [86_400_000, -2 * 86_400_000]) {
        time.wallMs += jumpMs
        expect(await outbox.lease(id)).toBeUndefined()
        expect((await outbox.get(id))?.leasedUntil).toBe(time.wallMs + 1000)
      }
      time.uptime += 1000
      expect(await outbox.lease(id)).toBeDefined()
    })

    test('keeps the note for the next sender', async () => {
      await using outbox = await create()
      const [{ id } = NOTHING] = await outbox.add([newItem('a')])
      const note = { url: 'http://ü/', parts: [1, null, { deep: true }] }

      const lease = await leaseOf(outbox, id)
      await lease.setNote('first')
      await lease.setNote(note)
      expect(lease.item.note).toEqual(note)
      await lease.release()

      expect((await leaseOf(outbox, id)).item.note).toEqual(note)
      expect((await outbox.list())[0]?.note).toEqual(note)
    })

    test('drops whole parts only, and tells from where the item is kept', async () => {
      await using outbox = await create()
      const bytes = randomBytes(35)
      const [{ id } = NOTHING] = await outbox.add([{ name: 'a', content: stored([bytes], 10) }])
      await using lease = await leaseOf(outbox, id)
      const keptFrom = async (): Promise<unknown> => {
        const { content } = (await outbox.get(id)) ?? NOTHING
        expect(lease.item.content).toEqual(content)
        return content.mode === 'stored' && content.keptFrom
      }

      await lease.dropParts(9)
      expect(await keptFrom()).toBe(0)
      await lease.dropParts(29)
      expect(await keptFrom()).toBe(20)
      await lease.dropParts(10)
      expect(await keptFrom()).toBe(20)

      await expect(lease.readPart(1)).rejects.toThrow(RangeError)
      expect(Buffer.from((await lease.readPart(2)).bytes)).toEqual(bytes.subarray(20, 30))
      expect((await outbox.get(id))?.size).toBe(35)
      await lease.dropParts(35)
      expect(await keptFrom()).toBe(35)
      await expect(lease.readPart(3)).rejects.toThrow(RangeError)
    })

    test('reads no part that the item does not have', async () => {
      await using outbox = await create()
      const [{ id } = NOTHING] = await outbox.add([newItem('a')])
      await using lease = await leaseOf(outbox, id)

      for (const index of [1, -1, 0.5, Number.NaN]) {
        await expect(lease.readPart(index)).rejects.toThrow(RangeError)
      }
    })

    test('ends with the item when it is done', async () => {
      await using outbox = await create()
      const [{ id } = NOTHING] = await outbox.add([newItem('a'), newItem('b')])
      const lease = await leaseOf(outbox, id)

      await lease.done()

      expect(await names(outbox)).toEqual(['b'])
      expect(await outbox.get(id)).toBeUndefined()
      expect(await outbox.lease(id)).toBeUndefined()
      await expect(lease.readPart(0)).rejects.toMatchObject({ code: 'upload-not-found' })
      await expect(lease.renew()).rejects.toMatchObject({ code: 'upload-not-found' })
      await lease.release()
    })
  })

  test('of several items that are done at the same time each is gone, but not what another has', async () => {
    const time = new TestTime()
    await using outbox = await create(time)
    const items = await outbox.add(['a', 'b', 'c', 'd', 'e'].map((name) => newItem(name)))
    const [a, b, c, d] = await Promise.all(items.map(({ id }) => leaseOf(outbox, id, 1000)))
    time.pass(1000)
    await leaseOf(outbox, items[1]?.id)
    await outbox.remove(items[2]?.id ?? '')

    const outcomes = await Promise.allSettled([a, b, c, d].map((lease) => lease?.done()))

    expect(outcomes.map((outcome) => 'reason' in outcome && outcome.reason)).toEqual([
      false,
      expect.objectContaining({ code: 'locked' }),
      expect.objectContaining({ code: 'upload-not-found' }),
      false,
    ])
    expect(await names(outbox)).toEqual(['b', 'e'])
  })

  test('an item that nobody has is removed', async () => {
    await using outbox = await create()
    const [{ id } = NOTHING] = await outbox.add([newItem('a'), newItem('b')])

    expect(await outbox.remove(id)).toBe(true)

    expect(await outbox.remove(id)).toBe(false)
    expect(await names(outbox)).toEqual(['b'])
  })

  test('closing twice is as good as once, and nothing goes on after it', async () => {
    await using outbox = await create()
    const [{ id } = NOTHING] = await outbox.add([newItem('a')])

    await outbox.close()
    await outbox.close()

    await expect(outbox.list()).rejects.toThrow(TypeError)
    await expect(outbox.get(id)).rejects.toThrow(TypeError)
    await expect(outbox.lease(id)).rejects.toThrow(TypeError)
    await expect(outbox.remove(id)).rejects.toThrow(TypeError)
    await expect(outbox.add([newItem('b')])).rejects.toThrow(TypeError)
  })
}

/** Stands in where a test finds no item, so that it fails by what it expects. */
const NOTHING = { id: '', content: { mode: undefined } } as const

function stored(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  partBytes?: number,
): NewItem['content'] {
  return { mode: 'stored', pieces, partBytes }
}

function newItem(name: string): NewItem {
  return { name, content: stored([Buffer.from(`content of ${name}`)]) }
}

/** Pieces in memory that is used again at once, as a file's is. */
function* reusing(bytes: Uint8Array): Generator<Uint8Array> {
  const memory = new Uint8Array(7)
  for (let at = 0; at < bytes.length; at += 7) {
    const piece = bytes.subarray(at, at + 7)
    memory.set(piece)
    yield memory.subarray(0, piece.length)
  }
}

async function names(outbox: Outbox): Promise<string[]> {
  return (await outbox.list()).map(({ name }) => name)
}

async function leaseOf(outbox: Outbox, id = '', durationMs?: number): Promise<OutboxLease> {
  const lease = await outbox.lease(id, { durationMs })
  if (lease === undefined) throw new Error(`Item ${id} is leased, or not there`)
  return lease
}

async function readParts(
  lease: OutboxLease,
): Promise<{ offset: number; bytes: Buffer; sha256: string }[]> {
  const { content, size } = lease.item
  const parts = []
  const count = content.mode === 'stored' ? Math.ceil(size / content.partBytes) : 0
  for (let index = 0; index < count; index++) {
    const part = await lease.readPart(index)
    parts.push({ ...part, bytes: Buffer.from(part.bytes) })
  }
  await expect(lease.readPart(count)).rejects.toThrow(RangeError)
  return parts
}

async function readText(lease: OutboxLease): Promise<string> {
  return Buffer.concat((await readParts(lease)).map(({ bytes }) => bytes)).toString()
}

/**
 * Any order of events: writes that race, break, come again or contradict, failing syncs, ends and
 * restarts, against a model of what the core has promised. What was acknowledged is there and never
 * changes, and no offset ever goes back, whatever happens.
 */
import fc from 'fast-check'
import type { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { isFerryError } from '../errors.ts'
import { createSender, MemoryUploads } from '../testing/upload-fixture.ts'
import type { UploadBlob } from './blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'
import type { UploadCore } from './upload-core.ts'

const SIZE = 24
/** The bytes of the file; a wrong sender sends others. */
const RIGHT = Buffer.from('abcdefghijklmnopqrstuvwx')
const WRONG = Buffer.from(RIGHT).map((byte) => byte - 32)

type Step =
  | { type: 'begin'; offset: number; length: number; announced: boolean; wrong: boolean }
  | { type: 'append'; length: number }
  | { type: 'send'; sender: number; bytes: number }
  | { type: 'end'; sender: number }
  | { type: 'break'; sender: number }
  | { type: 'fail-sync' }
  | { type: 'interrupt' }
  | { type: 'checkpoint' }
  | { type: 'restart' }
  | { type: 'settle' }

const place = fc.nat({ max: SIZE - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('begin' as const),
      offset: place,
      length: fc.integer({ min: 1, max: 12 }),
      announced: fc.boolean(),
      wrong: fc.integer({ min: 0, max: 5 }).map((value) => value === 0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      length: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      sender: fc.nat(),
      bytes: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('end' as const), sender: fc.nat() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('break' as const), sender: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'fail-sync' as const,
        'interrupt' as const,
        'checkpoint' as const,
        'checkpoint' as const,
        'restart' as const,
        'settle' as const,
        'settle' as const,
      ),
    }),
  },
)

/** A store whose next sync fails when it is told so; what was not synced is lost then. */
class FailingStore extends MemoryBlobStore {
  failSync = false
  /** What stood where something was written since the last sync, the latest last. */
  readonly #before: { readonly bytes: Buffer; readonly offset: number }[] = []

  override async open(id: string): Promise<UploadBlob> {
    const blob = await super.open(id)
    return {
      write: async (chunks, offset) => {
        const { length } = Buffer.concat(chunks)
        const bytes = Buffer.alloc(length)
        ;(await blob.read(offset, length)).copy(bytes)
        this.#before.push({ bytes, offset })
        await blob.write(chunks, offset)
      },
      read: (offset, length) => blob.read(offset, length),
      truncate: (length) => blob.truncate(length),
      close: () => blob.close(),
      sync: async () => {
        const before = this.#before.splice(0)
        if (!this.failSync) return
        this.failSync = false
        for (const { bytes, offset } of before.toReversed()) await blob.write([bytes], offset)
        throw new Error('the disk has failed')
      },
    }
  }
}

interface Sender {
  readonly readable: Readable
  readonly bytes: Buffer
  readonly offset: number
  readonly end: number
  position: number
}

/** A core under test, and what it has promised. */
class Scene {
  readonly uploads = new MemoryUploads()
  readonly blobs = new FailingStore()
  core!: UploadCore
  id = ''
  /** What each acknowledged byte has to be. */
  readonly promised = new Map<number, number>()
  readonly senders: Sender[] = []
  readonly outcomes: Promise<void>[] = []
  lastOffset = 0
  readonly violations: unknown[] = []

  async open(): Promise<void> {
    // So short that journals are written anew all the time.
    const options = { blobs: this.blobs, checkpointMs: 100, maxJournalBytes: 300 }
    this.core = await this.uploads.open(options)
  }

  begin(offset: number, end: number, options: { announced: boolean; wrong: boolean }): void {
    const bytes = options.wrong ? Buffer.from(WRONG) : RIGHT
    const sender = { readable: createSender(), bytes, offset, end, position: offset }
    this.senders.push(sender)
    const contentLength = options.announced ? end - offset : undefined
    const writing = this.core.write(this.id, offset, sender.readable, { contentLength })
    this.outcomes.push(this.#note(writing, sender))
  }

  append(length: number): void {
    const { offset } = this.core.status(this.id)
    const end = Math.min(SIZE, offset + length)
    const sender = { readable: createSender(), bytes: RIGHT, offset, end, position: offset }
    this.senders.push(sender)
    const writing = this.core.append(this.id, offset, sender.readable)
    this.outcomes.push(this.#note(writing, sender))
  }

  send(index: number, bytes: number): void {
    const sender = this.#pick(index)
    if (sender === undefined || sender.readable.destroyed) return
    const end = Math.min(sender.end, sender.position + bytes)
    if (end > sender.position) sender.readable.push(sender.bytes.subarray(sender.position, end))
    sender.position = end
  }

  end(index: number, options: { broken: boolean }): void {
    const sender = this.#pick(index)
    if (sender === undefined) return
    this.senders.splice(this.senders.indexOf(sender), 1)
    if (options.broken) {
      sender.readable.destroy()
      return
    }
    if (sender.position < sender.end) {
      sender.readable.push(sender.bytes.subarray(sender.position, sender.end))
    }
    sender.position = sender.end
    sender.readable.push(null)
  }

  /** Every promise holds; what is acknowledged in the meantime is promised from now on. */
  async check(): Promise<void> {
    expect(this.violations).toEqual([])
    const status = this.core.status(this.id)
    if (status.state === 'completed') {
      const content = this.blobs.content('file')
      for (const [at, byte] of this.promised) expect(content?.[at]).toBe(byte)
      expect(content?.length).toBe(SIZE)
      return
    }
    expect(status.offset).toBeGreaterThanOrEqual(this.lastOffset)
    this.lastOffset = status.offset
    const covered = new Set<number>()
    for (const span of status.spans) {
      const held = await this.core.read(this.id, span)
      for (let at = span.start; at < span.end; at++) {
        covered.add(at)
        const byte = held[at - span.start] as number
        expect([RIGHT[at], WRONG[at]]).toContain(byte)
        expect(byte).toBe(this.promised.get(at) ?? byte)
        this.promised.set(at, byte)
      }
    }
    for (const at of this.promised.keys()) expect(covered.has(at)).toBe(true)
  }

  async #note(writing: Promise<unknown>, sender: Sender): Promise<void> {
    try {
      await writing
      for (let at = sender.offset; at < sender.position; at++) {
        const byte = sender.bytes[at] as number
        expect(this.promised.get(at) ?? byte).toBe(byte)
        this.promised.set(at, byte)
      }
    } catch (error) {
      const isExpected = isFerryError(error) || (error as Error).message === 'the disk has failed'
      if (!isExpected) this.violations.push(error)
    }
  }

  #pick(index: number): Sender | undefined {
    return this.senders[index % Math.max(1, this.senders.length)]
  }
}

async function play(scene: Scene, event: Step): Promise<void> {
  switch (event.type) {
    case 'begin': {
      const end = Math.min(SIZE, event.offset + event.length)
      scene.begin(event.offset, end, event)
      return
    }
    case 'append':
      scene.append(event.length)
      return
    case 'send':
      scene.send(event.sender, event.bytes)
      return
    case 'end':
      scene.end(event.sender, { broken: false })
      return
    case 'break':
      scene.end(event.sender, { broken: true })
      return
    case 'fail-sync':
      scene.blobs.failSync = true
      return
    case 'interrupt':
      await scene.core.interrupt(scene.id)
      return
    case 'checkpoint':
      scene.uploads.clock.advance(100)
      return
    case 'restart':
      await scene.core.close()
      scene.senders.length = 0
      await scene.open()
      return
    case 'settle':
      await new Promise(setImmediate)
      await scene.check()
      return
    default:
      event satisfies never
  }
}

test('UploadCore keeps every promise, in any order of events', async () => {
  // After each step some turns of the event loop, or none, so that steps meet in every phase.
  const steps = fc.array(fc.tuple(step, fc.nat({ max: 4 })), { maxLength: 80, size: 'max' })
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const scene = new Scene()
      await scene.open()
      scene.id = (await scene.core.create({ length: SIZE, name: 'file' })).id

      for (const [event, turns] of script) {
        await play(scene, event)
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      }
      await scene.core.close()
      await Promise.all(scene.outcomes)
      scene.blobs.failSync = false
      await scene.open()
      await scene.check()

      // Whatever happened, the rest can be sent, and what was right makes the file right.
      const { spans, state } = scene.core.status(scene.id)
      if (state === 'completed') return
      let at = 0
      for (const span of [...spans, { start: SIZE, end: SIZE }]) {
        if (span.start > at) {
          const sender = createSender()
          sender.push(RIGHT.subarray(at, span.start))
          sender.push(null)
          await scene.core.write(scene.id, at, sender)
        }
        at = span.end
      }
      expect(scene.core.status(scene.id).state).toBe('completed')
      await scene.check()
      await scene.core.close()
    }),
    { numRuns: Number(process.env['FERRY_BIG'] === undefined ? 1000 : 20_000) },
  )
})

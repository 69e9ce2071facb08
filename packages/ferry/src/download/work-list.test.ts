import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { createRemote } from './remotes.ts'
import type { SegmentWriter } from './segment-writer.ts'
import { type Assignment, WorkList } from './work-list.ts'
import { createWorker, cursorOf, type Worker } from './worker.ts'

const MiB = 1_048_576
const SILENT_MS = 1500
const NOW = 1_000_000
const REMOTE = createRemote(HttpUrl.parse('http://a.test/f'), { url: 'http://a.test/f' })

/** What a list sees of a response that is being written. */
class Writing {
  cursor: number
  end: number

  constructor(worker: Worker, maxBytes: number) {
    this.cursor = worker.start
    this.end = worker.end
    worker.writer = this as unknown as SegmentWriter
    worker.responseEnd = Math.min(worker.end, worker.start + maxBytes)
    worker.state = 'receiving'
  }

  setEnd(end: number): void {
    this.end = end
  }
}

/** A list and the connections that work on it, without requests. */
class Bench {
  readonly list: WorkList
  readonly size: number
  readonly fetched: SpanSet
  /** Whose rest has been handed on. */
  readonly replaced: Worker[] = []
  /** Of each worker, whether its bytes may come twice. */
  readonly born = new Map<Worker, 'owner' | 'hedge'>()
  /** More is never asked for at once. */
  maxResponseBytes = Number.POSITIVE_INFINITY
  receivedBytes = 0
  hedgedBytes = 0
  /** That came and could not be believed, or were wrong. */
  lostBytes = 0
  #lastId = 0

  constructor(size: number, fetched = new SpanSet()) {
    this.size = size
    this.fetched = fetched.copy()
    this.list = new WorkList(size, fetched)
  }

  get workers(): Worker[] {
    return [...this.list.workers.values()]
  }

  get owners(): Worker[] {
    return this.workers.filter(({ hedged }) => hedged === undefined)
  }

  claim(newBytesPerSecond = 0): Assignment | undefined {
    return this.list.claim({
      now: NOW,
      newBytesPerSecond,
      latencyMs: 0,
      silentLimitMs: SILENT_MS,
      onReplace: (worker) => this.replaced.push(worker),
    })
  }

  /** A connection joins, if there is work; `speed` is what it turns out to reach. */
  join(speed = 0, expected = speed): Worker | undefined {
    const assignment = this.claim(expected)
    if (assignment === undefined) return undefined
    const worker = createWorker({ id: ++this.#lastId, remote: REMOTE, now: NOW }, assignment.span)
    worker.hedged = assignment.hedged
    worker.meter.note(0, 0)
    worker.meter.note(1000, speed)
    this.list.workers.set(worker.id, worker)
    this.born.set(worker, assignment.hedged === undefined ? 'owner' : 'hedge')
    return worker
  }

  /** Its response has begun, and brings so many bytes of it. */
  receive(worker: Worker, bytes: number): void {
    const writing =
      (worker.writer as unknown as Writing | undefined) ??
      new Writing(worker, this.maxResponseBytes)
    const start = writing.cursor
    writing.cursor = Math.min(writing.end, worker.responseEnd, start + bytes)
    this.#noteReceived(worker, writing.cursor - start)
    if (!worker.unproven) this.fetched.add({ start, end: writing.cursor })
  }

  #noteReceived(worker: Worker, bytes: number): void {
    this.receivedBytes += bytes
    if (this.born.get(worker) === 'hedge') this.hedgedBytes += bytes
  }

  /** Its request ends, however far it has come; so does that of whom this makes superfluous. */
  leave(worker: Worker): Worker | undefined {
    const { writer } = worker
    const end = Math.min(worker.end, worker.responseEnd)
    const isWhole = writer !== undefined && writer.cursor >= end
    if (worker.unproven && isWhole) this.fetched.add({ start: worker.start, end: writer.cursor })
    else if (worker.unproven) this.lostBytes += cursorOf(worker) - worker.start
    if (writer !== undefined && (!worker.unproven || isWhole)) worker.start = writer.cursor
    worker.writer = undefined
    worker.unproven = false
    worker.responseEnd = 0
    const place = worker.start
    const heir = this.workers.find(({ hedged }) => hedged === worker)
    const superseded = this.list.release(worker)
    this.list.workers.delete(worker.id)
    // Whoever inherits may be behind, and is to fetch again what the other has brought already.
    if (heir !== undefined) this.hedgedBytes += Math.max(0, place - cursorOf(heir))
    if (superseded !== undefined) this.leave(superseded)
    return superseded
  }

  /** Lets everybody come to an end, and others take what is left. */
  finish(): void {
    for (let round = 0; round < 10_000; round++) {
      const [worker] = this.workers
      if (worker === undefined && this.join(MiB) === undefined) return
      if (worker === undefined) continue
      if (!this.replaced.includes(worker)) this.receive(worker, this.size)
      this.leave(worker)
    }
    throw new Error('There is no end to it')
  }
}

const span = (start: number, end: number): Span => ({ start, end })

test('WorkList hands out the whole file, of any size, once', () => {
  const list = new WorkList(undefined, new SpanSet())
  const options = {
    now: NOW,
    newBytesPerSecond: 0,
    silentLimitMs: 1500,
    latencyMs: 0,
    onReplace: () => {},
  }

  expect(list.isAllAssigned).toBe(false)
  expect(list.claim(options)).toEqual({
    span: span(0, Number.POSITIVE_INFINITY),
    hedged: undefined,
  })
  expect(list.isAllAssigned).toBe(true)
  expect(list.claim(options)).toBeUndefined()
  expect(list.remainingBytes).toBeUndefined()
})

test('WorkList takes over a size, and forgets it', () => {
  const bench = new Bench(10 * MiB)
  bench.list.forget()
  const worker = bench.join() as Worker

  bench.list.setSize(10 * MiB)
  bench.receive(worker, MiB)

  expect(worker.end).toBe(10 * MiB)
  expect(bench.list.heldBytes).toBe(MiB)
  expect(bench.list.remainingBytes).toBe(9 * MiB)
  bench.leave(worker)
  bench.list.forget()
  expect(bench.list.isAllAssigned).toBe(false)
  expect(bench.list.remainingBytes).toBeUndefined()
})

test('WorkList counts what an earlier run has left, and fetches the rest', () => {
  const bench = new Bench(100, new SpanSet([span(10, 20), span(50, 100)]))

  expect(bench.list.heldBytes).toBe(60)
  expect(bench.claim()?.span).toEqual(span(0, 10))
  expect(bench.claim()?.span).toEqual(span(20, 50))
  expect(bench.claim()).toBeUndefined()
  expect(bench.list.isAllAssigned).toBe(true)
})

test('WorkList cuts a connection short, also one whose response is under way', () => {
  const bench = new Bench(4 * MiB)
  const first = bench.join() as Worker
  bench.receive(first, 2 * MiB)

  const second = bench.join() as Worker

  expect([first.end, first.writer && (first.writer as unknown as Writing).end]).toEqual([
    3 * MiB,
    3 * MiB,
  ])
  expect([second.start, second.end]).toEqual([3 * MiB, 4 * MiB])
  expect(bench.list.heldBytes).toBe(2 * MiB)
})

test('WorkList hands on the rest of a silent connection, which has nothing to bring from then on', () => {
  const bench = new Bench(MiB)
  const silent = bench.join() as Worker
  bench.receive(silent, 1000)
  silent.heardAt = NOW - SILENT_MS

  const other = bench.join() as Worker

  expect(bench.replaced).toEqual([silent])
  expect([other.start, other.end, other.hedged]).toEqual([1000, MiB, undefined])
  expect(silent.start).toBe(silent.end)
  expect(bench.leave(silent)).toBeUndefined()
  expect(bench.list.isAllAssigned).toBe(true)
  expect(bench.list.heldBytes).toBe(1000)
})

/** A slow connection with 200,000 of its 300,000 bytes to go, and one that fetches these, too. */
function startHedge(): { bench: Bench; slow: Worker; hedge: Worker } {
  const bench = new Bench(300_000)
  const slow = bench.join(10_000) as Worker
  bench.receive(slow, 100_000)
  const hedge = bench.join(MiB) as Worker
  expect(hedge).toMatchObject({ start: 100_000, end: 300_000, hedged: slow })
  return { bench, slow, hedge }
}

test('WorkList lets one connection fetch a slow rest once more, and no third', () => {
  const { bench } = startHedge()

  expect(bench.claim(MiB)).toBeUndefined()
  expect(bench.list.heldBytes).toBe(100_000)
})

test.each(['slow', 'hedge'] as const)(
  'WorkList names the other one when the %s one of two is done',
  (winner) => {
    const { bench, slow, hedge } = startHedge()
    const [one, other] = winner === 'slow' ? [slow, hedge] : [hedge, slow]
    bench.receive(other, 1000)
    bench.receive(one, 200_000)

    expect(bench.leave(one)).toBe(other)

    expect(bench.list.heldBytes).toBe(300_000)
    expect(bench.list.isAllAssigned).toBe(true)
    expect(bench.claim(MiB)).toBeUndefined()
  },
)

test('WorkList leaves the rest to the second connection when the first fails', () => {
  const { bench, slow, hedge } = startHedge()
  bench.receive(slow, 50_000)

  expect(bench.leave(slow)).toBeUndefined()

  expect(hedge.hedged).toBeUndefined()
  expect(bench.claim(MiB)).toBeUndefined()
  bench.receive(hedge, 150_000)
  expect(bench.list.heldBytes).toBe(250_000)
  bench.leave(hedge)
  expect(bench.claim(MiB)?.span).toEqual(span(250_000, 300_000))
})

test('WorkList leaves the rest to the first connection when the second fails', () => {
  const { bench, slow, hedge } = startHedge()
  bench.receive(hedge, 50_000)

  expect(bench.leave(hedge)).toBeUndefined()

  expect([cursorOf(slow), slow.end]).toEqual([100_000, 300_000])
  expect(bench.claim(0)).toBeUndefined()
  expect(bench.join(MiB)?.hedged).toBe(slow)
})

test('WorkList gives back what lies behind the end of the second connection when it inherits', () => {
  const bench = new Bench(2 * MiB, new SpanSet([span(300_000, 2 * MiB)]))
  const slow = bench.join(10_000) as Worker
  bench.receive(slow, 100_000)
  const hedge = bench.join(MiB) as Worker
  // The slow one has taken on more since.
  bench.list.reject(span(300_000, 400_000))
  bench.list.extend(slow, 400_000)

  bench.leave(slow)

  expect(hedge.end).toBe(300_000)
  expect(bench.claim()?.span).toEqual(span(300_000, 400_000))
})

test('WorkList gives a failed rest to the neighbour whose response reaches over it', () => {
  const bench = new Bench(4 * MiB)
  const first = bench.join() as Worker
  bench.receive(first, MiB)
  const second = bench.join() as Worker
  expect(second.start).toBe(2.5 * MiB)

  bench.leave(second)

  expect(first.end).toBe(4 * MiB)
  expect((first.writer as unknown as Writing).end).toBe(4 * MiB)
  expect(bench.list.isAllAssigned).toBe(true)
  bench.finish()
  expect(bench.receivedBytes).toBe(4 * MiB)
})

test('WorkList gives a failed rest to no neighbour that has come to its end already', () => {
  const bench = new Bench(4 * MiB)
  const first = bench.join() as Worker
  bench.receive(first, MiB)
  const second = bench.join() as Worker
  bench.receive(first, 4 * MiB)

  bench.leave(second)

  expect(first.end).toBe(2.5 * MiB)
  expect(bench.claim()?.span).toEqual(span(2.5 * MiB, 4 * MiB))
})

test('WorkList counts nothing that may yet turn out to be wrong', () => {
  const bench = new Bench(MiB)
  const worker = bench.join(1) as Worker
  worker.unproven = true
  bench.receive(worker, 1000)

  // Nor does anybody take from it.
  expect(bench.claim(MiB)).toBeUndefined()
  bench.leave(worker)

  expect(bench.list.heldBytes).toBe(0)
  expect(bench.claim()?.span).toEqual(span(0, MiB))
})

test('WorkList has a rejected span fetched again', () => {
  const bench = new Bench(MiB, new SpanSet([span(0, MiB)]))

  bench.list.reject(span(1000, 2000))

  expect(bench.list.remainingBytes).toBe(1000)
  expect(bench.claim()?.span).toEqual(span(1000, 2000))
})

const speeds = fc.constantFrom(0, 1, 1000, 100_000, MiB, 50 * MiB)
const event = fc.record({
  type: fc.constantFrom(
    ...(['join', 'join', 'hedge', 'hedge', 'hedge', 'receive', 'receive', 'receive'] as const),
    ...(['complete', 'fail', 'silence', 'doubt', 'reject'] as const),
  ),
  which: fc.nat(),
  bytes: fc.oneof(fc.nat(2000), fc.nat(100_000), fc.nat(4 * MiB)),
  speed: speeds,
})

/** No byte has two owners, and none counts as held that has not come. */
function checkBench({ list, owners, fetched, size }: Bench): void {
  const owned = new SpanSet(owners.map((worker) => span(placeOf(worker), worker.end)))
  const sum = owners.reduce((total, worker) => total + worker.end - placeOf(worker), 0)
  expect(owned.bytes).toBe(sum)
  const doubtful = owners.reduce((total, one) => total + cursorOf(one) - placeOf(one), 0)
  expect(list.heldBytes).toBeLessThanOrEqual(fetched.bytes + doubtful)
  expect(list.remainingBytes).toBe(size - list.heldBytes)
}

function placeOf(worker: Worker): number {
  return worker.unproven ? worker.start : cursorOf(worker)
}

test('WorkList has every byte fetched, by one at a time but for hedges, whatever happens', () => {
  const seen = { hedge: 0, replace: 0, supersede: 0, inherit: 0 }
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: 700_000 }), fc.integer({ min: 1, max: 6 * MiB })),
      fc.array(fc.tuple(fc.nat(6 * MiB), fc.nat(MiB)), { maxLength: 3 }),
      fc.array(event, { minLength: 10, maxLength: 60 }),
      (size, left, events) => {
        const held = new SpanSet(left.map(([start, bytes]) => span(start, start + bytes)))
        held.remove(span(size, Number.POSITIVE_INFINITY))
        const bench = new Bench(size, held)
        bench.maxResponseBytes = MiB
        for (const { type, which, bytes, speed } of events) {
          const active = bench.workers.filter((worker) => !bench.replaced.includes(worker))
          const worker = active[which % Math.max(1, active.length)]
          if (type === 'join') bench.join(speed)
          else if (type === 'hedge') bench.join(speed, 100 * MiB)
          else if (type === 'reject') {
            const bad = span(which % size, Math.min(size, (which % size) + bytes))
            const inUse = bench.workers.some((one) => bad.end > one.start && bad.start < one.end)
            if (inUse || !bench.fetched.covers(bad)) continue
            bench.fetched.remove(bad)
            bench.list.reject(bad)
            bench.lostBytes += bad.end - bad.start
          } else if (worker === undefined) continue
          else if (type === 'silence') worker.heardAt = NOW - SILENT_MS
          else if (type === 'doubt') worker.unproven ||= worker.writer === undefined
          else if (type === 'receive') bench.receive(worker, bytes)
          else {
            if (type === 'complete') bench.receive(worker, size)
            const heirs = bench.workers.filter(({ hedged }) => hedged === worker)
            const superseded = bench.leave(worker)
            if (superseded !== undefined) seen.supersede++
            else if (heirs.length > 0) seen.inherit++
          }
          checkBench(bench)
        }
        bench.finish()
        seen.hedge += [...bench.born.values()].filter((born) => born === 'hedge').length
        seen.replace += bench.replaced.length

        expect(bench.fetched.covers(span(0, size))).toBe(true)
        expect(bench.list.isAllAssigned).toBe(true)
        expect(bench.list.heldBytes).toBe(size)
        const twice = bench.receivedBytes - (size - held.bytes) - bench.lostBytes
        expect(twice).toBeGreaterThanOrEqual(0)
        expect(twice).toBeLessThanOrEqual(bench.hedgedBytes)
      },
    ),
    { numRuns: 3000 },
  )
  // Else the test would show less than it says.
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(20)
})

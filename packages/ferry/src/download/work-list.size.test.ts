/** The work on a file of 1 TiB, without its bytes. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import { SpanSet } from '../transfer/span.ts'
import { createRemote } from './remotes.ts'
import { WorkList } from './work-list.ts'
import { createWorker, type Worker } from './worker.ts'

const TiB = 1_099_511_627_776
const SEGMENTS = 100_000
const GAPS = 20_000
const CONNECTIONS = 16
const REMOTE = createRemote(HttpUrl.parse('http://a.test/f'), { url: 'http://a.test/f' })

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Claims, fetches as much as `bytesOf` says, and gives back, until there is nothing left to do. */
function fetchAll(list: WorkList, bytesOf: (segment: number) => number): number {
  let segments = 0
  const fill = (): void => {
    while (list.workers.size < CONNECTIONS) {
      const assignment = list.claim({
        now: segments,
        newBytesPerSecond: 1e6,
        latencyMs: 0,
        silentLimitMs: Number.POSITIVE_INFINITY,
        onReplace: () => {},
      })
      if (assignment === undefined) return
      segments++
      const worker = createWorker({ id: segments, remote: REMOTE, now: segments }, assignment.span)
      worker.meter.note(0, 0)
      worker.meter.note(1000, 1e6)
      list.workers.set(worker.id, worker)
    }
  }
  for (fill(); list.workers.size > 0; fill()) {
    // Any of them, so that what is there is in many places.
    const index = segments % list.workers.size
    const worker = [...list.workers.values()][index] as Worker
    worker.start = Math.min(worker.end, worker.start + bytesOf(segments))
    list.release(worker)
    list.workers.delete(worker.id)
  }
  return segments
}

test('WorkList plans 100,000 segments of 1 TiB, and remembers little of them', () => {
  const before = heapBytes()
  const list = new WorkList(TiB, new SpanSet())

  const segments = fetchAll(list, () => TiB / SEGMENTS)

  expect(segments).toBeGreaterThanOrEqual(SEGMENTS)
  expect(list.isAllAssigned).toBe(true)
  expect(list.heldBytes).toBe(TiB)
  expect(heapBytes() - before).toBeLessThan(4_000_000)
})

test('WorkList fills 20,000 gaps of 1 TiB and remembers no more than those', () => {
  const step = Math.floor(TiB / GAPS)
  const left = Array.from({ length: GAPS }, (_, index) => ({
    start: index * step + 1000,
    end: (index + 1) * step,
  }))
  const before = heapBytes()
  const list = new WorkList(TiB, new SpanSet(left))
  expect(list.remainingBytes).toBe(TiB - GAPS * (step - 1000))
  expect(heapBytes() - before).toBeLessThan(GAPS * 200)

  const segments = fetchAll(list, () => TiB)

  expect(segments).toBeGreaterThanOrEqual(GAPS)
  expect(list.heldBytes).toBe(TiB)
  expect(heapBytes() - before).toBeLessThan(GAPS * 200)
})

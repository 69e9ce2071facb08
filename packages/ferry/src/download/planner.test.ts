import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SpanSet } from '../transfer/span.ts'
import { type Claim, planNextSpan } from './planner.ts'

const MIN_SPLIT = 262_144
const MiB = 1_048_576

const claim = (parts: Partial<Claim>): Claim => ({
  id: 1,
  cursor: 0,
  end: 0,
  bytesPerSecond: 0,
  ...parts,
})
const all = (size: number): SpanSet => new SpanSet([{ start: 0, end: size }])

test('planNextSpan() takes the first gap', () => {
  const assigned = new SpanSet([
    { start: 0, end: 10 },
    { start: 20, end: 30 },
  ])

  expect(planNextSpan(100, assigned, [])).toEqual({ type: 'take', span: { start: 10, end: 20 } })
})

test('planNextSpan() has nothing to do when all is fetched, or the file is empty', () => {
  expect(planNextSpan(100, all(100), [])).toEqual({ type: 'none' })
  expect(planNextSpan(0, new SpanSet(), [])).toEqual({ type: 'none' })
})

test('planNextSpan() halves a claim of unknown speed', () => {
  const plan = planNextSpan(4 * MiB, all(4 * MiB), [claim({ id: 7, end: 4 * MiB })])

  expect(plan).toEqual({ type: 'split', claimId: 7, at: 2 * MiB })
})

test('planNextSpan() cuts the claim that will take longest, so that both end together', () => {
  const size = 100 * MiB
  const fast = claim({ id: 1, cursor: 0, end: 60 * MiB, bytesPerSecond: 60 * MiB })
  const slow = claim({ id: 2, cursor: 60 * MiB, end: 100 * MiB, bytesPerSecond: 10 * MiB })

  const plan = planNextSpan(size, all(size), [fast, slow], 30 * MiB)

  expect(plan).toEqual({ type: 'split', claimId: 2, at: 70 * MiB })
})

test('planNextSpan() leaves short claims, those about to end, and those of unknown end', () => {
  const short = claim({ end: 2 * MIN_SPLIT - 1 })
  const ending = claim({ end: 10 * MiB, bytesPerSecond: 21 * MiB })
  const endless = claim({ end: undefined })

  expect(planNextSpan(10 * MiB, all(10 * MiB), [short, ending, endless])).toEqual({ type: 'none' })
})

test('planNextSpan() never cuts off less than is worth a request', () => {
  const slow = claim({ end: 10 * MiB, bytesPerSecond: 1 })
  const fast = claim({ end: 10 * MiB, bytesPerSecond: 1000 })

  expect(planNextSpan(10 * MiB, all(10 * MiB), [slow], 1e9)).toMatchObject({ at: MIN_SPLIT })
  expect(planNextSpan(10 * MiB, all(10 * MiB), [fast], 1)).toMatchObject({
    at: 10 * MiB - MIN_SPLIT,
  })
})

interface Simulated {
  id: number
  cursor: number
  end: number
  bytesPerSecond: number
}

const event = fc.record({
  type: fc.constantFrom(
    'join' as const,
    'join' as const,
    'progress' as const,
    'progress' as const,
    'fail' as const,
  ),
  which: fc.nat(),
  bytes: fc.nat(2 * MiB),
  speed: fc.constantFrom(0, 1, 1000, MiB, 50 * MiB),
})

test('planNextSpan() hands each byte to one at a time, and all are fetched, whatever happens', () => {
  fc.assert(
    fc.property(fc.nat(12 * MiB), fc.array(event, { maxLength: 80 }), (size, events) => {
      const assigned = new SpanSet()
      const fetched = new SpanSet()
      const workers: Simulated[] = []
      let lastId = 0
      let fetchedBytes = 0
      const join = (speed: number): boolean => {
        const plan = planNextSpan(size, assigned, workers, speed)
        if (plan.type === 'none') return false
        if (plan.type === 'take') {
          expect(plan.span.start).toBeLessThan(plan.span.end)
          assigned.add(plan.span)
          workers.push({
            id: ++lastId,
            cursor: plan.span.start,
            end: plan.span.end,
            bytesPerSecond: speed,
          })
          return true
        }
        const victim = workers.find(({ id }) => id === plan.claimId) as Simulated
        expect(plan.at - victim.cursor).toBeGreaterThanOrEqual(MIN_SPLIT)
        expect(victim.end - plan.at).toBeGreaterThanOrEqual(MIN_SPLIT)
        workers.push({ id: ++lastId, cursor: plan.at, end: victim.end, bytesPerSecond: speed })
        victim.end = plan.at
        return true
      }
      const advance = (worker: Simulated, bytes: number): void => {
        const end = Math.min(worker.end, worker.cursor + bytes)
        fetched.add({ start: worker.cursor, end })
        fetchedBytes += end - worker.cursor
        worker.cursor = end
        if (end === worker.end) workers.splice(workers.indexOf(worker), 1)
      }
      for (const { type, which, bytes, speed } of events) {
        const worker = workers[which % Math.max(1, workers.length)]
        if (type === 'join') join(speed)
        else if (worker !== undefined && type === 'progress') advance(worker, bytes)
        else if (worker !== undefined) {
          assigned.remove({ start: worker.cursor, end: worker.end })
          workers.splice(workers.indexOf(worker), 1)
        }
        const claimed = new SpanSet(workers.map(({ cursor, end }) => ({ start: cursor, end })))
        const sum = workers.reduce((total, { cursor, end }) => total + end - cursor, 0)
        expect(claimed.bytes).toBe(sum)
        expect(claimed.bytes + fetched.bytes).toBe(assigned.bytes)
      }
      while (join(MiB) || workers.length > 0) {
        for (const worker of [...workers]) advance(worker, MiB)
      }

      expect(fetched.covers({ start: 0, end: size })).toBe(true)
      expect(fetchedBytes).toBe(size)
    }),
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SpanSet } from '../transfer/span.ts'
import { type Claim, MAX_HEDGE_BYTES, type Plan, planNextSpan } from './planner.ts'

const MIN_SPLIT = 262_144
const MiB = 1_048_576

const claim = (parts: Partial<Claim>): Claim => ({
  id: 1,
  cursor: 0,
  end: 0,
  bytesPerSecond: 0,
  silentMs: 0,
  isHedged: false,
  ...parts,
})
/** Plans for a connection that is expected to be so fast, after a head that takes so long. */
const plan = (
  size: number,
  assigned: SpanSet,
  claims: readonly Claim[],
  speed = 0,
  latencyMs = 0,
): Plan =>
  planNextSpan(size, assigned, claims, { newBytesPerSecond: speed, latencyMs, silentLimitMs: 1500 })
const all = (size: number): SpanSet => new SpanSet([{ start: 0, end: size }])

test('planNextSpan() takes the first gap', () => {
  const assigned = new SpanSet([
    { start: 0, end: 10 },
    { start: 20, end: 30 },
  ])

  expect(plan(100, assigned, [])).toEqual({ type: 'take', span: { start: 10, end: 20 } })
})

test('planNextSpan() has nothing to do when all is fetched, or the file is empty', () => {
  expect(plan(100, all(100), [])).toEqual({ type: 'none' })
  expect(plan(0, new SpanSet(), [])).toEqual({ type: 'none' })
})

test('planNextSpan() halves a claim of unknown speed', () => {
  const decided = plan(4 * MiB, all(4 * MiB), [claim({ id: 7, end: 4 * MiB })])

  expect(decided).toEqual({ type: 'split', claimId: 7, at: 2 * MiB })
})

test('planNextSpan() cuts the claim that will take longest, so that both end together', () => {
  const size = 100 * MiB
  const fast = claim({ id: 1, cursor: 0, end: 60 * MiB, bytesPerSecond: 60 * MiB })
  const slow = claim({ id: 2, cursor: 60 * MiB, end: 100 * MiB, bytesPerSecond: 10 * MiB })

  const decided = plan(size, all(size), [fast, slow], 30 * MiB)

  expect(decided).toEqual({ type: 'split', claimId: 2, at: 70 * MiB })
})

test('planNextSpan() leaves short claims, those about to end, and those of unknown end', () => {
  const short = claim({ end: 2 * MIN_SPLIT - 1 })
  const ending = claim({ end: 10 * MiB, bytesPerSecond: 21 * MiB })
  const endless = claim({ end: undefined })

  expect(plan(10 * MiB, all(10 * MiB), [short, ending, endless])).toEqual({ type: 'none' })
})

test('planNextSpan() never cuts off less than is worth a request', () => {
  const slow = claim({ end: 10 * MiB, bytesPerSecond: 1 })
  const fast = claim({ end: 10 * MiB, bytesPerSecond: 1000 })

  expect(plan(10 * MiB, all(10 * MiB), [slow], 1e9)).toMatchObject({ at: MIN_SPLIT })
  expect(plan(10 * MiB, all(10 * MiB), [fast], 1)).toMatchObject({
    at: 10 * MiB - MIN_SPLIT,
  })
})

test('planNextSpan() leaves no slow claim alone that is too short to be split', () => {
  for (const bytes of [MIN_SPLIT - 1, MIN_SPLIT, 2 * MIN_SPLIT - 1, 2 * MIN_SPLIT]) {
    const slow = claim({ end: bytes, bytesPerSecond: 10_000 })

    expect(plan(MiB, all(MiB), [slow], MiB).type).toMatch(/split|hedge/)
  }
})

test('planNextSpan() fetches no large rest once more', () => {
  const size = 30 * MiB
  const rest = (bytes: number): Plan =>
    plan(size, all(size), [claim({ end: bytes, bytesPerSecond: 10_000 })], MiB)

  expect(rest(2 * MIN_SPLIT - 1).type).toBe('hedge')
  expect(rest(2 * MIN_SPLIT).type).toBe('split')
})

test('planNextSpan() reckons with the time that a head takes', () => {
  const size = 100 * MiB
  const long = claim({ end: size, bytesPerSecond: 10 * MiB })
  const short = claim({ cursor: size - 5 * MiB, end: size, bytesPerSecond: MiB })

  // Both end after 6 s: the first with 60 MiB, the other after 2 s of waiting with 40 MiB.
  expect(plan(size, all(size), [long], 10 * MiB, 2000)).toMatchObject({ at: 60 * MiB })
  expect(plan(size, all(size), [short], MiB, 2500)).toMatchObject({ type: 'split' })
  expect(plan(size, all(size), [short], MiB, 2501)).toEqual({ type: 'none' })
})

test('planNextSpan() fetches nothing once more that would come too late', () => {
  const slow = claim({ cursor: 0, end: 200_000, bytesPerSecond: 50_000 })

  // It takes 4 s alone, and somebody else more than half of that for the head.
  expect(plan(200_000, all(200_000), [slow], MiB, 2000)).toMatchObject({ type: 'hedge' })
  expect(plan(200_000, all(200_000), [slow], MiB, 2001)).toEqual({ type: 'none' })
})

test('planNextSpan() hands on the rest of a connection that has fallen silent', () => {
  const silent = claim({ id: 1, cursor: 5, end: 9, silentMs: 1500 })
  const fine = claim({ id: 2, cursor: 9, end: 10 * MiB, silentMs: 1499 })

  expect(plan(10 * MiB, all(10 * MiB), [fine, silent])).toEqual({
    type: 'replace',
    claimId: 1,
    span: { start: 5, end: 9 },
  })
  expect(plan(10 * MiB, all(10 * MiB), [{ ...silent, isHedged: true }])).toEqual({ type: 'none' })
})

test('planNextSpan() fetches once more what a slow connection would take long for', () => {
  const slow = claim({ id: 3, cursor: 100, end: MIN_SPLIT, bytesPerSecond: 50_000 })
  const size = MIN_SPLIT

  expect(plan(size, all(size), [slow], MiB)).toEqual({
    type: 'hedge',
    claimId: 3,
    span: { start: 100, end: MIN_SPLIT },
  })
  const unwilling: [string, Claim, number][] = [
    ['somebody does so already', { ...slow, isHedged: true }, MiB],
    ['it ends soon', { ...slow, bytesPerSecond: 2 * MIN_SPLIT }, 10 * MiB],
    ['its speed is not known', { ...slow, bytesPerSecond: 0 }, MiB],
    ['another would not be faster', slow, 60_000],
    ['no speed is known', slow, 0],
  ]
  for (const [why, one, speed] of unwilling) {
    expect(plan(size, all(size), [one], speed), why).toEqual({ type: 'none' })
  }
  expect(MAX_HEDGE_BYTES).toBeLessThan(8 * MiB)
})

interface Simulated {
  id: number
  cursor: number
  end: number
  bytesPerSecond: number
  silentMs: number
  isHedged: boolean
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
        const next = plan(size, assigned, workers, speed)
        if (next.type !== 'take' && next.type !== 'split') return false
        if (next.type === 'take') {
          expect(next.span.start).toBeLessThan(next.span.end)
          assigned.add(next.span)
          workers.push({
            id: ++lastId,
            cursor: next.span.start,
            end: next.span.end,
            bytesPerSecond: speed,
            silentMs: 0,
            isHedged: false,
          })
          return true
        }
        const victim = workers.find(({ id }) => id === next.claimId) as Simulated
        expect(next.at - victim.cursor).toBeGreaterThanOrEqual(MIN_SPLIT)
        expect(victim.end - next.at).toBeGreaterThanOrEqual(MIN_SPLIT)
        workers.push({
          id: ++lastId,
          cursor: next.at,
          end: victim.end,
          bytesPerSecond: speed,
          silentMs: 0,
          isHedged: false,
        })
        victim.end = next.at
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

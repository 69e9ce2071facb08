import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import type { Clock } from '../../clock.ts'
import { FakeClock } from '../../testing/fake-clock.ts'
import type { Permit } from './permit.ts'
import { RateLimiter } from './rate-limiter.ts'

/** Lets promises that are settled go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Asks for permits and notes who gets one. */
function queueUp(limiter: RateLimiter, names: readonly string[]): string[] {
  const granted: string[] = []
  for (const name of names) void limiter.acquire().then(() => granted.push(name))
  return granted
}

test('RateLimiter without limits lets everything pass', async () => {
  const limiter = new RateLimiter()

  const permit = limiter.tryAcquire()
  using _ = await limiter.acquire()

  permit?.release()
  expect(permit).toBeDefined()
  expect(String(limiter)).toBe('RateLimiter the server, waiting 0')
})

test('RateLimiter grants at once, without a timer, what is to be had', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })

  expect(limiter.tryAcquire()).toBeDefined()
  expect(limiter.tryAcquire()).toBeUndefined()
  clock.advance(100)
  await limiter.acquire()

  expect(clock.pending).toBe(0)
})

test('RateLimiter has one timer while somebody waits, and none else', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })

  const granted = queueUp(limiter, ['a', 'b', 'c'])
  expect(clock.pending).toBe(1)
  expect(String(limiter)).toBe('RateLimiter 10/s, waiting 2')

  clock.advance(200)
  await settle()
  expect(granted).toEqual(['a', 'b', 'c'])
  expect(clock.pending).toBe(0)
  expect(limiter.waiting).toBe(0)
})

test('RateLimiter runs no more at a time than allowed, and grants what is released in order', async () => {
  const limiter = new RateLimiter({ maxConcurrent: 2 })
  const first = limiter.tryAcquire() as Permit
  const second = await limiter.acquire()
  const granted = queueUp(limiter, ['a', 'b'])
  expect(String(limiter)).toBe('RateLimiter 2 at a time, waiting 2, active 2')

  first.release()
  first.release()
  await settle()
  expect(granted).toEqual(['a'])

  second[Symbol.dispose]()
  await settle()
  expect(granted).toEqual(['a', 'b'])
  expect(limiter.active).toBe(2)
})

test('RateLimiter lets nobody overtake those that wait', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, maxConcurrent: 1, clock })
  const permit = limiter.tryAcquire() as Permit
  const granted = queueUp(limiter, ['a'])
  clock.advance(1000)
  expect(clock.pending).toBe(0)

  expect(limiter.tryAcquire()).toBeUndefined()
  permit.release()
  expect(limiter.tryAcquire()).toBeUndefined()

  await settle()
  expect(granted).toEqual(['a'])
})

test('RateLimiter lets nobody overtake those whose timer is late', async () => {
  const clock = new FakeClock()
  let lateMs = 0
  const late = {
    now: () => clock.now() + lateMs,
    after: (delayMs: number, callback: () => void) => clock.after(delayMs, callback),
  }
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock: late })
  const granted = queueUp(limiter, ['a', 'b'])
  lateMs = 150

  expect(limiter.tryAcquire()).toBeUndefined()
  const behind = queueUp(limiter, ['c'])
  clock.advance(100)

  await settle()
  expect(granted).toEqual(['a', 'b'])
  expect(behind).toEqual([])
})

test('RateLimiter spaces what a release lets in', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, maxConcurrent: 2, clock })
  const first = limiter.acquire()
  const second = limiter.acquire()
  const granted = queueUp(limiter, ['a', 'b'])
  clock.advance(1000)

  for (const permit of [await first, await second]) permit.release()
  await settle()
  expect(granted).toEqual(['a'])

  clock.advance(99)
  await settle()
  expect(granted).toEqual(['a'])

  clock.advance(1)
  await settle()
  expect(granted).toEqual(['a', 'b'])
})

test('RateLimiter refuses at once when as many wait as may', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, maxQueued: 1, clock })
  const granted = queueUp(limiter, ['a', 'b'])

  await expect(limiter.acquire()).rejects.toMatchObject({
    code: 'queue-full',
    detail: { maxQueued: 1 },
    message: 'Cannot start the request: 1 wait already for the limit of 10/s',
  })

  clock.advance(100)
  await settle()
  expect(granted).toEqual(['a', 'b'])
})

test('RateLimiter rejects with the reason of an abort and takes no token for it', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })
  const reason = new Error('enough')
  await expect(limiter.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)

  const order: string[] = []
  const stop = new AbortController()
  await limiter.acquire()
  const aborted = limiter.acquire({ signal: stop.signal })
  const kept = limiter.acquire({ signal: new AbortController().signal }).then(() => order.push('b'))
  stop.abort(reason)
  await expect(aborted).rejects.toBe(reason)
  expect(limiter.waiting).toBe(1)

  clock.advance(100)
  await kept
  expect(order).toEqual(['b'])
})

test('RateLimiter leaves no timer and no listener behind when all have given up', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })
  await limiter.acquire()
  const stop = new AbortController()
  const waits = [1, 2, 3].map(() => limiter.acquire({ signal: stop.signal, timeoutMs: 5000 }))
  expect(clock.pending).toBe(4)

  stop.abort()

  const results = await Promise.allSettled(waits)
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(clock.pending).toBe(0)
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
  clock.advance(100)
  expect(limiter.tryAcquire()).toBeDefined()
})

test('RateLimiter ends a wait after its time', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ maxConcurrent: 1, requestsPerSecond: 5, clock })
  const permit = limiter.tryAcquire() as Permit
  const late = limiter.acquire({ timeoutMs: 50 })
  const granted = queueUp(limiter, ['b'])

  clock.advance(50)

  await expect(late).rejects.toMatchObject({
    phase: 'pool',
    timeoutMs: 50,
    message:
      'Cannot start the request: no room within 50 ms under the limit of 5/s and 1 at a time',
  })
  permit.release()
  clock.advance(150)
  await settle()
  expect(granted).toEqual(['b'])
  expect(clock.pending).toBe(0)
})

test('RateLimiter lets go of signal and time limit when it grants', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })
  const { signal } = new AbortController()
  await limiter.acquire({ signal, timeoutMs: 5000 })

  const permit = limiter.acquire({ signal, timeoutMs: 5000 })
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  clock.advance(100)
  await permit

  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  expect(clock.pending).toBe(0)
})

test('RateLimiter is idle when nothing is left of what it has seen', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, maxConcurrent: 1, clock })
  expect(limiter.isIdle).toBe(true)

  const permit = limiter.tryAcquire()
  clock.advance(1000)
  expect(limiter.isIdle).toBe(false)
  const waiting = limiter.acquire()
  permit?.release()
  expect(limiter.isIdle).toBe(false)
  const last = await waiting
  last.release()
  expect(limiter.isIdle).toBe(false)

  clock.advance(1000)
  expect(limiter.isIdle).toBe(true)
  expect(new RateLimiter().isIdle).toBe(true)
})

test('RateLimiter is its own source', () => {
  const limiter = new RateLimiter()

  expect(limiter.limiterFor()).toBe(limiter)
})

test('RateLimiter looks again when a timer comes early', async () => {
  const clock = new FakeClock()
  const hasty = {
    now: () => clock.now(),
    after: (delayMs: number, callback: () => void) => clock.after(delayMs * 0.9, callback),
  }
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock: hasty })
  const granted = queueUp(limiter, ['a', 'b'])

  clock.advance(90)
  await settle()
  expect(granted).toEqual(['a'])

  clock.advance(11)
  await settle()
  expect(granted).toEqual(['a', 'b'])
})

/** A clock that tells the delays of its timers. */
function watch(clock: FakeClock, delays: number[]): Clock {
  return {
    now: () => clock.now(),
    after: (delayMs, callback) => {
      delays.push(delayMs)
      return clock.after(delayMs, callback)
    },
  }
}

test('RateLimiter sets timers in whole ms, since those of the platform drop fractions', async () => {
  const clock = new FakeClock()
  const delays: number[] = []
  const limiter = new RateLimiter({ requestsPerSecond: 3, clock: watch(clock, delays) })
  const granted = queueUp(limiter, ['a', 'b'])

  clock.advance(334)
  await settle()

  expect(granted).toEqual(['a', 'b'])
  expect(delays).toEqual([334])
})

test('RateLimiter waits for years in days, since platform timers end at 24.8 of them', async () => {
  const clock = new FakeClock()
  const delays: number[] = []
  const limiter = new RateLimiter({ requestsPerSecond: 1e-7, clock: watch(clock, delays) })
  const granted = queueUp(limiter, ['a', 'b'])

  clock.advance(1e10)
  await settle()

  expect(granted).toEqual(['a', 'b'])
  expect(Math.max(...delays)).toBe(86_400_000)
})

test('a RateLimiter tells its burst', () => {
  expect(String(new RateLimiter({ requestsPerSecond: 10, burst: 5 }))).toBe(
    'RateLimiter 10/s (5 at once after a rest), waiting 0',
  )
})

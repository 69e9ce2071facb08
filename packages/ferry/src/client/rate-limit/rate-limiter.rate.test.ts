/** That the rate holds, in every window, whatever happens around it. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeClock } from '../../testing/fake-clock.ts'
import type { Permit } from './permit.ts'
import { RateLimiter } from './rate-limiter.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** When each permit was granted: the limiter resolves while the clock stands at that instant. */
class Starts {
  readonly clock: FakeClock
  readonly at: number[] = []
  readonly order: number[] = []
  #pending: number[] = []

  constructor(clock: FakeClock) {
    this.clock = clock
  }

  /** To be called when a permit has come; `moveOn` gives it its instant. */
  note(id: number): void {
    this.#pending.push(id)
  }

  /** Moves the clock on, ms by ms, so that each permit is noted at its own instant. */
  async moveOn(ms: number): Promise<void> {
    await this.#collect()
    for (let passed = 0; passed < ms; passed++) {
      const before = this.clock.pending
      this.clock.advance(1)
      // Only a timer that ran can have granted anything.
      if (before > 0) await this.#collect()
    }
  }

  async #collect(): Promise<void> {
    await Promise.resolve()
    await Promise.resolve()
    for (const id of this.#pending.splice(0)) {
      this.at.push(this.clock.now())
      this.order.push(id)
    }
  }
}

/** Holds every window [t, t + windowMs) against `most`, by each start that could open one. */
function expectAtMost(most: number, starts: readonly number[], windowMs = 1000): void {
  for (let index = most; index < starts.length; index++) {
    const gap = (starts[index] as number) - (starts[index - most] as number)
    if (gap < windowMs) expect.fail(`${most + 1} starts within ${gap} ms, up to start ${index}`)
  }
}

const ascending = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

test('RateLimiter takes 100 s for 10 000 concurrent calls at 100/s, in order, evenly', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 100, clock })
  const starts = new Starts(clock)
  const startedAt = clock.now()

  for (const id of ascending(10_000)) void limiter.acquire().then(() => starts.note(id))
  await starts.moveOn(100_000)

  expect(starts.order).toEqual(ascending(10_000))
  expect(starts.at).toEqual(ascending(10_000).map((id) => startedAt + id * 10))
  expectAtMost(100, starts.at)
  expect(clock.pending).toBe(0)
})

test('RateLimiter keeps rates that do not divide a second', async () => {
  for (const requestsPerSecond of [3, 7, 2.5, 0.7]) {
    const clock = new FakeClock()
    const limiter = new RateLimiter({ requestsPerSecond, clock })
    const starts = new Starts(clock)
    const startedAt = clock.now()

    for (const id of ascending(50)) void limiter.acquire().then(() => starts.note(id))
    await starts.moveOn(80_000)

    const spacingMs = 1000 / requestsPerSecond
    const tookMs = (starts.at.at(-1) as number) - startedAt
    expect(starts.at).toHaveLength(50)
    expectAtMost(Math.ceil(requestsPerSecond), starts.at)
    expect(tookMs).toBeGreaterThanOrEqual(49 * spacingMs)
    expect(tookMs).toBeLessThanOrEqual(50 * spacingMs)
  }
})

test('RateLimiter shared by two users keeps one rate and one order', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 20, clock })
  const starts = new Starts(clock)
  const users = [limiter.limiterFor(), limiter.limiterFor()]

  for (const id of ascending(200)) {
    void users[id % 2]?.acquire().then(() => starts.note(id))
  }
  await starts.moveOn(10_000)

  expect(starts.order).toEqual(ascending(200))
  expectAtMost(20, starts.at)
})

test('RateLimiter with a burst sees at most rate + burst - 1 in a second', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, burst: 5, clock })
  const starts = new Starts(clock)

  for (const id of ascending(60)) void limiter.acquire().then(() => starts.note(id))
  await starts.moveOn(5600)

  expect(starts.at).toHaveLength(60)
  expectAtMost(14, starts.at)
  expect(starts.at.filter((at) => at === starts.at[0])).toHaveLength(5)
})

test('RateLimiter keeps its rate with timers that come late', async () => {
  const clock = new FakeClock()
  const late = {
    now: () => clock.now(),
    after: (delayMs: number, callback: () => void) => clock.after(delayMs + 2, callback),
  }
  const limiter = new RateLimiter({ requestsPerSecond: 100, clock: late })
  const starts = new Starts(clock)

  for (const id of ascending(1001)) void limiter.acquire().then(() => starts.note(id))
  await starts.moveOn(10_100)

  // 10 s, where each being late would make 12.
  expect(starts.at).toHaveLength(1001)
  expectAtMost(100, starts.at)
})

test('RateLimiter does not make up for time in which the machine slept', async () => {
  const clock = new FakeClock()
  let jump = 0
  // Timers fire as if nothing had happened; the time read is hours ahead.
  const jumping = {
    now: () => clock.now() + jump,
    after: (delayMs: number, callback: () => void) => clock.after(delayMs, callback),
  }
  const limiter = new RateLimiter({ requestsPerSecond: 100, clock: jumping })
  const starts: number[] = []
  for (let count = 0; count < 300; count++) {
    void limiter.acquire().then(() => starts.push(jumping.now()))
  }

  for (let tick = 0; tick < 4000; tick++) {
    if (tick % 700 === 699) jump += 3_600_000
    clock.advance(1)
    await Promise.resolve()
  }
  await settle()

  expect(starts).toHaveLength(300)
  expectAtMost(100, starts)
  // A jump lets one in early, and one after it by half of the spacing at most.
  for (let index = 2; index < 300; index++) {
    expect((starts[index] as number) - (starts[index - 2] as number)).toBeGreaterThanOrEqual(10)
  }
})

test('RateLimiter keeps rate, number and order while callers come, go and finish as they like', async () => {
  const event = fc.record({
    type: fc.constantFrom('acquire', 'acquire', 'acquire', 'try', 'abort', 'release', 'wait'),
    pick: fc.nat(),
    ms: fc.nat(120),
  })
  const limits = fc.record({
    requestsPerSecond: fc.integer({ min: 1, max: 40 }),
    burst: fc.integer({ min: 1, max: 3 }),
    maxConcurrent: fc.option(fc.integer({ min: 1, max: 5 }), { nil: Number.POSITIVE_INFINITY }),
  })

  await fc.assert(
    fc.asyncProperty(limits, fc.array(event, { maxLength: 120 }), async (options, events) => {
      const clock = new FakeClock()
      const limiter = new RateLimiter({ ...options, clock })
      const starts = new Starts(clock)
      const stops = new Map<number, AbortController>()
      const held: Permit[] = []
      let running = 0
      const take = (id: number, permit: Permit): void => {
        starts.note(id)
        stops.delete(id)
        running++
        held.push(permit)
        expect(running).toBeLessThanOrEqual(options.maxConcurrent)
      }
      for (const [id, { type, pick, ms }] of events.entries()) {
        if (type === 'acquire') {
          const stop = new AbortController()
          stops.set(id, stop)
          limiter.acquire({ signal: stop.signal }).then(
            (permit) => take(id, permit),
            () => {},
          )
        } else if (type === 'try') {
          const hadWaiters = limiter.waiting > 0
          const permit = limiter.tryAcquire()
          if (permit !== undefined) take(id, permit)
          expect(hadWaiters && permit !== undefined).toBe(false)
        } else if (type === 'abort') {
          const ids = [...stops.keys()]
          const id = ids[pick % ids.length]
          if (id === undefined) continue
          stops.get(id)?.abort()
          stops.delete(id)
        } else if (type === 'release') {
          const [permit] = held.splice(pick % Math.max(1, held.length), 1)
          if (permit !== undefined) {
            running--
            permit.release()
          }
        }
        await starts.moveOn(type === 'wait' ? ms : 0)
      }
      // The rest gets through: nothing was lost on the way.
      for (let round = 0; stops.size > 0 && round < 1000; round++) {
        for (const permit of held.splice(0)) {
          running--
          permit.release()
        }
        await starts.moveOn(250)
      }
      expect(stops.size).toBe(0)
      expect(limiter.waiting).toBe(0)
      expect(clock.pending).toBe(0)
      expect(starts.order).toEqual(starts.order.toSorted((one, other) => one - other))
      expectAtMost(options.requestsPerSecond + options.burst - 1, starts.at)
    }),
    { numRuns: 60 },
  )
})

/** What a limiter learns from responses. */
import { expect, test } from 'vitest'
import { FakeClock } from '../../testing/fake-clock.ts'
import { HeaderFields, type HeaderFieldsInit } from '../../protocol/semantics/header-fields.ts'
import { RateLimiter } from './rate-limiter.ts'
import type { ResponseSigns } from './server-wish.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const respond = (status: number, fields: HeaderFieldsInit = {}): ResponseSigns => ({
  status,
  headers: HeaderFields.from(fields),
})

/** How long until the limiter lets the next one in. */
async function nextStartMs(limiter: RateLimiter, clock: FakeClock): Promise<number> {
  const askedAt = clock.now()
  let grantedAt: number | undefined
  void limiter.acquire().then(() => (grantedAt = clock.now()))
  await settle()
  while (grantedAt === undefined && clock.now() < askedAt + 1_000_000) {
    clock.advance(10)
    await Promise.resolve()
  }
  return (grantedAt ?? Number.POSITIVE_INFINITY) - askedAt
}

test.each<[string, ResponseSigns, number]>([
  ['429 with seconds', respond(429, { 'Retry-After': '3' }), 3000],
  ['429 with a date', respond(429, { 'Retry-After': 'Sat, 21 Nov 2026 10:00:05 GMT' }), 5000],
  ['503 with Retry-After', respond(503, { 'Retry-After': '2' }), 2000],
  ['503 without', respond(503), 0],
  ['429 without', respond(429), 0],
  ['429 with a reset', respond(429, { 'X-RateLimit-Reset': '4' }), 4000],
  ['429 with both', respond(429, { 'Retry-After': '1', 'X-RateLimit-Reset': '4' }), 1000],
  ['429 that asks for a day', respond(429, { 'Retry-After': '86400' }), 120_000],
  ['200 that has used up a quota', respond(200, { RateLimit: '"p";r=0;t=6' }), 6000],
  ['200 with a quota left', respond(200, { RateLimit: '"p";r=1;t=6' }), 0],
  ['200 with Retry-After', respond(200, { 'Retry-After': '3' }), 0],
  ['500 with Retry-After', respond(500, { 'Retry-After': '3' }), 0],
])('RateLimiter stops for as long as the server asks: %s', async (_, response, expectedMs) => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ clock })

  limiter.note(response, NOW)

  expect(await nextStartMs(limiter, clock)).toBe(expectedMs)
  expect(clock.pending).toBe(0)
})

test('RateLimiter stops those that wait already, and keeps their order', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })
  const order: number[] = []
  for (const id of [0, 1, 2]) void limiter.acquire().then(() => order.push(id))

  limiter.note(respond(429, { 'Retry-After': '5' }), NOW)
  expect(String(limiter)).toBe('RateLimiter 10/s, waiting 2, paused 5000 ms, slowed to 50 %')
  clock.advance(4999)
  await settle()
  expect(order).toEqual([0])

  clock.advance(1)
  await settle()
  expect(order).toEqual([0, 1])

  clock.advance(199)
  await settle()
  expect(order).toEqual([0, 1])

  clock.advance(1)
  await settle()
  expect(order).toEqual([0, 1, 2])
})

test('RateLimiter holds on to the longer of two pauses', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ clock })

  limiter.note(respond(429, { 'Retry-After': '5' }), NOW)
  limiter.note(respond(429, { 'Retry-After': '2' }), NOW)
  limiter.note(respond(200), NOW)

  expect(await nextStartMs(limiter, clock)).toBe(5000)
})

test('RateLimiter goes on at half of its rate after a refusal, and gets back to it', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, clock })
  limiter.note(respond(429, { 'Retry-After': '1' }), NOW)
  clock.advance(1000)
  const starts: number[] = []
  const startedAt = clock.now()
  for (let count = 0; count < 150; count++) {
    void limiter.acquire().then(() => starts.push(clock.now() - startedAt))
  }

  for (let passed = 0; passed < 20_000; passed += 10) {
    clock.advance(10)
    await Promise.resolve()
  }

  const within = (from: number, to: number): number =>
    starts.filter((at) => at >= from && at < to).length
  expect(within(0, 1000)).toBeLessThanOrEqual(6)
  // 5/s growing to 10/s over ten seconds.
  expect(within(0, 10_000)).toBeGreaterThanOrEqual(70)
  expect(within(0, 10_000)).toBeLessThanOrEqual(77)
  expect(within(11_000, 16_000)).toBe(50)
})

test('RateLimiter that is slowed does not let a slow rate wait for longer than it has grown', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 0.1, clock })
  await limiter.acquire()
  limiter.note(respond(429), NOW)

  // 10 s become 20 s, and shrink again while the rate grows back within those.
  const waitMs = await nextStartMs(limiter, clock)

  expect(waitMs).toBeGreaterThan(12_000)
  expect(waitMs).toBeLessThan(15_000)
})

test('RateLimiter that is not adaptive heeds nothing', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ requestsPerSecond: 10, adaptive: false, clock })

  limiter.note(respond(429, { 'Retry-After': '5' }), NOW)

  expect(await nextStartMs(limiter, clock)).toBe(0)
  expect(await nextStartMs(limiter, clock)).toBe(100)
})

test('RateLimiter stops for no longer than it is told to', async () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ maxPauseMs: 2000, clock })

  limiter.note(respond(429, { 'Retry-After': '60' }), NOW)

  expect(await nextStartMs(limiter, clock)).toBe(2000)
})

test('RateLimiter reads instants by the time of day unless told another', () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter({ clock })

  limiter.note(respond(429, { 'X-RateLimit-Reset': String(Date.now() + 5000) }))

  expect(limiter.tryAcquire()).toBeUndefined()
  clock.advance(5001)
  expect(limiter.tryAcquire()).toBeDefined()
})

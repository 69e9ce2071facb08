import { expect, test } from 'vitest'
import { FakeClock } from '../../testing/fake-clock.ts'
import { OriginRateLimiters } from './origin-rate-limiters.ts'

test('OriginRateLimiters limits each origin by itself', () => {
  const limiters = new OriginRateLimiters({ requestsPerSecond: 1, clock: new FakeClock() })

  expect(limiters.limiterFor('http://a').tryAcquire()).toBeDefined()
  expect(limiters.limiterFor('http://b').tryAcquire()).toBeDefined()
  expect(limiters.limiterFor('http://a').tryAcquire()).toBeUndefined()
  expect(limiters.size).toBe(2)
})

test('OriginRateLimiters forgets those that are idle when others come', () => {
  const clock = new FakeClock()
  const limiters = new OriginRateLimiters({ requestsPerSecond: 10, clock })
  const busy = limiters.limiterFor('http://busy')

  for (let count = 0; count < 10_000; count++) {
    busy.tryAcquire()
    limiters.limiterFor(`http://${count}`).tryAcquire()
    clock.advance(50)
    expect(limiters.size).toBeLessThanOrEqual(64)
  }

  expect(limiters.limiterFor('http://busy')).toBe(busy)
  expect(clock.pending).toBe(0)
})

test('OriginRateLimiters keeps all that are in use, however many', () => {
  const limiters = new OriginRateLimiters({ maxConcurrent: 1 })

  for (let count = 0; count < 1000; count++) limiters.limiterFor(`http://${count}`).tryAcquire()

  expect(limiters.size).toBe(1000)
  expect(limiters.limiterFor('http://0').tryAcquire()).toBeUndefined()
})

test('OriginRateLimiters refuses options when they are given', () => {
  expect(() => new OriginRateLimiters({ burst: 0 })).toThrow('Cannot use burst 0')
})

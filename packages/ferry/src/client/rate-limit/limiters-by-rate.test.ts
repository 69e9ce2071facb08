import { expect, test } from 'vitest'
import { FakeClock } from '../../testing/fake-clock.ts'
import { LimitersByRate } from './limiters-by-rate.ts'

test('LimitersByRate gives one limiter to all who name the same rate', () => {
  const limiters = new LimitersByRate(new FakeClock())

  expect(limiters.limiterOf(10)).toBe(limiters.limiterOf(10))
  expect(limiters.limiterOf(10)).not.toBe(limiters.limiterOf(11))
})

test('LimitersByRate forgets limiters at rest when there are many, and none that has work', () => {
  const clock = new FakeClock()
  const limiters = new LimitersByRate(clock)
  const busy = limiters.limiterOf(0.01)
  busy.tryAcquire()
  const rested = limiters.limiterOf(10)

  for (let rate = 100; rate < 200; rate++) limiters.limiterOf(rate)

  expect(limiters.limiterOf(0.01)).toBe(busy)
  expect(limiters.limiterOf(10)).not.toBe(rested)
})

import { expect, test } from 'vitest'
import { systemClock } from './clock.ts'

test.each([Number.POSITIVE_INFINITY, 2 ** 31, 3e9])(
  'a delay of %d ms does not end at once',
  async (delayMs) => {
    let called = false
    const cancel = systemClock.after(delayMs, () => (called = true))
    await new Promise((resolve) => setTimeout(resolve, 20))

    expect(called).toBe(false)
    cancel()
  },
)

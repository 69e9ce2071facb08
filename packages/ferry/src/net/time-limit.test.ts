import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { TimeLimit } from './time-limit.ts'

const NEVER = new Promise<never>(() => {})

test('TimeLimit rejects the work when its time is up, and aborts its signal', async () => {
  const clock = new FakeClock()
  const limit = new TimeLimit(clock, { timeoutMs: 500, attempted: 'Cannot do it' })
  const outcome = expect(limit.race(NEVER)).rejects.toMatchObject({
    phase: 'connect',
    timeoutMs: 500,
    message: 'Cannot do it: not done within 500 ms',
  })

  clock.advance(500)

  await outcome
  expect(limit.signal.reason).toMatchObject({ timeoutMs: 500 })
})

test('TimeLimit rejects with the very reason of an abort and leaves nothing behind', async () => {
  const clock = new FakeClock()
  const abort = new AbortController()
  const { signal } = abort
  const limit = new TimeLimit(clock, { timeoutMs: 500, signal, attempted: 'x' })

  abort.abort('enough')

  await expect(limit.race(NEVER)).rejects.toBe('enough')
  expect(limit.signal.reason).toBe('enough')
  expect(clock.pending).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('TimeLimit gives what the work gives, and end() leaves nothing behind', async () => {
  const clock = new FakeClock()
  const { signal } = new AbortController()
  const limit = new TimeLimit(clock, { timeoutMs: 500, signal, attempted: 'x' })

  expect(await limit.race(Promise.resolve('done'))).toBe('done')
  limit.end()
  clock.advance(1_000)

  expect(limit.signal.aborted).toBe(false)
  expect(clock.pending).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test.each([Number.POSITIVE_INFINITY, 3_000_000_000])(
  'TimeLimit sets no timer for %d ms, which a timer of the platform would take for none',
  (timeoutMs) => {
    const clock = new FakeClock()

    const limit = new TimeLimit(clock, { timeoutMs, attempted: 'x' })

    expect(clock.pending).toBe(0)
    limit.end()
  },
)

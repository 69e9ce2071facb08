import { expect, test } from 'vitest'
import { FakeClock } from './fake-clock.ts'

test('FakeClock runs due timers by due time, then in the order they were set', () => {
  const clock = new FakeClock(0)
  const ran: string[] = []
  clock.after(20, () => ran.push(`b at ${clock.now()}`))
  clock.after(10, () => ran.push(`a at ${clock.now()}`))
  clock.after(20, () => ran.push(`c at ${clock.now()}`))
  clock.after(31, () => ran.push('too late'))

  clock.advance(30)

  expect(ran).toEqual(['a at 10', 'b at 20', 'c at 20'])
  expect(clock.now()).toBe(30)
  expect(clock.pending).toBe(1)
})

test('FakeClock runs timers that a callback sets within the same advance', () => {
  const clock = new FakeClock(0)
  const ran: number[] = []
  const again = (): void => {
    ran.push(clock.now())
    clock.after(10, again)
  }
  clock.after(10, again)

  clock.advance(35)

  expect(ran).toEqual([10, 20, 30])
})

test('FakeClock does not run a cancelled timer', () => {
  const clock = new FakeClock()
  let ran = false
  const cancel = clock.after(10, () => (ran = true))

  cancel()
  clock.advance(100)

  expect(ran).toBe(false)
  expect(clock.pending).toBe(0)
})

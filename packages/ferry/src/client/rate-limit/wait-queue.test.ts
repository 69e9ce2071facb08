import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WaitQueue } from './wait-queue.ts'

test('WaitQueue is first in, first out, also when members leave from anywhere', () => {
  const step = fc.record({ type: fc.constantFrom('add', 'first', 'leave'), at: fc.nat() })

  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new WaitQueue<{ id: number }>()
      let expected: { id: number }[] = []
      for (const [id, { type, at }] of steps.entries()) {
        if (type === 'add') {
          const member = { id }
          queue.add(member)
          expected.push(member)
        } else {
          const member = type === 'first' ? expected[0] : expected[at % expected.length]
          if (member === undefined) continue
          queue.delete(member)
          expected = expected.filter((one) => one !== member)
        }
        expect(queue.first).toBe(expected[0])
        expect(queue.size).toBe(expected.length)
      }
    }),
  )
})

test('WaitQueue takes no longer for being long', () => {
  const queue = new WaitQueue<object>()
  for (let count = 0; count < 200_000; count++) queue.add({})
  const startedAt = performance.now()

  for (let first = queue.first; first !== undefined; first = queue.first) queue.delete(first)

  // Seconds, if each look walked over all that have left.
  expect(performance.now() - startedAt).toBeLessThan(3000)
})

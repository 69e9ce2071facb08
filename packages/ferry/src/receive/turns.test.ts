import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

test('Turns lets so many work at the same time, and the others in their order', async () => {
  const turns = new Turns(2)
  const begun: number[] = []
  const held = await Promise.all([turns.take(), turns.take()])
  const waiting = [3, 4, 5].map(async (n) => {
    const turn = await turns.take()
    begun.push(n)
    return turn
  })

  held[0]?.[Symbol.dispose]()
  // Once is enough.
  held[0]?.[Symbol.dispose]()
  const third = await waiting[0]
  expect(begun).toEqual([3])
  third?.[Symbol.dispose]()
  held[1]?.[Symbol.dispose]()
  await Promise.all(waiting)

  expect(begun).toEqual([3, 4, 5])
})

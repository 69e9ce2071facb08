import { expect, test } from 'vitest'
import { BatchQueue } from './batch-queue.ts'

test('BatchQueue does together what is asked for together, and then what came meanwhile', async () => {
  const batches: number[][] = []
  const gate = Promise.withResolvers<void>()
  const queue = new BatchQueue<number, string>(async (items) => {
    batches.push([...items])
    await gate.promise
    return items.map((item) => `did ${item}`)
  })

  const first = [queue.add(1), queue.add(2)]
  await Promise.resolve()
  const second = [queue.add(3), queue.add(4)]
  gate.resolve()

  expect(await Promise.all([...first, ...second])).toEqual(['did 1', 'did 2', 'did 3', 'did 4'])
  expect(batches).toEqual([
    [1, 2],
    [3, 4],
  ])
})

test('BatchQueue tells a failure to those that it concerns, and goes on', async () => {
  let isBroken = true
  const queue = new BatchQueue<number, number>((items) => {
    const was = isBroken
    isBroken = false
    return was ? Promise.reject(new Error('broken')) : Promise.resolve([...items])
  })

  const failing = [queue.add(1), queue.add(2)]

  for (const one of failing) await expect(one).rejects.toThrow('broken')
  expect(await queue.add(3)).toBe(3)
})

test('BatchQueue does so much at once and no more', async () => {
  const lengths: number[] = []
  const queue = new BatchQueue<number, number>((items) => {
    lengths.push(items.length)
    return Promise.resolve([...items])
  })
  const items = Array.from({ length: 1000 }, (_, index) => index)

  expect(await Promise.all(items.map((item) => queue.add(item)))).toEqual(items)
  expect(lengths).toEqual([256, 256, 256, 232])
})

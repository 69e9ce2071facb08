import { expect, test } from 'vitest'
import { MessageQueue } from './message-queue.ts'

function createQueue(maxHeldBytes = 1000): { queue: MessageQueue; rooms: () => number } {
  let rooms = 0
  const queue = new MessageQueue(maxHeldBytes, () => void rooms++)
  return { queue, rooms: () => rooms }
}

test('MessageQueue gives messages in order, those that wait and those that come', async () => {
  const { queue } = createQueue()
  queue.push('a', 1)
  queue.push('b', 1)

  const taken = [await queue.take(), await queue.take()]
  const waiting = queue.take()
  queue.push('c', 1)

  expect([...taken, await waiting]).toEqual(['a', 'b', 'c'])
})

test('MessageQueue gives what is held before it tells of its end', async () => {
  const { queue } = createQueue()
  queue.push('a', 1)
  queue.end(new Error('broken'))
  queue.push('late', 4)
  queue.end()

  expect(await queue.take()).toBe('a')
  await expect(queue.take()).rejects.toThrow('broken')
  await expect(queue.take()).rejects.toThrow('broken')
})

test('MessageQueue gives undefined after a clean end, to whoever waits too', async () => {
  const { queue } = createQueue()
  const waiting = queue.take()
  queue.end()

  expect(await waiting).toBeUndefined()
  expect(await queue.take()).toBeUndefined()
})

test('MessageQueue throws away what it holds when it is aborted', async () => {
  const { queue } = createQueue()
  queue.push('a', 1)
  queue.abort(new Error('enough'))

  await expect(queue.take()).rejects.toThrow('enough')
  expect(queue.heldBytes).toBe(0)
})

test('MessageQueue is full above its limit and tells when half of it is free again', async () => {
  const { queue, rooms } = createQueue(1000)
  for (let index = 0; index < 3; index++) queue.push('x', 368)
  expect([queue.full, queue.heldBytes]).toEqual([true, 1200])

  await queue.take()
  expect([queue.full, rooms()]).toEqual([false, 0])
  await queue.take()
  expect([queue.full, rooms()]).toEqual([false, 1])
})

test('MessageQueue counts empty messages too', () => {
  const { queue } = createQueue(1000)

  for (let index = 0; index < 40; index++) queue.push('', 0)

  expect(queue.full).toBe(true)
})

test('MessageQueue keeps the order over many messages', async () => {
  const { queue } = createQueue(Infinity)
  const taken: unknown[] = []
  for (let index = 0; index < 5000; index++) {
    queue.push(String(index), 1)
    if (index % 3 === 0) taken.push(await queue.take())
  }
  queue.end()
  for (let next = await queue.take(); next !== undefined; next = await queue.take()) {
    taken.push(next)
  }

  expect(taken).toEqual(Array.from({ length: 5000 }, (_, index) => String(index)))
})

test('MessageQueue has one taker at a time', async () => {
  const { queue } = createQueue()
  const first = queue.take()

  await expect(queue.take()).rejects.toThrow(TypeError)
  queue.push('a', 1)
  expect(await first).toBe('a')
})

test('MessageQueue loses no message to a taker that gave up', async () => {
  const { queue } = createQueue()
  const abort = new AbortController()
  const taking = queue.take(abort.signal)
  abort.abort(new Error('no more'))
  queue.push('a', 1)

  await expect(taking).rejects.toThrow('no more')
  await expect(queue.take(AbortSignal.abort(new Error('never')))).resolves.toBe('a')
  await expect(queue.take(AbortSignal.abort(new Error('never')))).rejects.toThrow('never')
})

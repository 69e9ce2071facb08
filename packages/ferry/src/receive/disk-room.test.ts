import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { DiskRoom } from './disk-room.ts'

function createRoom(free: { bytes: number | undefined }): {
  room: DiskRoom
  clock: FakeClock
  looks: () => number
} {
  const clock = new FakeClock()
  let looks = 0
  const look = (): Promise<number | undefined> => {
    looks++
    return Promise.resolve(free.bytes)
  }
  return { room: new DiskRoom(look, clock), clock, looks: () => looks }
}

test('DiskRoom looks once a second, and counts what it has let in meanwhile', async () => {
  const free = { bytes: 1000 }
  const { room, clock, looks } = createRoom(free)

  const answers = [await room.take(300, 100), await room.take(300, 100), await room.take(300, 100)]
  expect([answers, looks()]).toEqual([[undefined, undefined, undefined], 1])
  // What was let in may not have been written yet, or not all of it: the disk knows best.
  expect(await room.take(300, 100)).toBeUndefined()
  expect(looks()).toBe(2)
  clock.advance(1000)
  await room.take(1, 100)

  expect(looks()).toBe(3)
})

test('DiskRoom refuses what would use up the reserve, by what the disk says now', async () => {
  const free = { bytes: 1000 }
  const { room } = createRoom(free)
  expect(await room.take(800, 100)).toBeUndefined()
  free.bytes = 200

  expect(await room.take(101, 100)).toBe(200)
  expect(await room.take(100, 100)).toBeUndefined()
  expect(await room.take(1, 100)).toBeUndefined()
})

test('DiskRoom lets everything in where nobody can tell', async () => {
  const { room } = createRoom({ bytes: undefined })

  expect(await room.take(1e15, 1e9)).toBeUndefined()
})

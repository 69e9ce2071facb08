import { expect, test } from 'vitest'
import { EventQueue, type ServerEvent } from './event-queue.ts'

function event(data: string): ServerEvent {
  return { type: 'message', data, lastEventId: '' }
}

/** Of an event with one character of data, beside its seven of type. */
const EVENT_BYTES = 72

class Fixture {
  rooms = 0
  readonly queue: EventQueue

  constructor(maxEvents = 4) {
    this.queue = new EventQueue(maxEvents * EVENT_BYTES, () => this.rooms++)
  }

  push(...texts: string[]): void {
    for (const text of texts) this.queue.push(event(text))
  }

  async take(count: number): Promise<string[]> {
    const taken: string[] = []
    for (let index = 0; index < count; index++) {
      const { value } = await this.queue.next()
      taken.push(value?.data ?? 'done')
    }
    return taken
  }
}

test('EventQueue gives events in order, whenever they are asked for', async () => {
  const fixture = new Fixture()
  const early = [fixture.queue.next(), fixture.queue.next()]
  fixture.push('1', '2', '3')
  const first = await fixture.take(1)
  fixture.push('4', '5')

  const rest = await fixture.take(2)

  expect((await Promise.all(early)).map(({ value }) => value?.data)).toEqual(['1', '2'])
  expect([...first, ...rest]).toEqual(['3', '4', '5'])
  expect(fixture.queue.size).toBe(0)
})

test('EventQueue is full from maxHeldBytes on, until half of it has been taken', async () => {
  const fixture = new Fixture(4)
  fixture.push('1', '2', '3')
  expect(fixture.queue.isFull).toBe(false)
  fixture.push('4')
  expect(fixture.queue.isFull).toBe(true)

  await fixture.take(1)
  expect([fixture.queue.isFull, fixture.rooms]).toEqual([true, 0])
  await fixture.take(1)
  expect([fixture.queue.isFull, fixture.rooms]).toEqual([false, 1])

  await fixture.take(2)
  expect(fixture.rooms).toBe(1)
})

test('EventQueue has room again after an event larger than all of it', async () => {
  const fixture = new Fixture(1)
  fixture.push('x'.repeat(1000))
  expect(fixture.queue.isFull).toBe(true)

  await fixture.take(1)

  expect([fixture.queue.isFull, fixture.rooms]).toEqual([false, 1])
})

test('EventQueue gives what is held before the end', async () => {
  const fixture = new Fixture()
  fixture.push('1')
  fixture.queue.end({ ok: true })
  fixture.push('too late')

  expect(await fixture.take(3)).toEqual(['1', 'done', 'done'])
})

test('EventQueue gives what is held before the error, and the error once', async () => {
  const fixture = new Fixture()
  fixture.push('1')
  fixture.queue.end({ ok: false, error: 'broken' })

  expect(await fixture.take(1)).toEqual(['1'])
  await expect(fixture.queue.next()).rejects.toBe('broken')
  expect(await fixture.take(1)).toEqual(['done'])
})

test('EventQueue tells the error to one of those who wait', async () => {
  const { queue } = new Fixture()
  const waiting = [queue.next(), queue.next()]

  queue.end({ ok: false, error: 'broken' })

  expect(await Promise.allSettled(waiting)).toEqual([
    { status: 'rejected', reason: 'broken' },
    { status: 'fulfilled', value: { done: true, value: undefined } },
  ])
  await expect(queue.next()).resolves.toMatchObject({ done: true })
})

test('EventQueue forgets what is held', async () => {
  const fixture = new Fixture()
  fixture.push('1', '2', '3')
  await fixture.take(1)
  fixture.push('4')

  fixture.queue.end({ ok: true })
  fixture.queue.drop()

  expect(fixture.queue.size).toBe(0)
  expect(await fixture.take(1)).toEqual(['done'])
})

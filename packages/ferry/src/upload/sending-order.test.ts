import { expect, test } from 'vitest'
import { SendingOrder } from './sending-order.ts'

interface Item {
  readonly name: string
  readonly at: number
}

function itemsOf(...names: string[]): Item[] {
  return names.map((name, at) => ({ name, at }))
}

/** Takes as many as there are to take now. */
function takeAll(order: SendingOrder<Item>): Item[] {
  const taken: Item[] = []
  for (let item = order.take(); item !== undefined; item = order.take()) taken.push(item)
  return taken
}

test('SendingOrder gives items in their order', () => {
  const items = itemsOf('a', 'b', 'c')

  expect(takeAll(new SendingOrder(items))).toEqual(items)
  expect(takeAll(new SendingOrder<Item>([]))).toEqual([])
})

test('SendingOrder gives items of one file name one after another', () => {
  const items = itemsOf('x/a', 'b', 'a', 'y\\a', 'c')
  const order = new SendingOrder(items)

  expect(takeAll(order).map(({ at }) => at)).toEqual([0, 1, 4])
  order.done(items[1] as Item)
  expect(takeAll(order)).toEqual([])
  order.done(items[0] as Item)
  expect(takeAll(order).map(({ at }) => at)).toEqual([2])
  order.done(items[2] as Item)
  expect(takeAll(order).map(({ at }) => at)).toEqual([3])
  order.done(items[3] as Item)
  expect(takeAll(order)).toEqual([])
})

test('SendingOrder gives what waited its place before what comes later', () => {
  const items = itemsOf('a', 'a', 'b', 'b', 'c')
  const order = new SendingOrder(items)

  expect(order.take()).toBe(items[0])
  order.done(items[0] as Item)
  expect(order.take()).toBe(items[1])
  expect(order.take()).toBe(items[2])
  order.done(items[2] as Item)
  expect(order.take()).toBe(items[3])
  expect(order.take()).toBe(items[4])
  expect(order.take()).toBeUndefined()
})

test('SendingOrder gives 200,000 items once each, of many names and of one', () => {
  for (const nameOf of [(at: number) => `${at}`, () => 'index.html']) {
    const items = Array.from({ length: 200_000 }, (_, at) => ({ name: nameOf(at), at }))
    const order = new SendingOrder(items)
    let taken = 0
    for (let item = order.take(); item !== undefined; item = order.take()) {
      if (item.at === taken) taken++
      order.done(item)
    }

    expect(taken).toBe(items.length)
  }
})

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { HttpClient } from './http-client.ts'
import { paginate } from './paginate.ts'

/** A list of five items, two on a page; `how` tells where the next page is. */
async function serve(how: 'link' | 'cursor' | 'itself'): Promise<{
  readonly url: string
  readonly asked: string[]
  [Symbol.asyncDispose](): Promise<void>
}> {
  const asked: string[] = []
  const server = createServer(({ url = '' }, response) => {
    asked.push(url)
    const { searchParams } = new URL(url, 'http://a')
    const at = Number(searchParams.get('at') ?? 0)
    const items = [1, 2, 3, 4, 5].slice(at, at + 2)
    const isLast = at + 2 >= 5
    const next = `?at=${at + 2}&key=${searchParams.get('key')}`
    if (how === 'link' && !isLast) response.setHeader('Link', `<${next}>; rel="next"`)
    if (how === 'itself') response.setHeader('Link', `<${url}>; rel="next"`)
    response.end(JSON.stringify({ items, cursor: isLast ? null : at + 2 }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/items`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface List {
  readonly items: readonly number[]
  readonly cursor: number | null
}

test('paginate() follows the links of relation next to the last page', async () => {
  await using server = await serve('link')
  await using client = new HttpClient()
  const items: number[] = []

  for await (const { value } of paginate<List>(client, server.url, { params: { key: 'k' } })) {
    items.push(...value.items)
  }

  expect(items).toEqual([1, 2, 3, 4, 5])
  expect(server.asked).toEqual(['/items?key=k', '/items?at=2&key=k', '/items?at=4&key=k'])
})

test('paginate() takes a link as it is: parameters of the client stand in it already', async () => {
  await using server = await serve('link')
  await using client = new HttpClient({ params: { key: 'k' } })
  const pages = paginate<List>(client, server.url, { params: { at: 1 } })

  for await (const { number } of pages) expect(number).toBeLessThan(3)

  expect(server.asked).toEqual(['/items?key=k&at=1', '/items?at=3&key=k'])
})

test('paginate() goes where a callback says, and no further than allowed', async () => {
  await using server = await serve('cursor')
  await using client = new HttpClient()
  const numbers: number[] = []

  const pages = paginate<List>(client, server.url, {
    next: ({ value }) => (value.cursor === null ? undefined : `?at=${value.cursor}`),
    maxPages: 2,
  })
  for await (const { number } of pages) numbers.push(number)

  expect(numbers).toEqual([1, 2])
  expect(server.asked).toEqual(['/items', '/items?at=2'])
})

test('paginate() asks for no page that nobody takes', async () => {
  await using server = await serve('link')
  await using client = new HttpClient()

  for await (const { response } of paginate<List>(client, server.url)) {
    expect(response.status).toBe(200)
    break
  }

  expect(server.asked).toHaveLength(1)
})

test('paginate() refuses a page that leads to itself', async () => {
  await using server = await serve('itself')
  await using client = new HttpClient()
  const pages = paginate(client, server.url)

  await pages.next()

  await expect(pages.next()).rejects.toThrow('it leads to itself')
})

import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { CacheFixture, pathWith } from '../../testing/cache-fixture.ts'

const MINUTE = pathWith({ 'cache-control': 'max-age=60' })
const NO_STORE = pathWith({ 'cache-control': 'no-store' })

test('identical requests wait for the one that is under way', async () => {
  await using cache = await CacheFixture.start({ coalesce: true })

  const answers = await Promise.all(Array.from({ length: 10 }, () => cache.get(MINUTE)))

  expect(answers.toSorted()).toEqual([...Array.from({ length: 9 }, () => 'n1 fresh'), 'n1 server'])
  expect(cache.asked).toBe(1)
})

test('without it each goes to the server', async () => {
  await using cache = await CacheFixture.start()

  await Promise.all([cache.get(MINUTE), cache.get(MINUTE)])

  expect(cache.asked).toBe(2)
})

test('requests with other fields do not wait for each other', async () => {
  await using cache = await CacheFixture.start({ coalesce: true })

  await Promise.all(['a', 'b'].map((token) => cache.get(MINUTE, { headers: { Accept: token } })))

  expect(cache.asked).toBe(2)
})

test('those that waited in vain go to the server together', async () => {
  await using cache = await CacheFixture.start({ coalesce: true })
  const held: ServerResponse[] = []
  cache.listener = (_, response) => void held.push(response)
  const answerAll = (): void => {
    for (const response of held.splice(0)) {
      response.setHeader('Cache-Control', 'no-store').end('text')
    }
  }

  const answers = Promise.all(Array.from({ length: 5 }, () => cache.get(NO_STORE)))
  await expect.poll(() => held.length, { interval: 5 }).toBe(1)
  answerAll()
  await expect.poll(() => held.length, { interval: 5 }).toBe(4)
  answerAll()
  await answers

  expect(cache.asked).toBe(5)
})

test.each([
  ['is aborted', 'enough'],
  ['fails', 'the server closed the connection'],
])('when the first %s, the others go on', async (what, message) => {
  await using cache = await CacheFixture.start({ coalesce: true })
  const controller = new AbortController()
  cache.listener = (_, response) => {
    cache.listener = undefined
    if (what === 'fails') response.destroy()
    else controller.abort(new Error('enough'))
  }
  const first = cache.get(MINUTE, { signal: controller.signal })

  const second = cache.get(MINUTE)

  await expect(first).rejects.toThrow(message)
  expect(await second).toBe('n1 server')
})

test('nobody waits for a caller that does not read', async () => {
  await using cache = await CacheFixture.start({ coalesce: true })
  const big = Buffer.alloc(1_000_000, 'x')
  cache.listener = (_, response) => void response.setHeader('Cache-Control', 'max-age=60').end(big)
  const first = await cache.server.send('GET', '/')

  const second = await cache.server.send('GET', '/')

  expect((await second.body.bytes()).length).toBe(big.length)
  expect((await first.body.bytes()).length).toBe(big.length)
  expect(cache.asked).toBe(1)
})

test('a caller that does not read holds up too long content, and the others fetch their own', async () => {
  await using cache = await CacheFixture.start({ coalesce: true, maxBodyBytes: 100_000 })
  const big = Buffer.alloc(10_000_000, 'x')
  cache.listener = (_, response) => {
    response.setHeader('Cache-Control', 'max-age=60').write(big)
    response.end()
  }
  const first = await cache.server.send('GET', '/')

  const second = await cache.server.send('GET', '/')

  expect((await second.body.bytes()).length).toBe(big.length)
  expect((await first.body.bytes()).length).toBe(big.length)
  expect(cache.asked).toBe(2)
})

test('an abort ends the wait for another request', async () => {
  await using cache = await CacheFixture.start({ coalesce: true })
  let release = (): void => {}
  cache.listener = (_, response) =>
    void (release = () => response.setHeader('Cache-Control', 'max-age=60').end('text'))
  const first = cache.get(MINUTE)
  const controller = new AbortController()
  const second = cache.get(MINUTE, { signal: controller.signal })
  while (cache.asked === 0) await new Promise((resolve) => setTimeout(resolve, 5))

  controller.abort(new Error('enough'))

  await expect(second).rejects.toThrow('enough')
  release()
  expect(await first).toBe('text server')
})

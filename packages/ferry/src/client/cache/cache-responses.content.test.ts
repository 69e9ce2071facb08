import { expect, test } from 'vitest'
import { CacheFixture, pathWith } from '../../testing/cache-fixture.ts'
import { createRequestStream } from '../../transport/request-stream.ts'
import { HttpRequest } from '../../transport/http-request.ts'
import { HttpResponse } from '../../transport/http-response.ts'
import { sendThrough } from '../interceptor.ts'
import { cacheResponses } from './cache-responses.ts'
import type { CacheStore } from './cache-store.ts'
import { cacheUseOf } from './cache-use.ts'
import { createMemoryCacheStore } from './memory-cache-store.ts'

const MINUTE = pathWith({ 'cache-control': 'max-age=60' })
const BIG = Buffer.alloc(1_000_000, 'abcdefg')

test('long content is stored while it is read, whichever way', async () => {
  await using cache = await CacheFixture.start()
  cache.listener = (_, response) => void response.setHeader('Cache-Control', 'max-age=60').end(BIG)
  const read = [
    async (response: HttpResponse) => response.body.bytes(),
    async (response: HttpResponse) => {
      const pieces: Uint8Array[] = []
      for await (const piece of response.body) pieces.push(piece)
      return Buffer.concat(pieces)
    },
    async (response: HttpResponse) => {
      const pieces: Buffer[] = []
      let resume = (): void => {}
      await response.body.pipe({
        start: (flow) => (resume = () => flow.resume()),
        write: (bytes) => {
          pieces.push(Buffer.from(bytes))
          setImmediate(resume)
          return false
        },
      })
      return Buffer.concat(pieces)
    },
  ]

  for (const [index, one] of read.entries()) {
    for (const use of [undefined, 'fresh']) {
      const response = await cache.server.send('GET', `/${index}`)
      expect(cacheUseOf(response)).toBe(use)
      expect(Buffer.compare(await one(response), BIG)).toBe(0)
    }
  }
  expect(cache.asked).toBe(3)
})

test('a response without content is stored although nobody takes any', async () => {
  await using cache = await CacheFixture.start()
  cache.listener = (_, response) => {
    response.setHeader('Cache-Control', 'max-age=60').setHeader('Location', '/x')
    response.setHeader('Content-Length', 0).writeHead(301).end()
  }
  await cache.server.send('GET', '/')

  await expect.poll(() => cache.get('/')).toBe('301  fresh')
})

test('a change of what a caller got does not change what is stored', async () => {
  await using cache = await CacheFixture.start()
  for (const size of [10, 200_000]) {
    cache.listener = (_, response) =>
      void response.setHeader('Cache-Control', 'max-age=60').end(Buffer.alloc(size, 'a'))
    for (let round = 0; round < 3; round++) {
      const response = await cache.server.send('GET', `/${size}`)
      const bytes = await response.body.bytes()
      expect(bytes.every((byte) => byte === 0x61)).toBe(true)
      bytes.fill('b')
    }
  }
})

test('content that is given up, or cut short, is not stored', async () => {
  await using cache = await CacheFixture.start()
  cache.listener = ({ url }, response) => {
    response.setHeader('Cache-Control', 'max-age=60')
    if (url === '/short') response.setHeader('Content-Length', BIG.length + 1)
    response.write(BIG, () => (url === '/short' ? response.destroy() : undefined))
    if (url === '/whole') response.end()
  }

  const given = await cache.server.send('GET', '/given')
  given.body.cancel()
  await expect(given.body.bytes()).rejects.toThrow('given up')
  const begun = await cache.server.send('GET', '/begun')
  for await (const piece of begun.body) if (piece.length > 0) break
  const short = await cache.server.send('GET', '/short')
  await expect(short.body.bytes()).rejects.toMatchObject({ code: 'connection-lost' })

  const only = { headers: { 'Cache-Control': 'only-if-cached' } }
  for (const one of ['/given', '/begun', '/short']) {
    expect(await cache.get(one, only)).toBe('504  server')
  }
})

test.each([
  ['a known length', true],
  ['an unknown length', false],
])('content of %s that is too long passes through', async (_, isKnown) => {
  await using cache = await CacheFixture.start({ maxBodyBytes: BIG.length - 1 })
  cache.listener = (_, response) => {
    response.setHeader('Cache-Control', 'max-age=60')
    if (isKnown) response.setHeader('Content-Length', BIG.length)
    response.write(BIG)
    response.end()
  }
  for (let round = 1; round <= 2; round++) {
    const response = await cache.server.send('GET', '/')
    expect(response.headers.has('content-length')).toBe(isKnown)
    expect((await response.body.bytes()).length).toBe(BIG.length)
    expect(cache.asked).toBe(round)
  }
})

test('a slow reader slows the server while its content is kept', async () => {
  await using cache = await CacheFixture.start({ maxBodyBytes: 1e9 })
  let written = 0
  cache.listener = (_, response) => {
    response.setHeader('Cache-Control', 'max-age=60')
    const write = (): void => {
      while (written < 100_000_000) {
        written += BIG.length
        if (!response.write(BIG)) return void response.once('drain', write)
      }
    }
    write()
  }
  const response = await cache.server.send('GET', '/')
  const reading = response.body.pipe({ write: () => false })

  await new Promise((resolve) => setTimeout(resolve, 300))

  expect(written).toBeLessThan(50_000_000)
  response.body.cancel()
  await expect(reading).rejects.toThrow('given up')
})

test('what came by a redirection is not stored under the first URL', async () => {
  const cache = cacheResponses()
  let sent = 0
  const send = (): Promise<HttpResponse> =>
    sendThrough([cache], new HttpRequest('GET', 'http://a/from'), {
      attempt: 1,
      signal: undefined,
      send: () => {
        sent++
        const headers = { 'Cache-Control': 'max-age=60' }
        return Promise.resolve(HttpResponse.create({ status: 200, headers, url: 'http://a/to' }))
      },
    })

  await (await send()).body.bytes()
  await (await send()).body.bytes()

  expect(sent).toBe(2)
})

test('a length that is not that of the content is not stored', async () => {
  const cache = cacheResponses()
  const send = (): Promise<HttpResponse> =>
    sendThrough([cache], new HttpRequest('GET', 'http://a/'), {
      attempt: 1,
      signal: undefined,
      send: () => {
        const headers = { 'Cache-Control': 'max-age=60' }
        const response = HttpResponse.create({
          status: 200,
          url: 'http://a/',
          headers,
          body: 'decoded',
        })
        return Promise.resolve(response.withHeader('Content-Length', '3'))
      },
    })
  await (await send()).body.bytes()

  const response = await send()

  expect(response.headers.has('content-length')).toBe(false)
  expect((await response.body.bytes()).toString()).toBe('decoded')
})

test('a response whose content somebody has taken passes through', async () => {
  const request = new HttpRequest('GET', 'http://a/')
  const response = await sendThrough([cacheResponses()], request, {
    attempt: 1,
    signal: undefined,
    send: async () => {
      const headers = { 'Cache-Control': 'max-age=60' }
      const taken = HttpResponse.create({ status: 200, url: 'http://a/', headers, body: 'text' })
      await taken.body.bytes()
      return taken
    },
  })

  expect(response.body.used).toBe(true)
})

test('a GET with content goes to the server', async () => {
  await using cache = await CacheFixture.start()
  await cache.get(MINUTE)

  expect(await cache.get(MINUTE, { content: createRequestStream('query') })).toBe('n2 server')
  expect(await cache.get(MINUTE)).toBe('n1 fresh')
})

test('a store that fails costs its answers and nothing else', async () => {
  const errors: string[] = []
  const fail = (name: string) => (): never => {
    throw new Error(name)
  }
  const store: CacheStore = {
    ...{ find: fail('find'), readBody: fail('readBody'), put: fail('put') },
    ...{ update: fail('update'), remove: fail('remove'), close: () => {} },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const onStoreError = (error: unknown): void => void errors.push((error as Error).message)
  await using cache = await CacheFixture.start({ store, onStoreError })

  expect([await cache.get(MINUTE), await cache.get(MINUTE)]).toEqual(['n1 server', 'n2 server'])
  await cache.get('/', {}, 'POST')

  expect(errors).toEqual(['find', 'put', 'find', 'put', 'remove'])
})

test('a store that fails is a warning of the process, once', async () => {
  const warnings: string[] = []
  const record = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', record)
  const store = createMemoryCacheStore()
  store.put = () => Promise.reject(new Error('disk failed'))
  await using cache = await CacheFixture.start({ store })

  await cache.get(MINUTE)
  await cache.get(MINUTE)
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', record)

  expect(warnings).toEqual(['The store of an HTTP cache failed: disk failed'])
})

test('content that is gone from the store is fetched anew', async () => {
  const store = createMemoryCacheStore()
  await using cache = await CacheFixture.start({ store })
  const tagged = pathWith({ 'cache-control': 'max-age=60', etag: '"a"' })
  await cache.get(tagged)
  store.readBody = () => undefined

  expect(await cache.get(tagged)).toBe('n3 server')

  expect(cache.server.received('if-none-match')).toEqual([undefined, '"a"', undefined])
})

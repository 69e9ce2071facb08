import { expect, test } from 'vitest'
import { CacheFixture, pathWith } from '../../testing/cache-fixture.ts'
import { createMemoryCacheStore } from './memory-cache-store.ts'

const MINUTE = pathWith({ 'cache-control': 'max-age=60' })
const TAGGED = pathWith({ 'cache-control': 'max-age=60', etag: '"a"' })

test.each<[what: string, fields: Record<string, string>, answers: readonly string[]]>([
  ['fresh', { 'cache-control': 'max-age=60' }, ['n1 server', 'n1 fresh', 'n3 server']],
  [
    'confirmed by tag',
    { 'cache-control': 'max-age=60', etag: '"a"' },
    ['n1 server', 'n1 fresh', 'n1 revalidated'],
  ],
  [
    'confirmed by weak tag',
    { 'cache-control': 'max-age=60', etag: 'W/"a"' },
    ['n1 server', 'n1 fresh', 'n1 revalidated'],
  ],
  [
    'confirmed by date',
    { 'cache-control': 'max-age=60', 'last-modified': 'Tue, 01 Jan 2019 00:00:00 GMT' },
    ['n1 server', 'n1 fresh', 'n1 revalidated'],
  ],
  [
    'no-cache',
    { 'cache-control': 'no-cache', etag: '"a"' },
    ['n1 server', 'n1 revalidated', 'n1 revalidated'],
  ],
  [
    'no-store',
    { 'cache-control': 'no-store', etag: '"a"' },
    ['n1 server', 'n2 server', 'n3 server'],
  ],
  ['private', { 'cache-control': 'private, max-age=60' }, ['n1 server', 'n1 fresh', 'n3 server']],
  [
    'must-revalidate',
    { 'cache-control': 'must-revalidate, max-age=60', etag: '"a"' },
    ['n1 server', 'n1 fresh', 'n1 revalidated'],
  ],
  ['nothing', {}, ['n1 server', 'n2 server', 'n3 server']],
  [
    '404',
    { 'cache-control': 'max-age=60', status: '404' },
    ['404 n1 server', '404 n1 fresh', '404 n3 server'],
  ],
  [
    '301',
    { 'cache-control': 'max-age=60', status: '301', location: '/x' },
    ['301 n1 server', '301 n1 fresh', '301 n3 server'],
  ],
  [
    '204',
    { 'cache-control': 'max-age=60', status: '204' },
    ['204  server', '204  fresh', '204  server'],
  ],
  [
    '500',
    { 'cache-control': 'max-age=60', status: '500' },
    ['500 n1 server', '500 n2 server', '500 n3 server'],
  ],
])('a response: %s', async (_, fields, answers) => {
  await using cache = await CacheFixture.start()
  const url = pathWith(fields)

  const first = await cache.get(url)
  cache.advance(30)
  const second = await cache.get(url)
  cache.advance(60)
  // What was answered from the store did not reach the server: its count goes on from there.
  const third = await cache.get(url)

  const count = (answer: string): string => answer.replace(/n[23] server/, 'n# server')
  expect([first, second, third].map(count)).toEqual(answers.map(count))
})

test.each<[what: string, asked: string, after: number, answer: string]>([
  ['no-cache', 'no-cache', 1, 'n1 revalidated'],
  ['max-age', 'max-age=10', 20, 'n1 revalidated'],
  ['min-fresh', 'min-fresh=50', 20, 'n1 revalidated'],
  ['max-stale', 'max-stale', 90, 'n1 stale'],
  ['no-store', 'no-store', 1, 'n2 server'],
  ['only-if-cached', 'only-if-cached', 1, 'n1 fresh'],
  ['only-if-cached, and stale', 'only-if-cached', 90, '504  server'],
])('a request with %s', async (_, asked, seconds, answer) => {
  await using cache = await CacheFixture.start()
  await cache.get(TAGGED)
  cache.advance(seconds)

  expect(await cache.get(TAGGED, { headers: { 'Cache-Control': asked } })).toBe(answer)
})

test('what is answered from the store has an Age, and the other fields as they were', async () => {
  await using cache = await CacheFixture.start()
  const url = pathWith({
    'cache-control': 'max-age=60',
    'x-one': '1',
    'x-hop': '1',
    connection: 'x-hop, keep-alive',
    'set-cookie': 'a=1',
    body: 'text',
  })
  const first = await cache.server.send('GET', url)
  await first.body.bytes()
  cache.advance(30)

  const second = await cache.server.send('GET', url)

  expect(Object.fromEntries(second.headers)).toEqual({
    Age: '30',
    'Content-Length': '4',
    Date: first.headers.get('date'),
    'cache-control': 'max-age=60',
    'x-one': '1',
  })
  expect(second).toMatchObject({ status: 200, statusText: 'OK', version: '1.1', url: first.url })
  expect(second.connection).toBeUndefined()
})

test('a 304 brings the stored response up to date', async () => {
  await using cache = await CacheFixture.start()
  await cache.get(TAGGED)
  cache.advance(61)
  cache.listener = ({ headers }, response) => {
    const isSame = headers['if-none-match'] === '"a"'
    response.setHeader('Cache-Control', 'max-age=600').setHeader('X-New', 'yes')
    response
      .setHeader('Content-Type', 'text/x-not')
      .writeHead(isSame ? 304 : 500)
      .end()
  }

  const confirmed = await cache.server.send('GET', TAGGED)
  cache.advance(599)

  expect(confirmed.headers.get('x-new')).toBe('yes')
  expect(confirmed.headers.get('content-type')).toBeUndefined()
  expect(await cache.get(TAGGED)).toBe('n1 fresh')
  expect(cache.asked).toBe(2)
})

test('a 304 about another version is not believed', async () => {
  await using cache = await CacheFixture.start()
  await cache.get(TAGGED)
  cache.advance(61)
  cache.listener = ({ headers }, response) => {
    if (headers['if-none-match'] === undefined) response.end('whole')
    else response.setHeader('ETag', '"b"').writeHead(304).end()
  }

  expect(await cache.get(TAGGED)).toBe('whole server')
  expect(
    await cache.get(TAGGED, { headers: { 'Cache-Control': 'only-if-cached, max-stale' } }),
  ).toBe('504  server')
})

test('a 304 with a strong tag confirms what had it as a weak one', async () => {
  await using cache = await CacheFixture.start()
  cache.listener = ({ headers }, response) => {
    const isAsked = headers['if-none-match'] === 'W/"a"'
    response.setHeader('Cache-Control', 'no-cache').setHeader('ETag', isAsked ? '"a"' : 'W/"a"')
    response.statusCode = isAsked ? 304 : 200
    response.end(isAsked ? undefined : 'text')
  }
  await cache.get('/')

  expect(await cache.get('/')).toBe('text revalidated')
})

test('an Age that a 304 no longer has does not count', async () => {
  await using cache = await CacheFixture.start()
  cache.listener = ({ headers }, response) => {
    response.setHeader('Cache-Control', 'max-age=60').setHeader('ETag', '"a"')
    if (headers['if-none-match'] === undefined) response.setHeader('Age', '50').end('text')
    else response.writeHead(304).end()
  }
  await cache.get('/')
  cache.advance(20)
  expect(await cache.get('/')).toBe('text revalidated')
  cache.advance(59)

  expect(await cache.get('/')).toBe('text fresh')
})

test('a new version takes the place of the old one', async () => {
  await using cache = await CacheFixture.start()
  await cache.get(TAGGED)
  cache.advance(61)
  cache.listener = (_, response) =>
    void response.setHeader('Cache-Control', 'max-age=60').end('version two')
  expect(await cache.get(TAGGED)).toBe('version two server')

  expect(await cache.get(TAGGED)).toBe('version two fresh')
})

test('a new version that may not be stored leaves none', async () => {
  await using cache = await CacheFixture.start({ staleIfErrorMs: 1e9 })
  await cache.get(TAGGED)
  cache.advance(61)
  cache.listener = (_, response) => void response.setHeader('Cache-Control', 'no-store').end('two')
  await cache.get(TAGGED)
  cache.listener = (_, response) => void response.writeHead(503).end('down')

  expect(await cache.get(TAGGED)).toBe('503 down server')
})

test('Vary tells requests apart', async () => {
  await using cache = await CacheFixture.start()
  const url = pathWith({ 'cache-control': 'max-age=60', vary: 'Accept-Language, X-Other' })
  const ask = (language?: string): Promise<string> =>
    cache.get(url, { headers: language === undefined ? {} : { 'Accept-Language': language } })

  const answers = [await ask('de'), await ask('en'), await ask(), await ask('de'), await ask('en')]

  expect(answers).toEqual(['n1 server', 'n2 server', 'n3 server', 'n1 fresh', 'n2 fresh'])
  expect(await ask()).toBe('n3 fresh')
})

test.each(['Authorization', 'Cookie', 'Accept-Encoding'])(
  'requests with another %s do not see each other',
  async (name) => {
    await using cache = await CacheFixture.start()
    const ask = (value: string): Promise<string> =>
      cache.get(MINUTE, { headers: { [name]: value } })

    const answers = [await ask('one'), await ask('two'), await cache.get(MINUTE), await ask('one')]

    expect(answers).toEqual(['n1 server', 'n2 server', 'n3 server', 'n1 fresh'])
  },
)

test('a shared cache keeps nothing private, and what is public for all', async () => {
  await using cache = await CacheFixture.start({ shared: true })
  const open = pathWith({ 'cache-control': 'public, max-age=60' })
  const secret = pathWith({ 'cache-control': 'private, max-age=60' })

  await cache.get(open, { headers: { Authorization: 'one' } })
  await cache.get(secret)

  expect(await cache.get(open, { headers: { Authorization: 'two' } })).toBe('n1 fresh')
  expect(await cache.get(secret)).toBe('n3 server')
})

test.each<[what: string, fields: Record<string, string>]>([
  ['Range', { Range: 'bytes=0-0' }],
  ['If-None-Match', { 'If-None-Match': '"x"' }],
  ['If-Modified-Since', { 'If-Modified-Since': 'Tue, 01 Jan 2019 00:00:00 GMT' }],
])('a request with %s goes to the server and is not stored', async (_, headers) => {
  await using cache = await CacheFixture.start()
  await cache.get(MINUTE, { headers })
  await cache.get(MINUTE)

  expect(await cache.get(MINUTE, { headers })).toBe('n3 server')
  expect(await cache.get(MINUTE)).toBe('n2 fresh')
})

test('HEAD is answered from what GET brought, and tells when that is old', async () => {
  await using cache = await CacheFixture.start()
  await cache.get(TAGGED)

  const head = await cache.server.send('HEAD', TAGGED)
  expect(head.headers.get('content-length')).toBe('2')
  expect(await cache.get(TAGGED, {}, 'HEAD')).toBe(' fresh')

  cache.advance(61)
  cache.listener = (_, response) => void response.setHeader('ETag', '"b"').end()
  expect(await cache.get(TAGGED, {}, 'HEAD')).toBe(' server')
  const asking = cache.server.received('if-none-match').length
  await cache.get(TAGGED)
  expect(cache.server.received('if-none-match')[asking]).toBeUndefined()
})

test('HEAD is not stored', async () => {
  await using cache = await CacheFixture.start()
  await cache.get(MINUTE, {}, 'HEAD')

  expect(await cache.get(MINUTE)).toBe('n2 server')
})

test.each([
  ['POST', 200, 'n3 server'],
  ['PUT', 204, 'n3 server'],
  ['DELETE', 303, 'n3 server'],
  ['PATCH', 500, 'n1 fresh'],
  ['POST', 404, 'n1 fresh'],
  ['OPTIONS', 200, 'n1 fresh'],
])('%s with status %i, then GET: %s', async (method, status, answer) => {
  await using cache = await CacheFixture.start()
  await cache.get(MINUTE)
  cache.listener = (_, response) => void response.writeHead(status).end()
  await cache.get(MINUTE, {}, method)
  cache.listener = undefined

  expect((await cache.get(MINUTE)).replace('n2', 'n3')).toBe(answer)
})

test('POST drops what Location and Content-Location name, of its own origin', async () => {
  const store = createMemoryCacheStore()
  await using cache = await CacheFixture.start({ store })
  await using other = await CacheFixture.start({ store })
  const paths = ['/a', '/b', '/c'].map((name) => pathWith({ 'cache-control': 'max-age=60' }, name))
  for (const one of paths) await cache.get(one)
  await other.get(MINUTE)
  cache.listener = (_, response) =>
    void response
      .setHeader('Location', paths[0] as string)
      .setHeader('Content-Location', cache.server.url(paths[1]))
      .end()
  await cache.get('/post', {}, 'POST')
  cache.listener = (_, response) => {
    response.setHeader('Location', other.server.url(MINUTE)).end()
  }
  await cache.get('/post', {}, 'POST')
  cache.listener = undefined

  const answers = await Promise.all([...paths.map((one) => cache.get(one)), other.get(MINUTE)])

  const uses = answers.map((answer) => answer.split(' ')[1])
  expect(uses).toEqual(['server', 'server', 'fresh', 'fresh'])
})

test('what was asked before a change and came after it is not stored', async () => {
  await using cache = await CacheFixture.start()
  let release = (): void => {}
  cache.listener = ({ method }, response) => {
    response.setHeader('Cache-Control', 'max-age=60')
    if (method === 'POST') response.end()
    else release = () => response.end('before')
  }
  const slow = cache.get(MINUTE)
  while (cache.asked === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await cache.get(MINUTE, {}, 'POST')
  release()
  expect(await slow).toBe('before server')
  cache.listener = undefined

  expect(await cache.get(MINUTE)).toMatch(/^n\d server$/)
})

test.each<[what: string, fields: Record<string, string>, answer: string]>([
  ['if the response allows it', { 'cache-control': 'max-age=60, stale-if-error=60' }, 'n1 stale'],
  ['not otherwise', { 'cache-control': 'max-age=60' }, '503 down server'],
  [
    'not against must-revalidate',
    { 'cache-control': 'max-age=60, must-revalidate, stale-if-error=60' },
    '503 down server',
  ],
])('a stale response stands in for a 503: %s', async (_, fields, answer) => {
  await using cache = await CacheFixture.start()
  await cache.get(pathWith(fields))
  cache.advance(90)
  cache.listener = (_, response) => void response.writeHead(503).end('down')

  expect(await cache.get(pathWith(fields))).toBe(answer)
})

test('a stale response stands in for a lost connection, and for no abort', async () => {
  await using cache = await CacheFixture.start({ staleIfErrorMs: 60_000 })
  await cache.get(TAGGED)
  cache.advance(90)
  cache.listener = (_, response) => void response.destroy()
  const controller = new AbortController()

  expect(await cache.get(TAGGED)).toBe('n1 stale')
  cache.listener = () => controller.abort(new Error('enough'))
  await expect(cache.get(TAGGED, { signal: controller.signal })).rejects.toThrow('enough')
})

test("stale-while-revalidate answers at once, and asks once behind the callers' backs", async () => {
  const store = createMemoryCacheStore()
  await using cache = await CacheFixture.start({ staleWhileRevalidate: true, store })
  const url = pathWith({ 'cache-control': 'max-age=60, stale-while-revalidate=60' })
  await cache.get(url)
  cache.advance(90)

  const answers = await Promise.all([cache.get(url), cache.get(url)])

  expect(answers).toEqual(['n1 stale', 'n1 stale'])
  await expect.poll(() => cache.get(url)).toBe('n2 fresh')
  expect(cache.asked).toBe(2)
})

test('stale-while-revalidate does not count unless it is wanted', async () => {
  await using cache = await CacheFixture.start()
  const url = pathWith({ 'cache-control': 'max-age=60, stale-while-revalidate=60', etag: '"a"' })
  await cache.get(url)
  cache.advance(90)

  expect(await cache.get(url)).toBe('n1 revalidated')
})

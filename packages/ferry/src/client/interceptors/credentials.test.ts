import { expect, test } from 'vitest'
import { InterceptorFixture } from '../../testing/interceptor-fixture.ts'
import { HttpRequest } from '../../transport/http-request.ts'
import { HttpResponse } from '../../transport/http-response.ts'
import { createRequestStream } from '../../transport/request-stream.ts'
import { sendThrough } from '../interceptor.ts'
import { basicAuth } from './basic-auth.ts'
import { bearerAuth } from './bearer-auth.ts'
import { refreshingAuth, type RefreshingAuthOptions } from './refreshing-auth.ts'

type Listener = Parameters<typeof InterceptorFixture.start>[0]

const hello: Listener = (_, response) => void response.end('hello')

/** Takes one token only; `delayMs` spreads the answers. */
function accept(token: () => string): Listener {
  return ({ headers }, response) => {
    if (headers.authorization === `Bearer ${token()}`) response.end('welcome')
    else response.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end('who?')
  }
}

/** Tokens 1, 2, 3 …, and how often a new one was fetched. */
class Tokens implements RefreshingAuthOptions {
  current = 1
  refreshes = 0

  getToken = (): string => `t${this.current}`

  refresh = async (): Promise<string> => {
    this.refreshes++
    await new Promise((resolve) => setTimeout(resolve, 20))
    return `t${++this.current}`
  }
}

test('bearerAuth() adds a token, or asks for that of each request', async () => {
  let count = 0
  await using server = await InterceptorFixture.start(hello, bearerAuth('a-b.c_d~e+f/g=='))

  await server.get()
  server.use(bearerAuth(() => `t${++count}`))
  await server.get()
  server.use(bearerAuth(() => Promise.resolve(`t${++count}`)))
  await server.get()

  expect(server.received('authorization')).toEqual([
    'Bearer a-b.c_d~e+f/g==',
    'Bearer t1',
    'Bearer t2',
  ])
})

test('basicAuth() adds name and password in UTF-8', async () => {
  const interceptor = basicAuth({ username: 'test', password: '123£' })
  await using server = await InterceptorFixture.start(hello, interceptor)

  await server.get()

  // RFC 7617 §2.1
  expect(server.received('authorization')).toEqual(['Basic dGVzdDoxMjPCow=='])
})

test.each([
  ['bearerAuth()', (origins: string[]) => bearerAuth('token', { origins })],
  ['basicAuth()', (origins: string[]) => basicAuth({ username: 'a', password: 'b' }, { origins })],
  ['refreshingAuth()', (origins: string[]) => refreshingAuth({ ...new Tokens(), origins })],
])('%s leaves other origins and the Authorization of a call alone', async (_, create) => {
  await using server = await InterceptorFixture.start(hello, create(['https://example.org/path']))
  await server.get()
  server.use(create([server.url('/path')]))

  await server.get('/', { headers: { Authorization: 'Own x' } })
  await server.get()

  expect(server.received('authorization')).toEqual([
    undefined,
    'Own x',
    expect.stringMatching(/^B\w+ \S+$/),
  ])
})

test.each([
  ['a token with a line break', () => bearerAuth('a\r\nb')],
  ['an empty token', () => bearerAuth('')],
  ['a name with a colon', () => basicAuth({ username: 'a:b', password: '' })],
  ['a password with a control character', () => basicAuth({ username: 'a', password: '\n' })],
  ['an origin that is no URL', () => bearerAuth('token', { origins: ['example.org'] })],
])('%s is refused without being shown', (_, create) => {
  expect(create).toThrow(expect.objectContaining({ code: 'config' }))
})

test('many 401s at once cause one refresh, and each request is sent once more', async () => {
  const tokens = new Tokens()
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    refreshingAuth(tokens),
  )

  const answers = await Promise.all(Array.from({ length: 20 }, () => server.get()))

  expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['welcome']))
  expect(tokens.refreshes).toBe(1)
  expect(server.requests.length).toBe(40)
})

test('a 401 that comes after the refresh needs no other one', async () => {
  const tokens = new Tokens()
  let release = (): void => {}
  const listener: Listener = (request, response) => {
    if (request.url === '/late') release = () => accept(() => 't2')(request, response)
    else accept(() => 't2')(request, response)
  }
  await using server = await InterceptorFixture.start(listener, refreshingAuth(tokens))
  const late = server.get('/late')
  while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await server.get()
  const first = release

  first()
  while (release === first) await new Promise((resolve) => setTimeout(resolve, 5))
  release()

  expect((await late).text).toBe('welcome')
  expect(tokens.refreshes).toBe(1)
})

test('a new token counts although getToken() is slow to learn of it', async () => {
  let refreshes = 0
  const interceptor = refreshingAuth({
    getToken: () => 't1',
    refresh: () => Promise.resolve(`t${++refreshes + 1}`),
  })
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    interceptor,
  )

  await server.get()
  await server.get()

  expect(refreshes).toBe(1)
  expect(server.received('authorization')).toEqual(['Bearer t1', 'Bearer t2', 'Bearer t2'])
})

test('the 401 of another origin, after a redirection, is given', async () => {
  const tokens = new Tokens()
  const request = new HttpRequest('GET', 'https://here.example/')

  const response = await sendThrough([refreshingAuth(tokens)], request, {
    attempt: 1,
    signal: undefined,
    send: () =>
      Promise.resolve(HttpResponse.create({ status: 401, url: 'https://there.example/' })),
  })

  expect(response.status).toBe(401)
  expect(tokens.refreshes).toBe(0)
})

test('the content of a 401 that was answered holds no connection', async () => {
  const listener: Listener = ({ headers }, response) => {
    response.statusCode = headers.authorization === 'Bearer t2' ? 200 : 401
    response.end(Buffer.alloc(response.statusCode === 200 ? 1 : 2_000_000))
  }
  await using server = await InterceptorFixture.start(listener, refreshingAuth(new Tokens()))

  await server.get()

  expect(server.pool.metrics().active).toBe(0)
})

test('a second 401 is given', async () => {
  const tokens = new Tokens()
  await using server = await InterceptorFixture.start(
    accept(() => 't9'),
    refreshingAuth(tokens),
  )

  expect(await server.get()).toEqual({ status: 401, text: 'who?' })

  expect(server.requests.length).toBe(2)
  expect(tokens.refreshes).toBe(1)
})

test('a refresh that fails fails all that wait for it, and the next request tries again', async () => {
  let refreshes = 0
  const interceptor = refreshingAuth({
    getToken: () => 't1',
    refresh: () => {
      if (++refreshes > 1) return Promise.resolve('t2')
      return new Promise<never>((_, reject) => {
        setTimeout(() => reject(new Error('no new token')), 50)
      })
    },
  })
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    interceptor,
  )

  const failures = await Promise.allSettled([server.get(), server.get(), server.get()])
  const later = await server.get()

  expect(failures.map((one) => one.status === 'rejected' && String(one.reason))).toEqual(
    Array.from({ length: 3 }, () => 'Error: no new token'),
  )
  expect(later.text).toBe('welcome')
  expect(refreshes).toBe(2)
})

test('a refresh that throws at once is not kept', async () => {
  let refreshes = 0
  const interceptor = refreshingAuth({
    getToken: () => 't1',
    refresh: () => {
      if (++refreshes === 1) throw new Error('no new token')
      return Promise.resolve('t2')
    },
  })
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    interceptor,
  )

  await expect(server.get()).rejects.toThrow('no new token')

  expect((await server.get()).text).toBe('welcome')
})

test('a token that is known to have run out is not sent', async () => {
  const tokens = new Tokens()
  const isExpired = (token: string): boolean => token === 't1'
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    refreshingAuth({ ...tokens, refresh: tokens.refresh, isExpired }),
  )

  const answers = await Promise.all([server.get('/a'), server.get('/b')])

  expect(answers.map(({ text }) => text)).toEqual(['welcome', 'welcome'])
  expect(server.received('authorization')).toEqual(['Bearer t2', 'Bearer t2'])
  expect(tokens.refreshes).toBe(1)
})

test('the 401 is given for content that cannot be sent again; the token is new all the same', async () => {
  const tokens = new Tokens()
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    refreshingAuth(tokens),
  )
  const content = createRequestStream([Buffer.from('x')].values())

  const response = await server.send('POST', '/', { content })
  await response.body.bytes()
  while (tokens.current === 1) await new Promise((resolve) => setTimeout(resolve, 5))

  expect(response.status).toBe(401)
  expect((await server.get()).text).toBe('welcome')
  expect(server.requests.length).toBe(2)
})

test('an abort ends the wait for a token and not the refresh', async () => {
  const tokens = new Tokens()
  await using server = await InterceptorFixture.start(
    accept(() => 't2'),
    refreshingAuth(tokens),
  )
  const controller = new AbortController()
  const aborted = server.get('/', { signal: controller.signal })
  const other = server.get()
  while (tokens.refreshes === 0) await new Promise((resolve) => setTimeout(resolve, 2))

  controller.abort(new Error('enough'))

  await expect(aborted).rejects.toThrow('enough')
  expect((await other).text).toBe('welcome')
  expect(tokens.refreshes).toBe(1)
})

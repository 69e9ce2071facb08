/** What a list may be led to by its server: as with a redirection, no secret leaves its origin. */
import { expect, test } from 'vitest'
import { type Answer, HttpTestServer } from '../testing/http-test-server.ts'
import { HttpClient } from './http-client.ts'
import { bearerAuth } from './interceptors/bearer-auth.ts'
import { paginate, type PaginateOptions } from './paginate.ts'

const SECRET_CLIENT = {
  headers: {
    Authorization: 'Bearer s3cret',
    'X-Api-Key': 's3cret',
    'X-Mine': 's3cret',
    'X-Open': 'open',
  },
  secretHeaders: ['X-Mine'],
  retries: 0,
  proxy: false,
} as const

/** A page, with a link to the next where there is one. */
function page(next: string | undefined): Answer {
  return (_, response) => {
    if (next !== undefined) response.setHeader('Link', `<${next}>; rel="next"`)
    response.end('[]')
  }
}

/** Answers each path with a page of its own. */
async function serve(pages: Readonly<Record<string, string>>): Promise<HttpTestServer> {
  return HttpTestServer.start((request, response) => {
    page(pages[request.url ?? ''])(request, response)
  })
}

async function take(
  client: HttpClient,
  url: string,
  options?: PaginateOptions<unknown>,
): Promise<number> {
  let count = 0
  for await (const { number } of paginate(client, url, options)) count = number
  return count
}

/** The fields of each request that hold the secret. */
function leaks(server: HttpTestServer): string[][] {
  return server.requests.map(({ headers }) =>
    Object.entries(headers)
      .filter(([, value]) => String(value).includes('s3cret'))
      .map(([name]) => name),
  )
}

test('paginate() takes no secret, of the client or of the call, to another origin', async () => {
  await using other = await serve({})
  await using server = await serve({ '/items': other.url('/evil') })
  await using client = new HttpClient(SECRET_CLIENT)

  const count = await take(client, server.url('/items'), {
    headers: { 'X-Session-Token': 's3cret', 'X-Call': 's3cret' },
    secretHeaders: ['X-Call'],
    json: { query: 's3cret' },
  })

  expect(count).toBe(2)
  expect(leaks(server)).toEqual([
    expect.arrayContaining(['authorization', 'x-api-key', 'x-mine', 'x-session-token', 'x-call']),
  ])
  expect(leaks(other)).toEqual([[]])
  expect(other.received('x-open')).toEqual(['open'])
  expect(server.bodies).toEqual(['{"query":"s3cret"}'])
  expect(other.bodies).toEqual([''])
})

test('paginate() takes secrets to the other pages of the same origin', async () => {
  await using server = await serve({ '/items': '/items?page=2' })
  await using client = new HttpClient(SECRET_CLIENT)

  await take(client, server.url('/items'), { json: 1 })

  expect(server.received('x-api-key')).toEqual(['s3cret', 's3cret'])
  expect(server.bodies).toEqual(['1', '1'])
})

test('paginate() takes no secret back to where a stranger leads', async () => {
  await using server = await HttpTestServer.start((request, response) => {
    page(request.url === '/items' ? other.url('/1') : undefined)(request, response)
  })
  await using other: HttpTestServer = await HttpTestServer.start((request, response) => {
    page(request.url === '/1' ? server.url('/delete-everything') : undefined)(request, response)
  })
  await using client = new HttpClient(SECRET_CLIENT)

  expect(await take(client, server.url('/items'))).toBe(3)

  expect(leaks(server)[1]).toEqual([])
})

test('paginate() takes no secret to the next page of a server that a redirection has led to', async () => {
  await using other = await serve({ '/items': '/items?page=2' })
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(302, { Location: other.url('/items') }).end()
  })
  await using client = new HttpClient(SECRET_CLIENT)

  expect(await take(client, server.url('/items'))).toBe(2)

  expect(other.asked).toEqual(['GET /items', 'GET /items?page=2'])
  expect(leaks(other)).toEqual([[], []])
})

test('paginate() lets no interceptor add a credential for another origin', async () => {
  await using other = await serve({})
  await using server = await serve({ '/items': other.url('/') })
  await using client = new HttpClient({
    retries: 0,
    proxy: false,
    interceptors: [bearerAuth('s3cret')],
  })

  await take(client, server.url('/items'))

  expect(leaks(server)).toEqual([['authorization']])
  expect(leaks(other)).toEqual([[]])
})

test('paginate() takes the credentials of the URL to the pages of that origin alone', async () => {
  await using other = await serve({})
  await using server = await serve({ '/1': '/2', '/2': '/3', '/3': other.url('/4') })
  await using client = new HttpClient({ retries: 0, proxy: false })

  await take(client, `http://ann:pa%3Ass@${server.host}/1`)

  const basic = `Basic ${btoa('ann:pa:ss')}`
  expect(server.received('authorization')).toEqual([basic, basic, basic])
  expect(other.received('authorization')).toEqual([undefined])
})

test('a call that is linked from a response goes as a redirection from there would', async () => {
  await using other = await serve({})
  await using server = await serve({})
  await using client = new HttpClient(SECRET_CLIENT)
  const linkedFrom = await client.get(server.url()).response

  await client.get(other.url(), { linkedFrom })
  await client.get(server.url('/2'), { linkedFrom })

  expect(leaks(other)).toEqual([[]])
  expect(server.received('x-api-key')).toEqual(['s3cret', 's3cret'])
})

test('paginate() holds the content of a page to the limits of time', async () => {
  await using server = await HttpTestServer.start((_, response) => void response.write('['))
  await using client = new HttpClient({ retries: 0, proxy: false, timeoutMs: 100 })

  await expect(take(client, server.url())).rejects.toMatchObject({
    code: 'timeout',
    phase: 'total',
  })
})

test('paginate() fetches a page again whose content breaks off', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    if (server.requests.length > 1) response.end('[1]')
    else response.writeHead(200, { 'Content-Length': '9' }).write('[', () => response.destroy())
  })
  await using client = new HttpClient({ retryDelayMs: 1, proxy: false })

  for await (const { value } of paginate(client, server.url())) expect(value).toEqual([1])

  expect(server.requests).toHaveLength(2)
})

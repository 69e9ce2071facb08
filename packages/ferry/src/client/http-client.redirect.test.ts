/** What becomes of a redirection: where it leads, with which method, and without which secrets. */
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { ConnectionPool } from '../transport/connection-pool.ts'
import { createCertificate } from '../testing/certificates.ts'
import { type Answer, HttpTestServer } from '../testing/http-test-server.ts'
import { HttpClient } from './http-client.ts'

const QUICK = { retries: 0, responseFormat: 'text', proxy: false } as const

/** /3 leads to /2, and so on down to /0. */
const countdown: Answer = ({ url = '' }, response) => {
  const left = Number(url.slice(1))
  if (left === 0) response.end('there')
  else response.writeHead(302, { Location: `/${left - 1}` }).end('on')
}

/** / leads to the location; everything else is the end. */
function leadTo(location: () => string, status = 307): Answer {
  return (request, response) => {
    request.on('end', () => {
      if (request.url === '/') response.writeHead(status, { Location: location() }).end()
      else response.end('there')
    })
  }
}

test('HttpClient follows redirections and tells where the response came from', async () => {
  await using server = await HttpTestServer.start(countdown)
  await using client = new HttpClient(QUICK)

  const call = client.get(server.url('/3'))

  expect(await call).toBe('there')
  const response = await call.response
  expect(response.url.href).toBe(server.url('/0'))
  expect(response.request.url.href).toBe(server.url('/0'))
  expect(response.attempts).toBe(1)
  expect(server.asked).toEqual(['GET /3', 'GET /2', 'GET /1', 'GET /0'])
  expect(server.connections).toBe(1)
})

test('HttpClient follows as many redirections as allowed, ten by default', async () => {
  await using server = await HttpTestServer.start(countdown)
  await using client = new HttpClient(QUICK)

  expect(await client.get(server.url('/10'))).toBe('there')
  expect(await client.get(server.url('/2'), { maxRedirects: 2 })).toBe('there')
  for (const [path, options] of [
    ['/11', {}],
    ['/3', { maxRedirects: 2 }],
    ['/2', { maxRedirects: 1 }],
  ] as const) {
    await expect(client.get(server.url(path), options)).rejects.toMatchObject({
      name: 'RemoteProtocolError',
      code: 'remote-protocol',
    })
  }
})

test('HttpClient does not try again what leads nowhere', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.writeHead(302, { Location: '/' }).end()
  })
  await using client = new HttpClient({ responseFormat: 'text', retryDelayMs: 1 })

  const failure = client.get(server.url(), { maxRedirects: 3 })

  await expect(failure).rejects.toMatchObject({ attempts: 1 })
  expect(server.requests).toHaveLength(4)
})

test('HttpClient gives the redirection itself where none is to be followed', async () => {
  await using server = await HttpTestServer.start(countdown)
  await using client = new HttpClient({ ...QUICK, maxRedirects: 0 })

  const call = client.get(server.url('/3'))

  expect(await call).toBe('on')
  expect((await call.response).status).toBe(302)
  expect((await call.response).headers.get('location')).toBe('/2')
  expect(server.requests).toHaveLength(1)
})

const methods: readonly [status: number, method: string, next: string, body: boolean][] = [
  [301, 'POST', 'GET', false],
  [302, 'POST', 'GET', false],
  [303, 'POST', 'GET', false],
  [303, 'PUT', 'GET', false],
  [303, 'DELETE', 'GET', false],
  [301, 'PUT', 'PUT', true],
  [302, 'PATCH', 'PATCH', true],
  [307, 'POST', 'POST', true],
  [308, 'POST', 'POST', true],
  [308, 'DELETE', 'DELETE', true],
]

test.each(methods)('HttpClient after %i makes of %s a %s', async (status, method, next, keeps) => {
  await using server = await HttpTestServer.start(leadTo(() => '/next', status))
  await using client = new HttpClient(QUICK)

  expect(await client.request(method, server.url(), { json: { a: 1 } })).toBe('there')

  expect(server.asked).toEqual([`${method} /`, `${next} /next`])
  expect(server.bodies).toEqual(['{"a":1}', keeps ? '{"a":1}' : ''])
  expect(server.received('content-type')[1]).toBe(keeps ? 'application/json' : undefined)
})

test('HttpClient does not take a redirection of content that can be sent only once for an answer', async () => {
  await using server = await HttpTestServer.start(leadTo(() => '/next'))
  await using client = new HttpClient(QUICK)
  const body = Readable.from([Buffer.from('x')])

  await expect(client.post(server.url(), { body })).rejects.toMatchObject({
    code: 'http-status',
    status: 307,
    message: `Cannot POST ${server.url()}: 307 Temporary Redirect, and its content can be sent only once`,
    attempts: 1,
  })
  expect(server.requests).toHaveLength(1)
})

test('HttpClient gives the redirection of content that can be sent only once when asked for it', async () => {
  await using server = await HttpTestServer.start(leadTo(() => '/next'))
  await using client = new HttpClient(QUICK)
  const body = Readable.from([Buffer.from('x')])

  const { status, headers } = await client.post(server.url(), { body, maxRedirects: 0 }).response

  expect([status, headers.get('location')]).toEqual([307, '/next'])
})

const SECRETS = {
  Authorization: 'Bearer s3cret',
  Cookie: 'sid=s3cret',
  'X-Api-Key': 's3cret',
  'X-Auth-Token': 's3cret',
  'X-Amz-Security-Token': 's3cret',
  'X-Csrf-Token': 's3cret',
  'X-AccessToken': 's3cret',
  'X-CSRFToken': 's3cret',
  apikey: 's3cret',
  'Ocp-Apim-Subscription-Key': 's3cret',
  'X-Company': 's3cret',
}

test('HttpClient keeps secrets on the way within an origin', async () => {
  await using server = await HttpTestServer.start(leadTo(() => '/next'))
  await using client = new HttpClient({ ...QUICK, headers: SECRETS, secretHeaders: ['X-Company'] })

  await client.get(server.url())

  for (const name of Object.keys(SECRETS)) {
    expect(server.received(name.toLowerCase()), name).toHaveLength(2)
    expect(new Set(server.received(name.toLowerCase())).size, name).toBe(1)
  }
})

test('HttpClient drops secrets on the way to another origin, and has none when it comes back', async () => {
  await using other = await HttpTestServer.start(leadTo(() => first.url('/back')))
  await using first = await HttpTestServer.start(leadTo(() => other.url()))
  await using client = new HttpClient({
    ...QUICK,
    headers: { ...SECRETS, 'X-Kept': 'kept' },
    secretHeaders: ['x-company'],
  })

  await client.get(`http://ann:s3cret@${first.host}/`)

  const [, back] = first.requests
  for (const request of [...other.requests, back]) {
    expect(JSON.stringify(request?.rawHeaders)).not.toContain('s3cret')
    expect(request?.headers['x-kept']).toBe('kept')
    expect(request?.headers['user-agent']).toBe('ferry')
  }
  expect(other.requests[0]?.headers.host).toBe(other.host)
})

test('HttpClient drops secrets on the way from https to http of the same host', async () => {
  const certificate = createCertificate('IP:127.0.0.1')
  await using plain = await HttpTestServer.start((_, response) => void response.end('there'))
  await using secure = await HttpTestServer.start(
    leadTo(() => plain.url('/next')),
    certificate,
  )
  await using client = new HttpClient({ ...QUICK, headers: SECRETS, tls: { ca: certificate.cert } })

  // What is named like a secret needs no listing; X-Company does.
  await client.get(secure.url())

  const { 'X-Company': _, ...named } = SECRETS
  for (const name of Object.keys(named)) {
    expect(plain.received(name.toLowerCase()), name).toEqual([undefined])
  }
  expect(secure.received('authorization')).toEqual(['Bearer s3cret'])
})

test('HttpClient takes the credentials of a Location for those of its origin', async () => {
  await using other = await HttpTestServer.start((_, response) => void response.end('there'))
  await using first = await HttpTestServer.start(leadTo(() => `http://bob:pw@${other.host}/next`))
  await using client = new HttpClient({ ...QUICK, headers: { Authorization: 'Bearer s3cret' } })

  await client.get(first.url())

  expect(other.received('authorization')[0] ?? '').not.toContain('s3cret')
})

test('HttpClient sends the content of a 307 on, but not the fields that are secret', async () => {
  await using other = await HttpTestServer.start((request, response) => {
    request.on('end', () => response.end('there'))
  })
  await using first = await HttpTestServer.start(leadTo(() => other.url('/next')))
  await using client = new HttpClient({ ...QUICK, headers: SECRETS })

  await client.post(first.url(), { json: { a: 1 } })

  expect(other.bodies).toEqual(['{"a":1}'])
  expect(other.received('authorization')).toEqual([undefined])
})

test.each(['ftp://h/', 'http://', 'javascript:alert(1)', 'http://[::1', 'data:,x'])(
  'HttpClient refuses to follow %s, and leaves no connection',
  async (location) => {
    await using server = await HttpTestServer.start((_, response) => {
      response.writeHead(302, { Location: location }).write('still talking')
    })
    await using pool = new ConnectionPool()
    await using client = new HttpClient({ ...QUICK, proxy: undefined, pool })

    await expect(client.get(server.url())).rejects.toMatchObject({ code: 'remote-protocol' })
    await expect(client.stream('GET', server.url())).rejects.toMatchObject({ attempts: 1 })

    expect(pool.toString()).not.toMatch(/active [1-9]/)
  },
)

test('HttpClient keeps the connection of redirections with short content, whatever its framing', async () => {
  await using server = await HttpTestServer.start(({ url = '' }, response) => {
    const left = Number(url.slice(1))
    if (left === 0) response.end('there')
    else {
      response.writeHead(302, { Location: `/${left - 1}` })
      // In chunks.
      response.write('on and')
      response.end('on')
    }
  })
  const opened = new Set<unknown>()
  await using client = new HttpClient(QUICK)

  await client.get(server.url('/5'))

  for (const { socket } of server.requests) opened.add(socket.remotePort)
  expect(opened.size).toBe(1)
})

test('HttpClient gives up the content of a redirection that does not end', async () => {
  await using server = await HttpTestServer.start(({ url }, response) => {
    if (url !== '/') response.end('there')
    else {
      response.writeHead(302, { Location: '/next' })
      const timer = setInterval(() => response.write('x'.repeat(10_000)), 1)
      response.on('close', () => clearInterval(timer))
    }
  })
  await using pool = new ConnectionPool()
  await using client = new HttpClient({ ...QUICK, proxy: undefined, pool, timeoutMs: 5000 })

  expect(await client.get(server.url())).toBe('there')

  expect(pool.toString()).not.toMatch(/active [1-9]/)
})

// ── Cookies

test('HttpClient keeps cookies of each hop, and sends each origin its own', async () => {
  await using other = await HttpTestServer.start((_, response) => {
    response.setHeader('Set-Cookie', 'there=2').end('there')
  })
  await using first = await HttpTestServer.start((request, response) => {
    const { url } = request
    if (url === '/') {
      response.setHeader('Set-Cookie', ['one=1; HttpOnly', 'gone=1; Max-Age=0'])
      response.writeHead(302, { Location: '/next' }).end()
    } else {
      response.setHeader('Set-Cookie', 'two=2; Path=/next')
      response.writeHead(302, { Location: other.url().replace('127.0.0.1', 'localhost') }).end()
    }
  })
  await using client = new HttpClient({ ...QUICK, cookies: true })

  await client.get(first.url())
  await client.get(first.url('/next'))

  expect(first.received('cookie')).toEqual([undefined, 'one=1', 'two=2; one=1'])
  expect(other.received('cookie')[0]).toBeUndefined()
})

test('HttpClient keeps the cookies of a refusal, and sends them with the next try', async () => {
  let seen = 0
  await using server = await HttpTestServer.start((_, response) => {
    response.setHeader('Set-Cookie', `seen=${seen}`)
    if (seen++ === 0) response.writeHead(503)
    response.end('hello')
  })
  await using client = new HttpClient({ ...QUICK, cookies: true, retries: 1, retryDelayMs: 1 })

  await client.get(server.url())

  expect(server.received('cookie')).toEqual([undefined, 'seen=0'])
})

test('HttpClient keeps no cookies unless it is told to, and leaves those of a call alone', async () => {
  const answer: Answer = (_, response) => void response.setHeader('Set-Cookie', 'a=1').end('hello')
  await using server = await HttpTestServer.start(answer)
  await using client = new HttpClient(QUICK)
  await using keeping = new HttpClient({ ...QUICK, cookies: true })

  await client.get(server.url())
  await client.get(server.url())
  await keeping.get(server.url())
  await keeping.get(server.url(), { headers: { Cookie: 'own=1' } })
  await keeping.get(server.url())

  expect(server.received('cookie')).toEqual([undefined, undefined, undefined, 'own=1', 'a=1'])
})

test('a jar that fails, fails the call, and leaves no connection', async () => {
  await using server = await HttpTestServer.start((_, response) => {
    response.setHeader('Set-Cookie', 'a=1').write('x')
  })
  await using pool = new ConnectionPool()
  const error = new Error('the disk is full')
  const jar = {
    getCookies: () => Promise.resolve(''),
    setCookies: () => Promise.reject(error),
    toJSON: () => [],
    clear: () => {},
  }
  await using client = new HttpClient({ ...QUICK, proxy: undefined, pool, cookies: jar as never })

  await expect(client.stream('GET', server.url())).rejects.toBe(error)

  expect(pool.toString()).not.toMatch(/active [1-9]/)
})

import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { StreamError } from '../errors.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { HttpResponse, type HttpResponseInit } from '../transport/http-response.ts'
import { ClientResponse, type ClientResponseOptions } from './client-response.ts'

const URL = 'http://h/x?token=s3cret'

function respond(
  init: Partial<HttpResponseInit>,
  options: Partial<ClientResponseOptions> & { readonly method?: string } = {},
): ClientResponse {
  const { method = 'GET', ...rest } = options
  const request = new HttpRequest(method, URL, { headers: { Authorization: 'Bearer s3cret' } })
  const response = HttpResponse.create({ status: 200, url: URL, ...init })
  return new ClientResponse(response, { request, attempts: 1, maxBytes: 1000, ...rest })
}

/** Pieces, then perhaps an error. */
async function* pieces(texts: readonly string[], error?: Error): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
  await Promise.resolve()
  if (error !== undefined) throw error
}

test.each([
  [200, true],
  [204, true],
  [304, true],
  [399, true],
  [400, false],
  [599, false],
  [199, false],
])('ClientResponse of %i is ok: %s', (status, ok) => {
  expect(respond({ status }).ok).toBe(ok)
})

test('ClientResponse gives what it has read in every form, as often as wanted', async () => {
  const response = respond({ body: pieces(['{"a"', ':1}']) })

  const [json, text, bytes] = await Promise.all([
    response.json(),
    response.text(),
    response.bytes(),
  ])

  expect(json).toEqual({ a: 1 })
  expect(text).toBe('{"a":1}')
  expect(bytes.toString()).toBe(text)
  expect(await response.json()).toEqual({ a: 1 })
})

test('ClientResponse reads JSON with a reviver', async () => {
  const response = respond({ body: '{"at":"x"}' })

  const reviver = (_: string, value: unknown): unknown => (value === 'x' ? 1 : value)

  expect(await response.json({ reviver })).toEqual({ at: 1 })
})

test('ClientResponse gives a body that was read already from memory', async () => {
  const response = respond({}, { bytes: Buffer.from('kept') })

  expect((await response.body.bytes()).toString()).toBe('kept')
  expect(await response.text()).toBe('kept')
})

test('ClientResponse does not read its content twice from the wire', async () => {
  const response = respond({ body: pieces(['a', 'b']) })

  for await (const piece of response.body) expect(piece.length).toBe(1)

  await expect(response.text()).rejects.toThrow('only once')
})

test('ClientResponse refuses to hold more than maxBytes', async () => {
  const fits = respond({ body: pieces(['12345', '67890']) }, { maxBytes: 10 })
  const exceeds = respond({ body: pieces(['12345', '678901']) }, { maxBytes: 10 })

  expect(await fits.text()).toBe('1234567890')
  await expect(exceeds.text()).rejects.toThrow('more than 10 bytes')
})

test('ClientResponse rejects every reader with the error of the content', async () => {
  const error = new StreamError('broken')
  const response = respond({ body: pieces(['a'], error) })

  await expect(response.text()).rejects.toBe(error)
  await expect(response.json()).rejects.toBe(error)
})

test('ClientResponse gives lines and events as they come', async () => {
  const lines: string[] = []
  for await (const line of respond({ body: pieces(['a\r', '\nb\nc']) }).lines()) lines.push(line)
  const events: string[] = []
  const stream = respond({ body: pieces(['data: 1\n', '\nevent: x\nda', 'ta: 2\n\n']) })
  for await (const { type, data } of stream.events()) events.push(`${type} ${data}`)

  expect(lines).toEqual(['a', 'b', 'c'])
  expect(events).toEqual(['message 1', 'x 2'])
})

test('ClientResponse gives its content up when it is disposed of', async () => {
  let ended = false
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        yield Buffer.from('x')
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      ended = true
    }
  }
  {
    using response = respond({ body: endless() })
    for await (const piece of response.body) {
      expect(piece.length).toBeGreaterThan(0)
      break
    }
  }

  await expect.poll(() => ended).toBe(true)
})

test.each([204, 205, 304])(
  'ClientResponse of %i without content is no JSON but undefined',
  async (status) => {
    expect(await respond({ status }).json()).toBeUndefined()
  },
)

test('ClientResponse to HEAD has no JSON', async () => {
  expect(await respond({}, { method: 'HEAD' }).json()).toBeUndefined()
})

test('ClientResponse of white space is no JSON', async () => {
  await expect(respond({ body: ' \n' }).json()).rejects.toThrow('nothing but white space')
})

test('ClientResponse.raiseForStatus() says which request it was', () => {
  const response = respond({ status: 429 }, { method: 'POST', attempts: 2 })

  expect(() => response.raiseForStatus()).toThrow(
    expect.objectContaining({
      code: 'http-status',
      method: 'POST',
      url: 'http://h/x?…',
      attempts: 2,
      message: 'Cannot POST http://h/x?…: 429',
    }),
  )
})

const READERS: Readonly<Record<string, (response: ClientResponse) => AsyncIterable<unknown>>> = {
  body: ({ body }) => body,
  'lines()': (response) => response.lines(),
  'events()': (response) => response.events(),
}

test.each(Object.keys(READERS))(
  'ClientResponse says which request broke off while its %s is read',
  async (name) => {
    const broken = new StreamError('Cannot finish GET http://h/x?…: connection reset after 3 bytes')
    const response = respond({ body: pieces(['a\nb'], broken) }, { attempts: 2 })

    const reading = (async () => {
      for await (const _ of (READERS[name] as (of: ClientResponse) => AsyncIterable<unknown>)(
        response,
      ));
    })()

    await expect(reading).rejects.toMatchObject({
      code: 'connection-lost',
      method: 'GET',
      url: 'http://h/x?…',
      attempts: 2,
      message: 'Cannot GET http://h/x?…: cannot finish: connection reset after 3 bytes',
    })
  },
)

test('ClientResponse gives its lines up when they are left', async () => {
  let ended = false
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.from('line\n')
    } finally {
      await Promise.resolve()
      ended = true
    }
  }

  for await (const line of respond({ body: endless() }).lines()) {
    expect(line).toBe('line')
    break
  }

  await expect.poll(() => ended).toBe(true)
})

test('ClientResponse names status, request and URL in its error, without the query', () => {
  const error = respond({ status: 404, statusText: 'Not Found' }).toError()

  expect(error.message).toBe('Cannot GET http://h/x?…: 404 Not Found')
  expect(error).toMatchObject({ status: 404, statusText: 'Not Found', code: 'http-status' })
  expect(respond({ status: 599 }).toError().message).toBe('Cannot GET http://h/x?…: 599')
})

const excerpts: readonly [type: string | undefined, body: string, excerpt: string | undefined][] = [
  ['application/json', '{"why":"because"}', '{"why":"because"}'],
  ['application/problem+json; charset=utf-8', '{"title":"ü"}', '{"title":"ü"}'],
  ['text/plain', 'x'.repeat(500), 'x'.repeat(200)],
  ['text/html', 'ü'.repeat(300), 'ü'.repeat(200)],
  ['application/xml', '<a/>', '<a/>'],
  [undefined, 'no type', 'no type'],
  ['image/png', 'PNG', undefined],
  ['application/octet-stream', 'raw', undefined],
]

test.each(excerpts)('ClientResponse quotes %s of an error', async (type, body, excerpt) => {
  const headers = type === undefined ? {} : { 'Content-Type': type }
  const response = respond({ status: 500, headers, body })

  await response.excerpt(1000)

  expect(response.toError().excerpt).toBe(excerpt)
})

test('ClientResponse does not cut a character of an excerpt in two', async () => {
  const response = respond({ status: 500, body: `${'x'.repeat(199)}😀😀` })

  await response.excerpt(1000)

  expect(response.toError().excerpt?.isWellFormed()).toBe(true)
})

test('ClientResponse takes as much as is needed of an error, and no error of that', async () => {
  let given = 0
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      given += 1000
      yield Buffer.alloc(1000, 'x')
      await Promise.resolve()
    }
  }
  const long = respond({ status: 500, body: endless() })
  const broken = respond({ status: 500, body: pieces(['some'], new StreamError('broken')) })

  await long.excerpt(5000)
  await broken.excerpt(5000)

  expect(given).toBeLessThan(200_000)
  expect(long.toError().excerpt).toHaveLength(200)
  expect(broken.toError().excerpt).toBe('some')
})

test('ClientResponse shows no secret of its request', () => {
  const response = respond({ status: 401, headers: { 'Set-Cookie': 'sid=s3cret' } })

  expect(inspect(response, { depth: 9 })).not.toContain('s3cret')
  expect(inspect(response.request, { depth: 9 })).not.toContain('s3cret')
  expect(inspect(response.toError(), { depth: 9 })).not.toContain('s3cret')
  expect(JSON.stringify(response.toError())).not.toContain('s3cret')
})

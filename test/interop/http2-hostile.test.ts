/**
 * The table of hostile-http2-table.ts against Ferry: what the request comes to, what the server is
 * told, and whether the pool goes on; then what takes more than a row.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ConnectionPool, HttpRequest, type HttpResponse } from 'ferry/transport'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { type Greeting, HostileHttp2, type Observation } from '../support/hostile-http2.ts'
import { HOSTILE_TABLES, type HostileRow } from './hostile-http2-table.ts'

// Far beyond what a flood is ended by, which takes longest.
const PATIENCE_MS = 30_000
const PIECES = 5000
const CONTENT = Buffer.alloc(1_048_576, 'ferry ')

let server: HostileHttp2
beforeAll(async () => {
  server = await HostileHttp2.start()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(HOSTILE_TABLES)('$title', ({ rows }) => {
  test.each(rows)('$scenario (§$section): $outcome', async (row) => {
    const path = `/${row.scenario}`
    onTestFailed(() => console.log(server.observationsOf(path)))
    await using pool = new ConnectionPool({
      http2: 'prior-knowledge',
      maxConnectionsPerOrigin: 1,
      totalTimeoutMs: PATIENCE_MS,
    })

    const outcome = await describeOutcome(() => pool.request(requestOf(row)))

    expect(outcome).toBe(row.outcome)
    if (!row.survives) await expectClosed(path)
    const next = await pool.request(new HttpRequest('GET', server.url('/fine')))
    expect((await next.body.bytes()).toString()).toBe('ok')
    await expectConnection(path, row, Number(next.headers.get('x-connection')))
  })
})

/** How connections begin that go wrong before any request is answered. */
const BEGINNINGS: readonly { greeting: Greeting; outcome: string; sent: string | undefined }[] = [
  // RFC 9113 §3.4: SETTINGS come first.
  { greeting: 'silent', outcome: 'remote-protocol', sent: 'GOAWAY PROTOCOL_ERROR' },
  { greeting: 'ping', outcome: 'remote-protocol', sent: 'GOAWAY PROTOCOL_ERROR' },
  { greeting: 'http1', outcome: 'remote-protocol', sent: 'GOAWAY PROTOCOL_ERROR' },
  { greeting: 'close', outcome: 'connection-lost', sent: undefined },
]

test.each(BEGINNINGS)('a server that begins with $greeting: $outcome', async (row) => {
  await using pool = new ConnectionPool({
    http2: 'prior-knowledge',
    headersTimeoutMs: PATIENCE_MS,
  })
  // By its path: what other tests have done may be told as late.
  const path = `/fine?${row.greeting}`
  const request = new HttpRequest('GET', server.url(path, row.greeting))

  expect(await describeOutcome(() => pool.request(request))).toBe(row.outcome)

  await expect.poll(() => sentOf(server.observationsOf(path))[0]).toBe(row.sent)
})

test('a server that takes no streams at first is asked once it does', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge', maxConnectionsPerOrigin: 2 })
  const request = new HttpRequest('GET', server.url('/fine', 'full'))

  const outcomes = await Promise.all(
    Array.from({ length: 20 }, () => describeOutcome(() => pool.request(request))),
  )

  expect(new Set(outcomes)).toEqual(new Set(['200 "ok"']))
})

test('a server that answers no PING any more is given up', async () => {
  await using pool = new ConnectionPool({
    http2: 'prior-knowledge',
    pingIntervalMs: 100,
    pingTimeoutMs: 100,
  })

  const outcome = pool.request(new HttpRequest('POST', server.url('/deaf'), { content: 'hello' }))

  await expect(outcome).rejects.toMatchObject({ code: 'connection-lost' })
})

test('a server that answers PING may take its time', async () => {
  await using pool = new ConnectionPool({
    http2: 'prior-knowledge',
    pingIntervalMs: 50,
    pingTimeoutMs: 2500,
    headersTimeoutMs: 3000,
  })

  const outcome = pool.request(new HttpRequest('GET', server.url('/stall?ping')))

  await expect(outcome).rejects.toMatchObject({ code: 'timeout', phase: 'headers' })
  const request = new HttpRequest('GET', server.url('/fine'))
  expect(await describeOutcome(() => pool.request(request))).toBe('200 "ok"')
  expect(pool.metrics().created).toBe(1)
})

test('content in many small pieces, each given back to the windows, is no flood', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
  async function* open(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < PIECES; sent++) {
      await nextTurn()
      yield Buffer.from('x')
    }
  }
  const content = { replayable: false, open }
  const request = new HttpRequest('POST', server.url('/count'), { content })

  expect(await describeOutcome(() => pool.request(request))).toBe(`200 "${PIECES}"`)
})

test('content that waits for a 100 which never comes is sent all the same', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge', continueTimeoutMs: 20 })
  const headers = { Expect: '100-continue' }
  const url = server.url('/count?continue')
  const request = new HttpRequest('POST', url, { headers, content: CONTENT })

  expect(await describeOutcome(() => pool.request(request))).toBe(`200 "${CONTENT.length}"`)
})

test('a server that says nothing at all runs into the timeout of the head', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge', headersTimeoutMs: 100 })

  const outcome = pool.request(new HttpRequest('GET', server.url('/stall', 'silent')))

  await expect(outcome).rejects.toMatchObject({ code: 'timeout', phase: 'headers' })
})

test('content beyond the window of a stream ends the stream', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge' })

  // Who does not read gives nothing back.
  const response = await pool.request(new HttpRequest('GET', server.url('/overrun')))

  await expectSent('/overrun', ['RST_STREAM FLOW_CONTROL_ERROR'])
  await expect(response.body.bytes()).rejects.toMatchObject({ code: 'remote-protocol' })
})

test('padding is given back to the windows', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge', bodyTimeoutMs: 2000 })

  const response = await pool.request(new HttpRequest('GET', server.url('/padded-content')))

  expect((await response.body.bytes()).length).toBe(16_384)
})

test('a POST that the server has not looked at is sent again', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge' })

  for (const path of ['/refused-once?post', '/goaway-unprocessed?post']) {
    const request = new HttpRequest('POST', server.url(path), { content: 'hello' })
    expect(await describeOutcome(() => pool.request(request))).toBe('200 "ok"')
  }
})

test('other requests of a connection live through one that is malformed', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
  const bad = ['status-missing', 'length-more', 'name-upper', 'rst-internal', 'data-first']
  const paths = Array.from({ length: 50 }, (_, index) => bad[index % 10] ?? 'fine')

  const outcomes = await Promise.all(
    paths.map((path) => {
      const request = new HttpRequest('GET', server.url(`/${path}?others`))
      return describeOutcome(() => pool.request(request))
    }),
  )

  expect(outcomes.filter((outcome) => outcome === '200 "ok"').length).toBe(25)
  expect(pool.metrics().created).toBe(1)
})

test('all requests of a connection fail with it', async () => {
  await using pool = new ConnectionPool({ http2: 'prior-knowledge' })
  const stalled = Array.from({ length: 10 }, (_, index) => {
    const request = new HttpRequest('POST', server.url(`/stall?${index}`), { content: 'x' })
    return describeOutcome(() => pool.request(request))
  })
  await expect.poll(() => pool.toString()).toMatch(/active 1 .* waiting 0/)

  const request = new HttpRequest('GET', server.url('/data-stream-0?all'))
  const outcome = await describeOutcome(() => pool.request(request))

  expect(new Set([outcome, ...(await Promise.all(stalled))])).toEqual(new Set(['remote-protocol']))
})

function requestOf({ scenario, method = 'GET' }: HostileRow): HttpRequest {
  const content = method === 'POST' ? { content: CONTENT } : {}
  return new HttpRequest(method, server.url(`/${scenario}`), content)
}

/** See `HostileRow.outcome`. */
async function describeOutcome(send: () => Promise<HttpResponse>): Promise<string> {
  let status: number | undefined
  try {
    const response = await send()
    status = response.status
    const text = (await response.body.bytes()).toString()
    const trailers = Object.fromEntries(response.body.trailers)
    const shown = Object.keys(trailers).length === 0 ? '' : ` ${JSON.stringify(trailers)}`
    return `${status} ${JSON.stringify(text)}${shown}`
  } catch (error) {
    const { code } = error as { code?: string }
    return status === undefined ? String(code) : `${status}, then ${code}`
  }
}

/** Expects what a row says of its connection, the first that its path was asked for on. */
async function expectConnection(
  path: string,
  { sent, survives }: HostileRow,
  next: number,
): Promise<void> {
  const first = server.observationsOf(path)[0]?.connection as number
  expect(next === first).toBe(survives)
  await expectSent(path, sent === undefined ? [] : [sent])
}

/** Expects that the first connection that a path was asked for on comes to its end. */
async function expectClosed(path: string): Promise<void> {
  const isClosed = (): boolean => ofFirst(path).some(({ closed }) => closed === true)
  await expect.poll(isClosed, { interval: 10 }).toBe(true)
}

/** Expects which errors were sent on the first connection of a path, and that nobody complains. */
async function expectSent(path: string, codes: readonly string[]): Promise<void> {
  await expect.poll(() => sentOf(ofFirst(path)), { interval: 10 }).toEqual(codes)
  expect(ofFirst(path).flatMap(({ complaint }) => complaint ?? [])).toEqual([])
}

/** What is told of the first connection that a path was asked for on. */
function ofFirst(path: string): readonly Observation[] {
  const all = server.observationsOf(path)
  return all.filter(({ connection }) => connection === all[0]?.connection)
}

/** Errors that were sent; an orderly GOAWAY is none. */
function sentOf(observations: readonly { readonly sent?: string }[]): readonly string[] {
  return observations.flatMap(({ sent }) =>
    sent === undefined || sent === 'GOAWAY NO_ERROR' ? [] : [sent],
  )
}

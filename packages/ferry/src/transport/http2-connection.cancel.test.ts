/** Exchanges that are given up at any point, and callbacks that throw: only theirs ends, with CANCEL. */
import { expect, test } from 'vitest'
import { Http2ConnectionFixture, turn } from '../testing/http2-fixture.ts'
import { responseOf } from '../testing/http2-peer.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import type { ResponseHandler } from './connection.ts'
import { HttpRequest } from './http-request.ts'

const ENOUGH = new Error('enough')
const GET = new HttpRequest('GET', 'https://h/a')
const UPLOAD = new HttpRequest('POST', 'https://h/a', { content: Buffer.alloc(200_000) })
const EXPECTING = new HttpRequest('POST', 'https://h/a', {
  content: 'held',
  headers: { Expect: '100-continue' },
})

/** What the peer does before the exchange is given up. */
type Before = (fixture: Http2ConnectionFixture) => unknown

const phases: readonly [string, HttpRequest, Before, boolean][] = [
  ['in the turn in which it was started', GET, () => {}, false],
  ['before a head', GET, turn, false],
  [
    'after an informational response',
    GET,
    ({ peer }) => turn().then(() => peer.head(1, 103)),
    true,
  ],
  ['after the head', GET, ({ peer }) => turn().then(() => peer.head(1, 200)), true],
  [
    'in the middle of content',
    GET,
    async ({ peer }) => {
      await turn()
      peer.head(1, 200)
      peer.data(1, 'some')
    },
    true,
  ],
  ['while content waits for a window', UPLOAD, turn, false],
  ['while content is held for 100 (Continue)', EXPECTING, turn, false],
  [
    'while it sends and receives',
    UPLOAD,
    async ({ peer }) => {
      await turn()
      peer.head(1, 200)
      peer.data(1, 'some')
      peer.widen(1000, 1)
    },
    true,
  ],
]

test.each(phases)(
  'an exchange can be given up %s, and others go on',
  async (_, request, before, started) => {
    const fixture = Http2ConnectionFixture.settled()
    const { connection, peer } = fixture
    const handler = fixture.dispatch(request)
    const other = fixture.dispatch()
    await before(fixture)

    handler.exchange?.abort(ENOUGH)
    handler.exchange?.abort(new Error('too late'))
    await turn()
    peer.take()
    // What was on its way.
    if (started) peer.data(1, 'late')
    peer.respond(3)
    await turn()

    expect(handler.error).toBe(ENOUGH)
    expect(handler.events.filter((event) => event.startsWith('error'))).toEqual([
      `error ${started ? 'after' : 'before'} the response began`,
    ])
    expect(handler.events.at(-1)).toMatch(/^error/)
    expect(peer.request(1)).toMatchObject({ reset: true, ended: request === GET })
    expect(other.events.at(-1)).toBe('complete')
    expect(connection.state).toBe('idle')
    expect(connection.metrics).toMatchObject({ requestCount: 2, errorsCount: 1 })
    expect(fixture.clock.pending).toBe(0)
  },
)

test('an exchange that is given up leaves room at once', async () => {
  const fixture = Http2ConnectionFixture.settled({ maxStreams: 1 })
  const handler = fixture.dispatch()
  await turn()
  const { length } = fixture.states

  handler.exchange?.abort(ENOUGH)
  fixture.dispatch()
  await turn()

  expect(length).toBe(0)
  expect(fixture.states).toEqual(['idle'])
  expect(fixture.peer.takeRequests()).toEqual([
    'HEADERS 1 end GET /a',
    'RST_STREAM 1 CANCEL',
    'HEADERS 3 end GET /a',
  ])
})

test('an exchange that has ended cannot be given up', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  await turn()
  fixture.peer.respond()

  handler.exchange?.abort(ENOUGH)
  await turn()

  expect(handler.events.at(-1)).toBe('complete')
  expect(fixture.peer.takeRequests()).toEqual(['HEADERS 1 end GET /a'])
})

/** Records, but for one method. */
function handlerWith(change: Partial<ResponseHandler>): RecordingHandler {
  return Object.assign(new RecordingHandler(), change)
}

const fail = (): never => {
  throw ENOUGH
}

test.each(['onInformation', 'onHead', 'onContent'] as const)(
  '%s that throws ends its exchange with that very error, and no other',
  async (name) => {
    const fixture = Http2ConnectionFixture.settled()
    const { connection, peer } = fixture
    const handler = handlerWith({ [name]: fail })
    fixture.start(GET, handler)
    const other = fixture.dispatch()
    await turn()

    peer.head(1, 103)
    peer.head(1, 200)
    peer.data(1, 'content', true)
    peer.respond(3)
    await turn()

    expect(handler.error).toBe(ENOUGH)
    expect(handler.events.at(-1)).toBe('error after the response began')
    expect(peer.request(1).reset).toBe(true)
    expect(other.events.at(-1)).toBe('complete')
    expect(connection.state).toBe('idle')
  },
)

test.each(['onHead', 'onContent'] as const)(
  '%s may give up its exchange, and others of the same read',
  async (name) => {
    const fixture = Http2ConnectionFixture.settled()
    const { connection, peer } = fixture
    const handlers: RecordingHandler[] = []
    const abort = (): boolean => {
      for (const { exchange } of handlers) exchange?.abort(ENOUGH)
      return true
    }
    for (let index = 0; index < 3; index++) {
      const handler = index === 1 ? handlerWith({ [name]: abort }) : new RecordingHandler()
      handler.exchange = fixture.start(GET, handler)
      handlers.push(handler)
    }
    await turn()

    peer.send(...[3, 1, 5].flatMap((id) => responseOf(id)))
    await turn()

    expect(handlers.map(({ error }) => error)).toEqual([ENOUGH, ENOUGH, ENOUGH])
    expect(connection.state).toBe('idle')
    expect(
      peer
        .takeRequests()
        .filter((line) => line.startsWith('RST'))
        .toSorted(),
    ).toEqual(['RST_STREAM 1 CANCEL', 'RST_STREAM 3 CANCEL', 'RST_STREAM 5 CANCEL'])
  },
)

test('a callback may start the next exchange, which goes out with the answers to what was read', async () => {
  const fixture = Http2ConnectionFixture.settled({ maxStreams: 1 })
  const next = new RecordingHandler()
  const handler = handlerWith({ onComplete: () => void fixture.start(GET, next) })
  fixture.start(GET, handler)
  await turn()
  fixture.peer.take()

  fixture.peer.respond()
  const lines = fixture.peer.takeRequests()
  fixture.peer.respond(3)

  expect(lines).toEqual(['HEADERS 3 end GET /a'])
  expect(next.events.at(-1)).toBe('complete')
})

test('an exchange can be given up while its connection goes away, with its own reason', async () => {
  const fixture = Http2ConnectionFixture.settled()
  const handler = fixture.dispatch()
  await turn()
  fixture.peer.goAway(1)

  handler.exchange?.abort(ENOUGH)

  expect(handler.error).toBe(ENOUGH)
  expect(fixture.connection.state).toBe('closed')
  expect(fixture.peer.take().at(-1)).toBe('GOAWAY 0 NO_ERROR')
})

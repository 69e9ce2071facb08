import { expect, test } from 'vitest'
import { PoolFixture } from '../../testing/pool-fixture.ts'
import type { ConnectionPoolOptions } from '../pool-options.ts'
import { eventSource } from './event-source.ts'
import type { EventSourceOptions, EventStreamRetry } from './event-source-options.ts'
import type { ServerEvent } from './event-queue.ts'
import type { EventSubscription } from './event-subscription.ts'

const URL = 'http://a/events'
/** Its content ends with the connection. */
const OPEN = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'
const CHUNKED = OPEN.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n')
const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n'
const UNAVAILABLE = 'HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n'
/** The default of `retryMs`. */
const RETRY_MS = 3000

/** A subscription on a network in memory, read as fast as it comes. */
class Fixture extends PoolFixture {
  readonly events: ServerEvent[] = []
  readonly retries: EventStreamRetry[] = []
  /** `done`, or what was thrown. */
  outcome: unknown
  #subscription: EventSubscription | undefined

  constructor(options: Partial<EventSourceOptions> = {}, poolOptions: ConnectionPoolOptions = {}) {
    super(poolOptions)
    this.#subscription = eventSource(URL, {
      pool: this.pool,
      clock: this.clock,
      jitter: 0,
      onRetry: (retry) => this.retries.push(retry),
      ...options,
    })
    void this.#read(this.#subscription)
  }

  get subscription(): EventSubscription {
    return this.#subscription as EventSubscription
  }

  get data(): string[] {
    return this.events.map(({ data }) => data)
  }

  /** The value of a field in the request on a connection. */
  field(index: number, name: string): string | undefined {
    return new RegExp(`^${name}: (.*)\r$`, 'im').exec(this.stream(index).written)?.[1]
  }

  /** Lets the server say something on the newest connection, and what follows happen. */
  async say(...pieces: string[]): Promise<void> {
    await this.turn()
    for (const piece of pieces) this.lastStream().send(Buffer.from(piece))
    await this.turn()
  }

  async sendEnd(): Promise<void> {
    this.lastStream().sendEnd()
    await this.turn()
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.turn()
  }

  async #read(subscription: EventSubscription): Promise<void> {
    try {
      for await (const event of subscription) this.events.push(event)
      this.outcome = 'done'
    } catch (error) {
      this.outcome = error
    }
  }
}

test('EventSubscription gives events with their type, data and the last id so far', async () => {
  await using fixture = new Fixture()

  await fixture.say(OPEN, 'data: a\n\nid: 1\nevent: add\ndata: b\n\n', 'data: c\n\n')

  expect(fixture.events).toEqual([
    { type: 'message', data: 'a', lastEventId: '' },
    { type: 'add', data: 'b', lastEventId: '1' },
    { type: 'message', data: 'c', lastEventId: '1' },
  ])
  expect(fixture.subscription.lastEventId).toBe('1')
})

test('EventSubscription tells its state', async () => {
  await using fixture = new Fixture()
  const states: string[] = []
  const note = (): void => void states.push(fixture.subscription.toString())

  note()
  await fixture.say(OPEN)
  note()
  await fixture.sendEnd()
  note()
  await fixture.advance(RETRY_MS)
  note()
  await fixture.say(NO_CONTENT)
  note()

  expect(states).toEqual(
    ['connecting', 'open', 'waiting', 'connecting', 'closed'].map(
      (state) => `GET ${URL} ${state}, 0 held`,
    ),
  )
})

test('EventSubscription connects again after retryMs, and says where to go on', async () => {
  await using fixture = new Fixture()
  await fixture.say(OPEN, 'id: é\ndata: a\n\n')
  expect(fixture.field(0, 'last-event-id')).toBeUndefined()
  await fixture.sendEnd()

  await fixture.advance(RETRY_MS - 1)
  expect(fixture.backend.streams).toHaveLength(1)
  await fixture.advance(1)
  await fixture.say(OPEN, 'data: b\n\n')

  expect(fixture.field(1, 'last-event-id')).toBe('\xc3\xa9')
  // As browsers do. To the letter of HTML §9.2.6 a new stream would begin with an empty id buffer,
  // and an event without an id would make the place forgotten.
  expect(fixture.events.at(-1)).toEqual({ type: 'message', data: 'b', lastEventId: 'é' })
})

test('EventSubscription begins where the caller says', async () => {
  await using fixture = new Fixture({ lastEventId: '41' })
  await fixture.turn()

  expect(fixture.field(0, 'last-event-id')).toBe('41')
})

test('EventSubscription forgets an id that the server empties', async () => {
  await using fixture = new Fixture({ lastEventId: '41' })
  await fixture.say(OPEN, 'id\n\n')
  await fixture.sendEnd()

  await fixture.advance(RETRY_MS)

  expect(fixture.field(1, 'last-event-id')).toBeUndefined()
})

test('EventSubscription waits as long as the server says', async () => {
  await using fixture = new Fixture()
  await fixture.say(OPEN, 'retry: 10\n', 'data: a\n\n')
  expect(fixture.subscription.retryMs).toBe(10)
  await fixture.sendEnd()

  await fixture.advance(10)

  expect(fixture.retries).toMatchObject([{ attempt: 1, delayMs: 10 }])
  expect(fixture.backend.streams).toHaveLength(2)
})

test('EventSubscription gives no event that was cut, nor takes its id', async () => {
  await using fixture = new Fixture()
  await fixture.say(OPEN, 'id: 1\ndata: a\n\n', 'id: 2\ndata: cut\n')
  await fixture.sendEnd()

  await fixture.advance(RETRY_MS)
  await fixture.say(OPEN, '\ndata: b\n\n')

  expect(fixture.data).toEqual(['a', 'b'])
  expect(fixture.field(1, 'last-event-id')).toBe('1')
})

test('EventSubscription connects again when the connection breaks in a chunk', async () => {
  await using fixture = new Fixture()
  await fixture.say(CHUNKED, '9\r\ndata: a\n\n\r\nff\r\ndata')
  await fixture.sendEnd()

  await fixture.advance(RETRY_MS)
  await fixture.say(CHUNKED, '9\r\ndata: b\n\n\r\n')

  expect(fixture.data).toEqual(['a', 'b'])
  expect(fixture.retries).toMatchObject([{ reason: { code: 'connection-lost' } }])
})

test('EventSubscription waits longer after each failure, until an event comes', async () => {
  await using fixture = new Fixture({ maxRetryMs: 10_000 })
  for (const delayMs of [3000, 6000, 10_000, 10_000]) {
    await fixture.say(OPEN)
    await fixture.sendEnd()
    await fixture.advance(delayMs)
  }
  await fixture.say(OPEN, 'data: a\n\n')
  await fixture.sendEnd()

  expect(fixture.retries.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
    [2, 3000],
    [3, 6000],
    [4, 10_000],
    [5, 10_000],
    [1, 3000],
  ])
})

test('EventSubscription takes a response that held for 10 s for a good one', async () => {
  await using fixture = new Fixture({ maxAttempts: 2 })
  for (let times = 0; times < 5; times++) {
    await fixture.say(OPEN)
    await fixture.advance(10_000)
    await fixture.sendEnd()
    await fixture.advance(RETRY_MS)
  }

  expect(fixture.retries.map(({ delayMs }) => delayMs)).toEqual(Array(5).fill(RETRY_MS))
})

test('EventSubscription fails after maxAttempts in a row', async () => {
  await using fixture = new Fixture({ maxAttempts: 2 })
  await fixture.say(OPEN)
  await fixture.sendEnd()
  await fixture.advance(RETRY_MS)
  await fixture.turn()

  fixture.lastStream().fail(new Error('reset'))
  await fixture.turn()

  expect(fixture.outcome).toMatchObject({ code: 'connection-lost' })
  expect(fixture.subscription.state).toBe('closed')
})

test('EventSubscription lengthens its waits at random', async () => {
  await using fixture = new Fixture({ jitter: 0.5, random: () => 0.5 })
  await fixture.say(OPEN)
  await fixture.sendEnd()

  expect(fixture.retries).toMatchObject([{ delayMs: RETRY_MS * 1.25 }])
})

test('EventSubscription ends with 204, and leaves the connection to others', async () => {
  await using fixture = new Fixture()

  await fixture.say(NO_CONTENT)

  expect(fixture.outcome).toBe('done')
  expect(fixture.state()).toBe('http://a:80 active 0 idle 1 connecting 0 waiting 0')
})

test.each([
  ['404', 'HTTP/1.1 404 Not Found\r\n\r\nno', { code: 'http-status', status: 404 }],
  ['a redirect', 'HTTP/1.1 307 Elsewhere\r\nLocation: /b\r\n\r\n', { status: 307 }],
  ['500', 'HTTP/1.1 500 Oops\r\n\r\n', { status: 500 }],
  ['another type', 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n', remoteProtocol()],
  ['what is no HTTP', 'SSH-2.0\r\n\r\n', remoteProtocol()],
  ['chunks that are none', `${CHUNKED}zz\r\n`, remoteProtocol()],
])('EventSubscription fails for good with %s, and closes', async (_name, response, error) => {
  await using fixture = new Fixture()

  await fixture.say(response)

  expect(fixture.outcome).toMatchObject(error)
  expect(fixture.retries).toEqual([])
  expect(fixture.stream(0).closed).toBe(true)
})

function remoteProtocol(): object {
  return { code: 'remote-protocol' }
}

test('EventSubscription waits out 503 for as long as Retry-After says', async () => {
  await using fixture = new Fixture()
  await fixture.say(UNAVAILABLE)

  expect(fixture.retries).toMatchObject([{ delayMs: 7000, reason: { status: 503 } }])
  await fixture.advance(7000)
  await fixture.say(OPEN, 'data: a\n\n')

  expect(fixture.data).toEqual(['a'])
})

test('EventSubscription waits out only retryStatuses', async () => {
  await using fixture = new Fixture({ retryStatuses: [] })

  await fixture.say(UNAVAILABLE)

  expect(fixture.outcome).toMatchObject({ status: 503 })
})

test('EventSubscription fails with an event that is too large', async () => {
  await using fixture = new Fixture({ maxEventBytes: 100 })

  await fixture.say(OPEN, 'data: a\n\n', `data: ${'x'.repeat(101)}`, 'x\n\ndata: b\n\n')

  expect(fixture.data).toEqual(['a'])
  expect(fixture.outcome).toMatchObject({
    code: 'remote-protocol',
    message: 'Cannot read the events of http://a/events: one is larger than 100 bytes',
  })
  expect(fixture.stream(0).closed).toBe(true)
})

test('EventSubscription lets a server be silent, whatever the limits of the pool', async () => {
  const limits = { bodyTimeoutMs: 1000, totalTimeoutMs: 1000, idleTimeoutMs: 1000 }
  await using fixture = new Fixture({}, limits)
  await fixture.say(OPEN)

  await fixture.advance(1_000_000)
  await fixture.say('data: a\n\n')

  expect(fixture.data).toEqual(['a'])
})

test('EventSubscription connects again when nothing came for idleTimeoutMs', async () => {
  await using fixture = new Fixture({ idleTimeoutMs: 1000 })
  await fixture.say(OPEN)
  await fixture.advance(999)
  await fixture.say(': still here\n')
  await fixture.advance(999)
  expect(fixture.subscription.state).toBe('open')

  await fixture.advance(1)

  expect(fixture.retries).toMatchObject([{ reason: { code: 'timeout', timeoutMs: 1000 } }])
  expect(fixture.stream(0).closed).toBe(true)
  await fixture.advance(RETRY_MS)
  await fixture.say(OPEN, 'data: a\n\n')
  expect(fixture.data).toEqual(['a'])
})

test('EventSubscription connects again when no head came in time', async () => {
  await using fixture = new Fixture({ headersTimeoutMs: 1000 })
  await fixture.turn()

  await fixture.advance(1250)

  expect(fixture.retries).toMatchObject([{ reason: { phase: 'headers', timeoutMs: 1000 } }])
})

test('EventSubscription fails when the server gives an id that cannot be sent back', async () => {
  await using fixture = new Fixture()
  await fixture.say(OPEN, 'id: \x01\ndata: a\n\n')
  await fixture.sendEnd()

  await fixture.advance(RETRY_MS)

  expect(fixture.outcome).toMatchObject({ code: 'local-protocol' })
})

test('EventSubscription fails when its pool is closed', async () => {
  await using fixture = new Fixture()
  await fixture.say(OPEN)
  await fixture.pool.close()

  await fixture.advance(RETRY_MS)

  expect(fixture.outcome).toMatchObject({ code: 'connection-lost' })
  expect(fixture.clock.pending).toBe(0)
})

test('EventSubscription sends a POST once: the end of its response is the end', async () => {
  await using fixture = new Fixture({ method: 'POST', content: '{}' })

  await fixture.say(OPEN, 'data: a\n\n')
  await fixture.sendEnd()

  expect(fixture.stream(0).written).toMatch(/^POST \/events HTTP\/1\.1\r\n[^]*\r\n\r\n\{\}$/)
  expect([fixture.data, fixture.outcome]).toEqual([['a'], 'done'])
})

test('EventSubscription fails with a POST whose response breaks', async () => {
  await using fixture = new Fixture({ method: 'POST', content: '{}' })

  await fixture.say(CHUNKED, '9\r\ndata: a\n\n\r\n')
  await fixture.sendEnd()

  expect([fixture.data, fixture.outcome]).toMatchObject([['a'], { code: 'connection-lost' }])
})

test('EventSubscription sends a POST again where the caller wants it', async () => {
  await using fixture = new Fixture({ method: 'POST', content: '{}', reconnect: true })
  await fixture.say(OPEN, 'id: 5\ndata: a\n\n')
  await fixture.sendEnd()

  await fixture.advance(RETRY_MS)

  expect(fixture.stream(1).written).toMatch(/last-event-id: 5\r\n[^]*\{\}$/i)
})

test('EventSubscription fails where content would have to be sent again that cannot be', async () => {
  const content = [Buffer.from('{}')].values()
  await using fixture = new Fixture({ method: 'POST', content, reconnect: true })

  await fixture.say(OPEN, 'data: a\n\n')
  await fixture.sendEnd()

  expect(fixture.data).toEqual(['a'])
  expect(fixture.outcome).toMatchObject({
    code: 'local-protocol',
    cause: { code: 'connection-lost' },
  })
})

test('EventSubscription tells of openings and comments in their order', async () => {
  const told: unknown[] = []
  await using fixture = new Fixture({
    onOpen: ({ version, headers, connection }) => {
      told.push([version, headers.get('content-type'), connection?.id])
      told.push(fixture.subscription.state)
    },
    onComment: (text) => told.push(text),
  })

  await fixture.say(`${OPEN}: hello\n`, ':\n:two\n')

  expect(told).toEqual([['1.1', 'text/event-stream', 1], 'open', 'hello', '', 'two'])
})

test.each(['onOpen', 'onComment', 'onRetry'] as const)(
  'EventSubscription may be closed in %s',
  async (name) => {
    await using fixture: Fixture = new Fixture({
      [name]: () => void fixture.subscription.close(),
    })

    await fixture.say(OPEN, ': comment\ndata: a\n\nid: 1\ndata: b\n\n')
    await fixture.sendEnd()

    expect(fixture.outcome).toBe('done')
    expect(fixture.data).toEqual(name === 'onRetry' ? ['a', 'b'] : [])
    expect(fixture.clock.pending).toBeLessThanOrEqual(1)
    await fixture.advance(60_000)
    expect([fixture.state(), fixture.clock.pending]).toEqual(['empty', 0])
  },
)

test.each(['onOpen', 'onComment', 'onRetry'] as const)(
  'EventSubscription goes on when %s throws, which is an uncaught exception',
  async (name) => {
    const mistake = new Error('a mistake of the caller')
    const uncaught: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    await using fixture = new Fixture({
      [name]: () => {
        throw mistake
      },
    })

    await fixture.say(OPEN, ': comment\ndata: a\n\n')
    await fixture.sendEnd()
    await fixture.advance(RETRY_MS)
    const { state } = fixture.subscription
    await fixture.subscription.close()
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)

    expect(fixture.data).toEqual(['a'])
    expect(uncaught).toEqual([mistake])
    expect(state).toBe('connecting')
  },
)

test.each([
  { retryMs: -1 },
  { retryMs: Number.NaN },
  { maxRetryMs: -1 },
  { maxAttempts: 0 },
  { jitter: 1.1 },
  { idleTimeoutMs: 0 },
  { maxEventBytes: 0 },
  { maxHeldBytes: 0 },
  { poolTimeoutMs: 0 },
  { headersTimeoutMs: 0 },
])('eventSource() refuses %o', async (options) => {
  await using fixture = new PoolFixture()

  expect(() => eventSource(URL, { pool: fixture.pool, ...options })).toThrow(
    expect.objectContaining({ code: 'config', option: Object.keys(options)[0] }) as Error,
  )
  expect(fixture.backend.requests).toEqual([])
})

test('eventSource() refuses an id that cannot be sent', async () => {
  await using fixture = new PoolFixture()

  expect(() => eventSource(URL, { pool: fixture.pool, lastEventId: 'a\nb' })).toThrow(
    expect.objectContaining({ code: 'local-protocol' }) as Error,
  )
})

import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { GET, PoolFixture } from '../../testing/pool-fixture.ts'
import { eventSource } from './event-source.ts'
import type { EventSubscription } from './event-subscription.ts'

const OPEN = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n'
const REASON = { because: 'the user said so' }
/** Beside what an event counts for itself. */
const BIG = `data: ${'x'.repeat(1000)}\n\n`
/** Takes one of them. */
const MAX_HELD_BYTES = 1000

/** A subscription that nobody reads yet, with a hold on its signal. */
class Fixture extends PoolFixture {
  readonly #controller = new AbortController()

  constructor() {
    super({ maxConnections: 1 })
  }

  open(): EventSubscription {
    return eventSource('http://a/', {
      pool: this.pool,
      clock: this.clock,
      signal: this.#controller.signal,
      idleTimeoutMs: 30_000,
      maxHeldBytes: MAX_HELD_BYTES,
    })
  }

  abort(): void {
    this.#controller.abort(REASON)
  }

  /** Lets idle connections age out, and finds that nothing is left. */
  async expectNothingLeft(): Promise<void> {
    await this.turn()
    expect(getEventListeners(this.#controller.signal, 'abort')).toEqual([])
    this.clock.advance(60_000)
    await this.turn()
    expect([this.state(), this.clock.pending]).toEqual(['empty', 0])
    expect(this.backend.streams.every(({ closed }) => closed)).toBe(true)
  }
}

/** Brings a subscription to a point of its life. */
const PHASES: Readonly<Record<string, (fixture: Fixture) => Promise<EventSubscription>>> = {
  'waiting for a connection': async (fixture) => {
    const other = new AbortController()
    fixture.dispatch(GET.url.href, other.signal)
    const subscription = fixture.open()
    await fixture.turn()
    expect(fixture.state()).toContain('waiting 1')
    // The other one is not ours to leave behind either.
    queueMicrotask(() => queueMicrotask(() => other.abort()))
    return subscription
  },
  connecting: (fixture) => Promise.resolve(fixture.open()),
  'before the head': async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    return subscription
  },
  open: async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    fixture.lastStream().send(OPEN)
    expect(subscription.state).toBe('open')
    return subscription
  },
  'inside an event': async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    fixture.lastStream().send(`${OPEN}data: a\n`)
    return subscription
  },
  'with events held': async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    fixture.lastStream().send(`${OPEN}data: a\n\ndata: b\n\n`)
    expect(subscription.toString()).toContain('2 held')
    return subscription
  },
  paused: async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    fixture.lastStream().send(`${OPEN}${BIG}`)
    fixture.lastStream().send(BIG)
    expect(fixture.lastStream().paused).toBe(true)
    return subscription
  },
  waiting: async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    fixture.lastStream().send(OPEN)
    fixture.lastStream().sendEnd()
    expect(subscription.state).toBe('waiting')
    return subscription
  },
  'waiting for room': async (fixture) => {
    const subscription = fixture.open()
    await fixture.turn()
    fixture.lastStream().send(`${OPEN}${BIG}`)
    // What has come is known to be all there is only when the stream is read again.
    fixture.lastStream().fail(new Error('reset'))
    fixture.clock.advance(60_000)
    expect([subscription.state, fixture.backend.streams.length]).toEqual(['waiting', 1])
    return subscription
  },
}
const ROWS = Object.entries(PHASES)

test('eventSource() with an aborted signal sends nothing', async () => {
  await using fixture = new Fixture()
  fixture.abort()

  const subscription = fixture.open()

  await expect(subscription.next()).rejects.toBe(REASON)
  expect(fixture.backend.requests).toEqual([])
  await fixture.expectNothingLeft()
})

test.each(ROWS)('EventSubscription aborted %s fails with the reason', async (_name, reach) => {
  await using fixture = new Fixture()
  const subscription = await reach(fixture)

  fixture.abort()

  expect(subscription.state).toBe('closed')
  await expect(subscription.next()).rejects.toBe(REASON)
  await expect(subscription.next()).resolves.toEqual({ done: true, value: undefined })
  await fixture.expectNothingLeft()
})

test.each(ROWS)('EventSubscription closed %s gives nothing more', async (_name, reach) => {
  await using fixture = new Fixture()
  const subscription = await reach(fixture)

  await subscription.close()
  await subscription.close()

  expect(subscription.toString()).toBe('GET http://a/ closed, 0 held')
  await expect(subscription.next()).resolves.toEqual({ done: true, value: undefined })
  await fixture.expectNothingLeft()
})

test.each(['connecting', 'open', 'waiting'])(
  'EventSubscription aborted %s fails who waits for an event',
  async (name) => {
    await using fixture = new Fixture()
    const subscription = await (PHASES[name] as (typeof PHASES)[string])(fixture)
    const waiting = expect(subscription.next()).rejects.toBe(REASON)

    fixture.abort()

    await waiting
    await fixture.expectNothingLeft()
  },
)

test('EventSubscription is closed when a loop over it is left', async () => {
  await using fixture = new Fixture()
  const subscription = fixture.open()
  await fixture.turn()
  fixture.lastStream().send(`${OPEN}data: a\n\ndata: b\n\n`)

  for await (const { data } of subscription) {
    expect(data).toBe('a')
    break
  }

  expect(subscription.state).toBe('closed')
  await fixture.expectNothingLeft()
})

test('EventSubscription is closed at the end of its block', async () => {
  await using fixture = new Fixture()
  {
    await using subscription = fixture.open()
    await fixture.turn()
    expect(subscription.state).toBe('connecting')
  }

  await fixture.expectNothingLeft()
})

test('EventSubscription ends who waits for an event when it is closed', async () => {
  await using fixture = new Fixture()
  const subscription = fixture.open()
  const waiting = [subscription.next(), subscription.next()]

  await subscription.close()

  expect(await Promise.all(waiting)).toEqual(Array(2).fill({ done: true, value: undefined }))
})

test('EventSubscription closed leaves the pool open', async () => {
  await using fixture = new Fixture()
  const subscription = fixture.open()
  await fixture.turn()
  await subscription.close()

  const pending = fixture.pool.request(GET)
  await fixture.turn()
  fixture.lastStream().send('HTTP/1.1 204 No Content\r\n\r\n')

  expect((await pending).status).toBe(204)
})

test('EventSubscription lets the server wait until events are taken', async () => {
  await using fixture = new Fixture()
  const subscription = fixture.open()
  await fixture.turn()
  const stream = fixture.lastStream()
  stream.send(OPEN)
  for (let index = 0; index < 100; index++) stream.send(BIG.replace('xxx', `${index}`))
  expect([subscription.toString(), stream.paused]).toEqual(['GET http://a/ open, 1 held', true])

  const first: string[] = []
  for (let index = 0; index < 100; index++) {
    const { value } = await subscription.next()
    first.push(/^\d+/.exec(value?.data ?? '')?.[0] ?? '')
    expect(subscription.toString()).toBe(`GET http://a/ open, ${index < 99 ? 1 : 0} held`)
  }

  expect(first).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`))
  expect(stream.paused).toBe(false)
  await subscription.close()
  await fixture.expectNothingLeft()
})

test('EventSubscription does not count its own pause as silence', async () => {
  await using fixture = new Fixture()
  const subscription = await (PHASES['paused'] as (typeof PHASES)[string])(fixture)

  fixture.clock.advance(300_000)
  expect(subscription.state).toBe('open')
  await subscription.next()
  await subscription.next()
  fixture.clock.advance(29_999)
  expect(subscription.state).toBe('open')
  fixture.clock.advance(1)

  expect(subscription.state).toBe('waiting')
  await subscription.close()
})

test('EventSubscription connects again only when there is room', async () => {
  await using fixture = new Fixture()
  const subscription = await (PHASES['waiting for room'] as (typeof PHASES)[string])(fixture)

  await subscription.next()
  await fixture.turn()

  expect([subscription.state, fixture.backend.streams.length]).toEqual(['connecting', 2])
  await subscription.close()
  await fixture.expectNothingLeft()
})

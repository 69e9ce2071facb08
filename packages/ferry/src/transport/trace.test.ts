import { channel } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import { HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import { HttpRequest } from './http-request.ts'
import { TRACE_CHANNEL, type TraceEvent } from './trace.ts'

function summarise(events: readonly TraceEvent[]): string[] {
  return events.map(({ step, phase, connection, exchange }) => {
    const subject = [connection && `c${connection}`, exchange && `e${exchange}`]
    return [step, phase, ...subject.filter((part) => part !== undefined)].join(' ')
  })
}

function tracedFixture(): { events: TraceEvent[]; fixture: PoolFixture } {
  const events: TraceEvent[] = []
  return { events, fixture: new PoolFixture({ trace: (event) => events.push(event) }) }
}

test('a pool tells each step of an exchange in its order', async () => {
  const { events, fixture } = tracedFixture()
  await using _ = fixture
  fixture.dispatch('http://a/x?secret=1')
  await fixture.turn()
  await fixture.turn()
  fixture.stream(0).send(HELLO.slice(0, 20))
  fixture.stream(0).send(HELLO.slice(20))

  expect(summarise(events)).toEqual([
    'queue start e1',
    'queue end c1 e1',
    'send-head start c1 e1',
    'send-head end c1 e1',
    'wait start c1 e1',
    'wait end c1 e1',
    'read-head start c1 e1',
    'read-head end c1 e1',
    'read-body start c1 e1',
    'read-body end c1 e1',
  ])
  expect(events.every(({ origin }) => origin === 'http://a:80')).toBe(true)
  expect(new Set(events.map(({ request }) => request))).toEqual(new Set(['GET http://a/x?…']))
})

test('a pool tells of content that is sent', async () => {
  const { events, fixture } = tracedFixture()
  await using _ = fixture
  async function* content(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('x'))
  }
  fixture.send(new HttpRequest('PUT', 'http://a/', { content: content() }))
  for (let turns = 0; turns < 4; turns++) await fixture.turn()
  fixture.stream(0).send(HELLO)

  expect(summarise(events).map((line) => line.replace(' c1 e1', ''))).toEqual([
    'queue start e1',
    'queue end',
    'send-head start',
    'send-body start',
    'send-head end',
    'send-body end',
    'wait start',
    'wait end',
    'read-head start',
    'read-head end',
    'read-body start',
    'read-body end',
  ])
})

test('a pool tells at which step an exchange failed, and that its connection was closed', async () => {
  const { events, fixture } = tracedFixture()
  await using _ = fixture
  fixture.dispatch()
  await fixture.turn()
  await fixture.turn()
  fixture.stream(0).sendEnd()

  expect(summarise(events).slice(-2)).toEqual(['wait error c1 e1', 'close end c1'])
  expect(events.at(-2)?.error?.message).toContain('the server closed the connection')
})

test('a pool tells of the second queueing of an exchange that met a stale connection', async () => {
  const { events, fixture } = tracedFixture()
  await using _ = fixture
  fixture.dispatch()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  events.length = 0
  fixture.dispatch()
  fixture.stream(0).sendEnd()
  await fixture.turn()
  await fixture.turn()
  fixture.stream(1).send(HELLO)

  const lines = summarise(events)
  expect(lines.filter((line) => line.startsWith('queue'))).toEqual([
    'queue start e2',
    'queue end c1 e2',
    'queue start c1 e2',
    'queue end c2 e2',
  ])
  expect(lines.at(-1)).toBe('read-body end c2 e2')
  expect(lines.filter((line) => line.startsWith('send-head'))).toEqual([
    'send-head start c1 e2',
    'send-head error c1 e2',
    'send-head start c2 e2',
    'send-head end c2 e2',
  ])
  expect(lines.filter((line) => line.startsWith('wait'))).toEqual([
    'wait start c2 e2',
    'wait end c2 e2',
  ])
})

test('pools publish on the diagnostics channel while somebody listens', async () => {
  await using fixture = new PoolFixture()
  const events: TraceEvent[] = []
  const listener = (event: unknown): void => void events.push(event as TraceEvent)
  const traceChannel = channel(TRACE_CHANNEL)

  fixture.dispatch('http://quiet/')
  await fixture.turn()
  traceChannel.subscribe(listener)
  try {
    fixture.dispatch('http://heard/')
    await fixture.turn()
  } finally {
    traceChannel.unsubscribe(listener)
  }
  fixture.dispatch('http://quiet/')
  await fixture.turn()

  expect(new Set(events.map(({ origin }) => origin))).toEqual(new Set(['http://heard:80']))
  expect(events[0]).toMatchObject({ step: 'queue', phase: 'start', at: fixture.clock.now() })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CLOSING_HELLO, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import type { RecordingHandler } from '../testing/recording-handler.ts'
import { yieldsPlace } from './assign-requests.ts'

/** Adds the pool's lines up. */
function totals(fixture: PoolFixture): { open: number; perOrigin: number; waiting: number } {
  let [open, perOrigin, waiting] = [0, 0, 0]
  for (const line of fixture.state().split('\n')) {
    const match = /active (-?\d+) idle (-?\d+) connecting (-?\d+) waiting (-?\d+)/.exec(line)
    if (match === null) continue
    const counts = match.slice(1).map(Number) as [number, number, number, number]
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(0)
    open += counts[0] + counts[1] + counts[2]
    perOrigin = Math.max(perOrigin, counts[0] + counts[1] + counts[2])
    waiting += counts[3]
  }
  return { open, perOrigin, waiting }
}

test('ConnectionPool opens no more connections to an origin than allowed', async () => {
  await using fixture = new PoolFixture({ maxConnectionsPerOrigin: 2 })
  for (let request = 0; request < 5; request++) fixture.dispatch()

  expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 2 waiting 5')
  await fixture.turn()
  expect(fixture.state()).toBe('http://a:80 active 2 idle 0 connecting 0 waiting 3')
})

test('ConnectionPool opens no more connections in all than allowed', async () => {
  await using fixture = new PoolFixture({ maxConnections: 2 })
  for (const host of ['a', 'b', 'c']) fixture.dispatch(`http://${host}/`)
  await fixture.turn()

  expect(fixture.state().split('\n')).toEqual([
    'http://a:80 active 1 idle 0 connecting 0 waiting 0',
    'http://b:80 active 1 idle 0 connecting 0 waiting 0',
    'http://c:80 active 0 idle 0 connecting 0 waiting 1',
  ])
})

test('ConnectionPool closes an idle connection of another origin when the limit is reached', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  fixture.dispatch('http://a/')
  await fixture.turn()
  fixture.stream(0).send(HELLO)

  fixture.dispatch('http://b/')

  expect(fixture.stream(0).closed).toBe(true)
  expect(fixture.state().split('\n')).toEqual([
    'http://a:80 active 0 idle 0 connecting 0 waiting 0',
    'http://b:80 active 0 idle 0 connecting 1 waiting 1',
  ])
  await fixture.turn()
  expect(fixture.backend.streams).toHaveLength(2)
})

test('ConnectionPool evicts one idle connection for each request that needs a place', async () => {
  await using fixture = new PoolFixture({ maxConnections: 3 })
  for (let request = 0; request < 3; request++) fixture.dispatch('http://a/')
  await fixture.turn()
  for (const index of [0, 1, 2]) fixture.stream(index).send(HELLO)

  fixture.dispatch('http://b/')
  fixture.dispatch('http://b/')

  expect(fixture.state().split('\n')).toEqual([
    'http://a:80 active 0 idle 1 connecting 0 waiting 0',
    'http://b:80 active 0 idle 0 connecting 2 waiting 2',
  ])
})

test('ConnectionPool evicts the idle connection that was used longest ago', async () => {
  await using fixture = new PoolFixture({ maxConnections: 2 })
  fixture.dispatch('http://a/')
  fixture.dispatch('http://b/')
  await fixture.turn()
  fixture.stream(1).send(HELLO)
  fixture.clock.advance(1)
  fixture.stream(0).send(HELLO)

  fixture.dispatch('http://c/')

  expect(fixture.stream(0).closed).toBe(false)
  expect(fixture.stream(1).closed).toBe(true)
})

test('ConnectionPool evicts for an origin that waits as soon as another has an idle one', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  fixture.dispatch('http://a/')
  await fixture.turn()
  const waiting = fixture.dispatch('http://b/')

  fixture.stream(0).send(HELLO)
  expect(fixture.state().split('\n')).toEqual([
    'http://a:80 active 0 idle 0 connecting 0 waiting 0',
    'http://b:80 active 0 idle 0 connecting 1 waiting 1',
  ])
  await fixture.turn()
  fixture.stream(1).send(HELLO)

  expect(waiting.events.at(-1)).toBe('complete')
})

test('ConnectionPool serves another origin when a connection is closed', async () => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  fixture.dispatch('http://a/')
  await fixture.turn()
  fixture.dispatch('http://b/')

  fixture.stream(0).send(CLOSING_HELLO)

  expect(fixture.state()).toContain('http://b:80 active 0 idle 0 connecting 1 waiting 1')
})

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('request'), pick: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('answer'), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('answer-and-close'), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('server-closes'), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abort'), pick: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('turn'), pick: fc.constant(0) }) },
)

test('ConnectionPool keeps its limits and ends every request, in any order of events', async () => {
  const limits = fc.record({
    maxConnections: fc.integer({ min: 1, max: 4 }),
    maxConnectionsPerOrigin: fc.integer({ min: 1, max: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(limits, fc.array(action, { maxLength: 40 }), async (options, actions) => {
      await using fixture = new PoolFixture(options)
      const handlers: RecordingHandler[] = []
      const aborts: AbortController[] = []
      const check = (): void => {
        const { open, perOrigin } = totals(fixture)
        expect(open).toBeLessThanOrEqual(options.maxConnections)
        expect(perOrigin).toBeLessThanOrEqual(options.maxConnectionsPerOrigin)
      }
      const step = async (type: string, pick: number): Promise<void> => {
        const active = fixture.backend.streams.filter(({ closed, idle }) => !closed && !idle)
        const stream = active[pick % Math.max(1, active.length)]
        if (type === 'turn') await fixture.turn()
        if (type === 'answer') stream?.send(HELLO)
        if (type === 'answer-and-close') stream?.send(CLOSING_HELLO)
        if (type === 'server-closes') stream?.sendEnd()
        if (type === 'abort') aborts[pick % Math.max(1, aborts.length)]?.abort()
        if (type !== 'request') return
        const abort = new AbortController()
        aborts.push(abort)
        handlers.push(fixture.dispatch(`http://${'abc'[pick]}/`, abort.signal))
      }

      for (const { type, pick } of actions) {
        await step(type, pick)
        check()
      }
      for (let round = 0; round < handlers.length + 1; round++) {
        await fixture.turn()
        for (const stream of [...fixture.backend.streams]) {
          if (!stream.closed && !stream.idle) stream.send(HELLO)
        }
        check()
      }

      expect(totals(fixture).waiting).toBe(0)
      for (const { events } of handlers) {
        expect(events.filter((event) => /^(complete|error)/.test(event))).toHaveLength(1)
        expect(events.at(-1)).toMatch(/^(complete|error)/)
      }
    }),
    { numRuns: 200 },
  )
})

test('ConnectionPool lets no origin starve while another keeps the total busy', async () => {
  await using fixture = new PoolFixture({ maxConnections: 2 })
  for (let request = 0; request < 10; request++) fixture.dispatch('http://busy/')
  const patient = fixture.dispatch('http://patient/')
  for (let round = 0; round < 8; round++) {
    await fixture.turn()
    fixture.clock.advance(60)
    fixture.dispatch('http://busy/')
    for (const stream of fixture.backend.streams) stream.send(HELLO)
  }

  expect(patient.events.at(-1)).toBe('complete')
})

test.each([
  ['nobody else waits', 1_000, undefined, 2_000, false],
  ['the other came later', 1_000, 1_001, 2_000, false],
  ['both came together', 1_000, 1_000, 2_000, false],
  ['the other came before, but just now', 1_050, 1_000, 1_099, false],
  ['the other came before, and has waited', 1_050, 1_000, 1_100, true],
])('yieldsPlace() when %s', (_, own, other, now, expected) => {
  expect(yieldsPlace(own, other, now)).toBe(expected)
})

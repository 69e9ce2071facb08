/** What callbacks throw, or do, harms nothing. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CLOSING_HELLO, HELLO, PoolFixture } from '../testing/pool-fixture.ts'
import { RecordingHandler } from '../testing/recording-handler.ts'
import type { ResponseHandler } from './connection.ts'
import { HttpRequest } from './http-request.ts'

const MISTAKE = new Error('a mistake in a callback')
const fail = (): never => {
  throw MISTAKE
}

let uncaught: unknown[] = []
let listeners: NodeJS.UncaughtExceptionListener[] = []
const collect = (error: unknown): void => void uncaught.push(error)

beforeEach(() => {
  uncaught = []
  listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', collect)
})

afterEach(() => {
  process.off('uncaughtException', collect)
  for (const listener of listeners) process.on('uncaughtException', listener)
})

/** Records, but for one method. */
function handlerWith(change: Partial<ResponseHandler>): RecordingHandler {
  return Object.assign(new RecordingHandler(), change)
}

const UPGRADE = new HttpRequest('GET', 'http://a/', { headers: { Upgrade: 'x' } })
const TWO_HOSTS = new HttpRequest('GET', 'http://a/', {
  headers: [
    ['Host', 'a'],
    ['Host', 'b'],
  ],
})
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\n\r\n'

test.each([
  ['onComplete', { onComplete: fail }, UPGRADE, HELLO, 'idle 1'],
  ['onComplete, closing', { onComplete: fail }, UPGRADE, CLOSING_HELLO, 'idle 0'],
  ['onError', { onError: fail }, UPGRADE, 'rubbish', 'idle 0'],
  ['onUpgrade', { onUpgrade: fail }, UPGRADE, SWITCHING, 'idle 0'],
  ['onError, of a request that cannot be written,', { onError: fail }, TWO_HOSTS, '', 'idle 0'],
] as const)('%s that throws costs no place in the pool', async (_, change, request, wire, idle) => {
  await using fixture = new PoolFixture({ maxConnections: 1 })
  fixture.pool.dispatch(request, handlerWith(change))
  await fixture.turn()
  if (wire !== '') fixture.stream(0).send(wire)
  await fixture.turn()

  expect(uncaught).toEqual([MISTAKE])
  expect(fixture.state()).toBe(`http://a:80 active 0 ${idle} connecting 0 waiting 0`)
  const next = fixture.dispatch()
  await fixture.turn()
  fixture.lastStream().send(HELLO)
  expect(next.events.at(-1)).toBe('complete')
  expect(fixture.stream(0).closed).toBe(idle === 'idle 0')
})

test.each(['onHead', 'onContent', 'onInformation'] as const)(
  '%s that throws ends the exchange with that very error',
  async (name) => {
    await using fixture = new PoolFixture()
    const handler = handlerWith({ [name]: fail })
    fixture.pool.dispatch(UPGRADE, handler)
    await fixture.turn()

    fixture.stream(0).send(`HTTP/1.1 103 Hi\r\n\r\n${HELLO}`)

    expect(handler.error).toBe(MISTAKE)
    expect(uncaught).toEqual([])
    expect(fixture.state()).toBe('http://a:80 active 0 idle 0 connecting 0 waiting 0')
  },
)

test('a trace listener that throws harms no exchange', async () => {
  await using fixture = new PoolFixture({ trace: fail })
  const handler = fixture.dispatch()
  await fixture.turn()
  await fixture.turn()
  fixture.stream(0).send(HELLO)
  await fixture.turn()

  expect(handler.events.at(-1)).toBe('complete')
  expect(uncaught.length).toBeGreaterThan(5)
})

test('a request from onComplete goes out on the connection that has become free', async () => {
  await using fixture = new PoolFixture()
  let left = 5
  const sendNext = (): void => {
    if (left-- > 0) fixture.pool.dispatch(UPGRADE, handlerWith({ onComplete: sendNext }))
  }
  sendNext()
  await fixture.turn()
  for (let response = 0; response < 5; response++) fixture.lastStream().send(HELLO)

  expect(fixture.requestCounts()).toEqual([5])
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ConfigError,
  ConnectError,
  FerryError,
  HttpStatusError,
  LocalProtocolError,
  RemoteProtocolError,
  StreamError,
  TimeoutError,
} from '../../errors.ts'
import { outcomeOf } from './attempt-outcome.ts'
import { type AttemptRecord, describeAttempts, recordAttempt } from './describe-attempts.ts'

const refused = (status: number): HttpStatusError =>
  new HttpStatusError('x', { status, statusText: 'x', headers: [] })

/** Records of attempts that ended so. */
const record = (...errors: readonly unknown[]): AttemptRecord[] =>
  errors.map((error, index) => recordAttempt(index + 1, outcomeOf(error), 100))

test('describeAttempts() tells how many there were, how long they took, and how each ended', () => {
  const attempts = record(refused(503), refused(503), new StreamError('x'), refused(503))

  const { text, detail } = describeAttempts(attempts, 7342)

  expect(text).toBe('after 4 attempts in 7.3 s (503, 503, connection lost, 503)')
  expect(detail.history).toEqual([
    { number: 1, durationMs: 100, reason: '503', status: 503 },
    { number: 2, durationMs: 100, reason: '503', status: 503 },
    { number: 3, durationMs: 100, reason: 'connection lost', code: 'connection-lost' },
    { number: 4, durationMs: 100, reason: '503', status: 503 },
  ])
})

test('describeAttempts() has nothing to say of a single attempt', () => {
  expect(describeAttempts([], 0)).toEqual({ text: '', detail: {} })
  expect(describeAttempts(record(refused(503)), 5).text).toBe('')
})

test('describeAttempts() shortens a long list in the middle', () => {
  const statuses = [500, 501, 502, 503, 504, 505, 506, 507, 508]

  const list = (count: number): string =>
    describeAttempts(record(...statuses.slice(0, count).map(refused)), 0).text

  expect(list(6)).toBe('after 6 attempts in 0 ms (500, 501, 502, 503, 504, 505)')
  expect(list(7)).toBe('after 7 attempts in 0 ms (500, 501, 502, 503, … 1 more …, 505, 506)')
  expect(list(9)).toBe('after 9 attempts in 0 ms (500, 501, 502, 503, … 3 more …, 507, 508)')
})

test.each([
  [0, '0 ms'],
  [999.9, '999 ms'],
  [1000, '1.0 s'],
  [59_999, '59.9 s'],
  [60_000, '1 min'],
  [125_000, '2 min 5 s'],
  [7_325_000, '122 min 5 s'],
])('describeAttempts() writes %d ms as %s', (ms, expected) => {
  expect(describeAttempts(record(refused(500), refused(500)), ms).text).toContain(
    ` in ${expected} (`,
  )
})

test.each<[unknown, string]>([
  [new ConnectError('resolve', 'x'), 'no address'],
  [new ConnectError('connect', 'x'), 'no connection'],
  [new ConnectError('tls', 'x'), 'no TLS'],
  [new ConnectError('proxy', 'x'), 'no way through the proxy'],
  [new TimeoutError('headers', 1, 'x'), 'timeout (headers)'],
  [new StreamError('x'), 'connection lost'],
  [new LocalProtocolError('x'), 'request refused'],
  [new RemoteProtocolError('x'), 'broken response'],
  [new ConfigError('x', 'x'), 'error'],
  [new Error('x'), 'error'],
  [undefined, 'error'],
])('recordAttempt() has words for %s', (error, reason) => {
  expect(recordAttempt(1, outcomeOf(error), 5)).toMatchObject({ number: 1, durationMs: 5, reason })
})

test('recordAttempt() of an abort', () => {
  expect(recordAttempt(2, { type: 'aborted' }, 5)).toEqual({
    number: 2,
    durationMs: 5,
    reason: 'aborted',
  })
})

test('describeAttempts() lets nothing through of what errors say', () => {
  const secret = 'https://ann:hunter2@h/?token=abc'
  const errors = [
    new Error(secret),
    new StreamError(secret, { cause: new Error(secret) }),
    new ConnectError('proxy', secret, { detail: { url: secret } }),
    new FerryError('config', secret),
    new HttpStatusError(secret, {
      status: 401,
      statusText: secret,
      headers: [['Set-Cookie', secret]],
    }),
    Object.assign(new Error(secret), { name: secret, code: secret }),
    secret,
  ]

  fc.assert(
    fc.property(fc.array(fc.constantFrom(...errors), { maxLength: 9 }), (thrown) => {
      const said = JSON.stringify(describeAttempts(record(...thrown), 1))
      expect(said).not.toMatch(/hunter2|token|abc|ann/)
    }),
  )
})

import { expect, test } from 'vitest'
import {
  ConnectError,
  HttpStatusError,
  StreamError,
  TimeoutError,
  TransferError,
} from '../errors.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { askedPauseMs, policyOf, retryDelayMs } from './retry-download.ts'

const NOW = Date.UTC(2026, 0, 1)
const POLICY = policyOf()

function status(code: number, headers: Record<string, string> = {}): HttpStatusError {
  return new HttpStatusError(`Cannot fetch http://a.test/f: the server answered ${code}`, {
    status: code,
    statusText: '',
    headers: HeaderFields.from(headers),
  })
}

function delay(error: unknown, failures = 1, random = 0.999_999): number | undefined {
  return retryDelayMs(error, { failures, random, now: NOW }, POLICY)
}

test.each([408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524])(
  'retryDelayMs() tries again after a %i',
  (code) => {
    expect(delay(status(code))).toBeGreaterThan(0)
  },
)

test.each([301, 400, 401, 403, 404, 405, 410, 416, 501, 505, 525])(
  'retryDelayMs() does not try again after a %i',
  (code) => {
    expect(delay(status(code))).toBeUndefined()
  },
)

test.each<[string, unknown, boolean]>([
  ['a connection that broke', new StreamError('gone'), true],
  ['a connection that broke in the middle', new StreamError('gone', { bytesReceived: 9 }), true],
  ['silence', new TimeoutError('body', 100, 'silence'), true],
  ['a refused connection', new ConnectError('connect', 'refused'), true],
  ['another version', new TransferError('representation-changed', 'other'), false],
  ['a full disk', new TransferError('no-space', 'full'), false],
  ['a mistake of ours', new TypeError('undefined is not a function'), false],
])('retryDelayMs() after %s', (_, error, expected) => {
  expect(delay(error) !== undefined).toBe(expected)
})

test('retryDelayMs() waits longer each time, at random, and never for ever', () => {
  const error = new StreamError('gone')
  const most = [1, 2, 3, 4].map((failures) => delay(error, failures) as number)

  expect(most).toEqual([...most].sort((one, other) => one - other))
  expect(most[0]).toBeCloseTo(500, 0)
  expect(new Set(most).size).toBe(4)
  expect(delay(error, 3, 0)).toBeLessThan(most[2] as number)
  expect(delay(error, 1000)).toBeLessThanOrEqual(60_000)
})

test('retryDelayMs() waits always as long where it was told how long', () => {
  const facts = { random: 0.3, now: NOW }
  const policy = policyOf(1234)

  expect(retryDelayMs(status(503), { ...facts, failures: 1 }, policy)).toBe(1234)
  expect(retryDelayMs(status(503), { ...facts, failures: 9 }, policy)).toBe(1234)
})

test('retryDelayMs() waits as long as the server asks, in seconds or until a date', () => {
  expect(delay(status(503, { 'Retry-After': '7' }), 1, 0)).toBe(7000)
  const until = new Date(NOW + 9000).toUTCString()
  expect(delay(status(429, { 'Retry-After': until }), 1, 0)).toBe(9000)
})

test('askedPauseMs() is what the server asks of everybody, and no more than is bearable', () => {
  expect(askedPauseMs(status(503, { 'Retry-After': '7' }), NOW, POLICY)).toBe(7000)
  expect(askedPauseMs(status(503), NOW, POLICY)).toBeUndefined()
  expect(askedPauseMs(new StreamError('gone'), NOW, POLICY)).toBeUndefined()
  const years = askedPauseMs(status(503, { 'Retry-After': '99999999' }), NOW, POLICY)
  expect(years).toBe(POLICY.maxRetryAfterMs)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ConfigError,
  ConnectError,
  HttpStatusError,
  LocalProtocolError,
  RemoteProtocolError,
  StreamError,
  TimeoutError,
  TransferError,
} from '../errors.ts'
import { backoffDelayMs, isRetryableError, isRetryableStatus } from './retry-policy.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

function statusError(status: number, headers: [string, string][] = []): HttpStatusError {
  return new HttpStatusError('refused', { status, statusText: '', headers })
}

test('isRetryableStatus() is true of those that say "not now"', () => {
  const retryable = Array.from({ length: 600 }, (_, status) => status).filter(isRetryableStatus)

  expect(retryable).toEqual([408, 425, 429, 500, 502, 503, 504])
})

const errors: readonly [string, unknown, boolean][] = [
  ['a broken connection', new StreamError('x'), true],
  ['a timeout', new TimeoutError('body', 1, 'x'), true],
  ['no address', new ConnectError('resolve', 'x'), true],
  ['no connection', new ConnectError('connect', 'x'), true],
  ['no proxy', new ConnectError('proxy', 'x'), true],
  [
    'a bad certificate',
    new ConnectError('tls', 'x', { detail: { reason: 'CERT_HAS_EXPIRED' } }),
    false,
  ],
  [
    'a hang-up in the handshake',
    new ConnectError('tls', 'x', { detail: { reason: 'ECONNRESET' } }),
    true,
  ],
  [
    'a close in the handshake',
    new ConnectError('tls', 'x', { detail: { reason: undefined } }),
    true,
  ],
  ['503', statusError(503), true],
  ['404', statusError(404), false],
  ['broken rules', new RemoteProtocolError('x'), false],
  ['our own mistake', new LocalProtocolError('x'), false],
  ['a full disk', new TransferError('no-space', 'x'), false],
  ['a bad option', new ConfigError('x', 'x'), false],
  ['any error', new Error('x'), false],
  ['no error', undefined, false],
]

test.each(errors)('isRetryableError() of %s', (_, error, expected) => {
  expect(isRetryableError(error)).toBe(expected)
})

test('backoffDelayMs() doubles up to its limit, with full jitter', () => {
  const delays = [2, 3, 4, 5, 6, 7, 8, 9, 60, 2000].map((attempt) =>
    backoffDelayMs(new StreamError('x'), attempt, 0.5, NOW),
  )

  expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000, 15_000])
  expect(backoffDelayMs(new StreamError('x'), 5, 0, NOW)).toBe(0)
})

const asked: readonly [string, number | undefined][] = [
  ['3', 3000],
  ['0', 0],
  ['Sat, 21 Nov 2026 10:00:09 GMT', 9000],
  ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
  ['100000', 120_000],
  ['soon', undefined],
  ['-5', undefined],
]

test.each(asked)('backoffDelayMs() heeds Retry-After: %s', (value, expected) => {
  const delay = backoffDelayMs(statusError(503, [['retry-after', value]]), 2, 0.5, NOW)

  expect(delay).toBe(expected ?? 250)
})

test('backoffDelayMs() is a number of ms that a timer can take', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 5000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempt, random) => {
        const delay = backoffDelayMs(new StreamError('x'), attempt, random, NOW)

        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(30_000)
      },
    ),
  )
})

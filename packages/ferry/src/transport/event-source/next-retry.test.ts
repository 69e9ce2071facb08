import { expect, test } from 'vitest'
import {
  ConnectError,
  HttpStatusError,
  LocalProtocolError,
  RemoteProtocolError,
  StreamError,
  TimeoutError,
} from '../../errors.ts'
import {
  type AttemptEnd,
  nextRetry,
  type RetryDecision,
  type RetryLimits,
  type RetryProgress,
} from './next-retry.ts'

const LIMITS: RetryLimits = {
  reconnect: true,
  maxRetryMs: 60_000,
  maxAttempts: Number.POSITIVE_INFINITY,
  jitter: 0.5,
}
const gone = new StreamError('gone')
const busy = new HttpStatusError('busy', { status: 503, statusText: '', headers: [] })
const wrong = new RemoteProtocolError('wrong')
const silent = new TimeoutError('body', 1000, 'silent')
const refused = new ConnectError('connect', 'refused')
const unknown = new ConnectError('resolve', 'unknown')
const untrusted = new ConnectError('tls', 'no', { detail: { reason: 'CERT_HAS_EXPIRED' } })
const hungUp = new ConnectError('tls', 'no', { detail: { reason: 'ECONNRESET' } })

const ENDED: AttemptEnd = { type: 'ended', error: gone }
const DISMISSED: AttemptEnd = { type: 'dismissed' }
const lost = (error: Error): AttemptEnd => ({ type: 'lost', error })
const deferred = (retryAfterMs?: number): AttemptEnd => ({
  type: 'deferred',
  error: busy,
  retryAfterMs,
})
const wait = (delayMs: number): RetryDecision => ({ type: 'wait', delayMs })
const stop = (error?: Error): RetryDecision => ({ type: 'stop', error })

function decide(
  progress: Partial<RetryProgress> & { end: AttemptEnd },
  limits: Partial<RetryLimits> = {},
): RetryDecision {
  const defaults = { failures: 0, retryMs: 3000, replayable: true, random: 0 }
  return nextRetry({ ...defaults, ...progress }, { ...LIMITS, ...limits })
}

test.each<[string, AttemptEnd, RetryDecision]>([
  ['a response that has ended', ENDED, wait(3000)],
  ['a connection that was lost', lost(gone), wait(3000)],
  ['a limit of time', lost(silent), wait(3000)],
  ['nobody listens', lost(refused), wait(3000)],
  ['an unknown name', lost(unknown), wait(3000)],
  ['a handshake that broke', lost(hungUp), wait(3000)],
  ['a status that says not now', deferred(), wait(3000)],
  ['204', DISMISSED, stop()],
  ['a certificate that is not accepted', lost(untrusted), stop(untrusted)],
  ['a server that breaks HTTP', lost(wrong), stop(wrong)],
  ['a mistake of the caller', lost(new LocalProtocolError('x')), stop(new LocalProtocolError('x'))],
  ['a source that throws', lost(new RangeError('x')), stop(new RangeError('x'))],
  ['a response without events', { type: 'refused', error: wrong }, stop(wrong)],
])('nextRetry() after %s', (_name, end, decision) => {
  expect(decide({ end })).toEqual(decision)
})

test.each([
  [0, 3000, 3000],
  [1, 3000, 3000],
  [2, 3000, 6000],
  [3, 3000, 12_000],
  [5, 3000, 48_000],
  [6, 3000, 60_000],
  [5000, 3000, 60_000],
  [0, 100_000, 60_000],
  [0, 0, 0],
  [1, 0, 0],
  [2, 0, 500],
  [3, 0, 1000],
  [0, Number.POSITIVE_INFINITY, 60_000],
])('nextRetry() after %i failures with retry %i waits %i ms', (failures, retryMs, delayMs) => {
  expect(decide({ end: lost(gone), failures, retryMs })).toEqual(wait(delayMs))
})

test.each([
  [undefined, 1, 3000],
  [0, 1, 3000],
  [10_000, 1, 10_000],
  [10_000, 4, 24_000],
  [10_000_000, 1, 60_000],
])('nextRetry() with Retry-After %s after %i failures waits %i ms', (asked, failures, delayMs) => {
  expect(decide({ end: deferred(asked), failures })).toEqual(wait(delayMs))
})

test.each([
  [0.5, 0, 3000],
  [0.5, 0.5, 3750],
  [0.5, 1, 4500],
  [0, 1, 3000],
  [1, 1, 6000],
])('nextRetry() with jitter %d and random %d waits %i ms', (jitter, random, delayMs) => {
  expect(decide({ end: ENDED, random }, { jitter })).toEqual(wait(delayMs))
})

test('nextRetry() spreads also those who wait for maxRetryMs', () => {
  expect(decide({ end: ENDED, failures: 100, random: 1 })).toEqual(wait(90_000))
})

test.each([
  [0, wait(3000)],
  [1, wait(3000)],
  [2, wait(6000)],
  [3, stop(gone)],
  [4, stop(gone)],
])('nextRetry() after %i failures of 3', (failures, decision) => {
  expect(decide({ end: lost(gone), failures }, { maxAttempts: 3 })).toEqual(decision)
})

test.each<[string, AttemptEnd, RetryDecision]>([
  ['ends with the response', ENDED, stop()],
  ['fails with the connection', lost(gone), stop(gone)],
  ['fails with a status', deferred(1000), stop(busy)],
  ['ends with 204', DISMISSED, stop()],
])('nextRetry() without reconnect %s', (_name, end, decision) => {
  expect(decide({ end }, { reconnect: false })).toEqual(decision)
})

test('nextRetry() fails when the content cannot be sent again, and tells why it had to be', () => {
  const decision = decide({ end: ENDED, replayable: false })

  expect(decision).toMatchObject({
    type: 'stop',
    error: { code: 'local-protocol', cause: gone },
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ConfigError,
  ConnectError,
  LocalProtocolError,
  RemoteProtocolError,
  StreamError,
  TimeoutError,
} from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { type AttemptOutcome, outcomeOf } from './attempt-outcome.ts'
import { decideRetry, type EndedAttempt } from './decide-retry.ts'
import { resolveRetryPolicy, type RetryOptions } from './retry-policy.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

const answer = (status: number, fields: Record<string, string> = {}): AttemptOutcome => ({
  type: 'response',
  status,
  headers: HeaderFields.from(fields),
})
const lost = outcomeOf(new StreamError('x'))
const truncated = outcomeOf(new StreamError('x', { bytesReceived: 5, expectedBytes: 9 }))
const unreachable = outcomeOf(new ConnectError('connect', 'x'))
const unprocessed = outcomeOf(new StreamError('x'), 'untouched')
const slow = outcomeOf(new TimeoutError('headers', 1, 'x'))
const crowded = outcomeOf(new TimeoutError('pool', 1, 'x'))

/** The first attempt of a GET that may go on for ever, with what differs. */
function attempt(outcome: AttemptOutcome, changes: Partial<EndedAttempt> = {}): EndedAttempt {
  return {
    number: 1,
    method: 'GET',
    replayable: true,
    outcome,
    elapsedMs: 10,
    totalTimeoutMs: Number.POSITIVE_INFINITY,
    random: 0.5,
    now: NOW,
    ...changes,
  }
}

type Row = readonly [name: string, attempt: EndedAttempt, options: RetryOptions, expected: string]

const post = { method: 'POST' }
const withPost: RetryOptions = { retryMethods: ['GET', 'POST'] }
const rows: readonly Row[] = [
  // What is tried again, and after how long.
  ['503', attempt(answer(503)), {}, 'status after 500'],
  ['503, third attempt', attempt(answer(503), { number: 3 }), {}, 'status after 2000'],
  ['a lost connection', attempt(lost), {}, 'connection-lost after 500'],
  ['a truncated response', attempt(truncated), {}, 'connection-lost after 500'],
  ['no connection', attempt(unreachable), {}, 'no-connection after 500'],
  ['a timeout', attempt(slow), {}, 'timeout after 500'],
  [
    'a status that is asked for',
    attempt(answer(404)),
    { retryStatuses: [404] },
    'status after 500',
  ],
  // Responses that are answers.
  ...[200, 204, 304, 400, 404, 409, 501].map((status): Row => [
    String(status),
    attempt(answer(status)),
    {},
    'stop: final-status',
  ]),
  ['503, not asked for', attempt(answer(503)), { retryStatuses: [] }, 'stop: final-status'],
  // What no further try would change.
  ['an abort', attempt({ type: 'aborted' }), {}, 'stop: aborted'],
  ['our mistake', attempt(outcomeOf(new LocalProtocolError('x'))), {}, 'stop: futile'],
  ['a bad option', attempt(outcomeOf(new ConfigError('x', 'x'))), {}, 'stop: futile'],
  ['broken rules', attempt(outcomeOf(new RemoteProtocolError('x'))), {}, 'stop: futile'],
  ['any error', attempt(outcomeOf(new Error('x'))), {}, 'stop: futile'],
  [
    'a bad certificate',
    attempt(outcomeOf(new ConnectError('tls', 'x', { detail: { reason: 'CERT_HAS_EXPIRED' } }))),
    {},
    'stop: futile',
  ],
  ['a timeout, not asked for', attempt(slow), { retryOnTimeout: false }, 'stop: timeout'],
  ['503 without timeouts', attempt(answer(503)), { retryOnTimeout: false }, 'status after 500'],
  // How often.
  ['the last of one retry', attempt(lost, { number: 2 }), { retries: 1 }, 'stop: out-of-retries'],
  ['no retries', attempt(lost), { retries: 0 }, 'stop: out-of-retries'],
  ['three by default', attempt(lost, { number: 3 }), {}, 'connection-lost after 2000'],
  ['not four', attempt(lost, { number: 4 }), {}, 'stop: out-of-retries'],
  [
    'a hundredth',
    attempt(lost, { number: 100 }),
    { retries: Infinity },
    'connection-lost after 15000',
  ],
  // Content.
  ['one-shot content', attempt(answer(503), { replayable: false }), {}, 'stop: one-shot-content'],
  [
    'one-shot content without a connection',
    attempt(unreachable, { replayable: false }),
    {},
    'stop: one-shot-content',
  ],
  // Methods: those that may have had an effect are not sent twice.
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].map((method): Row => [
    method,
    attempt(lost, { method }),
    {},
    'connection-lost after 500',
  ]),
  ...['POST', 'PATCH', 'CONNECT', 'get', 'X'].map((method): Row => [
    method,
    attempt(lost, { method }),
    {},
    'stop: method',
  ]),
  ['POST, 503', attempt(answer(503), post), {}, 'stop: method'],
  ['POST, timeout', attempt(slow, post), {}, 'stop: method'],
  ['POST, no connection', attempt(unreachable, post), {}, 'no-connection after 500'],
  ['POST, no room in the pool', attempt(crowded, post), {}, 'timeout after 500'],
  ['POST, not taken up', attempt(unprocessed, post), {}, 'connection-lost after 500'],
  ['POST, asked for', attempt(lost, post), withPost, 'connection-lost after 500'],
  ['POST, asked for, 503', attempt(answer(503), post), withPost, 'status after 500'],
  ['POST, asked for, truncated', attempt(truncated, post), withPost, 'stop: answered'],
  ['GET, not asked for', attempt(lost), { retryMethods: ['PUT'] }, 'stop: method'],
  // What the server asks for.
  ['Retry-After', attempt(answer(503, { 'Retry-After': '7' })), {}, 'status after 7000'],
  ['Retry-After: 0', attempt(answer(429, { 'Retry-After': '0' })), {}, 'status after 0'],
  [
    'Retry-After as a date',
    attempt(answer(503, { 'Retry-After': 'Sat, 21 Nov 2026 10:00:09 GMT' })),
    {},
    'status after 9000',
  ],
  [
    'Retry-After that is none',
    attempt(answer(503, { 'Retry-After': 'soon' })),
    {},
    'status after 500',
  ],
  [
    'Retry-After at its limit',
    attempt(answer(503, { 'Retry-After': '120' })),
    {},
    'status after 120000',
  ],
  [
    'Retry-After beyond it',
    attempt(answer(503, { 'Retry-After': '121' })),
    {},
    'stop: asked-too-long',
  ],
  [
    'Retry-After beyond any number',
    attempt(answer(503, { 'Retry-After': '9'.repeat(400) })),
    {},
    'stop: asked-too-long',
  ],
  [
    'Retry-After beyond the limit asked for',
    attempt(answer(503, { 'Retry-After': '2' })),
    { maxRetryAfterMs: 1000 },
    'stop: asked-too-long',
  ],
  [
    'an exhausted quota',
    attempt(answer(429, { RateLimit: '"p";r=0;t=8' })),
    {},
    'status after 8000',
  ],
  [
    'an exhausted quota for an hour',
    attempt(answer(429, { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': '3600' })),
    {},
    'stop: asked-too-long',
  ],
  [
    'a reset alone with 429',
    attempt(answer(429, { 'RateLimit-Reset': '8' })),
    {},
    'status after 8000',
  ],
  [
    'a reset alone with 500',
    attempt(answer(500, { 'RateLimit-Reset': '8' })),
    {},
    'status after 500',
  ],
  [
    'Retry-After before a reset',
    attempt(answer(429, { 'Retry-After': '1', 'RateLimit-Reset': '8' })),
    {},
    'status after 1000',
  ],
  // The time for all of it.
  ['time for the wait', attempt(lost, { totalTimeoutMs: 511 }), {}, 'connection-lost after 500'],
  ['no time after the wait', attempt(lost, { totalTimeoutMs: 510 }), {}, 'stop: deadline'],
  ['no time left', attempt(slow, { totalTimeoutMs: 5, random: 0 }), {}, 'stop: deadline'],
  [
    'no time for Retry-After',
    attempt(answer(503, { 'Retry-After': '60' }), { totalTimeoutMs: 30_000 }),
    {},
    'stop: deadline',
  ],
]

test.each(rows)('decideRetry(): %s', (_, ended, options, expected) => {
  const decision = decideRetry(ended, resolveRetryPolicy(options))

  const text =
    decision.type === 'stop'
      ? `stop: ${decision.reason}`
      : `${decision.reason} after ${decision.delayMs}`
  expect(text).toBe(expected)
})

const outcomes = fc.oneof(
  fc.constantFrom<AttemptOutcome>(
    { type: 'aborted' },
    lost,
    truncated,
    unreachable,
    unprocessed,
    slow,
    crowded,
    outcomeOf(new RemoteProtocolError('x')),
  ),
  fc
    .record({ status: fc.integer({ min: 200, max: 599 }), seconds: fc.option(fc.nat(200)) })
    .map(({ status, seconds }) =>
      answer(status, seconds === null ? {} : { 'Retry-After': String(seconds) }),
    ),
)
const attempts = fc.record({
  number: fc.integer({ min: 1, max: 12 }),
  method: fc.constantFrom('GET', 'PUT', 'POST', 'PATCH'),
  replayable: fc.boolean(),
  outcome: outcomes,
  elapsedMs: fc.nat(100_000),
  totalTimeoutMs: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(200_000)),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  now: fc.constant(NOW),
})
const policies = fc
  .record({
    retries: fc.nat(10),
    retryDelayMs: fc.nat(5000),
    retryBackoff: fc.constantFrom('exponential' as const, 'fixed' as const),
    jitter: fc.constantFrom('full' as const, 'none' as const),
    retryMethods: fc.subarray(['GET', 'PUT', 'POST']),
    retryOnTimeout: fc.boolean(),
    maxRetryAfterMs: fc.nat(200_000),
  })
  .map((options) => resolveRetryPolicy(options))

test('decideRetry() never goes beyond a limit', () => {
  fc.assert(
    fc.property(attempts, policies, (ended, policy) => {
      const decision = decideRetry(ended, policy)
      if (decision.type === 'stop') return
      const { outcome, number, method, elapsedMs, totalTimeoutMs } = ended
      const { delayMs } = decision

      expect(outcome.type).not.toBe('aborted')
      expect(ended.replayable).toBe(true)
      expect(number).toBeLessThanOrEqual(policy.retries)
      const isUntouched = outcome.type === 'error' && outcome.progress === 'untouched'
      expect(isUntouched || policy.retryMethods.has(method)).toBe(true)
      expect(delayMs).toBeGreaterThanOrEqual(0)
      expect(delayMs).toBeLessThanOrEqual(Math.max(policy.maxRetryDelayMs, policy.maxRetryAfterMs))
      expect(elapsedMs + delayMs).toBeLessThan(totalTimeoutMs)
    }),
    { numRuns: 2000 },
  )
})

test('decideRetry() that stops goes on stopping as time passes and attempts add up', () => {
  fc.assert(
    fc.property(attempts, policies, fc.nat(1000), fc.nat(5), (ended, policy, ms, more) => {
      const later = {
        ...ended,
        number: ended.number + more,
        elapsedMs: ended.elapsedMs + ms,
      }
      if (decideRetry(later, { ...policy, jitter: 'none' }).type === 'stop') return

      expect(decideRetry(ended, { ...policy, jitter: 'none' }).type).toBe('retry')
    }),
    { numRuns: 2000 },
  )
})

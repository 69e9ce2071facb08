import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
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
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { leavesDoubt } from './doubt.ts'
import {
  decideUpload,
  type FailedStep,
  isUntouched,
  patienceOf,
  type UploadStep,
} from './retry-upload.ts'
import { UploadGone } from './upload-protocol.ts'
import { UnansweredError } from './upload-wire.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')
const STEPS: readonly UploadStep[] = ['open', 'send', 'finish']

function status(code: number, headers: Record<string, string> = {}): HttpStatusError {
  const fields = HeaderFields.from(headers)
  return new HttpStatusError('x', { status: code, statusText: '', headers: fields })
}

function failed(failure: unknown, changes: Partial<FailedStep> = {}): FailedStep {
  return {
    step: 'send',
    failure,
    failures: 1,
    refusals: 1,
    restarts: 0,
    hasReached: true,
    canRenew: false,
    random: 0.5,
    now: NOW,
    ...changes,
  }
}

/** A decision in few words. */
function decide(
  failure: unknown,
  changes: Partial<FailedStep> = {},
  options: Parameters<typeof patienceOf>[0] = {},
): string {
  const decision = decideUpload(failed(failure, changes), patienceOf(options))
  return decision.type === 'retry' ? `${decision.reason} ${decision.delayMs}` : decision.type
}

const unreachable = new ConnectError('connect', 'x')
const certificate = new ConnectError('tls', 'x', { detail: { reason: 'CERT_HAS_EXPIRED' } })
const lost = new StreamError('x')
const unanswered = new UnansweredError('x')
const timeout = new TimeoutError('body', 1, 'x')
const slowConnection = new TimeoutError('connect', 1, 'x')
const checksum = new TransferError('checksum-mismatch', 'x')
const changed = new TransferError('source-changed', 'x')
const gone = new UploadGone('x')

test.each<[string, unknown, Partial<FailedStep>, string]>([
  ['a lost connection', lost, {}, 'connection-lost 250'],
  ['the fourth in a row', lost, { failures: 4 }, 'connection-lost 2000'],
  ['the tenth in a row', lost, { failures: 10 }, 'connection-lost 15000'],
  ['one more than that', lost, { failures: 11 }, 'fail'],
  ['a server that takes nothing', timeout, {}, 'timeout 250'],
  ['a slow connection', slowConnection, {}, 'offline 250'],
  ['no connection', unreachable, {}, 'offline 250'],
  ['no connection for long', unreachable, { failures: 500 }, 'offline 15000'],
  ['a server never reached', unreachable, { hasReached: false }, 'offline 250'],
  ['one never reached for long', unreachable, { hasReached: false, failures: 11 }, 'fail'],
  ['no answer, for whatever reason', unanswered, {}, 'offline 250'],
  ['no answer for long', unanswered, { failures: 500 }, 'offline 15000'],
  ['never an answer', unanswered, { hasReached: false, failures: 11 }, 'fail'],
  ['a bad certificate', certificate, {}, 'fail'],
  ['broken rules', new RemoteProtocolError('x'), {}, 'fail'],
  ['our own mistake', new LocalProtocolError('x'), {}, 'fail'],
  ['a bad option', new ConfigError('x', 'x'), {}, 'fail'],
  ['a changed file', changed, {}, 'fail'],
  ['any error', new Error('x'), {}, 'fail'],
  ['a wrong digest', checksum, {}, 'checksum 250'],
  ['a wrong digest again', checksum, { failures: 2 }, 'checksum 500'],
  ['a wrong digest a third time', checksum, { failures: 3 }, 'fail'],
  ['a wrong digest of the whole', checksum, { step: 'finish' }, 'fail'],
  ['refused credentials', status(401), { canRenew: true }, 'renew'],
  ['forbidden ones', status(403), { canRenew: true }, 'renew'],
  ['those that stay refused', status(401), { canRenew: true, refusals: 2 }, 'fail'],
  ['those that nobody can renew', status(401), {}, 'fail'],
  ['a proxy that wants credentials', status(407), { canRenew: true }, 'fail'],
  ['too large a piece', status(413), {}, 'smaller'],
  ['too large a file', status(413), { step: 'open' }, 'fail'],
  ['another offset', status(409), {}, 'conflict 250'],
  ['another offset for ever', status(409), { failures: 11 }, 'fail'],
  ['a conflict at the creation', status(409), { step: 'open' }, 'fail'],
  ['a lock', status(423), {}, 'busy 250'],
  ['a lock for ever', status(423), { failures: 11 }, 'fail'],
  ['a busy server', status(503), { failures: 3 }, 'busy 1000'],
  ['one that says when', status(503, { 'Retry-After': '7' }), { failures: 99 }, 'busy 7000'],
  [
    'one that says when by date',
    status(429, { 'Retry-After': 'Sat, 21 Nov 2026 10:01:00 GMT' }),
    {},
    'busy 60000',
  ],
  ['one that says tomorrow', status(503, { 'Retry-After': '86400' }), {}, 'fail'],
  ['an answer to the whole', status(500, { 'Upload-Complete': '?1' }), {}, 'fail'],
  ['no answer to the whole', status(500, { 'Upload-Complete': '?0' }), {}, 'busy 250'],
  ['an upload that is gone', gone, {}, 'restart'],
  ['one that is gone again', gone, { restarts: 1 }, 'fail'],
])('decideUpload() after %s', (_, failure, changes, expected) => {
  expect(decide(failure, changes)).toBe(expected)
})

describe('decideUpload()', () => {
  test.each(STEPS)('goes on after passing trouble when it is to %s', (step) => {
    for (const code of [408, 423, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524]) {
      expect(decide(status(code), { step })).toBe('busy 250')
    }
    expect(decide(lost, { step })).toBe('connection-lost 250')
    expect(decide(unreachable, { step })).toBe('offline 250')
  })

  test.each(STEPS)('fails at once after every other status when it is to %s', (step) => {
    for (const code of [
      300, 301, 302, 400, 402, 404, 405, 406, 410, 411, 412, 415, 422, 501, 507,
    ]) {
      expect(decide(status(code), { step })).toBe('fail')
    }
  })

  test('waits for a server without limit where that is wanted, and not where it is not', () => {
    const never = { hasReached: false, failures: 1000 }

    expect(decide(unreachable, never, { offline: 'wait' })).toBe('offline 15000')
    expect(decide(unreachable, { failures: 11 }, { offline: 'fail' })).toBe('fail')
    expect(decide(unreachable, { failures: 3 }, { offline: 'fail' })).toBe('offline 1000')
  })

  test('goes by the options for its waits', () => {
    const options = { retryDelayMs: 100, maxRetryDelayMs: 300, maxRetries: 2 }

    expect(decide(lost, { failures: 1 }, options)).toBe('connection-lost 50')
    expect(decide(lost, { failures: 2 }, options)).toBe('connection-lost 100')
    expect(decide(lost, { failures: 3 }, options)).toBe('fail')
    expect(decide(unreachable, { failures: 9 }, options)).toBe('offline 150')
  })

  test('never waits longer than it may, nor less than nothing', () => {
    const failures = fc.integer({ min: 1, max: 100_000 })
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    const failure = fc.constantFrom(lost, unreachable, timeout, status(503), status(409), checksum)

    fc.assert(
      fc.property(failures, random, failure, (count, chance, error) => {
        const decision = decideUpload(
          failed(error, { failures: count, random: chance }),
          patienceOf({}),
        )
        const delayMs = decision.type === 'retry' ? decision.delayMs : 0

        expect(delayMs).toBeGreaterThanOrEqual(0)
        expect(delayMs).toBeLessThanOrEqual(30_000)
      }),
    )
  })
})

test('patienceOf() refuses what is no number of tries', () => {
  expect(() => patienceOf({ maxRetries: -1 })).toThrow(ConfigError)
  expect(() => patienceOf({ maxRetries: Number.NaN })).toThrow(ConfigError)
})

test('isUntouched() tells what has reached nobody', () => {
  expect([unreachable, slowConnection].map(isUntouched)).toEqual([true, true])
  expect([lost, timeout, status(503), new Error('x')].map(isUntouched)).toEqual([
    false,
    false,
    false,
    false,
  ])
})

test('leavesDoubt() tells after what a piece may have arrived', () => {
  const doubtful = [lost, timeout, ...[408, 500, 502, 504, 520, 524].map((code) => status(code))]
  const clear = [
    unreachable,
    slowConnection,
    ...[400, 401, 403, 404, 413, 423, 429, 503].map((code) => status(code)),
  ]

  expect(doubtful.map(leavesDoubt)).not.toContain(false)
  expect(clear.map(leavesDoubt)).not.toContain(true)
})

test('what nobody knows the reason of is not taken for a request that has reached nobody', () => {
  expect(isUntouched(unanswered)).toBe(false)
  expect(isUntouched(unreachable)).toBe(true)
})

import { expect, test } from 'vitest'
import {
  ConfigError,
  ConnectError,
  HttpStatusError,
  LocalProtocolError,
  RemoteProtocolError,
  StreamError,
  TimeoutError,
  type TimeoutPhase,
  TransferError,
} from '../../errors.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { classifyFailure, outcomeOf } from './attempt-outcome.ts'

const tls = (reason: unknown): ConnectError => new ConnectError('tls', 'x', { detail: { reason } })
const proxy = (status: number): ConnectError =>
  new ConnectError('proxy', 'x', { detail: { status, statusText: 'x' } })
const timeout = (phase: TimeoutPhase): TimeoutError => new TimeoutError(phase, 1, 'x')

test.each<[string, unknown, string]>([
  ['no address', new ConnectError('resolve', 'x'), 'no-connection'],
  ['no connection', new ConnectError('connect', 'x'), 'no-connection'],
  ['a bad certificate', tls('CERT_HAS_EXPIRED'), 'futile'],
  ['a certificate that is not pinned', tls('PIN_MISMATCH'), 'futile'],
  ['a reset in the handshake', tls('ECONNRESET'), 'no-connection'],
  ['a broken pipe in the handshake', tls('EPIPE'), 'no-connection'],
  ['a close in the handshake', tls(undefined), 'no-connection'],
  ['a proxy that cannot be reached', new ConnectError('proxy', 'x'), 'no-connection'],
  ['a proxy that has trouble', proxy(502), 'no-connection'],
  ['a proxy that is busy', proxy(429), 'no-connection'],
  ['a proxy that waited too long', proxy(408), 'no-connection'],
  ['a proxy that wants credentials', proxy(407), 'futile'],
  ['a proxy that forbids', proxy(403), 'futile'],
  ['a wait for a connection', timeout('pool'), 'timeout'],
  ['a slow connection', timeout('connect'), 'timeout'],
  ['a slow head', timeout('headers'), 'timeout'],
  ['a slow body', timeout('body'), 'timeout'],
  ['a slow attempt', timeout('total'), 'timeout'],
  ['a broken connection', new StreamError('x'), 'connection-lost'],
  [
    'a truncated response',
    new StreamError('x', { bytesReceived: 5, expectedBytes: 9 }),
    'connection-lost',
  ],
  ['broken rules', new RemoteProtocolError('x'), 'futile'],
  ['our own mistake', new LocalProtocolError('x'), 'futile'],
  ['a full disk', new TransferError('no-space', 'x'), 'futile'],
  ['a bad option', new ConfigError('x', 'x'), 'futile'],
  ['any error', new Error('x'), 'futile'],
  ['no error', undefined, 'futile'],
])('classifyFailure() of %s', (_, error, expected) => {
  expect(classifyFailure(error)).toBe(expected)
})

test.each<[string, unknown, string]>([
  ['no connection', new ConnectError('connect', 'x'), 'untouched'],
  ['a bad certificate', tls('CERT_HAS_EXPIRED'), 'untouched'],
  ['a wait for a connection', timeout('pool'), 'untouched'],
  ['a slow connection', timeout('connect'), 'untouched'],
  ['a slow head', timeout('headers'), 'sent'],
  ['a slow attempt', timeout('total'), 'sent'],
  ['a broken connection', new StreamError('x'), 'sent'],
  ['a truncated response', new StreamError('x', { bytesReceived: 5 }), 'answered'],
  ['any error', new Error('x'), 'sent'],
])('outcomeOf() tells how far the request got before %s', (_, error, progress) => {
  expect(outcomeOf(error)).toEqual({ type: 'error', error, progress })
})

test('outcomeOf() takes over how far the request got when the caller knows', () => {
  const error = new StreamError('x')

  expect(outcomeOf(error, 'untouched')).toMatchObject({ progress: 'untouched' })
  expect(outcomeOf(error, 'answered')).toMatchObject({ progress: 'answered' })
})

test('outcomeOf() of a status that was not accepted is the response', () => {
  const error = new HttpStatusError('x', {
    status: 503,
    statusText: 'No',
    headers: [['Retry-After', '3']],
  })

  expect(outcomeOf(error)).toEqual({
    type: 'response',
    status: 503,
    headers: HeaderFields.from({ 'Retry-After': '3' }),
  })
})

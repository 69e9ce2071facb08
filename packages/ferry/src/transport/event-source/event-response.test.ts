import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { HttpUrl } from '../http-url.ts'
import { decideResponse } from './event-response.ts'

const NOW = Date.UTC(2024, 0, 1)

function decide(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): ReturnType<typeof decideResponse> {
  const head = {
    status,
    statusText: '',
    version: '1.1',
    headers: HeaderFields.from(headers),
  } as const
  const url = HttpUrl.parse('http://a/events?token=secret')
  return decideResponse(head, { url, retryStatuses: new Set([429, 503]), now: NOW })
}

test.each([
  'text/event-stream',
  'TEXT/Event-Stream',
  'text/event-stream;charset=utf-8',
  'text/event-stream ; charset=latin1',
])('decideResponse() opens 200 with %s', (type) => {
  expect(decide(200, { 'Content-Type': type })).toEqual({ type: 'open' })
})

test.each([
  ['another type', { 'Content-Type': 'text/html' }, 'got "text/html"'],
  ['a longer one', { 'Content-Type': 'text/event-streams' }, 'got "text/event-streams"'],
  ['none', {}, 'got ""'],
  [
    'a content coding',
    { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'gzip' },
    'content coding "gzip"',
  ],
])('decideResponse() refuses 200 with %s', (_name, headers, reason) => {
  expect(decide(200, headers)).toMatchObject({
    type: 'refused',
    error: { code: 'remote-protocol', message: expect.stringContaining(reason) as string },
  })
})

test('decideResponse() takes identity for no coding', () => {
  const headers = { 'Content-Type': 'text/event-stream', 'Content-Encoding': 'Identity' }

  expect(decide(200, headers)).toEqual({ type: 'open' })
})

test('decideResponse() takes 204 for the end', () => {
  expect(decide(204)).toEqual({ type: 'dismissed' })
})

test.each([201, 205, 301, 304, 307, 401, 404, 500])('decideResponse() refuses %i', (status) => {
  expect(decide(status, { 'Content-Type': 'text/event-stream' })).toMatchObject({
    type: 'refused',
    error: {
      code: 'http-status',
      status,
      message: `Cannot open the events of http://a/events?…: ${status}`,
    },
  })
})

test.each([
  ['no Retry-After', {}, undefined],
  ['seconds', { 'Retry-After': '7' }, 7000],
  ['a date', { 'Retry-After': new Date(NOW + 60_000).toUTCString() }, 60_000],
  ['what cannot be read', { 'Retry-After': 'soon' }, undefined],
])('decideResponse() defers a status of retryStatuses with %s', (_name, headers, retryAfterMs) => {
  expect(decide(503, headers)).toMatchObject({
    type: 'deferred',
    retryAfterMs,
    error: { status: 503 },
  })
})

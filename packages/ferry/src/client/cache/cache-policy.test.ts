import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { HttpRequest } from '../../transport/http-request.ts'
import { canReplaceError, currentAgeMs, decideReuse, isStorable } from './cache-policy.ts'
import type { PolicyOptions, StoredHead } from './cache-policy.ts'

const OPTIONS: PolicyOptions = { shared: false, heuristicFraction: 0, staleIfErrorMs: 0 }
const AT = Date.parse('Tue, 01 Jan 2030 00:00:00 GMT')
const DATE = new Date(AT).toUTCString()
const HOUR_LATER = new Date(AT + 3_600_000).toUTCString()
const DAY_BEFORE = new Date(AT - 86_400_000).toUTCString()

function head(fields: Record<string, string>, status = 200): StoredHead {
  const headers = HeaderFields.from({ Date: DATE, ...fields })
  return { status, headers, requestedAt: AT, receivedAt: AT }
}

function get(fields: Record<string, string> = {}): HttpRequest {
  return new HttpRequest('GET', 'http://a/', { headers: fields })
}

test.each<[what: string, fields: Record<string, string>, stored: boolean, status?: number]>([
  ['a lifetime', { 'Cache-Control': 'max-age=60' }, true],
  ['a lifetime in capitals', { 'Cache-Control': 'Max-Age=60' }, true],
  ['a date of expiry', { Expires: HOUR_LATER }, true],
  ['a tag alone', { ETag: '"a"' }, true],
  ['a date of change alone', { 'Last-Modified': DAY_BEFORE }, true],
  ['nothing of use', {}, false],
  ['no lifetime left', { 'Cache-Control': 'max-age=0' }, false],
  ['no-cache with a tag', { 'Cache-Control': 'no-cache', ETag: '"a"' }, true],
  ['no-store', { 'Cache-Control': 'no-store, max-age=60', ETag: '"a"' }, false],
  ['private', { 'Cache-Control': 'private, max-age=60' }, true],
  ['Vary: *', { 'Cache-Control': 'max-age=60', Vary: 'Accept, *' }, false],
  ['301', { 'Cache-Control': 'max-age=60' }, true, 301],
  ['404', { 'Cache-Control': 'max-age=60' }, true, 404],
  ['206', { 'Cache-Control': 'max-age=60' }, false, 206],
  ['304', { 'Cache-Control': 'max-age=60' }, false, 304],
  ['500', { 'Cache-Control': 'max-age=60' }, false, 500],
  ['302 with a lifetime', { 'Cache-Control': 'max-age=60' }, true, 302],
  ['302 without one', { ETag: '"a"' }, false, 302],
])('isStorable() for a response with %s', (_, fields, stored, status) => {
  expect(isStorable(get(), head(fields, status), OPTIONS)).toBe(stored)
})

test.each([
  ['private', { 'Cache-Control': 'private, max-age=60' }, {}, false],
  ['public', { 'Cache-Control': 'public, max-age=60' }, { Authorization: 'x' }, true],
  ['nothing, and Authorization', { 'Cache-Control': 'max-age=60' }, { Authorization: 'x' }, false],
  [
    'must-revalidate, and Authorization',
    { 'Cache-Control': 'must-revalidate, max-age=60' },
    { Authorization: 'x' },
    true,
  ],
])('isStorable() in a shared cache, for %s', (_, fields, asked, stored) => {
  const request = get(asked as Record<string, string>)

  expect(isStorable(request, head(fields), { ...OPTIONS, shared: true })).toBe(stored)
})

test.each<
  [
    what: string,
    fields: Record<string, string>,
    asked: Record<string, string>,
    after: number,
    reuse: string,
  ]
>([
  ['fresh', { 'Cache-Control': 'max-age=60' }, {}, 59.9, 'fresh'],
  ['at its end', { 'Cache-Control': 'max-age=60' }, {}, 60, 'validate'],
  ['fresh by Expires', { Expires: HOUR_LATER }, {}, 3599, 'fresh'],
  ['stale by Expires', { Expires: HOUR_LATER }, {}, 3600, 'validate'],
  [
    'max-age over Expires',
    { Expires: HOUR_LATER, 'Cache-Control': 'max-age=1' },
    {},
    2,
    'validate',
  ],
  ['an Expires that is no date', { Expires: '0', ETag: '"a"' }, {}, 0, 'validate'],
  ['Age counts', { 'Cache-Control': 'max-age=60', Age: '50' }, {}, 11, 'validate'],
  ['an old Date counts', { 'Cache-Control': 'max-age=60', Date: DAY_BEFORE }, {}, 0, 'validate'],
  [
    'immutable has no lifetime of its own',
    { 'Cache-Control': 'immutable', ETag: '"a"' },
    {},
    0,
    'validate',
  ],
  ['must-revalidate and fresh', { 'Cache-Control': 'must-revalidate, max-age=60' }, {}, 1, 'fresh'],
  [
    'must-revalidate and stale',
    { 'Cache-Control': 'must-revalidate, max-age=60' },
    { 'Cache-Control': 'max-stale' },
    61,
    'validate',
  ],
  ['no-cache', { 'Cache-Control': 'no-cache, max-age=60' }, {}, 1, 'validate'],
  [
    'no-cache, whatever is asked',
    { 'Cache-Control': 'no-cache, max-age=60' },
    { 'Cache-Control': 'max-stale' },
    1,
    'validate',
  ],
  [
    'no-cache, whatever else it says',
    { 'Cache-Control': 'no-cache, stale-while-revalidate=60' },
    {},
    1,
    'validate',
  ],
  [
    'no-cache is asked',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'no-cache' },
    1,
    'validate',
  ],
  ['Pragma is asked', { 'Cache-Control': 'max-age=60' }, { Pragma: 'no-cache' }, 1, 'validate'],
  [
    'a young one is asked',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'max-age=10' },
    11,
    'validate',
  ],
  [
    'one this young is asked',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'max-age=10' },
    10,
    'fresh',
  ],
  [
    'it must stay fresh',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'min-fresh=20' },
    41,
    'validate',
  ],
  [
    'it stays fresh',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'min-fresh=20' },
    40,
    'fresh',
  ],
  [
    'any stale one will do',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'max-stale' },
    9999,
    'stale',
  ],
  [
    'a stale one will do',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'max-stale=5' },
    64,
    'stale',
  ],
  [
    'this stale one will not',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'max-stale=5' },
    66,
    'validate',
  ],
  [
    'it may be refreshed',
    { 'Cache-Control': 'max-age=60, stale-while-revalidate=10' },
    {},
    69,
    'refresh',
  ],
  [
    'it is too late for that',
    { 'Cache-Control': 'max-age=60, stale-while-revalidate=10' },
    {},
    70,
    'validate',
  ],
  ['no lifetime', { 'Last-Modified': DAY_BEFORE }, {}, 1, 'validate'],
])('decideReuse(): %s', (_, fields, asked, seconds, reuse) => {
  expect(decideReuse(head(fields), get(asked), AT + seconds * 1000, OPTIONS)).toBe(reuse)
})

test('decideReuse() guesses a lifetime where it is told to', () => {
  const options = { ...OPTIONS, heuristicFraction: 0.1 }
  const decide = (seconds: number): string =>
    decideReuse(head({ 'Last-Modified': DAY_BEFORE }), get(), AT + seconds * 1000, options)

  expect([decide(8639), decide(8641)]).toEqual(['fresh', 'validate'])
})

test.each<
  [
    what: string,
    fields: Record<string, string>,
    asked: Record<string, string>,
    after: number,
    allowed: boolean,
  ]
>([
  ['nobody allows it', { 'Cache-Control': 'max-age=60' }, {}, 61, false],
  ['it is fresh, and nobody allows it', { 'Cache-Control': 'max-age=60' }, {}, 1, false],
  ['the response allows it', { 'Cache-Control': 'max-age=60, stale-if-error=10' }, {}, 69, true],
  ['the response did', { 'Cache-Control': 'max-age=60, stale-if-error=10' }, {}, 71, false],
  [
    'the request allows it',
    { 'Cache-Control': 'max-age=60' },
    { 'Cache-Control': 'stale-if-error=10' },
    69,
    true,
  ],
  ['must-revalidate', { 'Cache-Control': 'must-revalidate, stale-if-error=10' }, {}, 1, false],
  ['no-cache', { 'Cache-Control': 'no-cache, stale-if-error=10' }, {}, 1, false],
  [
    'no-cache is asked',
    { 'Cache-Control': 'stale-if-error=10' },
    { 'Cache-Control': 'no-cache' },
    1,
    false,
  ],
])('canReplaceError(): %s', (_, fields, asked, seconds, allowed) => {
  expect(canReplaceError(head(fields), get(asked), AT + seconds * 1000, OPTIONS)).toBe(allowed)
})

test('canReplaceError() allows what the client allows', () => {
  const options = { ...OPTIONS, staleIfErrorMs: 5000 }
  const decide = (seconds: number): boolean =>
    canReplaceError(head({ ETag: '"a"' }), get(), AT + seconds * 1000, options)

  expect([decide(4), decide(6)]).toEqual([true, false])
})

test.each([
  ['the time here', {}, 0, 0, 5000, 5000],
  ['and on the way', {}, 0, 2000, 2000, 2000],
  ['and in other caches', { Age: '10' }, 0, 2000, 5000, 15_000],
  ['but not twice', { Age: '10', Date: new Date(AT - 12_000).toUTCString() }, 0, 0, 0, 12_000],
  ['a clock that went back', {}, 0, 0, -5000, 0],
  ['a bad Age', { Age: '-1' }, 0, 0, 1000, 1000],
  ['a server ahead of us', { Date: HOUR_LATER }, 0, 0, 1000, 1000],
])('currentAgeMs() counts %s', (_, fields, requested, received, now, age) => {
  const { headers } = head(fields as Record<string, string>)
  const stored = { status: 200, headers, requestedAt: AT + requested, receivedAt: AT + received }

  expect(currentAgeMs(stored, AT + now)).toBe(age)
})

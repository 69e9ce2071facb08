import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { type Answer, type Asked, type Decision, decideResponse } from './response-decision.ts'

const DATE = 'Sat, 21 Nov 2026 10:00:00 GMT'
const MODIFIED = 'Fri, 20 Nov 2026 10:00:00 GMT'
const LATER = 'Fri, 20 Nov 2026 10:00:05 GMT'
const URL = 'http://a/file'

const FIRST: Asked = {
  url: URL,
  range: undefined,
  conditional: false,
  identity: undefined,
  isProvable: false,
}
const RESUME: Asked = {
  url: URL,
  range: { start: 100, end: 200 },
  conditional: true,
  identity: { size: 1000, etag: '"a"' },
  isProvable: false,
}
const BY_DATE: Asked = { ...RESUME, identity: { size: 1000, lastModified: MODIFIED } }

interface AnswerParts {
  status?: number
  headers?: Record<string, string>
  length?: number | undefined
}

function answer({ status = 206, headers = {}, ...rest }: AnswerParts): Answer {
  const length = 'length' in rest ? rest.length : 100
  return { status, headers: HeaderFields.from(headers), length }
}

/** A right 206 to RESUME, but for what is given. */
function partial(
  headers: Record<string, string | undefined>,
  length: number | undefined = 100,
): Answer {
  const all = { ETag: '"a"', 'Content-Range': 'bytes 100-199/1000', ...headers }
  const kept = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return { status: 206, headers: HeaderFields.from(kept), length }
}

/** What a decision comes to, without its error's words. */
function gist(decision: Decision): unknown {
  switch (decision.type) {
    case 'content':
    case 'whole':
      return [decision.type, decision.start, decision.end]
    case 'unconditional':
      return decision.type
    case 'refused':
      return decision.type
    case 'changed':
    case 'broken':
      return [decision.type, decision.error.code]
  }
}

const CHANGED = ['changed', 'representation-changed']
const BROKEN = ['broken', 'range-mismatch']

const first: readonly [string, AnswerParts, unknown][] = [
  ['200', { status: 200 }, ['content', 0, 100]],
  ['200 without a length', { status: 200, length: undefined }, ['content', 0, undefined]],
  ['200 without content', { status: 200, length: 0 }, ['content', 0, 0]],
  ['206 that nobody asked for', { headers: { 'Content-Range': 'bytes 0-99/100' } }, BROKEN],
  ['200 that is coded', { status: 200, headers: { 'Content-Encoding': 'gzip' } }, BROKEN],
  [
    '200 that is coded twice',
    { status: 200, headers: { 'Content-Encoding': 'identity, br' } },
    BROKEN,
  ],
  [
    '200 coded as identity',
    { status: 200, headers: { 'Content-Encoding': 'Identity' } },
    ['content', 0, 100],
  ],
  ['416 although no range was asked for', { status: 416 }, 'refused'],
  ['204', { status: 204, length: 0 }, 'refused'],
  ['203 of a transforming proxy', { status: 203 }, 'refused'],
  ['304', { status: 304, length: 0 }, 'refused'],
  ['302 without Location', { status: 302 }, 'refused'],
  ['404', { status: 404 }, 'refused'],
  ['403', { status: 403 }, 'refused'],
  ['429', { status: 429 }, 'refused'],
  ['503', { status: 503 }, 'refused'],
]

test.each(first)('decideResponse() of the first request: %s', (_, parts, expected) => {
  expect(gist(decideResponse(FIRST, answer(parts)))).toEqual(expected)
})

const partials: readonly [string, Answer, unknown][] = [
  ['exactly what was asked for', partial({}), ['content', 100, 200]],
  ['chunked', { ...partial({}), length: undefined }, ['content', 100, 200]],
  [
    'fewer bytes than asked for',
    partial({ 'Content-Range': 'bytes 100-149/1000' }, 50),
    ['content', 100, 150],
  ],
  ['the unknown total *', partial({ 'Content-Range': 'bytes 100-199/*' }), ['content', 100, 200]],
  [
    'another case of the unit',
    partial({ 'Content-Range': 'Bytes 100-199/1000' }),
    ['content', 100, 200],
  ],
  ['a later first byte', partial({ 'Content-Range': 'bytes 101-200/1000' }), BROKEN],
  ['an earlier first byte', partial({ 'Content-Range': 'bytes 99-198/1000' }), BROKEN],
  ['from the beginning', partial({ 'Content-Range': 'bytes 0-99/1000' }), BROKEN],
  ['more bytes than asked for', partial({ 'Content-Range': 'bytes 100-200/1000' }, 101), BROKEN],
  ['a last byte before the first', partial({ 'Content-Range': 'bytes 100-99/1000' }), BROKEN],
  ['a total below its last byte', partial({ 'Content-Range': 'bytes 100-199/199' }), BROKEN],
  ['another total', partial({ 'Content-Range': 'bytes 100-199/1001' }), CHANGED],
  ['no Content-Range', partial({ 'Content-Range': undefined }), BROKEN],
  [
    'two Content-Ranges in one',
    partial({ 'Content-Range': 'bytes 100-199/1000, bytes 100-199/1000' }),
    BROKEN,
  ],
  ['another unit', partial({ 'Content-Range': 'items 100-199/1000' }), BROKEN],
  ['the form of a 416', partial({ 'Content-Range': 'bytes */1000' }), BROKEN],
  [
    'numbers beyond what can be counted',
    partial({ 'Content-Range': 'bytes 100-199/99999999999999999999' }),
    BROKEN,
  ],
  ['a negative first byte', partial({ 'Content-Range': 'bytes -100-199/1000' }), BROKEN],
  [
    'several parts',
    partial({ 'Content-Range': undefined, 'Content-Type': 'multipart/byteranges; boundary=x' }),
    BROKEN,
  ],
  ['coded content', partial({ 'Content-Encoding': 'gzip' }), BROKEN],
  ['a Content-Length that is too short', partial({}, 99), BROKEN],
  ['a Content-Length that is too long', partial({}, 101), BROKEN],
  ['no content at all', partial({}, 0), BROKEN],
  ['another ETag', partial({ ETag: '"b"' }), CHANGED],
  ['the ETag made weak', partial({ ETag: 'W/"a"' }), CHANGED],
  ['no ETag any more', partial({ ETag: undefined }), CHANGED],
  ['an ETag of another case', partial({ ETag: '"A"' }), CHANGED],
  [
    'a Last-Modified that was not there before',
    partial({ 'Last-Modified': MODIFIED }),
    ['content', 100, 200],
  ],
]

test.each(partials)('decideResponse() of a 206 with %s', (_, got, expected) => {
  expect(gist(decideResponse(RESUME, got))).toEqual(expected)
})

const partialsByDate: readonly [string, Record<string, string>, unknown][] = [
  ['the same date', { 'Last-Modified': MODIFIED }, ['content', 100, 200]],
  ['another date', { 'Last-Modified': LATER }, CHANGED],
  ['the same date in another form', { 'Last-Modified': 'Friday, 20-Nov-26 10:00:00 GMT' }, CHANGED],
  ['no date', {}, CHANGED],
  ['no date but an ETag', { ETag: '"a"' }, CHANGED],
]

test.each(partialsByDate)(
  'decideResponse() of a version known by date, 206 with %s',
  (_, headers, expected) => {
    const got = answer({ headers: { 'Content-Range': 'bytes 100-199/1000', ...headers } })

    expect(gist(decideResponse(BY_DATE, got))).toEqual(expected)
  },
)

test('decideResponse() takes both validators to agree where both are known', () => {
  const asked = { ...RESUME, identity: { size: 1000, etag: '"a"', lastModified: MODIFIED } }

  const agreeing = decideResponse(asked, partial({ 'Last-Modified': MODIFIED }))
  const differing = decideResponse(asked, partial({ 'Last-Modified': LATER }))

  expect(gist(agreeing)).toEqual(['content', 100, 200])
  expect(gist(differing)).toEqual(CHANGED)
})

test('decideResponse() goes by the size alone where nothing else is known', () => {
  const asked = { ...RESUME, conditional: false, identity: { size: 1000 } }

  expect(gist(decideResponse(asked, partial({ ETag: undefined })))).toEqual(['content', 100, 200])
  expect(gist(decideResponse(asked, answer({ status: 200, length: 1001 })))).toEqual(CHANGED)
})

test('decideResponse() takes entity tags that differ where a digest will prove the file', () => {
  const identity = { size: 1000, etag: '"a"', lastModified: MODIFIED }
  const asked = { ...RESUME, identity }
  const other = partial({ ETag: '"b"', 'Last-Modified': MODIFIED })

  expect(gist(decideResponse(asked, other))).toEqual(CHANGED)
  expect(gist(decideResponse({ ...asked, isProvable: true }, other))).toEqual(['content', 100, 200])
  const later = partial({ ETag: '"b"', 'Last-Modified': LATER })
  expect(gist(decideResponse({ ...asked, isProvable: true }, later))).toEqual(CHANGED)
})

const wholes: readonly [string, Asked, AnswerParts, unknown][] = [
  [
    'of the same version to If-Range',
    RESUME,
    { headers: { ETag: '"a"' }, length: 1000 },
    'unconditional',
  ],
  [
    'of the same version to a bare range',
    { ...RESUME, conditional: false },
    { headers: { ETag: '"a"' }, length: 1000 },
    ['whole', 0, 1000],
  ],
  [
    'of the same version, chunked',
    { ...RESUME, conditional: false },
    { headers: { ETag: '"a"' }, length: undefined },
    ['whole', 0, 1000],
  ],
  ['of another version', RESUME, { headers: { ETag: '"b"' }, length: 1000 }, CHANGED],
  ['of another size', RESUME, { headers: { ETag: '"a"' }, length: 999 }, CHANGED],
  ['without content', RESUME, { headers: { ETag: '"a"' }, length: 0 }, CHANGED],
  ['without a validator', RESUME, { length: 1000 }, CHANGED],
  [
    'that is coded',
    RESUME,
    { headers: { ETag: '"a"', 'Content-Encoding': 'gzip' }, length: 1000 },
    BROKEN,
  ],
  ['of another date', BY_DATE, { headers: { 'Last-Modified': LATER }, length: 1000 }, CHANGED],
  [
    'of the same date',
    BY_DATE,
    { headers: { 'Last-Modified': MODIFIED }, length: 1000 },
    'unconditional',
  ],
  [
    'to a request for the whole of a known version',
    { ...RESUME, range: undefined, conditional: false },
    { headers: { ETag: '"a"' }, length: 1000 },
    ['content', 0, 1000],
  ],
  [
    'to a request for the whole of another version',
    { ...RESUME, range: undefined, conditional: false },
    { headers: { ETag: '"b"' }, length: 1000 },
    CHANGED,
  ],
]

test.each(wholes)('decideResponse() of a 200 %s', (_, asked, parts, expected) => {
  expect(gist(decideResponse(asked, answer({ status: 200, ...parts })))).toEqual(expected)
})

const unsatisfied: readonly [string, string | undefined, unknown][] = [
  ['fewer bytes', 'bytes */50', CHANGED],
  ['more bytes', 'bytes */2000', CHANGED],
  ['no bytes', 'bytes */0', CHANGED],
  ['as many bytes as before', 'bytes */1000', BROKEN],
  ['no Content-Range', undefined, CHANGED],
  ['a Content-Range that says nothing', 'bytes */*', CHANGED],
]

test.each(unsatisfied)('decideResponse() of a 416 with %s', (_, contentRange, expected) => {
  const headers: Record<string, string> =
    contentRange === undefined ? {} : { 'Content-Range': contentRange }

  expect(gist(decideResponse(RESUME, answer({ status: 416, headers })))).toEqual(expected)
})

test.each([429, 500, 502, 503, 504, 408])(
  'decideResponse() keeps what has come when a range is answered by %i',
  (status) => {
    expect(gist(decideResponse(RESUME, answer({ status })))).toEqual('refused')
  },
)

const identities: readonly [string, Record<string, string>, object][] = [
  ['a strong ETag', { ETag: '"a"' }, { etag: '"a"', size: 100 }],
  ['a weak ETag', { ETag: 'W/"a"' }, { weakEtag: 'W/"a"', size: 100 }],
  ['an ETag without quotes', { ETag: 'a' }, { weakEtag: 'a', size: 100 }],
  ['two ETags', { ETag: '"a", "b"' }, { weakEtag: '"a", "b"', size: 100 }],
  [
    'a date long before Date',
    { Date: DATE, 'Last-Modified': MODIFIED },
    { lastModified: MODIFIED, size: 100 },
  ],
  ['a date equal to Date', { Date: DATE, 'Last-Modified': DATE }, { size: 100 }],
  ['a date without Date', { 'Last-Modified': MODIFIED }, { size: 100 }],
  ['a date that is none', { Date: DATE, 'Last-Modified': 'yesterday' }, { size: 100 }],
]

test.each(identities)('decideResponse() takes the identity from %s', (_, headers, identity) => {
  const decision = decideResponse(FIRST, answer({ status: 200, headers }))

  expect(decision).toEqual({ type: 'content', start: 0, end: 100, identity })
})

test('decideResponse() accepts a part only when every byte of it was asked for and is of the version', () => {
  const small = fc.nat(30)
  const maybe = fc.option(small, { nil: undefined })
  fc.assert(
    fc.property(
      small,
      small,
      small,
      small,
      maybe,
      maybe,
      fc.boolean(),
      (start, length, first, last, total, framed, same) => {
        const range = { start, end: start + length + 1 }
        const asked: Asked = {
          url: URL,
          range,
          conditional: true,
          identity: { size: 30, etag: '"a"' },
          isProvable: false,
        }
        const headers = HeaderFields.from({
          ETag: same ? '"a"' : '"b"',
          'Content-Range': `bytes ${first}-${last}/${total ?? '*'}`,
        })

        const decision = decideResponse(asked, { status: 206, headers, length: framed })

        const right =
          same &&
          first === start &&
          last >= first &&
          last < range.end &&
          (total === undefined || total === 30) &&
          (framed === undefined || framed === last + 1 - first)
        expect(decision.type === 'content').toBe(right)
        if (decision.type === 'content')
          expect([decision.start, decision.end]).toEqual([start, last + 1])
      },
    ),
    { numRuns: 2000 },
  )
})

test('decideResponse() says what changed, from what to what', () => {
  const decision = decideResponse(RESUME, partial({ ETag: '"b"' }))

  expect(decision.type === 'changed' && decision.error.message).toBe(
    'Cannot go on with http://a/file: the file at the server is another one now, its ETag changed from "a" to "b"',
  )
})

import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import {
  canBeContinued,
  describeChange,
  type Identity,
  identityOf,
  ifRangeOf,
  namesContent,
} from './identity.ts'

const MODIFIED = 'Fri, 20 Nov 2026 10:00:00 GMT'
const DATE = 'Sat, 21 Nov 2026 10:00:00 GMT'
const WEAK = { weakEtag: 'W/"a"', lastModified: MODIFIED }

test('identityOf() takes the strong validators and the size', () => {
  const headers = HeaderFields.from({ ETag: '"a"', 'Last-Modified': MODIFIED, Date: DATE })

  expect(identityOf(headers, 5)).toEqual({ etag: '"a"', lastModified: MODIFIED, size: 5 })
  expect(identityOf(HeaderFields.from({ ETag: 'W/"a"' }), undefined)).toEqual({ weakEtag: 'W/"a"' })
})

const continued: readonly [Identity, boolean][] = [
  [{}, false],
  [{ size: 5 }, true],
  [{ etag: '"a"' }, false],
  [{ etag: '"a"', size: 5 }, true],
  [{ lastModified: MODIFIED, size: 5 }, true],
  [{ etag: '"a"', size: 0 }, true],
  [{ weakEtag: 'W/"a"', size: 5 }, true],
]

test.each(continued)('canBeContinued(%j) is %s', (identity, expected) => {
  expect(canBeContinued(identity)).toBe(expected)
})

test('ifRangeOf() prefers the entity tag', () => {
  expect(ifRangeOf({ etag: '"a"', lastModified: MODIFIED })).toBe('"a"')
  expect(ifRangeOf({ lastModified: MODIFIED })).toBe(MODIFIED)
  expect(ifRangeOf({ size: 5 })).toBeUndefined()
  expect(ifRangeOf({ weakEtag: 'W/"a"', size: 5 })).toBeUndefined()
})

const changes: readonly [
  Identity,
  Record<string, string>,
  number | undefined,
  RegExp | undefined,
][] = [
  [{ size: 5, etag: '"a"' }, { ETag: '"a"' }, 5, undefined],
  [{ size: 5, etag: '"a"' }, { ETag: '"a"' }, undefined, undefined],
  [{ size: 5, etag: '"a"' }, { ETag: '"a"' }, 6, /size changed from 5 to 6/],
  [{ size: 5, etag: '"a"' }, { ETag: '"a"' }, 0, /size changed from 5 to 0/],
  [{ etag: '"a"' }, { ETag: '"b"' }, 5, /ETag changed from "a" to "b"/],
  [{ etag: '"a"' }, {}, 5, /ETag changed from "a" to none/],
  [{ lastModified: MODIFIED }, { 'Last-Modified': MODIFIED }, 5, undefined],
  [{ lastModified: MODIFIED }, { 'Last-Modified': DATE }, 5, /Last-Modified changed/],
  [{ lastModified: MODIFIED }, {}, 5, /no longer says/],
  [{ etag: '"a"', lastModified: MODIFIED }, { ETag: '"a"' }, 5, undefined],
  [
    { etag: '"a"', lastModified: MODIFIED },
    { ETag: '"a"', 'Last-Modified': DATE },
    5,
    /Last-Modified changed/,
  ],
  [{ etag: '"a"', lastModified: MODIFIED }, { 'Last-Modified': MODIFIED }, 5, /ETag changed/],
  [{ size: 5 }, {}, 5, undefined],
  [{ ...WEAK }, { ETag: 'W/"a"', 'Last-Modified': MODIFIED }, 5, undefined],
  [{ ...WEAK }, { 'Last-Modified': MODIFIED }, 5, undefined],
  [
    { ...WEAK },
    { ETag: 'W/"b"', 'Last-Modified': MODIFIED },
    5,
    /ETag changed from W\/"a" to W\/"b"/,
  ],
  [{ ...WEAK }, { ETag: '"b"', 'Last-Modified': MODIFIED }, 5, /ETag changed/],
]

test.each(changes)('describeChange(%j, %j, %s) gives %s', (known, headers, size, expected) => {
  const change = describeChange(known, HeaderFields.from(headers), size)

  if (expected === undefined) expect(change).toBeUndefined()
  else expect(change).toMatch(expected)
})

test.each([
  ['"9e107d9d372bb6826bd81d3542a419d6"', true],
  ['"9e107d9d372bb6826bd81d3542a419d6-12"', true],
  ['"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"', true],
  // nginx, and Apache with inode, size and time.
  ['"67-3d0900"', false],
  ['"10a0c3-3b9aca00-62fb3ed3b8d40"', false],
  [undefined, false],
])('namesContent() of the entity tag %s is %s', (etag, expected) => {
  expect(namesContent(etag === undefined ? {} : { etag })).toBe(expected)
})

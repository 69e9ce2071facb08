import { expect, test } from 'vitest'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { canBeContinued, describeChange, type Identity, identityOf, ifRangeOf } from './identity.ts'

const MODIFIED = 'Fri, 20 Nov 2026 10:00:00 GMT'
const DATE = 'Sat, 21 Nov 2026 10:00:00 GMT'

test('identityOf() takes the strong validators and the size', () => {
  const headers = HeaderFields.from({ ETag: '"a"', 'Last-Modified': MODIFIED, Date: DATE })

  expect(identityOf(headers, 5)).toEqual({ etag: '"a"', lastModified: MODIFIED, size: 5 })
  expect(identityOf(HeaderFields.from({ ETag: 'W/"a"' }), undefined)).toEqual({})
})

const continued: readonly [Identity, boolean][] = [
  [{}, false],
  [{ size: 5 }, false],
  [{ etag: '"a"' }, false],
  [{ etag: '"a"', size: 5 }, true],
  [{ lastModified: MODIFIED, size: 5 }, true],
  [{ etag: '"a"', size: 0 }, true],
]

test.each(continued)('canBeContinued(%j) is %s', (identity, expected) => {
  expect(canBeContinued(identity)).toBe(expected)
})

test('ifRangeOf() prefers the entity tag', () => {
  expect(ifRangeOf({ etag: '"a"', lastModified: MODIFIED })).toBe('"a"')
  expect(ifRangeOf({ lastModified: MODIFIED })).toBe(MODIFIED)
  expect(ifRangeOf({ size: 5 })).toBeUndefined()
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
  [{ size: 5 }, {}, 5, /no longer says/],
]

test.each(changes)('describeChange(%j, %j, %s) gives %s', (known, headers, size, expected) => {
  const change = describeChange(known, HeaderFields.from(headers), size)

  if (expected === undefined) expect(change).toBeUndefined()
  else expect(change).toMatch(expected)
})

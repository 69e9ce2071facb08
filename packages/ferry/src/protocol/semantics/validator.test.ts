import { describe, expect, test } from 'vitest'
import { HeaderFields } from './header-fields.ts'
import { hasValidator, validatorsOf, weaklyMatches } from './validator.ts'

const MODIFIED = 'Sat, 21 Nov 2026 10:00:00 GMT'
const SECOND_LATER = 'Sat, 21 Nov 2026 10:00:01 GMT'

function validators(fields: Record<string, string>): ReturnType<typeof validatorsOf> {
  return validatorsOf(HeaderFields.from(fields))
}

describe('validatorsOf()', () => {
  test.each(['"abc"', '""', '"a/b-c\xe9"'])('takes the strong entity tag %j', (etag) => {
    expect(validators({ ETag: etag })).toEqual({ etag })
  })

  test.each(['W/"abc"', 'abc', '"abc', '"a"b"', '"a", "b"', '"a b"'])(
    'keeps %j, which is weak or no entity tag, apart',
    (etag) => {
      expect(validators({ ETag: etag })).toEqual({ weakEtag: etag })
      expect(hasValidator(validators({ ETag: etag }))).toBe(false)
    },
  )

  test('takes a Last-Modified that is at least a second older than the response', () => {
    expect(validators({ 'Last-Modified': MODIFIED, Date: SECOND_LATER })).toEqual({
      lastModified: MODIFIED,
    })
  })

  test.each([
    ['the same second', { 'Last-Modified': MODIFIED, Date: MODIFIED }],
    ['no Date', { 'Last-Modified': MODIFIED }],
    ['a Date that cannot be read', { 'Last-Modified': MODIFIED, Date: 'now' }],
    ['a Last-Modified that cannot be read', { 'Last-Modified': 'then', Date: SECOND_LATER }],
    ['a Last-Modified in the future', { 'Last-Modified': SECOND_LATER, Date: MODIFIED }],
  ])('leaves out a Last-Modified with %s', (_, fields) => {
    expect(validators(fields)).toEqual({})
    expect(hasValidator(validators(fields))).toBe(false)
  })

  test('one strong validator is enough', () => {
    expect(hasValidator({ etag: '"a"' })).toBe(true)
    expect(hasValidator({ lastModified: MODIFIED })).toBe(true)
  })
})

test.each([
  ['W/"a"', 'W/"a"', true],
  ['W/"a"', '"a"', true],
  ['W/"a"', 'W/"b"', false],
  ['abc', 'abd', false],
])('weaklyMatches(%j, %j) is %s', (one, other, expected) => {
  expect(weaklyMatches(one, other)).toBe(expected)
})

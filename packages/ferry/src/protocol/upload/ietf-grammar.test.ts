import { expect, test } from 'vitest'
import {
  formatComplete,
  isInverted,
  needsMediaType,
  parseBytesField,
  parseCompleteField,
  parseIntegerField,
} from './ietf-grammar.ts'

test.each([
  [3, true, false],
  [4, false, false],
  [5, false, false],
  [6, false, true],
  [9, false, true],
])('Version %i: inverted %s, with a media type of its own %s', (version, inverted, hasType) => {
  expect([isInverted(version), needsMediaType(version)]).toEqual([inverted, hasType])
})

test.each([true, false])('parseCompleteField() reads what formatComplete() writes: %s', (value) => {
  for (const dialect of [{ isInverted: true }, { isInverted: false }]) {
    const [[name, field] = []] = Object.entries(formatComplete(value, dialect))
    const read = (wanted: string): string | undefined =>
      wanted === name?.toLowerCase() ? field : undefined

    expect(parseCompleteField(read, dialect)).toBe(value)
    expect(parseCompleteField(read, { isInverted: !dialect.isInverted })).toBeUndefined()
  }
})

test.each([
  ['5', 5],
  ['-1', -1],
  ['9;a=1', 9],
  ['9, 8', undefined],
  ['"9"', undefined],
  ['1.0', undefined],
  ['', undefined],
  [undefined, undefined],
])('parseIntegerField() reads %s as %s', (field, value) => {
  expect(parseIntegerField(field)).toBe(value)
  expect(parseBytesField(field)).toBe(value === -1 ? undefined : value)
})

import { expect, test } from 'vitest'
import { checkStand, parseByteCount, smallerPiece } from './upload-bytes.ts'

test.each([
  ['0', 0],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ['9007199254740992', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['', undefined],
  [undefined, undefined],
])('parseByteCount() reads %s as %s', (text, expected) => {
  expect(parseByteCount(text)).toBe(expected)
})

test.each([
  ['what was sent', 5, undefined, { size: 9, sentTo: 5 }],
  ['less', 0, 9, { size: 9, sentTo: 5 }],
  ['all', 9, 9, { size: 9, sentTo: undefined }],
  ['anything, while nothing is known', 99, 99, { size: undefined, sentTo: undefined }],
])('checkStand() believes a server that has %s', (_, offset, length, known) => {
  expect(() => checkStand({ offset, length, expiresAt: undefined }, known)).not.toThrow()
})

test.each([
  ['more than was sent', 6, undefined, { size: 9, sentTo: 5 }, 'claims to have 6'],
  ['more than there is', 10, undefined, { size: 9, sentTo: undefined }, 'claims to have 10'],
  ['another length', 0, 8, { size: 9, sentTo: 5 }, 'expects 8 bytes'],
])('checkStand() does not believe a server that tells of %s', (_, offset, length, known, words) => {
  expect(() => checkStand({ offset, length, expiresAt: undefined }, known)).toThrow(words)
})

test.each([
  [1_000_000_000, undefined, 67_108_864],
  [67_108_864, undefined, 8_388_608],
  [1_000_000, undefined, 262_144],
  [65_536, undefined, undefined],
  [1000, 10, 10],
  [1000, 1000, undefined],
  [1000, 0, undefined],
])('smallerPiece() after %i bytes, where %s were named, is %s', (bytes, named, expected) => {
  expect(smallerPiece(bytes, named)).toBe(expected)
})

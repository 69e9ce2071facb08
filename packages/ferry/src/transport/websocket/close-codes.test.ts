import { expect, test } from 'vitest'
import { checkClose } from './close-codes.ts'

test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 3000, 3999, 4000, 4999])(
  'checkClose() lets %d pass',
  (code) => {
    expect(() => checkClose(code, '')).not.toThrow()
  },
)

test.each([0, 999, 1004, 1005, 1006, 1010, 1012, 1014, 1015, 2999, 5000, 1000.5, NaN])(
  'checkClose() refuses %d',
  (code) => {
    expect(() => checkClose(code, '')).toThrow(RangeError)
  },
)

test('checkClose() counts the bytes of a reason, not its characters', () => {
  expect(() => checkClose(1000, 'x'.repeat(123))).not.toThrow()
  expect(() => checkClose(1000, 'é'.repeat(62))).toThrow(/124 bytes/)
})

import { expect, test } from 'vitest'
import { parseRetryAfter } from './retry-after.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

test.each([
  ['0', 0],
  ['120', 120_000],
  ['Sat, 21 Nov 2026 10:00:30 GMT', 30_000],
  ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
  ['soon', undefined],
  ['-5', undefined],
  ['1.5', undefined],
])('parseRetryAfter() reads %j as %j ms', (text, expected) => {
  expect(parseRetryAfter(text, NOW)).toBe(expected)
})

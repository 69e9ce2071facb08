import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { readServerWish } from './server-wish.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

const rows: readonly [
  status: number,
  fields: Record<string, string>,
  wish: readonly [refused: boolean, retryAfterMs?: number | undefined, resetMs?: number],
][] = [
  [200, {}, [false]],
  [200, { 'Retry-After': '3' }, [false, 3000]],
  [200, { 'RateLimit-Remaining': '0', 'RateLimit-Reset': '5' }, [false, undefined, 5000]],
  [200, { 'RateLimit-Remaining': '1', 'RateLimit-Reset': '5' }, [false]],
  [200, { 'RateLimit-Reset': '5' }, [false]],
  [429, {}, [true]],
  [429, { 'Retry-After': '3' }, [true, 3000]],
  [429, { 'Retry-After': 'Sat, 21 Nov 2026 10:00:07 GMT' }, [true, 7000]],
  [429, { 'Retry-After': 'soon' }, [true]],
  [429, { 'RateLimit-Reset': '5' }, [true, undefined, 5000]],
  [429, { 'Retry-After': '3', 'X-RateLimit-Reset': '5' }, [true, 3000, 5000]],
  [503, {}, [false]],
  [503, { 'Retry-After': '0' }, [true, 0]],
  [503, { 'Retry-After': 'soon' }, [false]],
  [503, { 'RateLimit-Reset': '5' }, [false]],
  [500, { 'Retry-After': '3' }, [false, 3000]],
  // The server's clock is an hour behind ours.
  [
    429,
    { Date: 'Sat, 21 Nov 2026 09:00:00 GMT', 'Retry-After': 'Sat, 21 Nov 2026 09:00:07 GMT' },
    [true, 7000],
  ],
  [
    429,
    { Date: 'Sat, 21 Nov 2026 09:00:00 GMT', 'X-RateLimit-Reset': String(NOW / 1000 - 3591) },
    [true, undefined, 9000],
  ],
  [429, { Date: 'today', 'Retry-After': 'Sat, 21 Nov 2026 10:00:07 GMT' }, [true, 7000]],
]

test.each(rows)('readServerWish() of %i %j', (status, fields, [refused, retryAfterMs, resetMs]) => {
  const wish = readServerWish({ status, headers: HeaderFields.from(fields) }, NOW)

  expect(wish).toEqual({ refused, retryAfterMs, resetMs })
})

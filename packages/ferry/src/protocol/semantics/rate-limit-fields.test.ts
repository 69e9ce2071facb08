import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeaderFields } from './header-fields.ts'
import { exhaustedForMs, parseRateLimitFields, type Quota } from './rate-limit-fields.ts'

const NOW = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT')

type Short = readonly [
  limit?: number | undefined,
  remaining?: number | undefined,
  resetMs?: number | undefined,
]

const rows: readonly [
  name: string,
  fields: Record<string, string | string[]>,
  quotas: readonly Short[],
][] = [
  ['no field', { 'Content-Type': 'text/plain' }, []],
  ['draft 10', { RateLimit: '"default";r=50;t=30' }, [[undefined, 50, 30_000]]],
  [
    'draft 10 with its policy',
    { RateLimit: '"hourly";r=0;t=30', 'RateLimit-Policy': '"hourly";q=100;w=3600;pk=:aGk=:' },
    [[100, 0, 30_000]],
  ],
  [
    'several quotas, on several lines',
    {
      RateLimit: ['"burst";r=3;t=1', '"daily";r=0;t=9000'],
      'RateLimit-Policy': '"burst";q=10;w=1, "daily";q=1000;w=86400',
    },
    [
      [10, 3, 1000],
      [1000, 0, 9_000_000],
    ],
  ],
  [
    'no t: the window of the policy',
    { RateLimit: '"p";r=0', 'RateLimit-Policy': '"p";q=5;w=60' },
    [[5, 0, 60_000]],
  ],
  ['no t, no window', { RateLimit: '"p";r=0', 'RateLimit-Policy': '"p";q=5' }, [[5, 0]]],
  [
    'another policy',
    { RateLimit: '"p";r=0', 'RateLimit-Policy': '"q";q=5;w=60' },
    [[undefined, 0]],
  ],
  [
    'a policy that is a token',
    { RateLimit: '"p";r=0', 'RateLimit-Policy': 'p;q=5;w=60' },
    [[undefined, 0]],
  ],
  [
    'a broken policy',
    { RateLimit: '"p";r=0;t=1', 'RateLimit-Policy': '100;' },
    [[undefined, 0, 1000]],
  ],
  ['no r', { RateLimit: '"p";t=30' }, []],
  ['an r that is no count', { RateLimit: '"p";r=-1;t=30, "q";r=1.0, "s";r="1"' }, []],
  ['a t that is no count', { RateLimit: '"p";r=0;t=-1' }, [[undefined, 0]]],
  ['a name that is a token', { RateLimit: 'p;r=0;t=30' }, []],
  ['a broken field', { RateLimit: '"p";r=0;t=30,' }, []],
  ['draft 07', { RateLimit: 'limit=100, remaining=0, reset=5' }, [[100, 0, 5000]]],
  [
    'draft 07 with its policy',
    { RateLimit: 'remaining=7', 'RateLimit-Policy': '100;w=60' },
    [[undefined, 7]],
  ],
  ['draft 07 with nonsense', { RateLimit: 'limit=100, remaining=x, reset=-5' }, []],
  [
    'drafts 00 to 06',
    { 'RateLimit-Limit': '100, 100;w=60', 'RateLimit-Remaining': '0', 'RateLimit-Reset': '50' },
    [[100, 0, 50_000]],
  ],
  [
    'the habit, with seconds',
    { 'X-RateLimit-Limit': '60', 'X-RateLimit-Remaining': '56', 'X-RateLimit-Reset': '2513' },
    [[60, 56, 2_513_000]],
  ],
  [
    'the habit, with an instant in seconds',
    { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': String(NOW / 1000 + 9) },
    [[undefined, 0, 9000]],
  ],
  [
    'the habit, with an instant in seconds and a fraction',
    { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': `${NOW / 1000 + 9}.250` },
    [[undefined, 0, 9250]],
  ],
  [
    'the habit, with an instant in ms',
    { 'X-RateLimit-Reset': String(NOW + 9) },
    [[undefined, undefined, 9]],
  ],
  ['the habit, in the past', { 'X-RateLimit-Reset': '1372700873' }, [[undefined, undefined, 0]]],
  [
    'the habit, in the past in ms',
    { 'X-RateLimit-Reset': '1562287945706' },
    [[undefined, undefined, 0]],
  ],
  [
    'the habit, with a date',
    { 'X-RateLimit-Reset': 'Sat, 21 Nov 2026 10:00:30 GMT' },
    [[undefined, undefined, 30_000]],
  ],
  [
    'the habit, with a date in the past',
    { 'X-RateLimit-Reset': 'Sat, 21 Nov 2026 09:00:30 GMT' },
    [[undefined, undefined, 0]],
  ],
  ['the habit, spelled X-Rate-Limit', { 'X-Rate-Limit-Remaining': '3' }, [[undefined, 3]]],
  ['a limit alone', { 'X-RateLimit-Limit': '60' }, []],
  ['nonsense', { 'X-RateLimit-Remaining': 'many', 'X-RateLimit-Reset': 'soon' }, []],
  ['a negative count', { 'X-RateLimit-Remaining': '-1' }, []],
  ['two lines that contradict', { 'RateLimit-Remaining': ['1', '2'] }, []],
  ['too many digits', { 'X-RateLimit-Reset': '1'.repeat(16) }, []],
  [
    'the newest first',
    { RateLimit: '"p";r=1', 'RateLimit-Remaining': '2', 'X-RateLimit-Remaining': '3' },
    [[undefined, 1]],
  ],
  [
    'the next if the newest is broken',
    { RateLimit: '?', 'X-RateLimit-Remaining': '3' },
    [[undefined, 3]],
  ],
]

test.each(rows)('parseRateLimitFields() reads %s', (_, fields, quotas) => {
  const expected = quotas.map(([limit, remaining, resetMs]) => ({ limit, remaining, resetMs }))

  expect(parseRateLimitFields(HeaderFields.from(fields), NOW)).toEqual(expected)
})

test('parseRateLimitFields() gives counts and durations that are not negative, whatever comes', () => {
  const value = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'019.-";=, rtpqw') }),
    fc.bigInt({ min: -10n, max: 10n ** 16n }).map(String),
  )
  const names = [
    'RateLimit',
    'RateLimit-Policy',
    'RateLimit-Reset',
    'RateLimit-Remaining',
    'X-RateLimit-Reset',
  ]

  fc.assert(
    fc.property(fc.constantFrom(...names), value, value, (name, one, other) => {
      const headers = HeaderFields.from({ [name]: one, 'X-RateLimit-Limit': other })
      for (const quota of parseRateLimitFields(headers, NOW)) {
        for (const number of Object.values(quota)) expect(number ?? 0).toBeGreaterThanOrEqual(0)
      }
    }),
    { numRuns: 1000 },
  )
})

const quota = (remaining?: number, resetMs?: number): Quota => ({ limit: 9, remaining, resetMs })

test.each<[string, Quota[], boolean, number | undefined]>([
  ['nothing', [], true, undefined],
  ['something left', [quota(1, 5000)], true, undefined],
  ['nothing left', [quota(0, 5000)], false, 5000],
  ['nothing left, no reset', [quota(0)], true, undefined],
  [
    'the longest of several',
    [quota(0, 5000), quota(1, 9000), quota(0, 7000), quota(0, 6000)],
    false,
    7000,
  ],
  ['unknown, not refused', [quota(undefined, 5000)], false, undefined],
  ['unknown, refused', [quota(undefined, 5000)], true, 5000],
])('exhaustedForMs() of %s', (_, quotas, refused, expected) => {
  expect(exhaustedForMs(quotas, { refused })).toBe(expected)
})

import { expect, test } from 'vitest'
import { fingerprintOf, isSameVersion } from './file-fingerprint.ts'

const STATS = { size: 5n, mtimeNs: 1_700_000_000_123_456_789n, ino: 42n }

test('fingerprintOf() differs with size, time and file', () => {
  const changed = [{ size: 6n }, { mtimeNs: STATS.mtimeNs + 1n }, { ino: 43n }]

  expect(fingerprintOf(STATS)).toBe('5-1700000000123456789-42')
  for (const change of changed) {
    expect(fingerprintOf({ ...STATS, ...change })).not.toBe(fingerprintOf(STATS))
  }
})

test.each([
  ['5-1700000000123456789-42', true],
  // With the device, as it was noted before.
  ['5-1700000000123456789-42-66306', true],
  ['5-1700000000123456789-42-0', true],
  ['5-1700000000123456789-43-66306', false],
  ['5-1700000000123456789-66306', false],
  ['5-1700000000123456789', false],
  ['6-1700000000123456789-42', false],
  ['', false],
])('isSameVersion() takes %s for the version: %s', (noted, isSame) => {
  expect(isSameVersion(noted, fingerprintOf(STATS))).toBe(isSame)
})

test('isSameVersion() knows times before 1970 from what stands behind them', () => {
  const old = fingerprintOf({ size: 5n, mtimeNs: -100n, ino: 42n })

  expect(old).toBe('5--100-42')
  expect(isSameVersion('5--100-42-7', old)).toBe(true)
  expect(isSameVersion('5-100-42-7', old)).toBe(false)
})

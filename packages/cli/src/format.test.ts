import { describe, expect, test } from 'vitest'
import { formatBytes, formatDuration, formatSpeed, parseSize } from './format.ts'

describe('parseSize()', () => {
  test.each([
    ['1', 1],
    ['500K', 512_000],
    ['2m', 2_097_152],
    ['1.5M', 1_572_864],
    ['1G', 1_073_741_824],
    ['2T', 2_199_023_255_552],
  ])('reads %j as %i bytes', (text, expected) => {
    expect(parseSize('max-size', text)).toBe(expected)
  })

  test('gives nothing for an option that was not given', () => {
    expect(parseSize('max-size', undefined)).toBeUndefined()
  })

  test.each(['', '0', '-1', '5Q', '5 M', 'fast', '0.1', '1e3', 'Infinity', '2MB'])(
    'refuses %j and names the option',
    (text) => {
      expect(() => parseSize('limit-rate', text)).toThrow(/^Cannot use ".*" for --limit-rate: /)
    },
  )
})

test.each([
  [0, '0 B'],
  [707, '707 B'],
  [1536, '1.5 KiB'],
  [1_048_575, '1 MiB'],
  [1_073_741_824, '1 GiB'],
  [5 * 2 ** 60, '5120 PiB'],
])('formatBytes(%i) is %s', (bytes, expected) => {
  expect(formatBytes(bytes)).toBe(expected)
})

test('formatSpeed() is per second', () => {
  expect(formatSpeed(12_897_485)).toBe('12.3 MiB/s')
})

test.each([
  [0, '0.0 s'],
  [840, '0.8 s'],
  [9_960, '10.0 s'],
  [42_000, '42 s'],
  [185_000, '3 min 05 s'],
  [59_700, '1 min 00 s'],
  [7_800_000, '2 h 10 min'],
])('formatDuration(%i) is %s', (ms, expected) => {
  expect(formatDuration(ms)).toBe(expected)
})

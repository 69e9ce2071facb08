import { expect, test } from 'vitest'
import { SpeedMeter } from './speed-meter.ts'

function meter(...samples: readonly [at: number, totalBytes: number][]): number {
  const speed = new SpeedMeter()
  for (const [at, totalBytes] of samples) speed.note(at, totalBytes)
  return speed.bytesPerSecond
}

test('SpeedMeter says 0 until there are two samples at different times', () => {
  expect(meter()).toBe(0)
  expect(meter([0, 100])).toBe(0)
  expect(meter([5, 100], [5, 200])).toBe(0)
})

test('SpeedMeter gives the speed between its first and last sample', () => {
  expect(meter([1000, 500], [1500, 1000], [2000, 1500])).toBe(1000)
})

test('SpeedMeter forgets what was before its window', () => {
  const steady = Array.from({ length: 100 }, (_, second): [number, number] => [
    second * 1000,
    second * 7,
  ])
  const stalled = [103, 104, 105].map((second): [number, number] => [second * 1000, 99 * 7])

  expect(meter([0, 0], [1000, 1e9], [4000, 1e9], [4500, 1e9])).toBe(0)
  expect(meter(...steady)).toBe(7)
  expect(meter(...steady, ...stalled)).toBe(0)
})

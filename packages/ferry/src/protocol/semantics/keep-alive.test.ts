import { expect, test } from 'vitest'
import { parseKeepAlive } from './keep-alive.ts'

test.each([
  ['timeout=5, max=100', 5000, 100],
  ['timeout=5', 5000, undefined],
  ['max=0', undefined, 0],
  ['Timeout = 15 , MAX="7"', 15_000, 7],
  ['x=1,timeout=2', 2000, undefined],
  ['timeout=5, timeout=9', 5000, undefined],
  ['timeout=0', 0, undefined],
  ['', undefined, undefined],
  ['timeout', undefined, undefined],
  ['timeout=', undefined, undefined],
  ['timeout=-5', undefined, undefined],
  ['timeout=5.5', undefined, undefined],
  ['timeout=99999999999999999999', undefined, undefined],
  ['timeout=5;max=3', undefined, undefined],
])('parseKeepAlive() reads %j', (value, timeoutMs, remainingRequests) => {
  expect(parseKeepAlive(value)).toEqual({ timeoutMs, remainingRequests })
})

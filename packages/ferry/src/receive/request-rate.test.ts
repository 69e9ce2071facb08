import { expect, test } from 'vitest'
import { peerOf, RequestRate } from './request-rate.ts'

test('RequestRate lets some come at once, and then as many as flow in', () => {
  const rate = new RequestRate({ perSecond: 2, burst: 3 })
  const take = (now: number): number => rate.take('a', now)

  expect([take(1000), take(1000), take(1000), take(1000)]).toEqual([0, 0, 0, 500])
  expect([take(1499), take(1500), take(1500)]).toEqual([1, 0, 500])
  expect([take(9000), take(9000), take(9000), take(9000)]).toEqual([0, 0, 0, 500])
})

test('RequestRate counts for each, and looking takes nothing', () => {
  const rate = new RequestRate({ perSecond: 1, burst: 1 })

  expect([rate.waitMs('a', 0), rate.waitMs('a', 0)]).toEqual([0, 0])
  expect([rate.take('a', 0), rate.take('b', 0), rate.take('a', 0)]).toEqual([0, 0, 1000])
  expect(rate.waitMs('a', 400)).toBe(600)
})

test('RequestRate forgets those who came longest ago, when very many come', () => {
  const rate = new RequestRate({ perSecond: 1, burst: 1 })
  for (let n = 0; n <= 10_000; n++) rate.take(String(n), 0)

  expect([rate.waitMs('0', 0), rate.waitMs('1', 0), rate.waitMs('10000', 0)]).toEqual([
    0, 1000, 1000,
  ])
})

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::5', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', ''],
])('peerOf() gives for %s %s', (address, peer) => {
  expect(peerOf(address)).toBe(peer)
})

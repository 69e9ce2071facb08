import { expect, test } from 'vitest'
import { HttpUrl } from '../transport/http-url.ts'
import { chooseRemote, createRemote, hasOther, noteSpeeds, type Remote } from './remotes.ts'

const NOW = 5000

function remote(name: string, parts: Partial<Remote> = {}): Remote {
  const url = `http://${name}.test/f`
  return Object.assign(createRemote(HttpUrl.parse(url), { url }), parts)
}

/** The choice, where every host is open and nobody works, unless told otherwise. */
function choose(
  remotes: readonly Remote[],
  {
    inUse = [],
    full = [],
    isVersionKnown = true,
  }: { inUse?: Remote[]; full?: Remote[]; isVersionKnown?: boolean } = {},
): Remote | undefined {
  return chooseRemote(remotes, {
    now: NOW,
    isVersionKnown,
    isInUse: (one) => inUse.includes(one),
    isOpen: (one) => !full.includes(one),
  })
}

test('chooseRemote() asks the first until it is known which version there is', () => {
  const [first, second] = [remote('a'), remote('b')]

  expect(choose([first, second], { isVersionKnown: false, inUse: [first] })).toBe(first)
  first.error = new Error('gone')
  expect(choose([first, second], { isVersionKnown: false })).toBe(second)
})

test('chooseRemote() tries each remote that is not known yet with one connection', () => {
  const first = remote('a', { bytesPerSecond: 1e6 })
  const [second, third] = [remote('b'), remote('c')]
  const all = [first, second, third]

  expect(choose(all, { inUse: [first] })).toBe(second)
  expect(choose(all, { inUse: [first, second] })).toBe(third)
  expect(choose(all, { inUse: [first, second, third] })).toBe(first)
})

test('chooseRemote() prefers the fastest, and the first of those that are as fast', () => {
  const slow = remote('a', { bytesPerSecond: 1000 })
  const fast = remote('b', { bytesPerSecond: 5000 })
  const alike = remote('c', { bytesPerSecond: 5000 })

  expect(choose([slow, fast, alike])).toBe(fast)
  expect(choose([slow, fast], { full: [fast] })).toBe(slow)
})

test('chooseRemote() leaves alone what has failed, rests, or is full', () => {
  const failed = remote('a', { error: new Error('404') })
  const resting = remote('b', { restsUntil: NOW + 1 })
  const full = remote('c')
  const all = [failed, resting, full]

  expect(choose(all, { full: [full] })).toBeUndefined()
  resting.restsUntil = NOW
  expect(choose(all, { full: [full] })).toBe(resting)
  expect(choose([])).toBeUndefined()
})

test('hasOther() counts remotes that rest, not those that have failed', () => {
  const [first, second] = [remote('a'), remote('b', { restsUntil: NOW + 1 })]

  expect(hasOther([first, second], first)).toBe(true)
  second.error = new Error('404')
  expect(hasOther([first, second], first)).toBe(false)
  expect(hasOther([first], first)).toBe(false)
})

test('noteSpeeds() goes by the median, and forgets a better time only slowly', () => {
  const one = remote('a')

  noteSpeeds(one, [0, 0])
  expect(one.bytesPerSecond).toBe(0)
  noteSpeeds(one, [100, 0, 900, 500])
  expect(one.bytesPerSecond).toBe(500)
  noteSpeeds(one, [10])
  expect(one.bytesPerSecond).toBeCloseTo(495)
  noteSpeeds(one, [])
  expect(one.bytesPerSecond).toBeCloseTo(495)
  for (let tick = 0; tick < 1000; tick++) noteSpeeds(one, [10])
  expect(one.bytesPerSecond).toBe(10)
})

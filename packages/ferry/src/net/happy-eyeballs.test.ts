import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import { type Address, type Attempt, orderAddresses, raceAddresses } from './happy-eyeballs.ts'

const V6: Address = { address: '2001:db8::1', family: 6 }
const V6_B: Address = { address: '2001:db8::2', family: 6 }
const V4: Address = { address: '192.0.2.1', family: 4 }
const V4_B: Address = { address: '192.0.2.2', family: 4 }

/** Attempts that a test settles by hand. */
class Attempts {
  readonly started: string[] = []
  readonly cancelled: string[] = []
  readonly #settlers = new Map<string, PromiseWithResolvers<string>>()

  readonly start = ({ address }: Address): Attempt<string> => {
    const settler = Promise.withResolvers<string>()
    this.started.push(address)
    this.#settlers.set(address, settler)
    return { result: settler.promise, cancel: () => this.cancelled.push(address) }
  }

  win({ address }: Address): Promise<void> {
    this.#settlers.get(address)?.resolve(`won ${address}`)
    return turn()
  }

  fail({ address }: Address): Promise<void> {
    this.#settlers.get(address)?.reject(new Error(`failed ${address}`))
    return turn()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('orderAddresses() interleaves the families and begins with that of the first address', () => {
  expect(orderAddresses([V6, V6_B, V4, V4_B])).toEqual([V6, V4, V6_B, V4_B])
  expect(orderAddresses([V4, V4_B, V6])).toEqual([V4, V6, V4_B])
  expect(orderAddresses([V4])).toEqual([V4])
  expect(orderAddresses([])).toEqual([])
})

test('orderAddresses() keeps every address, the order in a family, and alternates while it can', () => {
  const address = fc.record({
    address: fc.nat().map(String),
    family: fc.constantFrom<4 | 6>(4, 6),
  })
  fc.assert(
    fc.property(fc.array(address), (addresses) => {
      const ordered = orderAddresses(addresses)

      for (const family of [4, 6]) {
        const of = (list: readonly Address[]): Address[] => list.filter((a) => a.family === family)
        expect(of(ordered)).toEqual(of(addresses))
      }
      expect(ordered).toHaveLength(addresses.length)
      expect(ordered[0]).toBe(addresses[0])
    }),
  )
})

test('raceAddresses() does not start a second attempt when the first wins in time', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4], attempts.start, clock)

  clock.advance(249)
  await attempts.win(V6)

  await expect(race.result).resolves.toBe(`won ${V6.address}`)
  expect(attempts.started).toEqual([V6.address])
  expect(clock.pending).toBe(0)
})

test('raceAddresses() is held up by a dead address for 250 ms and no longer', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4], attempts.start, clock)

  clock.advance(249)
  expect(attempts.started).toEqual([V6.address])
  clock.advance(1)
  expect(attempts.started).toEqual([V6.address, V4.address])
  await attempts.win(V4)

  await expect(race.result).resolves.toBe(`won ${V4.address}`)
  expect(attempts.cancelled).toEqual([V6.address])
})

test('raceAddresses() lets a slow attempt win after the next one has started', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4], attempts.start, clock)

  clock.advance(5_000)
  expect(attempts.cancelled).toEqual([])
  await attempts.win(V6)

  await expect(race.result).resolves.toBe(`won ${V6.address}`)
  expect(attempts.cancelled).toEqual([V4.address])
})

test('raceAddresses() starts the next address at once when one fails', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4, V6_B], attempts.start, clock)

  await attempts.fail(V6)
  expect(attempts.started).toEqual([V6.address, V4.address])

  // The delay is counted from the newest attempt, not from the one that failed.
  clock.advance(249)
  expect(attempts.started).toHaveLength(2)
  clock.advance(1)
  expect(attempts.started).toHaveLength(3)
  race.cancel()
})

test('raceAddresses() waits for a running attempt when a later one fails', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4], attempts.start, clock)
  clock.advance(250)

  await attempts.fail(V4)
  clock.advance(60_000)
  await attempts.win(V6)

  await expect(race.result).resolves.toBe(`won ${V6.address}`)
})

test('raceAddresses() rejects with the first failure when every address fails', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4], attempts.start, clock)
  const outcome = expect(race.result).rejects.toThrow(`failed ${V4.address}`)
  clock.advance(250)

  await attempts.fail(V4)
  await attempts.fail(V6)

  await outcome
  expect(clock.pending).toBe(0)
})

test('raceAddresses() ignores a second winner and every failure after the first winner', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4, V6_B], attempts.start, clock)
  clock.advance(500)

  await attempts.win(V4)
  await attempts.win(V6)
  await attempts.fail(V6_B)

  await expect(race.result).resolves.toBe(`won ${V4.address}`)
  expect(attempts.cancelled).toEqual([V6.address, V6_B.address])
})

test('cancel() stops what runs, starts nothing more and leaves no timer', async () => {
  const clock = new FakeClock()
  const attempts = new Attempts()
  const race = raceAddresses([V6, V4, V6_B], attempts.start, clock)
  clock.advance(250)

  race.cancel()
  clock.advance(10_000)
  await attempts.fail(V6)

  expect(attempts.started).toEqual([V6.address, V4.address])
  expect(attempts.cancelled).toEqual([V6.address, V4.address])
  expect(clock.pending).toBe(0)
})

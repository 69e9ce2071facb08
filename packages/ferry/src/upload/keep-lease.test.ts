import { expect, test } from 'vitest'
import { TransferError } from '../errors.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { keepLease } from './keep-lease.ts'
import { itemGone, leaseLost } from './outbox-errors.ts'

/** A lease that answers as it is told, and the clock that it is kept by. */
class Kept {
  readonly clock = new FakeClock()
  readonly renewals: number[] = []
  readonly lost: unknown[] = []
  failure: Error | undefined
  readonly end: () => void
  readonly #startAt = this.clock.now()

  constructor() {
    const renew = (): Promise<void> => {
      this.renewals.push(this.clock.now() - this.#startAt)
      return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure)
    }
    this.end = keepLease({ renew }, this.clock, (error) => this.lost.push(error))
  }

  async advance(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 1000) {
      this.clock.advance(1000)
      await new Promise(setImmediate)
    }
  }
}

const BUSY = new TransferError('locked', 'Cannot keep', { detail: { errcode: 5 } })

test('keepLease() renews three times as often as it has to, until it is ended', async () => {
  const kept = new Kept()

  await kept.advance(65_000)
  kept.end()
  await kept.advance(65_000)

  expect(kept.renewals).toEqual([20_000, 40_000, 60_000])
  expect([kept.lost, kept.clock.pending]).toEqual([[], 0])
})

test.each([
  ['another sender has it', leaseLost('x')],
  ['it is gone', itemGone('x')],
])('keepLease() tells at once that %s', async (_, failure) => {
  const kept = new Kept()
  kept.failure = failure

  await kept.advance(120_000)

  expect(kept.renewals).toEqual([20_000])
  expect(kept.lost).toEqual([failure])
})

test.each([
  ['another process has the outbox', BUSY],
  ['its disk is full', new TransferError('no-space', 'Cannot keep', { detail: { errcode: 13 } })],
])('keepLease() tries again while %s, and goes on after that', async (_, failure) => {
  const kept = new Kept()
  await kept.advance(20_000)
  kept.failure = failure
  await kept.advance(35_000)
  kept.failure = undefined
  await kept.advance(30_000)

  expect(kept.renewals).toEqual([20_000, 40_000, 45_000, 50_000, 55_000, 60_000, 80_000])
  expect(kept.lost).toEqual([])
})

test('keepLease() tells when it could not be renewed until it was over', async () => {
  const kept = new Kept()
  kept.failure = BUSY

  await kept.advance(120_000)

  expect(kept.renewals).toEqual([20_000, 25_000, 30_000, 35_000, 40_000, 45_000, 50_000, 55_000])
  expect(kept.lost).toEqual([BUSY])
})

test('keepLease() tells nothing when it was ended meanwhile', async () => {
  const kept = new Kept()
  kept.failure = leaseLost('x')
  kept.clock.advance(20_000)
  kept.end()
  await kept.advance(60_000)

  expect(kept.lost).toEqual([])
})

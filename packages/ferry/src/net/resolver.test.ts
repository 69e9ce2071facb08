import { expect, test } from 'vitest'
import { FakeClock } from '../testing/fake-clock.ts'
import type { Address } from './happy-eyeballs.ts'
import { CachingResolver } from './resolver.ts'

const FIRST: Address = { address: '192.0.2.1', family: 4 }
const SECOND: Address = { address: '192.0.2.2', family: 4 }

/** A resolver whose look-ups a test answers by hand. */
class Fixture {
  readonly clock = new FakeClock()
  readonly asked: string[] = []
  readonly answers: PromiseWithResolvers<Address[]>[] = []
  readonly resolver = new CachingResolver({
    clock: this.clock,
    lookup: (host) => {
      const answer = Promise.withResolvers<Address[]>()
      this.asked.push(host)
      this.answers.push(answer)
      return answer.promise
    },
  })

  /** Resolves a name with an answer. */
  async resolve(host: string, answer: Address[]): Promise<readonly Address[]> {
    const resolving = this.resolver.resolve(host)
    this.answers.at(-1)?.resolve(answer)
    return resolving
  }
}

test('CachingResolver asks once for callers at the same time, and in any case', async () => {
  const fixture = new Fixture()

  const both = Promise.all([fixture.resolver.resolve('a.test'), fixture.resolver.resolve('A.Test')])
  fixture.answers[0]?.resolve([FIRST])

  expect(await both).toEqual([[FIRST], [FIRST]])
  expect(fixture.asked).toEqual(['a.test'])
})

test('CachingResolver remembers for 30 s', async () => {
  const fixture = new Fixture()
  await fixture.resolve('a.test', [FIRST])

  fixture.clock.advance(29_999)
  expect(await fixture.resolver.resolve('a.test')).toEqual([FIRST])
  fixture.clock.advance(1)
  expect(await fixture.resolve('a.test', [SECOND])).toEqual([SECOND])

  expect(fixture.asked).toHaveLength(2)
})

test('CachingResolver counts from the answer, not from the question', async () => {
  const fixture = new Fixture()
  const resolving = fixture.resolver.resolve('a.test')
  fixture.clock.advance(100_000)
  fixture.answers[0]?.resolve([FIRST])
  await resolving

  fixture.clock.advance(29_999)

  expect(await fixture.resolver.resolve('a.test')).toEqual([FIRST])
  expect(fixture.asked).toHaveLength(1)
})

test('CachingResolver remembers a failure for 1 s', async () => {
  const fixture = new Fixture()
  const failing = fixture.resolver.resolve('a.test')
  fixture.answers[0]?.reject(new Error('no'))
  await expect(failing).rejects.toThrow('no')

  fixture.clock.advance(999)
  await expect(fixture.resolver.resolve('a.test')).rejects.toThrow('no')
  fixture.clock.advance(1)

  expect(await fixture.resolve('a.test', [FIRST])).toEqual([FIRST])
  expect(fixture.asked).toHaveLength(2)
})

test('forget() makes the next look-up a new one, but does not split one under way', async () => {
  const fixture = new Fixture()
  await fixture.resolve('a.test', [FIRST])

  fixture.resolver.forget('A.test')
  const second = fixture.resolver.resolve('a.test')
  fixture.resolver.forget('a.test')
  const third = fixture.resolver.resolve('a.test')
  fixture.answers[1]?.resolve([SECOND])

  expect(await second).toEqual([SECOND])
  expect(await third).toEqual([SECOND])
  expect(fixture.asked).toHaveLength(2)
})

test('CachingResolver keeps 1,000 names and drops the oldest', async () => {
  const fixture = new Fixture()
  for (let index = 0; index <= 1_000; index++) await fixture.resolve(`${index}.test`, [FIRST])

  await fixture.resolver.resolve('1.test')
  expect(fixture.asked).toHaveLength(1_001)
  await fixture.resolve('0.test', [FIRST])

  expect(fixture.asked).toHaveLength(1_002)
})

test('CachingResolver asks the system by default', async () => {
  const addresses = await new CachingResolver().resolve('localhost')

  expect(addresses.map(({ address }) => address)).toSatisfy(
    (found: string[]) => found.includes('127.0.0.1') || found.includes('::1'),
  )
})

import { expect, test } from 'vitest'
import { CommitRounds } from './commit-rounds.ts'

/** Commits that end when the test says so. */
function createRounds(): {
  rounds: CommitRounds<string>
  begun: string[]
  ends: PromiseWithResolvers<void>[]
} {
  const begun: string[] = []
  const ends: PromiseWithResolvers<void>[] = []
  const rounds = new CommitRounds((item: string) => {
    begun.push(item)
    const end = Promise.withResolvers<void>()
    ends.push(end)
    return end.promise
  })
  return { rounds, begun, ends }
}

test('CommitRounds lets everybody who comes during a round join the next one', async () => {
  const { rounds, begun, ends } = createRounds()
  const first = rounds.join('a')
  const later = [rounds.join('a'), rounds.join('a')]
  expect(begun).toEqual(['a'])

  ends[0]?.resolve()
  await first
  await Promise.resolve()
  expect(begun).toEqual(['a', 'a'])
  ends[1]?.resolve()
  await Promise.all(later)

  expect(begun).toEqual(['a', 'a'])
})

test('CommitRounds tells a failure to those who had joined, and goes on', async () => {
  const { rounds, begun, ends } = createRounds()
  const first = rounds.join('a')
  const second = rounds.join('a')

  ends[0]?.reject(new Error('no'))
  await expect(first).rejects.toThrow('no')
  ends[1]?.resolve()
  await second

  expect(begun.length).toBe(2)
})

test('CommitRounds lets no item wait for another', () => {
  const { rounds, begun } = createRounds()

  void rounds.join('a')
  void rounds.join('b')

  expect(begun).toEqual(['a', 'b'])
})

test('CommitRounds.settled() waits for the round that waits, too, and tells no failure', async () => {
  const { rounds, ends } = createRounds()
  const outcomes = Promise.allSettled([rounds.join('a'), rounds.join('a')])
  let isSettled = false
  const settled = rounds.settled('a').then(() => {
    isSettled = true
  })

  ends[0]?.resolve()
  await new Promise(setImmediate)
  expect(isSettled).toBe(false)
  ends[1]?.reject(new Error('no'))
  await settled

  expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  await rounds.settled('a')
})

/**
 * kill -9 of a server under clients of all protocols at once, as the soak of receiving does it two
 * hundred times: every acknowledged byte is there, and no half-finished file under its final name.
 */
import { expect, test } from 'vitest'
import { emptyOutcome, playFolder } from '../../bench/soak-receive.ts'
import { KINDS } from '../../bench/soak-receive-upload.ts'

const ROUNDS = 8

test(`an upload server survives ${ROUNDS} kills`, { timeout: ROUNDS * 60_000 }, async () => {
  const outcome = emptyOutcome()
  const seed = Math.floor(Math.random() * 1e9)

  await playFolder({ seed, rounds: ROUNDS, nodeOptions: ['--conditions=ferry-source'] }, outcome)

  // The seed is told with each problem.
  expect(outcome.problems).toEqual([])
  const finished = outcome.uploads.filter(({ isDone }) => isDone)
  expect(new Set(finished.map(({ kind }) => kind))).toEqual(new Set(KINDS))
})

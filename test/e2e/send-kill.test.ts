/**
 * kill -9 of senders on one outbox, alone and together with the server, as the soak of sending does it
 * two hundred times for each protocol: what was added arrives once, whole, and nothing else is left.
 */
import { expect, test } from 'vitest'
import { LEGACY_MODES, playLegacy } from '../../bench/soak-send-legacy.ts'
import { emptySendOutcome, playOutbox } from '../../bench/soak-send-outbox.ts'
import { MODES } from '../../bench/soak-send-plan.ts'

const ROUNDS = process.env['FERRY_BIG'] === undefined ? 2 : 50
const TIMEOUT_MS = 120_000 + ROUNDS * 20_000

function drawPlay(): Omit<Parameters<typeof playOutbox>[0], 'mode'> {
  return {
    // Told with each problem.
    seed: Math.floor(Math.random() * 1e9),
    rounds: ROUNDS,
    mostBytes: 1_000_000,
  }
}

test.each(MODES)(
  '%s: what was added arrives once, whoever is killed',
  {
    timeout: TIMEOUT_MS,
  },
  async (mode) => {
    const outcome = emptySendOutcome()

    await playOutbox({ ...drawPlay(), mode }, outcome)

    expect(outcome.problems).toEqual([])
    expect(outcome.killed).toBeGreaterThan(0)
  },
)

test.each(LEGACY_MODES)(
  '%s: nothing is doubled where the server cannot be asked',
  {
    timeout: TIMEOUT_MS,
  },
  async (mode) => {
    const outcome = emptySendOutcome()

    await playLegacy({ ...drawPlay(), mode }, outcome)

    expect(outcome.problems).toEqual([])
    expect(outcome.killed).toBeGreaterThan(0)
  },
)

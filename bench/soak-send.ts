/**
 * Senders that are killed, alone and together with the server: `npm run soak -- --send [--rounds N |
 * --seconds S] [--seed S]`. A round is a life of one or two senders on one outbox, of each protocol; a
 * dozen of them meet the same outbox, which is then brought to its end. Whatever was added has to be at
 * the server once, whole, and nothing else may be left anywhere.
 */
import type { SendProblem } from './soak-send-checks.ts'
import { LEGACY_MODES, playLegacy } from './soak-send-legacy.ts'
import {
  emptySendOutcome,
  type OutboxPlay,
  playOutbox,
  type SendOutcome,
} from './soak-send-outbox.ts'
import { MODES } from './soak-send-plan.ts'
import { formatTable } from './statistics.ts'
import { progress } from './support.ts'

/** How long it goes on, and where it begins. */
export interface SendSoakOptions {
  /** Of each protocol. */
  readonly rounds: number
  readonly seconds: number
  /** Of the first outbox; each further one's is one more. */
  readonly seed: number
  /** No further round is begun. */
  readonly isStopping: () => boolean
}

export const DEFAULT_SEND_ROUNDS = 200
const ROUNDS_PER_OUTBOX = 12
const MOST_BYTES = 3_000_000

type Play = Omit<OutboxPlay, 'mode'>

const PLAYS: readonly {
  readonly mode: string
  readonly play: (play: Play, outcome: SendOutcome) => Promise<void>
}[] = [
  ...MODES.map((mode) => ({
    mode,
    play: (play: Play, outcome: SendOutcome) => playOutbox({ ...play, mode }, outcome),
  })),
  ...LEGACY_MODES.map((mode) => ({
    mode,
    play: (play: Play, outcome: SendOutcome) => playLegacy({ ...play, mode }, outcome),
  })),
]

/** Plays the rounds and prints the figures; whether nothing was wrong. */
export async function soakSending(options: SendSoakOptions): Promise<boolean> {
  const outcomes = PLAYS.map(({ mode, play }) => ({ mode, play, outcome: emptySendOutcome() }))
  const endsAt = performance.now() + options.seconds * 1000
  const isOver = (): boolean => options.isStopping() || performance.now() >= endsAt
  let seed = options.seed
  for (let done = 0; done < options.rounds && !isOver(); done += ROUNDS_PER_OUTBOX) {
    const rounds = Math.min(ROUNDS_PER_OUTBOX, options.rounds - done)
    for (const { play, outcome } of outcomes) {
      if (isOver()) break
      const before = outcome.problems.length
      await play({ seed: seed++, rounds, mostBytes: MOST_BYTES, isOver }, outcome)
      for (const problem of outcome.problems.slice(before)) progress(describe(problem))
    }
    progress(`${done + rounds} rounds of each`)
  }
  console.log(formatOutcomes(outcomes, options.seed))
  const problems = outcomes.flatMap(({ outcome }) => outcome.problems)
  for (const problem of problems) console.log(`FAIL ${describe(problem)}`)
  if (problems.length === 0) console.log('ok   everything arrived once and whole')
  return problems.length === 0
}

function describe({ where, type, text }: SendOutcome['problems'][number]): string {
  return `${where}: ${type}: ${text}`
}

function formatOutcomes(
  outcomes: readonly { readonly mode: string; readonly outcome: SendOutcome }[],
  seed: number,
): string {
  const count = (type: SendProblem['type']) => (outcome: SendOutcome) =>
    outcome.problems.filter((problem) => problem.type === type).length
  const row = (label: string, of: (outcome: SendOutcome) => number): string[] => [
    label,
    ...outcomes.map(({ outcome }) => String(of(outcome))),
  ]
  const rows = [
    row('rounds', ({ rounds }) => rounds),
    row('outboxes', ({ outboxes }) => outboxes),
    row('senders killed', ({ killed }) => killed),
    row('… while starting', ({ kills }) => kills.starting),
    row('… while adding', ({ kills }) => kills.adding),
    row('… while sending', ({ kills }) => kills.sending),
    row('… at the answer', ({ kills }) => kills['at the answer']),
    row('… in between', ({ kills }) => kills.nothing),
    row('servers killed', ({ serversKilled }) => serversKilled),
    row('items added', ({ added }) => added),
    row('items delivered', ({ delivered }) => delivered),
    row('… whose adding was cut off, whole', ({ unsaid }) => unsaid),
    row('in doubt, and there', ({ doubtsArrived }) => doubtsArrived),
    row('in doubt, and not there', ({ doubtsMissing }) => doubtsMissing),
    row('created, then forgotten (no bytes)', ({ created }) => created),
    row('lost', count('lost')),
    row('doubled', count('doubled')),
    row('wrong content', count('wrong')),
    row('left anywhere', count('left')),
    row('failed', count('failed')),
    row('stuck', count('stuck')),
  ]
  const columns = ['what', ...outcomes.map(({ mode }) => mode)]
  return formatTable(`Senders that are killed, from seed ${seed} on`, columns, rows)
}

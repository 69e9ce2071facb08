/**
 * Downloads that are killed again and again: `npm run soak -- --downloads [--rounds N | --seconds S]
 * [--seed S]`. A round with a problem is told with its seed; `--rounds 1 --seed S` repeats it.
 */
import { TempDir } from '../test/support/temp-dir.ts'
import { SoakNginx } from './soak-downloads-nginx.ts'
import { planRound } from './soak-downloads-plan.ts'
import { type Loss, playRound, type Problem, type RoundOutcome } from './soak-downloads-round.ts'
import { formatTable, median } from './statistics.ts'
import { progress } from './support.ts'

/** How long it goes on, and where it begins. */
export interface DownloadSoakOptions {
  readonly rounds: number
  readonly seconds: number
  /** Of the first round; each further one's is one more. */
  readonly seed: number
  /** No further round is begun. */
  readonly isStopping: () => boolean
}

export const DEFAULT_ROUNDS = 200
/** Rounds at once: they mostly wait for a server that is slow on purpose. */
const WORKERS = 3
/** What a kill may cost, in seconds of transfer. */
const MAX_LOSS_SECONDS = 1
const PROGRESS_ROUNDS = 20

/** Plays the rounds and prints the figures; whether nothing was wrong. */
export async function soakDownloads(options: DownloadSoakOptions): Promise<boolean> {
  await using nginx = await SoakNginx.start()
  await using folder = await TempDir.create()
  const outcomes: RoundOutcome[] = []
  const problems: string[] = []
  const endsAt = performance.now() + options.seconds * 1000
  let begun = 0
  const work = async (): Promise<void> => {
    while (begun < options.rounds && performance.now() < endsAt && !options.isStopping()) {
      const plan = planRound(options.seed + begun++)
      const outcome = await playRound(plan, { nginx, parent: folder.path })
      outcomes.push(outcome)
      problems.push(...describeProblems(plan.seed, outcome))
      if (outcomes.length % PROGRESS_ROUNDS === 0) progress(`${outcomes.length} rounds`)
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  console.log(formatOutcomes(outcomes, options.seed))
  for (const problem of problems) console.log(`FAIL ${problem}`)
  if (problems.length === 0) console.log('ok   every file was right, and nothing else was left')
  return problems.length === 0
}

function describeProblems(seed: number, { problems, losses }: RoundOutcome): string[] {
  const costly = losses.filter(
    ({ signal, seconds }) => signal === 'SIGKILL' && seconds > MAX_LOSS_SECONDS,
  )
  return [
    ...problems.map(({ type, text }) => `seed ${seed}: ${type}: ${text}`),
    ...costly.map(
      ({ run, bytes, seconds }) =>
        `seed ${seed}: the kill of run ${run} cost ${bytes} bytes, ${seconds.toFixed(2)} s of transfer`,
    ),
  ]
}

function formatOutcomes(outcomes: readonly RoundOutcome[], seed: number): string {
  const sum = (of: (outcome: RoundOutcome) => number): string =>
    String(outcomes.reduce((total, outcome) => total + of(outcome), 0))
  const count = (type: Problem['type']): string =>
    sum(({ problems }) => problems.filter((problem) => problem.type === type).length)
  const losses = outcomes.flatMap((outcome) => outcome.losses)
  const rows = [
    ['rounds', String(outcomes.length)],
    ['runs killed (SIGKILL)', sum(({ kills }) => kills)],
    ['runs interrupted (SIGINT)', sum(({ interrupts }) => interrupts)],
    ['changes of the server’s file', sum(({ changes }) => changes)],
    ['corrupt', count('corrupt')],
    ['stuck', count('stuck')],
    ['failed', count('failed')],
    ['with other files left', count('leftovers')],
    ...(['SIGKILL', 'SIGINT'] as const).map((signal) => [
      `sent again after ${signal}, in seconds of transfer: median / p95 / max`,
      formatLosses(losses.filter((loss) => loss.signal === signal)),
    ]),
  ]
  return formatTable(`Killed downloads, from seed ${seed} on`, ['what', 'figure'], rows)
}

function formatLosses(losses: readonly Loss[]): string {
  if (losses.length === 0) return 'none'
  const seconds = losses.map((loss) => loss.seconds).sort((one, other) => one - other)
  const p95 = seconds[Math.ceil(seconds.length * 0.95) - 1] as number
  const figures = [median(seconds), p95, seconds.at(-1) as number]
  return `${figures.map((figure) => figure.toFixed(2)).join(' / ')} (${losses.length} of them)`
}

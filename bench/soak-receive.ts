/**
 * Servers that are killed while they receive: `npm run soak -- --receive [--rounds N | --seconds S]
 * [--seed S]`. A round is one kill; a dozen of them meet the same folder, whose uploads are then
 * brought to their end. Everything that was acknowledged has to be there, in every round.
 */
import { TempDir } from '../test/support/temp-dir.ts'
import { between, createRandom, draw, type Random } from './soak-random.ts'
import { checkFiles, checkLeftovers } from './soak-receive-folder.ts'
import { type KillMoment, type LifePlan, live, type SoakProblem } from './soak-receive-life.ts'
import { KINDS, type SoakUpload } from './soak-receive-upload.ts'
import { formatTable } from './statistics.ts'
import { progress } from './support.ts'

/** How long it goes on, and where it begins. */
export interface ReceiveSoakOptions {
  readonly rounds: number
  readonly seconds: number
  /** Of the first folder; each further one's is one more. */
  readonly seed: number
  /** No further round is begun. */
  readonly isStopping: () => boolean
}

/** What has happened. */
export interface ReceiveSoakOutcome {
  readonly kills: Record<KillMoment['type'], number>
  /** Of kills, those that met a server before it listened. */
  early: number
  folders: number
  readonly uploads: SoakUpload[]
  readonly problems: string[]
}

export const DEFAULT_RECEIVE_ROUNDS = 200
const ROUNDS_PER_FOLDER = 12
const MAX_RECEIVING_MS = 700
const MAX_ACKNOWLEDGEMENTS = 40
/** About what a start takes. */
const MAX_STARTING_MS = 700
/** Less than half of what an unfinished upload is kept: a jump must not end it. */
const MAX_SKEW_MS = 3 * 86_400_000

/** Plays the rounds and prints the figures; whether nothing was wrong. */
export async function soakReceive(options: ReceiveSoakOptions): Promise<boolean> {
  const outcome = emptyOutcome()
  const endsAt = performance.now() + options.seconds * 1000
  const isOver = (): boolean => options.isStopping() || performance.now() >= endsAt
  for (let done = 0; done < options.rounds && !isOver(); done += ROUNDS_PER_FOLDER) {
    const rounds = Math.min(ROUNDS_PER_FOLDER, options.rounds - done)
    await playFolder({ seed: options.seed + outcome.folders, rounds, isOver }, outcome)
    progress(`${done + rounds} rounds`)
  }
  console.log(formatOutcome(outcome, options.seed))
  for (const problem of outcome.problems) console.log(`FAIL ${problem}`)
  if (outcome.problems.length === 0) console.log('ok   nothing that was acknowledged was lost')
  return outcome.problems.length === 0
}

export function emptyOutcome(): ReceiveSoakOutcome {
  return {
    kills: { starting: 0, receiving: 0, acknowledged: 0 },
    early: 0,
    folders: 0,
    uploads: [],
    problems: [],
  }
}

/** Kills servers on one folder, then brings its uploads to their end; adds to an outcome. */
export async function playFolder(
  plan: {
    readonly seed: number
    readonly rounds: number
    readonly isOver?: () => boolean
    readonly nodeOptions?: readonly string[]
  },
  outcome: ReceiveSoakOutcome,
): Promise<void> {
  const { seed, rounds, isOver = () => false, nodeOptions = [] } = plan
  await using dir = await TempDir.create()
  const random = createRandom(seed)
  const folder = dir.path
  const ack = draw(random, ['durable', 'durable', 'written'] as const)
  const hasJumps = random() < 0.5
  const uploads: SoakUpload[] = []
  const verified = new Set<string>()
  const problems: string[] = []
  const note = (round: string, found: readonly SoakProblem[]): void => {
    problems.push(...found.map(({ type, text }) => `seed ${seed}, ${round}: ${type}: ${text}`))
  }
  const run = async (round: string, kill: KillMoment | undefined): Promise<void> => {
    const skewMs = hasJumps ? Math.round(between(random, -MAX_SKEW_MS, MAX_SKEW_MS)) : 0
    const life: LifePlan = { folder, ack, skewMs, kill, nodeOptions }
    const { isEarly, problems: found } = await live(life, uploads, random)
    if (isEarly) outcome.early++
    note(round, found)
    note(round, await checkFiles(folder, uploads, verified))
  }
  for (let round = 1; round <= rounds && !isOver() && problems.length === 0; round++) {
    const kill = drawKill(random)
    outcome.kills[kill.type]++
    await run(`kill ${round}`, kill)
  }
  if (problems.length === 0) {
    await run('the end', undefined)
    note('the end', await checkFiles(folder, uploads, new Set()))
    note('afterwards', await checkLeftovers(folder))
    problems.push(
      ...uploads
        .filter(({ isDone }) => !isDone)
        .map(({ fileName }) => `seed ${seed}: ${fileName} was not finished`),
    )
  }
  outcome.folders++
  outcome.uploads.push(...uploads)
  outcome.problems.push(...problems)
}

function drawKill(random: Random): KillMoment {
  const kind = random()
  if (kind < 0.15) return { type: 'starting', ms: between(random, 0, MAX_STARTING_MS) }
  if (kind < 0.6) return { type: 'receiving', ms: between(random, 0, MAX_RECEIVING_MS) }
  return { type: 'acknowledged', count: 1 + Math.floor(random() * MAX_ACKNOWLEDGEMENTS) }
}

function formatOutcome(outcome: ReceiveSoakOutcome, seed: number): string {
  const { kills, early, folders, uploads, problems } = outcome
  const sum = (of: (upload: SoakUpload) => number): string =>
    String(uploads.reduce((total, upload) => total + of(upload), 0))
  const count = (type: SoakProblem['type']): string =>
    String(problems.filter((problem) => problem.includes(`: ${type}: `)).length)
  const rows = [
    ['kills (SIGKILL)', String(Object.values(kills).reduce((total, number) => total + number))],
    ['… at a random moment of a start', `${kills.starting} (${early} before it listened)`],
    ['… at a random moment of receiving', String(kills.receiving)],
    ['… in the moment of an acknowledgement', String(kills.acknowledged)],
    ['folders, each brought to its end', String(folders)],
    ...KINDS.map((kind) => {
      const own = uploads.filter((upload) => upload.kind === kind)
      return [
        `uploads, ${kind}`,
        `${own.length}, ${own.filter(({ isDone }) => isDone).length} finished`,
      ]
    }),
    ['acknowledgements', sum(({ acknowledgements }) => acknowledgements)],
    [
      'MB in finished files',
      (Number(sum(({ isDone, content }) => (isDone ? content.length : 0))) / 1e6).toFixed(0),
    ],
    ...(['lost', 'wrong file', 'half-finished', 'wrong answer', 'stuck', 'start'] as const).map(
      (type) => [LABELS[type], count(type)],
    ),
  ]
  return formatTable(
    `Servers killed while they receive, from seed ${seed} on`,
    ['what', 'figure'],
    rows,
  )
}

const LABELS: Readonly<Record<SoakProblem['type'], string>> = {
  lost: 'acknowledged and lost',
  'wrong file': 'wrong files',
  'half-finished': 'half-finished files under their final name',
  'wrong answer': 'wrong answers',
  stuck: 'requests without an answer',
  start: 'problems that a start has found',
}

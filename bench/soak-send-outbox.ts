/**
 * One outbox in the soak of sending, and the server that its items go to: round after round is ended
 * by kills, then a sender that is left alone brings everything to its end, and what has arrived is held
 * against what was added.
 */
import { mkdir } from 'node:fs/promises'
import { openSqliteOutbox, sendItem } from 'ferry/upload'
import { ReceiveChild } from '../test/support/receive-child.ts'
import { TempDir } from '../test/support/temp-dir.ts'
import { between, createRandom, type Random } from './soak-random.ts'
import {
  type AddedGroup,
  checkDelivery,
  checkOutbox,
  checkUnfinished,
  readReceived,
  type SendProblem,
} from './soak-send-checks.ts'
import {
  type Doing,
  doingsOf,
  type LifeEnd,
  readGroups,
  SenderLife,
  type Word,
} from './soak-send-life.ts'
import {
  type Mode,
  planRound,
  planSending,
  type RoundPlan,
  type SenderPlan,
} from './soak-send-plan.ts'

/** What is played on one outbox. */
export interface OutboxPlay {
  readonly mode: Mode
  readonly seed: number
  readonly rounds: number
  readonly mostBytes: number
  readonly isOver?: () => boolean
}

/** What has happened, on all outboxes of one mode. */
export interface SendOutcome {
  rounds: number
  outboxes: number
  /** Of senders, by what they were doing; one may have done several things at once. */
  readonly kills: Record<Doing, number>
  killed: number
  serversKilled: number
  added: number
  delivered: number
  /** Whose adding had not returned, that were there whole. */
  unsaid: number
  /** Of which the sender said that it could not know, by whether they had arrived. */
  doubtsArrived: number
  doubtsMissing: number
  /** Uploads without a byte, whose sender died before it knew of them. */
  created: number
  readonly problems: (SendProblem & { readonly where: string })[]
}

const OUTBOX = 'outbox.db'
const MOST_ITEMS = 1000
/** Often, so that kills meet uploads in between. */
const CHECKPOINT_MS = 20
/** Below the ports that systems give to connections by themselves. */
const FIRST_PORT = 12_000
const LAST_PORT = 30_000
const PORT_ATTEMPTS = 20

export function emptySendOutcome(): SendOutcome {
  return {
    rounds: 0,
    outboxes: 0,
    kills: { starting: 0, adding: 0, sending: 0, 'at the answer': 0, nothing: 0 },
    killed: 0,
    serversKilled: 0,
    added: 0,
    delivered: 0,
    unsaid: 0,
    doubtsArrived: 0,
    doubtsMissing: 0,
    created: 0,
    problems: [],
  }
}

/** Plays the rounds and the end; adds to an outcome. */
export async function playOutbox(play: OutboxPlay, outcome: SendOutcome): Promise<void> {
  await using dir = await TempDir.create()
  const folder = dir.join('received')
  const outboxFolder = dir.join('outbox')
  await Promise.all([folder, outboxFolder, dir.join('sources')].map((path) => mkdir(path)))
  await using table = new Table(play, { folder, outboxFolder, sourceFolder: dir.join('sources') })
  const before = outcome.problems.length
  const isOver = (): boolean => play.isOver?.() === true || outcome.problems.length > before
  for (let round = 1; round <= play.rounds && !isOver(); round++) {
    outcome.rounds++
    await table.playRound(round, outcome)
  }
  if (outcome.problems.length === before) await table.playEnd(outcome)
  outcome.outboxes++
}

/** Both ends of the uploads, from round to round. */
class Table implements AsyncDisposable {
  readonly #play: OutboxPlay
  readonly #random: Random
  readonly #hasJumps: boolean
  readonly #folder: string
  readonly #outboxFolder: string
  readonly #sourceFolder: string
  readonly #groups: AddedGroup[] = []
  readonly #verified = new Set<string>()
  #server: ReceiveChild | undefined
  #port: number | undefined
  #restarting: Promise<void> = Promise.resolve()

  constructor(
    play: OutboxPlay,
    folders: {
      readonly folder: string
      readonly outboxFolder: string
      readonly sourceFolder: string
    },
  ) {
    this.#play = play
    this.#random = createRandom(play.seed)
    this.#hasJumps = this.#random() < 0.5
    this.#folder = folders.folder
    this.#outboxFolder = folders.outboxFolder
    this.#sourceFolder = folders.sourceFolder
  }

  async playRound(number: number, outcome: SendOutcome): Promise<void> {
    const { mode } = this.#play
    const round = planRound(this.#random, { mode, hasJumps: this.#hasJumps })
    await this.#startServer(round)
    const lives = round.senders.map((sender, index) =>
      this.#startSender({
        ...sender,
        mark: `${number}.${index}`,
        mostItems: sender.adds ? MOST_ITEMS : 0,
      }),
    )
    if (round.server === 'dies-first') this.#restartServer(round, outcome)
    const ends = lives.map(async (life) => {
      const end = await life.end
      if (round.server === 'dies-with-them') {
        for (const other of lives) other.kill()
        await this.#killServer(outcome)
      }
      return end
    })
    for (const end of await Promise.all(ends)) this.#noteLife(end, number, outcome)
    await this.#restarting
    const { problems } = await readReceived(this.#folder, this.#verified)
    this.#noteProblems(`round ${number}`, problems, outcome)
  }

  /** Leaves a sender alone until the outbox is empty, and looks at everything. */
  async playEnd(outcome: SendOutcome): Promise<void> {
    // Ctrl-C may have ended the one of the last round.
    if (this.#play.isOver?.() === true) await this.#killServer(outcome)
    await this.#startServer({ serverSkewMs: 0, ack: 'durable' })
    const life = this.#startSender({
      seed: this.#play.seed,
      kill: undefined,
      files: 2,
      sending: planSending(this.#random, this.#play.mode),
      skewsMs: [0],
      mark: 'end',
      mostItems: 0,
    })
    const end = await life.end
    this.#noteLife(end, 'the end', outcome)
    await this.#settleDoubts(end.words, outcome)
    const failures = (await this.#server?.stop()) ?? []
    const { counts, problems } = await readReceived(this.#folder, new Set())
    const unfinished = await checkUnfinished(this.#folder)
    const outbox = await checkOutbox(this.#outboxFolder, OUTBOX)
    this.#noteProblems(
      'the end',
      [
        ...failures.map((text) => ({ type: 'failed' as const, text: `the server: ${text}` })),
        ...problems,
        ...checkDelivery(this.#groups, counts),
        ...unfinished.problems,
        ...outbox,
      ],
      outcome,
    )
    outcome.created += unfinished.created
    for (const { names, isAdded } of this.#groups) {
      const arrived = names.filter((name) => counts.has(name)).length
      outcome.added += isAdded ? names.length : 0
      outcome.delivered += arrived
      outcome.unsaid += isAdded ? 0 : arrived
    }
  }

  // ── The server

  async #startServer({
    serverSkewMs: skewMs,
    ack,
  }: Pick<RoundPlan, 'serverSkewMs' | 'ack'>): Promise<void> {
    if (this.#server !== undefined) return
    const options = { ack, skewMs, checkpointMs: CHECKPOINT_MS }
    for (let attempt = 1; this.#server === undefined; attempt++) {
      // Saved URLs stay right when it comes back where it was.
      const port = this.#port ?? Math.floor(between(this.#random, FIRST_PORT, LAST_PORT))
      try {
        this.#server = await ReceiveChild.start(this.#folder, { ...options, port })
        this.#port = port
      } catch (error) {
        if (attempt === PORT_ATTEMPTS || this.#port !== undefined) throw error
      }
    }
  }

  async #killServer(outcome: SendOutcome): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    outcome.serversKilled++
    await server[Symbol.asyncDispose]()
  }

  #restartServer(round: RoundPlan, outcome: SendOutcome): void {
    this.#restarting = (async () => {
      await new Promise((resolve) => setTimeout(resolve, round.serverDiesAfterMs))
      await this.#killServer(outcome)
      await this.#startServer(round)
    })()
    // The round waits for it, later.
    this.#restarting.catch(() => {})
  }

  // ── Senders

  #startSender(
    life: Omit<SenderPlan, 'url' | 'outboxPath' | 'sourceFolder' | 'mostBytes'>,
  ): SenderLife {
    const plan: SenderPlan = {
      ...life,
      url: this.#url,
      outboxPath: `${this.#outboxFolder}/${OUTBOX}`,
      sourceFolder: this.#sourceFolder,
      mostBytes: this.#play.mostBytes,
    }
    return new SenderLife(plan, this.#folder)
  }

  get #url(): string {
    const path = this.#play.mode === 'indexedcp' ? 'upload' : 'files'
    return `http://127.0.0.1:${this.#port}/${path}`
  }

  #noteLife(end: LifeEnd, round: number | 'the end', outcome: SendOutcome): void {
    const { words, wasKilled, isStuck, stderr } = end
    this.#groups.push(...readGroups(words))
    const problems: SendProblem[] = []
    if (isStuck) {
      problems.push({ type: 'stuck', text: `the last words: ${formatWords(words.slice(-5))}` })
    } else if (round === 'the end' && words.at(-1)?.step !== 'ended') {
      problems.push({ type: 'failed', text: `the sender ended: ${stderr}` })
    } else if (round !== 'the end' && !wasKilled && words.at(-1)?.step !== 'ended') {
      problems.push({ type: 'failed', text: `the sender ended by itself: ${stderr}` })
    }
    const failed = words.find(({ step }) => step === 'failed')
    if (failed !== undefined) problems.push({ type: 'failed', text: formatWords([failed]) })
    this.#noteProblems(`${round}`, problems, outcome)
    if (!wasKilled) return
    outcome.killed++
    for (const doing of doingsOf(words)) outcome.kills[doing]++
  }

  /** What a user does who is told of doubt: looks whether it is there, and decides. */
  async #settleDoubts(words: readonly Word[], outcome: SendOutcome): Promise<void> {
    const doubted = words.flatMap(({ step, rest }) => (step === 'doubt' ? rest : []))
    if (doubted.length === 0) return
    const { counts } = await readReceived(this.#folder, this.#verified)
    await using outbox = await openSqliteOutbox({ path: `${this.#outboxFolder}/${OUTBOX}` })
    for (const { id, name } of await outbox.list()) {
      if (counts.has(name.slice(name.lastIndexOf('/') + 1))) {
        outcome.doubtsArrived++
        await outbox.remove(id)
        continue
      }
      outcome.doubtsMissing++
      await using lease = await outbox.lease(id)
      if (lease === undefined) continue
      const { protocol } = planSending(this.#random, this.#play.mode)
      await sendItem(lease, this.#url, { protocol, onDoubt: 'resend' })
    }
  }

  #noteProblems(where: string, found: readonly SendProblem[], outcome: SendOutcome): void {
    const { mode, seed } = this.#play
    for (const problem of found) {
      outcome.problems.push({ ...problem, where: `${mode}, seed ${seed}, ${where}` })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#restarting
    await this.#server?.[Symbol.asyncDispose]()
  }
}

function formatWords(words: readonly Word[]): string {
  return words.map(({ step, rest }) => [step, ...rest].join(' ')).join(' | ')
}

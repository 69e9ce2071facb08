/**
 * The soak of sending against servers of IndexedCP that append what comes and cannot be asked for it.
 * A sender that dies with a chunk on its way leaves doubt, of which the next has to tell instead of
 * sending on: whatever happens, what the server has is the beginning of what was sent, and never more.
 */
import { mkdir } from 'node:fs/promises'
import { openSqliteOutbox } from 'ferry/upload'
import { OldServer } from '../test/support/indexedcp-servers.ts'
import { TempDir } from '../test/support/temp-dir.ts'
import { createRandom, type Random } from './soak-random.ts'
import type { SendProblem } from './soak-send-checks.ts'
import { itemOf, piecesOf } from './soak-send-items.ts'
import { doingsOf, readGroups, SenderLife, type Word } from './soak-send-life.ts'
import type { OutboxPlay, SendOutcome } from './soak-send-outbox.ts'
import { type Moment, planRound, planSending, type SenderPlan } from './soak-send-plan.ts'

/** Servers that only append, and those that also tell which chunks they have. */
export const LEGACY_MODES = ['indexedcp-node', 'indexedcp-python'] as const
export type LegacyMode = (typeof LEGACY_MODES)[number]

/** How often an answer gets lost without anybody being killed. */
const LOSING = 0.3
const MOST_ITEMS = 1000

/** Plays the rounds and the end; adds to an outcome. */
export async function playLegacy(
  play: Omit<OutboxPlay, 'mode'> & { readonly mode: LegacyMode },
  outcome: SendOutcome,
): Promise<void> {
  const { mode, seed, rounds, mostBytes, isOver = () => false } = play
  await using dir = await TempDir.create()
  await mkdir(dir.join('sources'))
  await using server = await (mode === 'indexedcp-node'
    ? OldServer.openNode1()
    : OldServer.openPython())
  const random = createRandom(seed)
  const hasJumps = random() < 0.5
  const words: Word[] = []
  const problems: SendProblem[] = []
  const start = (life: LifeOf): SenderLife => {
    const plan: SenderPlan = {
      ...life,
      url: server.url,
      headers: { Authorization: `Bearer ${server.key}` },
      outboxPath: dir.join('outbox.db'),
      sourceFolder: dir.join('sources'),
      mostBytes,
    }
    return new SenderLife(plan, dir.path)
  }
  for (let round = 1; round <= rounds && !isOver() && problems.length === 0; round++) {
    outcome.rounds++
    if (random() < LOSING) server.lostAnswers++
    const { senders } = planRound(random, { mode: 'indexedcp', hasJumps })
    const lives = senders.map((sender, index) =>
      start({
        ...sender,
        kill: toOwnMoment(sender.kill),
        mark: `${round}.${index}`,
        mostItems: sender.adds ? MOST_ITEMS : 0,
        sending: drawSending(random),
      }),
    )
    for (const end of await Promise.all(lives.map((life) => life.end))) {
      words.push(...end.words)
      outcome.killed++
      for (const doing of doingsOf(end.words)) outcome.kills[doing]++
    }
    problems.push(...checkBeginnings(server))
  }
  const sending = drawSending(random)
  const last = { seed, kill: undefined, files: 2, skewsMs: [0], mark: 'end', mostItems: 0, sending }
  const end = await start(last).end
  words.push(...end.words)
  if (end.words.at(-1)?.step !== 'ended') problems.push({ type: 'stuck', text: end.stderr })
  problems.push(...checkBeginnings(server), ...(await checkEnd({ server, words, dir }, outcome)))
  for (const problem of problems) {
    outcome.problems.push({ ...problem, where: `${mode}, seed ${seed}` })
  }
  outcome.outboxes++
}

type LifeOf = Omit<SenderPlan, 'url' | 'headers' | 'outboxPath' | 'sourceFolder' | 'mostBytes'>

/** Chunks of one size for good: such a server knows them by their numbers. */
function drawSending(random: Random): SenderPlan['sending'] {
  return { ...planSending(random, 'indexedcp'), chunkBytes: 100_000 }
}

/** Such a server has no moment at which a file is finished: the sender knows of it alone. */
function toOwnMoment(moment: Moment): Moment {
  return moment.type === 'file' ? { ...moment, type: 'step', step: 'answered' } : moment
}

/** Nothing may be there twice, nor anything that was not sent. */
function checkBeginnings(server: OldServer): SendProblem[] {
  const problems: SendProblem[] = []
  for (const name of server.files.keys()) {
    const content = server.content(name)
    const item = itemOf(name)
    const expected = item === undefined ? Buffer.alloc(0) : Buffer.concat([...piecesOf(item)])
    if (expected.subarray(0, content.length).equals(content)) continue
    const isMore = content.length > expected.length
    const text = `${name}: ${content.length} bytes of ${expected.length} are not its beginning`
    problems.push({ type: isMore ? 'doubled' : 'wrong', text })
  }
  return problems
}

/** What was added has arrived whole, or is in the outbox as a thing of which somebody was told. */
async function checkEnd(
  {
    server,
    words,
    dir,
  }: { readonly server: OldServer; readonly words: readonly Word[]; readonly dir: TempDir },
  outcome: SendOutcome,
): Promise<SendProblem[]> {
  const problems: SendProblem[] = []
  await using outbox = await openSqliteOutbox({ path: dir.join('outbox.db') })
  const left = (await outbox.list()).map(({ name }) => name.slice(name.lastIndexOf('/') + 1))
  const doubted = new Set(words.flatMap(({ step, rest }) => (step === 'doubt' ? rest : [])))
  for (const { names, isAdded } of readGroups(words)) {
    outcome.added += isAdded ? names.length : 0
    for (const name of names) {
      const isWhole = server.content(name).length === itemOf(name)?.size
      if (left.includes(name)) {
        if (!doubted.has(name)) problems.push({ type: 'left', text: `${name} was not sent` })
        if (isWhole) outcome.doubtsArrived++
        else outcome.doubtsMissing++
      } else if (server.files.has(name) && isWhole) {
        outcome.delivered++
        outcome.unsaid += isAdded ? 0 : 1
      } else if (isAdded || server.files.has(name)) {
        problems.push({ type: 'lost', text: `${name} is neither there nor in the outbox` })
      }
    }
  }
  const failed = words.find(({ step }) => step === 'failed')
  if (failed !== undefined) problems.push({ type: 'failed', text: failed.rest.join(' ') })
  return problems
}

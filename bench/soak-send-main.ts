/**
 * A sender in the soak of sending: `soak-send-main.ts PLAN`, the plan as JSON. It adds items to an
 * outbox and sends what is in there, whoever has added it, both at once. Without anything to add it
 * ends when nothing is left but what is in doubt.
 *
 * It says each step when it has come to it, a line each, so that its end can be told from its words.
 */
import './soak-send-clock.ts'
import { mkdirSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isFerryError } from 'ferry/errors'
import {
  addContent,
  addFile,
  addFolder,
  type NewItem,
  openSqliteOutbox,
  type OutboxLease,
  sendItem,
} from 'ferry/upload'
import { between, createRandom, draw } from './soak-random.ts'
import { drawSize, nameOf, piecesOf, type SoakItem } from './soak-send-items.ts'
import type { SenderPlan, Step } from './soak-send-plan.ts'

const MAX_HELD = 6
const LOOK_MS = 15

const plan = JSON.parse(process.argv[2] ?? '{}') as SenderPlan
const random = createRandom(plan.seed)
const outbox = await openSqliteOutbox({ path: plan.outboxPath })
/** Ids of what this life has, or will not send any more. */
const taken = new Set<string>()
let drawn = 0
let said = 0
let isAdding = true
say('ready')
await Promise.all([addItems(), ...Array.from({ length: plan.files }, sendItems)])
await outbox.close()
say('ended')

// ── Adding

async function addItems(): Promise<void> {
  while (drawn < plan.mostItems) {
    await pause(between(random, 0, LOOK_MS))
    if ((await outbox.list()).length < MAX_HELD) await addSome()
  }
  isAdding = false
}

/** One item or several, in each of the ways that there are. */
async function addSome(): Promise<void> {
  const way = draw(random, ['content', 'file', 'reference', 'group', 'folder', 'folder-reference'])
  const count = way.startsWith('folder') || way === 'group' ? 2 + Math.floor(random() * 3) : 1
  const items = Array.from({ length: count }, drawItem)
  const [first] = items as [SoakItem, ...SoakItem[]]
  const folder = join(plan.sourceFolder, first.mark)
  const mode = way.endsWith('reference') ? 'reference' : 'stored'
  const options = { mode, partBytes: Math.ceil(between(random, 50_000, 1_048_576)) } as const
  if (way !== 'content' && way !== 'group') writeFiles(folder, items)
  say('adding', ...items.map(nameOf))
  if (way === 'content') await addContent(outbox, nameOf(first), slowPiecesOf(first), options)
  else if (way === 'group') await outbox.add(items.map((item) => newItem(item, options.partBytes)))
  else if (count === 1) {
    const name = `./some/folder/${nameOf(first)}`
    await addFile(outbox, join(folder, nameOf(first)), { name, digest: random() < 0.5, ...options })
  } else await addFolder(outbox, folder, { name: 'folder', ...options })
  say('added', ...items.map(nameOf))
}

function drawItem(): SoakItem {
  const mark = `${plan.mark}.${++drawn}`
  return { seed: Math.floor(random() * 1e9), size: drawSize(random, plan.mostBytes), mark }
}

function newItem(item: SoakItem, partBytes: number): NewItem {
  return {
    name: nameOf(item),
    content: { mode: 'stored', pieces: slowPiecesOf(item), partBytes },
  }
}

/** With pauses, so that kills meet it in between. */
async function* slowPiecesOf(item: SoakItem): AsyncGenerator<Buffer> {
  for (const piece of piecesOf(item, 200_000)) {
    yield piece
    await pause()
  }
}

function writeFiles(folder: string, items: readonly SoakItem[]): void {
  mkdirSync(folder, { recursive: true })
  for (const item of items)
    writeFileSync(join(folder, nameOf(item)), Buffer.concat([...piecesOf(item)]))
}

// ── Sending

async function sendItems(): Promise<void> {
  for (;;) {
    const lease = await takeOne()
    if (lease !== undefined) await send(lease)
    else if (isAdding || (await outbox.list()).some(({ id }) => !taken.has(id)))
      await pause(LOOK_MS)
    else return
  }
}

async function takeOne(): Promise<OutboxLease | undefined> {
  for (const { id } of await outbox.list()) {
    if (taken.has(id)) continue
    taken.add(id)
    const lease = await outbox.lease(id)
    if (lease !== undefined) return lease
    taken.delete(id)
  }
  return undefined
}

async function send(lease: OutboxLease): Promise<void> {
  const { id } = lease.item
  const name = baseOf(lease)
  say('sending', name)
  try {
    await sendItem(announce(lease), plan.url, {
      ...plan.sending,
      headers: plan.headers,
      offline: 'wait',
      retryDelayMs: 20,
      maxRetryDelayMs: 200,
    })
    say('done', name)
  } catch (error) {
    if (isFerryError(error, 'delivery-in-doubt')) say('doubt', name)
    else {
      say('failed', name, String(error).replaceAll('\n', ' '))
      taken.delete(id)
      await pause(LOOK_MS)
    }
  } finally {
    await lease.release()
  }
}

/** The same lease, which says what happens to it. */
function announce(lease: OutboxLease): OutboxLease {
  const name = baseOf(lease)
  return {
    get item() {
      return lease.item
    },
    renew: () => lease.renew(),
    readPart: (index) => lease.readPart(index),
    dropParts: (offset) => lease.dropParts(offset),
    setNote: async (note) => {
      say('noting', name)
      await lease.setNote(note)
      say('noted', name)
    },
    done: () => {
      say('answered', name)
      return lease.done()
    },
    release: () => lease.release(),
    [Symbol.asyncDispose]: () => lease.release(),
  }
}

function baseOf({ item }: OutboxLease): string {
  return item.name.slice(item.name.lastIndexOf('/') + 1)
}

// ── Saying

function say(step: Step, ...words: readonly string[]): void {
  writeSync(1, `${[step, ...words].join(' ')}\n`)
  const { kill } = plan
  if (kill?.type !== 'step' || kill.step !== step) return
  said++
  if (said !== kill.count) return
  if (kill.afterMs === 0) process.kill(process.pid, 'SIGKILL')
  else setTimeout(() => process.kill(process.pid, 'SIGKILL'), kill.afterMs)
}

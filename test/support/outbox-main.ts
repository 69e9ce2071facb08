/**
 * A process that uses the outbox in the file named by its first argument, as its second says:
 *
 *     add          adds items for ever, several at a time, each `SEED-SIZE` by name
 *     add-some N   adds N items and ends
 *     add-large    adds one whose content is in a file
 *     send N       sends, which is to say checks and takes out, until N items in all are gone
 *     hold         leases the first item and stays
 *     fill         adds what there is no room for
 *
 * It says what has happened, a line each, once it has: `added NAME…`, `sent NAME`, `held ID`.
 */
import { createHash, randomInt, randomUUID } from 'node:crypto'
import { readdirSync, readlinkSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { NewItem, OutboxItem } from '../../packages/ferry/src/upload/outbox.ts'
import { openSqliteOutbox } from '../../packages/ferry/src/upload/sqlite-outbox.ts'
import { seededContent } from './receive-content.ts'

const MIB = 1_048_576
const MAX_SIZE = 3 * MIB
const PIECE_BYTES = 100_000
const PART_BYTES = 300_000

const [path = '', task, count] = process.argv.slice(2)
const outbox = await openSqliteOutbox({ path })
if (task === 'add') for (;;) await addSome(randomInt(1, 4))
else if (task === 'add-some') for (let at = 0; at < Number(count); at++) await addSome(1)
else if (task === 'add-large') await addLarge()
else if (task === 'send') await sendAll()
else if (task === 'hold') await hold()
else await fill()
await outbox.close()

async function addSome(items: number): Promise<void> {
  const added = await outbox.add(Array.from({ length: items }, () => newItem()))
  say(`added ${added.map(({ name }) => name).join(' ')}`)
}

async function addLarge(): Promise<void> {
  const content = { mode: 'stored', pieces: contentOf(0, MAX_SIZE), partBytes: PART_BYTES } as const
  const name = `0-${MAX_SIZE}`
  await outbox.add([{ name, content }])
  say(`added ${name}`)
}

function newItem(): NewItem {
  const seed = randomInt(1_000_000)
  // Small ones as well as those of several parts, and none at all.
  const size = randomInt(3) === 0 ? randomInt(10) : randomInt(MAX_SIZE)
  return {
    name: `${seed}-${size}-${randomUUID()}`,
    content: { mode: 'stored', pieces: contentOf(seed, size), partBytes: PART_BYTES },
  }
}

async function* contentOf(seed: number, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < size; start += PIECE_BYTES) {
    yield seededContent(seed, start, Math.min(size, start + PIECE_BYTES))
    await pause()
  }
}

async function sendAll(): Promise<void> {
  for (let sent = 0; sent < Number(count);) {
    for (const { id } of await outbox.list()) if (await send(id)) sent++
    await pause(5)
  }
}

async function send(id: string): Promise<boolean> {
  await using lease = await outbox.lease(id)
  if (lease === undefined) return false
  const { name, size, content } = lease.item
  const hash = createHash('sha256')
  for (let at = 0; at * PART_BYTES < size; at++) hash.update((await lease.readPart(at)).bytes)
  const [seed, length] = name.split('-').map(Number)
  const expected = createHash('sha256').update(seededContent(seed ?? 0, 0, length ?? 0))
  const digest = hash.digest('hex')
  if (digest !== expected.digest('hex')) throw new Error(`${name} is not what was added`)
  if (content.mode !== 'stored' || content.sha256 !== digest)
    throw new Error(`${name} has a wrong digest`)
  await lease.done()
  say(`sent ${name}`)
  return true
}

async function hold(): Promise<void> {
  const [item] = await outbox.list()
  const lease = await outbox.lease((item as OutboxItem).id)
  say(`held ${lease?.item.id}`)
  await pause(60_000)
}

/** Adds a little, then more than there is room for, then a little again; says how each ended. */
async function fill(): Promise<void> {
  const small = {
    name: 'small',
    content: { mode: 'stored', pieces: [Buffer.alloc(1000)] },
  } as const
  const chunk = Buffer.alloc(MIB, 'x')
  function* endless(): Generator<Uint8Array> {
    for (;;) yield chunk
  }
  await outbox.add([small])
  const huge = { name: 'huge', content: { mode: 'stored', pieces: endless() } } as const
  await outbox.add([huge]).catch((error: { code?: string; message: string }) => {
    say(`failed ${error.code} ${error.message}`)
  })
  say(`left ${(await outbox.list()).map(({ name }) => name).join(' ')}, ${countOpen()} open`)
  const deadline = performance.now() + 60_000
  let added = 0
  while (added === 0 && performance.now() < deadline) {
    added = await outbox.add([{ ...small, name: 'after' }]).then(
      (items) => items.length,
      () => 0,
    )
    await pause(10)
  }
  say(`left ${(await outbox.list()).map(({ name }) => name).join(' ')}`)
}

/** How many files with content this process has open. */
function countOpen(): number {
  const fds = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // That with which they were listed.
      return ''
    }
  })
  return fds.filter((path) => path.includes('-content/')).length
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

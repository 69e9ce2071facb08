/** Several processes at one outbox, and their sudden deaths. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { contentFolderOf } from '../../../../test/support/outbox-content.ts'
import { seededContent } from '../../../../test/support/receive-content.ts'
import { type SystemCall, traceCalls } from '../../../../test/support/system-calls.ts'
import { digestOf, TempDir } from '../../../../test/support/temp-dir.ts'
import type { Outbox } from './outbox.ts'
import { openSqliteOutbox } from './sqlite-outbox.ts'

const MAIN = fileURLToPath(new URL('../../../../test/support/outbox-main.ts', import.meta.url))
const IS_BIG = process.env['FERRY_BIG'] !== undefined
const ROUNDS = IS_BIG ? 500 : 21
const MAX_LIFE_MS = 60
const LOG = /outbox\.db-wal>/

test(
  'kill -9 while adding: an item is there whole or not at all, and nothing is left of it',
  { timeout: IS_BIG ? 3_600_000 : 180_000 },
  async () => {
    await using folder = await TempDir.create()
    const path = folder.join('outbox.db')
    const added = new Set<string>()
    let halves = 0

    for (let round = 0; round < ROUNDS; round++) {
      await using child = new Child(path, 'add')
      await child.line()
      await pause(randomInt(MAX_LIFE_MS))
      await child.kill()
      for (const line of child.lines) {
        for (const name of line.split(' ').slice(1)) added.add(name)
      }
      halves += countRows(path, "outbox_items WHERE state = 'adding'")
      // In the other rounds the next process finds what this one has left.
      if (round % 3 === 2) await checkAndClear(path, added)
    }

    // Some were killed in the middle, or the test has shown nothing.
    expect(halves).toBeGreaterThan(0)
    expect(added.size).toBe(0)
  },
)

test('several processes add and send at a time: each item is sent once', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const count = IS_BIG ? 200 : 10
  await (await openSqliteOutbox({ path })).close()

  const adders = [1, 2].map(() => new Child(path, 'add-some', count))
  const senders = [1, 2].map(() => new Child(path, 'send', count))
  const children = [...adders, ...senders]
  const ended = await Promise.all(adders.map((child) => child.ended()))
  const names = (child: Child): string[] => child.lines.map((line) => line.split(' ')[1] ?? '')
  const added = adders.flatMap(names)
  const sent = (): string[] => senders.flatMap(names)
  await expect.poll(() => sent().length, { timeout: 120_000 }).toBe(2 * count)
  // Who has fewer than it looks for stays.
  for (const child of children) await child[Symbol.asyncDispose]()

  expect(ended).toEqual([0, 0])
  expect(new Set(sent())).toEqual(new Set(added))
  expect(added.length).toBe(2 * count)
  await using outbox = await openSqliteOutbox({ path })
  expect(await outbox.list()).toEqual([])
}, 180_000)

test.runIf(process.platform === 'linux')(
  'the item of a sender that was killed is free at once',
  async () => {
    await using folder = await TempDir.create()
    const path = folder.join('outbox.db')
    await using outbox = await openSqliteOutbox({ path })
    const [item] = await outbox.add([
      { name: 'a', content: { mode: 'stored', pieces: [Buffer.from('a')] } },
    ])
    await using child = new Child(path, 'hold')
    expect(await child.line()).toBe(`held ${item?.id}`)
    expect(await outbox.lease(item?.id ?? '')).toBeUndefined()

    await child.kill()

    expect((await outbox.list())[0]?.leasedUntil).toBeUndefined()
    expect(await outbox.lease(item?.id ?? '')).toBeDefined()
  },
  60_000,
)

test('what is added, and what is done, is on the disk before it is said', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const run = (task: string): Promise<SystemCall[]> =>
    traceCalls([process.execPath, MAIN, path, task, '1'])

  const adding = beforeSaying('added', await run('add-some'))
  const written = adding.findLast(({ name }) => name === 'pwrite64')
  expect(syncs(adding).some(({ begin }) => begin > (written?.end ?? Number.NaN))).toBe(true)

  const large = await run('add-large')
  const folderPath = String.raw`outbox\.db-content/[0-9a-f]{16}`
  const paths = [new RegExp(`${folderPath}>`), new RegExp(`${folderPath}/`), LOG]
  const [folderCalls, contentCalls, logCalls] = paths.map((file) =>
    beforeSaying('added', large, file),
  )
  const lastContent = contentCalls?.findLast(({ name }) => name === 'pwrite64')
  const contentSync = syncs(contentCalls ?? []).find(({ begin }) => begin > lastContent!.end)
  const folderSync = syncs(folderCalls ?? []).find(({ begin }) => begin > contentSync!.begin)
  const log = logCalls?.find(({ name, begin }) => name === 'pwrite64' && begin > folderSync!.end)
  expect(syncs(logCalls ?? []).some(({ begin }) => begin > log!.end)).toBe(true)

  // Clearing up may write again at once. The log's head is synced by itself, its frames only for this.
  const sending = beforeSaying('sent', await run('send'))
  const [, frame] = sending.filter(({ name }) => name === 'pwrite64')
  expect(syncs(sending).some(({ begin }) => begin > (frame?.end ?? Number.NaN))).toBe(true)
}, 60_000)

test.runIf(canMount())(
  'a full disk ends the adding and nothing else',
  async () => {
    await using folder = await TempDir.create()
    const script = 'mount -t tmpfs -o size=160m none "$0" && exec "$@"'
    const command = [process.execPath, MAIN, folder.join('outbox.db'), 'fill']

    const said = execFileSync('unshare', ['-rm', 'sh', '-c', script, folder.path, ...command])

    expect(said.toString().trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^failed no-space Cannot add to the outbox .*: the disk is full/),
      'left small, 0 open',
      'left small after',
    ])
  },
  120_000,
)

/** Holds an outbox against what was said of it, and empties it. */
async function checkAndClear(path: string, added: Set<string>): Promise<void> {
  await using outbox = await openSqliteOutbox({ path })
  for (const { id, name, size, content } of await outbox.list()) {
    const [seed = 0, length = 0] = name.split('-').map(Number)
    const expected = seededContent(seed, 0, length)
    expect(size).toBe(length)
    expect(content).toMatchObject({ sha256: digestOf(expected) })
    expect((await readAll(outbox, id, size)).equals(expected)).toBe(true)
    // The last line may not have been said.
    added.delete(name)
  }
  for (const { id } of await outbox.list()) expect(await outbox.remove(id)).toBe(true)
  expect([...added]).toEqual([])
  await expect.poll(() => countRows(path, 'outbox_parts'), { timeout: 30_000 }).toBe(0)
  await expect.poll(() => countRows(path, 'outbox_items'), { timeout: 30_000 }).toBe(0)
  expect(countRows(path, 'outbox_holders')).toBe(0)
  const content = await contentFolderOf(path)
  await expect.poll(() => readdir(content), { timeout: 30_000 }).toEqual([])
  using database = new DatabaseSync(path)
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
}

async function readAll(outbox: Outbox, id: string, size: number): Promise<Buffer> {
  await using lease = await outbox.lease(id)
  const parts: Uint8Array[] = []
  for (let bytes = 0; bytes < size;) {
    const part = await lease?.readPart(parts.length)
    if (part === undefined) throw new Error(`Item ${id} is leased`)
    parts.push(part.bytes)
    bytes += part.bytes.length
  }
  return Buffer.concat(parts)
}

function countRows(path: string, from: string): number {
  using database = new DatabaseSync(path, { timeout: 10_000 })
  return database.prepare(`SELECT count(*) AS n FROM ${from}`).get()?.['n'] as number
}

/** The calls on the log, or on another file, that were over before a line was said. */
function beforeSaying(line: string, calls: readonly SystemCall[], file = LOG): SystemCall[] {
  const said = calls.find(({ name, args }) => name === 'write' && args.includes(`"${line} `))
  const begin = said?.begin ?? Number.NaN
  return calls.filter(({ args, end }) => file.test(args) && end < begin)
}

function syncs(calls: readonly SystemCall[]): SystemCall[] {
  return calls.filter(({ name }) => name === 'fdatasync' || name === 'fsync')
}

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs none /tmp'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A process of `outbox-main.ts`. */
class Child implements AsyncDisposable {
  readonly lines: string[] = []
  readonly #process: ChildProcess
  readonly #read: Promise<unknown>
  readonly #first = Promise.withResolvers<string>()

  constructor(...args: readonly (string | number)[]) {
    this.#process = spawn(process.execPath, [MAIN, ...args.map(String)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const reader = createInterface({ input: this.#process.stdout! })
    reader.on('line', (line) => {
      this.lines.push(line)
      this.#first.resolve(line)
    })
    this.#read = once(reader, 'close')
  }

  /** The first thing it says. */
  line(): Promise<string> {
    return this.#first.promise
  }

  /** The code with which it ends, once all that it said is read. */
  async ended(): Promise<number | null> {
    const { exitCode, signalCode } = this.#process
    if (exitCode === null && signalCode === null) await once(this.#process, 'exit')
    await this.#read
    return this.#process.exitCode
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.ended()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}

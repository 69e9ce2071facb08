/**
 * What the system is asked for, in which order: data reach the disk before the journal tells of them,
 * the journal before the acknowledgement, and a file gets its name only when all of it is there.
 */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type SystemCall, traceCalls } from '../support/system-calls.ts'
import { TempDir } from '../support/temp-dir.ts'

const MAIN = fileURLToPath(new URL('../support/receive-once-main.ts', import.meta.url))

/** The calls of those names whose arguments match, between two lines. */
function pick(
  calls: readonly SystemCall[],
  names: readonly string[],
  args: RegExp,
  within: { after?: number; before?: number } = {},
): SystemCall[] {
  const { after = -1, before = Number.POSITIVE_INFINITY } = within
  return calls.filter(
    ({ name, args: found, begin, end }) =>
      names.includes(name) && args.test(found) && begin > after && end < before,
  )
}

function expectInOrder(steps: readonly (readonly [what: string, calls: SystemCall[]])[]): void {
  let last = -1
  for (const [what, calls] of steps) {
    expect(calls.length, what).toBeGreaterThan(0)
    expect(Math.min(...calls.map(({ begin }) => begin)), what).toBeGreaterThan(last)
    last = Math.max(...calls.map(({ end }) => end))
  }
}

test('UploadFolder syncs data, then the journal, then acknowledges, and names only what is synced', async () => {
  await using dir = await TempDir.create()
  const calls = await traceCalls([process.execPath, '--conditions=ferry-source', MAIN, dir.path])

  const writes = ['pwrite64', 'pwritev', 'writev', 'write']
  const [created] = pick(calls, writes, /\.journal\.new>, .*\\"type\\":\\"upload\\"/)
  const [ack] = pick(calls, ['write'], /^1<[^>]*>, "ack\\n"/)
  const [done] = pick(calls, ['write'], /^1<[^>]*>, "done\\n"/)
  const [named] = pick(calls, ['link', 'linkat', 'rename', 'renameat', 'renameat2'], /one\.bin"/)
  const first = { after: created?.end as number, before: ack?.begin as number }
  const second = { after: ack?.end as number, before: done?.begin as number }
  const before = { after: ack?.end as number, before: named?.begin as number }
  const after = { after: named?.end as number, before: done?.begin as number }
  const spans = /\.journal>, .*\\"type\\":\\"spans\\"/
  const syncs = ['fdatasync', 'fsync']

  expectInOrder([
    ['the header', pick(calls, writes, /\.journal\.new>/)],
    ['sync of the header', pick(calls, syncs, /\.journal\.new>/)],
    ['the name of the journal', pick(calls, ['rename', 'renameat', 'renameat2'], /\.journal"/)],
    ['the first piece', pick(calls, writes, /\.data>/, first)],
    ['sync of the first piece', pick(calls, syncs, /\.data>/, first)],
    ['its record', pick(calls, writes, spans, first)],
    ['sync of its record', pick(calls, syncs, /\.journal>/, first)],
    ['the acknowledgement', [ack as SystemCall]],
    ['the second piece', pick(calls, writes, /\.data>/, second)],
    ['sync of the second piece', pick(calls, syncs, /\.data>/, before).slice(0, 1)],
    ['its record', pick(calls, writes, spans, second)],
    ['sync of its record', pick(calls, syncs, /\.journal>/, before).slice(0, 1)],
    ['the record of the name', pick(calls, writes, /\.journal>, .*publishing/, before)],
    ['sync of that record', pick(calls, syncs, /\.journal>/, before).slice(1)],
    ['the name', [named as SystemCall]],
    ['sync of the folder', pick(calls, ['fsync'], new RegExp(`<${dir.path}>`), after)],
    ['the record of the end', pick(calls, writes, /\.journal>, .*completed/, after)],
    ['sync of that record', pick(calls, syncs, /\.journal>/, after)],
    ['the last acknowledgement', [done as SystemCall]],
  ])
  // What was synced as it came is not synced again before the name.
  expect(pick(calls, syncs, /\.data>/, before).length).toBe(1)
})

const DOORS_MAIN = fileURLToPath(new URL('../support/receive-doors-main.ts', import.meta.url))

/** From the moment in which a request was said to come to its answer. */
interface Exchange {
  readonly after: number
  readonly before: number
}

// An interim answer with an offset acknowledges as the final one does.
const PROMISE = /^\d+<[^>]*>.*"HTTP\/1\.1 (?:2|104 [^"]*Upload-Offset)/
const FINAL = /^\d+<[^>]*>.*"HTTP\/1\.1 2/

function findExchange(calls: readonly SystemCall[], label: string, answer: RegExp): Exchange {
  const [said] = pick(calls, ['write'], new RegExp(`^1<[^>]*>, "${label}\\\\n"`))
  const after = said?.end as number
  const [sent] = pick(calls, ['write', 'writev', 'sendto', 'sendmsg'], answer, { after })
  expect(sent, label).toBeDefined()
  return { after, before: sent?.begin as number }
}

/** Requests with content, whose answers acknowledge it. */
const PIECES: readonly string[] = [
  'tus, first piece',
  'tus, last piece',
  'tus, one part',
  'tus, other part',
  'draft, first piece',
  'draft, last piece',
  'chunk 0',
  'chunk 1',
  'chunk 3',
  'chunk 2',
  'known chunk 1',
  'known chunk 0',
]

/** Requests after which a file has its name. */
const NAMED: readonly (readonly [label: string, name: string])[] = [
  ['tus, last piece', 'tus.bin'],
  ['tus, parts together', 'parts.bin'],
  ['draft, last piece', 'ietf.bin'],
  ['chunk 0', 'chunks.bin'],
  ['known chunk 0', 'known.bin'],
]

test('UploadServer answers by no protocol before what it acknowledges is synced', async () => {
  await using dir = await TempDir.create()
  const calls = await traceCalls([
    process.execPath,
    '--conditions=ferry-source',
    DOORS_MAIN,
    dir.path,
  ])
  const writes = ['pwrite64', 'pwritev', 'writev', 'write']
  const syncs = ['fdatasync', 'fsync']
  const names = ['link', 'linkat', 'rename', 'renameat', 'renameat2']

  for (const label of PIECES) {
    const within = findExchange(calls, label, PROMISE)
    const { before } = within
    const data = pick(calls, writes, /\.data>/, within)
    expect(data.length, label).toBeGreaterThan(0)
    const written = Math.max(...data.map(({ end }) => end))
    const [synced] = pick(calls, syncs, /\.data>/, { after: written, before })
    const isSynced = { after: synced?.end as number, before }
    const [noted] = pick(calls, writes, /\.journal>, .*\\"type\\":\\"spans\\"/, isSynced)
    const isNoted = { after: noted?.end as number, before }
    const [kept] = pick(calls, syncs, /\.journal>/, isNoted)
    for (const call of [synced, noted, kept]) expect(call, label).toBeDefined()
  }
  for (const [label, name] of NAMED) {
    const within = findExchange(calls, label, FINAL)
    const [named] = pick(calls, names, new RegExp(`/${name}"`), within)
    const unnamed = { after: within.after, before: named?.begin as number }
    const data = pick(calls, writes, /\.data>/, unnamed)
    const written = Math.max(within.after, ...data.map(({ end }) => end))
    const synced = pick(calls, syncs, /\.data>/, { ...unnamed, after: written })
    const isNamed = { after: named?.end as number, before: within.before }
    const kept = pick(calls, ['fsync'], new RegExp(`<${dir.path}>`), isNamed)
    expect(named, label).toBeDefined()
    expect(synced.length, label).toBeGreaterThan(0)
    expect(kept.length, label).toBeGreaterThan(0)
  }
})

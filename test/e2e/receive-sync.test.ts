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
  // Sealing the file syncs once more, before the name.
  expect(pick(calls, syncs, /\.data>/, before).length).toBeGreaterThan(1)
})

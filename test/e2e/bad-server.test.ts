/** Servers that lie or break off in the middle: good bytes are kept, bad ones never published. */
import { expect, test } from 'vitest'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import type { Fault } from '../../packages/ferry/src/testing/fault-server-answer.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = Buffer.concat(
  Array.from({ length: (2 * MIB) >> 4 }, (_, index) => Buffer.from(`${index}`.padStart(15) + '\n')),
)
const DIGEST = digestOf(CONTENT)
/** What the first answer brings before it breaks off. */
const FIRST_BYTES = MIB
const KEPT = ['file.bin.part', 'file.bin.part.journal']

/** Breaks off the first answer; the second goes wrong in its own way. */
function afterBreak(second: Fault | undefined): (request: { index: number }) => Fault | undefined {
  return ({ index }) => {
    if (index === 0) return { type: 'end', afterBytes: FIRST_BYTES }
    return index === 1 ? second : undefined
  }
}

async function interruptedDownload(server: FaultServer, dir: TempDir): Promise<void> {
  server.options.fault = afterBreak(undefined)
  const broken = await runFerry(['get', '-q', '--retries', '0', server.url], { cwd: dir.path })
  expectRefusal(broken, { exitCode: 9, line: 'Cannot ' })
  expect(await dir.names()).toEqual(KEPT)
}

/** Goes on with what is there; expects that what the first answer brought need not come again. */
async function expectResumes(server: FaultServer, dir: TempDir): Promise<void> {
  server.options.fault = undefined
  const resumed = await runFerry(['get', '--json', server.url], { cwd: dir.path })
  expect(resumed.exitCode).toBe(0)
  const { resumedBytes } = parseEvents(resumed.stdout).at(-1) as { resumedBytes?: number }
  expect(resumedBytes).toBeGreaterThanOrEqual(FIRST_BYTES)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(await dir.names()).toEqual(['file.bin'])
}

test.each([
  { what: 'another range than asked for', fault: { type: 'shift', by: -64 }, exitCode: 17 },
  {
    what: 'a part without its range',
    fault: { type: 'content-range', value: undefined },
    exitCode: 17,
  },
  {
    what: 'a range that is nonsense',
    fault: { type: 'content-range', value: 'bytes 5-1/2' },
    exitCode: 17,
  },
  { what: 'more than its range', fault: { type: 'surplus', bytes: 99 }, exitCode: 17 },
  { what: '404', fault: { type: 'status', status: 404 }, exitCode: 8 },
  { what: 'another file', fault: { type: 'headers', headers: { ETag: '"v2"' } }, exitCode: 10 },
] as const)('a resumed download survives an answer with $what', async ({ fault, exitCode }) => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  await interruptedDownload(server, dir)

  server.options.fault = () => fault
  const args = ['get', '--retries', '0', '--on-change', 'fail', server.url]
  const run = await runFerry(args, { cwd: dir.path })

  expectRefusal(run, { exitCode, line: 'Cannot ' })
  expect(await dir.names()).toEqual(KEPT)
  await expectResumes(server, dir)
})

test('ferry get tries again by itself and tells of it', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: afterBreak(undefined),
  })

  const run = await runFerry(['get', '--retries', '1', server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(run.notes).toMatch(/^Cannot .*; trying again in \S+ s \(try 2\)\n$/)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get --retries 1 gives up a server that brings nothing twice, and keeps the rest', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: ({ index }) =>
      index === 0 ? { type: 'end', afterBytes: FIRST_BYTES } : { type: 'end', afterBytes: 0 },
  })

  const run = await runFerry(['get', '-q', '--retries', '1', server.url], { cwd: dir.path })

  expectRefusal(run, { exitCode: 9, line: 'Cannot ' })
  expect(await dir.names()).toEqual(KEPT)
  await expectResumes(server, dir)
})

test('a chunked answer that ends early by the rules is no whole file', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  await interruptedDownload(server, dir)
  server.options.fault = () => ({ type: 'short', afterBytes: 10 })

  const run = await runFerry(['get', '-q', '--retries', '0', server.url], { cwd: dir.path })

  expectRefusal(run, { exitCode: 9, line: 'Cannot ' })
  await expectResumes(server, dir)
})

test('a resumed download takes the whole from a server that has lost its ranges', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  await interruptedDownload(server, dir)
  server.options.ranges = 'ignored'

  await expectResumes(server, dir)
})

test('a wrong checksum leaves no file, and the bytes are checked again without coming again', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  const wrong = '0'.repeat(64)

  const run = await runFerry(['get', '--checksum', `sha256=${wrong}`, server.url], {
    cwd: dir.path,
  })

  expectRefusal(run, { exitCode: 11, line: `expected sha256 ${wrong}, got ${DIGEST}` })
  expect(await dir.names()).toEqual(KEPT)
  const { sentBytes } = server
  const args = ['get', '--checksum', `SHA-256=${DIGEST.toUpperCase()}`, server.url]
  expect(await runFerry(args, { cwd: dir.path })).toMatchObject({ exitCode: 0, notes: '' })
  expect(server.sentBytes).toBe(sentBytes)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get does not touch a partial file of somebody else', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  await dir.write('file.bin.part', 'of another program')

  const refused = await runFerry(['get', server.url], { cwd: dir.path })

  expectRefusal(refused, { exitCode: 13, line: 'it has 18 bytes but no journal' })
  expect((await dir.read('file.bin.part')).toString()).toBe('of another program')

  const fresh = await runFerry(['get', '--fresh', server.url], { cwd: dir.path })

  expect(fresh.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test.each([
  { what: 'cut', spoil: (journal: Buffer) => journal.subarray(0, journal.length - 7) },
  {
    what: 'garbled',
    spoil: (journal: Buffer) => Buffer.from(journal.toString().replace('[[0', '[[9')),
  },
  { what: 'empty', spoil: () => Buffer.alloc(0) },
  { what: 'binary', spoil: () => Buffer.alloc(4096, 0xff) },
])('a journal that is $what never leads to a wrong file', async ({ spoil }) => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  await interruptedDownload(server, dir)
  await dir.write('file.bin.part.journal', spoil(await dir.read('file.bin.part.journal')))
  server.options.fault = undefined

  const run = await runFerry(['get', server.url], { cwd: dir.path })

  if (run.exitCode === 0) expect(await dir.digest('file.bin')).toBe(DIGEST)
  else expectRefusal(run, { exitCode: 13, line: 'but no journal' })
})

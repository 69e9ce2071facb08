/** What `ferry get` calls a file, and what it does with one that is there. */
import { stat, utimes } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(200_000)
const DIGEST = digestOf(CONTENT)
const MODIFIED = 'Mon, 01 Jan 2024 00:00:00 GMT'

test('ferry get calls a file as the server does, and stays in the folder', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    headers: { 'Content-Disposition': 'attachment; filename="../../na\u00efve.tar.gz"' },
  })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-d', 'x', server.url], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(await dir.names()).toEqual(['x'])
  expect(await dir.digest('x/naïve.tar.gz')).toBe(DIGEST)
  expect(server.requests).toHaveLength(1)
})

test('ferry get -o goes before the name of the server', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    headers: { 'Content-Disposition': 'attachment; filename=theirs.bin' },
  })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-o', 'mine.bin', server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.names()).toEqual(['mine.bin'])
})

test.each([
  { choice: 'fail', exitCode: 13, names: ['file.bin'], stdout: '' },
  {
    choice: 'skip',
    exitCode: 0,
    names: ['file.bin'],
    stdout: 'skipped, since it is there already',
  },
  { choice: 'rename', exitCode: 0, names: ['file (1).bin', 'file.bin'], stdout: 'file (1).bin: ' },
])('ferry get --on-exists $choice leaves a file that is there', async (row) => {
  await using server = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()
  await dir.write('file.bin', 'precious')

  const run = await runFerry(['get', '--on-exists', row.choice, server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(row.exitCode)
  expect(run.stdout).toContain(row.stdout)
  expect(await dir.names()).toEqual(row.names)
  expect((await dir.read('file.bin')).toString()).toBe('precious')
})

test('ferry get --if-newer replaces a file only when the server has a newer one', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    lastModified: MODIFIED,
    fault: ({ headers }) =>
      Date.parse(headers['if-modified-since'] ?? '') >= Date.parse(MODIFIED)
        ? { type: 'status', status: 304 }
        : undefined,
  })
  await using dir = await TempDir.create()
  const path = await dir.write('file.bin', 'old')
  await utimes(path, 0, 0)
  const args = ['get', '--if-newer', server.url]

  const first = await runFerry(args, { cwd: dir.path })
  const second = await runFerry(args, { cwd: dir.path })

  expect(first.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect((await stat(path)).mtimeMs).toBe(Date.parse(MODIFIED))
  expect(second).toMatchObject({ exitCode: 0, notes: '' })
  expect(second.stdout).toContain('left as it is, the server has nothing newer')
})

test('ferry get --remote-time and --executable set what the file has', async () => {
  await using server = await FaultServer.start({ content: CONTENT, lastModified: MODIFIED })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--remote-time', '--executable', server.url], {
    cwd: dir.path,
  })

  expect(run.exitCode).toBe(0)
  const { mtimeMs, mode } = await stat(dir.join('file.bin'))
  expect(mtimeMs).toBe(Date.parse(MODIFIED))
  expect(mode & 0o100).toBe(0o100)
})

test('ferry get --max-size refuses a larger file before it comes', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 10_000 })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--max-size', '100K', server.url], { cwd: dir.path })

  expectRefusal(run, { exitCode: 12, line: 'Allow more with --max-size SIZE' })
  expect(await dir.names()).toEqual([])
})

test('ferry get --allocation reserved takes the space at once', async () => {
  await using server = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--allocation', 'reserved', server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

/**
 * A disk that fills up in the middle. A limit on the size of files stands in for it, since it works
 * without mounting anything: the system refuses the write in the same place.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Nginx } from '../support/nginx.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = randomBytes(6 * MIB)

test('a disk that fills up costs nothing of what is on it', async () => {
  await using nginx = await Nginx.start({ limitRate: 2 * MIB })
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const args = ['get', '-x', '1', nginx.url('file.bin')]

  await using run = new FerryProcess([...args, '--quiet'], { cwd: dir.path })
  await expect
    .poll(() => dir.read('file.bin.part.journal').then(String), { interval: 20, timeout: 10_000 })
    .toContain('"spans"')
  // From util-linux, which is always there; a process may be limited by its own user.
  execFileSync('prlimit', ['--pid', String(run.pid), `--fsize=${2 * MIB}:`])

  expectRefusal(await run.exit, { exitCode: 14, line: 'Cannot write' })
  expect(await dir.names()).toEqual(['file.bin.part', 'file.bin.part.journal'])

  const resumed = await runFerry([...args, '--json'], { cwd: dir.path })

  expect(resumed.exitCode).toBe(0)
  expect(parseEvents(resumed.stdout).at(-1)?.['resumedBytes']).toBeGreaterThan(0)
  expect(await dir.digest('file.bin')).toBe(digestOf(CONTENT))
})

test('a file that is too large for the disk is refused before it comes', async () => {
  await using nginx = await Nginx.start()
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const shell = `ulimit -f 2048; exec "$@"`

  const run = await runFerry(['get', nginx.url('file.bin')], { cwd: dir.path, shell })

  expectRefusal(run, { exitCode: 14, line: 'Cannot set the length of' })
  expect(run.stderr).toContain('Make room, then run the same command again to go on.')
})

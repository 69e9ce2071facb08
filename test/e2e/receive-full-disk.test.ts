/**
 * A disk that fills up while it is received, under the data or under the journal. A limit on the size
 * of files stands in for it: the system refuses the write in the same place.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { UploadFolder } from 'ferry/receive'
import { expect, test } from 'vitest'
import { seededContent } from '../support/receive-content.ts'
import { TempDir } from '../support/temp-dir.ts'

const MAIN = fileURLToPath(new URL('../support/receive-pieces-main.ts', import.meta.url))

type Child = ChildProcessByStdio<Writable, Readable, null>

/** From util-linux, which is always there; a process may be limited by its own user. */
function limitFileSize({ pid }: Child, size: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${size}`])
}

test.each([
  { what: 'data', pieceBytes: 100_000, count: 8, limit: 350_000 },
  { what: 'journal', pieceBytes: 1, count: 100, limit: 3000 },
])('what was acknowledged stays when there is no room for the $what', async (row) => {
  await using dir = await TempDir.create()
  const { what, pieceBytes, count, limit } = row
  const args = [MAIN, dir.path, String(pieceBytes), String(count)]
  const child = spawn(process.execPath, ['--conditions=ferry-source', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('ready')

  limitFileSize(child, `${limit}:`)
  child.stdin.write('go\n')
  const [, code, offset] = String((await lines.next()).value).split(' ')
  expect(code).toBe('insufficient-storage')
  expect(Number(offset)).toBeGreaterThan(0)
  expect(Number(offset) % pieceBytes).toBe(0)
  child.stdin.write('again\n')
  // A journal that has failed is written anew, and may be short enough then for a few pieces more.
  const [, sameCode, later] = String((await lines.next()).value).split(' ')
  expect(sameCode).toBe(code)
  if (what === 'data') expect(later).toBe(offset)
  else expect(Number(later)).toBeGreaterThanOrEqual(Number(offset))
  limitFileSize(child, 'unlimited:')
  child.stdin.write('go\n')

  expect((await lines.next()).value).toBe('done')
  await once(child, 'close')
  const content = seededContent(1, 0, pieceBytes * count)
  expect((await dir.read('all.bin')).equals(content)).toBe(true)
  await using opened = await UploadFolder.open(dir.path)
  expect([...opened.core.list()].map(({ state }) => state)).toEqual(['completed'])
})

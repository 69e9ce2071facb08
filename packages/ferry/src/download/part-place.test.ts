import { link, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { TempDir } from '../../../../test/support/temp-dir.ts'
import { FileLock } from '../transfer/file-lock.ts'
import { PartPlace } from './part-place.ts'

const JOURNAL = 'file.bin.part.journal'
const LOCK = 'file.bin.part.lock'
const LOCK_JOURNAL = 'file.bin.part.lock-journal'

/** A folder with a finished file and what else a run has left when it was killed. */
async function createRemains(...names: readonly string[]): Promise<TempDir> {
  const dir = await TempDir.create()
  await dir.write('file.bin', 'whole')
  for (const name of names) await dir.write(name, '')
  return dir
}

test.each([
  ['in giving it its name', [JOURNAL, LOCK, LOCK_JOURNAL]],
  ['in removing the journal', [LOCK, LOCK_JOURNAL]],
  ['in giving back the lock', [LOCK_JOURNAL]],
])('clearRemains() clears away what a run has left that was killed %s', async (_, names) => {
  await using dir = await createRemains(...names)

  await new PartPlace(dir.join('file.bin')).clearRemains()

  expect(await dir.names()).toEqual(['file.bin'])
})

test('clearRemains() removes the former name of the finished file', async () => {
  await using dir = await createRemains(JOURNAL, LOCK, LOCK_JOURNAL)
  await link(dir.join('file.bin'), dir.join('file.bin.part'))

  await new PartPlace(dir.join('file.bin')).clearRemains()

  expect(await dir.names()).toEqual(['file.bin'])
  expect(await readFile(dir.join('file.bin'), 'utf8')).toBe('whole')
})

test('clearRemains() keeps a part of another file', async () => {
  await using dir = await createRemains('file.bin.part', JOURNAL)

  await new PartPlace(dir.join('file.bin')).clearRemains()

  expect(await dir.names()).toEqual(['file.bin', 'file.bin.part', JOURNAL])
})

test('clearRemains() keeps what another run is working on', async () => {
  await using dir = await createRemains(JOURNAL)
  await using _lock = await FileLock.take(dir.join(LOCK))

  await new PartPlace(dir.join('file.bin')).clearRemains()

  expect(await dir.names()).toContain(JOURNAL)
})

test('clearRemains() keeps what belongs to a download without a target yet', async () => {
  await using dir = await createRemains('file.bin.part', JOURNAL)
  await dir.remove('file.bin')

  await new PartPlace(dir.join('file.bin')).clearRemains()

  expect(await dir.names()).toEqual(['file.bin.part', JOURNAL])
})

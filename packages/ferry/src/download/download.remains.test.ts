import { link } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { TempDir } from '../../../../test/support/temp-dir.ts'
import { FaultServer } from '../testing/fault-server.ts'
import { download } from './download.ts'

// Nobody is asked: the target is there.
const URL = 'http://127.0.0.1:9/file.bin'

/** What a run leaves that is killed just after it has given the file its name. */
async function createRemains(): Promise<TempDir> {
  const dir = await TempDir.create()
  await dir.write('file.bin', 'whole')
  await link(dir.join('file.bin'), dir.join('file.bin.part'))
  await dir.write('file.bin.part.journal', '')
  await dir.write('file.bin.part.lock', '')
  await dir.write('file.bin.part.lock-journal', '')
  return dir
}

test('download() that skips a finished file clears away what its killed run has left', async () => {
  await using dir = await createRemains()

  const { outcome } = await download(URL, dir.join('file.bin'), { onExists: 'skip' }).result

  expect(outcome).toBe('skipped')
  expect(await dir.names()).toEqual(['file.bin'])
})

test('download() that refuses to write over a finished file clears that away, too', async () => {
  await using dir = await createRemains()

  await expect(download(URL, dir.join('file.bin')).result).rejects.toMatchObject({
    code: 'target-exists',
  })

  expect(await dir.names()).toEqual(['file.bin'])
  expect((await dir.read('file.bin')).toString()).toBe('whole')
})

test('download() that finds nothing newer clears that away, too', async () => {
  await using dir = await createRemains()
  const lastModified = 'Fri, 20 Nov 2020 10:00:00 GMT'
  await using server = await FaultServer.start({ content: Buffer.from('old'), lastModified })

  const { outcome } = await download(server.url, dir.join('file.bin'), { ifNewer: true }).result

  expect(outcome).toBe('not-modified')
  expect(await dir.names()).toEqual(['file.bin'])
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findFiles } from './put-files.ts'

const FIND = { name: undefined, note: () => {}, signal: new AbortController().signal }

async function withFolder(
  names: readonly (string | Buffer)[],
  look: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
  try {
    const path = (name: string | Buffer): Buffer =>
      Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)])
    for (const name of names) await writeFile(path(name), 'text')
    await look(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

// Other systems take no such names.
test.runIf(process.platform === 'linux')(
  'findFiles() tells a name that is not UTF-8 from one that has a replacement character',
  async () => {
    await withFolder(['a\uFFFD', Buffer.from([0x62, 0xff])], async (folder) => {
      const [good, bad] = await findFiles([folder], FIND)

      expect(good).toMatchObject({ path: join(folder, 'a\uFFFD') })
      expect(good?.error).toBeUndefined()
      expect(bad?.error?.message).toMatch(/: its name is not UTF-8$/)
    })
  },
)

test('findFiles() ends when it is told to', async () => {
  await withFolder(['a', 'b'], async (folder) => {
    const reason = new Error('enough')

    const finding = findFiles([folder], { ...FIND, signal: AbortSignal.abort(reason) })

    await expect(finding).rejects.toBe(reason)
  })
})

test('findFiles() says of an empty word what it is', async () => {
  const [file] = await findFiles([''], FIND)

  expect(file).toMatchObject({ name: '' })
  expect(file?.error?.message).toBe('Cannot send "": there is no such file')
})

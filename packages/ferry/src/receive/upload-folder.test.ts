import {
  appendFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { formatRecord } from '../transfer/record-log.ts'
import { contentOf } from '../testing/upload-fixture.ts'
import { UploadFolder } from './upload-folder.ts'
import type { UploadEvent } from './upload-options.ts'

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-uploads-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

/** Leaves an upload of 10 bytes with `abcdef` in it, and gives the paths of its files. */
async function leaveUpload(folder: string): Promise<{ id: string; data: string; journal: string }> {
  await using opened = await UploadFolder.open(folder)
  const { id } = await opened.core.create({ length: 10, name: 'a.txt' })
  await opened.core.append(id, 0, contentOf('abc'))
  await opened.core.append(id, 3, contentOf('def'))
  const base = join(folder, '.ferry', 'uploads', id)
  return { id, data: `${base}.data`, journal: `${base}.journal` }
}

test('UploadFolder goes on with an upload after a restart', async () => {
  const folder = await createFolder()
  const { id } = await leaveUpload(folder)

  await using opened = await UploadFolder.open(folder)
  expect(opened.core.problems).toEqual([])
  expect(opened.core.status(id)).toMatchObject({ offset: 6, length: 10, name: 'a.txt' })
  await opened.core.append(id, 6, contentOf('ghij'))

  expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('abcdefghij')
  expect(await readdir(join(folder, '.ferry', 'uploads'))).toEqual([`${id}.journal`])
})

test('UploadFolder remembers a finished upload after a restart', async () => {
  const folder = await createFolder()
  const { id } = await leaveUpload(folder)
  const first = await UploadFolder.open(folder)
  await first.core.append(id, 6, contentOf('ghij'))
  await first.close()

  await using opened = await UploadFolder.open(folder)

  expect(opened.core.status(id)).toMatchObject({ state: 'completed', name: 'a.txt', offset: 10 })
  await opened.core.terminate(id)
  expect(await readdir(join(folder, '.ferry', 'uploads'))).toEqual([])
  expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('abcdefghij')
})

test('UploadFolder goes by the journal, and drops bytes that it does not tell of', async () => {
  const folder = await createFolder()
  const { id, data } = await leaveUpload(folder)
  await appendFile(data, 'garbage that was never acknowledged')

  await using opened = await UploadFolder.open(folder)

  expect(opened.core.status(id).offset).toBe(6)
  expect(await readFile(data, 'utf8')).toBe('abcdef')
})

test('UploadFolder goes back to the last whole record, wherever the journal was cut', async () => {
  const folder = await createFolder()
  const { id, data, journal } = await leaveUpload(folder)
  const whole = await readFile(journal)
  const content = await readFile(data)
  const ends = [...whole.toString('latin1').matchAll(/\n/g)].map(({ index }) => index + 1)
  const [header = 0, first = 0] = ends

  for (let length = header; length <= whole.length; length += 7) {
    await writeFile(journal, whole.subarray(0, length))
    await writeFile(data, content)
    await using opened = await UploadFolder.open(folder)
    const offset = length < first ? 0 : length < whole.length ? 3 : 6

    expect(opened.core.status(id).offset).toBe(offset)
    expect((await stat(data)).size).toBe(offset)
  }
})

test('UploadFolder leaves alone what it cannot use, and tells of it', async () => {
  const folder = await createFolder()
  const lost = await leaveUpload(folder)
  const unreadable = await leaveUpload(folder)
  const stray = 'e'.repeat(32)
  const uploads = join(folder, '.ferry', 'uploads')
  await truncate(lost.data, 5)
  await writeFile(unreadable.journal, 'x')
  await writeFile(join(uploads, `${stray}.data`), 'x')
  await writeFile(join(uploads, 'notes.txt'), 'x')

  await using opened = await UploadFolder.open(folder)

  expect(opened.core.problems.map(({ type, name }) => `${type} ${name}`).toSorted()).toEqual(
    [
      `lost-bytes ${lost.id}`,
      `unreadable-journal ${unreadable.id}`,
      `stray-blob ${stray}`,
      'stray-file notes.txt',
    ].toSorted(),
  )
  expect([...opened.core.list()]).toEqual([])
  expect(await readFile(lost.data, 'utf8')).toBe('abcde')
  expect(await readFile(unreadable.journal, 'utf8')).toBe('x')
  expect(await readFile(unreadable.data, 'utf8')).toBe('abcdef')
})

/** What a crash may leave of an upload that has every byte, and what becomes of it. */
const CRASHES: readonly (readonly [
  what: string,
  records: readonly object[],
  arrange: (paths: { data: string; target: string }) => Promise<void>,
  name: string,
])[] = [
  ['before anything else', [], () => Promise.resolve(), 'a.txt'],
  [
    'after the wanted name was noted',
    [{ type: 'publishing', name: 'a.txt' }],
    () => Promise.resolve(),
    'a.txt',
  ],
  [
    'after linking',
    [{ type: 'publishing', name: 'a.txt' }],
    ({ data, target }) => link(data, target),
    'a.txt',
  ],
  [
    'after renaming',
    [{ type: 'publishing', name: 'a.txt' }],
    ({ data, target }) => rename(data, target),
    'a.txt',
  ],
  [
    'before the name was had, which is taken meanwhile',
    [{ type: 'publishing', name: 'a.txt' }],
    ({ target }) => writeFile(target, 'of somebody else'),
    'a (1).txt',
  ],
]

test.each(CRASHES)(
  'UploadFolder finishes what a crash cut short %s',
  async (_, records, arrange, name) => {
    const folder = await createFolder()
    const { id, data, journal } = await leaveUpload(folder)
    await appendFile(data, 'ghij')
    const all = [{ type: 'spans', spans: [[6, 10]], at: 1_700_000_000_000 }, ...records]
    await appendFile(journal, all.map(formatRecord).join(''))
    await arrange({ data, target: join(folder, 'a.txt') })
    const events: UploadEvent[] = []

    await using opened = await UploadFolder.open(folder, {
      expiresInMs: 1e15,
      onEvent: (event) => events.push(event),
    })

    expect(opened.core.problems).toEqual([])
    expect(opened.core.status(id)).toMatchObject({ state: 'completed', name })
    expect(await readFile(join(folder, name), 'utf8')).toBe('abcdefghij')
    expect(await readdir(join(folder, '.ferry', 'uploads'))).toEqual([`${id}.journal`])
    expect(events.map(({ type }) => type)).toEqual(['completed'])
  },
)

test('UploadFolder removes what was being removed, and what was being put together', async () => {
  const folder = await createFolder()
  const removed = await leaveUpload(folder)
  await appendFile(removed.journal, formatRecord({ type: 'removed' }))
  const cut = await leaveUpload(folder)
  const [line = ''] = (await readFile(cut.journal, 'utf8')).split('\n')
  const header = JSON.parse(line.slice(9)) as object
  await writeFile(cut.journal, formatRecord({ ...header, parts: ['x'] }))

  await using opened = await UploadFolder.open(folder)

  expect([...opened.core.list()]).toEqual([])
  expect(await readdir(join(folder, '.ferry', 'uploads'))).toEqual([])
})

test('UploadFolder makes an upload usable whose file was not made before a crash', async () => {
  const folder = await createFolder()
  const first = await UploadFolder.open(folder)
  const { id } = await first.core.create({ length: 1, name: 'a' })
  await first.close()
  await rm(join(folder, '.ferry', 'uploads', `${id}.data`))

  await using opened = await UploadFolder.open(folder)
  await opened.core.append(id, 0, contentOf('x'))

  expect(await readFile(join(folder, 'a'), 'utf8')).toBe('x')
})

test('UploadFolder lets nobody else receive into the folder at the same time', async () => {
  const folder = await createFolder()
  const first = await UploadFolder.open(folder)

  await expect(UploadFolder.open(folder)).rejects.toMatchObject({ code: 'locked' })
  await first.close()
  await first.close()

  await using next = await UploadFolder.open(folder)
  expect([...next.core.list()]).toEqual([])
})

test('UploadFolder does not follow a link in the place of its own folder', async () => {
  const folder = await createFolder()
  await mkdir(join(folder, 'elsewhere'))
  await symlink(join(folder, 'elsewhere'), join(folder, '.ferry'))

  await expect(UploadFolder.open(folder)).rejects.toMatchObject({ code: 'not-writable' })

  expect(await readdir(join(folder, 'elsewhere'))).toEqual([])
})

test('UploadFolder lets no name reach its own folder or leave the folder', async () => {
  const folder = await createFolder()
  await using opened = await UploadFolder.open(folder)
  const wanted = ['../up', '.ferry/lock', '/abs', '..', 'a\0b', 'x'.repeat(4096), 'a\nb']
  const names: string[] = []
  for (const name of wanted) {
    const upload = await opened.core.create({ length: 0, name })
    names.push(upload.name === upload.id ? 'ID' : upload.name)
  }

  expect(names).toEqual(['up', '_ferry/lock', 'abs', 'ID', 'a_b', 'x'.repeat(200), 'a_b (1)'])
  expect(opened.core.problems).toEqual([])
  for (const { name } of opened.core.list()) await stat(join(folder, name))
})

test('UploadFolder takes uploads without limit of open files', async () => {
  const folder = await createFolder()
  await using opened = await UploadFolder.open(folder)
  const ids: string[] = []
  for (let index = 0; index < 200; index++) ids.push((await opened.core.create({})).id)

  for (const id of ids) await opened.core.append(id, 0, contentOf('x'))
  const { length } = await readdir('/proc/self/fd')
  for (const id of ids) await opened.core.append(id, 1, contentOf('y'))

  expect(length).toBeLessThan(300)
  expect(ids.map((id) => opened.core.status(id).offset)).toEqual(ids.map(() => 2))
})

test.each(['written', 'memory'] as const)(
  'UploadFolder has what it acknowledged as %s when it is closed in order',
  async (ack) => {
    const folder = await createFolder()
    const first = await UploadFolder.open(folder, { ack })
    const { id } = await first.core.create({ length: 6, name: 'a' })
    expect((await first.core.append(id, 0, contentOf('abc'))).offset).toBe(3)
    await first.close()

    await using opened = await UploadFolder.open(folder, { ack })
    expect(opened.core.status(id).offset).toBe(3)
    await opened.core.append(id, 3, contentOf('def'))

    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('abcdef')
  },
)

test('UploadFolder does not believe what was only written when the system has started again', async () => {
  const folder = await createFolder()
  const first = await UploadFolder.open(folder, { ack: 'written', boot: 'one' })
  const { id } = await first.core.create({})
  await first.core.append(id, 0, contentOf('abc'))
  await first.close()

  await using opened = await UploadFolder.open(folder, { ack: 'written', boot: 'two' })

  expect(opened.core.status(id).offset).toBe(0)
})

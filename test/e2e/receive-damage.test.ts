/**
 * Folders that were damaged while no server ran, and clocks that were wrong: a server starts on them,
 * tells what it cannot use, and finishes the rest.
 */
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  stat,
  truncate,
  writeFile,
  symlink,
} from 'node:fs/promises'
import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { UploadServer } from 'ferry/receive'
import { expect, test } from 'vitest'
import { seededContent } from '../support/receive-content.ts'
import { STEPS } from '../support/receive-steps.ts'
import { TempDir } from '../support/temp-dir.ts'

const ROUNDS = process.env['FERRY_BIG'] === undefined ? 24 : 300
const PROTOCOLS = ['tus', 'ietf', 'indexedcp'] as const
const LENGTH = 3000
const DAY_MS = 86_400_000

/** An upload that a server has left unfinished. */
interface Left {
  readonly protocol: (typeof PROTOCOLS)[number]
  readonly name: string
  readonly place: string
  readonly content: Buffer
  readonly acknowledged: number
}

/** Leaves an upload of each protocol, with a few acknowledged pieces. */
async function leaveUploads(folder: string, options: { now?: () => number } = {}): Promise<Left[]> {
  await using server = await UploadServer.open(folder, { uploads: options })
  const url = await server.listen()
  return await Promise.all(
    PROTOCOLS.map(async (protocol) => {
      const content = seededContent(randomInt(1e6), 0, LENGTH)
      const name = `${protocol}.bin`
      const { begin, send } = STEPS[protocol]
      const { place } = await begin(url, name, LENGTH)
      let acknowledged = 0
      for (let pieces = randomInt(4); pieces > 0; pieces--) {
        const end = acknowledged + 1 + randomInt(LENGTH / 4)
        const piece = content.subarray(acknowledged, end)
        const isTaken = await send(url, place, {
          content: piece,
          offset: acknowledged,
          isLast: false,
        })
        expect(isTaken).toBeLessThan(300)
        acknowledged = end
      }
      return { protocol, name, place, content, acknowledged }
    }),
  )
}

/** Where an upload is kept, in the order of their creation's records. */
async function journalOf(folder: string, { name }: Left): Promise<string> {
  const uploads = join(folder, '.ferry/uploads')
  for (const file of await readdir(uploads)) {
    if (!file.endsWith('.journal')) continue
    if ((await readFile(join(uploads, file), 'utf8')).includes(`"${name}"`)) {
      return join(uploads, file)
    }
  }
  throw new Error(`There is no journal of ${name}`)
}

type Damage = (paths: { readonly journal: string; readonly data: string }) => Promise<void>

/** What a power cut, or a person, may do to the files of an upload. */
const DAMAGES: Readonly<Record<string, Damage>> = {
  'a journal that is cut': async ({ journal }) => {
    await truncate(journal, randomInt((await stat(journal)).size + 1))
  },
  'a journal with zeros behind it': ({ journal }) =>
    appendFile(journal, Buffer.alloc(1 + randomInt(5000))),
  'a journal with rubbish behind it': ({ journal }) =>
    appendFile(journal, randomBytes(1 + randomInt(500))),
  'a journal with the end of a record behind it': async ({ journal }) => {
    const bytes = await readFile(journal)
    await appendFile(journal, bytes.subarray(randomInt(bytes.length)))
  },
  'a journal with a wrong bit': async ({ journal }) => {
    const bytes = await readFile(journal)
    const at = randomInt(bytes.length)
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << randomInt(8)), at)
    await writeFile(journal, bytes)
  },
  'data that are cut': async ({ data }) => truncate(data, randomInt((await stat(data)).size + 1)),
  'data with rubbish behind them': ({ data }) => appendFile(data, randomBytes(1 + randomInt(500))),
  'files of nobody': async ({ data }) => {
    await writeFile(data.replace(/[^/]+$/, `${'0'.repeat(32)}.data`), 'x')
    await writeFile(data.replace(/[^/]+$/, 'x.journal'), 'x')
    await mkdir(data.replace(/[^/]+$/, `${'1'.repeat(32)}.data`))
    await mkdir(data.replace(/[^/]+$/, `${'2'.repeat(32)}.journal`))
    await symlink('/etc/passwd', data.replace(/[^/]+$/, `${'3'.repeat(32)}.journal`))
  },
}

test(`UploadServer starts on ${ROUNDS} damaged folders`, { timeout: ROUNDS * 10_000 }, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await using dir = await TempDir.create()
    const left = await leaveUploads(dir.path)
    const names = Object.keys(DAMAGES)
    const what = names[round % names.length] as string
    const damaged = left[randomInt(left.length)] as Left
    const journal = await journalOf(dir.path, damaged)
    const data = journal.replace(/journal$/, 'data')
    await DAMAGES[what]?.({ journal, data })

    await using server = await UploadServer.open(dir.path)
    const url = await server.listen()

    const problems = new Set(server.core.problems.map(({ name }) => name))
    for (const upload of left) {
      const { protocol, place, content, acknowledged, name } = upload
      const context = `${what}: ${protocol} after ${acknowledged} bytes`
      const { offset, send } = STEPS[protocol]
      const at = await offset(url, place)
      if (at === undefined) {
        expect(upload, context).toBe(damaged)
        expect(
          [...problems].some((problem) => journal.includes(problem)),
          context,
        ).toBe(true)
        continue
      }
      // What is damaged may have gone back; what is told to be there has to be right.
      if (upload === damaged) expect(at, context).toBeLessThanOrEqual(acknowledged)
      else expect(at, context).toBe(acknowledged)
      const piece = { content: content.subarray(at), offset: at, isLast: true }
      expect(await send(url, place, piece), context).toBeLessThan(300)
      expect((await readFile(dir.join(name))).equals(content), context).toBe(true)
    }
  }
})

test('UploadServer keeps uploads whichever way the clock was set meanwhile', async () => {
  await using dir = await TempDir.create()
  let skewMs = 5 * DAY_MS
  const now = (): number => Date.now() + skewMs
  const left = await leaveUploads(dir.path, { now })

  for (const next of [-2000 * DAY_MS, 0, 5 * DAY_MS]) {
    skewMs = 5 * DAY_MS
    await using server = await UploadServer.open(dir.path, { uploads: { now } })
    const url = await server.listen()
    // While it runs, too.
    skewMs = next
    await server.core.sweep()
    for (const { protocol, place, acknowledged } of left) {
      const { offset } = STEPS[protocol]
      expect(await offset(url, place), protocol).toBe(acknowledged)
    }
  }
  skewMs = -2000 * DAY_MS
  await using server = await UploadServer.open(dir.path, { uploads: { now } })
  const url = await server.listen()
  for (const { protocol, place, acknowledged, content, name } of left) {
    const piece = { content: content.subarray(acknowledged), offset: acknowledged, isLast: true }
    const { send } = STEPS[protocol]
    expect(await send(url, place, piece), protocol).toBeLessThan(300)
    expect((await readFile(dir.join(name))).equals(content), protocol).toBe(true)
  }
})

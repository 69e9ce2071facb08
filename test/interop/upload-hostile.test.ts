/** Sending from an outbox while files change, databases are locked or damaged, and disks are full. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, open, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import {
  addContent,
  addFile,
  createMemoryOutbox,
  openSqliteOutbox,
  type Outbox,
  sendItem,
  UploadClient,
  type UploadProtocolName,
} from '../../packages/ferry/src/upload/index.ts'
import { ClientSite } from '../support/client-site.ts'
import { SendingSite } from '../support/sending-site.ts'
import { contentFolderOf } from '../support/outbox-content.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(2_000_000)
const PROTOCOLS: readonly UploadProtocolName[] = ['indexedcp', 'tus', 'ietf']

// ── Files that change

const CHANGES: readonly (readonly [string, (path: string) => Promise<void>])[] = [
  ['grows', (path) => appendFile(path, 'more')],
  ['is cut short', (path) => truncate(path, 1_000_000)],
  ['is removed', (path) => rm(path)],
  ['is written anew', (path) => writeFile(path, randomBytes(CONTENT.length))],
  [
    'is replaced by one of the same size and time',
    async (path) => {
      const { atime, mtime } = await stat(path)
      await writeFile(`${path}.new`, randomBytes(CONTENT.length))
      await utimes(`${path}.new`, atime, mtime)
      await rename(`${path}.new`, path)
    },
  ],
]

/** Sends the first item of an outbox; something happens when a part of it is there. */
async function sendFirst(
  site: SendingSite,
  outbox: Outbox,
  protocol: UploadProtocolName,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<unknown> {
  const [item] = await outbox.list()
  await using lease = await outbox.lease(item?.id ?? '')
  if (lease === undefined) throw new Error('The item is leased')
  return await sendItem(lease, site.urlFor(protocol), {
    protocol,
    chunkBytes: 200_000,
    retryDelayMs: 5,
    limitBytesPerSecond: 1_000_000,
    onStart: (upload) => {
      const come = Promise.race([site.progress(), upload.result.catch(() => {})])
      const done = come.then(meanwhile).finally(() => (upload.limitBytesPerSecond = undefined))
      // What goes wrong with it the upload tells.
      done.catch(() => upload.cancel())
    },
  })
}

test.each(
  PROTOCOLS.flatMap((name) => CHANGES.map(([what, change]) => [name, what, change] as const)),
)('by %s nothing is mixed when a file %s while it is sent', async (protocol, _, change) => {
  await using site = await SendingSite.open()
  await using outbox = createMemoryOutbox()
  const path = await site.source.write('a.bin', CONTENT)
  // A time that can be given to another file, too.
  await utimes(path, 1_700_000_000, 1_700_000_000)
  await addFile(outbox, path, { mode: 'reference' })

  await expect(sendFirst(site, outbox, protocol, () => change(path))).rejects.toMatchObject({
    code: 'source-changed',
  })

  expect(await site.dir.names()).toEqual(['.ferry'])
  expect((await outbox.list()).length).toBe(1)
  // It stays so.
  await expect(sendFirst(site, outbox, protocol)).rejects.toMatchObject({
    code: 'source-changed',
  })
})

test.each(PROTOCOLS)('by %s a file that comes back goes on where it was', async (protocol) => {
  await using site = await SendingSite.open()
  await using outbox = createMemoryOutbox()
  const path = await site.source.write('a.bin', CONTENT)
  await addFile(outbox, path, { mode: 'reference' })
  await expect(
    sendFirst(site, outbox, protocol, () => rename(path, `${path}.away`)),
  ).rejects.toMatchObject({ code: 'source-changed' })
  await rename(`${path}.away`, path)

  await expect(sendFirst(site, outbox, protocol)).resolves.toMatchObject({ protocol })

  expect(await site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
  expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
  expect(await outbox.list()).toEqual([])
})

// ── Locked databases

test('a database that another process has to itself for a while is waited for', async () => {
  await using at = await ClientSite.open()
  const client = await at.client()
  await client.addStream(CONTENT, 'a')
  const path = at.site.source.join('outbox.db')
  const code = `
    const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(${JSON.stringify(path)}, { timeout: 10000 })
    database.exec('BEGIN EXCLUSIVE')
    console.log('locked')
    process.stdin.on('end', () => database.exec('COMMIT')).resume()`
  const other = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(other.stdout, 'data')
  let isSettled = false

  const sending = client.uploadBufferedFiles(at.url).finally(() => (isSettled = true))
  // Who only reads does not wait.
  expect(await client.getBufferedFiles()).toEqual(['a'])
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(isSettled).toBe(false)
  other.stdin.end()

  expect(await sending).toEqual({ a: 'a' })
  expect(await at.site.dir.digest('a')).toBe(digestOf(CONTENT))
})

test('a database that stays locked is told, and nothing is lost', async () => {
  await using at = await ClientSite.open()
  const path = at.site.source.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path, busyTimeoutMs: 20 })
  const client = await at.client({ outbox })
  for (const name of ['a', 'b']) await client.addStream(name, name)
  using other = new DatabaseSync(path)
  other.exec('BEGIN EXCLUSIVE')

  await expect(client.uploadBufferedFiles(at.url)).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringMatching(/another process keeps it to itself \(and 1 more file/),
    untried: ['b'],
  })
  await expect(client.addStream('c', 'c')).rejects.toMatchObject({ code: 'locked' })
  await expect(client.clearBuffer()).rejects.toMatchObject({ code: 'locked' })

  other.exec('ROLLBACK')
  expect(await client.uploadBufferedFiles(at.url)).toEqual({ a: 'a', b: 'b' })
})

test.each(PROTOCOLS)(
  'by %s a file is delivered once when its database is locked at the end',
  async (protocol) => {
    await using site = await SendingSite.open()
    const path = site.source.join('outbox.db')
    await using outbox = await openSqliteOutbox({ path, busyTimeoutMs: 20 })
    await addContent(outbox, 'a.bin', CONTENT)
    using other = new DatabaseSync(path, { timeout: 5000 })
    const end = site.server.core.subscribe(({ type }) => {
      if (type === 'completed') other.exec('BEGIN EXCLUSIVE')
    })

    await expect(sendFirst(site, outbox, protocol)).rejects.toMatchObject({ code: 'locked' })
    end()
    other.exec('ROLLBACK')
    expect((await outbox.list()).length).toBe(1)
    // Nobody has it any more, also for others.
    await (await outbox.lease('another'))?.release()
    await using again = await openSqliteOutbox({ path })

    await expect(sendFirst(site, again, protocol)).resolves.toMatchObject({ protocol })

    expect(await again.list()).toEqual([])
    expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
    expect(await site.dir.digest('a.bin')).toBe(digestOf(CONTENT))
  },
)

// ── Damaged databases

test('a damaged part is told, and the other files are sent', async () => {
  await using at = await ClientSite.open()
  const client = await at.client()
  for (const name of ['a', 'b', 'c']) await client.addStream(CONTENT, name)
  const path = at.site.source.join('outbox.db')
  {
    using database = new DatabaseSync(path)
    const { id } = database.prepare("SELECT id FROM outbox_items WHERE name = 'b'").get() ?? {}
    const file = join(await contentFolderOf(path), `${String(id)}.0`)
    await writeFile(file, Buffer.alloc(CONTENT.length))
  }

  await expect(client.uploadBufferedFiles(at.url)).rejects.toMatchObject({
    code: 'outbox-unusable',
    message: expect.stringContaining('its bytes are not those that were added'),
    sent: { a: 'a', c: 'c' },
    failures: [{ name: 'b' }],
  })

  expect(await client.getBufferedFiles()).toEqual(['b'])
  expect(await at.site.dir.names()).toEqual(['.ferry', 'a', 'c'])
})

test('a database that was overwritten in part is told, and nothing is sent of it', async () => {
  await using at = await ClientSite.open()
  const path = at.site.source.join('outbox.db')
  const outbox = await openSqliteOutbox({ path })
  for (let count = 0; count < 20; count++) await addContent(outbox, `${count}`, CONTENT)
  await outbox.close()
  const file = await open(path, 'r+')
  // The first page says that it is a database.
  for (let page = 1; page < 20; page++)
    await file.write(randomBytes(65_536), 0, 65_536, page * 65_536)
  await file.close()

  const using = async (): Promise<unknown> => {
    await using again = await openSqliteOutbox({ path })
    await using client = new UploadClient({ outbox: again, apiKey: 'a-key' })
    return await client.uploadBufferedFiles(at.url)
  }

  await expect(using()).rejects.toMatchObject({ code: 'outbox-unusable' })
  expect(await at.site.dir.names()).toEqual(['.ferry'])
})

// ── Clocks that jump

test('what was leased under a clock of the future, before the machine was started anew, is free', async () => {
  await using at = await ClientSite.open()
  const path = at.site.source.join('outbox.db')
  await using first = await openSqliteOutbox({ path })
  const { id } = await addContent(first, 'a', CONTENT)
  await first.lease(id)
  {
    using database = new DatabaseSync(path)
    const year2100 = Date.UTC(2100, 0)
    database.exec(`UPDATE outbox_holders SET boot = 'before', until_wall = ${year2100}`)
    database.exec(`UPDATE outbox_items SET added_at = ${year2100}`)
  }

  const client = await at.client()

  expect(await client.uploadBufferedFiles(at.url)).toEqual({ a: 'a' })
})

test('a clock that jumps while a file is sent changes nothing', async () => {
  await using site = await SendingSite.open()
  let now = Date.now()
  await using outbox = await openSqliteOutbox({
    path: site.source.join('outbox.db'),
    now: () => now,
  })
  await addContent(outbox, 'a.bin', CONTENT)

  const sent = sendFirst(site, outbox, 'tus', async () => {
    now += 10 * 365 * 86_400_000
    const [item] = await outbox.list()
    // It is still somebody's.
    expect(await outbox.lease(item?.id ?? '')).toBeUndefined()
    now -= 20 * 365 * 86_400_000
    expect(await outbox.lease(item?.id ?? '')).toBeUndefined()
  })

  await expect(sent).resolves.toMatchObject({ protocol: 'tus' })
  expect(await outbox.list()).toEqual([])
})

// ── Full disks

test.runIf(canMount())('a full disk costs nothing of what is in the outbox', async () => {
  await using site = await SendingSite.open()
  await using folder = await TempDir.create()
  const script = 'mount -t tmpfs -o size=32m none "$0" && exec "$@"'
  const main = new URL('../support/outbox-room-main.ts', import.meta.url).pathname
  const command = [process.execPath, main, folder.path, site.urlFor('indexedcp')]

  const { stdout } = await promisify(execFile)('unshare', [
    '-rm',
    'sh',
    '-c',
    script,
    folder.path,
    ...command,
  ])

  const [add, send, left, ...later] = stdout.split('\n')
  expect(add).toMatch(/^add failed: no-space Cannot add to the outbox .*: the disk is full/)
  // It needs no room where the log has some left.
  expect(send).toMatch(/^send: {"a":"a"}$|^send failed: no-space Cannot .*: the disk is full$/)
  const isSent = send === 'send: {"a":"a"}'
  expect(left).toBe(isSent ? 'left ' : 'left a')
  expect(later).toEqual([isSent ? 'send: {}' : 'send: {"a":"a"}', 'left ', ''])
  expect((await site.dir.read('a')).equals(Buffer.alloc(2 * 1_048_576, 'a'))).toBe(true)
  expect(await site.dir.names()).toEqual(['.ferry', 'a'])
})

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs none /tmp'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

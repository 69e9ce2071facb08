/** What an outbox in a file must do beside what every outbox must. */
import {
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { contentFolderOf } from '../../../../test/support/outbox-content.ts'
import { digestOf, TempDir } from '../../../../test/support/temp-dir.ts'
import type { NewItem } from './outbox.ts'
import { defaultOutboxPath, openSqliteOutbox } from './sqlite-outbox.ts'

const MIB = 1_048_576

test('an outbox is kept where the Python client keeps its own', () => {
  expect(defaultOutboxPath()).toBe(join(homedir(), '.indexcp', 'indexcp.db'))
  expect(defaultOutboxPath('photos ä')).toBe(join(homedir(), '.indexcp', 'photos ä.db'))
  for (const name of ['', '../x', 'a/b', 'a\\b', 'c:d', 'nul\0']) {
    expect(() => defaultOutboxPath(name)).toThrow(expect.objectContaining({ option: 'name' }))
  }
})

test('file and folder are made for their owner alone', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('deep/er/outbox.db')

  await using outbox = await openSqliteOutbox({ path })
  const [, large] = await outbox.add([newItem('a'), newItem('large', [Buffer.alloc(2 * MIB)])])

  const modeOf = async (name: string): Promise<number> => (await stat(name)).mode & 0o777
  expect(await modeOf(folder.join('deep'))).toBe(0o700)
  expect(await modeOf(folder.join('deep/er'))).toBe(0o700)
  const content = await contentFolderOf(path)
  for (const made of [`${path}-content`, content]) expect(await modeOf(made)).toBe(0o700)
  expect(await modeOf(join(content, `${large?.id}.0`))).toBe(0o600)
  for (const end of ['', '-wal', '-shm']) expect(await modeOf(path + end)).toBe(0o600)
})

test('items, notes and content are there after opening it again', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const bytes = Buffer.alloc(2.5 * MIB, 'ab')
  const before = await openSqliteOutbox({ path })
  const [item] = await before.add([newItem('long', [bytes]), newItem('b'), newItem('c')])
  const lease = await before.lease(item?.id ?? '')
  await lease?.setNote({ url: 'x' })
  await lease?.dropParts(MIB)
  // Closing gives it back.
  await before.close()

  await using after = await openSqliteOutbox({ path })

  const items = await after.list()
  expect(items.map(({ name }) => name)).toEqual(['long', 'b', 'c'])
  expect(items[0]).toEqual({
    ...item,
    note: { url: 'x' },
    content: { mode: 'stored', partBytes: MIB, keptFrom: MIB, sha256: digestOf(bytes) },
  })
  const again = await after.lease(item?.id ?? '')
  expect((await again?.readPart(2))?.bytes.length).toBe(MIB / 2)
  await after.add([newItem('d')])
  expect((await after.list()).map(({ name }) => name)).toEqual(['long', 'b', 'c', 'd'])
})

test('a new file has a log, and can shrink', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await (await openSqliteOutbox({ path })).close()

  using database = openDatabase(path)

  expect(database.prepare('PRAGMA page_size').get()).toEqual({ page_size: 16_384 })
  expect(database.prepare('PRAGMA auto_vacuum').get()).toEqual({ auto_vacuum: 2 })
  expect(database.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
})

test('the chunks of the Python client stay as they are', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('indexcp.db')
  const chunk = { id: '/a/b.txt-0', file_name: '/a/b.txt', chunk_index: 0, data: Buffer.from('x') }
  const read = (): unknown => {
    using database = openDatabase(path)
    const { page_size: pageBytes } = database.prepare('PRAGMA page_size').get() ?? {}
    const { user_version: version } = database.prepare('PRAGMA user_version').get() ?? {}
    return { pageBytes, version, chunks: database.prepare('SELECT * FROM chunks').all() }
  }
  {
    using database = openDatabase(path)
    database.exec(`CREATE TABLE chunks (
      id TEXT PRIMARY KEY, file_name TEXT, chunk_index INTEGER, data BLOB)`)
    database
      .prepare('INSERT INTO chunks VALUES (?, ?, ?, ?)')
      .run(chunk.id, chunk.file_name, chunk.chunk_index, chunk.data)
  }
  const before = read()

  await using outbox = await openSqliteOutbox({ path })
  expect(await outbox.list()).toEqual([])
  const items = await outbox.add([newItem('long', [Buffer.alloc(3 * MIB)]), newItem('b')])
  for (const { id } of items) await (await outbox.lease(id))?.done()
  await outbox.close()

  expect(before).toMatchObject({ pageBytes: 4096, version: 0 })
  expect(read()).toEqual(before)
})

test('what is no database is not touched', async () => {
  await using folder = await TempDir.create()
  const text = 'Once upon a time there was no database. '.repeat(300)
  const path = await folder.write('outbox.db', text)

  await expect(openSqliteOutbox({ path })).rejects.toMatchObject({
    code: 'outbox-unusable',
    message: `Cannot open the outbox ${path}: it is no database`,
  })

  expect((await folder.read('outbox.db')).toString()).toBe(text)
  expect(await folder.names()).toEqual(['outbox.db'])
})

test('a damaged database is told and not written', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const outbox = await openSqliteOutbox({ path })
  await outbox.add([newItem('a', [Buffer.alloc(MIB)])])
  await outbox.close()
  await truncate(path, 4 * 16_384)
  const before = await readFile(path)

  await expect(openSqliteOutbox({ path })).rejects.toMatchObject({
    code: 'outbox-unusable',
    message: `Cannot open the outbox ${path}: its database is damaged`,
  })

  expect((await readFile(path)).equals(before)).toBe(true)
})

test('a database of a newer layout is told and not written', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await (await openSqliteOutbox({ path })).close()
  {
    using database = openDatabase(path)
    database.exec('UPDATE outbox_layout SET version = 9')
  }
  const before = await readFile(path)

  await expect(openSqliteOutbox({ path })).rejects.toMatchObject({
    code: 'outbox-unusable',
    message: `Cannot open the outbox ${path}: it has layout 9, which a newer Ferry has made; this one knows 2`,
  })

  expect((await readFile(path)).equals(before)).toBe(true)
})

test('content that has changed in the file is not given', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const [item] = await outbox.add([newItem('a', [Buffer.from('right')])])
  const lease = await outbox.lease(item?.id ?? '')
  {
    using database = openDatabase(path)
    database.exec("UPDATE outbox_parts SET bytes = CAST('wrong' AS BLOB)")
  }

  await expect(lease?.readPart(0)).rejects.toMatchObject({ code: 'outbox-unusable' })
  {
    using database = openDatabase(path)
    database.exec('DELETE FROM outbox_parts')
  }
  await expect(lease?.readPart(0)).rejects.toMatchObject({ code: 'outbox-unusable' })
})

test('a path that cannot be is told', async () => {
  await using folder = await TempDir.create()
  await folder.write('file', '')

  await expect(openSqliteOutbox({ path: folder.join('file/x.db') })).rejects.toMatchObject({
    code: 'not-writable',
  })
  await expect(openSqliteOutbox({ path: folder.path })).rejects.toMatchObject({
    code: 'not-writable',
  })
})

test('a database that another process keeps to itself is waited for, then told', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path, busyTimeoutMs: 20 })
  using other = openDatabase(path)
  other.exec('BEGIN IMMEDIATE')

  const locked = { code: 'locked', message: expect.stringMatching(/^Cannot add to the outbox /) }
  await expect(outbox.add([newItem('a')])).rejects.toMatchObject(locked)
  expect(await outbox.list()).toEqual([])
  other.exec('ROLLBACK')

  await outbox.add([newItem('b')])
  expect((await outbox.list()).map(({ name }) => name)).toEqual(['b'])
})

test('an outbox is closed without clearing up where another process is in the way', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const outbox = await openSqliteOutbox({ path, busyTimeoutMs: 20 })
  await outbox.add([newItem('a')])
  using other = openDatabase(path)
  other.exec("UPDATE outbox_items SET state = 'gone'; BEGIN IMMEDIATE")

  await outbox.close()
  other.exec('ROLLBACK')

  await using next = await openSqliteOutbox({ path })
  expect(await next.list()).toEqual([])
  const count = (): unknown => other.prepare('SELECT count(*) AS n FROM outbox_items').get()
  await expect.poll(count).toEqual({ n: 0 })
})

test('what is being added elsewhere in a living process is left alone', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const gate = gatedItem()
  const added = outbox.add([gate.item])
  await gate.reached

  await using other = await openSqliteOutbox({ path })
  await other.add([newItem('b')])
  gate.open()

  expect((await added).length).toBe(1)
  expect((await other.list()).map(({ name }) => name)).toEqual(['b', 'gated'])
})

test('who was taken for ended while adding is told, and has added nothing', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const gate = gatedItem()
  const added = outbox.add([newItem('before'), gate.item, newItem('after')])
  const refused = expect(added).rejects.toMatchObject({ code: 'locked' })
  await gate.reached
  // Nothing was heard of the first one for longer than this one waits.
  const uptimeMs = (): number => Number.MAX_SAFE_INTEGER
  await using other = await openSqliteOutbox({ path, uptimeMs })
  gate.open()

  await refused
  expect(await other.list()).toEqual([])
})

test('room is given back when items are gone, and what is half-added leaves nothing', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const bytes = async (): Promise<number> => {
    let sum = 0
    for (const name of await readdir(folder.path, { recursive: true })) {
      // Some are gone by then.
      const stats = await stat(folder.join(name)).catch(() => undefined)
      sum += name.endsWith('-shm') ? 0 : (stats?.size ?? 0)
    }
    return sum
  }
  const chunk = Buffer.alloc(MIB)
  function* failing(): Generator<Uint8Array> {
    for (let at = 0; at < 40; at++) yield chunk
    throw new Error('broken')
  }
  const [item] = await outbox.add([
    newItem(
      'long',
      Array.from({ length: 40 }, () => chunk),
    ),
  ])
  await expect(outbox.add([newItem('broken', failing())])).rejects.toThrow('broken')
  expect(await bytes()).toBeGreaterThan(40 * MIB)

  await (await outbox.lease(item?.id ?? ''))?.done()

  await expect.poll(bytes, { timeout: 10_000 }).toBeLessThan(20 * MIB)
  using database = openDatabase(path)
  for (const table of ['outbox_items', 'outbox_parts', 'outbox_holders']) {
    const count = (): unknown => database.prepare(`SELECT count(*) AS n FROM ${table}`).get()
    await expect.poll(count).toEqual({ n: 0 })
  }
  expect(await readdir(await contentFolderOf(path))).toEqual([])
})

test('what is small is in the database, and all else in files beside it', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const stored = (name: string, bytes: number, partBytes: number): NewItem => ({
    name,
    content: { mode: 'stored', pieces: [Buffer.alloc(bytes, name)], partBytes },
  })

  const items = await outbox.add([
    stored('empty', 0, MIB),
    stored('small', MIB, 2 * MIB),
    stored('large part', MIB + 1, 2 * MIB),
    stored('many parts', 10, 4),
    stored('segments', 130 * MIB, MIB),
  ])

  const nameOf = (id: string): string => items.find((item) => item.id === id)?.name ?? 'unknown'
  const files = (await readdir(await contentFolderOf(path))).map((name) => {
    const [id = '', segment] = name.split('.')
    return `${nameOf(id)} ${segment}`
  })
  expect(files.toSorted()).toEqual([
    'large part 0',
    'many parts 0',
    'segments 0',
    'segments 1',
    'segments 2',
  ])
  for (const { id, name, size, content } of items) {
    const lease = await outbox.lease(id)
    const { partBytes } = content as { partBytes: number }
    const read: Uint8Array[] = []
    for (let part = 0; part * partBytes < size; part++) {
      read.push((await lease!.readPart(part)).bytes)
    }
    expect(Buffer.concat(read).equals(Buffer.alloc(size, name))).toBe(true)
  }
})

test('segments are removed when all of their parts are dropped', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const chunk = Buffer.alloc(MIB, 'x')
  const pieces = Array.from({ length: 130 }, () => chunk)
  const [item] = await outbox.add([newItem('segments', pieces)])
  const lease = await outbox.lease(item?.id ?? '')
  const segments = async (): Promise<string[]> =>
    (await readdir(await contentFolderOf(path))).map((name) => name.split('.')[1] ?? '').toSorted()

  await lease?.dropParts(64 * MIB - 1)
  expect(await segments()).toEqual(['0', '1', '2'])
  await lease?.dropParts(64 * MIB)
  expect(await segments()).toEqual(['1', '2'])
  expect((await lease?.readPart(64))?.bytes.length).toBe(MIB)
  await lease?.dropParts(129 * MIB)
  expect(await segments()).toEqual(['2'])
  expect((await lease?.readPart(129))?.bytes.length).toBe(MIB)
  await lease?.dropParts(130 * MIB)
  expect(await segments()).toEqual([])

  await lease?.done()
  expect(await outbox.list()).toEqual([])
})

test('an outbox that is opened by a link to its file is the same', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await (await openSqliteOutbox({ path })).close()
  await symlink(path, folder.join('link.db'))
  await using outbox = await openSqliteOutbox({ path: folder.join('link.db') })
  const [item] = await outbox.add([newItem('large', [Buffer.alloc(2 * MIB, 'x')])])
  await outbox.close()

  await using same = await openSqliteOutbox({ path })

  await using lease = await same.lease(item?.id ?? '')
  expect((await lease?.readPart(1))?.bytes.length).toBe(MIB)
  expect(await folder.names()).not.toContain('link.db-content')
})

test('files that a crash has left are cleared away, those of others are not', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  {
    await using outbox = await openSqliteOutbox({ path })
    await outbox.add([newItem('large', [Buffer.alloc(2 * MIB)])])
  }
  const content = await contentFolderOf(path)
  const names = await readdir(content)
  const stray = '00000000-0000-4000-8000-000000000000'
  // The first cannot be removed as a file is.
  await mkdir(join(content, `${stray}.0`))
  await writeFile(join(content, `${stray}.1`), 'left')
  await writeFile(join(content, 'notes.txt'), 'of somebody')

  await using _outbox = await openSqliteOutbox({ path })

  const now = async (): Promise<string[]> => (await readdir(content)).toSorted()
  await expect.poll(now).toEqual([...names, `${stray}.0`, 'notes.txt'].toSorted())
})

test('another database in the same place leaves the files of the first alone', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const first = await openSqliteOutbox({ path })
  const [item] = await first.add([newItem('large', [Buffer.alloc(2 * MIB)])])
  await first.close()
  await rename(path, folder.join('away.db'))
  {
    await using other = await openSqliteOutbox({ path })
    const [another] = await other.add([newItem('large', [Buffer.alloc(3 * MIB)])])
    await other.remove(another?.id ?? '')
  }
  await rename(folder.join('away.db'), path)

  await using again = await openSqliteOutbox({ path })

  await using lease = await again.lease(item?.id ?? '')
  expect((await lease?.readPart(1))?.bytes.length).toBe(MIB)
})

test('the folder of files is made again when somebody has removed it', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const [first] = await outbox.add([newItem('first', [Buffer.alloc(2 * MIB)])])
  await outbox.remove(first?.id ?? '')
  await rm(`${path}-content`, { recursive: true })

  const [second] = await outbox.add([newItem('second', [Buffer.alloc(2 * MIB)])])

  await using lease = await outbox.lease(second?.id ?? '')
  expect((await lease?.readPart(1))?.bytes.length).toBe(MIB)
})

test('what another process has removed is cleared away by whoever is there', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  await outbox.add([newItem('large', [Buffer.alloc(2 * MIB)])])
  {
    using other = openDatabase(path)
    other.exec("UPDATE outbox_items SET state = 'gone'")
  }

  expect(await outbox.list()).toEqual([])

  const files = async (): Promise<string[]> => readdir(await contentFolderOf(path))
  await expect.poll(files).toEqual([])
})

test.runIf(process.platform === 'linux')(
  'an adding that the database refuses leaves no file open',
  async () => {
    await using folder = await TempDir.create()
    const path = folder.join('outbox.db')
    await using outbox = await openSqliteOutbox({ path })
    const large = newItem('large', [Buffer.alloc(2.5 * MIB)])
    const bad = { ...newItem('bad'), type: {} as string }

    await expect(outbox.add([large, bad])).rejects.toThrow('cannot be bound')

    const open = await readdir('/proc/self/fd')
    const targets = open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
    const left = (await Promise.all(targets)).filter((target) => target.includes(folder.path))
    expect(left.filter((target) => target.includes('-content'))).toEqual([])
  },
)

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
  'a lease of %s ms is refused, and nothing that is asked for beside it',
  async (durationMs) => {
    await using folder = await TempDir.create()
    await using outbox = await openSqliteOutbox({ path: folder.join('outbox.db') })
    const [a, b] = await outbox.add([newItem('a'), newItem('b')])
    await using lease = await outbox.lease(a?.id ?? '')

    const [refused, done] = await Promise.allSettled([
      outbox.lease(b?.id ?? '', { durationMs }),
      lease?.done(),
    ])

    expect(refused).toMatchObject({ reason: { option: 'durationMs' } })
    expect(done.status).toBe('fulfilled')
  },
)

test('content of a file that was changed, cut short or removed is not given', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  await using outbox = await openSqliteOutbox({ path })
  const [item] = await outbox.add([newItem('large', [Buffer.alloc(3 * MIB)])])
  await using lease = await outbox.lease(item?.id ?? '')
  const file = join(await contentFolderOf(path), `${item?.id}.0`)
  const damaged = { code: 'outbox-unusable', message: expect.stringContaining('Cannot read part') }

  await truncate(file, 2 * MIB + 5)
  expect((await lease?.readPart(1))?.bytes.length).toBe(MIB)
  await expect(lease?.readPart(2)).rejects.toMatchObject(damaged)
  await writeFile(file, Buffer.alloc(3 * MIB, 'x'))
  await expect(lease?.readPart(0)).rejects.toMatchObject(damaged)
  await rename(file, `${file}.away`)
  await expect(lease?.readPart(0)).rejects.toMatchObject(damaged)
  // It can be removed all the same.
  await lease?.done()
  expect(await outbox.list()).toEqual([])
})

test('an outbox of the first layout, with all content in rows, is used as it is', async () => {
  await using folder = await TempDir.create()
  const path = folder.join('outbox.db')
  const bytes = Buffer.concat([Buffer.alloc(MIB, 'a'), Buffer.alloc(MIB, 'b')])
  const outbox = await openSqliteOutbox({ path })
  const [item] = await outbox.add([newItem('old', [bytes])])
  await outbox.close()
  {
    using database = openDatabase(path)
    database.exec('ALTER TABLE outbox_layout DROP COLUMN content')
    for (const part of [0, 1]) {
      database
        .prepare('UPDATE outbox_parts SET bytes = ? WHERE part = ?')
        .run(bytes.subarray(part * MIB, (part + 1) * MIB), part)
    }
    database.exec('UPDATE outbox_layout SET version = 1')
  }
  await rename(`${path}-content`, folder.join('away'))

  await using now = await openSqliteOutbox({ path })

  const lease = await now.lease(item?.id ?? '')
  expect(
    digestOf(Buffer.concat([(await lease!.readPart(0)).bytes, (await lease!.readPart(1)).bytes])),
  ).toBe(digestOf(bytes))
  await lease?.dropParts(MIB)
  await lease?.done()
  expect(await now.list()).toEqual([])
  using database = openDatabase(path)
  expect(database.prepare('SELECT version FROM outbox_layout').get()).toEqual({ version: 2 })
})

test.runIf(process.env['FERRY_BIG'] !== undefined)(
  'an item of more than 4 GiB is kept in constant memory',
  { timeout: 600_000 },
  async () => {
    await using folder = await TempDir.create()
    await using outbox = await openSqliteOutbox({ path: folder.join('outbox.db') })
    const size = 4.25 * 1024 * MIB
    const chunk = Buffer.alloc(MIB, 'x')
    function* pieces(): Generator<Uint8Array> {
      for (let at = 0; at < size; at += MIB) yield chunk
    }
    const before = process.memoryUsage().rss

    const [item] = await outbox.add([newItem('huge', pieces())])

    expect(item?.size).toBe(size)
    expect(process.memoryUsage().rss - before).toBeLessThan(120 * MIB)
    const lease = await outbox.lease(item?.id ?? '')
    expect((await lease?.readPart(4351))?.offset).toBe(size - MIB)
    await lease?.done()
    expect(await outbox.list()).toEqual([])
  },
)

function newItem(name: string, pieces: Iterable<Uint8Array> = [Buffer.from(name)]): NewItem {
  return { name, content: { mode: 'stored', pieces } }
}

/** An item of two parts; the second comes when the gate is opened. */
function gatedItem(): { item: NewItem; reached: Promise<void>; open: () => void } {
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(3 * MIB)
    reached.resolve()
    await gate.promise
    yield Buffer.alloc(3 * MIB)
  }
  const item: NewItem = { name: 'gated', content: { mode: 'stored', pieces: pieces() } }
  return { item, reached: reached.promise, open: gate.resolve }
}

function openDatabase(path: string): DatabaseSync {
  return new DatabaseSync(path)
}

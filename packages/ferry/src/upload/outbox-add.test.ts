import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readlink, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { digestOf, TempDir } from '../../../../test/support/temp-dir.ts'
import { createMemoryOutbox } from './memory-outbox.ts'
import { addContent, addFile, addFolder } from './outbox-add.ts'

const MIB = 1_048_576

describe('addContent()', () => {
  const bytes = Buffer.from('bytes of any shape: ñ')

  test.each([
    ['text', () => bytes.toString()],
    ['a buffer', () => bytes],
    ['an ArrayBuffer', () => Uint8Array.from(bytes).buffer],
    ['a Blob', () => new Blob([bytes])],
    ['a list of pieces', () => [bytes.subarray(0, 3), bytes.subarray(3)]],
    ['a Node stream', () => Readable.from([bytes.subarray(0, 3), bytes.subarray(3)])],
    ['a WHATWG stream', () => new Blob([bytes]).stream()],
    ['a generator', () => [bytes][Symbol.iterator]()],
  ])('takes %s', async (_, content) => {
    await using outbox = createMemoryOutbox()

    const item = await addContent(outbox, 'name', content(), { type: 'text/plain', partBytes: 4 })

    expect(item).toMatchObject({
      name: 'name',
      type: 'text/plain',
      size: bytes.length,
      content: { mode: 'stored', partBytes: 4, sha256: digestOf(bytes) },
    })
    expect(await outbox.list()).toEqual([item])
  })

  test('nothing is added of a stream that breaks', async () => {
    await using outbox = createMemoryOutbox()
    const stream = new Readable({ read: () => stream.destroy(new Error('it broke')) })
    stream.push('some')

    await expect(addContent(outbox, 'a', stream)).rejects.toThrow('it broke')
    expect(await outbox.list()).toEqual([])
  })

  test('a stream that does not go on is let go of when the adding is aborted', async () => {
    await using outbox = createMemoryOutbox()
    const abort = new AbortController()
    const stream = new PassThrough()
    stream.write('some')

    const added = addContent(outbox, 'a', stream, {
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
      partBytes: 4,
    })

    await expect(added).rejects.toThrow('enough')
    expect(stream.destroyed).toBe(true)
    expect(await outbox.list()).toEqual([])
  })
})

describe('addFile()', () => {
  test('a file is added under its path, or under a name', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const bytes = Buffer.alloc(2.5 * MIB, 'abc')
    const path = await folder.write('naïve file', bytes)

    const item = await addFile(outbox, path, { metadata: { a: 'b' } })
    const named = await addFile(outbox, path, { name: 'n', partBytes: 1000 })

    expect(item).toMatchObject({
      name: path,
      size: bytes.length,
      metadata: { a: 'b' },
      content: { partBytes: MIB, sha256: digestOf(bytes) },
    })
    expect(named).toMatchObject({ name: 'n', content: { partBytes: 1000 } })
    const lease = await outbox.lease(named.id)
    expect((await lease?.readPart(2621))?.bytes.length).toBe(440)
  })

  test('an empty file is an item of no bytes', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('empty', '')

    const item = await addFile(outbox, path)

    expect(item).toMatchObject({ size: 0, content: { sha256: digestOf(Buffer.alloc(0)) } })
  })

  test('a reference leaves the bytes where they are, with or without a digest', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('a', 'text')

    const item = await addFile(outbox, path, { mode: 'reference' })
    const digested = await addFile(outbox, path, { mode: 'reference', digest: true })

    expect(item).toMatchObject({
      name: path,
      size: 4,
      content: { mode: 'reference', path, sha256: undefined },
    })
    expect(digested.content).toEqual({ ...item.content, sha256: digestOf(Buffer.from('text')) })
  })

  test('a file of 100 GB is referred to at once', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('sparse', '')
    await truncate(path, 100_000_000_000)

    expect((await addFile(outbox, path, { mode: 'reference' })).size).toBe(100_000_000_000)
  })

  test.runIf(process.platform === 'linux')('a file that was read is closed', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('a', Buffer.alloc(100_000))

    await addFile(outbox, path)
    await addFile(outbox, path, { mode: 'reference', digest: true })

    const open = await readdir('/proc/self/fd')
    const paths = await Promise.all(
      open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    )
    expect(paths).not.toContain(path)
  })

  test.each(['stored', 'reference'] as const)(
    'a file that changes while it is read is not added (%s)',
    async (mode) => {
      await using folder = await TempDir.create()
      await using outbox = createMemoryOutbox()
      const path = await folder.write('a', Buffer.alloc(3 * MIB))
      const added = addFile(outbox, path, { mode, digest: true })
      // Whether it comes before, in the middle or after, it is never a mixture.
      const refused = added.then(
        ({ size }) => expect(size).toBe(3 * MIB + 1),
        (error: unknown) => expect(error).toMatchObject({ code: 'source-changed' }),
      )
      await writeFile(path, Buffer.alloc(1), { flag: 'a' })

      await refused
    },
  )

  test('a change between two parts is found', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('a', Buffer.alloc(3 * MIB))
    let told = 0

    const added = addFile(outbox, path, {
      onProgress: () => {
        if (++told === 1) execFileSync('touch', ['-d', '2001-01-01', path])
      },
    })

    await expect(added).rejects.toMatchObject({ code: 'source-changed' })
    expect(await outbox.list()).toEqual([])
  })

  test.each([
    ['nothing', 'none', 'there is no such file'],
    ['a folder', '.', 'not a regular file'],
    ['something below a file', 'file/x', 'it is no folder'],
  ])('%s cannot be added', async (_, name, reason) => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    await folder.write('file', '')

    const added = addFile(outbox, folder.join(name))

    await expect(added).rejects.toMatchObject({ code: 'config' })
    await expect(added).rejects.toThrow(reason)
  })
})

describe('addFolder()', () => {
  test('every file is added, in the order of the names, under the name of the folder', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    await mkdir(folder.join('b/deep'), { recursive: true })
    await mkdir(folder.join('empty'))
    await folder.write('b/deep/ü.txt', '3')
    await folder.write('b/2', '22')
    await folder.write('a', '1')
    await folder.write('c', '')

    const items = await addFolder(outbox, folder.path)

    const expected = ['a', 'b/2', 'b/deep/ü.txt', 'c'].map((name) => `${folder.name}/${name}`)
    expect(items.map(({ name }) => name)).toEqual(expected)
    expect(items.map(({ size }) => size)).toEqual([1, 2, 1, 0])
    expect(await outbox.list()).toEqual(items)
  })

  test('names in any script go over as they are', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const names = ['日本語', 'עברית', 'русский', 'e\u0301', 'é', '👩‍👩‍👧', ' ', 'a\nb', '%41', 'a\\b']
    for (const name of names) await folder.write(name, name)

    const items = await addFolder(outbox, folder.path, { name: 'n', mode: 'reference' })

    expect(new Set(items.map(({ name }) => name))).toEqual(
      new Set(names.map((name) => `n/${name}`)),
    )
  })

  test('links to files are followed; links to folders, and what is no file, are told', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    await mkdir(folder.join('in'))
    const target = await folder.write('target', 'text')
    await symlink(target, folder.join('in/file'))
    await symlink(folder.path, folder.join('in/loop'))
    await symlink(folder.join('none'), folder.join('in/nothing'))
    const server = createServer().listen(folder.join('in/socket'))
    await once(server, 'listening')
    using closing = new DisposableStack()
    closing.defer(() => server.close())
    const skipped: string[] = []

    const items = await addFolder(outbox, folder.join('in'), {
      onSkip: (path) => skipped.push(basename(path)),
    })

    expect(items.map(({ name, size }) => [name, size])).toEqual([['in/file', 4]])
    expect(skipped).toEqual(['loop', 'nothing', 'socket'])
  })

  test('all files are added or none', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    await folder.write('a', 'a')
    await folder.write('b', 'b')

    const added = addFolder(outbox, folder.path, {
      onProgress: (name) => {
        if (name.endsWith('/b')) throw new Error('stop')
      },
    })

    await expect(added).rejects.toThrow('stop')
    expect(await outbox.list()).toEqual([])
  })

  test('what is no folder, and a name that is no text, cannot be added', async () => {
    await using folder = await TempDir.create()
    await using outbox = createMemoryOutbox()
    const path = await folder.write('file', '')
    const refused = { code: 'config', option: 'path' }

    await expect(addFolder(outbox, path)).rejects.toMatchObject(refused)
    await expect(addFolder(outbox, folder.join('none'))).rejects.toMatchObject(refused)
    await mkdir(folder.join('in'))
    await writeFile(Buffer.concat([Buffer.from(`${folder.join('in')}/`), Buffer.of(0xff)]), '')
    await expect(addFolder(outbox, folder.join('in'))).rejects.toMatchObject(refused)
  })
})

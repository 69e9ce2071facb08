import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempDisposable, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestFile, FileDigest } from './file-digest.ts'

const run = promisify(execFile)
const MODULE = new URL('./file-digest.ts', import.meta.url).href
const SMALL = randomBytes(300_000)
// Worth a thread.
const LARGE = randomBytes(20_000_003)
const digest = (bytes: Uint8Array, algorithm = 'sha256'): string =>
  createHash(algorithm).update(bytes).digest('hex')

let folder: Awaited<ReturnType<typeof mkdtempDisposable>>
beforeAll(async () => {
  folder = await mkdtempDisposable(join(tmpdir(), 'ferry-digest-'))
  await writeFile(join(folder.path, 'small'), SMALL)
  await writeFile(join(folder.path, 'large'), LARGE)
})
afterAll(() => folder.remove())

describe.each([
  ['small', SMALL],
  ['large', LARGE],
])('a %s file', (name, content) => {
  const openDigest = (): FileDigest =>
    FileDigest.open({ path: join(folder.path, name), algorithms: ['sha256', 'md5'] })

  test('digestFile() gives the digest of the whole file and tells how far it is', async () => {
    const progress: number[] = []

    const actual = await digestFile(join(folder.path, name), 'sha256', {
      onProgress: (bytes) => progress.push(bytes),
    })

    expect(actual).toBe(digest(content))
    expect(progress.at(-1)).toBe(content.length)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
  })

  test('digestFile() stops when aborted, before and in between', async () => {
    const path = join(folder.path, name)
    const aborting = new AbortController()
    const reason = new Error('enough')

    const before = digestFile(path, 'sha256', { signal: AbortSignal.abort(reason) })
    const between = digestFile(path, 'sha256', {
      signal: aborting.signal,
      onProgress: () => aborting.abort(reason),
    })

    await expect(before).rejects.toBe(reason)
    await expect(between).rejects.toBe(reason)
  })

  test('FileDigest gives digests of a file that grows', async () => {
    const path = join(folder.path, `${name}-growing`)
    await using file = await open(path, 'w')
    await using digests = FileDigest.open({ path, algorithms: ['sha256', 'md5'] })

    for (let end = 0; end < content.length;) {
      const { bytesWritten } = await file.write(
        content,
        end,
        Math.min(99_999, content.length - end),
      )
      end += bytesWritten
      digests.advance(end)
    }

    expect(await digests.finish(content.length)).toEqual(
      new Map([
        ['sha256', digest(content)],
        ['md5', digest(content, 'md5')],
      ]),
    )
  })

  test('FileDigest gives digests of slices', async () => {
    await using digests = openDigest()
    const start = content.length - 100_000

    const actual = await digests.digestSpan('sha1', { start, end: content.length })

    expect(actual).toBe(digest(content.subarray(start), 'sha1'))
  })

  test('an abort ends the wait, and the digest can be asked for again', async () => {
    await using digests = openDigest()
    const aborting = new AbortController()
    const reason = new Error('enough')
    const { signal } = aborting

    const finish = digests.finish(content.length, { signal })
    const slice = digests.digestSpan('md5', { start: 0, end: content.length }, { signal })
    aborting.abort(reason)

    await expect(finish).rejects.toBe(reason)
    await expect(slice).rejects.toBe(reason)
    await expect(digests.finish(content.length, { signal })).rejects.toBe(reason)
    digests.reset()
    expect((await digests.finish(content.length)).get('sha256')).toBe(digest(content))
  })

  test('close() ends what is under way, more than once and at any time', async () => {
    const digests = openDigest()
    const finish = digests.finish(content.length)
    const rejection = expect(finish).rejects.toThrow('Cannot give a digest')

    await Promise.all([digests.close(), digests.close()])

    await rejection
    await expect(digests.finish(1)).rejects.toThrow('it was closed')
    digests.advance(content.length)
    digests.reset()
    await digests.close()
  })
})

/** A large file in a state of its own, and when the beginning of it has been hashed. */
async function openGrowing(content: Uint8Array): Promise<
  AsyncDisposable & {
    readonly path: string
    readonly digests: FileDigest
    readonly begun: Promise<void>
  }
> {
  const path = join(folder.path, 'growing')
  await writeFile(path, content)
  const begun = Promise.withResolvers<void>()
  const digests = FileDigest.open({
    path,
    algorithms: ['sha256'],
    onProgress: () => begun.resolve(),
  })
  return {
    path,
    digests,
    begun: begun.promise,
    [Symbol.asyncDispose]: () => digests.close(),
  }
}

test('FileDigest hashes a large file while it grows, and what it has hashed once only', async () => {
  await using growing = await openGrowing(LARGE)
  await using file = await open(growing.path, 'r+')

  growing.digests.advance(LARGE.length - 1)
  await growing.begun
  await file.write(Buffer.alloc(100), 0, 100, 0)

  expect((await growing.digests.finish(LARGE.length)).get('sha256')).toBe(digest(LARGE))
})

test('FileDigest hashes a large file again after a reset, by its path', async () => {
  await using growing = await openGrowing(randomBytes(LARGE.length))

  growing.digests.advance(LARGE.length)
  await growing.begun
  await rm(growing.path)
  await writeFile(growing.path, LARGE)
  growing.digests.reset()
  growing.digests.advance(LARGE.length - 1)

  expect((await growing.digests.finish(LARGE.length)).get('sha256')).toBe(digest(LARGE))
})

test('digestFile() reads what has an end but no size', async () => {
  const { stdout } = await run('sha256sum', ['/proc/version'])

  expect(stdout).toContain(await digestFile('/proc/version', 'sha256'))
})

test('digestFile() says why a file cannot be read', async () => {
  const path = join(folder.path, 'none')

  await expect(digestFile(path, 'md5')).rejects.toEqual(
    expect.objectContaining({
      code: 'disk-failed',
      message: `Cannot read ${path}: there is no such file`,
    }),
  )
})

/** Runs a program that has FileDigest and digestFile, and the path of the large file. */
async function runProgram(code: string, flags: readonly string[] = []): Promise<string> {
  const program = `
    const { FileDigest, digestFile } = await import(${JSON.stringify(MODULE)})
    const path = ${JSON.stringify(join(folder.path, 'large'))}
    ${code}`
  const args = [...flags, '--input-type=module', '--eval', program]
  const { stdout } = await run(process.execPath, args)
  return stdout.trim()
}

test('a process does not end before a digest that is awaited', async () => {
  const stdout = await runProgram(`
    const digest = FileDigest.open({ path, algorithms: ['sha256'] })
    await digest.digestSpan('sha256', { start: ${LARGE.length - 1}, end: ${LARGE.length} })
    console.log((await digest.finish(${LARGE.length})).get('sha256'))`)

  expect(stdout).toBe(digest(LARGE))
})

test.each([
  ['before one was awaited', ''],
  ['after one was awaited', `await digest.digestSpan('md5', { start: 0, end: ${LARGE.length} })`],
])('a process ends by itself while others are computed, %s', async (_name, code) => {
  const stdout = await runProgram(`
    const digest = FileDigest.open({ path, algorithms: ['sha256'] })
    ${code}
    digest.advance(${LARGE.length})
    console.log('end')`)

  expect(stdout).toBe('end')
})

test('close() ends the thread', async () => {
  const stdout = await runProgram(`
    const { readdirSync } = await import('node:fs')
    const threads = []
    for (let round = 0; round < 3; round++) {
      const digest = FileDigest.open({ path, algorithms: ['sha256'] })
      await digest.digestSpan('md5', { start: 0, end: ${LARGE.length} })
      await digest.close()
      threads.push(readdirSync('/proc/self/task').length)
    }
    console.log(threads[2] - threads[0])`)

  expect(stdout).toBe('0')
})

test('where threads are forbidden, the digest is the same', async () => {
  const stdout = await runProgram(`console.log(await digestFile(path, 'sha256'))`, [
    '--permission',
    '--allow-fs-read=*',
  ])

  expect(stdout).toBe(digest(LARGE))
})

test('neither threads nor hash functions are loaded before they are needed', async () => {
  const stdout = await runProgram(`
    FileDigest.open({ path, algorithms: ['sha256'] }).advance(1000)
    console.log(process.moduleLoadList.filter((name) => /NativeModule (crypto|worker_threads)$/.test(name)))`)

  expect(stdout).toBe('[]')
})

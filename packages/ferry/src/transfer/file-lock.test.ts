import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileLock } from './file-lock.ts'

const MODULE = new URL('./file-lock.ts', import.meta.url).href

class TempFolder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async create(): Promise<TempFolder> {
    return new TempFolder(await mkdtemp(join(tmpdir(), 'ferry-lock-')))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true })
  }
}

function runChild(script: string, ...args: string[]): ChildProcess {
  const source = `const { FileLock } = await import(process.argv[1])\n${script}`
  return spawn(process.execPath, ['--input-type=module', '-e', source, MODULE, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function exited(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve))
}

function firstOutput(child: ChildProcess): Promise<string> {
  return new Promise((resolve) =>
    child.stdout?.once('data', (bytes: Buffer) => resolve(String(bytes))),
  )
}

test('FileLock is held by one at a time within a process', async () => {
  await using folder = await TempFolder.create()
  const path = join(folder.path, 'a.lock')
  await using _held = await FileLock.take(path)

  await expect(FileLock.take(path)).rejects.toMatchObject({ code: 'locked' })
  await expect(FileLock.take(path)).rejects.toMatchObject({ code: 'locked' })
})

test('FileLock.release() removes the file and lets the next one in', async () => {
  await using folder = await TempFolder.create()
  const path = join(folder.path, 'a.lock')
  const held = await FileLock.take(path)

  await held.release()
  await held.release()

  expect(await readdir(folder.path)).toEqual([])
  await using _next = await FileLock.take(path)
})

test('FileLock is given back by the system when its holder is killed', async () => {
  await using folder = await TempFolder.create()
  const path = join(folder.path, 'a.lock')
  const child = runChild(
    `
    globalThis.held = await FileLock.take(process.argv[2])
    process.stdout.write('held')
    setInterval(() => {}, 1000)
  `,
    path,
  )
  expect(await firstOutput(child)).toBe('held')
  await expect(FileLock.take(path)).rejects.toMatchObject({ code: 'locked' })

  child.kill('SIGKILL')
  await exited(child)

  await using _next = await FileLock.take(path)
})

test('FileLock takes a file over that was left behind', async () => {
  await using folder = await TempFolder.create()
  const path = join(folder.path, 'a.lock')
  await writeFile(path, '')

  await using _held = await FileLock.take(path)

  await expect(FileLock.take(path)).rejects.toMatchObject({ code: 'locked' })
})

test('FileLock.isHeld() sees that its file was removed, and leaves another one alone', async () => {
  await using folder = await TempFolder.create()
  const path = join(folder.path, 'a.lock')
  const first = await FileLock.take(path)
  expect(await first.isHeld()).toBe(true)
  await rm(path)
  expect(await first.isHeld()).toBe(false)
  await using second = await FileLock.take(path)

  expect(await first.isHeld()).toBe(false)
  await first.release()

  expect(await second.isHeld()).toBe(true)
  await expect(FileLock.take(path)).rejects.toMatchObject({ code: 'locked' })
})

test('FileLock says that a name or path is too long', async () => {
  await using folder = await TempFolder.create()
  const deep = join(folder.path, ...Array.from({ length: 5 }, () => 'x'.repeat(100)))
  await mkdir(deep, { recursive: true })

  for (const path of [join(folder.path, 'x'.repeat(256)), join(deep, 'a.lock')]) {
    await expect(FileLock.take(path)).rejects.toMatchObject({ code: 'ENAMETOOLONG' })
  }
})

test('FileLock takes the longest path that it lets pass', async () => {
  await using folder = await TempFolder.create()
  const deep = join(folder.path, 'x'.repeat(200), 'y'.repeat(180))
  await mkdir(deep, { recursive: true })
  const path = join(deep, 'z'.repeat(504 - deep.length - 1))

  await using lock = await FileLock.take(path)

  expect(await lock.isHeld()).toBe(true)
  await expect(FileLock.take(`${path}z`)).rejects.toMatchObject({ code: 'ENAMETOOLONG' })
})

test('FileLock surfaces that its folder is not there', async () => {
  await expect(FileLock.take('/nowhere/a.lock')).rejects.toThrow(/unable to open/)
})

test('FileLock is never held by two processes, however they race', async () => {
  await using folder = await TempFolder.create()
  const path = join(folder.path, 'a.lock')
  const flag = join(folder.path, 'inside')
  const wins = join(folder.path, 'wins')
  await writeFile(wins, '')
  // Whoever holds the lock makes a file that must not be there yet.
  const script = `
    const { appendFileSync, openSync, closeSync, statSync, unlinkSync } = await import('node:fs')
    const [path, flag, wins] = process.argv.slice(2)
    const end = Date.now() + 1500
    while (Date.now() < end || statSync(wins).size <= 20) {
      const lock = await FileLock.take(path).catch((error) => {
        if (error.code !== 'locked') throw error
      })
      if (lock === undefined) continue
      closeSync(openSync(flag, 'wx'))
      appendFileSync(wins, '.')
      await new Promise((resolve) => setTimeout(resolve, 1))
      unlinkSync(flag)
      await lock.release()
    }
  `

  const codes = await Promise.all(
    Array.from({ length: 5 }, () => exited(runChild(script, path, flag, wins))),
  )

  expect(codes).toEqual([0, 0, 0, 0, 0])
  expect((await readFile(wins, 'utf8')).length).toBeGreaterThan(20)
  expect(await readdir(folder.path)).toEqual(['wins'])
})

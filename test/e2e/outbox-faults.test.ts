/**
 * What befalls `ferry put` and its outbox: killed commands, sources that change or go, disks that are
 * full at either end, a database that another process keeps to itself, a clock that is wrong. The same
 * command has to bring it to its end, once and whole.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { ReceiveChild } from '../support/receive-child.ts'
import {
  type FerryExit,
  type FerryOptions,
  FerryProcess,
  parseEvents,
  runFerry,
} from '../support/run-ferry.ts'
import { ReceiveProcess } from '../support/run-receive.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = randomBytes(5 * MIB)
/** So slow that there is time to do something meanwhile. */
const SLOWLY = ['--limit-rate', '1M']

/** Where somebody sends from, and a server. */
class PutSite implements AsyncDisposable {
  /** The sender's home, with the file and the outbox. */
  readonly home: TempDir
  readonly received: TempDir
  readonly #server: ReceiveProcess

  private constructor(home: TempDir, received: TempDir, server: ReceiveProcess) {
    this.home = home
    this.received = received
    this.#server = server
  }

  static async open(): Promise<PutSite> {
    const home = await TempDir.create()
    await home.write('file.bin', CONTENT)
    const received = await TempDir.create()
    return new PutSite(home, received, await ReceiveProcess.start(received.path))
  }

  start(args: readonly string[], options: Omit<FerryOptions, 'cwd'> = {}): FerryProcess {
    const url = `${this.#server.url}/${args.includes('indexedcp') ? 'upload' : 'files'}`
    return new FerryProcess(['put', '--json', ...args, 'file.bin', url], {
      ...options,
      cwd: this.home.path,
      env: { HOME: this.home.path, ...options.env },
    })
  }

  /** Kills the command when some of the file has come, and not all. */
  async startAndKill(args: readonly string[], env: FerryOptions['env'] = {}): Promise<void> {
    await using run = this.start([...args, ...SLOWLY], { env })
    await this.#server.process.event(({ receivedBytes }) => Number(receivedBytes) > 0)
    run.kill('SIGKILL')
    expect((await run.exit).signal).toBe('SIGKILL')
    expect(this.states()).toEqual(['there'])
  }

  /** Of each row of the outbox: `adding`, `there` or `gone`. */
  states(): unknown[] {
    using database = new DatabaseSync(this.outboxPath, { readOnly: true })
    const rows = database.prepare('SELECT state FROM outbox_items').all()
    return rows.map(({ state }) => state)
  }

  get outboxPath(): string {
    return this.home.join('.indexcp/ferry.db')
  }

  /** It is there once, and nothing is left to be sent. */
  async expectDelivered(content: Buffer = CONTENT): Promise<void> {
    expect(await this.received.names()).toEqual(['.ferry', 'file.bin'])
    expect(await this.received.digest('file.bin')).toBe(digestOf(content))
    expect(this.states()).toEqual([])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
    await this.received[Symbol.asyncDispose]()
    await this.home[Symbol.asyncDispose]()
  }
}

/** What a run that has gone well has told last. */
function resumedBytesOf({ exitCode, stdout }: FerryExit): unknown {
  expect(exitCode).toBe(0)
  return parseEvents(stdout).at(-1)?.['resumedBytes']
}

/** What a run that has failed has told last. */
function failureOf({ exitCode, stdout }: FerryExit): unknown {
  const last = parseEvents(stdout).at(-1)
  return { exitCode, event: last?.event, code: last?.['code'], message: last?.['message'] }
}

function failureLike(exitCode: number, code: string, words: string): unknown {
  return { exitCode, event: 'failed', code, message: expect.stringContaining(words) }
}

/** The clock of a process is wrong by so many days. */
function withClock(days: number): Record<string, string> {
  const script = `const now = Date.now; Date.now = () => now() + ${days * 86_400_000}`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` }
}

/** Of a process of the test's own user. */
async function listOpenFiles(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`
  const links = (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => ''))
  return await Promise.all(links)
}

describe.concurrent('ferry put', () => {
  test.each([
    { protocol: 'tus', more: [] },
    { protocol: 'ietf', more: [] },
    { protocol: 'indexedcp', more: ['--chunk-size', '256K'] },
    { protocol: 'indexedcp', more: ['--chunk-size', '256K', '--copy'] },
  ])('goes on after kill -9: $protocol $more', async ({ protocol, more }) => {
    await using site = await PutSite.open()
    const args = ['--protocol', protocol, ...more]
    await site.startAndKill(args)

    const run = await site.start(args).exit

    expect(resumedBytesOf(run)).toBeGreaterThan(0)
    await site.expectDelivered()
  })

  test('leaves what it has begun to ferry outbox send', async () => {
    await using site = await PutSite.open()
    await site.startAndKill([])

    const { path } = site.home
    const run = await runFerry(['outbox', 'send', '--json'], { cwd: '/', env: { HOME: path } })

    expect(resumedBytesOf(run)).toBeGreaterThan(0)
    await site.expectDelivered()
  })

  test('sends a file that has changed since then anew', async () => {
    await using site = await PutSite.open()
    await site.startAndKill([])
    const other = randomBytes(CONTENT.length)
    await site.home.write('file.bin', other)

    const run = await site.start([]).exit

    expect(resumedBytesOf(run)).toBe(0)
    await site.expectDelivered(other)
  })

  test('sends nothing of two versions of a file', async () => {
    await using site = await PutSite.open()
    const running = site.start(SLOWLY)
    await running.event(({ event, sentBytes }) => event === 'progress' && Number(sentBytes) > 0)
    const other = randomBytes(CONTENT.length)
    await site.home.write('file.bin', other)

    const failed = await running.exit
    expect(failureOf(failed)).toEqual(failureLike(10, 'source-changed', 'has changed'))
    expect(await site.received.names()).toEqual(['.ferry'])
    const run = await site.start([]).exit

    expect(run.exitCode).toBe(0)
    await site.expectDelivered(other)
  })

  test('says that a file is gone, and goes on when it is back', async () => {
    await using site = await PutSite.open()
    await site.startAndKill([])
    await rename(site.home.join('file.bin'), site.home.join('elsewhere.bin'))

    const failed = await site.start([]).exit
    expect(failureOf(failed)).toEqual(failureLike(2, 'config', 'there is no such file'))
    expect(site.states()).toEqual(['there'])
    await rename(site.home.join('elsewhere.bin'), site.home.join('file.bin'))
    const run = await site.start([]).exit

    expect(resumedBytesOf(run)).toBeGreaterThan(0)
    await site.expectDelivered()
  })

  test('goes on whatever the clock says', async () => {
    await using site = await PutSite.open()
    await site.startAndKill([], withClock(4000))

    const run = await site.start([], { env: withClock(-4000) }).exit

    expect(resumedBytesOf(run)).toBeGreaterThan(0)
    await site.expectDelivered()
  })

  test('keeps nothing of what its disk has no room for', async () => {
    await using site = await PutSite.open()
    // A limit on the size of files stands in for a disk: the system refuses the write in the same place.
    const shell = 'ulimit -f 4096; exec "$@"'

    const failed = await site.start(['--copy'], { shell }).exit
    expect(failureOf(failed)).toEqual(failureLike(14, 'no-space', 'outbox'))
    expect(site.states()).not.toContain('there')
    expect(await site.received.names()).toEqual(['.ferry'])
    const run = await site.start(['--copy']).exit

    expect(run.exitCode).toBe(0)
    await site.expectDelivered()
  })

  test('waits for another process that has the database, and not for ever', async (context) => {
    await using site = await PutSite.open()
    expect((await site.start([]).exit).exitCode).toBe(0)
    await site.received.remove('file.bin')
    using database = new DatabaseSync(site.outboxPath)
    database.exec('BEGIN IMMEDIATE')

    const failed = await site.start([]).exit
    expect(failureOf(failed)).toEqual(failureLike(16, 'locked', 'another process'))
    const running = site.start([])
    await context.expect.poll(() => listOpenFiles(running.pid)).toContain(site.outboxPath)
    database.exec('COMMIT')

    expect((await running.exit).exitCode).toBe(0)
    await site.expectDelivered()
  })
})

/** Runs a command that sees a small file system in place of a folder, and nobody else does. */
function onSmallDisk(folder: string): string[] {
  const mount = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
  return ['unshare', '--map-root-user', '--mount', 'sh', '-c', mount, folder]
}

const [unshare, ...mountOptions] = [...onSmallDisk('/mnt'), 'true']
const isMountPermitted = spawnSync(unshare, mountOptions).status === 0

describe.runIf(isMountPermitted)('ferry put and a full disk', () => {
  test('of the outbox: goes on when there is room again', async () => {
    await using site = await PutSite.open()
    await mkdir(site.home.join('.indexcp'))
    const script = [
      'cd "$HOME/.indexcp" && mount -t tmpfs -o size=6m tmpfs . && cd "$HOME"',
      '"$@"; [ $? = 14 ] || exit 99',
      'mount -o remount,size=64m "$HOME/.indexcp"',
      'exec "$@"',
    ].join('; ')
    const shell = `exec unshare --map-root-user --mount sh -c '${script}' sh "$@"`

    const run = await site.start(['--copy'], { shell }).exit

    const codes = parseEvents(run.stdout).flatMap(({ code }) => (code === undefined ? [] : [code]))
    expect(codes).toEqual(['no-space'])
    expect(run.exitCode).toBe(0)
    expect(await site.received.digest('file.bin')).toBe(digestOf(CONTENT))
  })

  test('of the server: goes on when there is room again', async () => {
    await using home = await TempDir.create()
    await home.write('file.bin', CONTENT)
    await using dir = await TempDir.create()
    const limits = { reserveBytes: 0 }
    await using server = await ReceiveChild.start(dir.path, { limits }, onSmallDisk(dir.path))
    const folder = `/proc/${server.pid}/root${dir.path}`
    const args = ['put', '--json', '--chunk-size', '256K', 'file.bin', `${server.url}/upload`]
    const options = { cwd: home.path, env: { HOME: home.path } }
    await using running = new FerryProcess([...args, ...SLOWLY], options)
    await running.event(({ acknowledgedBytes }) => Number(acknowledgedBytes) > 0)
    await writeFile(join(folder, 'other'), Buffer.alloc(8 * MIB)).catch(() => {})

    expect(failureOf(await running.exit)).toEqual(failureLike(8, 'http-status', 'no room'))
    expect((await readdir(folder)).toSorted()).toEqual(['.ferry', 'other'])
    await rm(join(folder, 'other'))
    const run = await runFerry(args, options)

    expect(resumedBytesOf(run)).toBeGreaterThan(0)
    expect((await readFile(join(folder, 'file.bin'))).equals(CONTENT)).toBe(true)
    expect((await readdir(folder)).toSorted()).toEqual(['.ferry', 'file.bin'])
  })
})

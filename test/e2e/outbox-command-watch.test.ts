/** `ferry outbox watch`: each version of a file once, whatever happens to the folder and the command. */
import { randomBytes } from 'node:crypto'
import { appendFile, link, mkdir, readdir, rename, rm, symlink, unlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type FerryExit, FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { ReceiveProcess } from '../support/run-receive.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(2_500_000)

/** A folder `w` that is watched, one `in` that is received into, and the home of both commands. */
class WatchSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly server: ReceiveProcess

  private constructor(dir: TempDir, server: ReceiveProcess) {
    this.dir = dir
    this.server = server
  }

  static async open(...args: string[]): Promise<WatchSite> {
    const dir = await TempDir.create()
    await mkdir(dir.join('w'))
    return new WatchSite(dir, await ReceiveProcess.start(dir.path, ['-d', 'in', ...args]))
  }

  get url(): string {
    return `${this.server.url}/files`
  }

  /** Watches with the shortest time to rest. */
  watch(...args: string[]): FerryProcess {
    const all = ['outbox', 'watch', '--json', '--settle', '1', ...args, 'w', this.url]
    return new FerryProcess(all, this.options)
  }

  get options(): { cwd: string; env: Record<string, string> } {
    return { cwd: this.dir.path, env: { HOME: this.dir.path } }
  }

  /** Names of what has arrived, sorted. */
  async arrived(): Promise<string[]> {
    const names = await readdir(this.dir.join('in'))
    return names.filter((name) => !name.startsWith('.')).sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
    await this.dir[Symbol.asyncDispose]()
  }
}

async function sent(watch: FerryProcess, name: string, count = 1): Promise<void> {
  const times = (): number =>
    watch.events.filter((event) => event.event === 'completed' && event['name'] === name).length
  await watch.event(() => times() >= count)
}

async function stop(watch: FerryProcess): Promise<FerryExit> {
  watch.kill('SIGINT')
  return await watch.exit
}

describe.concurrent('ferry outbox watch', () => {
  test('sends what is there and what comes, but nothing that is not whole or no file', async () => {
    await using site = await WatchSite.open()
    const { dir } = site
    await dir.write('w/there.txt', 'there')
    await dir.write('w/.hidden', 'x')
    await dir.write('w/later.part', 'later')
    await mkdir(dir.join('w/sub'))
    await symlink('nowhere', dir.join('w/broken'))
    await symlink('sub', dir.join('w/link-to-folder'))
    await symlink(dir.join('w/there.txt'), dir.join('w/link.txt'))
    await using watch = site.watch()
    await sent(watch, 'there.txt')
    await sent(watch, 'link.txt')

    await dir.write('w/sub/new.txt', 'new')
    await dir.write('w/zwei\nZeilen', '')
    await rename(dir.join('w/later.part'), dir.join('w/later.txt'))
    await mkdir(dir.join('w/sub/deep'))
    await dir.write('w/sub/deep/deepest.txt', 'deep')
    for (const name of ['sub/new.txt', 'zwei\nZeilen', 'later.txt', 'sub/deep/deepest.txt']) {
      await sent(watch, name)
    }

    expect((await stop(watch)).exitCode).toBe(0)
    const names = ['deepest.txt', 'later.txt', 'link.txt', 'new.txt', 'there.txt', 'zwei_Zeilen']
    expect(await site.arrived()).toEqual(names)
  })

  test('waits until a file does not grow any more, and sends a change as a new version', async () => {
    await using site = await WatchSite.open()
    const { dir } = site
    // Much longer than a busy machine keeps the test from the next line.
    await using watch = site.watch('--settle', '5')
    for (let line = 0; line < 8; line++) {
      await appendFile(dir.join('w/growing.log'), `line ${line}\n`)
      await sleep(100)
    }
    await sent(watch, 'growing.log')

    await dir.write('w/growing.log', 'all new')
    await sent(watch, 'growing.log', 2)

    expect((await stop(watch)).exitCode).toBe(0)
    expect(await site.arrived()).toEqual(['growing (1).log', 'growing.log'])
    expect((await dir.read('in/growing.log')).toString()).toMatch(/^line 0\n[^]*line 7\n$/)
    expect((await dir.read('in/growing (1).log')).toString()).toBe('all new')
  })

  test('sends no version twice: not after a restart, nor under a new name', async () => {
    await using site = await WatchSite.open()
    const { dir } = site
    for (const name of ['a.txt', 'b.txt']) await dir.write(`w/${name}`, name)
    {
      await using watch = site.watch()
      await sent(watch, 'a.txt')
      await sent(watch, 'b.txt')
      await stop(watch)
    }

    await rename(dir.join('w/b.txt'), dir.join('w/renamed.txt'))
    await dir.write('w/meanwhile.txt', 'meanwhile')
    await link(dir.join('w/a.txt'), dir.join('w/linked.txt'))
    await using watch = site.watch()
    await sent(watch, 'meanwhile.txt')
    await sent(watch, 'linked.txt')

    await stop(watch)
    expect(await site.arrived()).toEqual(['a.txt', 'b.txt', 'linked.txt', 'meanwhile.txt'])
  })

  test('goes on after kill -9 where the server is, and delivers once', async () => {
    await using site = await WatchSite.open('--limit-rate', '1M')
    await site.dir.write('w/a.bin', CONTENT)
    {
      await using killed = site.watch()
      await site.server.process.event(
        ({ event, receivedBytes }) => event === 'progress' && (receivedBytes as number) > 0,
      )
      killed.kill('SIGKILL')
    }

    await using watch = site.watch()
    await sent(watch, 'a.bin')

    const completed = watch.events.find(({ event }) => event === 'completed')
    expect(completed?.['resumedBytes']).toBeGreaterThan(0)
    await stop(watch)
    expect(await site.arrived()).toEqual(['a.bin'])
    expect(await site.dir.digest('in/a.bin')).toBe(digestOf(CONTENT))
  })

  test('leaves at Ctrl-C what the next run goes on with, or ferry outbox send', async () => {
    await using site = await WatchSite.open('--limit-rate', '1M')
    const { dir, options } = site
    await dir.write('w/a.bin', CONTENT)
    await using watch = site.watch()
    await site.server.process.event(({ event }) => event === 'progress')

    const { exitCode } = await stop(watch)
    const list = await runFerry(['outbox', 'list', '--json'], options)
    const send = await runFerry(['outbox', 'send'], options)
    await using again = site.watch()
    await dir.write('w/b.txt', 'text')
    await sent(again, 'b.txt')

    expect(exitCode).toBe(0)
    expect(parseEvents(list.stdout)).toMatchObject([{ name: 'a.bin', path: dir.join('w/a.bin') }])
    expect(send.exitCode).toBe(0)
    await stop(again)
    expect(await site.arrived()).toEqual(['a.bin', 'b.txt'])
  })

  test('sends what takes the place of a file that changes, goes or is renamed on its way', async () => {
    await using site = await WatchSite.open('--limit-rate', '500K')
    const { dir } = site
    for (const name of ['changed', 'gone', 'renamed']) await dir.write(`w/${name}`, CONTENT)
    await using watch = site.watch()
    for (const name of ['changed', 'gone', 'renamed']) {
      await watch.event((event) => event.event === 'started' && event['name'] === name)
    }

    await dir.write('w/changed', 'changed')
    await unlink(dir.join('w/gone'))
    await rename(dir.join('w/renamed'), dir.join('w/new-name'))
    await sent(watch, 'changed')
    await sent(watch, 'new-name')

    const { exitCode, stdout } = await stop(watch)
    expect(exitCode).toBe(0)
    expect(parseEvents(stdout).filter(({ event }) => event === 'failed')).toEqual([])
    expect(await site.arrived()).toEqual(['changed', 'new-name'])
    expect((await dir.read('in/changed')).toString()).toBe('changed')
    expect(await dir.digest('in/new-name')).toBe(digestOf(CONTENT))
  })

  test('waits for a server that is not there, and for a folder that has gone', async () => {
    await using site = await WatchSite.open()
    const { dir } = site
    await site.server[Symbol.asyncDispose]()
    await dir.write('w/a.txt', 'text')
    await using watch = site.watch()
    await watch.event(({ event }) => event === 'retry')
    await using _server = await ReceiveProcess.start(dir.path, [
      ...['-d', 'in', '--port', new URL(site.url).port],
    ])
    await sent(watch, 'a.txt')

    await rm(dir.join('w'), { recursive: true })
    await watch.event(
      (event) => event.event === 'note' && String(event['message']).includes('waiting for it'),
    )
    await mkdir(dir.join('w'))
    await dir.write('w/b.txt', 'text')
    await sent(watch, 'b.txt')

    expect((await stop(watch)).exitCode).toBe(0)
  })

  test('deletes a file only when that is said, it is delivered and it is still the same', async ({
    expect,
  }) => {
    await using site = await WatchSite.open()
    const { dir } = site
    await dir.write('w/kept.txt', 'kept')
    {
      await using watch = site.watch()
      await sent(watch, 'kept.txt')
      await stop(watch)
    }

    await using watch = site.watch('--delete-sent')
    await dir.write('w/deleted.txt', 'deleted')
    await sent(watch, 'deleted.txt')

    await expect.poll(() => readdir(dir.join('w'))).toEqual(['kept.txt'])
    await stop(watch)
    expect(await site.arrived()).toEqual(['deleted.txt', 'kept.txt'])
  })

  test('tries no other file where nobody lets the first in, and says so once', async () => {
    await using site = await WatchSite.open('--key-file', 'keys')
    const names = Array.from({ length: 12 }, (_, index) => `${index}.txt`)
    for (const name of names) await site.dir.write(`w/${name}`, name)
    await site.dir.write('wrong-key', 'wrong')
    await using watch = site.watch('--key-file', 'wrong-key')
    await watch.event(({ message }) => String(message).startsWith('All files wait'))

    const { exitCode, stdout } = await stop(watch)

    expect(exitCode).toBe(0)
    const events = parseEvents(stdout)
    expect(events.filter(({ code }) => code === 'http-status')).toMatchObject([
      { event: 'failed', message: expect.stringContaining('401 Unauthorized') },
    ])
    expect(events.at(-1)).toEqual({
      event: 'note',
      message: expect.stringMatching(/^\d+ files left; the same command goes on$/),
    })
  })

  test('is alone with a folder and a URL, and keeps no outbox in the folder', async () => {
    await using site = await WatchSite.open()
    const { options, dir } = site
    await using watch = site.watch()
    await watch.event(({ event }) => event === 'note')

    const second = await runFerry(['outbox', 'watch', 'w', site.url], options)
    const inside = await runFerry(
      ['outbox', 'watch', '--outbox', dir.join('w/out.db'), 'w', site.url],
      options,
    )
    const nowhere = await runFerry(['outbox', 'watch', 'gone', site.url], options)

    expect(second.exitCode).toBe(16)
    expect(second.stderr).toContain('another ferry watches it for the same URL')
    expect([inside.exitCode, nowhere.exitCode]).toEqual([2, 2])
    expect(inside.stderr).toContain('Cannot keep the outbox in')
    expect(nowhere.stderr).toContain('Cannot watch gone: there is no such folder')
  })
})

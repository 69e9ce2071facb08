/** `ferry outbox add`, `list`, `remove`, `clear` and `send`, against `ferry receive`. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, symlink, unlink } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { addContent, openSqliteOutbox } from '../../packages/ferry/src/upload/index.ts'
import { type FerryExit, FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { ReceiveProcess } from '../support/run-receive.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(2_500_000)
const NOWHERE = 'http://127.0.0.1:1/files'

/** Runs `ferry outbox` with an outbox of the folder's own. */
function outbox({ path }: TempDir, ...args: string[]): Promise<FerryExit> {
  return runFerry(['outbox', ...args], { cwd: path, env: { HOME: path } })
}

async function listed(dir: TempDir): Promise<unknown[]> {
  return parseEvents((await outbox(dir, 'list', '--json')).stdout).map(({ name }) => name)
}

describe.concurrent('ferry outbox', () => {
  test('keeps copies of files and folders, lists them, and sends them', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    await mkdir(dir.join('photos'))
    await mkdir(dir.join('photos/old'))
    await dir.write('photos/1.jpg', 'one')
    await dir.write('photos/old/0.jpg', 'null')
    await using server = await ReceiveProcess.start(dir.path, [
      '-d',
      'in',
      '--path-mode',
      'allow-paths',
    ])

    const added = await outbox(dir, 'add', 'a.bin', 'photos')
    await unlink(dir.join('a.bin'))
    const { stdout } = await outbox(dir, 'list')
    const sent = await outbox(dir, 'send', `${server.url}/files`)

    expect(added).toMatchObject({
      exitCode: 0,
      stdout: 'a.bin: 2.38 MiB added\nphotos/1.jpg: 3 B added\nphotos/old/0.jpg: 4 B added\n',
      stderr: '',
    })
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^ID +Size +Added +State +Name$/),
      expect.stringMatching(/^[\da-f]{8} {2}2\.38 MiB {2}[\d.]+ s ago {2}copied {2}a\.bin$/),
      expect.stringMatching(/copied {2}photos\/1\.jpg$/),
      expect.stringMatching(/copied {2}photos\/old\/0\.jpg$/),
      '3 files, 2.38 MiB',
      '',
    ])
    expect(sent.exitCode).toBe(0)
    expect(await dir.digest('in/a.bin')).toBe(digestOf(CONTENT))
    expect((await dir.read('in/photos/old/0.jpg')).toString()).toBe('null')
    expect((await outbox(dir, 'list')).stdout).toBe('The outbox is empty\n')
  })

  test('keeps standard input under a name, and files where they are', async () => {
    await using dir = await TempDir.create()
    const path = await dir.write('a.txt', 'text')
    const env = { HOME: dir.path }
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in'])

    const nameless = await outbox(dir, 'add', '-')
    const shell = 'printf from-a-pipe | "$@"'
    const piped = await runFerry(['outbox', 'add', '--name', 'p.txt', '-'], {
      cwd: dir.path,
      env,
      shell,
    })
    const noted = await outbox(dir, 'add', '--reference', 'a.txt')
    const [, reference] = parseEvents((await outbox(dir, 'list', '--json')).stdout)
    const { exitCode } = await outbox(dir, 'send', `${server.url}/files`)

    expect(nameless.exitCode).toBe(2)
    expect([piped.stdout, noted.stdout]).toEqual([
      'p.txt: 11 B added\n',
      `a.txt: 4 B noted, sent from ${path}\n`,
    ])
    expect(reference).toMatchObject({ event: 'item', name: 'a.txt', mode: 'reference', path })
    expect(exitCode).toBe(0)
    expect((await dir.read('in/p.txt')).toString()).toBe('from-a-pipe')
    expect((await dir.read('in/a.txt')).toString()).toBe('text')
  })

  test('does not send a file that has changed since it was noted, and keeps the note', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in'])
    await outbox(dir, 'add', '--reference', 'a.txt')
    await dir.write('a.txt', 'another text')

    const { exitCode, stderr } = await outbox(dir, 'send', `${server.url}/files`)

    expect(exitCode).toBe(10)
    expect(stderr).toContain('Remove it with ferry outbox remove, then add it as it is now')
    expect(await listed(dir)).toEqual(['a.txt'])
  })

  test('removes what its beginning names, and only what one is named by', async () => {
    await using dir = await TempDir.create()
    // With one more than there are digits, two begin alike.
    const names = Array.from({ length: 17 }, (_, index) => `${index}.txt`)
    for (const name of names) await dir.write(name, name)
    await outbox(dir, 'add', ...names)
    const ids = parseEvents((await outbox(dir, 'list', '--json')).stdout).map(({ id }) =>
      String(id),
    )
    const digits = ids.map((id) => id.slice(0, 1))
    const shared = digits.find((digit, index) => digits.indexOf(digit) !== index) as string
    const [id] = ids as [string]

    const unknown = await outbox(dir, 'remove', id, 'xyz')
    const several = await outbox(dir, 'remove', shared)
    const { exitCode, stdout } = await outbox(dir, 'remove', id.slice(0, 12).toUpperCase())

    expect([unknown.exitCode, several.exitCode]).toEqual([2, 2])
    expect(several.stderr).toContain('several files have an id that begins so')
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '0.txt: removed\n' })
    expect(await listed(dir)).toEqual(names.slice(1))
  })

  test('does not remove its only file by an empty id, nor list it to a full disk', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    await outbox(dir, 'add', 'a.txt')
    const options = { cwd: dir.path, env: { HOME: dir.path } }

    const removed = await outbox(dir, 'remove', '')
    const full = await runFerry(['outbox', 'list'], { ...options, shell: '"$@" > /dev/full' })
    const unread = await runFerry(['outbox', 'list'], { ...options, shell: '"$@" | true' })

    expect(removed.exitCode).toBe(2)
    expect(full.exitCode).toBe(14)
    expect(full.stderr).toContain('Cannot write standard output: no space left')
    expect(unread).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await listed(dir)).toEqual(['a.txt'])
  })

  test('shows one key to one server', async () => {
    await using dir = await TempDir.create()
    {
      await using items = await openSqliteOutbox({ path: dir.join('.indexcp/ferry.db') })
      for (const url of [NOWHERE, 'http://127.0.0.1:2/files']) {
        await addContent(items, 'a.txt', 'text', { metadata: { url } })
      }
    }
    const env = { HOME: dir.path, INDEXCP_API_KEY: 'a-key' }

    const both = await runFerry(['outbox', 'send', '--json'], { cwd: dir.path, env })
    const one = await runFerry(['outbox', 'send', '--json', '--retries', '0', NOWHERE], {
      cwd: dir.path,
      env,
    })

    expect(both.exitCode).toBe(2)
    expect(parseEvents(both.stdout)).toMatchObject([
      { event: 'failed', message: expect.stringContaining('Cannot show one key to 2 servers') },
    ])
    expect(one.exitCode).toBe(4)
  })

  test('clears itself only when that is said', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    await outbox(dir, 'add', 'a.txt')

    const unsaid = await outbox(dir, 'clear')
    const said = await outbox(dir, 'clear', '--yes', '--json')

    expect(unsaid.exitCode).toBe(2)
    expect(unsaid.stderr).toContain('expected --yes, or a terminal')
    expect(said.exitCode).toBe(0)
    expect(parseEvents(said.stdout)).toEqual([{ event: 'cleared', removed: 1, kept: 0 }])
  })

  test('sends without a URL what was put to one, and says what waits for one', async () => {
    await using dir = await TempDir.create()
    await dir.write('put.txt', 'put')
    await dir.write('added.txt', 'added')
    const options = { cwd: dir.path, env: { HOME: dir.path } }
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in'])
    const url = `${server.url}/files`
    await server.process[Symbol.asyncDispose]()
    await runFerry(['put', '--retries', '0', 'put.txt', url], options)
    await outbox(dir, 'add', 'added.txt')
    await using _again = await ReceiveProcess.start(dir.path, [
      '-d',
      'in',
      '--port',
      new URL(url).port,
    ])

    const elsewhere = await outbox(dir, 'send', '--retries', '0', NOWHERE)
    const { exitCode, stderr } = await outbox(dir, 'send')
    const rest = await outbox(dir, 'send', url)

    expect(elsewhere.exitCode).toBe(4)
    expect(elsewhere.stderr).toContain('Left: 1 file for other URLs')
    expect(exitCode).toBe(2)
    expect(stderr).toContain('ferry outbox send URL')
    expect((await dir.read('in/put.txt')).toString()).toBe('put')
    expect(rest.exitCode).toBe(0)
    expect((await readdir(dir.join('in'))).sort()).toEqual(['.ferry', 'added.txt', 'put.txt'])
  })

  test('goes on after kill -9, and sends each file once when two send at a time', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const names = Array.from({ length: 6 }, (_, index) => `${index}.txt`)
    for (const name of names) await dir.write(name, name)
    await outbox(dir, 'add', 'a.bin', ...names)
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in', '--limit-rate', '1M'])
    const send = ['send', '--files', '2', `${server.url}/files`]
    const options = { cwd: dir.path, env: { HOME: dir.path } }
    await using killed = new FerryProcess(['outbox', ...send], options)
    await server.process.event(
      ({ event, name, receivedBytes }) =>
        event === 'progress' && name === 'a.bin' && (receivedBytes as number) > 0,
    )
    killed.kill('SIGKILL')
    await killed.exit

    const exits = await Promise.all([outbox(dir, ...send), outbox(dir, ...send)])
    // Whoever came upon a file that the other was sending says so.
    for (const { exitCode } of exits) expect([0, 16]).toContain(exitCode)
    expect((await outbox(dir, ...send)).exitCode).toBe(0)

    expect(await dir.digest('in/a.bin')).toBe(digestOf(CONTENT))
    expect((await readdir(dir.join('in'))).sort()).toEqual(['.ferry', ...names, 'a.bin'])
    expect(await listed(dir)).toEqual([])
  })

  test('says what it cannot add, and adds the rest', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    await symlink('nowhere', dir.join('broken'))

    const { exitCode, stdout, stderr } = await outbox(
      dir,
      'add',
      'gone',
      'broken',
      'a.txt',
      'a.txt',
    )

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: 'a.txt: 4 B added\n' })
    expect(stderr).toContain('Cannot send gone: there is no such file')
    expect(stderr).toContain('Cannot send broken: there is no such file')
    expect((await outbox(dir, 'add', 'a.txt')).stdout).toBe(
      'a.txt: 4 B are in the outbox already\n',
    )
  })
})

/** `ferry put` against `ferry receive`: what is sent arrives, whatever comes between. */
import { appendFile, mkdir, symlink } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { PutSite } from '../support/put-site.ts'
import { parseEvents } from '../support/run-ferry.ts'

const MIB = 1_048_576
const PROTOCOLS = ['indexedcp', 'tus', 'ietf'] as const
// Far longer than a test needs to come between.
const SLOW = ['--limit-rate', '400K']

describe.concurrent('ferry put', () => {
  test.each(PROTOCOLS)('delivers by %s and tells what became of it', async (protocol) => {
    await using site = await PutSite.open()
    const content = await site.write('photo 1.jpg', 3 * MIB)

    const run = await site.run(['--protocol', protocol, 'photo 1.jpg', site.urlFor(protocol)])

    expect(run).toMatchObject({ exitCode: 0, notes: '' })
    expect(run.stdout).toMatch(
      /^photo 1\.jpg: 3 MiB in [\d.]+ s \([\d.]+ [KM]iB\/s\), at http:\/\/127\.0\.0\.1:\d+\/(upload as photo 1\.jpg|files\/\w+( as photo 1\.jpg)?)\n$/,
    )
    expect(await site.has('photo 1.jpg', content)).toBe(true)
    expect(await site.outbox()).toEqual([])
  })

  test.each(PROTOCOLS)('goes on after Ctrl-C with the same command, by %s', async (protocol) => {
    await using site = await PutSite.open()
    const content = await site.write('a.bin', 8 * MIB)
    const args = ['a.bin', site.urlFor(protocol), '--protocol', protocol]
    await using first = site.start([...args, ...SLOW])
    await site.hasBegun()

    first.kill('SIGINT')
    const interrupted = await first.exit
    const again = await site.run([...args, '--json'])

    expect(interrupted.exitCode).toBe(130)
    expect(interrupted.stderr).toMatch(
      /ferry: Interrupted when [\d.]+ [KM]iB of 8 MiB of a\.bin were sent\. Run the same command again, or ferry outbox send, to go on\.\n$/,
    )
    const completed = parseEvents(again.stdout).find(({ event }) => event === 'completed')
    expect(completed).toMatchObject({ item: 1, name: 'a.bin', protocol, size: 8 * MIB })
    expect(completed?.['resumedBytes']).toBeGreaterThan(0)
    expect(completed?.['transmittedBytes']).toBeLessThan(8 * MIB)
    expect(await site.has('a.bin', content)).toBe(true)
    expect(await site.outbox()).toEqual([])
  })

  test('goes on by itself when the server was killed and has come again', async () => {
    await using site = await PutSite.open()
    const content = await site.write('a.bin', 8 * MIB)
    await using run = site.start(['a.bin', site.urlFor('tus'), '--limit-rate', '1M'])
    await site.hasBegun()

    await site.restart()
    const { exitCode, stderr } = await run.exit

    expect(exitCode).toBe(0)
    expect(stderr).toMatch(/; trying again in [\d.]+ s \(try 2\)\n/)
    expect(await site.has('a.bin', content)).toBe(true)
  })

  test('sends folders with their files, and what is readable of several', async () => {
    await using site = await PutSite.open(['--path-mode', 'allow-paths'])
    await mkdir(site.dir.join('trip/day 2'), { recursive: true })
    const inner = await site.write('trip/day 2/ü.txt', 5000)
    const outer = await site.write('trip/a.txt', 10)
    await symlink('a.txt', site.dir.join('trip/link'))
    await symlink('..', site.dir.join('trip/loop'))
    await site.dir.write('empty', '')

    const run = await site.run(['trip/', 'missing', 'empty', 'empty', site.urlFor('tus')])

    expect(run.exitCode).toBe(2)
    expect(run.notes).toContain('empty is named twice, and sent once\n')
    expect(run.notes).toContain('trip/loop is left out: it is no file\n')
    expect(run.notes).toContain(
      'ferry: Cannot send missing: there is no such file. Check the path.\n',
    )
    expect(await site.has('trip/day 2/ü.txt', inner)).toBe(true)
    expect(await site.has('trip/a.txt', outer)).toBe(true)
    expect(await site.has('trip/link', outer)).toBe(true)
    expect(await site.has('empty', Buffer.alloc(0))).toBe(true)
    expect(await site.outbox()).toEqual([])
  })

  test('sends standard input, by way of the outbox and without it', async () => {
    await using site = await PutSite.open()
    const content = await site.write('content', 2 * MIB)
    const shell = 'cat content | "$@"'

    const kept = await site.run(['--name', 'kept.bin', '-', site.urlFor('tus')], { shell })
    const passing = await site.run(
      ['--no-buffer', '--name', 'passing.bin', '-', site.urlFor('indexedcp')],
      { shell },
    )

    expect(kept).toMatchObject({ exitCode: 0, notes: '' })
    expect(passing).toMatchObject({ exitCode: 0, notes: '' })
    expect(await site.has('kept.bin', content)).toBe(true)
    expect(await site.has('passing.bin', content)).toBe(true)
  })

  test('--copy delivers what the file was, which may be gone by then', async () => {
    await using site = await PutSite.open()
    const content = await site.write('a.bin', 8 * MIB)
    const args = ['--copy', 'a.bin', site.urlFor('tus')]
    await using first = site.start([...args, ...SLOW])
    await site.hasBegun()
    first.kill('SIGTERM')
    const interrupted = await first.exit

    await site.dir.remove('a.bin')
    const again = await site.run(args)

    expect(interrupted.exitCode).toBe(143)
    expect(again.exitCode).toBe(0)
    expect(again.stdout).toMatch(/^a\.bin: 8 MiB in .*, [\d.]+ [KM]iB were there already, at /)
    expect(await site.has('a.bin', content)).toBe(true)
  })

  test('a file that has changed is never mixed: the same command sends it anew', async () => {
    await using site = await PutSite.open()
    const content = await site.write('a.bin', 8 * MIB)
    const args = ['--chunk-size', '64K', 'a.bin', site.urlFor('tus')]
    await using first = site.start([...args, ...SLOW])
    await site.hasBegun()

    await appendFile(site.dir.join('a.bin'), 'more')
    const changed = await first.exit
    const again = await site.run(args)

    expect(changed.exitCode).toBe(10)
    expect(changed.stderr).toMatch(
      /has changed since it was looked at\. Run the same command again, which sends the file as it is now\.\n$/,
    )
    expect(again.exitCode).toBe(0)
    expect(await site.has('a.bin', Buffer.concat([content, Buffer.from('more')]))).toBe(true)
    expect(await site.outbox()).toEqual([])
  })

  test('two that send the same file do not send it twice', async () => {
    await using site = await PutSite.open()
    await site.write('a.bin', 8 * MIB)
    const args = ['a.bin', site.urlFor('tus')]
    await using first = site.start([...args, ...SLOW])
    await site.hasBegun()

    const second = await site.run(args)
    first.kill('SIGINT')
    await first.exit
    const third = await site.run(args)

    expect(second).toMatchObject({
      exitCode: 16,
      stdout: '',
      notes:
        'ferry: Cannot send "a.bin": another ferry is sending it just now. Wait for the other one to end.\n',
    })
    expect(third.stdout).toContain(' were there already, ')
    expect((await site.received.names()).filter((name) => name.startsWith('a'))).toEqual(['a.bin'])
  })

  test('two that begin in the same moment note the file once', async () => {
    await using site = await PutSite.open()
    await site.write('a.bin', 8 * MIB)
    const args = ['a.bin', site.urlFor('tus'), ...SLOW]
    await using one = site.start(args)
    await using other = site.start(args)

    const loser = await Promise.race([one.exit, other.exit])
    const items = await site.outbox()

    expect(loser).toMatchObject({ exitCode: 16, stdout: '' })
    expect(items).toMatchObject([{ name: 'a.bin' }])
  })

  test('a second signal ends it at once, and nothing is lost', async () => {
    await using site = await PutSite.open()
    const content = await site.write('a.bin', 8 * MIB)
    const args = ['a.bin', site.urlFor('ietf')]
    await using first = site.start([...args, ...SLOW])
    await site.hasBegun()

    first.kill('SIGINT')
    first.kill('SIGTERM')
    const { exitCode } = await first.exit
    const again = await site.run(args)

    expect([130, 143]).toContain(exitCode)
    expect(again.exitCode).toBe(0)
    expect(await site.has('a.bin', content)).toBe(true)
  })
})

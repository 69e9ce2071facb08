/** What `ferry put` shows on a terminal, by way of the pseudo terminal that `script` (util-linux) opens. */
import { describe, expect, test } from 'vitest'
import { PutSite } from '../support/put-site.ts'
import type { FerryExit } from '../support/run-ferry.ts'

const MIB = 1_048_576
const ERASE = '\u001b[0J'

function runOnTerminal(
  site: PutSite,
  args: readonly string[],
  options: Parameters<PutSite['run']>[1] = {},
): Promise<FerryExit> {
  // `script` takes a text for the shell; the words travel in the environment.
  const shell = `command="$*" script -qfec 'stty cols 90 && $command' /dev/null`
  return site.run(args, { shell, ...options, env: { TERM: 'xterm', ...options.env } })
}

describe.concurrent('ferry put on a terminal', () => {
  test('draws a line for each of several files and one for all, and erases them', async () => {
    await using site = await PutSite.open()
    await site.write('a.bin', 2 * MIB)
    await site.write('b.bin', 2 * MIB)
    const args = ['--limit-rate', '2M', 'a.bin', 'b.bin', site.urlFor('tus')]

    const { exitCode, stdout } = await runOnTerminal(site, args)

    expect(exitCode).toBe(0)
    expect(
      stdout
        .split(ERASE)
        .some((frame) =>
          /a\.bin .*█+.* % of 2 MiB.*\r\n.*b\.bin .* % of 2 MiB.*\r\n.*0 of 2 files done, 2 on the way, /.test(
            frame,
          ),
        ),
    ).toBe(true)
    expect(stdout).not.toContain('connection')
    expect(stdout.split(ERASE).at(-1)).toMatch(/^(?:[ab]\.bin: 2 MiB in .*\r\n)+$/)
  })

  test('asks for the key that the server wants, once for all files, and does not show it', async () => {
    await using site = await PutSite.open(['--key-file', '../keys'])
    const keys = (await site.received.read('../keys')).toString()
    const key = keys.trim().split(' ').at(-1) as string
    const first = await site.write('a.bin', 1000)
    const second = await site.write('b.bin', 1000)
    const args = ['a.bin', 'b.bin', site.urlFor('indexedcp')]

    const { exitCode, stdout } = await runOnTerminal(site, args, {
      typed: { after: 'API key for ', text: `${key}\n` },
    })

    expect(exitCode).toBe(0)
    expect(stdout.match(/API key for http:\/\/127\.0\.0\.1:\d+: /g)).toHaveLength(1)
    expect(stdout).not.toContain(key)
    expect(await site.has('a.bin', first)).toBe(true)
    expect(await site.has('b.bin', second)).toBe(true)
  })

  test('writes plain lines where the cursor cannot be moved', async () => {
    await using site = await PutSite.open()
    await site.write('a.bin', 3 * MIB)
    const args = ['--limit-rate', '1M', 'a.bin', site.urlFor('tus')]

    const { exitCode, stdout } = await runOnTerminal(site, args, { env: { TERM: 'dumb' } })

    expect(exitCode).toBe(0)
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toMatch(/^a\.bin: \d+ % of 3 MiB, .*\r\n(?:a\.bin: .*\r\n)*a\.bin: 3 MiB in /)
  })
})

/** What `ferry receive` cannot do: one sentence, an exit code, and nothing lost. */
import { once } from 'node:events'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { type FerryExit, runFerry } from '../support/run-ferry.ts'
import { ReceiveProcess } from '../support/run-receive.ts'
import { TempDir } from '../support/temp-dir.ts'

/** Runs it in a folder with `files`, to its end. */
async function runReceive(
  args: readonly string[],
  files: Readonly<Record<string, string>> = {},
): Promise<FerryExit> {
  await using dir = await TempDir.create()
  for (const [name, content] of Object.entries(files)) {
    await writeFile(dir.join(name), content, { mode: 0o600 })
  }
  return await runFerry(['receive', '--port', '0', ...args], { cwd: dir.path })
}

describe.concurrent('ferry receive refuses', () => {
  test.each<[args: readonly string[], reason: RegExp]>([
    [['--port', '65536'], /'65536' is invalid. Expected a whole number from 0 to 65535/],
    [['--path-mode', 'any'], /Allowed choices are ignore, sanitize, allow-paths/],
    [['--tls-cert', 'text'], /Cannot use the certificate of text: a certificate .* is missing/],
    [['--host', '0.0.0.0'], /Cannot listen on 0.0.0.0 without keys.*Give --key-file FILE/],
    [['--key-file', 'keys'], /Cannot use the key file \S+\/keys: it is in the folder that uploads/],
    [
      ['-d', 'in', '--key-file', 'empty'],
      /Cannot use the key file "\S+\/empty": there is no key in it/,
    ],
    [['-d', 'in', '--key-file', 'none/keys'], /Cannot use the key file "\S+\/none\/keys": /],
    [['in'], /too many arguments for 'receive'/],
    [['--api-key=secret-7f3a'], /unknown option '--api-key=…'/],
  ])('%j with exit code 2', async (args, reason) => {
    const files = { text: 'no certificate', empty: '# nobody\n' }

    const exit = await runReceive(args, files)

    expect(exit.stderr).toMatch(reason)
    expect(exit.stderr).toMatch(/^ferry: Cannot [^\n]+\.\n$/)
    expect(exit.stderr).not.toContain('secret-7f3a')
    expect([exit.exitCode, exit.stdout]).toEqual([2, ''])
  })

  test('a key file that others can read', async () => {
    await using dir = await TempDir.create()
    await chmod(await dir.write('keys', 'alice secret-7f3a\n'), 0o644)

    const exit = await runFerry(['receive', '-d', 'in', '--key-file', 'keys'], { cwd: dir.path })

    expect(exit.exitCode).toBe(2)
    expect(exit.stderr).toContain('others can read its keys; expected mode 600')
    expect(exit.stderr).not.toContain('secret-7f3a')
  })

  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo

    const exit = await runReceive(['--port', String(port)])
    other.close()

    expect(exit.exitCode).toBe(2)
    expect(exit.stderr).toBe(
      `ferry: Cannot listen on 127.0.0.1:${port}: address already in use. Choose another with --port PORT or --host ADDRESS.\n`,
    )
  })

  test('a folder into which another one receives, and leaves that one alone', async () => {
    await using dir = await TempDir.create()
    await using server = await ReceiveProcess.start(dir.path)

    const exit = await runFerry(['receive', '--port', '0'], { cwd: dir.path })

    expect(exit.exitCode).toBe(16)
    expect(exit.stderr).toMatch(
      /^ferry: Cannot [^\n]+ Stop the other one, or choose another folder/,
    )
    server.process.kill('SIGTERM')
    expect((await server.process.exit).exitCode).toBe(0)
  })

  test.each([
    { what: 'is a file', dir: 'file' },
    { what: 'is below a file', dir: 'file/in' },
    { what: 'cannot be made', dir: '/proc/ferry' },
    { what: 'has a file in the place of its own folder', dir: 'odd' },
  ])('a folder that $what', async ({ dir: folder }) => {
    await using dir = await TempDir.create()
    await dir.write('file', 'content')
    await mkdir(dir.join('odd'))
    await dir.write('odd/.ferry', 'content')

    const exit = await runFerry(['receive', '--port', '0', '-d', folder], { cwd: dir.path })

    expect(exit.exitCode).toBe(15)
    expect(exit.stderr).toMatch(/^ferry: Cannot [^\n]+\. Choose another folder with --dir DIR\.\n$/)
    expect((await dir.read('file')).toString()).toBe('content')
  })

  test('as one JSON value with --json', async () => {
    const { stdout, stderr } = await runReceive(['--json', '--expire', 'x'])

    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({ event: 'failed', code: 'config', exitCode: 2 })
  })
})

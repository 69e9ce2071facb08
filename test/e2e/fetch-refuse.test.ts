/** What `ferry fetch` refuses, and in which words. */
import { describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FetchServer } from '../support/fetch-server.ts'
import { NOWHERE, runFetch } from '../support/run-fetch.ts'

describe.concurrent('ferry fetch refuses', () => {
  const rows: readonly [args: readonly string[], exitCode: number, line: string][] = [
    [[], 2, "missing required argument 'url'"],
    [['a.test', 'b.test'], 2, 'too many arguments'],
    [['file.txt'], 2, 'Cannot use "file.txt" as a URL'],
    [['ftp://h/f'], 2, 'Cannot fetch a ftp: URL'],
    [['--jsn', NOWHERE], 2, '(Did you mean --json?)'],
    [[NOWHERE, '-o'], 2, 'argument missing'],
    [['-X', 'GET IT', NOWHERE], 7, 'Cannot send method "GET IT"'],
    [['-H', 'Name', NOWHERE], 2, 'without a colon'],
    [['-H', '@no', NOWHERE], 2, 'Cannot read no for --header: there is no such file'],
    [['-H', 'A: b\nC: d', NOWHERE], 7, 'field A'],
    [['--json', "{'a': 1}", NOWHERE], 2, 'no JSON at character 2'],
    [['--json', '@no', NOWHERE], 2, 'Cannot read no for --json'],
    [['--json', '1', '--data', '2', NOWHERE], 2, "cannot be used with option '-d, --data"],
    [['--form', 'a', NOWHERE], 2, 'expected NAME=VALUE'],
    [['--form', 'a=@.', NOWHERE], 2, 'it is a folder'],
    [['--multipart', NOWHERE], 2, 'without fields'],
    [['--head', '--data', 'x', NOWHERE], 2, 'cannot be used'],
    [['--http1', '--http2', NOWHERE], 2, 'cannot be used'],
    [['--retries', '-1', NOWHERE], 2, 'from 0 to 1000'],
    [['--timeout', 'soon', NOWHERE], 2, "'soon'"],
    [['--color', 'red', NOWHERE], 2, 'auto, always, never'],
    [['--proxy', 'gopher://h', NOWHERE], 2, 'Cannot use the proxy'],
    [['--cacert', 'no', NOWHERE], 2, 'Cannot read no for --cacert'],
    [['--key', 'empty', NOWHERE], 2, 'Cannot use --key alone'],
    [['-X', 'CONNECT', NOWHERE], 2, 'Cannot send CONNECT'],
    [['--form', 'a=@-', '--form', 'b=@-', NOWHERE], 2, 'standard input in two fields'],
    [['--form', 'a=@', NOWHERE], 2, 'expected the name of a file after @'],
    [['--cookie-jar', '/dev/null', NOWHERE], 2, 'it is no regular file'],
    [['-o', 'a', '--report', './a', NOWHERE], 2, '--output writes there'],
    [['--cert', '/proc/self/cmdline', 'https://127.0.0.1:1/'], 2, 'Cannot use'],
    [['-u', '@empty', NOWHERE], 2, 'expected a line NAME:PASSWORD'],
    [['-u', 'a:b', '-H', 'Authorization: c', NOWHERE], 2, 'beside a --header Authorization'],
    [['-o', 'no/file', NOWHERE], 15, 'Cannot write no/file'],
    [['-o', '.', NOWHERE], 15, 'it is a folder'],
    [['http://ferry.invalid/'], 3, 'cannot resolve host ferry.invalid'],
    [[NOWHERE], 4, 'connection refused'],
  ]

  test.each(rows)('%j', async (args, exitCode, line) => {
    const exit = await runFetch(args, { files: { empty: '' } })

    expectRefusal(exit, { exitCode, line })
  })

  test('to hold the process for a pipe that nobody writes to', async () => {
    const exit = await runFetch(['--data', '@pipe', NOWHERE], { shell: 'mkfifo pipe; "$@"' })

    expectRefusal(exit, { exitCode: 4, line: 'connection refused' })
  })

  test('to write a report into a pipe that nobody reads', async () => {
    await using server = await FetchServer.start()

    const args = ['-q', '-o', 'out', '--report', 'pipe', server.url('/json')]
    const exit = await runFetch(args, { shell: 'mkfifo pipe; "$@"' })

    expectRefusal(exit, { exitCode: 15, line: 'Cannot write pipe: nobody is at its other end' })
  })

  test('to wait for ever', async () => {
    await using server = await FetchServer.start()

    const exit = await runFetch(['--timeout', '1', server.url('/silent')])

    expectRefusal(exit, { exitCode: 6, line: '--timeout SECONDS' })
  })

  test('to ask for a password where there is nobody', async () => {
    const exit = await runFetch(['-u', 'alice', NOWHERE], { shell: 'setsid -w "$@"' })

    expectRefusal(exit, { exitCode: 2, line: 'there is no terminal; set FERRY_PASSWORD' })
  })

  test('to write where there is no room', async () => {
    await using server = await FetchServer.start()

    const exit = await runFetch([server.url('/json')], { shell: '"$@" > /dev/full' })

    expectRefusal(exit, { exitCode: 14, line: 'Cannot write to standard output: no space left' })
  })
})

test('ferry fetch --help teaches by examples and lists the exit codes', async () => {
  const { exitCode, stdout, stderr } = await runFetch(['--help'])

  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain('Examples:\n  $ ferry fetch https://')
  expect(stdout).toMatch(/Exit codes:\n {2}0 done[^]*130 interrupted/)
  expect(stdout).toContain('FERRY_PASSWORD')
})

/** What `ferry fetch` tells of the way: --timing, --report, --verbose. */
import { describe, expect, test } from 'vitest'
import { FetchServer, JSON_TEXT } from '../support/fetch-server.ts'
import { runFerry } from '../support/run-ferry.ts'
import { NOWHERE, runFetch } from '../support/run-fetch.ts'
import { TempDir } from '../support/temp-dir.ts'

describe('ferry fetch tells', () => {
  test('how long each step took, redirections and retries among them', async () => {
    let isFirst = true
    await using server = await FetchServer.start({
      '/json': (_, response) => {
        if (isFirst) response.writeHead(503, { 'Retry-After': '0' }).end()
        else response.end(JSON_TEXT)
        isFirst = false
      },
    })

    const { stderr, stdout } = await runFetch([
      '-q',
      '--timing',
      '--retries',
      '1',
      server.url('/moved'),
    ])

    expect(stdout).toBe(JSON_TEXT)
    const bar = '[ ]*[▏█]+'
    const row = (name: string): string => ` {2}${name.padEnd(8)} +\\d+\\.\\d ms  ${bar}`
    expect(stderr).toMatch(
      new RegExp(
        [
          '^GET http://\\S+/moved {2}302 Found',
          row('queue'),
          row('connect'),
          row('wait'),
          row('content'),
          'GET http://\\S+/json\\?… {2}503 Service Unavailable',
          `(?:${row('queue')}\n)?${row('wait')}`,
          row('content'),
          ` {2}pause +\\d+\\.\\d ms`,
          'GET http://\\S+/moved {2}302 Found',
          `(?:${row('queue')}\n)?${row('wait')}`,
          row('content'),
          'GET http://\\S+/json\\?… {2}200 OK',
          `(?:${row('queue')}\n)?${row('wait')}`,
          `${row('content')} +53 B, \\S+ \\w+/s`,
          'total +\\d+\\.\\d ms {2}HTTP/1\\.1, 127\\.0\\.0\\.1:\\d+, connection used again\n$',
        ].join('\n'),
      ),
    )
  })

  test('how far a failed attempt came', async () => {
    const { exitCode, stderr } = await runFetch(['--timing', NOWHERE])

    expect(exitCode).toBe(4)
    expect(stderr).toMatch(
      /^GET http:\/\/127\.0\.0\.1:1\/ {2}failed\n[^]* {2}connect [^]*\nferry: /,
    )
  })

  test('a program what happened with --report', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    const file = ['fetch', '--report', 'report.json', server.url('/moved?key=secret')]

    await runFerry(file, { cwd: dir.path })
    const refused = await runFetch(['-q', '--report', '-', server.url('/missing')])

    expect(JSON.parse((await dir.read('report.json')).toString())).toEqual({
      url: server.url('/json?…'),
      status: 200,
      version: '1.1',
      bytes: JSON_TEXT.length,
      elapsedMs: expect.any(Number),
      exitCode: 0,
      requests: [
        expect.objectContaining({ url: server.url('/moved?…'), status: 302, reused: false }),
        {
          method: 'GET',
          url: server.url('/json?…'),
          status: 200,
          version: '1.1',
          peer: new URL(server.url('/')).host,
          reused: true,
          timings: expect.objectContaining({
            waitMs: expect.any(Number),
            contentMs: expect.any(Number),
          }),
        },
      ],
    })
    const [report = '', line] = refused.stderr.split('\n')
    expect(JSON.parse(report)).toMatchObject({ exitCode: 8, code: 'http-status', status: 404 })
    expect(line).toMatch(/^ferry: Cannot GET/)
  })

  test('heads with -v', async () => {
    await using server = await FetchServer.start()

    const { stderr, stdout } = await runFetch(['-v', server.url('/moved')])

    expect(stdout).toBe(JSON_TEXT)
    expect(stderr).toMatch(/^> GET \/moved\n> Host: 127\.0\.0\.1:\d+\n[^]*?\n>\n\* 127/)
    expect(stderr).toMatch(/\n\* 127\.0\.0\.1:\d+\n< HTTP\/1\.1 302 Found\n< Location: \/json\?…\n/)
    expect(stderr).toMatch(/\n> GET \/json\?…\n[^]*, used again\n< HTTP\/1\.1 200 OK\n/)
  })
})

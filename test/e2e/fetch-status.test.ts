/** What `ferry fetch` makes of the status: refusals, redirections, further tries. */
import { describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FetchServer, JSON_TEXT } from '../support/fetch-server.ts'
import { runFetch } from '../support/run-fetch.ts'

describe('ferry fetch and the status', () => {
  test.each([
    {
      args: [],
      exitCode: 8,
      stdout: '{"error":"no such item"}',
      stderr: /^ferry: Cannot GET \S+\/missing: 404 Not Found\. Check/,
    },
    { args: ['--fail'], exitCode: 8, stdout: '', stderr: /404 Not Found/ },
    { args: ['--no-fail'], exitCode: 0, stdout: '{"error":"no such item"}', stderr: /^$/ },
  ])('404 with $args', async ({ args, exitCode, stdout, stderr }) => {
    await using server = await FetchServer.start()

    const exit = await runFetch([...args, server.url('/missing')])

    expect(exit).toMatchObject({ exitCode, stdout })
    expect(exit.stderr).toMatch(stderr)
  })

  test.each([
    { status: 401, advice: 'Say who asks, with -u NAME or -H @FILE' },
    { status: 407, advice: 'The proxy wants to know who asks: give user and password in its URL' },
    { status: 429, advice: 'Try again later; --retries N does so by itself' },
  ])('$status with what can be done about it', async ({ status, advice }) => {
    await using server = await FetchServer.start({
      '/refused': (_, response) => response.writeHead(status).end(),
    })

    const exit = await runFetch([server.url('/refused')])

    expectRefusal(exit, { exitCode: 8, line: `. ${advice}` })
  })

  test('follows redirections, or not', async () => {
    await using server = await FetchServer.start()

    const [followed, left, endless, once] = await Promise.all([
      runFetch([server.url('/moved')]),
      runFetch(['-i', '--no-follow', server.url('/moved')]),
      runFetch(['--max-redirects', '2', server.url('/loop')]),
      runFetch(['--data', '@-', server.url('/kept')], { shell: 'echo once | "$@"' }),
    ])

    expect(followed).toMatchObject({ exitCode: 0, stdout: JSON_TEXT })
    expect(left).toMatchObject({ exitCode: 0, stderr: '' })
    expect(left.stdout).toMatch(/^HTTP\/1\.1 302 Found\nLocation: \/json/)
    expectRefusal(endless, { exitCode: 7, line: 'more than 2 redirections' })
    expectRefusal(once, { exitCode: 8, line: 'can be sent only once' })
  })

  test('tries again when told to, and says so unless it is to be quiet', async () => {
    let requests = 0
    await using server = await FetchServer.start({
      '/busy': (_, response) => {
        if (requests++ % 2 === 0) response.writeHead(503, { 'Retry-After': '0' }).end('busy')
        else response.end('done')
      },
    })

    const first = await runFetch(['--retries', '1', server.url('/busy')])
    const quiet = await runFetch(['-q', '--retries', '1', server.url('/busy')])
    const never = await runFetch([server.url('/busy')])

    expect(first).toMatchObject({ exitCode: 0, stdout: 'done' })
    expect(first.stderr).toMatch(/^503.*; trying again in \S+ s \(try 2\)\n$/)
    expect(quiet).toMatchObject({ exitCode: 0, stdout: 'done', stderr: '' })
    expect(never).toMatchObject({ exitCode: 8, stdout: 'busy' })
  })
})

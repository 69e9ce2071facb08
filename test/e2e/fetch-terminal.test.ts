/** What `ferry fetch` shows on a terminal. */
import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { FetchServer, type SeenRequest } from '../support/fetch-server.ts'
import { NOWHERE, runFetchOnTerminal } from '../support/run-fetch.ts'

// No progress, which a busy machine would show here.
const QUIET = ['-q']

describe.concurrent('ferry fetch on a terminal', () => {
  test('indents and colours JSON', async () => {
    await using server = await FetchServer.start()

    const [coloured, plain] = await Promise.all([
      runFetchOnTerminal([...QUIET, '-i', server.url('/json')]),
      runFetchOnTerminal([...QUIET, server.url('/json')], { env: { NO_COLOR: '1' } }),
    ])

    expect(coloured.stdout).toMatch(/^\u001b\[1mHTTP\/1\.1 200 OK\u001b\[22m\r\n/)
    expect(coloured.stdout).toContain('\u001b[34m"tags"\u001b[39m: [\r\n    \u001b[32m"a"')
    expect(plain.stdout.replaceAll('\r', '')).toBe(
      '{\n  "id": 12345678901234567890,\n  "tags": [\n    "a",\n    {}\n  ],\n  "ok": true\n}\n',
    )
  })

  test('shows text with a line end, and refuses what is none', async () => {
    await using server = await FetchServer.start()

    const [text, binary] = await Promise.all([
      runFetchOnTerminal([...QUIET, server.url('/text')]),
      runFetchOnTerminal([...QUIET, server.url('/binary')]),
    ])

    expect(text.stdout).toBe('a line\r\n')
    expect(binary.exitCode).toBe(2)
    expect(binary.stdout).toMatch(/^ferry: Cannot show content of type image\/png .* Use -o FILE/)
  })

  test('shows text in the charset that it is in', async () => {
    const texts: Readonly<Record<string, readonly [type: string, bytes: Buffer]>> = {
      '/latin1': ['text/plain; charset=iso-8859-1', Buffer.from('café\r\n', 'latin1')],
      '/utf16': ['text/plain; charset="utf-16le"', Buffer.from('café\n', 'utf16le')],
      '/json': ['application/json; charset=utf-16le', Buffer.from('["é"]', 'utf16le')],
      '/unknown': ['text/plain; charset=klingon', Buffer.from('café')],
    }
    await using server = await FetchServer.start(
      Object.fromEntries(
        Object.entries(texts).map(([path, [type, bytes]]) => [
          path,
          (_: SeenRequest, response: ServerResponse) =>
            response.setHeader('Content-Type', type).end(bytes),
        ]),
      ),
    )

    const env = { NO_COLOR: '1' }
    const paths = Object.keys(texts)
    const exits = await Promise.all(
      paths.map((path) => runFetchOnTerminal([...QUIET, server.url(path)], { env })),
    )

    expect(exits.map(({ stdout }) => stdout.replaceAll('\r', ''))).toEqual([
      'café\n',
      'café\n',
      '[\n  "é"\n]\n',
      'café\n',
    ])
  })

  test('shows nothing that would command it', async () => {
    const bad = '\u001b]0;title\u0007\u001b[2J\u009b31m\b over\rwritten\n'
    await using server = await FetchServer.start({
      '/text': (_, response) => response.setHeader('Content-Type', 'text/plain').end(`text ${bad}`),
      '/json': (_, response) =>
        response.setHeader('Content-Type', 'application/json').end(`["${bad}", ${bad}]`),
      '/refused': (_, response) =>
        response
          .writeHead(404, 'No\u009b2J', { 'X-A': 'a\u009b31m', 'Set-Cookie': 'a\u009b=b' })
          .end(),
      '/binary': (_, response) => response.setHeader('Content-Type', 'a/\u009b2J').end('\0'),
    })

    const all = [...QUIET, '-i', '-v', '--timing', '--report', '-']
    const exits = await Promise.all(
      ['/text', '/json', '/refused', '/binary'].map((path) =>
        runFetchOnTerminal([...all, server.url(path)], { env: { NO_COLOR: '1' } }),
      ),
    )

    for (const { stdout } of exits) {
      expect(stdout.replaceAll('\r\n', '\n')).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/)
    }
    expect(exits.map(({ exitCode }) => exitCode)).toEqual([0, 0, 8, 2])
    expect(exits[0]?.stdout).toContain('text ?]0;title??[2J?31m? overwritten')
    expect(exits[2]?.stdout).toContain('ferry: Cannot GET')
  })

  test('draws progress after a second, and erases it', async () => {
    await using server = await FetchServer.start()

    const { stdout, names } = await runFetchOnTerminal(['-o', 'out', server.url('/slow')])

    expect(names).toEqual(['out'])
    const frames = stdout.split('\u001b[0J')
    expect(frames.length).toBeGreaterThan(3)
    expect(frames[0]).toMatch(/^\u001b\[\?7l/)
    expect(frames).toContainEqual(expect.stringMatching(/out[^]*█+[^]*░+.* \d+ % of 1\.91 MiB, /))
    expect(frames.at(-1)).toMatch(/^out: 1\.91 MiB in \d+\.\d s \(.*\)\r\n$/)
  })

  test('asks for the password without showing it', async () => {
    await using server = await FetchServer.start()

    const args = ['-q', '-o', 'out', '-u', 'alice', server.url('/echo')]
    const { stdout, exitCode } = await runFetchOnTerminal(args, {
      typed: { after: 'Password: ', text: 'hidden\r' },
    })

    expect({ stdout, exitCode }).toEqual({ stdout: 'Password: \r\n', exitCode: 0 })
    expect(server.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('alice:hidden').toString('base64')}`,
    )
  })

  test('ends at Ctrl-C while it asks', async () => {
    const { stdout, exitCode } = await runFetchOnTerminal(['-u', 'alice', NOWHERE], {
      typed: { after: 'Password: ', text: '\u0003' },
    })

    expect(exitCode).toBe(130)
    expect(stdout).toMatch(/^Password: \r\nferry: Interrupted before anything had come\./)
  })
})

/** What `ferry fetch` sends. */
import { describe, expect, test } from 'vitest'
import { FetchServer, type SeenRequest } from '../support/fetch-server.ts'
import { runFetch } from '../support/run-fetch.ts'

describe.concurrent('ferry fetch sends', () => {
  const files = {
    'item.json': '{"n":1}',
    'fields.txt': 'X-One: 1\n\nX-Two: 2\n',
    'user.txt': 'alice:from-file\n',
    'a.png': 'PNG',
  }
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  const json = { 'content-type': 'application/json' }

  const rows: readonly {
    readonly args: readonly string[]
    readonly env?: Readonly<Record<string, string>>
    readonly stdin?: string
    /** Patterns where a text would be too exact. */
    readonly seen: { readonly [Part in keyof SeenRequest]?: string | RegExp | object }
  }[] = [
    {
      args: [],
      seen: { method: 'GET', body: '', headers: { accept: '*/*', 'user-agent': /^ferry\// } },
    },
    { args: ['-X', 'DELETE'], seen: { method: 'DELETE', body: '' } },
    {
      args: ['-H', 'X-A: b', '-H', 'Accept: x/y'],
      seen: { headers: { 'x-a': 'b', accept: 'x/y' } },
    },
    {
      args: ['-H', 'X-Name: é 日'],
      seen: { headers: { 'x-name': Buffer.from('é 日').toString('latin1') } },
    },
    { args: ['--header', '@fields.txt'], seen: { headers: { 'x-one': '1', 'x-two': '2' } } },
    { args: ['--json', '{"n": 1}'], seen: { method: 'POST', body: '{"n": 1}', headers: json } },
    {
      args: ['-X', 'PUT', '--json', '@item.json'],
      seen: { method: 'PUT', body: '{"n":1}', headers: { ...json, 'content-length': '7' } },
    },
    {
      args: ['--json', '@-'],
      stdin: '[1]',
      seen: { body: '[1]', headers: { ...json, 'transfer-encoding': 'chunked' } },
    },
    {
      args: ['--form', 'a=b c', '-F', 'd=@@e'],
      seen: {
        method: 'POST',
        body: 'a=b+c&d=%40e',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
    },
    {
      args: ['-F', 'a=b', '-F', 'pic=@a.png;type=image/png'],
      seen: {
        body: /name="a"\r\n\r\nb\r\n[^]*name="pic"; filename="a.png"\r\nContent-Type: image\/png\r\n\r\nPNG/,
        headers: { 'content-type': /^multipart\/form-data; boundary=/ },
      },
    },
    { args: ['-F', 'a=b', '--multipart'], seen: { body: /name="a"\r\n\r\nb\r\n/ } },
    {
      args: ['-d', 'text'],
      seen: { body: 'text', headers: { 'content-type': 'text/plain;charset=UTF-8' } },
    },
    {
      args: ['--data', '@a.png', '-H', 'Content-Type: image/png'],
      seen: { body: 'PNG', headers: { 'content-type': 'image/png' } },
    },
    { args: ['--data-raw', '@a.png'], seen: { body: '@a.png' } },
    { args: ['-u', 'alice:pw'], seen: { headers: { authorization: basic('alice:pw') } } },
    { args: ['-u', '@user.txt'], seen: { headers: { authorization: basic('alice:from-file') } } },
    {
      args: ['--user', 'alice'],
      env: { FERRY_PASSWORD: 'from-env' },
      seen: { headers: { authorization: basic('alice:from-env') } },
    },
    { args: ['--compressed'], seen: { headers: { 'accept-encoding': /gzip/ } } },
    { args: ['--raw'], seen: { headers: { 'accept-encoding': undefined } } },
  ]

  test('what it reads from pipes', async () => {
    await using server = await FetchServer.start()
    const shell = 'mkfifo a b; cat fields.txt > a & cat a.png > b & "$@"'

    const exit = await runFetch(['-H', '@a', '--data', '@b', server.url('/echo')], { files, shell })

    expect(exit).toMatchObject({ exitCode: 0, stderr: '' })
    expectLike(server.requests[0] as SeenRequest, { body: 'PNG', headers: { 'x-two': '2' } })
  })

  test.each(rows)('$args', async ({ args, env, stdin, seen }) => {
    await using server = await FetchServer.start()
    const shell = stdin === undefined ? {} : { shell: `printf '%s' '${stdin}' | "$@"` }

    const exit = await runFetch([...args, server.url('/echo')], { files, env: env ?? {}, ...shell })

    expect(exit).toMatchObject({ exitCode: 0, stderr: '' })
    expectLike(server.requests[0] as SeenRequest, seen)
    expect(JSON.parse(exit.stdout)).toEqual(server.requests[0])
  })
})

/** As `toMatchObject`, with patterns among the values. */
function expectLike(value: object, expected: object): void {
  for (const [key, wanted] of Object.entries(expected)) {
    const found = (value as Record<string, unknown>)[key]
    if (wanted instanceof RegExp) expect(found).toMatch(wanted)
    else if (typeof wanted === 'object') expectLike(found as object, wanted as object)
    else expect(found).toBe(wanted)
  }
}

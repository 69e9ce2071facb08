/** What `ferry fetch` sends, prints and ends with, against real servers. */
import { readFileSync } from 'node:fs'
import { createSecureServer, createServer as createHttp2Server, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FetchServer, JSON_TEXT, type SeenRequest } from '../support/fetch-server.ts'
import { Nginx } from '../support/nginx.ts'
import { FerryProcess, type FerryExit, type FerryOptions, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const NOWHERE = 'http://127.0.0.1:1/'

/** Runs in a folder of its own. */
async function run(
  args: readonly string[],
  options: Partial<FerryOptions> & { files?: Readonly<Record<string, string>> } = {},
): Promise<FerryExit & { readonly names: string[] }> {
  await using dir = await TempDir.create()
  const { files = {}, ...rest } = options
  for (const [name, content] of Object.entries(files)) await dir.write(name, content)
  const exit = await runFerry(['fetch', ...args], { cwd: dir.path, ...rest })
  return { ...exit, names: await dir.names() }
}

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

  test.each(rows)('$args', async ({ args, env, stdin, seen }) => {
    await using server = await FetchServer.start()
    const shell = stdin === undefined ? {} : { shell: `printf '%s' '${stdin}' | "$@"` }

    const exit = await run([...args, server.url('/echo')], { files, env: env ?? {}, ...shell })

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

describe('ferry fetch prints', () => {
  test('bytes as they came where nobody looks', async () => {
    await using nginx = await Nginx.start({ gzip: true })
    await using dir = await TempDir.create()
    const content = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251))
    await nginx.put('file.json', content)
    const shell = '"$@" > out.bin'

    const exit = await runFerry(['fetch', nginx.url('file.json')], { cwd: dir.path, shell })

    expect(exit).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await dir.digest('out.bin')).toBe(digestOf(content))
    expect((await nginx.requests())[0]).toMatchObject({ encoding: 'gzip' })
  })

  test('status and fields first with -i, alone with -I', async () => {
    await using server = await FetchServer.start()

    const [whole, head] = await Promise.all([
      run(['-i', server.url('/json')]),
      run(['--head', server.url('/json')]),
    ])

    expect(whole.stdout).toMatch(/^HTTP\/1\.1 200 OK\nContent-Type: application\/json\n/)
    expect(whole.stdout.endsWith(`\n\n${JSON_TEXT}`)).toBe(true)
    expect(head.stdout).toMatch(/^HTTP\/1\.1 200 OK\n[^]*\n\n$/)
    expect(server.requests.map(({ method }) => method).toSorted()).toEqual(['GET', 'HEAD'])
  })

  test('decompressed content, and what came with --raw', async () => {
    await using server = await FetchServer.start()

    const plain = await run([server.url('/gzip')])
    const raw = await run(['--raw', server.url('/gzip')], { shell: '"$@" | gzip -dc' })

    expect([plain.stdout, raw.stdout]).toEqual(['plain text', 'plain text'])
  })

  test('indented JSON in colours with --color always, unless it is none', async () => {
    await using server = await FetchServer.start({
      '/no-json': (_, response) =>
        response.setHeader('Content-Type', 'application/json').end('Not found, sorry'),
    })

    const { stdout } = await run(['--color', 'always', server.url('/json')])
    const other = await run(['--color', 'always', server.url('/no-json')])

    expect(other.stdout).toBe('Not found, sorry\n')
    expect(stdout).toContain(
      '{\n  \u001b[34m"id"\u001b[39m: \u001b[33m12345678901234567890\u001b[39m,',
    )
    expect(stdout.endsWith('\n}\n')).toBe(true)
  })

  test('what comes as it comes', async () => {
    let finish = (): void => {}
    await using server = await FetchServer.start({
      '/lines': (_, response) => {
        response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
        response.write('{"event":"first"}\n')
        finish = () => response.end('{"event":"last"}\n')
      },
    })
    await using dir = await TempDir.create()
    await using ferry = new FerryProcess(['fetch', server.url('/lines')], { cwd: dir.path })

    await ferry.event(({ event }) => event === 'first')
    finish()

    expect((await ferry.exit).stdout).toBe('{"event":"first"}\n{"event":"last"}\n')
  })

  test('a body of any length in bounded memory', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    const shell = 'exec "$@" > /dev/null'
    const args = ['fetch', server.url('/endless')]
    await using ferry = new FerryProcess(args, { cwd: dir.path, shell })

    while (server.sentBytes < 400 * MIB) await sleep(20)
    const status = readFileSync(`/proc/${ferry.pid}/status`, 'utf8')
    ferry.kill('SIGINT')

    expect(await ferry.exit).toMatchObject({ exitCode: 130 })
    // Node itself takes about 80; the rest is what its collector leaves lying.
    expect(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024).toBeLessThan(280)
  })

  test('nothing more once its reader has gone', async () => {
    await using server = await FetchServer.start()
    const shell = '( "$@"; echo "code $?" >&2 ) | head -c 5'

    const { stdout, stderr } = await run([server.url('/endless')], { shell })

    expect({ stdout, stderr }).toEqual({ stdout: 'xxxxx', stderr: 'code 0\n' })
  })
})

describe('ferry fetch -o', () => {
  test('writes the file, and nothing beside it', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    await dir.write('out.json', 'before')

    const exit = await runFerry(['fetch', '-o', 'out.json', server.url('/json')], { cwd: dir.path })

    expect(exit).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
    expect((await dir.read('out.json')).toString()).toBe(JSON_TEXT)
    expect(await dir.names()).toEqual(['out.json'])
  })

  test.each([
    { path: '/missing', exitCode: 8, stdout: '{"error":"no such item"}' },
    { path: '/unmodified', exitCode: 0, stdout: '' },
    { path: '/cut', exitCode: 9, stdout: '' },
  ])('leaves the file as it was at $path', async ({ path, ...expected }) => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    await dir.write('out', 'before')

    const exit = await runFerry(['fetch', '-o', 'out', server.url(path)], { cwd: dir.path })

    expect(exit).toMatchObject(expected)
    expect((await dir.read('out')).toString()).toBe('before')
    expect(await dir.names()).toEqual(['out'])
  })

  test('leaves nothing at Ctrl-C', async () => {
    await using server = await FetchServer.start()
    await using dir = await TempDir.create()
    const args = ['fetch', '-o', 'out', server.url('/slow')]
    await using ferry = new FerryProcess(args, { cwd: dir.path })
    while ((await dir.names()).length === 0) await sleep(20)
    await sleep(200)
    ferry.kill('SIGINT')

    const exit = await ferry.exit

    expectRefusal(exit, { exitCode: 130, line: 'Nothing of it is in out.' })
    expect(await dir.names()).toEqual([])
  })

  test('writes to what is no regular file as it is', async () => {
    await using server = await FetchServer.start()

    const exit = await run(['-o', 'pipe', server.url('/json')], {
      shell: 'mkfifo pipe; cat pipe & "$@"; wait',
    })

    expect(exit).toMatchObject({ exitCode: 0, stdout: JSON_TEXT, names: ['pipe'] })
  })
})

test('Ctrl-C ends ferry fetch at once, even while nobody takes what it prints', async () => {
  await using server = await FetchServer.start()
  await using dir = await TempDir.create()
  const shell = '( "$@" & echo $! > pid; wait $!; echo "code $?" >&2 ) | sleep 2'
  const args = ['fetch', server.url('/endless')]
  await using ferry = new FerryProcess(args, { cwd: dir.path, shell })
  while (server.requests.length === 0) await sleep(20)
  await sleep(300)

  const startedAt = performance.now()
  process.kill(Number(await dir.read('pid')), 'SIGINT')
  await ferry.printed('code 130')

  expect(performance.now() - startedAt).toBeLessThan(4000)
})

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

    const exit = await run([...args, server.url('/missing')])

    expect(exit).toMatchObject({ exitCode, stdout })
    expect(exit.stderr).toMatch(stderr)
  })

  test('follows redirections, or not', async () => {
    await using server = await FetchServer.start()

    const [followed, left, endless, once] = await Promise.all([
      run([server.url('/moved')]),
      run(['-i', '--no-follow', server.url('/moved')]),
      run(['--max-redirects', '2', server.url('/loop')]),
      run(['--data', '@-', server.url('/kept')], { shell: 'echo once | "$@"' }),
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

    const first = await run(['--retries', '1', server.url('/busy')])
    const quiet = await run(['-q', '--retries', '1', server.url('/busy')])
    const never = await run([server.url('/busy')])

    expect(first).toMatchObject({ exitCode: 0, stdout: 'done' })
    expect(first.stderr).toMatch(/^503.*; trying again in \S+ s \(try 2\)\n$/)
    expect(quiet).toMatchObject({ exitCode: 0, stdout: 'done', stderr: '' })
    expect(never).toMatchObject({ exitCode: 8, stdout: 'busy' })
  })
})

describe('ferry fetch reaches the server', () => {
  test('through a proxy, that of the environment, or none', async () => {
    await using proxy = await FetchServer.start()
    await using server = await FetchServer.start()
    const { host } = new URL(proxy.url('/'))
    const env = { HTTP_PROXY: proxy.url('') }
    const url = server.url('/echo')

    const exits = await Promise.all([
      run(['--proxy', host, url]),
      run([url], { env }),
      run(['--proxy', 'none', url], { env }),
    ])

    expect(exits.map(({ stdout }) => (JSON.parse(stdout) as SeenRequest).url)).toEqual([
      url,
      url,
      '/echo',
    ])
  })

  test('over the version of HTTP and with the certificates that it is told', async () => {
    const identity = createCertificate('IP:127.0.0.1')
    await using server = await startHttp2(
      createSecureServer({
        ...identity,
        allowHTTP1: true,
        requestCert: true,
        rejectUnauthorized: false,
      }),
    )
    await using plain = await startHttp2(createHttp2Server())
    const url = `https://127.0.0.1:${server.port}/`
    const files = { 'ca.pem': identity.cert, 'cert.pem': identity.cert, 'key.pem': identity.key }
    const trust = ['--cacert', 'ca.pem']

    const exits = await Promise.all([
      run([...trust, url], { files }),
      run([...trust, '--http2', url], { files }),
      run([...trust, '--http1', url], { files }),
      run(['--insecure', '--cert', 'cert.pem', '--key', 'key.pem', url], { files }),
      run(['--http2-prior-knowledge', `http://127.0.0.1:${plain.port}/`]),
      run([url]),
    ])

    expect(exits.slice(0, 5).map(({ stdout }) => stdout)).toEqual([
      '2.0',
      '2.0',
      '1.1',
      '2.0 shown: Ferry test',
      '2.0',
    ])
    expectRefusal(exits[5] as FerryExit, { exitCode: 5, line: 'self-signed' })
  })

  test('with the cookies that came before', async () => {
    await using server = await FetchServer.start({
      '/login': (_, response) => response.setHeader('Set-Cookie', 'sid=abc; Path=/').end(),
    })
    await using dir = await TempDir.create()
    const args = ['fetch', '--cookie-jar', 'jar.txt']

    const login = await runFerry([...args, server.url('/login')], { cwd: dir.path })
    await runFerry([...args, server.url('/echo')], { cwd: dir.path })

    expect(login).toMatchObject({ exitCode: 0, stderr: '' })
    expect(server.requests[1]?.headers.cookie).toBe('sid=abc')
    expect((await dir.read('jar.txt')).toString()).toContain('sid\tabc')
  })
})

/** Answers with the version that was spoken and the certificate that was shown. */
async function startHttp2(server: Http2Server): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket: { destroy(): void }) => sockets.add(socket))
  server.on('request', (request, response) => {
    const socket = request.stream?.session?.socket ?? request.socket
    const { subject } = (socket as Partial<TLSSocket>).getPeerCertificate?.() ?? {}
    const shown = subject?.CN === undefined ? '' : ` shown: ${String(subject.CN)}`
    response.end(`${request.httpVersion}${shown}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

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

    const { stderr, stdout } = await run(['-q', '--timing', '--retries', '1', server.url('/moved')])

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
    const { exitCode, stderr } = await run(['--timing', NOWHERE])

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
    const refused = await run(['-q', '--report', '-', server.url('/missing')])

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

    const { stderr, stdout } = await run(['-v', server.url('/moved')])

    expect(stdout).toBe(JSON_TEXT)
    expect(stderr).toMatch(/^> GET \/moved\n> Host: 127\.0\.0\.1:\d+\n[^]*?\n>\n\* 127/)
    expect(stderr).toMatch(/\n\* 127\.0\.0\.1:\d+\n< HTTP\/1\.1 302 Found\n< Location: \/json\?…\n/)
    expect(stderr).toMatch(/\n> GET \/json\?…\n[^]*, used again\n< HTTP\/1\.1 200 OK\n/)
  })
})

describe.concurrent('ferry fetch prints no secret', () => {
  const SECRETS = ['pass-7f3a', 'token-91bc', 'field-e04d', 'query-55aa', 'sid-abc', 'form-1d2e']
  const files = { 'fields.txt': 'X-Plain: field-e04d\n' }
  const sent = ['-H', 'X-Api-Token: token-91bc', '-H', '@fields.txt', '-H', 'Cookie: a=sid-abc']

  test.each([
    { what: 'with -v and --timing', path: '/cookie', args: ['-v', '--timing'], exitCode: 0 },
    { what: 'of a refusal', path: '/missing', args: ['--fail', '--report', '-'], exitCode: 8 },
    { what: 'of a break', path: '/cut', args: ['-v', '-o', 'out'], exitCode: 9 },
    { what: 'of a redirection', path: '/moved', args: ['-v', '--report', '-'], exitCode: 0 },
  ])('$what', async ({ path, args, exitCode }) => {
    await using server = await FetchServer.start({
      '/cookie': (_, response) => response.setHeader('Set-Cookie', 'sid=sid-abc; Path=/').end('x'),
    })
    const url = new URL(server.url(`${path}?key=query-55aa`))
    Object.assign(url, { username: 'alice', password: 'pass-7f3a' })
    const form = path === '/moved' ? [] : ['--form', 'pin=form-1d2e']

    const exit = await run([...args, ...sent, ...form, url.href], { files })

    expect(exit.exitCode).toBe(exitCode)
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('alice:pass-7f3a').toString('base64')}`,
      'x-api-token': 'token-91bc',
      'x-plain': 'field-e04d',
    })
    expectNoSecret(exit)
  })

  test.each([
    ['--json', '{"pin": form-1d2e}', NOWHERE],
    ['-u', 'alice:pass-7f3a\u0007', NOWHERE],
    ['-u', 'alice:pass-7f3a', NOWHERE],
    ['-H', 'X-Api-Token token-91bc', NOWHERE],
    ['-H', 'X-Api-Token: token-91bc\u0007', NOWHERE],
    ['--proxy', 'http://alice:pass-7f3a@:1:2', NOWHERE],
    ['--proxy', 'http://alice:pass-7f3a@127.0.0.1:1', 'http://h.test/?key=query-55aa'],
    ['https://alice:pass-7f3a@h:99999/'],
    ['ftp://alice:pass-7f3a@h/'],
  ])('of a mistake: %j %j %j', async (...args) => {
    const exit = await run([...args])

    expect(exit.exitCode).toBeGreaterThan(1)
    expect(exit.stderr).toMatch(/^ferry: Cannot /)
    expectNoSecret(exit)
  })

  function expectNoSecret({ stderr }: FerryExit): void {
    for (const secret of SECRETS) expect(stderr).not.toContain(secret)
    expect(stderr).not.toContain(Buffer.from('alice:pass-7f3a').toString('base64'))
  }
})

test('ferry fetch gives secrets to nobody but the origin they are for', async () => {
  await using elsewhere = await FetchServer.start()
  await using server = await FetchServer.start({
    '/away': (_, response) => response.writeHead(302, { Location: elsewhere.url('/') }).end(),
  })
  const files = { 'fields.txt': 'X-Plain: field-e04d\n' }

  await run(['-u', 'alice:pw', '-H', '@fields.txt', '-H', 'X-Open: 1', server.url('/away')], {
    files,
  })

  const headers = elsewhere.requests[0]?.headers
  expect(headers).toMatchObject({ 'x-open': '1' })
  expect(headers).not.toHaveProperty('authorization')
  expect(headers).not.toHaveProperty('x-plain')
})

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
    [['--cert', '/proc/self/cmdline', 'https://127.0.0.1:1/'], 2, 'Cannot use'],
    [['-u', '@empty', NOWHERE], 2, 'expected a line NAME:PASSWORD'],
    [['-u', 'a:b', '-H', 'Authorization: c', NOWHERE], 2, 'beside a --header Authorization'],
    [['-o', 'no/file', NOWHERE], 15, 'Cannot write no/file'],
    [['-o', '.', NOWHERE], 15, 'it is a folder'],
    [['http://ferry.invalid/'], 3, 'Cannot resolve host ferry.invalid'],
    [[NOWHERE], 4, 'connection refused'],
  ]

  test.each(rows)('%j', async (args, exitCode, line) => {
    const exit = await run(args, { files: { empty: '' } })

    expectRefusal(exit, { exitCode, line })
  })

  test('to wait for ever', async () => {
    await using server = await FetchServer.start()

    const exit = await run(['--timeout', '1', server.url('/silent')])

    expectRefusal(exit, { exitCode: 6, line: '--timeout SECONDS' })
  })

  test('to ask for a password where there is nobody', async () => {
    const exit = await run(['-u', 'alice', NOWHERE], { shell: 'setsid -w "$@"' })

    expectRefusal(exit, { exitCode: 2, line: 'there is no terminal; set FERRY_PASSWORD' })
  })

  test('to write where there is no room', async () => {
    await using server = await FetchServer.start()

    const exit = await run([server.url('/json')], { shell: '"$@" > /dev/full' })

    expectRefusal(exit, { exitCode: 14, line: 'Cannot write to standard output: no space left' })
  })
})

describe.concurrent('ferry fetch on a terminal', () => {
  /** As in terminal.test.ts: `script` opens a pseudo terminal; what is typed comes after a while. */
  async function runOnTerminal(
    args: readonly string[],
    { env = {}, typed = '' }: { env?: Readonly<Record<string, string>>; typed?: string } = {},
  ): Promise<FerryExit & { readonly names: string[] }> {
    const type = typed === '' ? '' : `(sleep 1; printf '${typed}'; sleep 1) | `
    const shell = `${type}command="$*" script -qefc 'stty cols 72; exec $command' /dev/null`
    return run(args, { shell, env: { TERM: 'xterm', ...env } })
  }

  test('indents and colours JSON', async () => {
    await using server = await FetchServer.start()

    const [coloured, plain] = await Promise.all([
      runOnTerminal(['-i', server.url('/json')]),
      runOnTerminal([server.url('/json')], { env: { NO_COLOR: '1' } }),
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
      runOnTerminal([server.url('/text')]),
      runOnTerminal([server.url('/binary')]),
    ])

    expect(text.stdout).toBe('a line\r\n')
    expect(binary.exitCode).toBe(2)
    expect(binary.stdout).toMatch(/^ferry: Cannot show content of type image\/png .* Use -o FILE/)
  })

  test('draws progress after a second, and erases it', async () => {
    await using server = await FetchServer.start()

    const { stdout, names } = await runOnTerminal(['-o', 'out', server.url('/slow')])

    expect(names).toEqual(['out'])
    const frames = stdout.split('\u001b[0J')
    expect(frames.length).toBeGreaterThan(3)
    expect(frames[0]).toMatch(/^\u001b\[\?7l[^]*out[^]*█+[^]*░+.* \d\d % of 1\.91 MiB, /)
    expect(frames.at(-1)).toMatch(/^out: 1\.91 MiB in 2\.\d s \(.*\)\r\n$/)
  })

  test('asks for the password without showing it', async () => {
    await using server = await FetchServer.start()

    const args = ['-q', '-o', 'out', '-u', 'alice', server.url('/echo')]
    const { stdout, exitCode } = await runOnTerminal(args, { typed: 'hidden\\r' })

    expect({ stdout, exitCode }).toEqual({ stdout: 'Password: \r\n', exitCode: 0 })
    expect(server.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('alice:hidden').toString('base64')}`,
    )
  })

  test('ends at Ctrl-C while it asks', async () => {
    const { stdout, exitCode } = await runOnTerminal(['-u', 'alice', NOWHERE], { typed: '\\003' })

    expect(exitCode).toBe(130)
    expect(stdout).toMatch(/^Password: \r\nferry: Interrupted before anything had come\./)
  })
})

test('ferry fetch --help teaches by examples and lists the exit codes', async () => {
  const { exitCode, stdout, stderr } = await run(['--help'])

  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain('Examples:\n  $ ferry fetch https://')
  expect(stdout).toMatch(/Exit codes:\n {2}0 done[^]*130 interrupted/)
  expect(stdout).toContain('FERRY_PASSWORD')
})

/** What `ferry fetch` prints where nobody looks, and how it ends when told to. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { FetchServer, JSON_TEXT } from '../support/fetch-server.ts'
import { Nginx } from '../support/nginx.ts'
import { FerryProcess, runFerry } from '../support/run-ferry.ts'
import { runFetch } from '../support/run-fetch.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576

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
      runFetch(['-i', server.url('/json')]),
      runFetch(['--head', server.url('/json')]),
    ])

    expect(whole.stdout).toMatch(/^HTTP\/1\.1 200 OK\nContent-Type: application\/json\n/)
    expect(whole.stdout.endsWith(`\n\n${JSON_TEXT}`)).toBe(true)
    expect(head.stdout).toMatch(/^HTTP\/1\.1 200 OK\n[^]*\n\n$/)
    expect(server.requests.map(({ method }) => method).toSorted()).toEqual(['GET', 'HEAD'])
  })

  test('decompressed content, and what came with --raw', async () => {
    await using server = await FetchServer.start()

    const plain = await runFetch([server.url('/gzip')])
    const raw = await runFetch(['--raw', server.url('/gzip')], { shell: '"$@" | gzip -dc' })

    expect([plain.stdout, raw.stdout]).toEqual(['plain text', 'plain text'])
  })

  test('indented JSON in colours with --color always, unless it is none', async () => {
    await using server = await FetchServer.start({
      '/no-json': (_, response) =>
        response.setHeader('Content-Type', 'application/json').end('Not found, sorry'),
    })

    const { stdout } = await runFetch(['--color', 'always', server.url('/json')])
    const other = await runFetch(['--color', 'always', server.url('/no-json')])

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

    const { stdout, stderr } = await runFetch([server.url('/endless')], { shell })

    expect({ stdout, stderr }).toEqual({ stdout: 'xxxxx', stderr: 'code 0\n' })
  })
})

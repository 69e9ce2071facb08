/** What `ferry get` tells servers, and whom it tells secrets. */
import { expect, test } from 'vitest'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = Buffer.alloc(100_000, 'x')
const DIGEST = digestOf(CONTENT)

/** RFC 7617. */
function basic(credentials: string): string {
  return `Basic ${Buffer.from(credentials).toString('base64')}`
}

test('ferry get sends what it is told to', async () => {
  await using server = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()
  await dir.write('cookies.txt', '127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue\n')
  const args = ['-A', 'test/1', '-e', 'http://from.example/', '-b', 'cookies.txt']

  const run = await runFerry(['get', ...args, server.url], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(server.requests[0]?.headers).toMatchObject({
    'user-agent': 'test/1',
    referer: 'http://from.example/',
    cookie: 'name=value',
  })
})

test.each([
  { what: '--user @FILE', args: ['-u', '@user.txt'], expected: 'alice:in a file' },
  {
    what: '--user and FERRY_PASSWORD',
    args: ['-u', 'alice'],
    expected: 'alice:of the environment',
  },
  { what: '--netrc', args: ['--netrc'], expected: 'bob:at home' },
  { what: '--netrc-file', args: ['--netrc-file', 'other'], expected: 'carol:elsewhere' },
])('ferry get $what says who asks', async ({ args, expected }) => {
  await using server = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()
  await dir.write('user.txt', 'alice:in a file\n')
  await dir.write('.netrc', 'machine 127.0.0.1 login bob password "at home"\n')
  await dir.write('other', 'machine 127.0.0.1 login carol password elsewhere\n')

  const run = await runFerry(['get', ...args, server.url], {
    cwd: dir.path,
    env: { HOME: dir.path, FERRY_PASSWORD: 'of the environment' },
  })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(server.requests[0]?.headers.authorization).toBe(basic(expected))
})

test('ferry get tells mirrors of a Metalink no secrets', async () => {
  await using mirror = await FaultServer.start({ content: CONTENT })
  await using server = await FaultServer.start({
    content: Buffer.from(
      `<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="file.bin">
      <hash type="sha-256">${DIGEST}</hash><url>${mirror.url}</url></file></metalink>`,
    ),
  })
  await using dir = await TempDir.create()
  await dir.write('fields.txt', 'X-Mine: from a file\n')
  await dir.write('default', 'default login nobody password nothing\n')
  const fields = ['-H', 'X-Token: secret', '-H', 'X-Open: to all', '-H', '@fields.txt']
  const args = ['-u', 'alice:password', '--netrc-file', 'default', ...fields]

  const run = await runFerry(['get', ...args, `${server.url}.meta4`], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(server.requests[0]?.headers).toMatchObject({
    authorization: basic('alice:password'),
    'x-token': 'secret',
    'x-mine': 'from a file',
  })
  const headers = mirror.requests[0]?.headers
  expect(headers).toMatchObject({ 'x-open': 'to all' })
  for (const name of ['authorization', 'x-token', 'x-mine']) {
    expect(headers).not.toHaveProperty(name)
  }
})

test('ferry get -i sends the credentials of a line with that line', async () => {
  await using first = await FaultServer.start({ content: CONTENT })
  await using second = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()
  const lines = [first.url, '  out=a', '  http-user=u', '  http-passwd=p', second.url, '  out=b']
  await dir.write('list.txt', lines.join('\n'))

  const run = await runFerry(['get', '-i', 'list.txt'], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(first.requests[0]?.headers.authorization).toBe(basic('u:p'))
  expect(second.requests[0]?.headers).not.toHaveProperty('authorization')
})

test('ferry get goes through the proxy of --proxy, and of a line of a list', async () => {
  // A proxy of http answers requests whose target is a whole URL.
  await using proxy = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()
  await dir.write('list.txt', `http://b.example/b\n  http-proxy=127.0.0.1:${proxy.port}\n`)

  const direct = await runFerry(
    ['get', '--proxy', `127.0.0.1:${proxy.port}`, 'http://a.example/a'],
    { cwd: dir.path },
  )
  const listed = await runFerry(['get', '-i', 'list.txt'], { cwd: dir.path })

  expect([direct.exitCode, listed.exitCode]).toEqual([0, 0])
  expect(proxy.requests.map(({ url }) => url)).toEqual(['http://a.example/a', 'http://b.example/b'])
})

test('ferry get --max-redirects 0 follows none', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: () => ({ type: 'status', status: 302, headers: { Location: '/elsewhere' } }),
  })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--max-redirects', '0', server.url], { cwd: dir.path })

  expectRefusal(run, { exitCode: 8, line: 'answered 302 Found' })
  expect(server.requests).toHaveLength(1)
})

test.each([
  { what: 'no cookies', args: ['--cookies', 'no'], line: 'Cannot read no for --cookies' },
  { what: 'no .netrc', args: ['--netrc-file', 'no'], line: 'Cannot read no for --netrc-file' },
  {
    what: 'two that ask',
    args: ['-u', 'a:b', '-H', 'Authorization: x'],
    line: 'Cannot use --user beside a --header Authorization',
  },
  { what: 'a range in a file', args: ['-H', '@range'], line: 'Cannot send the field range' },
])('ferry get refuses $what', async ({ args, line }) => {
  await using dir = await TempDir.create()
  await dir.write('range', 'Range: bytes=0-1\n')

  const run = await runFerry(['get', ...args, 'http://127.0.0.1:1/f'], { cwd: dir.path })

  expectRefusal(run, { exitCode: 2, line })
})

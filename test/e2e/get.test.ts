/** What `ferry get` does when nothing goes wrong, and what it shows meanwhile. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import { Nginx } from '../support/nginx.ts'
import { FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = randomBytes(6 * MIB + 1)
const DIGEST = digestOf(CONTENT)
/** Slow enough to look at for a few seconds, or to interrupt. */
const SLOW = { limitRate: MIB }

async function startNginx(options: Parameters<typeof Nginx.start>[0] = {}): Promise<Nginx> {
  const nginx = await Nginx.start(options)
  await nginx.put('file.bin', CONTENT)
  return nginx
}

test('ferry get fetches a file whole and leaves nothing else', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()

  const run = await runFerry(['get', nginx.url('file.bin')], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(run.stdout).toMatch(/^\S+\/file\.bin: 6 MiB in \S+ s \(\S+ \wi?B\/s\)\n$/)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(await dir.names()).toEqual(['file.bin'])
})

test('ferry get --cacert fetches over TLS and checks the digest', async () => {
  await using nginx = await startNginx({ certificate: createCertificate('IP:127.0.0.1') })
  await using dir = await TempDir.create()
  const args = ['--cacert', nginx.certificatePath, '--checksum', `sha256=${DIGEST}`]

  const run = await runFerry(['get', ...args, nginx.url('file.bin')], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(run.stdout).toContain('sha256 is right')
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get --insecure fetches from a server that nobody vouches for', async () => {
  await using nginx = await startNginx({ certificate: createCertificate('DNS:elsewhere.test') })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--insecure', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get uses more connections where the server limits each', async () => {
  await using nginx = await startNginx(SLOW)
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-x', '4', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  const requests = await nginx.requests()
  // The log is in the order in which answers ended.
  expect(requests.filter(({ status }) => status === 200)).toMatchObject([{ range: '' }])
  expect(requests.filter(({ status }) => status === 206).length).toBeGreaterThanOrEqual(2)
})

test('ferry get -x 1 asks once', async () => {
  await using nginx = await startNginx({ limitRate: 4 * MIB })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-x', '1', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect((await nginx.requests()).map(({ status, range }) => [status, range])).toEqual([[200, '']])
})

test('ferry get gets along with a server that serves few connections', async () => {
  await using nginx = await startNginx({ limitRate: 2 * MIB, limitConnections: 2 })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get asks for content without a coding, even where the server has one', async () => {
  await using nginx = await startNginx({ gzip: true })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(await nginx.requests()).toMatchObject([{ encoding: '' }])
})

test('ferry get --json prints one value a line and ends with completed', async () => {
  await using nginx = await startNginx({ limitRate: 3 * MIB })
  await using dir = await TempDir.create()
  const url = nginx.url('file.bin')

  const run = await runFerry(['get', '--json', '-x', '1', url], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  const events = parseEvents(run.stdout)
  const ofItem = { item: 1, url }
  const others = events.filter(({ event }) => event !== 'progress')
  expect(others.slice(0, 3)).toEqual([
    { event: 'started', ...ofItem },
    { event: 'state', ...ofItem, state: 'running' },
    { event: 'named', ...ofItem, path: dir.join('file.bin') },
  ])
  expect(events).toContainEqual(
    expect.objectContaining({
      event: 'progress',
      ...ofItem,
      state: 'running',
      size: CONTENT.length,
      connections: [expect.objectContaining({ id: 1, state: 'receiving' })],
    }),
  )
  expect(events.at(-1)).toMatchObject({
    event: 'completed',
    ...ofItem,
    outcome: 'fetched',
    proof: 'single-response',
    path: dir.join('file.bin'),
    size: CONTENT.length,
    fetchedBytes: CONTENT.length,
    resumedBytes: 0,
  })
})

test('ferry get prints plain lines where there is no terminal', async () => {
  await using nginx = await startNginx({ limitRate: 3 * MIB })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-x', '1', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(run.stderr).toMatch(/^(?:file\.bin: \d+ % of 6 MiB, .+, 1 connection\n)+$/)
  expect(run.stdout + run.stderr).not.toContain('\u001b')
})

test('ferry get --quiet prints nothing', async () => {
  await using nginx = await startNginx({ limitRate: 4 * MIB })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-q', '-x', '1', nginx.url('file.bin')], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get --help shows examples and exit codes', async () => {
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--help'], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(run.stdout).toMatch(/Examples:\n {2}\$ ferry get https:/)
  expect(run.stdout).toContain('Exit codes:')
})

test('ferry get takes many URLs, goes on after a failure and tells of the first', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()
  await nginx.put('a.bin', Buffer.from('a'))
  await nginx.put('b.bin', Buffer.from('b'))
  const urls = ['a.bin', 'absent', 'b.bin'].map((name) => nginx.url(name))

  const run = await runFerry(['get', '-j', '1', ...urls, 'ftp://host/c'], { cwd: dir.path })

  expect(run.exitCode).toBe(8)
  expect(run.notes.split('\n')).toEqual([
    expect.stringContaining('404 Not Found'),
    expect.stringContaining('Cannot fetch a ftp: URL'),
    '',
  ])
  expect(run.stdout.match(/^.*: /gm)).toEqual([`${dir.join('a.bin')}: `, `${dir.join('b.bin')}: `])
  expect(await dir.names()).toEqual(['a.bin', 'b.bin'])
})

test('ferry get --json names the URL that has failed, not the one before', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()
  const urls = [nginx.url('file.bin'), 'ftp://host/c', nginx.url('absent')]

  const run = await runFerry(['get', '--json', ...urls], { cwd: dir.path })

  const failed = parseEvents(run.stdout).filter(({ event }) => event === 'failed')
  expect(failed.map(({ item, url, code }) => [item, url, code])).toEqual(
    expect.arrayContaining([
      [2, undefined, 'config'],
      [3, nginx.url('absent'), 'http-status'],
    ]),
  )
  expect(failed).toHaveLength(2)
})

test('ferry get -d makes the folder and those above it', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '-d', 'x/y/z', nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('x/y/z/file.bin')).toBe(DIGEST)
})

test('ferry get -o writes to a path that does not start at the present folder', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()
  await using elsewhere = await TempDir.create()
  const output = elsewhere.join('named.bin')

  const run = await runFerry(['get', '-o', output, nginx.url('file.bin')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await elsewhere.digest('named.bin')).toBe(DIGEST)
})

test('ferry get --header @FILE sends the fields of a file', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()
  await dir.write('fields.txt', 'X-Ferry-Test: from a file\r\n\r\nX-Other: 1\n')
  const args = ['--header', '@fields.txt', nginx.url('file.bin')]

  const run = await runFerry(['get', ...args], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await nginx.requests()).toMatchObject([{ testField: 'from a file' }])
})

test('ferry get --limit-rate holds', async () => {
  await using nginx = await startNginx()
  await using dir = await TempDir.create()
  const args = ['--json', '--limit-rate', '3M', nginx.url('file.bin')]

  const run = await runFerry(['get', ...args], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  const { elapsedMs } = parseEvents(run.stdout).at(-1) as unknown as { elapsedMs: number }
  // 6 MiB take 2 s; a busy machine may need longer, but less would break the promise.
  expect(elapsedMs).toBeGreaterThan(1700)
  expect(elapsedMs).toBeLessThan(30_000)
})

test('ferry get downloads on when the reader of its output goes away', async () => {
  await using nginx = await startNginx({ limitRate: 3 * MIB })
  await using dir = await TempDir.create()
  const shell = '{ "$@"; echo "exit $?" >&2; } | head -n 1'

  const run = await runFerry(['get', '--json', '-x', '1', nginx.url('file.bin')], {
    cwd: dir.path,
    shell,
  })

  expect(run.stderr).toBe('exit 0\n')
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test.each([
  { signal: 'SIGINT', exitCode: 130 },
  { signal: 'SIGTERM', exitCode: 143 },
] as const)('ferry get says after $signal how to go on, and goes on', async (row) => {
  await using nginx = await startNginx({ limitRate: 3 * MIB })
  await using dir = await TempDir.create()
  const args = ['get', '-x', '1', nginx.url('file.bin')]

  await using first = new FerryProcess(args, { cwd: dir.path })
  await dir.whenNoted('file.bin.part.journal')
  first.kill(row.signal)
  const interrupted = await first.exit

  expect(interrupted.exitCode).toBe(row.exitCode)
  const last = interrupted.stderr.trimEnd().split('\n').at(-1)
  expect(last).toMatch(/^ferry: Interrupted: \S+ \w+ of 6 MiB are kept in \S+\/file\.bin\.part\./)
  expect(last).toMatch(/ Run the same command again to go on\.$/)
  expect(await dir.names()).toEqual(['file.bin.part', 'file.bin.part.journal'])

  const resumed = await runFerry(args, { cwd: dir.path })

  expect(resumed.exitCode).toBe(0)
  expect(resumed.stdout).toContain(' were here already')
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(await dir.names()).toEqual(['file.bin'])
  expect((await nginx.requests()).at(-1)).toMatchObject({
    status: 206,
    range: expect.stringMatching(/^bytes=[1-9]/),
  })
})

test.each([
  {
    what: 'Ctrl-C',
    exitCode: 130,
    line: /^ferry: Interrupted: .* had come of \S+\/file\.bin\. The same command begins anew/,
  },
  { what: 'a break', exitCode: 9, line: /\. Run the same command again, which begins anew\.$/ },
])('ferry get does not promise after $what what it cannot do', async ({ what, exitCode, line }) => {
  await using server = await FaultServer.start({
    content: CONTENT,
    ranges: 'ignored',
    bytesPerSecond: MIB,
    ...(what === 'a break' ? { fault: () => ({ type: 'end', afterBytes: MIB }) } : {}),
  })
  await using dir = await TempDir.create()

  const args = ['get', '--retries', '0', server.url]
  await using run = new FerryProcess(args, { cwd: dir.path })
  if (exitCode === 130) {
    // That it gets all of it where it has asked for a part tells it.
    await expect.poll(() => server.requests.length, { timeout: 20_000 }).toBeGreaterThan(1)
    await expect.poll(() => server.active).toBe(1)
    run.kill('SIGINT')
  }
  const ended = await run.exit

  expect(ended.exitCode).toBe(exitCode)
  expect(ended.stderr.trimEnd().split('\n').at(-1)).toMatch(line)
})

test('ferry get does not mix the files of two URLs', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 2 * MIB })
  await using dir = await TempDir.create()
  await using first = new FerryProcess(['get', '-x', '1', server.url], { cwd: dir.path })
  await dir.whenNoted('file.bin.part.journal')
  first.kill('SIGKILL')
  await first.exit
  const other = randomBytes(CONTENT.length)
  Object.assign(server.options, { content: other, bytesPerSecond: undefined })
  const url = server.url.replace('/file.bin', '/other/file.bin')

  const failed = await runFerry(['get', '--on-change', 'fail', url], { cwd: dir.path })
  const run = await runFerry(['get', url], { cwd: dir.path })

  expect(failed.exitCode).toBe(10)
  expect(failed.stderr).toContain(`it holds a part of ${server.url}`)
  expect(run.exitCode).toBe(0)
  expect(run.stderr).toContain('starting again from its beginning')
  expect(await dir.digest('file.bin')).toBe(digestOf(other))
})

/** `ferry get` of several files: lists, patterns, Metalinks, mirrors, and two of one name. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { Nginx } from '../support/nginx.ts'
import { FerryProcess, parseEvents, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const MIB = 1_048_576
const CONTENT = randomBytes(2 * MIB + 1)
const DIGEST = digestOf(CONTENT)
const NOWHERE = 'http://127.0.0.1:1/file.bin'

/** nginx with small files, each of which holds its own name. */
async function startNginx(names: readonly string[]): Promise<Nginx> {
  const nginx = await Nginx.start()
  for (const name of names) await nginx.put(name, Buffer.from(name))
  return nginx
}

function metalink(urls: readonly string[], size = CONTENT.length): string {
  const places = urls.map((url, index) => `<url priority="${index + 1}">${url}</url>`)
  return `<?xml version="1.0"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="../named.bin"><size>${size}</size>
<hash type="sha-256">${DIGEST}</hash>${places.join('')}</file></metalink>`
}

test('ferry get --expand takes braces and ranges for several URLs', async () => {
  const names = ['a1.txt', 'a2.txt', 'b1.txt', 'b2.txt']
  await using nginx = await startNginx(names)
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--expand', nginx.url('{a,b}[1-2].txt')], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(await dir.names()).toEqual(names)
  expect((await dir.read('b2.txt')).toString()).toBe('b2.txt')
})

test('ferry get fetches as many files at once as -j says', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 4 * MIB })
  await using dir = await TempDir.create()
  const urls = ['a', 'b', 'c', 'd'].map((name) => server.url.replace('file.bin', name))

  const run = await runFerry(['get', '-x', '1', '-j', '2', ...urls], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(server.maxActive).toBe(2)
  for (const name of await dir.names()) expect(await dir.digest(name)).toBe(DIGEST)
  expect(await dir.names()).toHaveLength(4)
})

test('ferry get --max-per-host holds for all files together', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 2 * MIB })
  await using dir = await TempDir.create()
  const lines = ['a', 'b', 'c'].map((name) => `${server.url}\n  out=${name}\n`)
  await dir.write('list.txt', lines.join(''))

  const run = await runFerry(['get', '--max-per-host', '2', '-i', 'list.txt'], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  // The server learns a little later that a connection was closed; without a limit there are
  // many more.
  expect(server.maxActive).toBeLessThanOrEqual(3)
  expect(await dir.names()).toEqual(['a', 'b', 'c', 'list.txt'])
})

test.each([
  { what: '--limit-rate holds for all files together', args: ['--limit-rate', '2M'] },
  { what: '--limit-each holds for each file', args: ['--limit-each', '1M'] },
])('ferry get $what', async ({ args }) => {
  await using server = await FaultServer.start({ content: CONTENT })
  await using dir = await TempDir.create()
  const urls = [server.url, server.url.replace('file.bin', 'other.bin')]

  const run = await runFerry(['get', '--json', '-x', '1', ...args, ...urls], { cwd: dir.path })

  const completed = parseEvents(run.stdout).filter(({ event }) => event === 'completed')
  // 2 MiB each take 2 s; a busy machine may need longer, but less would break the promise.
  expect(Math.max(...completed.map(({ elapsedMs }) => elapsedMs as number))).toBeGreaterThan(1500)
  expect(completed).toHaveLength(2)
})

test('ferry get -i reads a list of aria2 with options of each file', async () => {
  await using nginx = await startNginx(['a.txt', 'b.txt', 'c.txt'])
  await using dir = await TempDir.create()
  const digest = digestOf(Buffer.from('b.txt'))
  const list = [
    '# a comment',
    `${nginx.url('a.txt')}`,
    '  out=renamed.txt',
    '  header=X-Ferry-Test: of a',
    `${nginx.url('absent')}\t${nginx.url('b.txt')}`,
    '  out=b.txt',
    '  dir=folder',
    `  checksum=sha-256=${digest}`,
    '  bt-max-peers=3',
    nginx.url('c.txt'),
  ]
  await dir.write('list.txt', list.join('\n'))

  const run = await runFerry(['get', '-i', 'list.txt'], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(run.stderr).toContain('list.txt, line 9: the option bt-max-peers has no effect\n')
  expect(run.stdout).toContain('sha256 is right')
  expect(await dir.names()).toEqual(['c.txt', 'folder', 'list.txt', 'renamed.txt'])
  expect((await dir.read('folder/b.txt')).toString()).toBe('b.txt')
  const requests = await nginx.requests()
  expect(requests.filter(({ testField }) => testField === 'of a')).toMatchObject([
    { uri: '/a.txt' },
  ])
})

test('ferry get -i - reads the list from standard input', async () => {
  await using nginx = await startNginx(['a.txt'])
  await using dir = await TempDir.create()
  const shell = `echo ${nginx.url('a.txt')} | "$@"`

  const run = await runFerry(['get', '-i', '-'], { cwd: dir.path, shell })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(await dir.names()).toEqual(['a.txt'])
})

test('ferry get -i names the line that it cannot use', async () => {
  await using dir = await TempDir.create()
  await dir.write('list.txt', `${NOWHERE}\n  chekcsum=x\n`)

  const run = await runFerry(['get', '-i', 'list.txt'], { cwd: dir.path })

  expectRefusal(run, {
    exitCode: 2,
    line: 'Cannot use list.txt, line 2: unknown option "chekcsum"',
  })
  expect(await dir.names()).toEqual(['list.txt'])
})

test.each(['here', 'at a server'])(
  'ferry get takes mirrors, name and digest from a Metalink %s',
  async (where) => {
    await using nginx = await Nginx.start()
    await using dir = await TempDir.create()
    await nginx.put('file.bin', CONTENT)
    const document = metalink([nginx.url('absent'), nginx.url('file.bin')])
    await nginx.put('file.meta4', Buffer.from(document))
    await dir.write('file.meta4', document)
    const place = where === 'here' ? 'file.meta4' : nginx.url('file.meta4')

    const run = await runFerry(['get', place], { cwd: dir.path })

    expect(run.exitCode).toBe(0)
    expect(run.stdout).toContain('sha256 is right')
    expect(run.stderr).toContain('404 Not Found; going on without it')
    expect(await dir.digest('named.bin')).toBe(DIGEST)
  },
)

test('ferry get --no-metalink fetches the Metalink itself', async () => {
  await using nginx = await startNginx(['file.meta4'])
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--no-metalink', nginx.url('file.meta4')], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.names()).toEqual(['file.meta4'])
})

test('ferry get --find-mirrors asks the server for them, and checks by its digest', async () => {
  await using mirror = await FaultServer.start({ content: CONTENT })
  await using server = await FaultServer.start({
    content: CONTENT,
    reprDigest: true,
    headers: { Link: `<${mirror.url}>; rel=duplicate; pri=1` },
    fault: ({ method }) => (method === 'GET' ? { type: 'status', status: 404 } : undefined),
  })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--find-mirrors', server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(run.stdout).toContain('sha256 is right')
  expect(server.requests[0]?.method).toBe('HEAD')
  expect(mirror.requests).not.toHaveLength(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get --find-mirrors reads the Metalink that the server names, and tells it no secrets', async () => {
  await using mirror = await FaultServer.start({ content: CONTENT })
  await using describer = await FaultServer.start({ content: Buffer.from(metalink([mirror.url])) })
  await using server = await FaultServer.start({
    content: CONTENT,
    reprDigest: true,
    headers: { Link: `<${describer.url}>; rel=describedby; type="application/metalink4+xml"` },
    fault: ({ method }) => (method === 'GET' ? { type: 'status', status: 404 } : undefined),
  })
  await using dir = await TempDir.create()
  const args = ['--find-mirrors', '-H', 'X-Token: secret', '-H', 'X-Open: to all']

  const run = await runFerry(['get', ...args, server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(server.requests[0]?.headers).toMatchObject({ 'x-token': 'secret', 'x-open': 'to all' })
  for (const { requests } of [describer, mirror]) {
    expect(requests[0]?.headers).toMatchObject({ 'x-open': 'to all' })
    expect(requests[0]?.headers).not.toHaveProperty('x-token')
  }
})

test('ferry get --find-mirrors goes on without them when the server has none', async () => {
  await using server = await FaultServer.start({
    content: CONTENT,
    fault: ({ method }) => (method === 'HEAD' ? { type: 'status', status: 405 } : undefined),
  })
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--find-mirrors', server.url], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(run.stderr).toContain('405 Method Not Allowed; going on without mirrors\n')
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get --mirror takes over where the first place fails', async () => {
  await using nginx = await Nginx.start()
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const args = ['--mirror', nginx.url('file.bin'), '-o', 'here.bin', nginx.url('absent')]

  const run = await runFerry(['get', '--json', ...args], { cwd: dir.path })

  expect(run.exitCode).toBe(0)
  expect(parseEvents(run.stdout)).toContainEqual(
    expect.objectContaining({ event: 'mirror-dropped', item: 1, error: expect.any(String) }),
  )
  expect(await dir.digest('here.bin')).toBe(DIGEST)
})

test.each([
  { choice: 'rename', exitCode: 0, names: ['file (1).bin', 'file.bin'] },
  { choice: 'skip', exitCode: 0, names: ['file.bin'] },
  { choice: 'fail', exitCode: 13, names: ['file.bin'] },
  { choice: 'overwrite', exitCode: 2, names: ['file.bin'] },
])('ferry get --on-exists $choice holds for two files of one run', async (row) => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 4 * MIB })
  await using dir = await TempDir.create()
  const urls = [server.url, server.url.replace('/file.bin', '/other/file.bin')]

  const run = await runFerry(['get', '--on-exists', row.choice, ...urls], { cwd: dir.path })

  expect(run.exitCode).toBe(row.exitCode)
  expect(await dir.names()).toEqual(row.names)
  for (const name of row.names) expect(await dir.digest(name)).toBe(DIGEST)
})

test('ferry get says of each file after Ctrl-C how to go on, and goes on with all', async () => {
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: MIB })
  await using dir = await TempDir.create()
  const urls = ['a', 'b', 'c'].map((name) => server.url.replace('file.bin', name))
  const args = ['get', '-x', '1', '-j', '2', ...urls]

  await using first = new FerryProcess(args, { cwd: dir.path })
  await Promise.all(['a.part.journal', 'b.part.journal'].map((name) => dir.whenNoted(name)))
  first.kill('SIGINT')
  const interrupted = await first.exit

  expect(interrupted.exitCode).toBe(130)
  expect(interrupted.stderr).toMatch(/Interrupted: .* are kept in \S+\/a\.part\. Run the same/)
  expect(interrupted.stderr).toMatch(/Interrupted: .* are kept in \S+\/b\.part\. Run the same/)
  expect(interrupted.stderr).toContain('\n1 file had not begun\n')

  server.options.bytesPerSecond = undefined
  const resumed = await runFerry(args, { cwd: dir.path })

  expect(resumed.exitCode).toBe(0)
  expect(resumed.stdout.match(/ were here already/g)).toHaveLength(2)
  for (const name of ['a', 'b', 'c']) expect(await dir.digest(name)).toBe(DIGEST)
  expect(await dir.names()).toEqual(['a', 'b', 'c'])
})

test.each([
  { what: 'no list', args: ['-i', 'absent.txt'], line: 'Cannot read absent.txt for --input' },
  { what: 'an empty list', args: ['-i', '/dev/null'], line: 'the list names no URL' },
  { what: 'a broken pattern', args: ['--expand', 'http://h/[9-1]'], line: 'expand the URL' },
  {
    what: 'mirrors of two files',
    args: ['--mirror', NOWHERE, NOWHERE, NOWHERE],
    line: 'Cannot use --mirror with 2 URLs',
  },
  {
    what: 'one digest for two files',
    args: ['--checksum', `sha256=${DIGEST}`, NOWHERE, NOWHERE],
    line: 'Cannot use --checksum with 2 URLs',
  },
  { what: 'a mirror that is no URL', args: ['--mirror', 'x', NOWHERE], line: 'as a URL' },
  { what: 'no Metalink', args: ['absent.meta4'], line: 'Cannot read absent.meta4 for --metalink' },
  { what: 'a size in words', args: ['--max-size', 'big', NOWHERE], line: '"big" for --max-size' },
])('ferry get refuses $what', async ({ args, line }) => {
  await using dir = await TempDir.create()

  const run = await runFerry(['get', ...args], { cwd: dir.path })

  expectRefusal(run, { exitCode: 2, line })
  expect(await dir.names()).toEqual([])
})

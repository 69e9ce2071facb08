/** `indexcp`: the commands of the document, against its own server and `ferry receive`. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, symlink, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type FerryProcess, parseEvents } from '../support/run-ferry.ts'
import { INDEXCP, runIndexcp, startIndexcp } from '../support/run-indexcp.ts'
import { ReceiveProcess, send } from '../support/run-receive.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const KEY = 'a-key-of-tests'
const CONTENT = randomBytes(2_500_000)

/** The shell samples of the document, of the client's commands and of the key. */
const DOCUMENT_SAMPLES = `
export INDEXCP_API_KEY=your-api-key-here

# Add file to buffer
python3 bin/indexcp add ./myfile.txt

# List buffered files
python3 bin/indexcp list

# Upload buffered files
python3 bin/indexcp upload http://localhost:3000/upload

# Direct upload without buffering
python3 bin/indexcp buffer-and-upload ./myfile.txt http://localhost:3000/upload

# Clear buffer
python3 bin/indexcp clear
`
const STATUS_SAMPLE = `
curl -sS -H "Authorization: Bearer <api-key>" \
  "http://localhost:3000/upload/status?filename=myfile.txt"
`

/** Runs lines of the document in a folder, where `indexcp` is on the path. */
async function runLines(lines: string, url: string, cwd: string): Promise<string> {
  const bin = join(cwd, 'bin')
  await mkdir(bin, { recursive: true })
  await symlink(INDEXCP, join(bin, 'indexcp')).catch(() => {})
  const script = lines
    .replaceAll('python3 bin/indexcp', 'indexcp')
    .replaceAll('http://localhost:3000/upload', url)
    .replaceAll('your-api-key-here', KEY)
    .replaceAll('<api-key>', KEY)
  const PATH = `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`
  const env = { PATH, HOME: cwd, LC_ALL: 'C.UTF-8', no_proxy: '*' }
  return (await promisify(execFile)('sh', ['-euc', script], { cwd, env })).stdout
}

/** Starts `indexcp server` into a folder. */
async function startServer(
  home: string,
  env: Record<string, string> = { INDEXCP_API_KEY: KEY },
): Promise<{ server: FerryProcess; url: string }> {
  const server = startIndexcp(['server', '0', 'in'], { home, env })
  await server.printed('Receiving into')
  const [, url = ''] = /listening on (\S+)/.exec(server.stderr) ?? []
  return { server, url }
}

async function withKeyFile(dir: TempDir): Promise<readonly string[]> {
  await writeFile(dir.join('keys'), `${KEY}\n`, { mode: 0o600 })
  return ['--key-file', dir.join('keys'), '-d', dir.join('in')]
}

describe.concurrent('indexcp', () => {
  test('runs the samples of the document', async () => {
    await using dir = await TempDir.create()
    await dir.write('myfile.txt', CONTENT)
    const { server, url } = await startServer(dir.path)
    await using _server = server

    const printed = await runLines(DOCUMENT_SAMPLES, url, dir.path)

    expect(printed.split('\n')).toEqual([
      'File ./myfile.txt successfully added to buffer (3 chunks)',
      'Buffered files (1):',
      '  ./myfile.txt  2.38 MiB',
      'Upload complete for ./myfile.txt',
      'All buffered files uploaded successfully',
      'File ./myfile.txt successfully added to buffer (3 chunks)',
      'Upload complete for ./myfile.txt -> Server saved as: myfile (1).txt',
      'Buffer cleared: 0 files removed',
      '',
    ])
    for (const name of ['in/myfile.txt', 'in/myfile (1).txt']) {
      expect(await dir.digest(name)).toBe(digestOf(CONTENT))
    }
    expect(server.stdout + server.stderr).not.toContain(KEY)
  })

  test('answers the question of the document for the chunks that have come', async () => {
    await using dir = await TempDir.create()
    const { server, url } = await startServer(dir.path)
    await using _server = server
    for (const index of [0, 2]) {
      const fields = [`Authorization: Bearer ${KEY}`, 'X-File-Name: myfile.txt']
      await send(url, ['--data-binary', '@-'], {
        fields: [...fields, `X-Chunk-Index: ${index}`, 'Content-Type: application/octet-stream'],
        content: Buffer.from('chunk'),
      })
    }

    const status = JSON.parse(await runLines(STATUS_SAMPLE, url, dir.path)) as object

    expect(status).toMatchObject({ filename: 'myfile.txt', receivedChunks: [0, 2] })
  })

  test('shows a key of its own when the server is given none, and stops as it is asked', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    const { server, url } = await startServer(dir.path, {})
    await using _server = server
    await server.printed('API key: ')
    const [, key = ''] = /API key: (\w+)/.exec(server.stderr) ?? []

    const env = { INDEXCP_API_KEY: key }
    const sent = await runIndexcp(['buffer-and-upload', 'a.txt', url], { home: dir.path, env })

    expect(sent.exitCode).toBe(0)
    expect(await dir.read('in/a.txt')).toEqual(Buffer.from('text'))
    await server.shown(/in\/a\.txt: 4 B.*, by IndexedCP/)
    server.kill('SIGINT')
    expect((await server.exit).exitCode).toBe(0)
  })

  test('keeps files that the server refuses, and sends them once it has the key', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    const home = dir.path
    await using server = await ReceiveProcess.start(dir.path, await withKeyFile(dir))
    const upload = ['upload', `${server.url}/upload`]
    await runIndexcp(['add', 'a.txt'], { home })

    const without = await runIndexcp(upload, { home })
    const wrong = await runIndexcp(upload, { home, env: { INDEXCP_API_KEY: 'wrong' } })
    const onArgv = await runIndexcp([...upload, '--api-key', KEY], { home })

    for (const { exitCode, stdout, stderr } of [without, wrong]) {
      expect({ exitCode, stdout }).toEqual({ exitCode: 8, stdout: '' })
      expect(stderr).toMatch(
        /^indexcp: a\.txt: .*401 Unauthorized\. Check the key in INDEXCP_API_KEY/m,
      )
    }
    expect(onArgv).toMatchObject({ exitCode: 0 })
    expect(onArgv.stderr).toContain('Others can see a key on the command line')
    expect(await dir.read('in/a.txt')).toEqual(Buffer.from('text'))
    expect((await runIndexcp(['list'], { home })).stdout).toBe('No buffered files\n')
  })

  test('asks for the key at a terminal, and does not show it', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    await using server = await ReceiveProcess.start(dir.path, await withKeyFile(dir))

    const { stdout } = await runIndexcp(['buffer-and-upload', 'a.txt', `${server.url}/upload`], {
      home: dir.path,
      hasTerminal: true,
      typed: { after: 'API key', text: `${KEY}\r` },
    })

    expect(stdout).toContain('Upload complete for a.txt')
    expect(stdout).not.toContain(KEY)
    expect(await dir.read('in/a.txt')).toEqual(Buffer.from('text'))
  })

  test('keeps what was added although the file has gone', async () => {
    await using dir = await TempDir.create()
    const path = await dir.write('a.bin', CONTENT)
    const home = dir.path
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in'])

    await runIndexcp(['add', 'a.bin'], { home })
    await unlink(path)
    const { exitCode } = await runIndexcp(['upload', `${server.url}/upload`], { home })

    expect(exitCode).toBe(0)
    expect(await dir.digest('in/a.bin')).toBe(digestOf(CONTENT))
  })

  test('sends what is empty, and names in any script or with a line end in them', async () => {
    await using dir = await TempDir.create()
    const names = ['empty', '大きい 🎈.txt', 'zwei\nZeilen', 'é & 100%#+.txt', '-dash']
    for (const name of names) await dir.write(name, name === 'empty' ? '' : name)
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in'])
    const home = dir.path

    const added = await runIndexcp(['add', '--', ...names], { home })
    const listed = parseEvents((await runIndexcp(['list', '--json'], { home })).stdout)
    const sent = await runIndexcp(['upload', `${server.url}/upload`], { home })

    expect(added).toMatchObject({ exitCode: 0, stderr: '' })
    expect(listed.map((item) => item['name'])).toEqual(names)
    expect(sent.exitCode).toBe(0)
    // What no file system takes is replaced by the server.
    for (const name of names) {
      expect((await dir.read(`in/${name.replace('\n', '_')}`)).toString()).toBe(
        name === 'empty' ? '' : name,
      )
    }
  })

  test('adds the same once, another version beside it, and others although one cannot be', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'one')
    await dir.write('b.txt', 'other')
    await mkdir(dir.join('folder'))
    const home = dir.path

    const first = await runIndexcp(['add', 'a.txt'], { home })
    const some = await runIndexcp(['add', 'a.txt', 'gone', 'folder', 'b.txt'], { home })
    await dir.write('a.txt', 'two')
    await runIndexcp(['add', 'a.txt'], { home })

    expect(first.exitCode).toBe(0)
    expect(some).toMatchObject({
      exitCode: 2,
      stdout:
        'File a.txt is in the buffer already\nFile b.txt successfully added to buffer (1 chunk)\n',
      stderr:
        'indexcp: Cannot add "gone": there is no such file. Check the path.\n' +
        'indexcp: Cannot send "folder": not a regular file. Check the path.\n',
    })
    const { stdout } = await runIndexcp(['list'], { home })
    expect(stdout).toBe('Buffered files (3):\n  a.txt  3 B\n  b.txt  5 B\n  a.txt  3 B\n')
  })

  test('clears the buffer: without a terminal at once, at one when that is confirmed', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.txt', 'text')
    const home = dir.path
    const clearAt = (text: string): Promise<{ stdout: string }> =>
      runIndexcp(['clear'], { home, hasTerminal: true, typed: { after: '[y/N]', text } })
    await runIndexcp(['add', 'a.txt'], { home })

    const refused = await clearAt('n\r')
    const listed = await runIndexcp(['list'], { home })
    const confirmed = await clearAt('y\r')
    await runIndexcp(['add', 'a.txt'], { home })
    const { stdout } = await runIndexcp(['clear'], { home })

    expect(refused.stdout).toContain('Nothing was removed')
    expect(listed.stdout).toContain('a.txt')
    expect(confirmed.stdout).toContain('Buffer cleared: 1 file removed')
    expect(stdout).toBe('Buffer cleared: 1 file removed\n')
  })

  test('goes on after kill -9 where the server is', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const home = dir.path
    const args = ['--limit-rate', '1M', '-d', 'in']
    await using server = await ReceiveProcess.start(dir.path, args)
    const upload = ['upload', `${server.url}/upload`]
    await runIndexcp(['add', 'a.bin'], { home })
    await using killed = startIndexcp(upload, { home })
    await server.process.event(
      ({ event, receivedBytes }) => event === 'progress' && (receivedBytes as number) > 0,
    )
    killed.kill('SIGKILL')
    await killed.exit

    const again = await runIndexcp([...upload, '--json'], { home })

    expect(again.exitCode).toBe(0)
    const completed = parseEvents(again.stdout).find(({ event }) => event === 'completed')
    expect(completed?.['resumedBytes']).toBeGreaterThan(0)
    expect(await dir.digest('in/a.bin')).toBe(digestOf(CONTENT))
    expect((await runIndexcp(['list'], { home })).stdout).toBe('No buffered files\n')
  })

  test('is interrupted in good order, and goes on', async () => {
    await using dir = await TempDir.create()
    await dir.write('a.bin', CONTENT)
    const home = dir.path
    await using server = await ReceiveProcess.start(dir.path, ['--limit-rate', '1M', '-d', 'in'])
    const url = `${server.url}/upload`
    await using running = startIndexcp(['buffer-and-upload', 'a.bin', url], { home })
    await server.process.event(({ event }) => event === 'progress')
    running.kill('SIGINT')

    const { exitCode, stderr } = await running.exit
    const again = await runIndexcp(['buffer-and-upload', 'a.bin', url], { home })

    expect(exitCode).toBe(130)
    expect(stderr).toMatch(/indexcp: Interrupted.*It stays in the buffer/)
    expect(again).toMatchObject({ exitCode: 0 })
    expect(again.stdout).toContain('is in the buffer already')
    expect(await dir.digest('in/a.bin')).toBe(digestOf(CONTENT))
  })

  test('sends each file once, also when two run at a time', async () => {
    await using dir = await TempDir.create()
    const names = Array.from({ length: 8 }, (_, index) => `${index}.txt`)
    for (const name of names) await dir.write(name, name)
    const home = dir.path
    await using server = await ReceiveProcess.start(dir.path, ['-d', 'in'])
    const upload = ['upload', `${server.url}/upload`]
    await runIndexcp(['add', ...names], { home })

    const exits = await Promise.all([runIndexcp(upload, { home }), runIndexcp(upload, { home })])
    // Whoever came upon a file that the other was sending says so.
    for (const { exitCode } of exits) expect([0, 16]).toContain(exitCode)
    expect((await runIndexcp(upload, { home })).exitCode).toBe(0)

    expect((await readdir(dir.join('in'))).sort()).toEqual(['.ferry', ...names])
  })

  test.each([
    [['bogus'], "unknown command 'bogus'. See indexcp --help."],
    [['upload'], "missing required argument 'url'. See indexcp upload --help."],
    [
      ['server', '65536'],
      'expected a port from 0 to 65535, or a folder like ./65536. See indexcp server --help.',
    ],
  ])('refuses the command line %j', async (args, told) => {
    await using dir = await TempDir.create()

    const { exitCode, stdout, stderr } = await runIndexcp(args, { home: dir.path })

    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `indexcp: Cannot run: ${told}\n`,
    })
  })

  test('says what is wrong with the place of its buffer, and leaves it as it is', async () => {
    await using dir = await TempDir.create()
    const text = 'a text of somebody, longer than the head of a database'.repeat(3)
    await mkdir(dir.join('.indexcp'))
    await dir.write('.indexcp/indexcp.db', text)
    const file = await dir.write('file', '')

    const noDatabase = await runIndexcp(['list'], { home: dir.path })
    const noFolder = await runIndexcp(['list'], { home: dir.path, env: { HOME: file } })

    expect(noDatabase.exitCode).toBe(15)
    expect(noDatabase.stderr).toMatch(
      /^indexcp: Cannot open the outbox .*: it is no database\. Move/,
    )
    expect((await dir.read('.indexcp/indexcp.db')).toString()).toBe(text)
    expect(noFolder.exitCode).toBe(15)
    expect(noFolder.stderr).toContain('is no folder')
  })

  test('teaches with no command at all', async () => {
    await using dir = await TempDir.create()

    const { exitCode, stdout } = await runIndexcp([], { home: dir.path })

    expect(exitCode).toBe(0)
    for (const word of ['add', 'list', 'upload', 'buffer-and-upload', 'clear', 'server']) {
      expect(stdout).toMatch(new RegExp(`^  ${word} `, 'm'))
    }
    expect(stdout).toContain('INDEXCP_API_KEY')
  })
})

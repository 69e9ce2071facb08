/** What aria2 and curl make of the files and patterns that Ferry reads too. */
import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { download } from '../../packages/ferry/src/download/download.ts'
import { decodeAria2Control } from '../../packages/ferry/src/download/lists/aria2-control.ts'
import { expandUrl } from '../../packages/ferry/src/download/lists/expand-url.ts'
import { parseInputList } from '../../packages/ferry/src/download/lists/input-list.ts'
import { parseMetalink } from '../../packages/ferry/src/download/lists/metalink.ts'
import { Nginx } from '../support/nginx.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'
import { requireTool } from '../support/tools.ts'

const run = promisify(execFile)
// No whole number of blocks, so that the last piece and its last block are short.
const CONTENT = randomBytes(12_000_001)
/** Neither the settings nor the proxy of whoever runs the tests. */
const OWN_SETTINGS = ['--no-conf=true', '--no-proxy=127.0.0.1', '--quiet=true']

test.each<NodeJS.Signals>(['SIGKILL', 'SIGINT'])(
  'the control file that aria2 leaves at %s tells what is there',
  async (signal) => {
    await using nginx = await Nginx.start({ limitRate: 1_500_000 })
    await using dir = await TempDir.create()
    await nginx.put('file.bin', CONTENT)
    const url = nginx.url('file.bin')
    const options = ['-x4', '-s4', '-k1M', '--auto-save-interval=1', '--file-allocation=none']

    const aria2 = spawn(requireTool('aria2c'), [...OWN_SETTINGS, ...options, url], {
      cwd: dir.path,
      stdio: 'ignore',
    })
    const exit = once(aria2, 'exit')
    while (aria2.exitCode === null && !(await hasProgress(dir))) await sleep(20)
    aria2.kill(signal)
    await exit

    const progress = decodeAria2Control(await dir.read('file.bin.aria2'))
    const file = await dir.read('file.bin')
    expect(progress).toMatchObject({ size: CONTENT.length, pieceLengthBytes: 1_048_576 })
    expect(progress.spans).not.toEqual([])
    expect(progress.spans).not.toEqual([{ start: 0, end: CONTENT.length }])
    for (const { start, end } of progress.spans) {
      expect(file.subarray(start, end).equals(CONTENT.subarray(start, end))).toBe(true)
    }

    // Ferry finishes it, and fetches little more than what is missing.
    const result = await download(url, join(dir.path, 'file.bin')).result
    // The last byte of the file comes again, since what is before it has to be compared.
    const heldBytes = progress.spans.reduce(
      (sum, { start, end }) => sum + Math.min(end, CONTENT.length - 1) - start,
      0,
    )
    expect(result).toMatchObject({ resumedBytes: heldBytes, proof: 'overlap' })
    expect(result.fetchedBytes).toBe(CONTENT.length - heldBytes)
    expect((await dir.read('file.bin')).equals(CONTENT)).toBe(true)
    expect(await dir.names()).toEqual(['file.bin'])
  },
)

test('what aria2 has of a file that is another one now is not gone on with', async () => {
  await using nginx = await Nginx.start({ limitRate: 3_000_000 })
  await using dir = await TempDir.create()
  await nginx.put('file.bin', CONTENT)
  const options = ['-x2', '-s2', '-k1M', '--auto-save-interval=1', '--file-allocation=none']
  const aria2 = spawn(requireTool('aria2c'), [...OWN_SETTINGS, ...options, nginx.url('file.bin')], {
    cwd: dir.path,
    stdio: 'ignore',
  })
  const exit = once(aria2, 'exit')
  while (aria2.exitCode === null && !(await hasProgress(dir))) await sleep(20)
  aria2.kill('SIGKILL')
  await exit
  const other = randomBytes(CONTENT.length)
  await nginx.put('file.bin', other)
  const events: string[] = []

  await download(nginx.url('file.bin'), join(dir.path, 'file.bin'), {
    onEvent: ({ type }) => type === 'restart' && events.push(type),
  }).result

  expect(events).toEqual(['restart'])
  expect((await dir.read('file.bin')).equals(other)).toBe(true)
})

test('aria2 fetches what parseInputList() reads', async () => {
  await using server = await RecordingServer.open()
  await using dir = await TempDir.create()
  const list = [
    '# a comment',
    server.url('/first'),
    '  out = one',
    '',
    '# between the options',
    '\theader = X-One: 1 ',
    ' header=X-Two: 2',
    ' referer=http://r.example/',
    ' user-agent=list/1',
    ' dir=below',
    server.url('/second%20path?q=1'),
    ' http-user=me',
    ' http-passwd=s=e',
    ' checksum=SHA-256=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD',
    `${server.url('/third')}\t${server.url('/third')}`,
    ' referer=*',
    ' header=Authorization: Bearer x',
    ' gid=0123456789abcdef',
    ' max-download-limit=1M',
  ].join('\n')
  await dir.write('list.txt', list)

  await run(
    requireTool('aria2c'),
    [...OWN_SETTINGS, '-j1', '--http-auth-challenge=false', '-ilist.txt'],
    { cwd: dir.path },
  )

  const { items, warnings } = parseInputList(list)
  expect(items.map(({ urls }) => urls[0]?.replace(server.url(''), ''))).toEqual(
    server.requests.map(({ url }) => url),
  )
  for (const [index, { options }] of items.entries()) {
    const fields = server.requests[index]?.headers
    for (const [name, value] of options.headers) expect(fields?.[name.toLowerCase()]).toBe(value)
    if (options.credentials !== undefined) {
      const { username, password } = options.credentials
      expect(fields?.authorization).toBe(`Basic ${btoa(`${username}:${password}`)}`)
    }
  }
  expect(items.map(({ options: { dir: folder, output } }) => [folder, output])).toEqual([
    ['below', 'one'],
    [undefined, undefined],
    [undefined, undefined],
  ])
  expect(await dir.names()).toEqual(['below', 'list.txt', 'second path', 'third'])
  expect(warnings).toEqual(['the input list, line 18: the option gid has no effect'])
})

test.each([4, 3])('aria2 fetches what parseMetalink() reads of version %i', async (version) => {
  await using server = await RecordingServer.open()
  await using dir = await TempDir.create()
  const digest = digestOf(Buffer.from('abc'))
  const links = { best: server.url('/best?a=1&amp;b=2'), other: 'http://127.0.0.1:1/other' }
  const document =
    version === 4
      ? `<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="a b.txt">
           <size>3</size><hash type="sha-256">${digest}</hash>
           <pieces length="2" type="sha-1"><hash>${sha1Of('ab')}</hash><hash>${sha1Of('c')}</hash></pieces>
           <url priority="2">${links.other}</url><url priority="1">${links.best}</url>
         </file></metalink>`
      : `<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="a b.txt">
           <size>3</size><verification><hash type="sha256">${digest}</hash>
             <pieces length="2" type="sha1"><hash piece="0">${sha1Of('ab')}</hash>
             <hash piece="1">${sha1Of('c')}</hash></pieces></verification>
           <resources><url type="http" preference="10">${links.other}</url>
             <url type="http" preference="90">${links.best}</url></resources>
         </file></files></metalink>`
  await dir.write('list.meta4', document)

  await run(requireTool('aria2c'), [...OWN_SETTINGS, '--split=1', '-Mlist.meta4'], {
    cwd: dir.path,
  })

  const [file] = parseMetalink(Buffer.from(document))
  expect(file).toMatchObject({
    size: 3,
    checksums: [{ algorithm: 'sha256', hex: digest }],
    pieces: { algorithm: 'sha1', lengthBytes: 2, hexes: [sha1Of('ab'), sha1Of('c')] },
  })
  expect(await dir.names()).toEqual([file?.name, 'list.meta4'])
  expect(server.requests.map(({ url }) => url)).toContain(file?.urls[0]?.url.target)
})

// What both know. aria2 has no escapes, leaves empty alternatives out, and keeps zeros only when both
// ends are as long.
const PATTERNS = [
  '/{a,b}/[1-3].x',
  '/[08-11]',
  '/[8-11]',
  '/[001-100:50]',
  '/[a-c]',
  '/[A-G:3]',
  '/{one}',
  '/[0-10:5]',
]

test('aria2 and curl make of a pattern what expandUrl() makes of it', async () => {
  await using server = await RecordingServer.open()
  await using dir = await TempDir.create()
  const patterns = PATTERNS.map((pattern) => server.url(pattern))
  const curlOnly = [String.raw`/\{a\}{b\,c,d}`, '/x{,y}', '/[01-100:50]', '/?q[]=1'].map((path) =>
    server.url(path),
  )
  await dir.write('list.txt', patterns.join('\n'))

  const fetchedBy = async (tool: 'curl' | 'aria2c', args: string[]): Promise<string[]> => {
    server.requests.length = 0
    await run(requireTool(tool), args, { cwd: dir.path })
    return server.requests.map(({ url = '' }) => server.url(url))
  }
  const byAria2 = await fetchedBy('aria2c', [...OWN_SETTINGS, '-P', '-Z', '-j1', '-ilist.txt'])
  const byCurl = await fetchedBy('curl', ['-q', '--noproxy', '*', '-sSf', ...patterns, ...curlOnly])

  const expanded = patterns.flatMap((pattern) => expandUrl(pattern))
  expect(byAria2).toEqual(expanded)
  expect(byCurl).toEqual([...expanded, ...curlOnly.flatMap((pattern) => expandUrl(pattern))])
})

function sha1Of(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

async function hasProgress(dir: TempDir): Promise<boolean> {
  const names = await dir.names()
  if (!names.includes('file.bin.aria2')) return false
  return decodeAria2Control(await dir.read('file.bin.aria2')).spans.length > 0
}

/** Answers `abc` to everything and remembers what it was asked. */
class RecordingServer implements AsyncDisposable {
  readonly requests: IncomingMessage[] = []
  readonly #server = createServer((request, response) => {
    this.requests.push(request)
    response.end('abc')
  })

  static async open(): Promise<RecordingServer> {
    const opened = new RecordingServer()
    opened.#server.listen(0, '127.0.0.1')
    await once(opened.#server, 'listening')
    return opened
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

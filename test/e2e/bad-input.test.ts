/**
 * Everything that can be wrong with what the user says or the server sends before bytes come: one
 * line that tells what was attempted and what to do, and an exit code of its own.
 */
import { symlink } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { createCertificate } from '../../packages/ferry/src/testing/certificates.ts'
import { LoopbackServer } from '../../packages/ferry/src/testing/loopback-server.ts'
import { FaultServer } from '../../packages/ferry/src/testing/fault-server.ts'
import type { Fault } from '../../packages/ferry/src/testing/fault-server-answer.ts'
import { expectRefusal } from '../support/expect-refusal.ts'
import { FerryProcess, runFerry } from '../support/run-ferry.ts'
import { digestOf, TempDir } from '../support/temp-dir.ts'

const CONTENT = Buffer.from('what the server has\n'.repeat(1000))
const DIGEST = digestOf(CONTENT)
/** Nothing listens there: only root may, and the loopback of a test machine has no such service. */
const NOWHERE = 'http://127.0.0.1:1/file.bin'
const NO_RETRY = ['--retries', '0']

/** What the user says, and how it ends; `line` is in the one line that is printed. */
interface Misuse {
  readonly what: string
  readonly args: readonly string[]
  readonly exitCode: number
  readonly line: string
}

const MISUSES: readonly Misuse[] = [
  { what: 'no URL', args: [], exitCode: 2, line: "missing required argument 'url'" },
  {
    what: 'an unknown scheme',
    args: ['ftp://h/f'],
    exitCode: 2,
    line: 'Cannot fetch a ftp: URL: expected http:// or https://',
  },
  {
    what: 'no URL but a word',
    args: ['file.bin'],
    exitCode: 2,
    line: 'Cannot use "file.bin" as a URL',
  },
  { what: 'a port beyond all', args: ['http://h:99999/'], exitCode: 2, line: 'as a URL' },
  {
    what: 'a host that does not exist',
    args: [...NO_RETRY, 'http://ferry.invalid/f'],
    exitCode: 3,
    line: 'resolve host ferry.invalid',
  },
  {
    what: 'a port where nobody listens',
    args: [...NO_RETRY, NOWHERE],
    exitCode: 4,
    line: 'connect to 127.0.0.1:1 at 127.0.0.1: connection refused',
  },
  {
    what: 'an unknown option',
    args: ['--jsn', NOWHERE],
    exitCode: 2,
    line: '(Did you mean --json?)',
  },
  {
    what: 'an option without its value',
    args: [NOWHERE, '-o'],
    exitCode: 2,
    line: 'argument missing',
  },
  { what: 'no connections', args: ['-x', '0', NOWHERE], exitCode: 2, line: 'from 1 to 64' },
  { what: 'half a connection', args: ['-x', '1.5', NOWHERE], exitCode: 2, line: 'a whole number' },
  { what: 'a timeout in words', args: ['--timeout', 'soon', NOWHERE], exitCode: 2, line: "'soon'" },
  {
    what: 'retries below zero',
    args: ['--retries', '-1', NOWHERE],
    exitCode: 2,
    line: '--retries',
  },
  {
    what: 'an unknown policy',
    args: ['--on-change', 'mix', NOWHERE],
    exitCode: 2,
    line: 'restart, fail',
  },
  {
    what: 'a rate of nothing',
    args: ['--limit-rate', '0', NOWHERE],
    exitCode: 2,
    line: 'like 500K or 2M',
  },
  { what: 'a rate in words', args: ['--limit-rate', 'fast', NOWHERE], exitCode: 2, line: '"fast"' },
  {
    what: 'an unknown digest',
    args: ['--checksum', 'crc=00', NOWHERE],
    exitCode: 2,
    line: 'Cannot check by "crc"',
  },
  {
    what: 'a digest that is too short',
    args: ['--checksum', 'md5=00', NOWHERE],
    exitCode: 2,
    line: 'expected 32 hexadecimal digits',
  },
  {
    what: 'one name for two files',
    args: ['-o', 'f', NOWHERE, NOWHERE],
    exitCode: 2,
    line: '2 URLs',
  },
  {
    what: 'standard output as file',
    args: ['-o', '-', NOWHERE],
    exitCode: 2,
    line: 'standard output',
  },
  {
    what: 'a field without colon',
    args: ['-H', 'Name', NOWHERE],
    exitCode: 2,
    line: 'without a colon',
  },
  {
    what: 'a field with two lines',
    args: ['-H', 'A: b\nC: d', NOWHERE],
    exitCode: 7,
    line: 'field A',
  },
  {
    what: 'a file of fields that is not there',
    args: ['-H', '@no', NOWHERE],
    exitCode: 2,
    line: 'read no',
  },
  {
    what: 'authorities not there',
    args: ['--cacert', 'no', NOWHERE],
    exitCode: 2,
    line: 'read no',
  },
  {
    what: 'authorities that are none',
    args: ['--cacert', '/proc/self/cmdline', 'https://127.0.0.1:1/'],
    exitCode: 2,
    line: 'no PEM certificate',
  },
  {
    what: 'a folder that cannot be made',
    args: ['-d', '/proc/ferry', NOWHERE],
    exitCode: 15,
    line: 'Cannot make the folder /proc/ferry',
  },
  {
    what: 'a folder that takes no files',
    args: ['-d', '/proc', '-o', 'f', NOWHERE],
    exitCode: 15,
    line: '/proc',
  },
  {
    what: 'a folder below a file',
    args: ['-d', '/proc/version/x', NOWHERE],
    exitCode: 15,
    line: 'Cannot make the folder /proc/version/x',
  },
  {
    what: 'a folder that is a file',
    args: ['-d', '/proc/version', NOWHERE],
    exitCode: 15,
    line: 'folder',
  },
  {
    what: 'a name that is too long',
    args: ['-o', 'x'.repeat(251), NOWHERE],
    exitCode: 15,
    line: 'the name or its path is too long',
  },
  {
    what: 'a path that is too long',
    args: ['-o', `${'x'.repeat(200)}/`.repeat(30), NOWHERE],
    exitCode: 15,
    line: 'the name or its path is too long',
  },
  {
    what: 'a folder with a name that is too long',
    args: ['-d', 'x'.repeat(256), NOWHERE],
    exitCode: 15,
    line: 'the name or its path is too long',
  },
  {
    what: 'a range of the user',
    args: ['-H', 'Range: bytes=0-5', NOWHERE],
    exitCode: 2,
    line: 'Cannot send the field range',
  },
  {
    what: 'If-Range of the user',
    args: ['-H', 'IF-RANGE: "a"', NOWHERE],
    exitCode: 2,
    line: 'Cannot send the field if-range',
  },
  {
    what: 'no such folder',
    args: ['-o', 'no/f', NOWHERE],
    exitCode: 15,
    line: 'there is no such folder',
  },
]

test.each(MISUSES)('ferry get refuses $what with exit code $exitCode', async (row) => {
  await using dir = await TempDir.create()

  const run = await runFerry(['get', ...row.args], { cwd: dir.path })

  expectRefusal(run, row)
  expect(await dir.names()).toEqual([])
})

test('ferry refuses an unknown command', async () => {
  await using dir = await TempDir.create()

  const run = await runFerry(['carry', NOWHERE], { cwd: dir.path })

  expectRefusal(run, { exitCode: 2, line: "unknown command 'carry'" })
})

const SELF_SIGNED = createCertificate('IP:127.0.0.1')
const EXPIRED = createCertificate('IP:127.0.0.1', { expired: true })
const ELSEWHERE = createCertificate('DNS:elsewhere.test')

test.each([
  { what: 'a certificate that nobody vouches for', certificate: SELF_SIGNED, trusted: false },
  { what: 'an expired certificate', certificate: EXPIRED, trusted: true, line: 'expired' },
  {
    what: 'a certificate of another host',
    certificate: ELSEWHERE,
    trusted: true,
    line: '127.0.0.1',
  },
  { what: 'a server that speaks no TLS', certificate: undefined, trusted: false },
])(
  'ferry get refuses $what with exit code 5',
  async ({ certificate, trusted, line = 'Cannot ' }) => {
    await using dir = await TempDir.create()
    await using server = await LoopbackServer.open(
      (socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      certificate,
    )
    await using authorities = await TempDir.create()
    const path = await authorities.write('ca.pem', (certificate ?? SELF_SIGNED).cert)
    const args = [...(trusted ? ['--cacert', path] : []), ...NO_RETRY]

    const run = await runFerry(['get', ...args, `https://127.0.0.1:${server.port}/f`], {
      cwd: dir.path,
    })

    expectRefusal(run, { exitCode: 5, line })
    expect(await dir.names()).toEqual([])
  },
)

const status = (code: number): Fault => ({ type: 'status', status: code })

test.each([
  { what: '404', fault: status(404), exitCode: 8, line: 'the server answered 404 Not Found' },
  { what: '500', fault: status(500), exitCode: 8, line: 'answered 500 Internal Server Error' },
  { what: '204', fault: status(204), exitCode: 8, line: 'the server answered 204 No Content' },
  { what: '304', fault: status(304), exitCode: 8, line: 'the server answered 304 Not Modified' },
  { what: 'a reset', fault: { type: 'drop' } as const, exitCode: 9, line: 'Cannot ' },
  {
    what: 'content in a coding',
    fault: { type: 'headers', headers: { 'Content-Encoding': 'br' } } as const,
    exitCode: 17,
    line: 'its content is coded as br, although only identity was accepted. The server gives this file only coded',
  },
  {
    what: 'redirections without end',
    fault: { type: 'status', status: 302, headers: { Location: '/file.bin' } } as const,
    exitCode: 7,
    line: 'more than 10 redirections',
  },
  {
    what: 'a redirection to another scheme',
    fault: { type: 'status', status: 302, headers: { Location: 'file:///etc/passwd' } } as const,
    exitCode: 7,
    line: 'follow the redirection',
  },
])('ferry get tells of $what with exit code $exitCode', async (row) => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT, fault: () => row.fault })

  const run = await runFerry(['get', ...NO_RETRY, server.url], { cwd: dir.path })

  expectRefusal(run, row)
  expect(await dir.names()).toEqual([])
})

test.each([
  { what: 'something else than HTTP', bytes: 'SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n', exitCode: 7 },
  {
    what: 'HTTP without an end',
    bytes: `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(30_000)}`,
    exitCode: 7,
  },
  {
    what: 'two lengths',
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    exitCode: 7,
  },
  { what: 'nothing', bytes: '', exitCode: 9 },
  { what: 'half a head', bytes: 'HTTP/1.1 200 OK\r\nContent-', exitCode: 9 },
])('ferry get tells of a server that answers $what', async ({ bytes, exitCode }) => {
  await using dir = await TempDir.create()
  await using server = await LoopbackServer.open((socket) =>
    socket.once('data', () => socket.end(bytes)),
  )

  const run = await runFerry(['get', ...NO_RETRY, `http://127.0.0.1:${server.port}/f`], {
    cwd: dir.path,
  })

  expectRefusal(run, { exitCode, line: 'Cannot ' })
  expect(await dir.names()).toEqual([])
})

test.each([
  { what: 'never answers', bytes: '', line: 'Cannot ' },
  {
    what: 'stops in the middle',
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab',
    line: '1000 ms',
  },
])('ferry get gives up a server that $what', async ({ bytes, line }) => {
  await using dir = await TempDir.create()
  await using server = await LoopbackServer.open((socket) =>
    socket.once('data', () => socket.write(bytes)),
  )
  // Quiet: the first line on how far it is would come after a second, too.
  const args = [...NO_RETRY, '-q', '--timeout', '1', `http://127.0.0.1:${server.port}/f`]

  const run = await runFerry(['get', ...args], { cwd: dir.path })

  expectRefusal(run, { exitCode: 6, line })
})

test.each([
  { what: 'an empty file', content: Buffer.alloc(0) },
  { what: 'content without a length', content: CONTENT, chunked: true },
  { what: 'content without a validator', content: CONTENT, etag: undefined },
  { what: 'a file although ranges are ignored', content: CONTENT, ranges: 'ignored' },
] as const)('ferry get takes $what', async ({ what: _what, ...options }) => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start(options)

  const run = await runFerry(['get', server.url], { cwd: dir.path })

  expect(run).toMatchObject({ exitCode: 0, notes: '' })
  expect(await dir.digest('file.bin')).toBe(digestOf(options.content))
  expect(await dir.names()).toEqual(['file.bin'])
})

test('ferry get keeps a file of that name unless told otherwise', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  await dir.write('file.bin', 'precious')

  const refused = await runFerry(['get', server.url], { cwd: dir.path })

  expectRefusal(refused, { exitCode: 13, line: 'a file of that name exists' })
  expect((await dir.read('file.bin')).toString()).toBe('precious')
  expect(await dir.names()).toEqual(['file.bin'])

  const allowed = await runFerry(['get', '--overwrite', server.url], { cwd: dir.path })

  expect(allowed.exitCode).toBe(0)
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

test('ferry get does not write over a folder, even when told to overwrite', async () => {
  await using dir = await TempDir.create()

  const run = await runFerry(['get', '--overwrite', '-o', `../${dir.name}`, NOWHERE], {
    cwd: dir.path,
  })

  expectRefusal(run, { exitCode: 15, line: 'it is a folder' })
})

test('ferry get does not write where another one writes, and does not disturb it', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT, bytesPerSecond: 8000 })
  await using first = new FerryProcess(['get', '--json', server.url], { cwd: dir.path })
  await first.event(({ event }) => event === 'progress')

  const second = await runFerry(['get', '--fresh', '--overwrite', server.url], { cwd: dir.path })

  expectRefusal(second, { exitCode: 16, line: 'another download is writing it now' })
  expect(await first.exit).toMatchObject({ exitCode: 0 })
  expect(await dir.digest('file.bin')).toBe(DIGEST)
  expect(await dir.names()).toEqual(['file.bin'])
})

test('ferry get -d says that a folder is a link that leads nowhere', async () => {
  await using dir = await TempDir.create()
  await symlink('nowhere', dir.join('link'))

  const run = await runFerry(['get', '-d', 'link', NOWHERE], { cwd: dir.path })

  expectRefusal(run, { exitCode: 15, line: 'Cannot make the folder link: a file, or a link' })
})

test('ferry get never replaces what it has fetched in the same run, by whatever name', async () => {
  await using dir = await TempDir.create()
  await using server = await FaultServer.start({ content: CONTENT })
  // As where the file system takes two names for one: after the first, b.bin leads to its file.
  await symlink('file.bin', dir.join('b.bin'))
  const second = server.url.replace('file.bin', 'b.bin')

  const run = await runFerry(['get', '-q', '-j', '1', '--overwrite', server.url, second], {
    cwd: dir.path,
  })

  expectRefusal(run, { exitCode: 2, line: 'it is the file that another URL has become' })
  expect(await dir.digest('file.bin')).toBe(DIGEST)
})

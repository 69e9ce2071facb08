/**
 * Hostile clients at a server of uploads, which runs as a process of its own: after each of them it
 * still serves, nothing is outside of its folder, and its memory stays small.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { exchangeRaw, openRaw, statusesOf } from '../support/raw-exchange.ts'
import { TempDir } from '../support/temp-dir.ts'

const MAIN = fileURLToPath(new URL('../support/receive-server-main.ts', import.meta.url))
const KEY = 'd'.repeat(64)
const AUTHORIZATION = `Authorization: Bearer ${KEY}`
// Long enough for honest clients on a busy machine.
const IDLE_MS = 2000
const TUS_CONTENT = 'application/offset+octet-stream'
const MAX_UPLOAD_BYTES = 4_000_000
const MEBIBYTE = Buffer.alloc(1_048_576, 'x')
// Node itself needs some 80.
const MAX_RSS_MEBIBYTES = 300

const OPTIONS = {
  apiKey: KEY,
  headersTimeoutMs: IDLE_MS,
  indexedcp: { pathMode: 'ignore', maxPacketBytes: 1_000_000 },
  limits: { wrongKeysPerMinute: 100_000 },
  uploads: {
    limits: { idleTimeoutMs: IDLE_MS, maxUploadBytes: MAX_UPLOAD_BYTES, maxUploads: 100 },
  },
}

let outside: TempDir
let child: ChildProcess
let url: string
let probes = 0

beforeAll(async () => {
  outside = await TempDir.create()
  await outside.write('canary', 'sings')
  const encryption = { folder: outside.join('uploads/.ferry/keys'), modulusBits: 2048 }
  // On the sources, as this test itself is.
  const args = [
    '--conditions=ferry-source',
    MAIN,
    outside.join('uploads'),
    JSON.stringify({ ...OPTIONS, encryption }),
  ]
  child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  url = line.toString().trim()
})

afterAll(async () => {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  await outside[Symbol.asyncDispose]()
})

afterEach(async () => {
  await expectServing()
  await expectInside()
  expect(await peakMebibytes()).toBeLessThan(MAX_RSS_MEBIBYTES)
})

async function expectServing(): Promise<void> {
  const name = `probe ${probes++}`
  const reply = await upload(`X-File-Name: ${name}`, 'here')
  expect(reply).toContain(`"actualFilename":"${name}"`)
  expect(await readFile(outside.join(`uploads/${name}`), 'utf8')).toBe('here')
}

async function expectInside(): Promise<void> {
  expect(await outside.names()).toEqual(['canary', 'uploads'])
  expect(await outside.read('canary')).toEqual(Buffer.from('sings'))
  const own = await namesIn('uploads/.ferry')
  expect(own.filter((name) => !name.startsWith('lock'))).toEqual(['keys', 'uploads'])
}

async function namesIn(path: string): Promise<string[]> {
  return (await readdir(outside.join(path))).toSorted()
}

/** The most that the server has had in memory. */
async function peakMebibytes(): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

/** Gives all that came. */
function upload(fields: string, body = 'abc'): Promise<string> {
  const framing = `Content-Length: ${body.length}`
  const head = ['POST /upload HTTP/1.1', 'Host: h', AUTHORIZATION, fields, framing]
  // In one piece: a server that closes over what it has not read may take its answer back.
  const request = `${head.join('\r\n')}\r\nConnection: close\r\n\r\n${body}`
  return exchangeRaw(url, { parts: [request] })
}

async function uploadedNames(): Promise<string[]> {
  const names = await namesIn('uploads')
  return names.filter((name) => name !== '.ferry' && !name.startsWith('probe'))
}

test.each([
  ['that leads upwards', 'X-File-Name: ..', 400],
  ['that leads upwards to a file', 'X-File-Name: ../../../canary', 200],
  ['that leads upwards by backslashes', 'X-File-Name: ..\\..\\canary', 200],
  ['from the root', 'X-File-Name: /etc/passwd', 200],
  ['from a drive', 'X-File-Name: C:\\boot.ini', 200],
  ['of the server’s own folder', 'X-File-Name: .ferry', 200],
  ['of a file of the server’s own', 'X-File-Name: .ferry/lock', 200],
  ['of such a file in capitals', 'X-File-Name: .FERRY/uploads/x.journal', 200],
  ['that systems keep for themselves', 'X-File-Name: nul', 200],
  ['that systems keep, with an ending', 'X-File-Name: con.txt', 200],
  ['of 4,000 characters', `X-File-Name: ${'x'.repeat(4000)}`, 200],
  ['of 5,000 characters', `X-File-Name: ${'x'.repeat(5000)}`, 400],
  ['in 2,000 folders', `X-File-Name: ${'a/'.repeat(2000)}b`, 200],
  ['with a NUL', 'X-File-Name: a\0b', 400],
  ['with a carriage return', 'X-File-Name: a\rb', 400],
  ['with a coded NUL', 'X-File-Name-Encoded: a%00b', 200],
  ['with a coded line break', 'X-File-Name-Encoded: a%0d%0ab', 200],
  ['that leads upwards in coding', 'X-File-Name-Encoded: %2e%2e%2f%2e%2e%2fcanary', 200],
  ['that is only upwards in coding', 'X-File-Name-Encoded: %2e%2e', 400],
  ['in broken coding', 'X-File-Name-Encoded: %zz', 400],
  ['of a mark that reorders text', 'X-File-Name-Encoded: %e2%80%ae', 200],
  ['given twice', 'X-File-Name: a\r\nX-File-Name: ../b', 200],
])('a name %s does no harm', async (_, field, status) => {
  const reply = await upload(field)

  expect(statusesOf(reply)).toEqual([status])
  for (const name of await uploadedNames()) {
    expect(name).toMatch(/^[^./\\:]/)
    expect(name).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255)
  }
})

test.each([
  ['X-Chunk-Index: -1'],
  ['X-Chunk-Index: 1e3'],
  ['X-Chunk-Index: 0.5'],
  ['X-Chunk-Index: 18446744073709551616'],
  ['X-Chunk-Index: 10000000'],
  ['X-Chunk-Index: 0, 1'],
  ['X-Upload-Id: a\r\nX-Chunk-Offset: -1'],
  ['X-Upload-Id: b\r\nX-Chunk-Offset: 1.5'],
  ['X-Upload-Id: c\r\nX-Chunk-Offset: 9007199254740991'],
  ['X-Upload-Id: d\r\nX-Chunk-Offset: 99999999999999999999'],
  ['X-Upload-Id: e\r\nX-Chunk-Index: 9999999\r\nX-Chunk-Size: 4503599627370495'],
  ['X-Upload-Id: f\r\nX-Chunk-Index: 1'],
  ['X-Upload-Id: g\r\nX-Total-Size: -5'],
  ['X-Upload-Id: h\r\nX-Total-Size: 9007199254740993'],
  ['X-Upload-Id: i\r\nX-Chunk-Count: 0'],
])('a place like %j is refused', async (fields) => {
  const reply = await upload(`X-File-Name: place\r\n${fields}`)

  expect(statusesOf(reply)).toEqual([400])
  expect(await uploadedNames()).not.toContain('place')
})

test.each([
  ['X-Upload-Id: k\r\nX-Chunk-Offset: 4503599627370000', 413],
  ['X-Upload-Id: l\r\nX-Total-Size: 4503599627370495', 413],
  ['X-Upload-Id: m\r\nX-Total-Size: 2', 400],
])('more than there may be, like %j, is refused', async (fields, status) => {
  expect(statusesOf(await upload(fields))).toEqual([status])
})

test('chunks far ahead of the others do not fill the server', async () => {
  const statuses = new Set<number>()
  for (let index = 1; index <= 110; index++) {
    const headers = { Authorization: `Bearer ${KEY}`, 'X-File-Name': 'ahead' }
    const fields = { ...headers, 'X-Chunk-Index': String(index * 7) }
    statuses.add(
      (await fetch(`${url}/upload`, { method: 'POST', headers: fields, body: 'x' })).status,
    )
  }

  expect(statuses).toEqual(new Set([200, 403]))
  await endUploads()
})

/** Ends unfinished uploads by the draft’s door, so that there is room for others. */
async function endUploads(): Promise<void> {
  const names = await namesIn('uploads/.ferry/uploads')
  for (const id of new Set(names.map((name) => name.replace(/\..*$/, '')))) {
    const headers = { Authorization: `Bearer ${KEY}` }
    await fetch(`${url}/files/${id}`, { method: 'DELETE', headers })
  }
}

test('a body that ends early counts for nothing', async () => {
  const head = ['POST /upload HTTP/1.1', 'Host: h', AUTHORIZATION, 'X-File-Name: short']
  const request = `${head.join('\r\n')}\r\nContent-Length: 100\r\n\r\nonly this`

  await exchangeRaw(url, { parts: [request], end: true })

  expect(await uploadedNames()).not.toContain('short')
})

test('what comes behind a body is no part of it', async () => {
  const head = ['POST /upload HTTP/1.1', 'Host: h', AUTHORIZATION, 'X-File-Name: exact']
  const request = `${head.join('\r\n')}\r\nContent-Length: 5\r\n\r\nexactand more`

  const reply = await exchangeRaw(url, { parts: [request] })

  // Of two answers at the same time, the refusal may be the only one.
  expect(statusesOf(reply).at(-1)).toBe(400)
  const stored = await readFile(outside.join('uploads/exact'), 'utf8').catch(() => 'nothing')
  expect(['nothing', 'exact']).toContain(stored)
})

test('a head that never ends, or drips, is not waited for', async () => {
  const silent = exchangeRaw(url, { parts: ['POST /upload HTTP/1.1\r\nHost: h\r\nX-'] })
  const socket = openRaw(url)
  const dripped = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.resume()
  socket.write('POST /upload HTTP/1.1\r\n')
  while (!socket.destroyed) {
    socket.write('X: y\r\n')
    await sleep(IDLE_MS / 10)
  }

  expect(statusesOf(await silent)).toEqual([408])
  await dripped
})

test('bodies that stop coming are not waited for', async () => {
  await upload('X-File-Name: known', 'here')
  const tus = ['Tus-Resumable: 1.0.0', 'Upload-Length: 99', `Content-Type: ${TUS_CONTENT}`]
  const requests: readonly (readonly [path: string, fields: readonly string[]])[] = [
    ['/upload', ['X-File-Name: slow']],
    ['/upload', ['X-File-Name: known']],
    ['/upload-encrypted', []],
    ['/upload-encrypted-batch', []],
    ['/files', tus],
    ['/files', ['Upload-Complete: ?1']],
  ]

  const statuses = await Promise.all(
    requests.map(async ([path, fields]) => {
      const head = [`POST ${path} HTTP/1.1`, 'Host: h', AUTHORIZATION, ...fields]
      const socket = openRaw(url)
      socket.write(`${head.join('\r\n')}\r\nContent-Length: 99\r\n\r\nh`)
      const [reply] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      return statusesOf(reply.toString())
    }),
  )

  expect(statuses).toEqual(requests.map(() => [503]))
  expect(await uploadedNames()).not.toContain('slow')
})

test('many connections that do nothing keep nobody out', async () => {
  const sockets = Array.from({ length: 500 }, () => openRaw(url))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))

  await expectServing()

  for (const socket of sockets) socket.destroy()
})

const SMUGGLED = `POST /upload HTTP/1.1\r\nHost: h\r\n${AUTHORIZATION}\r\nX-File-Name: smuggled\r\nContent-Length: 1\r\n\r\nx`

test.each([
  ['two framings', 'Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`],
  [
    'two framings, the other way',
    'Transfer-Encoding: chunked\r\nContent-Length: 6',
    `0\r\n\r\n${SMUGGLED}`,
  ],
  ['two lengths', 'Content-Length: 0\r\nContent-Length: 200', SMUGGLED],
  ['a list of lengths', 'Content-Length: 0, 200', SMUGGLED],
  ['a length with a sign', 'Content-Length: +5', SMUGGLED],
  ['a length in another base', 'Content-Length: 0x5', SMUGGLED],
  ['a length with space within', 'Content-Length: 1 0', SMUGGLED],
  ['an unknown coding', 'Transfer-Encoding: xchunked', `0\r\n\r\n${SMUGGLED}`],
  ['chunked not last', 'Transfer-Encoding: chunked, identity', `0\r\n\r\n${SMUGGLED}`],
  [
    'chunked twice',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    `0\r\n\r\n${SMUGGLED}`,
  ],
  ['space before the colon', 'Transfer-Encoding : chunked', `0\r\n\r\n${SMUGGLED}`],
  ['a folded field', 'X: y\r\n Transfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`],
  ['a field without a name', ': chunked', SMUGGLED],
  ['a vertical tab', 'Transfer-Encoding:\x0bchunked', `0\r\n\r\n${SMUGGLED}`],
  ['a chunk size with a sign', 'Transfer-Encoding: chunked', `+0\r\n\r\n${SMUGGLED}`],
  ['a chunk size in C', 'Transfer-Encoding: chunked', `0x0\r\n\r\n${SMUGGLED}`],
  ['a huge chunk size', 'Transfer-Encoding: chunked', `ffffffffffffffffff\r\n${SMUGGLED}`],
  ['a chunk without its end', 'Transfer-Encoding: chunked', `1\r\nabc\r\n0\r\n\r\n${SMUGGLED}`],
])('a request with %s is refused, and what is in it is no request', async (_, framing, body) => {
  const head = ['POST /upload HTTP/1.1', 'Host: h', AUTHORIZATION, 'X-File-Name: carrier']

  const reply = await exchangeRaw(url, {
    parts: [`${head.join('\r\n')}\r\n${framing}\r\n\r\n${body}`],
  })

  expect(statusesOf(reply)).toEqual([400])
  expect(await uploadedNames()).not.toContain('smuggled')
})

test('a line break that is only half of one ends no head', async () => {
  const head = ['POST /upload HTTP/1.1', 'Host: h', AUTHORIZATION, 'X-File-Name: carrier']

  const reply = await exchangeRaw(url, { parts: [`${head.join('\n')}\n\n${SMUGGLED}`] })

  expect(statusesOf(reply)).toEqual([400])
  expect(await uploadedNames()).not.toContain('smuggled')
})

test.each([
  ['a head of 100 KB', `X: ${'y'.repeat(100_000)}`],
  ['5,000 fields', Array.from({ length: 5000 }, (_, n) => `X${n}: y`).join('\r\n')],
])('%s is refused', async (_, fields) => {
  // The answer may be lost, since not all of it is read.
  expect([[], [431]]).toContainEqual(statusesOf(await upload(fields)))
})

/** Sends 200 MB, or what the server takes of it. */
async function flood(path: string, fields: readonly string[], first = ''): Promise<string> {
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: h',
    ...fields,
    `Content-Length: ${200 * MEBIBYTE.length}`,
  ]
  const parts = [
    `${head.join('\r\n')}\r\n\r\n${first}`,
    ...Array.from({ length: 199 }, () => MEBIBYTE),
  ]
  return exchangeRaw(url, { parts })
}

test.each([
  ['without a key', '/upload', [], ''],
  ['that is too large', '/upload', [AUTHORIZATION, 'X-File-Name: large'], ''],
  ['that nobody knows', '/none', [AUTHORIZATION], ''],
  ['in one packet', '/upload-encrypted', [AUTHORIZATION], '{"a":"'],
  ['in one packet of a batch', '/upload-encrypted-batch', [AUTHORIZATION], '{"packets":[{"a":"'],
  ['in the name of a batch', '/upload-encrypted-batch', [AUTHORIZATION], '{"fileName":"'],
])('200 MB %s are not taken', async (_, path, fields, first) => {
  const reply = await flood(path, fields, first)

  // A client that never reads while it sends may lose the answer.
  expect([[], [401], [404], [413]]).toContainEqual(statusesOf(reply))
  expect(await uploadedNames()).not.toContain('large')
})

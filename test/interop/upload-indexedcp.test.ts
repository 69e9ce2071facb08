/** Our sending side with the servers of IndexedCP that exist, and what goes wrong with them. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  type Upload,
  upload,
  type UploadEvent,
  type UploadNote,
  type UploadOptions,
} from '../../packages/ferry/src/upload/index.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { OldServer } from '../support/indexedcp-servers.ts'
import { piecesOf } from '../support/sending-site.ts'
import { TempDir } from '../support/temp-dir.ts'

const CONTENT = randomBytes(1_200_000)
const CHUNK_BYTES = 250_000

function send(server: OldServer, options: UploadOptions = {}, content: Buffer = CONTENT): Upload {
  return upload(content, server.url, {
    name: 'a.bin',
    chunkBytes: CHUNK_BYTES,
    headers: { Authorization: `Bearer ${server.key}` },
    retryDelayMs: 5,
    ...options,
  })
}

/** A proxy that can break connections before a server. */
function openProxy(server: OldServer): Promise<FaultProxy> {
  const port = Number(new URL(server.url).port)
  return FaultProxy.open(() => port)
}

test.each([
  ['the first Node server', () => OldServer.openNode1(), 'a.bin', 'a.bin'],
  ['the simple server', () => OldServer.openSimple(), 'uploaded_file.txt', undefined],
  ['the Python server', () => OldServer.openPython(), 'a.bin', 'a.bin'],
])('upload() to %s sends each chunk once, in order', async (_, open, stored, remoteName) => {
  await using server = await open()

  const sent = await send(server, { parallel: 4 }).result

  expect(sent).toMatchObject({ protocol: 'indexedcp', remoteName, size: CONTENT.length })
  expect(server.chunks).toEqual([0, 1, 2, 3, 4])
  expect(server.content(stored).equals(CONTENT)).toBe(true)
})

test.each([
  ['the first Node server', () => OldServer.openNode1()],
  ['the Python server', () => OldServer.openPython()],
])('upload() to %s sends a stream, and what has no bytes', async (_, open) => {
  await using server = await open()
  const headers = { Authorization: `Bearer ${server.key}` }

  await upload(piecesOf(CONTENT, 70_000), server.url, { headers, name: 'a', chunkBytes: 240_000 })
    .result
  await send(server, { name: 'empty' }, Buffer.alloc(0)).result

  expect(server.content('a').equals(CONTENT)).toBe(true)
  // The last chunk is a full one: nothing tells that it is the last but the end of the stream.
  expect(server.chunks).toEqual([0, 1, 2, 3, 4, 0])
  expect(server.files.get('empty')).toBeDefined()
})

test('upload() says that a server cannot tell what it has', async () => {
  await using server = await OldServer.openNode1()
  const events: UploadEvent[] = []

  await send(server, { onEvent: (event) => events.push(event) }).result

  expect(events.filter(({ type }) => type === 'no-status').length).toBe(1)
})

test('upload() stops in doubt rather than double what a server has appended', async () => {
  await using server = await OldServer.openNode1()
  server.lostAnswers = 1

  await expect(send(server).result).rejects.toMatchObject({
    code: 'delivery-in-doubt',
    detail: { start: 0, end: CHUNK_BYTES },
  })
  expect(server.chunks).toEqual([0])
})

test('upload() sends again what is in doubt where it is told to, and says so', async () => {
  await using server = await OldServer.openNode1()
  server.lostAnswers = 1
  const events: UploadEvent[] = []

  await send(server, { onDoubt: 'resend', onEvent: (event) => events.push(event) }).result

  expect(events).toContainEqual({ type: 'doubt', span: { start: 0, end: CHUNK_BYTES } })
  expect(server.chunks).toEqual([0, 0, 1, 2, 3, 4])
})

test('upload() stops in doubt when a connection breaks within a chunk', async () => {
  await using server = await OldServer.openNode1()
  await using proxy = await openProxy(server)
  proxy.faults.push({ afterBytes: 300_000, lose: 'request' })

  const { result } = upload(CONTENT, `${proxy.url}/upload`, {
    name: 'a.bin',
    chunkBytes: 600_000,
    headers: { Authorization: `Bearer ${server.key}` },
    retryDelayMs: 5,
  })

  await expect(result).rejects.toMatchObject({ code: 'delivery-in-doubt' })
})

test('upload() knows in its next run that a chunk is in doubt, and goes on after one that is not', async () => {
  await using server = await OldServer.openNode1()
  await using dir = await TempDir.create()
  const path = await dir.write('a.bin', CONTENT)
  const headers = { Authorization: `Bearer ${server.key}` }
  const options: UploadOptions = { chunkBytes: CHUNK_BYTES, headers, retryDelayMs: 5 }
  const notes: UploadNote[] = []
  await upload(path, server.url, { ...options, onNote: (note) => void notes.push(note) }).result
  server.files.clear()
  server.chunks.length = 0

  // The note before a chunk was sent, and the one after the chunk was acknowledged.
  const [inDoubt, acknowledged] = notes.slice(2, 4) as [UploadNote, UploadNote]
  await expect(
    upload(path, server.url, { ...options, saved: inDoubt }).result,
  ).rejects.toMatchObject({ code: 'delivery-in-doubt' })
  const sent = await upload(path, server.url, { ...options, saved: acknowledged }).result

  expect(sent.resumedBytes).toBe(2 * CHUNK_BYTES)
  expect(server.chunks).toEqual([2, 3, 4])
})

test.each([429, 503, 423])(
  'upload() sends a chunk again that was refused with %i',
  async (status) => {
    await using server = await OldServer.openNode1()
    server.refusals.push(status, status)

    await send(server).result

    expect(server.content('a.bin').equals(CONTENT)).toBe(true)
  },
)

test.each([500, 502, 504])(
  'upload() is in doubt after a chunk that was answered with %i',
  async (status) => {
    await using server = await OldServer.openNode1()
    server.refusals.push(status)

    await expect(send(server).result).rejects.toMatchObject({ code: 'delivery-in-doubt' })
  },
)

test('a pause lets the chunk on its way arrive', async () => {
  await using server = await OldServer.openNode1()
  const running = send(server, { limitBytesPerSecond: 2_000_000 })
  await expect.poll(() => running.progress().sentBytes).toBeGreaterThan(0)

  running.pause()
  running.limitBytesPerSecond = undefined
  running.resume()
  await running.result

  expect(server.content('a.bin').equals(CONTENT)).toBe(true)
  expect(server.chunks).toEqual([0, 1, 2, 3, 4])
})

test('upload() stops where a server makes a file of each chunk', async () => {
  await using server = await OldServer.openNode2()

  await expect(send(server).result).rejects.toMatchObject({ code: 'remote-protocol' })
  const { remoteName } = await send(server, { chunkBytes: CONTENT.length }).result

  expect(server.content(remoteName as string).equals(CONTENT)).toBe(true)
})

test('upload() to the Python server sends again what has not reached it', async () => {
  await using server = await OldServer.openPython()
  await using proxy = await openProxy(server)
  // The status query has a connection of its own; the first chunk breaks off before it is sent.
  proxy.faults.push({ afterBytes: Infinity, lose: 'request' }, { afterBytes: 1, lose: 'request' })

  await upload(CONTENT, `${proxy.url}/upload`, {
    name: 'a.bin',
    chunkBytes: CHUNK_BYTES,
    headers: { Authorization: `Bearer ${server.key}` },
    retryDelayMs: 5,
  }).result

  expect(server.content('a.bin').equals(CONTENT)).toBe(true)
})

test('upload() to the Python server stops where a chunk may have been cut short', async () => {
  await using server = await OldServer.openPython()
  server.lostAnswers = 1

  await expect(send(server).result).rejects.toMatchObject({ code: 'delivery-in-doubt' })

  const events: UploadEvent[] = []
  server.lostAnswers = 1
  const options: UploadOptions = { name: 'b.bin', onDoubt: 'resend' }
  await send(server, { ...options, onEvent: (event) => events.push(event) }).result
  expect(events.map(({ type }) => type)).toContain('doubt')
  expect(server.content('b.bin').equals(CONTENT)).toBe(true)
})

test('upload() to the Python server does not take chunks of another file for its own', async () => {
  await using server = await OldServer.openPython()
  await send(server).result

  const { posts } = server
  const other = randomBytes(CONTENT.length)
  await expect(send(server, {}, other).result).rejects.toMatchObject({ code: 'target-exists' })
  expect(server.posts).toBe(posts)

  // Somebody may have sent them after the status was asked for.
  server.hidesStatus = true
  await expect(send(server, {}, other).result).rejects.toMatchObject({ code: 'target-exists' })
  expect(server.content('a.bin').equals(CONTENT)).toBe(true)
})

test('upload() asks for credentials once more, and nothing is sent twice', async () => {
  await using server = await OldServer.openNode1()
  const asked: boolean[] = []

  await send(server, {
    headers: {},
    credentials: ({ refused }) => {
      asked.push(refused)
      return { Authorization: `Bearer ${refused ? server.key : 'an old key'}` }
    },
  }).result

  expect(asked).toEqual([false, true])
  expect(server.chunks).toEqual([0, 1, 2, 3, 4])
})

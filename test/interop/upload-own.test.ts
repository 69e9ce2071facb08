/** Our sending side with our receiving side, by each protocol, when nothing goes wrong. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type {
  UploadInput,
  UploadNote,
  UploadOptions,
  UploadProtocolName,
} from '../../packages/ferry/src/upload/index.ts'
import { StreamSource, upload } from '../../packages/ferry/src/upload/index.ts'
import { piecesOf, SendingSite } from '../support/sending-site.ts'
import { digestOf } from '../support/temp-dir.ts'

const CONTENT = randomBytes(2_600_000)
const DIGEST = digestOf(CONTENT)
const PROTOCOLS: readonly UploadProtocolName[] = ['indexedcp', 'tus', 'ietf']

type Case = readonly [
  string,
  (site: SendingSite) => Promise<UploadInput> | UploadInput,
  UploadOptions,
]

const file = (site: SendingSite): Promise<string> => site.source.write('a.bin', CONTENT)
const stream = (): UploadInput => piecesOf(CONTENT, 300_001)
const CASES: readonly Case[] = [
  ['a file', file, {}],
  ['a file in chunks', file, { chunkBytes: 700_000 }],
  ['a file with checksums', file, { checksum: true, chunkBytes: 1_000_000 }],
  ['a file in parallel', file, { parallel: 2 }],
  ['a file with its creation', file, { createWithContent: true }],
  ['bytes', () => CONTENT, {}],
  ['a Blob', () => new Blob([CONTENT]), {}],
  ['a stream', stream, {}],
  ['a stream in chunks, with checksums', stream, { chunkBytes: 400_000, checksum: true }],
]

test.each(PROTOCOLS.flatMap((protocol) => CASES.map((one) => [protocol, ...one] as const)))(
  'upload() by %s sends %s',
  async (protocol, _, create, options) => {
    await using site = await SendingSite.open()

    const sent = await site.send(await create(site), protocol, { name: 'a.bin', ...options }).result

    expect(sent).toMatchObject({ protocol, name: 'a.bin', size: CONTENT.length, resumedBytes: 0 })
    expect(sent.transmittedBytes).toBe(CONTENT.length)
    expect(await site.dir.digest('a.bin')).toBe(DIGEST)
    expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
    expect(site.eventTypes).toEqual(['protocol'])
  },
)

test.each(PROTOCOLS)('upload() by %s sends what has no bytes', async (protocol) => {
  await using site = await SendingSite.open()
  const path = await site.source.write('empty', '')

  await site.send(path, protocol).result
  await site.send(piecesOf(Buffer.alloc(0), 1), protocol, { name: 'stream' }).result

  expect(await site.dir.names()).toEqual(['.ferry', 'empty', 'stream'])
  expect((await site.dir.read('empty')).length + (await site.dir.read('stream')).length).toBe(0)
})

test.each(PROTOCOLS)('upload() by %s gives a name in any script', async (protocol) => {
  await using site = await SendingSite.open()

  const names = ['naïve é.txt', '日本語 100%41.txt', 'Ærø; a=b.txt']
  for (const name of names) await site.send(Buffer.from(name), protocol, { name }).result

  for (const name of names) expect((await site.dir.read(name)).toString()).toBe(name)
})

test.each(PROTOCOLS)('upload() by %s tells what the server calls the file', async (protocol) => {
  await using site = await SendingSite.open()
  await site.send(Buffer.from('one'), protocol, { name: 'a.txt' }).result

  const { remoteName } = await site.send(Buffer.from('two'), protocol, { name: 'a.txt' }).result

  // tus has no word for it.
  expect(remoteName).toBe(protocol === 'tus' ? undefined : 'a (1).txt')
  expect((await site.dir.read('a (1).txt')).toString()).toBe('two')
})

test.each(PROTOCOLS)('upload() by %s goes on after a pause where it was', async (protocol) => {
  await using site = await SendingSite.open()
  const path = await file(site)
  const running = site.send(path, protocol, {
    limitBytesPerSecond: 1_500_000,
    chunkBytes: 500_000,
  })
  await site.progress()
  await expect.poll(() => running.progress().acknowledgedBytes).toBeGreaterThan(0)

  running.pause()
  expect(running.state).toBe('paused')
  running.limitBytesPerSecond = undefined
  running.resume()
  const { resumedBytes, transmittedBytes } = await running.result

  expect(resumedBytes).toBe(0)
  // What was on its way is sent again, what was acknowledged is not.
  expect(transmittedBytes).toBeLessThan(CONTENT.length + 4 * 500_000)
  expect(await site.dir.digest('a.bin')).toBe(DIGEST)
  expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
})

test.each(PROTOCOLS)(
  'upload() by %s goes on with what an earlier run has noted',
  async (protocol) => {
    await using site = await SendingSite.open()
    const path = await file(site)
    let saved: UploadNote | undefined
    const first = site.send(path, protocol, {
      limitBytesPerSecond: 1_500_000,
      chunkBytes: 300_000,
      onNote: (note) => {
        saved = JSON.parse(JSON.stringify(note)) as UploadNote
      },
    })
    await expect.poll(() => first.progress().acknowledgedBytes).toBeGreaterThan(0)
    const acknowledged = first.progress().acknowledgedBytes
    await first.cancel()
    await expect(first.result).rejects.toMatchObject({ name: 'AbortError' })

    const { resumedBytes, transmittedBytes } = await site.send(path, protocol, { saved }).result

    // Chunks that arrive before the first count only as far as there is no gap.
    expect(resumedBytes).toBeGreaterThanOrEqual(protocol === 'indexedcp' ? 0 : acknowledged)
    expect(resumedBytes + transmittedBytes).toBe(CONTENT.length)
    expect(await site.dir.digest('a.bin')).toBe(DIGEST)
    expect(await site.dir.names()).toEqual(['.ferry', 'a.bin'])
  },
)

test.each(PROTOCOLS)(
  'upload() by %s keeps of a stream only what may be needed',
  async (protocol) => {
    await using site = await SendingSite.open()
    await using source = new StreamSource(piecesOf(CONTENT, 100_000), { name: 'a.bin' })

    await site.send(source, protocol, { chunkBytes: 200_000 }).result

    expect(source.keptFrom).toBe(CONTENT.length)
  },
)

test('upload() keeps what an earlier run has noted until it has noted more', async () => {
  await using site = await SendingSite.open()
  const path = await file(site)
  const first = site.send(path, 'tus', { limitBytesPerSecond: 1_500_000, chunkBytes: 300_000 })
  await expect.poll(() => first.progress().acknowledgedBytes).toBeGreaterThan(0)
  await first.cancel()

  await site.proxy.goDown()
  const second = site.send(path, 'tus', { saved: first.note, maxRetries: 0 })
  await expect(second.result).rejects.toMatchObject({ code: 'connect-failed' })

  expect(second.note).toEqual(first.note)
})

test.each(PROTOCOLS)(
  'upload() by %s begins anew with another version of a file',
  async (protocol) => {
    await using site = await SendingSite.open()
    const path = await file(site)
    const first = site.send(path, protocol, { limitBytesPerSecond: 1_500_000, chunkBytes: 300_000 })
    await expect.poll(() => first.progress().acknowledgedBytes).toBeGreaterThan(0)
    await first.cancel()
    const { note } = first
    const other = randomBytes(CONTENT.length)
    await site.source.write('a.bin', other)

    const { resumedBytes } = await site.send(path, protocol, { saved: note }).result

    expect(resumedBytes).toBe(0)
    expect(site.eventTypes).toContain('restart')
    expect(await site.dir.digest('a.bin')).toBe(digestOf(other))
  },
)

test.each(PROTOCOLS)('upload() finds out that a server speaks %s', async (protocol) => {
  await using site = await SendingSite.open({ doors: [protocol] })

  const sent = await upload(CONTENT, site.urlFor(protocol), { name: 'a.bin' }).result

  expect(sent.protocol).toBe(protocol)
  expect(await site.dir.digest('a.bin')).toBe(DIGEST)
})

test('upload() says when nothing tells how a server takes uploads', async () => {
  await using site = await SendingSite.open({ doors: ['indexedcp'] })

  const { result } = upload(CONTENT, `${site.proxy.url}/`, { name: 'a.bin' })

  await expect(result).rejects.toMatchObject({ code: 'config', option: 'protocol' })
})

test.each(['tus', 'ietf'] as const)(
  'cancel() of an upload by %s ends it at the server',
  async (protocol) => {
    await using site = await SendingSite.open()
    const running = site.send(await file(site), protocol, {
      limitBytesPerSecond: 1_000_000,
      parallel: 2,
    })
    await site.progress()

    await running.cancel({ terminate: true })

    expect([...site.server.core.list()]).toEqual([])
    expect(await site.dir.names()).toEqual(['.ferry'])
  },
)

test('upload() keeps to its limit, and tells how far it is', async () => {
  await using site = await SendingSite.open()
  const startedAt = performance.now()
  const running = site.send(CONTENT.subarray(0, 500_000), 'tus', { limitBytesPerSecond: 1_000_000 })
  const seen: number[] = []

  for await (const { sentBytes } of running) seen.push(sentBytes)
  await running.result

  // A tenth of a second may pass at once.
  expect(performance.now() - startedAt).toBeGreaterThan(350)
  expect(seen.at(-1)).toBe(500_000)
  expect(seen.toSorted((one, other) => one - other)).toEqual(seen)
  expect(seen.some((bytes) => bytes > 0 && bytes < 500_000)).toBe(true)
})

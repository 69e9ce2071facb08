/** Every source of ours: what they have in common, and what each has of its own. */
import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdtemp, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Content } from '../transport/content.ts'
import { FileSource } from './file-source.ts'
import { MemorySource } from './memory-source.ts'
import { digestOf, wholeDigestOf } from './source-digest.ts'
import { StreamSource } from './stream-source.ts'
import type { UploadSource } from './upload-source.ts'

const CONTENT = randomBytes(1_500_000)
const { signal } = new AbortController()

async function writeContent(content: Buffer = CONTENT): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-source-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'a.bin')
  await writeFile(path, content)
  return path
}

async function open(create: (content: Buffer) => Promise<UploadSource>): Promise<UploadSource> {
  const source = await create(CONTENT)
  onTestFinished(() => source.close())
  return source
}

async function read(content: Content): Promise<Buffer> {
  if (content instanceof Uint8Array) return Buffer.from(content)
  const pieces: Buffer[] = []
  for await (const piece of content.open()) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

describe.each<[string, (content: Buffer) => Promise<UploadSource>]>([
  ['FileSource', async (content) => await FileSource.open(await writeContent(content))],
  [
    'MemorySource',
    async (content) => await Promise.resolve(new MemorySource(content, { name: 'a.bin' })),
  ],
  [
    'MemorySource of a Blob',
    async (content) =>
      await Promise.resolve(
        new MemorySource(new Blob([Uint8Array.from(content)]), { name: 'a.bin' }),
      ),
  ],
  [
    'StreamSource',
    async (content) => {
      const pieces = Array.from({ length: 15 }, (_, at) =>
        content.subarray(at * 100_000, (at + 1) * 100_000),
      )
      return await Promise.resolve(new StreamSource(Readable.from(pieces), { name: 'a.bin' }))
    },
  ],
])('%s', (_, create) => {
  test('gives any span that was prepared, as often as it is wanted', async () => {
    const source = await open(create)

    for (const [start, end] of [
      [0, 10],
      [99_990, 350_010],
      [0, CONTENT.length],
      [CONTENT.length - 1, CONTENT.length],
    ] as const) {
      expect(await source.prepare(start, end - start)).toBe(end)
      const content = await source.content({ start, end })
      const again = await source.content({ start, end })

      expect(content.length).toBe(end - start)
      expect((await read(content)).equals(CONTENT.subarray(start, end))).toBe(true)
      expect((await read(content)).equals(await read(again))).toBe(true)
    }
  })

  test('tells its end where it is', async () => {
    const source = await open(create)

    expect(await source.prepare(1_400_000, 1_000_000)).toBe(CONTENT.length)
    expect(source.size).toBe(CONTENT.length)
    expect(await source.prepare(CONTENT.length, 10)).toBe(CONTENT.length)
  })

  test('gives content to two at once', async () => {
    const source = await open(create)
    const span = { start: 0, end: CONTENT.length }
    await source.prepare(span.start, span.end)

    const [one, other] = await Promise.all([
      read(await source.content(span)),
      read(await source.content(span)),
    ])

    expect(one.equals(CONTENT) && other.equals(CONTENT)).toBe(true)
  })

  test('has a digest for any span', async () => {
    const source = await open(create)
    const span = { start: 5, end: 1_000_000 }
    await source.prepare(0, CONTENT.length)

    expect(await digestOf(source, 'sha1', { span, createHash, signal })).toBe(
      createHash('sha1').update(CONTENT.subarray(5, 1_000_000)).digest('hex'),
    )
    const whole = createHash('sha256').update(CONTENT).digest('hex')
    expect(await wholeDigestOf(source, { isWanted: true, createHash, signal })).toBe(whole)
    expect(await wholeDigestOf(source, { isWanted: false, createHash, signal })).toBeUndefined()
  })
})

describe('FileSource', () => {
  test('refuses a file that says that it is empty and is not', async () => {
    await expect(FileSource.open('/proc/self/status')).rejects.toMatchObject({
      code: 'config',
      message: 'Cannot send "/proc/self/status": its size is not known; send it as a stream',
    })
  })

  test('is called what its path ends with, or as it is told', async () => {
    const path = await writeContent()
    await using plain = await FileSource.open(path)
    await using named = await FileSource.open(path, { name: 'b/c', type: 'text/plain' })

    expect([plain.name, plain.type]).toEqual(['a.bin', undefined])
    expect([named.name, named.type]).toEqual(['b/c', 'text/plain'])
  })

  test('tells one version of a file from another', async () => {
    const path = await writeContent()
    await using first = await FileSource.open(path)
    await using same = await FileSource.open(path, { fingerprint: first.fingerprint })
    await utimes(path, new Date(), new Date(1_700_000_000_000))
    await using touched = await FileSource.open(path)

    expect(same.fingerprint).toBe(first.fingerprint)
    expect(touched.fingerprint).not.toBe(first.fingerprint)
    await expect(FileSource.open(path, { fingerprint: first.fingerprint })).rejects.toMatchObject({
      code: 'source-changed',
    })
  })

  test('honours a fingerprint that was noted with the device, and goes on under it', async () => {
    const path = await writeContent()
    await using plain = await FileSource.open(path)
    const noted = `${plain.fingerprint}-66306`

    await using source = await FileSource.open(path, { fingerprint: noted })

    expect(source.fingerprint).toBe(noted)
    expect(await read(await source.content({ start: 0, end: 10 }))).toEqual(CONTENT.subarray(0, 10))
    await utimes(path, new Date(), new Date(1_700_000_000_000))
    await expect(source.content({ start: 0, end: 10 })).rejects.toMatchObject({
      code: 'source-changed',
    })
    await expect(FileSource.open(path, { fingerprint: noted })).rejects.toMatchObject({
      code: 'source-changed',
    })
  })

  test.each<[string, (path: string) => Promise<void>]>([
    ['grows', (path) => appendFile(path, 'x')],
    ['shrinks', (path) => truncate(path, 1_400_000)],
    ['is written anew', (path) => writeFile(path, randomBytes(CONTENT.length))],
    ['is removed', (path) => rm(path)],
    [
      'is replaced',
      async (path) => {
        await writeFile(`${path}.new`, CONTENT)
        await rename(`${path}.new`, path)
      },
    ],
  ])('never gives all of a span when the file %s meanwhile', async (_, change) => {
    const path = await writeContent()
    await using source = await FileSource.open(path)
    const content = await source.content({ start: 0, end: CONTENT.length })
    const small = await source.content({ start: 0, end: 10 })

    let bytes = 0
    const reading = async (): Promise<void> => {
      for await (const piece of (content as Exclude<Content, Uint8Array>).open()) {
        if (bytes === 0) await change(path)
        bytes += piece.length
      }
    }

    await expect(reading()).rejects.toMatchObject({ code: 'source-changed' })
    expect(bytes).toBeLessThan(CONTENT.length)
    expect((await read(small)).equals(CONTENT.subarray(0, 10))).toBe(true)
    for (const end of [10, 1_000_000]) {
      await expect(source.content({ start: 0, end })).rejects.toMatchObject({
        code: 'source-changed',
      })
    }
  })

  test('says what cannot be sent', async () => {
    const path = await writeContent()

    await expect(FileSource.open(`${path}.none`)).rejects.toMatchObject({ code: 'source-changed' })
    await expect(FileSource.open(join(path, '..'))).rejects.toMatchObject({
      code: 'config',
      option: 'source',
    })
  })
})

describe('StreamSource', () => {
  test('reads no further than it has to, and knows the last piece as the last', async () => {
    let given = 0
    async function* generate(): AsyncGenerator<Buffer> {
      for (; given < 5; given++) {
        await Promise.resolve()
        yield Buffer.alloc(10, given)
      }
    }
    await using source = new StreamSource(generate(), { name: 'a', maxPieceBytes: 20 })

    expect(await source.prepare(0, Number.POSITIVE_INFINITY)).toBe(20)
    expect([given, source.size]).toEqual([2, undefined])
    expect(await source.prepare(20, 100)).toBe(40)
    expect(await source.prepare(40, 10)).toBe(50)
    expect(source.size).toBe(50)
  })

  test('keeps its memory apart from that of the stream, and lets go of what is released', async () => {
    const memory = Buffer.alloc(10)
    async function* generate(): AsyncGenerator<Buffer> {
      for (let at = 0; at < 3; at++) {
        await Promise.resolve()
        yield memory.fill(at)
      }
    }
    await using source = new StreamSource(generate(), { name: 'a' })
    await source.prepare(0, 30)

    expect(await read(await source.content({ start: 5, end: 25 }))).toEqual(
      Buffer.from([...Array(5).fill(0), ...Array(10).fill(1), ...Array(5).fill(2)]),
    )
    await source.release(15)
    expect(source.keptFrom).toBe(15)
    expect((await read(await source.content({ start: 15, end: 25 }))).length).toBe(10)
    expect(() => source.content({ start: 14, end: 25 })).toThrow('can be read only once')
  })

  test('hands on what the stream fails with, and can be aborted while it waits', async () => {
    const failure = new Error('the pipe broke')
    await using failing = new StreamSource(
      Readable.from(
        (function* fail(): Generator<Buffer> {
          yield Buffer.alloc(5)
          throw failure
        })(),
      ),
      { name: 'a' },
    )
    await expect(failing.prepare(0, 10)).rejects.toBe(failure)

    const silent = new Readable({ read() {} })
    await using waiting = new StreamSource(silent, { name: 'a' })
    const abort = new AbortController()
    const prepared = waiting.prepare(0, 10, abort.signal)
    abort.abort(new Error('enough'))
    await expect(prepared).rejects.toThrow('enough')

    // What comes later is not lost.
    const later = waiting.prepare(0, 3)
    silent.push(Buffer.from('abc'))
    silent.push(null)
    expect(await later).toBe(3)
    expect((await read(await waiting.content({ start: 0, end: 3 }))).toString()).toBe('abc')
  })
})

import {
  appendFile,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError, TransferError } from '../errors.ts'
import { fileContent } from './file-content.ts'
import { readStreamToBytes } from './read-stream.ts'

const MIB = 1_048_576

class Fixture implements AsyncDisposable {
  readonly path: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.path = join(folder, 'file.bin')
  }

  static async create(content: Buffer): Promise<Fixture> {
    const fixture = new Fixture(await mkdtemp(join(tmpdir(), 'ferry-file-content-')))
    await writeFile(fixture.path, content)
    return fixture
  }

  /** How many handles of the file are open. */
  async openHandles(): Promise<number> {
    const links = (await readdir('/proc/self/fd')).map((fd) =>
      readlink(`/proc/self/fd/${fd}`).catch(() => ''),
    )
    return (await Promise.all(links)).filter((link) => link.startsWith(this.path)).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true })
  }
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) % 251))
}

test.each([0, 1, 524_287, 524_288, 524_289, 3 * MIB + 7])(
  'fileContent() gives a file of %s bytes, again and again',
  async (length) => {
    const bytes = pattern(length)
    await using file = await Fixture.create(bytes)
    const content = await fileContent(file.path)

    expect(content).toMatchObject({ length, replayable: true })
    for (let time = 0; time < 2; time++) {
      expect((await readStreamToBytes(content)).equals(bytes)).toBe(true)
    }
    expect(await file.openHandles()).toBe(0)
  },
)

test('fileContent() gives any part of a file', async () => {
  const bytes = pattern(MIB + 100)
  await using file = await Fixture.create(bytes)
  const offset = fc.integer({ min: 0, max: bytes.length })

  await fc.assert(
    fc.asyncProperty(offset, offset, async (one, other) => {
      const [start, end] = [Math.min(one, other), Math.max(one, other)]
      const content = await fileContent(file.path, { start, end })

      expect(content.length).toBe(end - start)
      expect((await readStreamToBytes(content)).equals(bytes.subarray(start, end))).toBe(true)
    }),
    { numRuns: 20 },
  )
})

test('fileContent() leaves a piece alone until the next is asked for', async () => {
  const bytes = pattern(2 * MIB)
  await using file = await Fixture.create(bytes)
  let offset = 0
  for await (const piece of (await fileContent(file.path)).open()) {
    // Time enough for the next read.
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(bytes.compare(piece, 0, piece.length, offset, offset + piece.length)).toBe(0)
    offset += piece.length
  }

  expect(offset).toBe(bytes.length)
})

test('fileContent() closes the file when the sender stops early', async () => {
  await using file = await Fixture.create(pattern(3 * MIB))
  for await (const _ of (await fileContent(file.path)).open()) break

  expect(await file.openHandles()).toBe(0)
})

test.each([0, 100, MIB])('a file cut to %s bytes before it is sent is an error', async (length) => {
  await using file = await Fixture.create(pattern(2 * MIB))
  const content = await fileContent(file.path)
  await truncate(file.path, length)

  await expect(readStreamToBytes(content)).rejects.toMatchObject({
    code: 'size-mismatch',
    detail: { expectedBytes: 2 * MIB, actualBytes: length },
  })
  expect(await file.openHandles()).toBe(0)
})

test('a file cut while it is sent is an error, after bytes that it had', async () => {
  const bytes = pattern(4 * MIB)
  await using file = await Fixture.create(bytes)
  const content = await fileContent(file.path)
  let offset = 0
  const sending = (async () => {
    for await (const piece of content.open()) {
      expect(bytes.compare(piece, 0, piece.length, offset, offset + piece.length)).toBe(0)
      offset += piece.length
      await truncate(file.path, 2 * MIB)
    }
  })()

  await expect(sending).rejects.toMatchObject({ code: 'size-mismatch' })
  expect(offset).toBe(2 * MIB)
  expect(await file.openHandles()).toBe(0)
})

test('bytes that are appended later are not sent', async () => {
  const bytes = pattern(1_000)
  await using file = await Fixture.create(bytes)
  const content = await fileContent(file.path)
  await appendFile(file.path, 'more')

  await expect(readStreamToBytes(content)).resolves.toEqual(bytes)
})

test('another file in the place of the first is an error', async () => {
  await using file = await Fixture.create(pattern(1_000))
  const content = await fileContent(file.path)
  await writeFile(`${file.path}.new`, pattern(1_000))
  await rename(`${file.path}.new`, file.path)

  await expect(readStreamToBytes(content)).rejects.toMatchObject({ code: 'representation-changed' })
  expect(await file.openHandles()).toBe(0)
})

test('a file that is gone is an error that names it', async () => {
  await using file = await Fixture.create(pattern(10))
  const content = await fileContent(file.path)
  await rm(file.path)

  await expect(readStreamToBytes(content)).rejects.toThrow(TransferError)
  await expect(fileContent(file.path)).rejects.toMatchObject({
    code: 'disk-failed',
    message: expect.stringContaining(file.path),
  })
})

test('a folder is no content', async () => {
  await expect(fileContent(tmpdir())).rejects.toThrow(ConfigError)
})

test.each([
  ['start', { start: -1 }],
  ['start', { start: 1.5 }],
  ['start', { start: 11 }],
  ['end', { end: 11 }],
  ['end', { start: 5, end: 4 }],
  ['end', { end: Number.NaN }],
])('fileContent() names %s as the option that does not fit: %j', async (option, span) => {
  await using file = await Fixture.create(pattern(10))

  await expect(fileContent(file.path, span)).rejects.toMatchObject({ code: 'config', option })
})

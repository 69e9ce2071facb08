// What FileHasher does on its caller's thread, and WorkerHasher on one of its own.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtempDisposable, open, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileHasher, type HashedFile } from './file-hasher.ts'
import { WorkerHasher } from './worker-hasher.ts'

// Several blocks, and not a whole number of them.
const CONTENT = randomBytes(9_000_001)
// A thread tells its progress in steps of 4 MiB.
const TOLD = 8_388_608
const digest = (bytes: Uint8Array, algorithm = 'sha256'): string =>
  createHash(algorithm).update(bytes).digest('hex')

interface Fixture extends AsyncDisposable {
  readonly path: string
  readonly hasher: FileHasher | WorkerHasher
  /** Resolves once so many bytes have been hashed. */
  hashed(bytes: number): Promise<void>
}

describe.each([
  [
    'FileHasher',
    (file: HashedFile, onProgress: (bytes: number) => void) =>
      Promise.resolve(new FileHasher(file, onProgress)),
  ],
  [
    'WorkerHasher',
    (file: HashedFile, onProgress: (bytes: number) => void) => WorkerHasher.start(file, onProgress),
  ],
])('%s', (_name, start) => {
  async function createFixture(algorithms: readonly string[] = ['sha256']): Promise<Fixture> {
    const folder = await mkdtempDisposable(join(tmpdir(), 'ferry-hasher-'))
    const path = join(folder.path, 'a')
    await writeFile(path, CONTENT)
    let position = 0
    const waiting: { readonly bytes: number; readonly resolve: () => void }[] = []
    const hasher = await start({ path, algorithms }, (bytes) => {
      position = bytes
      for (const { resolve } of waiting.filter((one) => one.bytes <= bytes)) resolve()
    })
    return {
      path,
      hasher,
      hashed: (bytes) =>
        new Promise((resolve) => {
          waiting.push({ bytes, resolve })
          if (position >= bytes) resolve()
        }),
      async [Symbol.asyncDispose]() {
        await hasher.close()
        await folder.remove()
      },
    }
  }

  test('gives the digests of a file, by each algorithm', async () => {
    const algorithms = ['sha512', 'md5', 'blake2s256', 'sha3-256', 'sha512-256']
    await using fixture = await createFixture(algorithms)

    const digests = await fixture.hasher.finish(CONTENT.length)

    expect([...digests]).toEqual(algorithms.map((one) => [one, digest(CONTENT, one)]))
  })

  test('gives digests that node:crypto does not know', async () => {
    await using fixture = await createFixture(['blake3', 'blake2b256'])
    await writeFile(fixture.path, 'IETF')

    // As @noble/hashes and `b2sum -l 256` give them.
    expect(await fixture.hasher.finish(4)).toEqual(
      new Map([
        ['blake3', '83a2de1ee6f4e6ab686889248f4ec0cf4cc5709446a682ffd1cbb4d6165181e2'],
        ['blake2b256', '63ac7189e1342821a7444311f16e9f968fe8c36c33241fbe7086af7c7152260a'],
      ]),
    )
  })

  test('reads to the end when it is not told the size', async () => {
    await using fixture = await createFixture()

    expect(await fixture.hasher.finish()).toEqual(new Map([['sha256', digest(CONTENT)]]))
  })

  test('hashes an empty file, and one of which only the beginning is asked for', async () => {
    await using fixture = await createFixture()

    expect(await fixture.hasher.finish(0)).toEqual(new Map([['sha256', digest(Buffer.alloc(0))]]))
    expect(await fixture.hasher.finish(300_000)).toEqual(
      new Map([['sha256', digest(CONTENT.subarray(0, 300_000))]]),
    )
  })

  test('does not look at bytes before it is told that they are good', async () => {
    await using fixture = await createFixture()
    await using file = await open(fixture.path, 'r+')
    await file.write(randomBytes(CONTENT.length), 0, CONTENT.length, 0)

    for (const end of [1, 300_000, 300_000, 262_144, 1_500_000, 8_999_999]) {
      await file.write(CONTENT, 0, end, 0)
      fixture.hasher.advance(end)
    }
    await file.write(CONTENT, 0, CONTENT.length, 0)

    expect(await fixture.hasher.finish(CONTENT.length)).toEqual(
      new Map([['sha256', digest(CONTENT)]]),
    )
  })

  test('hashes what it is told of at once, and does not look at it again', async () => {
    await using fixture = await createFixture()
    await using file = await open(fixture.path, 'r+')

    fixture.hasher.advance(TOLD)
    await fixture.hashed(TOLD)
    await file.write(Buffer.alloc(100), 0, 100, 0)

    expect(await fixture.hasher.finish(CONTENT.length)).toEqual(
      new Map([['sha256', digest(CONTENT)]]),
    )
  })

  test('looks at everything again after a reset', async () => {
    await using fixture = await createFixture()
    await using file = await open(fixture.path, 'r+')
    await file.write(Buffer.alloc(100), 0, 100, 0)

    fixture.hasher.advance(TOLD)
    await fixture.hashed(TOLD)
    await file.write(CONTENT, 0, 100, 0)
    await fixture.hasher.reset()
    fixture.hasher.advance(1_000_000)

    expect(await fixture.hasher.finish(CONTENT.length)).toEqual(
      new Map([['sha256', digest(CONTENT)]]),
    )
  })

  test('begins anew when the file turns out shorter than it was told', async () => {
    await using fixture = await createFixture()
    fixture.hasher.advance(TOLD)

    expect(await fixture.hasher.finish(1_000_000)).toEqual(
      new Map([['sha256', digest(CONTENT.subarray(0, 1_000_000))]]),
    )
  })

  test('gives digests of slices, several at once and while the file is hashed', async () => {
    await using fixture = await createFixture()
    const spans = [
      { start: 0, end: CONTENT.length },
      { start: 1, end: 2 },
      { start: 500_000, end: 500_000 },
      { start: 2_999_000, end: CONTENT.length },
      { start: 262_144, end: 524_288 },
    ]

    const whole = fixture.hasher.finish(CONTENT.length)
    const slices = await Promise.all(spans.map((span) => fixture.hasher.digestSpan('sha1', span)))

    expect(slices).toEqual(
      spans.map(({ start, end }) => digest(CONTENT.subarray(start, end), 'sha1')),
    )
    expect((await whole).get('sha256')).toBe(digest(CONTENT))
  })

  test('says so when the file is shorter, and can be asked again', async () => {
    await using fixture = await createFixture()
    const { hasher } = fixture
    const detail = { expectedBytes: CONTENT.length + 1, actualBytes: CONTENT.length }
    const tooShort = expect.objectContaining({
      name: 'TransferError',
      code: 'size-mismatch',
      detail,
    })

    await expect(hasher.finish(CONTENT.length + 1)).rejects.toEqual(tooShort)
    await expect(
      hasher.digestSpan('md5', { start: 8_000_000, end: CONTENT.length + 1 }),
    ).rejects.toEqual(tooShort)
    expect((await hasher.finish(CONTENT.length)).get('sha256')).toBe(digest(CONTENT))
  })

  test.each([
    ['no file', 'there is no such file', (path: string) => rm(path)],
    ['a folder', 'it is a folder', (path: string) => rm(path).then(() => mkdir(path))],
  ])('cannot read: %s', async (_case, reason, prepare) => {
    await using fixture = await createFixture()
    await prepare(fixture.path)
    const failure = expect.objectContaining({
      name: 'TransferError',
      code: 'disk-failed',
      message: `Cannot read ${fixture.path}: ${reason}`,
      cause: expect.any(Error),
    })

    await expect(fixture.hasher.finish(10)).rejects.toEqual(failure)
    await expect(fixture.hasher.digestSpan('md5', { start: 0, end: 10 })).rejects.toEqual(failure)
  })

  test('says so when the algorithm is unknown', async () => {
    await using fixture = await createFixture(['md4711'])

    await expect(fixture.hasher.finish(10)).rejects.toThrow('Digest method not supported')
  })

  test('leaves no descriptor open, however it ends', async () => {
    await using fixture = await createFixture()
    const { hasher, path } = fixture

    hasher.advance(TOLD)
    await hasher.finish(1_000_000)
    const afterNewBeginning = await countDescriptors(path)
    hasher.advance(CONTENT.length + 1)
    await hasher.finish(CONTENT.length + 1).catch(() => {})
    await hasher
      .digestSpan('md5', { start: CONTENT.length, end: CONTENT.length + 1 })
      .catch(() => {})
    const afterFailures = await countDescriptors(path)
    hasher.advance(TOLD)
    await hasher.close()
    hasher.advance(CONTENT.length)

    expect([afterNewBeginning, afterFailures, await countDescriptors(path)]).toEqual([0, 0, 0])
    await expect(hasher.finish(CONTENT.length)).rejects.toThrow('it was abandoned')
    expect(await countDescriptors(path)).toBe(0)
  })

  test('leaves no descriptor open when it is closed while it resets', async () => {
    const left: number[] = []
    // The file may be open already, or not yet.
    for (let turn = 0; turn < 6; turn++) {
      await using fixture = await createFixture()
      const { hasher, path } = fixture

      hasher.advance(TOLD)
      void hasher.reset()
      await hasher.close()
      left.push(await countDescriptors(path))
    }

    expect(left).toEqual([0, 0, 0, 0, 0, 0])
  })

  test.each(['reset', 'close'] as const)('%s() ends a wait for digests', async (end) => {
    await using fixture = await createFixture()
    const digests = fixture.hasher.finish(CONTENT.length)

    await Promise.all([
      expect(digests).rejects.toThrow(`Cannot give a digest of ${fixture.path}: it was abandoned`),
      fixture.hasher[end](),
    ])
  })

  test('close() ends a wait for slices, and leaves no descriptor open', async () => {
    await using fixture = await createFixture()
    const { hasher, path } = fixture
    const slice = hasher.digestSpan('md5', { start: 0, end: CONTENT.length })

    await Promise.all([
      expect(slice).rejects.toThrow('it was abandoned'),
      hasher.close().then(async () => expect(await countDescriptors(path)).toBe(0)),
    ])
    await expect(hasher.digestSpan('md5', { start: 0, end: 1 })).rejects.toThrow('it was abandoned')
  })
})

/** How many descriptors of this process, threads included, stand for that file. */
async function countDescriptors(path: string): Promise<number> {
  const names = await readdir('/proc/self/fd')
  // One of them was for reading the folder.
  const targets = names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => ''))
  return (await Promise.all(targets)).filter((target) => target === path).length
}

import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import type { PieceHashes } from './piece-checker.ts'
import { Verifier } from './verifier.ts'

const CONTENT = randomBytes(100_000)
const NEVER = new AbortController().signal

/** A file with this content, in a folder that is removed in the end. */
class Fixture implements AsyncDisposable {
  readonly path: string
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
    this.path = join(folder, 'file.part')
  }

  static async start(content: Buffer = CONTENT): Promise<Fixture> {
    const fixture = new Fixture(await mkdtemp(join(tmpdir(), 'ferry-verifier-')))
    await writeFile(fixture.path, content)
    return fixture
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true })
  }
}

const hexOf = (content: Buffer, algorithm = 'sha256'): string =>
  createHash(algorithm).update(content).digest('hex')
/** Fields that name the digest of a content. */
const fieldsOf = (content: Buffer, algorithm: 'sha256' | 'sha512' = 'sha256'): HeaderFields => {
  const digest = createHash(algorithm).update(content).digest('base64')
  return HeaderFields.from({ 'Repr-Digest': `${algorithm.replace('sha', 'sha-')}=:${digest}:` })
}

test('Verifier has nothing to check where nobody names a digest', async () => {
  await using fixture = await Fixture.start()
  await using verifier = new Verifier(fixture.path, {})

  verifier.noteHeaders(200, HeaderFields.empty)

  expect(verifier.isProvable).toBe(false)
  verifier.advance(10)
  expect(await verifier.finish(CONTENT.length, NEVER)).toBeUndefined()
})

test('Verifier compares the file with the digest that was asked for, whatever the server says', async () => {
  await using fixture = await Fixture.start()
  const checksum = { algorithm: 'sha1', hex: hexOf(CONTENT, 'sha1') }
  await using verifier = new Verifier(fixture.path, { checksum })

  verifier.noteHeaders(200, fieldsOf(randomBytes(9)))

  expect(verifier.isProvable).toBe(true)
  expect(await verifier.finish(CONTENT.length, NEVER)).toEqual(checksum)
})

test('Verifier goes by the digest that the server names where none was asked for', async () => {
  await using fixture = await Fixture.start()
  await using verifier = new Verifier(fixture.path, {})

  verifier.noteHeaders(206, fieldsOf(CONTENT))
  // What is said first holds.
  verifier.noteHeaders(206, fieldsOf(randomBytes(9)))

  expect(verifier.isProvable).toBe(true)
  expect(await verifier.finish(CONTENT.length, NEVER)).toEqual({
    algorithm: 'sha256',
    hex: hexOf(CONTENT),
  })
})

test('Verifier refuses a file that is another one', async () => {
  await using fixture = await Fixture.start()
  await using verifier = new Verifier(fixture.path, {})

  verifier.noteHeaders(200, fieldsOf(randomBytes(9)))

  await expect(verifier.finish(CONTENT.length, NEVER)).rejects.toMatchObject({
    code: 'checksum-mismatch',
  })
})

test('Verifier.reset() forgets what the server has named, of whatever kind, and nothing else', async () => {
  await using fixture = await Fixture.start()
  await using verifier = new Verifier(fixture.path, {})
  verifier.noteHeaders(200, fieldsOf(randomBytes(9)))
  verifier.advance(CONTENT.length)
  await expect(verifier.finish(CONTENT.length, NEVER)).rejects.toThrow('Cannot accept')

  verifier.reset()
  expect(verifier.isProvable).toBe(false)
  verifier.noteHeaders(200, fieldsOf(CONTENT, 'sha512'))

  expect(await verifier.finish(CONTENT.length, NEVER)).toMatchObject({ algorithm: 'sha512' })

  const checksum = { algorithm: 'sha256', hex: hexOf(CONTENT) }
  await using asked = new Verifier(fixture.path, { checksum })
  asked.reset()
  expect(await asked.finish(CONTENT.length, NEVER)).toEqual(checksum)
})

test('Verifier.takeBack() has bytes hashed again that have changed since they were told of', async () => {
  // Long enough that it is hashed while it comes.
  const content = randomBytes(18_000_000)
  await using fixture = await Fixture.start(content)
  const checksum = { algorithm: 'sha256', hex: hexOf(content) }
  await using verifier = new Verifier(fixture.path, { checksum })
  await using handle = await open(fixture.path, 'r+')
  await handle.write(Buffer.alloc(1000), 0, 1000, 5_000_000)
  verifier.advance(17_000_000)
  // Through the same queue, so that those bytes have been read by then.
  await verifier.digestSpan('sha256', { start: 0, end: 17_000_000 })

  await handle.write(content, 5_000_000, 1000, 5_000_000)
  verifier.takeBack()

  expect(await verifier.finish(content.length, NEVER)).toEqual(checksum)
})

/** The digests of the content's pieces. */
function piecesOf(content: Buffer, lengthBytes: number): PieceHashes {
  const count = Math.ceil(content.length / lengthBytes)
  const hexes = Array.from({ length: count }, (_, index) =>
    hexOf(content.subarray(index * lengthBytes, (index + 1) * lengthBytes)).toUpperCase(),
  )
  return { algorithm: 'sha256', lengthBytes, hexes }
}

test('Verifier.checkPieces() accepts a file whose pieces are right', async () => {
  await using fixture = await Fixture.start()
  await using verifier = new Verifier(fixture.path, { pieces: piecesOf(CONTENT, 30_000) })
  await using without = new Verifier(fixture.path, {})

  expect(verifier.isProvable).toBe(true)
  await verifier.checkPieces(CONTENT.length)
  await without.checkPieces(CONTENT.length)
})

test.each([
  ['one piece is wrong', Buffer.concat([CONTENT.subarray(0, 99_999), Buffer.from('x')]), 100_000],
  ['it has lost its end', CONTENT, 90_000],
  ['it has less than a piece too much', Buffer.concat([CONTENT, CONTENT]), 100_001],
  ['it has more pieces', Buffer.concat([CONTENT, CONTENT]), 200_000],
  ['it is empty', CONTENT, 0],
])('Verifier.checkPieces() refuses a file where %s', async (_, content, size) => {
  await using fixture = await Fixture.start(content)
  await using verifier = new Verifier(fixture.path, { pieces: piecesOf(CONTENT, 30_000) })

  await expect(verifier.checkPieces(size)).rejects.toMatchObject({ code: 'checksum-mismatch' })
})

test('Verifier leaves it to the pieces where they are known, also those that were hashed before', async () => {
  await using fixture = await Fixture.start()
  await using verifier = new Verifier(fixture.path, { pieces: piecesOf(CONTENT, 30_000) })
  await verifier.digestSpan('sha256', { start: 0, end: 30_000 })

  verifier.noteHeaders(206, fieldsOf(CONTENT))

  expect(await verifier.finish(CONTENT.length, NEVER)).toBeUndefined()
})

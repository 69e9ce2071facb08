/** Pieces of a file that are checked while it comes. */
import { createHash, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { DownloadFixture } from '../testing/download-fixture.ts'
import { FaultServer } from '../testing/fault-server.ts'
import type { Fault } from '../testing/fault-server-answer.ts'
import type { DownloadEvent, DownloadOptions } from './download-options.ts'
import type { PieceHashes } from './integrity/piece-checker.ts'

const SIZE = 2_400_000
const PIECE_BYTES = 100_000
const CONTENT = randomBytes(SIZE)

function hexOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

function piecesOf(content: Buffer, lengthBytes = PIECE_BYTES): PieceHashes {
  const count = Math.ceil(content.length / lengthBytes)
  const hexes = Array.from({ length: count }, (_, index) =>
    hexOf(content.subarray(index * lengthBytes, (index + 1) * lengthBytes)),
  )
  return { algorithm: 'sha256', lengthBytes, hexes }
}

const PIECES = piecesOf(CONTENT)

/** Turns over the byte at `offset` in as many answers that have it. */
function damage(offset: number, times: number): () => Fault | undefined {
  let left = times
  return () => (left-- > 0 ? { type: 'damage', offset } : undefined)
}

/** Starts of the pieces that were told of as bad. */
function badPieces(events: readonly DownloadEvent[]): number[] {
  return events.flatMap((event) => (event.type === 'bad-piece' ? [event.span.start] : []))
}

test.concurrent.each([0, 150_000, SIZE - 1])(
  'download() fetches a piece again that is bad at byte %i, and nothing else',
  async (offset) => {
    const events: DownloadEvent[] = []
    await using fixture = await DownloadFixture.start({
      content: CONTENT,
      fault: damage(offset, 1),
    })

    const { proof, fetchedBytes } = await fixture.start({
      pieces: PIECES,
      onEvent: (event) => events.push(event),
    }).result

    expect((await fixture.content()).equals(CONTENT)).toBe(true)
    expect(proof).toBe('digest')
    expect(badPieces(events)).toEqual([offset - (offset % PIECE_BYTES)])
    expect(fetchedBytes).toBe(SIZE + PIECE_BYTES)
    expect(fixture.server.requests.map(({ range }) => range)).toEqual([
      undefined,
      [offset - (offset % PIECE_BYTES), offset - (offset % PIECE_BYTES) + PIECE_BYTES - 1],
    ])
  },
)

test.concurrent('download() fetches a piece again over several connections', async () => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    bytesPerSecond: SIZE,
    fault: damage(50_000, 2),
  })

  const { fetchedBytes } = await fixture.start({ pieces: PIECES, maxConnections: 4 }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(fetchedBytes).toBeLessThan(SIZE * 1.4)
})

test.concurrent('download() gives up on a piece that is bad each time, and keeps the others', async () => {
  const events: DownloadEvent[] = []
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: damage(150_000, 1_000_000),
  })

  const run = fixture.start({
    pieces: PIECES,
    maxRetries: 3,
    onEvent: (event) => events.push(event),
  })

  await expect(run.result).rejects.toMatchObject({ code: 'checksum-mismatch' })
  expect(badPieces(events)).toEqual([100_000, 100_000, 100_000])
  expect(await fixture.names()).toEqual(['file.bin.part', 'file.bin.part.journal'])
  delete fixture.server.options.fault
  const { fetchedBytes, resumedBytes } = await fixture.start({ pieces: PIECES }).result
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(resumedBytes).toBeGreaterThan(SIZE / 2)
  expect(fetchedBytes + resumedBytes).toBeLessThanOrEqual(SIZE + 2 * PIECE_BYTES)
})

test.concurrent('download() leaves a mirror that brings a bad piece, and only fetches what is bad again', async () => {
  const events: DownloadEvent[] = []
  // Where both are compared, they are the same.
  const half = SIZE / 2
  const content = Buffer.concat([CONTENT.subarray(0, half), randomBytes(half)])
  // So slow that the mirror has its share on a busy machine, too.
  const bytesPerSecond = SIZE / 4
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond })
  await using mirror = await FaultServer.start({ content, bytesPerSecond })

  const { fetchedBytes } = await fixture.start({
    pieces: PIECES,
    maxConnections: 4,
    mirrors: [mirror.url],
    onEvent: (event) => events.push(event),
  }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(events.filter(({ type }) => type === 'mirror-dropped')).toMatchObject([
    { url: mirror.url, error: { code: 'checksum-mismatch' } },
  ])
  expect(events.map(({ type }) => type)).not.toContain('restart')
  expect(fetchedBytes).toBeLessThan(SIZE * 1.7)
})

test.concurrent('download() does not wait for the rest of what a mirror with bad pieces is bringing', async () => {
  const half = SIZE / 2
  const content = Buffer.concat([CONTENT.subarray(0, half), randomBytes(half)])
  // So slow that there is time enough to notice, on a busy machine, too.
  const bytesPerSecond = SIZE / 12
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond })
  await using mirror = await FaultServer.start({ content, bytesPerSecond })

  await fixture.start({ pieces: PIECES, maxConnections: 2, mirrors: [mirror.url] }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  const badBytes = mirror.requests.map(({ range, sentBytes }) => {
    const start = range?.[0] ?? 0
    return Math.max(0, start + sentBytes - Math.max(start, half))
  })
  // It would have been nearly a half.
  expect(badBytes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(SIZE * 0.4)
})

test.concurrent('download() checks what an earlier run has left', async () => {
  const events: DownloadEvent[] = []
  await using fixture = await DownloadFixture.start({ content: CONTENT, bytesPerSecond: SIZE })
  await fixture.runUntil(800_000, { maxConnections: 1 })
  await using file = await open(fixture.partPath, 'r+')
  await file.write(Buffer.alloc(10), 0, 10, 250_000)

  const { resumedBytes, fetchedBytes } = await fixture.start({
    pieces: PIECES,
    onEvent: (event) => events.push(event),
  }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(badPieces(events)).toEqual([200_000])
  expect(resumedBytes).toBeGreaterThan(0)
  expect(fetchedBytes).toBeLessThan(SIZE)
})

test.concurrent('download() checks a part that is complete, whatever else the server names', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, reprDigest: true })
  const stop = new AbortController()
  const first = fixture.start({
    signal: stop.signal,
    // All has come, and is not published.
    onEvent: (event) => {
      if (event.type === 'state' && event.state === 'verifying') stop.abort(new Error('enough'))
    },
  })
  await expect(first.result).rejects.toThrow('enough')
  await using file = await open(fixture.partPath, 'r+')
  await file.write(Buffer.alloc(10), 0, 10, 250_000)

  const { fetchedBytes } = await fixture.start({ pieces: PIECES }).result

  expect((await fixture.content()).equals(CONTENT)).toBe(true)
  expect(fetchedBytes).toBeLessThanOrEqual(PIECE_BYTES + 1)
})

test.concurrent('download() hashes anew what came again, for the digest of the whole', async () => {
  // Long enough that it is hashed while it comes.
  const content = randomBytes(20_000_000)
  const pieces = piecesOf(content, 1_000_000)
  const checksum = { algorithm: 'sha256', hex: hexOf(content) }
  await using fixture = await DownloadFixture.start({
    content,
    bytesPerSecond: 40_000_000,
    fault: damage(16_500_000, 1),
  })

  await fixture.start({ maxConnections: 1, pieces, checksum }).result

  expect((await fixture.content()).equals(content)).toBe(true)
})

const wrongLists: readonly [string, PieceHashes][] = [
  ['has fewer pieces', { ...PIECES, hexes: PIECES.hexes.slice(1) }],
  ['has more pieces', { ...PIECES, hexes: [...PIECES.hexes, 'aa'] }],
  ['has none', { ...PIECES, hexes: [] }],
  ['is of another length', { ...PIECES, lengthBytes: PIECE_BYTES / 2 }],
]

test.concurrent.each(wrongLists)('download() refuses a list that %s', async (_, pieces) => {
  await using fixture = await DownloadFixture.start({ content: CONTENT })

  await expect(fixture.start({ pieces }).result).rejects.toMatchObject({
    code: 'config',
    option: 'pieces',
  })
  expect(await fixture.names()).not.toContain('file.bin')
})

test.concurrent('download() refuses a list of pieces of another file', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT })

  const run = fixture.start({ pieces: piecesOf(randomBytes(SIZE)), maxRetries: 1 })

  await expect(run.result).rejects.toMatchObject({ code: 'checksum-mismatch' })
  expect(await fixture.names()).not.toContain('file.bin')
})

test.concurrent('download() checks the pieces of a file of unknown length', async () => {
  await using fixture = await DownloadFixture.start({ content: CONTENT, chunked: true })

  const wrong = fixture.start({ pieces: { ...PIECES, hexes: PIECES.hexes.toReversed() } })
  await expect(wrong.result).rejects.toMatchObject({ code: 'checksum-mismatch' })
  expect(await fixture.names()).not.toContain('file.bin')

  const { proof } = await fixture.start({ pieces: PIECES }).result
  expect(proof).toBe('digest')
  expect((await fixture.content()).equals(CONTENT)).toBe(true)
})

test.concurrent.each<[string, DownloadOptions]>([
  ['pieces', { pieces: PIECES }],
  ['its size', { size: SIZE }],
])('download() of unknown length that ends too early is refused by %s', async (_, options) => {
  await using fixture = await DownloadFixture.start({
    content: CONTENT,
    fault: () => ({ type: 'short', afterBytes: 1_000_000 }),
  })

  await expect(fixture.start(options).result).rejects.toMatchObject({
    code: expect.stringMatching(/checksum-mismatch|size-mismatch/),
  })
  expect(await fixture.names()).not.toContain('file.bin')
})

import { expect, test } from 'vitest'
import { type Span, SpanSet } from '../../transfer/span.ts'
import { PieceChecker, type PieceCheckerOptions } from './piece-checker.ts'

const LENGTH = 10

/** A checker of three pieces, of which the last has five bytes; a piece's digest is its number. */
class Bench {
  readonly covered = new SpanSet()
  readonly log: string[] = []
  /** Pieces that have another digest. */
  readonly bad = new Set<number>()
  readonly errors: Error[] = []
  readonly checker: PieceChecker
  /** Ends the digest that is being made. */
  go: () => void = () => {}
  /** Digests end by themselves. */
  isQuick = true

  constructor(options: Partial<PieceCheckerOptions> = {}) {
    this.checker = new PieceChecker({
      pieces: { algorithm: 'sha256', lengthBytes: LENGTH, hexes: ['D0', 'd1', 'd2'] },
      size: 25,
      covers: (span) => this.covered.covers(span),
      digestSpan: async (algorithm, { start, end }) => {
        this.log.push(`${algorithm} ${start}-${end}`)
        if (!this.isQuick) await new Promise<void>((resolve) => (this.go = resolve))
        return this.bad.has(start) ? 'bad' : `d${start / LENGTH}`
      },
      onBad: ({ start }, times) => {
        this.log.push(`bad ${start} ${times}`)
        return Promise.resolve()
      },
      onSettled: () => this.log.push('settled'),
      onError: (error) => this.errors.push(error),
      ...options,
    })
  }

  write(start: number, end: number): void {
    const span: Span = { start, end }
    this.covered.add(span)
    this.checker.note(span)
  }

  async settle(): Promise<string[]> {
    while (!this.checker.isSettled) await new Promise((resolve) => setImmediate(resolve))
    return this.log.splice(0)
  }
}

test('PieceChecker checks a piece once all of it is there, and not again', async () => {
  const bench = new Bench()

  bench.write(0, 9)
  expect(bench.checker.isSettled).toBe(true)
  bench.write(9, 12)
  expect(bench.checker.isSettled).toBe(false)

  expect(await bench.settle()).toEqual(['sha256 0-10', 'settled'])
  bench.write(12, 13)
  expect(await bench.settle()).toEqual([])
})

test('PieceChecker checks every piece that a span touches, the last one up to the end', async () => {
  const bench = new Bench()
  bench.write(0, 5)
  bench.write(22, 25)

  bench.write(5, 22)

  expect(await bench.settle()).toEqual([
    ...['sha256 0-10', 'sha256 10-20', 'sha256 20-25'],
    'settled',
  ])
})

test('PieceChecker tells of a bad piece, how often, and checks it again when it has come again', async () => {
  const bench = new Bench()
  bench.bad.add(10)

  bench.write(10, 20)
  expect(await bench.settle()).toEqual(['sha256 10-20', 'bad 10 1', 'settled'])
  bench.write(15, 16)
  expect(await bench.settle()).toEqual(['sha256 10-20', 'bad 10 2', 'settled'])
  bench.bad.clear()
  bench.write(10, 20)
  expect(await bench.settle()).toEqual(['sha256 10-20', 'settled'])
  bench.write(10, 20)
  expect(await bench.settle()).toEqual([])
})

test('PieceChecker takes pieces that become whole while it is busy', async () => {
  const bench = new Bench()
  bench.isQuick = false
  bench.write(0, 10)
  bench.write(10, 25)
  bench.isQuick = true
  bench.go()

  expect(await bench.settle()).toEqual([
    ...['sha256 0-10', 'sha256 10-20', 'sha256 20-25'],
    'settled',
  ])
})

test('PieceChecker does not check what has been taken back while it waited', async () => {
  const bench = new Bench()
  bench.isQuick = false
  bench.write(0, 20)
  bench.covered.remove({ start: 12, end: 13 })
  bench.go()

  expect(await bench.settle()).toEqual(['sha256 0-10', 'settled'])
  bench.isQuick = true
  bench.write(12, 13)
  expect(await bench.settle()).toEqual(['sha256 10-20', 'settled'])
})

test('PieceChecker.close() ends the check that is under way and begins no other', async () => {
  const bench = new Bench()
  bench.isQuick = false
  bench.write(0, 25)
  const closing = bench.checker.close()
  let closed = false
  const noteClosed = closing.then(() => (closed = true))

  await new Promise((resolve) => setImmediate(resolve))
  expect(closed).toBe(false)
  bench.go()
  await noteClosed

  expect(bench.log).toEqual(['sha256 0-10', 'settled'])
})

test.each<[string, Partial<PieceCheckerOptions>]>([
  ['a digest', { digestSpan: () => Promise.reject(new Error('EIO')) }],
  ['dealing with a bad piece', { onBad: () => Promise.reject(new Error('EIO')) }],
])('PieceChecker tells of an error in %s', async (_, options) => {
  const bench = new Bench(options)
  bench.bad.add(0)

  bench.write(0, 10)
  await bench.settle()

  expect(bench.errors).toMatchObject([{ message: 'EIO' }])
})

test.each([0, 20, 31, 1_000_000])('PieceChecker refuses three pieces for %i bytes', (size) => {
  expect(() => new Bench({ size })).toThrow(
    expect.objectContaining({ message: expect.stringContaining('3 pieces of 10: expected') }),
  )
})

test('PieceChecker has nothing to check of an empty file', () => {
  const pieces = { algorithm: 'sha256', lengthBytes: LENGTH, hexes: [] }

  expect(new Bench({ size: 0, pieces }).checker.isSettled).toBe(true)
})

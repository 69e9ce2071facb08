/**
 * Checks the pieces of a file as they become whole, one after another, and says which are bad. Reads
 * nothing itself: whoever makes it gives the digests.
 */
import { ConfigError, TransferError } from '../../errors.ts'
import type { Span } from '../../transfer/span.ts'

/** What the pieces of a file must have, as Metalink gives it (RFC 5854 §4.2.15). */
export interface PieceHashes {
  readonly algorithm: string
  /** Of each piece but the last. */
  readonly lengthBytes: number
  /** Hexadecimal, in the order of the pieces. */
  readonly hexes: readonly string[]
}

/** What the checker works with. */
export interface PieceCheckerOptions {
  readonly pieces: PieceHashes
  readonly size: number
  /** Whether every byte of a span is in the file. */
  readonly covers: (span: Span) => boolean
  readonly digestSpan: (algorithm: string, span: Span) => Promise<string>
  /** A piece is not what it should be, for the `times`th time; resolves when that is dealt with. */
  readonly onBad: (span: Span, times: number) => Promise<void>
  /** Everything that is in the file so far has been checked. */
  readonly onSettled: () => void
  readonly onError: (error: Error) => void
}

/** The checks of one file. */
export class PieceChecker {
  readonly #options: PieceCheckerOptions
  readonly #good = new Set<number>()
  readonly #badTimes = new Map<number, number>()
  readonly #waiting = new Set<number>()
  #running: Promise<void> | undefined

  /** @throws {ConfigError} when there are more or fewer pieces than the file has */
  constructor(options: PieceCheckerOptions) {
    this.#options = options
    const { pieces, size } = options
    const count = Math.ceil(size / pieces.lengthBytes)
    if (pieces.hexes.length === count) return
    throw new ConfigError(
      'pieces',
      `Cannot check a file of ${size} bytes by ${pieces.hexes.length} pieces of ${pieces.lengthBytes}: expected ${count}`,
    )
  }

  /** No check is under way or waits. */
  get isSettled(): boolean {
    return this.#running === undefined && this.#waiting.size === 0
  }

  /** Bytes have been written; pieces that are whole now are checked. */
  note({ start, end }: Span): void {
    const { lengthBytes } = this.#options.pieces
    const last = Math.ceil(end / lengthBytes)
    for (let index = Math.floor(start / lengthBytes); index < last; index++) {
      if (this.#good.has(index) || !this.#options.covers(this.#spanOf(index))) continue
      this.#waiting.add(index)
    }
    if (this.#waiting.size > 0) this.#running ??= this.#run()
  }

  /** Ends when the check that is under way has; nothing else is begun. */
  async close(): Promise<void> {
    this.#waiting.clear()
    await this.#running
  }

  #spanOf(index: number): Span {
    const { pieces, size } = this.#options
    const start = index * pieces.lengthBytes
    return { start, end: Math.min(size, start + pieces.lengthBytes) }
  }

  async #run(): Promise<void> {
    try {
      for (const index of this.#waiting) {
        this.#waiting.delete(index)
        await this.#check(index)
      }
    } catch (error) {
      this.#options.onError(error as Error)
    } finally {
      this.#running = undefined
    }
    this.#options.onSettled()
  }

  async #check(index: number): Promise<void> {
    const { pieces, digestSpan, covers, onBad } = this.#options
    const span = this.#spanOf(index)
    // It may have been taken back since.
    if (!covers(span)) return
    const digest = await digestSpan(pieces.algorithm, span)
    if (digest === pieces.hexes[index]?.toLowerCase()) {
      this.#good.add(index)
      return
    }
    const times = (this.#badTimes.get(index) ?? 0) + 1
    this.#badTimes.set(index, times)
    await onBad(span, times)
  }
}

/** The error for a piece that does not have its digest. */
export function pieceError(path: string, { start, end }: Span): TransferError {
  return new TransferError(
    'checksum-mismatch',
    `Cannot accept bytes ${start} to ${end} of ${path}: their digest is another one`,
  )
}

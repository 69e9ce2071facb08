/**
 * Has the pieces of a file checked as they become whole, and bad ones fetched again: knows from where
 * each piece is, so that who brought a bad one can be left. The checks are in integrity/.
 */
import type { Span } from '../transfer/span.ts'
import { PieceChecker, pieceError } from './integrity/piece-checker.ts'
import type { Verifier } from './integrity/verifier.ts'
import type { Remote } from './remotes.ts'
import type { SpanKeeper } from './span-keeper.ts'
import type { WorkList } from './work-list.ts'

/** What a guard works with. */
export interface PieceGuardContext {
  readonly verifier: Verifier
  readonly keeper: SpanKeeper
  readonly list: WorkList
  /** Of the partial file. */
  readonly path: string
  /** How often a piece may be bad, and come again. */
  readonly maxRetries: number
  /** A piece is bad, and comes again; `remote` has brought all of it, where that is known. */
  readonly onBad: (span: Span, error: Error, remote: Remote | undefined) => void
  /** Everything that is in the file so far has been checked. */
  readonly onSettled: () => void
  readonly onError: (error: Error) => void
}

/** The checks of one file; without pieces to compare with it does nothing. */
export class PieceGuard {
  readonly #context: PieceGuardContext
  #checker: PieceChecker | undefined
  /** From where pieces are, by their first byte; undefined for several places. */
  readonly #remotes = new Map<number, Remote | undefined>()

  constructor(context: PieceGuardContext) {
    this.#context = context
  }

  /** Pieces are checked as they come. */
  get hasBegun(): boolean {
    return this.#checker !== undefined
  }

  /** No check is under way or waits. */
  get isSettled(): boolean {
    return this.#checker?.isSettled !== false
  }

  /**
   * The size is known from now on.
   * @param held what is in the file already, which nobody has checked yet
   * @throws {ConfigError} when there are more or fewer pieces than the file has
   */
  begin(size: number, held: Iterable<Span>): void {
    const { verifier, keeper, onSettled, onError } = this.#context
    const { pieces } = verifier
    if (pieces === undefined) return
    this.#checker = new PieceChecker({
      pieces,
      size,
      covers: (span) => keeper.covers(span),
      digestSpan: (algorithm, span) => verifier.digestSpan(algorithm, span),
      onBad: (span, times) => this.#reject(span, times),
      onSettled,
      onError,
    })
    for (const span of held) this.#checker.note(span)
  }

  /** Bytes are in the file. */
  note(span: Span): void {
    this.#checker?.note(span)
  }

  /** Remembers who has brought bytes. */
  noteRemote({ start, end }: Span, remote: Remote): void {
    const lengthBytes = this.#context.verifier.pieces?.lengthBytes
    if (lengthBytes === undefined) return
    for (let at = start - (start % lengthBytes); at < end; at += lengthBytes) {
      const isOnly = !this.#remotes.has(at) || this.#remotes.get(at) === remote
      this.#remotes.set(at, isOnly ? remote : undefined)
    }
  }

  /** Ends when the check that is under way has. */
  async close(): Promise<void> {
    await this.#checker?.close()
  }

  /** The piece comes again, from somebody else if there is one. */
  async #reject(span: Span, times: number): Promise<void> {
    const { path, maxRetries, onBad, verifier, keeper, list } = this.#context
    const error = pieceError(path, span)
    if (times > maxRetries) throw error
    onBad(span, error, this.#remotes.get(span.start))
    this.#remotes.delete(span.start)
    verifier.takeBack()
    await keeper.reject(span)
    list.reject(span)
  }
}

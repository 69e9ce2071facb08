/**
 * Proves that a file is the one that was meant: knows which digest it must have, the caller's or one
 * that the server has named, and hashes what has come while the rest is on its way.
 */
import { representationDigests } from '../../protocol/semantics/digest-fields.ts'
import type { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { FileDigest } from '../../transfer/integrity/file-digest.ts'
import type { Span } from '../../transfer/span.ts'
import { checkDigest, type Checksum, strongestChecksum } from './checksum.ts'
import { pieceError, type PieceHashes } from './piece-checker.ts'

/** The proof of one file; to be disposed of. */
export class Verifier implements AsyncDisposable {
  readonly pieces: PieceHashes | undefined
  readonly #path: string
  #checksum: Checksum | undefined
  /** Nobody has asked for it: the server has named it. */
  #isOfServer = false
  #digest: FileDigest | undefined
  /** By what the server has named before. */
  readonly #outdated: FileDigest[] = []

  constructor(
    path: string,
    options: {
      readonly checksum?: Checksum | undefined
      readonly pieces?: PieceHashes | undefined
    },
  ) {
    this.#path = path
    this.#checksum = options.checksum
    this.pieces = options.pieces
  }

  /** A wrong byte anywhere in the file would show. */
  get isProvable(): boolean {
    return this.#checksum !== undefined || this.pieces !== undefined
  }

  /** Takes over a digest that the server names of the whole file (RFC 9530 §3), where none is known. */
  noteHeaders(status: number, headers: HeaderFields): void {
    if (this.isProvable) return
    this.#checksum = strongestChecksum(representationDigests(status, headers))
    this.#isOfServer = this.#checksum !== undefined
  }

  /** Tells that bytes [0, end) are in the file for good. */
  advance(end: number): void {
    if (this.#checksum !== undefined) this.#fileDigest().advance(end)
  }

  /** Bytes that were told of will be other ones. */
  takeBack(): void {
    this.#digest?.reset()
  }

  /** The digest of a piece, hexadecimal. */
  digestSpan(algorithm: string, span: Span): Promise<string> {
    return this.#fileDigest().digestSpan(algorithm, span)
  }

  /**
   * Compares every piece of a finished file; nothing without pieces.
   * @throws {TransferError} checksum-mismatch
   */
  async checkPieces(size: number): Promise<void> {
    if (this.pieces === undefined) return
    const { algorithm, lengthBytes, hexes } = this.pieces
    for (let index = 0; index < Math.max(hexes.length, Math.ceil(size / lengthBytes)); index++) {
      const start = index * lengthBytes
      const span = { start, end: Math.min(size, start + lengthBytes) }
      const hex = start < size ? await this.digestSpan(algorithm, span) : undefined
      if (hex === undefined || hex !== hexes[index]?.toLowerCase())
        throw pieceError(this.#path, span)
    }
  }

  /** The file begins anew, and may be another one. */
  reset(): void {
    this.takeBack()
    if (!this.#isOfServer) return
    this.#checksum = undefined
    this.#isOfServer = false
    // The next one may be of another kind.
    if (this.#digest !== undefined) this.#outdated.push(this.#digest)
    this.#digest = undefined
  }

  /**
   * Resolves with what was checked; undefined when there is nothing to check.
   * @throws {TransferError} checksum-mismatch
   */
  async finish(size: number, signal: AbortSignal): Promise<Checksum | undefined> {
    const checksum = this.#checksum
    if (checksum === undefined) return undefined
    const digests = await this.#fileDigest().finish(size, { signal })
    checkDigest(this.#path, checksum, digests.get(checksum.algorithm) as string)
    return checksum
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#outdated, this.#digest].flatMap((digest) => digest?.close() ?? []))
  }

  #fileDigest(): FileDigest {
    const algorithms = this.#checksum === undefined ? [] : [this.#checksum.algorithm]
    this.#digest ??= FileDigest.open({ path: this.#path, algorithms })
    return this.#digest
  }
}

/**
 * What is sent: bytes with a name, which can be had as often as sending takes. The port that files,
 * bytes in memory, streams and items of an outbox fulfil; knows nothing of servers and protocols.
 *
 * Invariant: bytes of two versions of a source are never mixed. Where a source finds that it has
 * changed it throws {TransferError} `source-changed` before it gives the last byte that was asked for,
 * so that no request with such content is ever whole.
 */
import type { Span } from '../transfer/span.ts'
import type { Content } from '../transport/content.ts'

/** Something to be sent. Whoever opens it closes it. */
export interface UploadSource extends AsyncDisposable {
  /** What the sender calls it; any text, also with slashes. */
  readonly name: string
  /** Its media type, for the server; undefined when nobody has said. */
  readonly type: string | undefined
  /** Bytes in all; undefined until a stream has ended. */
  readonly size: number | undefined
  /** The first byte that can still be had: 0, but for what `release()` has given up. */
  readonly keptFrom: number
  /** Tells this version of it from others, in a later run too; undefined when no later run can go on. */
  readonly fingerprint: string | undefined
  /** SHA-256 of the whole in hex; undefined where that is not known without reading it. */
  readonly sha256: string | undefined
  /** The most bytes that it can keep for one piece: Infinity, but for streams. */
  readonly maxPieceBytes: number
  /**
   * Sees to it that up to `maxBytes` from `start` on can be had, again and again, until they are
   * released. `maxBytes` may be Infinity where `maxPieceBytes` is.
   * @returns where they end: before `start + maxBytes` only where the source ends, which `size` then
   * tells; `start` or less when nothing is there
   */
  prepare(start: number, maxBytes: number, signal?: AbortSignal): Promise<number>
  /**
   * Content of exactly the bytes from `start` up to, not including, `end`, which have been prepared.
   * It is replayable; reading it throws {TransferError} `source-changed`, `disk-failed`.
   */
  content(span: Span, signal?: AbortSignal): Promise<Content>
  /** The bytes before `offset` are acknowledged and not needed any more. Resolves when that is noted. */
  release(offset: number): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * IndexedCP with servers that know no uploads, only chunks of a name: the Python server, which tells
 * which chunks of a name it has, and the Node servers, which append what comes and tell nothing.
 *
 * Chunks go one at a time, in order. Sending one again that has arrived, in whole or in part, would
 * double its bytes: after a failure in the middle the upload is in doubt, and says so. A chunk that is
 * on its way is therefore noted before it is sent, and not given up for a pause.
 */
import { HttpStatusError, RemoteProtocolError, TransferError } from '../errors.ts'
import {
  formatChunk,
  type IndexedCpStatus,
  readChunkAnswer,
} from '../protocol/upload/indexedcp-messages.ts'
import { smallerPiece } from '../protocol/upload/upload-bytes.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { leavesDoubt, settleDoubt } from './doubt.ts'
import { askStatus, DEFAULT_CHUNK_BYTES } from './indexedcp-status.ts'
import { digestOf } from './source-digest.ts'
import { isPage, isSuccess, statusError } from './upload-http.ts'
import type {
  NoteState,
  Piece,
  RemoteFile,
  SendPieceOptions,
  UploadJob,
  UploadProtocol,
} from './upload-protocol.ts'
import type { UploadAnswer } from './upload-wire.ts'

/** A chunk of which it is not known whether it has arrived. */
interface DoubtfulChunk extends Span {
  readonly index: number
  readonly cause: unknown
}

/** How far an upload has come. */
interface LegacyStand {
  /** Chunks that are acknowledged: the next one has this index. */
  readonly chunks: number
  /** Bytes in them. */
  readonly bytes: number
}

/** An upload by IndexedCP to a server that knows chunks only. */
export class IndexedCpLegacyProtocol implements UploadProtocol {
  readonly name = 'indexedcp'
  readonly held: SpanSet = new SpanSet()
  readonly lanes = 1
  readonly isInterruptible = false
  readonly expiresAt: undefined
  readonly #job: UploadJob
  readonly #status: Exclude<IndexedCpStatus, { type: 'identified' }>
  #stand: LegacyStand = { chunks: 0, bytes: 0 }
  #isOpen = false
  #hasEnded = false
  #doubt: DoubtfulChunk | undefined
  #chunkBytes: number
  #storedName: string | undefined

  /** @param status what the server tells of the name, as it is now */
  constructor(job: UploadJob, status: Exclude<IndexedCpStatus, { type: 'identified' }>) {
    this.#job = job
    this.#status = status
    this.#chunkBytes = job.settings.chunkBytes ?? DEFAULT_CHUNK_BYTES
  }

  async open(): Promise<void> {
    if (this.#isOpen) return
    const { tell, saved, source } = this.#job
    if (this.#status.type === 'none') tell({ type: 'no-status' })
    const note = readLegacyNote(saved)
    if (note === undefined) this.#checkNameIsFree()
    else {
      this.#stand = note.stand
      this.#storedName = note.storedName
      this.held.add({ start: 0, end: note.stand.bytes })
      this.#hasEnded = note.stand.chunks > 0 && note.stand.bytes === source.size
      if (note.sending !== undefined)
        await this.#settle({ ...note.sending, cause: undefined }, this.#status)
    }
    this.#isOpen = true
  }

  next(busy: readonly Span[]): Span | undefined {
    const { size } = this.#job.source
    if (this.#hasEnded || busy.length > 0) return undefined
    const { bytes: start } = this.#stand
    return { start, end: Math.min(size ?? Number.POSITIVE_INFINITY, start + this.#chunkBytes) }
  }

  async send(piece: Piece, { signal, onSent }: SendPieceOptions): Promise<void> {
    const { http, endpoint, source, settings, createHash } = this.#job
    const { start, end } = piece
    const { chunks: index } = this.#stand
    // A chunk without bytes is one only where the whole has none.
    if (end === start && index > 0) {
      this.#hasEnded = true
      return
    }
    const sha256 = settings.checksum
      ? await digestOf(source, 'sha256', { span: piece, createHash, signal })
      : undefined
    const content = await source.content(piece, signal)
    await this.#keep({ start, end, index })
    let answer: UploadAnswer
    try {
      answer = await http.request({
        method: 'POST',
        url: endpoint,
        headers: formatChunk({ index, name: source.name, sha256 }),
        content,
        signal,
        onSent,
      })
      if (!isSuccess(answer)) throw statusError(`send a chunk to ${endpoint.label}`, answer)
    } catch (error) {
      if (error instanceof TransferError) throw error
      if (!leavesDoubt(error)) {
        await this.#keep(undefined)
        throw error
      }
      this.#doubt = { start, end, index, cause: error }
      // A server without a status will not know more later.
      if (this.#status.type === 'none' && !signal.aborted)
        await this.#settle(this.#doubt, this.#status)
      throw error
    }
    if (isPage(answer)) {
      await this.#keep(undefined)
      throw new RemoteProtocolError(
        `Cannot send ${JSON.stringify(source.name)} to ${endpoint.label}: ` +
          'what answers there gives a page of the Web, and takes no uploads',
      )
    }
    this.#noteTaken(piece, readChunkAnswer(answer.text))
    await this.#keep(undefined)
  }

  async recover(span: Span, failure: unknown, signal: AbortSignal): Promise<void> {
    if (failure instanceof HttpStatusError && failure.status === 413) {
      const smaller = smallerPiece(span.end - span.start, undefined)
      if (smaller === undefined) throw failure
      this.#chunkBytes = smaller
    }
    const doubt = this.#doubt
    if (doubt === undefined || this.#status.type === 'none') return
    await this.#settle(doubt, await askStatus(this.#job, undefined, signal))
  }

  finish(): Promise<RemoteFile> {
    return Promise.resolve({ name: this.#storedName, url: undefined })
  }

  /** The protocol has no word for it: what has arrived stays. */
  terminate(): Promise<void> {
    return Promise.resolve()
  }

  /** The server would skip our chunks, and say that it has them: they would be another file's. */
  #checkNameIsFree(): void {
    if (this.#status.type !== 'by-name' || this.#status.received.size === 0) return
    throw this.#takenError()
  }

  #takenError(): TransferError {
    const { endpoint, source } = this.#job
    return new TransferError(
      'target-exists',
      `Cannot send ${JSON.stringify(source.name)} to ${endpoint.label}: ` +
        'the server has chunks of another file by that name, and would take none of this one',
    )
  }

  #noteTaken(
    piece: Piece,
    { alreadyReceived, storedName }: ReturnType<typeof readChunkAnswer>,
  ): void {
    if (alreadyReceived && this.#doubt === undefined) throw this.#takenError()
    const before = this.#storedName
    this.#storedName = before ?? storedName
    if (before !== undefined && storedName !== undefined && storedName !== before) {
      throw new RemoteProtocolError(
        `Cannot go on: ${this.#job.endpoint.label} stores each chunk as a file of its own, ` +
          `${before} and ${storedName}; a chunkBytes as large as the file sends it in one`,
      )
    }
    this.#advance(piece)
    this.#hasEnded = piece.isLast
  }

  #advance({ start, end }: Span): void {
    this.#doubt = undefined
    this.#stand = { chunks: this.#stand.chunks + 1, bytes: end }
    this.held.add({ start, end })
  }

  /**
   * Finds out what became of a chunk. The Python server answers one request at a time: what it does
   * not list by now has not reached it. What it lists may have been cut short.
   */
  async #settle(doubt: DoubtfulChunk, status: IndexedCpStatus): Promise<void> {
    this.#doubt = doubt
    if (status.type === 'by-name') {
      if (!status.received.has(doubt.index)) {
        this.#doubt = undefined
        return
      }
      settleDoubt(this.#job, doubt, doubt.cause)
      // Sent again, it would be skipped.
      this.#advance(doubt)
      this.#hasEnded = doubt.end === this.#job.source.size
      return
    }
    settleDoubt(this.#job, doubt, doubt.cause)
    this.#doubt = undefined
    await this.#keep(undefined)
  }

  #keep(sending: (Span & { readonly index: number }) | undefined): Promise<void> {
    return this.#job.keep({ ...this.#stand, sending, storedName: this.#storedName })
  }
}

/** What an earlier run has noted; undefined when it is none of these. */
function readLegacyNote(saved: NoteState | undefined):
  | {
      readonly stand: LegacyStand
      readonly sending: (Span & { readonly index: number }) | undefined
      readonly storedName: string | undefined
    }
  | undefined {
  const { chunks, bytes, sending, storedName } = saved ?? {}
  if (!Number.isSafeInteger(chunks) || !Number.isSafeInteger(bytes)) return undefined
  return {
    stand: { chunks: chunks as number, bytes: bytes as number },
    sending: sending as (Span & { readonly index: number }) | undefined,
    storedName: typeof storedName === 'string' ? storedName : undefined,
  }
}

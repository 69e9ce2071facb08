/**
 * IndexedCP with servers that know uploads by an id: each chunk has its place, so that several may be
 * on their way, and any may be sent again. Servers that do not are spoken to by indexedcp-legacy.ts.
 */
import { HttpStatusError, RemoteProtocolError, TransferError } from '../errors.ts'
import {
  completeUrl,
  formatChunk,
  formatUpload,
  type IndexedCpStatus,
  readChunkAnswer,
  type UploadFacts,
} from '../protocol/upload/indexedcp-messages.ts'
import { checkStand, smallerPiece } from '../protocol/upload/upload-bytes.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { askStatus, DEFAULT_CHUNK_BYTES, readIdNote } from './indexedcp-status.ts'
import { digestOf, wholeDigestOf } from './source-digest.ts'
import { isSuccess, statusError } from './upload-http.ts'
import {
  type Piece,
  type RemoteFile,
  type SendPieceOptions,
  UploadGone,
  type UploadJob,
  type UploadProtocol,
} from './upload-protocol.ts'

const DEFAULT_PARALLEL = 4
/** Of what can be read again: a request costs as much as some MiB. A stream's chunks are all in memory. */
const LARGE_CHUNK_BYTES = 8_388_608
// What a server says to more bytes for an upload that is complete.
const REFUSED: ReadonlySet<number> = new Set([403, 409])

/** An upload by IndexedCP that has an id. */
export class IndexedCpProtocol implements UploadProtocol {
  readonly name = 'indexedcp'
  readonly held: SpanSet = new SpanSet()
  readonly isInterruptible = true
  readonly expiresAt: undefined
  readonly lanes: number
  readonly #job: UploadJob
  readonly #id: string
  /** An earlier run has begun it. */
  readonly #isResumed: boolean
  /** What the server has said already. */
  #status: IndexedCpStatus | undefined
  #isOpen = false
  #chunkBytes: number
  #isComplete = false
  #sha256: string | undefined
  #storedName: string | undefined

  /** @param found what the server has told of this very id */
  constructor(job: UploadJob, id: string, found: IndexedCpStatus) {
    const { settings, saved, source } = job
    const usualBytes = source.size === undefined ? DEFAULT_CHUNK_BYTES : LARGE_CHUNK_BYTES
    this.#job = job
    this.#id = id
    this.#status = found
    this.#isResumed = readIdNote(saved) === id
    this.#chunkBytes = settings.chunkBytes ?? usualBytes
    this.lanes = settings.parallel ?? DEFAULT_PARALLEL
  }

  async open(signal: AbortSignal): Promise<void> {
    if (this.#isOpen) return
    const { source, settings, createHash } = this.#job
    const status = this.#status ?? (await askStatus(this.#job, this.#id, signal))
    this.#status = undefined
    if (status.type !== 'identified') throw this.#gone()
    const { checksum: isWanted } = settings
    this.#sha256 = await wholeDigestOf(source, { isWanted, createHash, signal })
    if (status.upload !== undefined) this.#noteFacts(status.upload)
    else if (source.keptFrom > 0) throw this.#gone()
    if (!this.#isResumed) await this.#job.keep({ id: this.#id })
    this.#isOpen = true
  }

  next(busy: readonly Span[]): Span | undefined {
    if (this.#isComplete) return undefined
    const size = this.#job.source.size ?? Number.POSITIVE_INFINITY
    if (size === 0) return busy.length === 0 ? { start: 0, end: 0 } : undefined
    const taken = this.held.copy()
    for (const span of busy) taken.add(span)
    const gap = taken.firstGap({ start: 0, end: size })
    if (gap === undefined) return undefined
    const chunkEnd = (Math.floor(gap.start / this.#chunkBytes) + 1) * this.#chunkBytes
    return { start: gap.start, end: Math.min(gap.end, chunkEnd) }
  }

  async send(piece: Piece, { signal, onSent }: SendPieceOptions): Promise<void> {
    const { http, endpoint, source, settings, createHash } = this.#job
    const { start, end } = piece
    const sha256 = settings.checksum
      ? await digestOf(source, 'sha256', { span: piece, createHash, signal })
      : undefined
    const answer = await http.request({
      method: 'POST',
      url: endpoint,
      headers: formatChunk({
        index: Math.floor(start / this.#chunkBytes),
        name: source.name,
        sha256,
        upload: {
          id: this.#id,
          offset: start,
          totalSize: source.size,
          sha256: this.#sha256,
        },
      }),
      content: await source.content(piece, signal),
      signal,
      onSent,
    })
    // Another lane may have brought the last chunk, or an answer before this one was lost.
    if (REFUSED.has(answer.status) && (await this.#isDone(signal))) return
    if (!isSuccess(answer)) {
      const error = statusError(`send a chunk to ${endpoint.label}`, answer)
      throw sha256 !== undefined && answer.status === 400 ? toChecksumError(error) : error
    }
    const { upload, storedName } = readChunkAnswer(answer.text)
    // A page to log in at, say, which some network or gateway gives in place of the server's answer.
    if (upload === undefined) throw this.#strangeAnswer()
    this.held.add({ start, end })
    this.#storedName = storedName ?? this.#storedName
    if (upload.isComplete) this.#isComplete = true
  }

  /** Whatever the server has of a chunk, the same bytes at the same place change nothing. */
  recover(span: Span, failure: unknown): Promise<void> {
    if (!(failure instanceof HttpStatusError) || failure.status !== 413) return Promise.resolve()
    const smaller = smallerPiece(span.end - span.start, undefined)
    if (smaller === undefined) throw failure
    this.#chunkBytes = Math.min(this.#chunkBytes, smaller)
    return Promise.resolve()
  }

  async finish(signal: AbortSignal): Promise<RemoteFile> {
    if (!this.#isComplete) await this.#complete(signal)
    return { name: this.#storedName, url: undefined }
  }

  /** The protocol has no word for it: the server gives it up by itself. */
  terminate(): Promise<void> {
    return Promise.resolve()
  }

  async #complete(signal: AbortSignal): Promise<void> {
    const { http, endpoint, source } = this.#job
    const url = HttpUrl.parse(completeUrl(endpoint.href))
    const headers = formatUpload({ id: this.#id, totalSize: source.size, sha256: this.#sha256 })
    const content = new Uint8Array(0)
    const answer = await http.request({ method: 'POST', url, headers, content, signal })
    if (!isSuccess(answer)) {
      const error = statusError(`complete the upload at ${url.label}`, answer)
      const status = await askStatus(this.#job, this.#id, signal)
      const isLost =
        status.type !== 'identified' || (status.upload?.offset ?? 0) < (source.size ?? 0)
      throw isLost ? new UploadGone(error.message, { cause: error }) : error
    }
    const { upload, storedName } = readChunkAnswer(answer.text)
    if (upload?.isComplete !== true) throw this.#strangeAnswer()
    this.#storedName = storedName ?? upload.name ?? this.#storedName
    this.#isComplete = true
  }

  async #isDone(signal: AbortSignal): Promise<boolean> {
    const status = await askStatus(this.#job, this.#id, signal)
    if (status.type !== 'identified' || status.upload?.isComplete !== true) return false
    this.#noteFacts(status.upload)
    return true
  }

  #noteFacts({ offset, size: length, isComplete, name }: UploadFacts): void {
    const { size } = this.#job.source
    checkStand({ offset, length, expiresAt: undefined }, { size, sentTo: undefined })
    this.held.add({ start: 0, end: offset })
    this.#isComplete = isComplete
    this.#storedName = name
  }

  #strangeAnswer(): RemoteProtocolError {
    const { endpoint, source } = this.#job
    return new RemoteProtocolError(
      `Cannot send ${JSON.stringify(source.name)} to ${endpoint.label}: ` +
        'what answers there says nothing of the upload, as the server did before',
    )
  }

  #gone(): UploadGone {
    const { endpoint } = this.#job
    return new UploadGone(`Cannot go on: ${endpoint.label} does not know the upload any more`)
  }
}

/** An id for a new upload. */
export function createUploadId(): string {
  return crypto.randomUUID()
}

/** The protocol has no status for a digest that does not fit; servers say 400. */
function toChecksumError(error: HttpStatusError): TransferError {
  return new TransferError(
    'checksum-mismatch',
    `${error.message}: what arrived may have another digest than what was sent`,
    { cause: error },
  )
}

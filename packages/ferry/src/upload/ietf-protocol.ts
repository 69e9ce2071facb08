/**
 * draft-ietf-httpbis-resumable-upload: an upload is created, its bytes are appended from where the
 * server says it stands, and the last request says that it is complete. Sections are those of the
 * draft's version 12.
 *
 * Invariant: nothing is appended before the server has told the offset, once for each broken request.
 */
import {
  HttpStatusError,
  RemoteProtocolError,
  StreamError,
  TransferError,
  UploadError,
} from '../errors.ts'
import type { ResponseHead } from '../protocol/semantics/response-head.ts'
import {
  formatAppend,
  formatBare,
  formatCreation,
  readBytes,
  readComplete,
  readInterim,
  readLimit,
  readStand,
} from '../protocol/upload/ietf-messages.ts'
import { checkStand, smallerPiece } from '../protocol/upload/upload-bytes.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { leavesDoubt, settleDoubt } from './doubt.ts'
import { digestOf, wholeDigestOf } from './source-digest.ts'
import { isPage, isSuccess, statusError } from './upload-http.ts'
import {
  type Piece,
  type RemoteFile,
  type SendPieceOptions,
  UploadGone,
  type UploadJob,
  type UploadProtocol,
} from './upload-protocol.ts'
import { resolveUploadUrl } from './upload-url.ts'
import type { UploadAnswer } from './upload-wire.ts'

const NOTHING = new Uint8Array(0)
// With a digest for each: enough that a request costs little, little enough to be sent again.
const CHECKED_BYTES = 8_388_608

/** An upload by the IETF's draft. */
export class IetfProtocol implements UploadProtocol {
  readonly name = 'ietf'
  readonly held: SpanSet = new SpanSet()
  readonly lanes = 1
  readonly isInterruptible = true
  readonly expiresAt: undefined
  readonly #job: UploadJob
  #url: HttpUrl | undefined
  #offset = 0
  /** The most that this run has sent; undefined when an earlier one has sent, too. */
  #sentTo: number | undefined = 0
  /** As far as the request that is on its way has given bytes. */
  #givenTo = 0
  #isLengthTold = false
  #isComplete = false
  /** The answer to the whole has come. */
  #hasAnswer = false
  #remoteName: string | undefined
  #maxPieceBytes: number
  /** Notes that are being kept. */
  #keeping: Promise<void> = Promise.resolve()

  constructor(job: UploadJob) {
    this.#job = job
    const { chunkBytes, checksum } = job.settings
    this.#maxPieceBytes = chunkBytes ?? (checksum ? CHECKED_BYTES : Number.POSITIVE_INFINITY)
  }

  async open(signal: AbortSignal): Promise<void> {
    const noted = this.#job.saved?.['url']
    if (this.#url === undefined && typeof noted === 'string') {
      this.#url = HttpUrl.parse(noted)
      this.#sentTo = undefined
    }
    if (this.#url !== undefined) {
      if (this.#sentTo === undefined) await this.#ask(this.#url, signal)
    } else if (!this.#createsWithContent) {
      await this.#create(signal)
    }
  }

  next(busy: readonly Span[]): Span | undefined {
    if (this.#isComplete || busy.length > 0) return undefined
    const end = this.#job.source.size ?? Number.POSITIVE_INFINITY
    return { start: this.#offset, end: Math.min(end, this.#offset + this.#maxPieceBytes) }
  }

  async send(piece: Piece, options: SendPieceOptions): Promise<void> {
    try {
      if (this.#url === undefined) await this.#createWith(piece, options)
      else await this.#append(this.#url, piece, options)
    } finally {
      await this.#keeping
    }
  }

  async recover(span: Span, failure: unknown, signal: AbortSignal): Promise<void> {
    if (failure instanceof HttpStatusError && failure.status === 413) {
      const named = readLimit(headersOf(failure))?.maxAppendSize
      const smaller = smallerPiece(span.end - span.start, named)
      if (smaller === undefined) throw failure
      this.#maxPieceBytes = smaller
    }
    if (this.#url !== undefined) await this.#ask(this.#url, signal)
  }

  async finish(signal: AbortSignal): Promise<RemoteFile> {
    if (!this.#hasAnswer) await this.#askForAnswer(signal)
    return { name: this.#remoteName, url: this.#url?.href }
  }

  async terminate(signal: AbortSignal): Promise<void> {
    const url = this.#url
    if (url === undefined) return
    const headers = formatBare(this.#version)
    const answer = await this.#job.http.request({ method: 'DELETE', url, headers, signal })
    const isGone = answer.status === 404 || answer.status === 410
    if (!isSuccess(answer) && !isGone) throw statusError(`cancel ${url.label}`, answer)
  }

  get #version(): number {
    return this.#job.settings.interopVersion
  }

  get #createsWithContent(): boolean {
    return this.#job.settings.createWithContent
  }

  /** §4.2, the careful way: nothing is lost with an answer that does not come. */
  async #create(signal: AbortSignal): Promise<void> {
    const { http, endpoint } = this.#job
    const headers = await this.#creationFields(false, signal)
    const answer = await http.request({
      method: 'POST',
      url: endpoint,
      headers,
      content: NOTHING,
      signal,
    })
    if (!isSuccess(answer)) throw statusError(`create an upload at ${endpoint.label}`, answer)
    this.#noteLocation(answer.headers.get('location'), answer.url)
    this.#noteLimit(answer)
    if (this.#url === undefined) {
      throw new StreamError(`Cannot create an upload at ${endpoint.label}: it has told no URL`)
    }
    await this.#keeping
  }

  /** §4.2: in one exchange; the URL comes with 104, or not at all. */
  async #createWith(piece: Piece, { signal, onSent }: SendPieceOptions): Promise<void> {
    const { http, endpoint, source } = this.#job
    const headers = await this.#creationFields(piece.isLast, signal)
    try {
      const answer = await http.request({
        method: 'POST',
        url: endpoint,
        headers,
        content: piece.end > piece.start ? await source.content(piece, signal) : NOTHING,
        signal,
        onSent: this.#countIn(piece, onSent),
        onInformation: (head) => this.#noteInterim(head, endpoint),
      })
      this.#noteAnswer(`send to ${endpoint.label}`, answer, piece)
    } catch (error) {
      if (this.#url === undefined && !signal.aborted && leavesDoubt(error)) {
        settleDoubt(this.#job, piece, error)
      }
      throw error
    }
  }

  async #creationFields(isComplete: boolean, signal: AbortSignal): Promise<Record<string, string>> {
    const { source, settings, createHash } = this.#job
    const { checksum: isWanted } = settings
    const sha256 = await wholeDigestOf(source, { isWanted, createHash, signal })
    this.#isLengthTold = source.size !== undefined
    const { name, type, size: length } = source
    return formatCreation({
      interopVersion: this.#version,
      name,
      type,
      length,
      isComplete,
      sha256,
    })
  }

  /** §4.4. */
  async #append(url: HttpUrl, piece: Piece, { signal, onSent }: SendPieceOptions): Promise<void> {
    const { http, source, settings, createHash } = this.#job
    const isEmpty = piece.end === piece.start
    const sha256 =
      settings.checksum && !isEmpty
        ? await digestOf(source, 'sha256', { span: piece, createHash, signal })
        : undefined
    const answer = await http.request({
      method: 'PATCH',
      url,
      headers: formatAppend({
        interopVersion: this.#version,
        offset: piece.start,
        isComplete: piece.isLast,
        length: piece.isLast && !this.#isLengthTold ? piece.end : undefined,
        sha256,
      }),
      content: isEmpty ? NOTHING : await source.content(piece, signal),
      signal,
      onSent: this.#countIn(piece, onSent),
      onInformation: (head) => this.#noteInterim(head, url),
    })
    try {
      this.#noteAnswer(`append to ${url.label}`, answer, piece)
    } catch (error) {
      throw sha256 === undefined ? error : toChecksumError(error)
    }
  }

  /** What the answer to content tells; §4.2 and §4.4. */
  #noteAnswer(attempt: string, answer: UploadAnswer, piece: Piece): void {
    if (!isSuccess(answer)) {
      const error = statusError(attempt, answer)
      const isGone = this.#url !== undefined && (answer.status === 404 || answer.status === 410)
      throw isGone ? new UploadGone(error.message, { cause: error }) : error
    }
    this.#noteLimit(answer)
    const told = readComplete(answer.headers, this.#version)
    if (told === undefined && isPage(answer)) {
      throw new RemoteProtocolError(
        `Cannot ${attempt}: what answers there gives a page of the Web, and says nothing of the upload`,
      )
    }
    const isComplete = told ?? piece.isLast
    if (this.#url === undefined) this.#noteLocation(answer.headers.get('location'), answer.url)
    if (isComplete && piece.isLast) {
      this.#noteOffset(piece.end)
      this.#isComplete = true
      this.#hasAnswer = true
      this.#remoteName = readName(answer)
      return
    }
    const offset = readBytes(answer.headers, 'upload-offset') ?? piece.end
    checkStand({ offset, length: undefined, expiresAt: undefined }, this.#known)
    this.#noteOffset(offset)
    if (offset > piece.start || (piece.end === piece.start && !piece.isLast)) return
    throw new StreamError(`Cannot go on: ${answer.url.label} took nothing of what was sent`)
  }

  /** §4.3. */
  async #ask(url: HttpUrl, signal: AbortSignal): Promise<void> {
    const headers = formatBare(this.#version)
    const answer = await this.#job.http.request({ method: 'HEAD', url, headers, signal })
    if (!isSuccess(answer)) {
      const error = statusError(`ask for the offset of ${url.label}`, answer)
      const isGone = answer.status === 404 || answer.status === 410
      throw isGone ? new UploadGone(error.message, { cause: error }) : error
    }
    this.#noteLimit(answer)
    const stand = readStand(answer.headers, this.#version)
    checkStand(stand, this.#known)
    if (stand.length !== undefined) this.#isLengthTold = true
    this.#noteOffset(stand.offset)
    this.#isComplete = stand.isComplete
  }

  /** §4.4: the last request once more, which may be answered as it was; whatever comes, all is there. */
  async #askForAnswer(signal: AbortSignal): Promise<void> {
    const url = this.#url as HttpUrl
    const headers = formatAppend({
      interopVersion: this.#version,
      offset: this.#offset,
      isComplete: true,
      length: undefined,
      sha256: undefined,
    })
    const request = { method: 'PATCH', url, headers, content: NOTHING, signal }
    const answer = await this.#job.http.request(request)
    this.#hasAnswer = true
    if (isSuccess(answer)) this.#remoteName = readName(answer)
  }

  get #known(): { readonly size: number | undefined; readonly sentTo: number | undefined } {
    return { size: this.#job.source.size, sentTo: this.#sentTo }
  }

  #countIn({ start, end }: Piece, onSent: (bytes: number) => void): (bytes: number) => void {
    this.#givenTo = start
    // Where nobody counts, all of it may have arrived.
    if (!this.#job.http.countsSent) this.#noteGiven(end - start)
    return (bytes) => {
      if (this.#job.http.countsSent) this.#noteGiven(bytes)
      onSent(bytes)
    }
  }

  #noteGiven(bytes: number): void {
    this.#givenTo += bytes
    if (this.#sentTo !== undefined) this.#sentTo = Math.max(this.#sentTo, this.#givenTo)
  }

  #noteInterim(head: ResponseHead, base: HttpUrl): void {
    const news = readInterim(head, this.#version)
    if (news === undefined) return
    if (this.#url === undefined) this.#noteLocation(news.location, base)
    const { offset } = news
    // More than was sent is judged when the answer has come.
    if (offset === undefined || offset <= this.#offset || offset > this.#givenTo) return
    this.#noteOffset(offset)
  }

  #noteLocation(location: string | undefined, base: HttpUrl): void {
    if (location === undefined) return
    this.#url = resolveUploadUrl(location, base, this.#job.endpoint)
    const { href } = this.#url
    this.#keeping = this.#keeping.then(() => this.#job.keep({ url: href }))
    // Whoever sends waits for it.
    this.#keeping.catch(() => {})
  }

  #noteOffset(offset: number): void {
    if (offset < this.#offset) {
      this.#job.tell({ type: 'rewound', from: this.#offset, to: offset })
      this.held.remove({ start: offset, end: this.#offset })
    }
    this.held.add({ start: 0, end: offset })
    this.#offset = offset
  }

  /** @throws {UploadError} upload-too-large */
  #noteLimit({ headers }: UploadAnswer): void {
    const limit = readLimit(headers)
    if (limit === undefined) return
    const { maxSize, maxAppendSize, minAppendSize = 0 } = limit
    const { size, name } = this.#job.source
    if (maxSize !== undefined && size !== undefined && size > maxSize) {
      throw new UploadError(
        'upload-too-large',
        `Cannot send ${JSON.stringify(name)}: it has ${size} bytes, and the server takes ${maxSize}`,
        { detail: { maxBytes: maxSize } },
      )
    }
    const most = Math.min(this.#maxPieceBytes, maxAppendSize ?? Number.POSITIVE_INFINITY)
    this.#maxPieceBytes = Math.max(1, most, minAppendSize)
  }
}

function headersOf({ headers }: HttpStatusError): UploadAnswer['headers'] {
  return headers as UploadAnswer['headers']
}

/** The name that Ferry's own server gives. */
function readName({ headers, text }: UploadAnswer): string | undefined {
  if (headers.get('content-type')?.startsWith('application/json') !== true) return undefined
  try {
    const { name } = JSON.parse(text) as { readonly name?: unknown }
    return typeof name === 'string' ? name : undefined
  } catch {
    return undefined
  }
}

/** RFC 9530 has no status for a digest that does not fit; servers say 400. */
function toChecksumError(error: unknown): unknown {
  const isMismatch = error instanceof HttpStatusError && error.status === 400
  if (!isMismatch || readComplete(headersOf(error), 9) === true) return error
  return new TransferError(
    'checksum-mismatch',
    `${error.message}: what arrived may have another digest than what was sent`,
    { cause: error },
  )
}

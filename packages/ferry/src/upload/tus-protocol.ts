/**
 * tus 1.0.0: an upload is created, and its bytes are appended from where the server says it stands. In
 * parallel it is created in parts, which the server puts together (concatenation).
 *
 * Invariant: nothing is appended before the server has told the offset, once for each broken request.
 */
import { HttpStatusError, StreamError, TransferError, UploadError } from '../errors.ts'
import {
  CHECKSUM_MISMATCH,
  CONCATENATION_REPEATABLE,
  formatAppend,
  formatConcatenation,
  formatCreation,
  readCreated,
  readStand,
  readTusServer,
  TUS_VERSION,
  type TusChecksum,
  type TusServer,
} from '../protocol/upload/tus-messages.ts'
import { checkStand, smallerPiece, type UploadStand } from '../protocol/upload/upload-bytes.ts'
import { type Span, SpanSet } from '../transfer/span.ts'
import type { HttpUrl } from '../transport/http-url.ts'
import { leavesDoubt, settleDoubt } from './doubt.ts'
import { planParts, readTusNote, type TusPart, writeTusNote } from './tus-parts.ts'
import { digestOf } from './source-digest.ts'
import { isSuccess, statusError } from './upload-http.ts'
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
// With a checksum for each: enough that a request costs little, little enough to be sent again.
const CHECKED_BYTES = 8_388_608

/** An upload by tus. */
export class TusProtocol implements UploadProtocol {
  readonly name = 'tus'
  readonly held: SpanSet = new SpanSet()
  readonly #job: UploadJob
  #server: TusServer | undefined
  #parts: TusPart[] = []
  /** Of the upload that parts were put together to. */
  #joinedUrl: HttpUrl | undefined
  /** The parts may have been put together already: the answer was lost, or has not come yet. */
  #isJoining = false
  #maxPieceBytes: number

  /** @param server what OPTIONS has told, where somebody has asked */
  constructor(job: UploadJob, server?: TusServer) {
    this.#job = job
    this.#server = server
    const { chunkBytes, checksum } = job.settings
    this.#maxPieceBytes = chunkBytes ?? (checksum ? CHECKED_BYTES : Number.POSITIVE_INFINITY)
  }

  /** Whether parts have been put together cannot be asked; at some servers it can be tried again. */
  get isInterruptible(): boolean {
    return !this.#isJoining || this.#joinsOnce
  }

  get lanes(): number {
    return Math.max(1, this.#parts.length)
  }

  get expiresAt(): number | undefined {
    const instants = this.#parts.flatMap(({ expiresAt }) => expiresAt ?? [])
    return instants.length === 0 ? undefined : Math.min(...instants)
  }

  async open(signal: AbortSignal): Promise<void> {
    const { settings, source, saved } = this.#job
    const { checksum, createWithContent, parallel = 1 } = settings
    const note = readTusNote(saved, source.size)
    const mayJoin = parallel > 1 || note?.isJoining === true
    const needsServer = checksum || createWithContent || mayJoin || source.size === 0
    if (needsServer) this.#server ??= await this.#discover(signal)
    this.#checkSize()
    if (this.#parts.length === 0) {
      this.#isJoining = note?.isJoining ?? false
      const canJoin = this.#server?.extensions.has('concatenation') === true
      this.#parts = note?.parts ?? planParts(source.size, canJoin ? parallel : 1)
      for (const { start, offset } of this.#parts) this.held.add({ start, end: offset })
    }
    if (this.#isJoining) {
      if (this.#joinsOnce) {
        this.#noteAllSent()
        return
      }
      // Before anything is asked: a server may have let go of parts that it has put together.
      settleDoubt(this.#job, this.#span, undefined)
    }
    await Promise.all(this.#parts.map((part) => this.#openPart(part, signal)))
  }

  next(busy: readonly Span[]): Span | undefined {
    const { size } = this.#job.source
    for (const part of this.#parts) {
      const { start, offset } = part
      const end = part.end ?? size ?? Number.POSITIVE_INFINITY
      const isWithin = ({ start: at }: Span): boolean =>
        at >= start && (at < end || part.end === size)
      if (busy.some(isWithin)) continue
      if (offset < end) return { start: offset, end: Math.min(end, offset + this.#maxPieceBytes) }
      // The end has been reached before anybody knew that it was the end.
      if (!part.isLengthTold || part.url === undefined) return { start: offset, end: offset }
    }
    return undefined
  }

  async send(piece: Piece, options: SendPieceOptions): Promise<void> {
    const part = this.#partAt(piece)
    const checksum = await this.#checksumOf(piece, options.signal)
    try {
      if (part.url === undefined) await this.#createWith(part, piece, options)
      else await this.#append(part, piece, { ...options, checksum })
    } catch (error) {
      throw toChecksumError(error, checksum)
    }
  }

  async recover(span: Span, failure: unknown, signal: AbortSignal): Promise<void> {
    if (failure instanceof HttpStatusError && failure.status === 413) {
      const smaller = smallerPiece(span.end - span.start, undefined)
      if (smaller === undefined) throw failure
      this.#maxPieceBytes = smaller
    }
    const part = this.#partAt(span)
    if (part.url !== undefined) await this.#ask(part, signal)
  }

  async finish(signal: AbortSignal): Promise<RemoteFile> {
    const [first] = this.#parts
    if (this.#parts.length === 1) return { name: undefined, url: first?.url?.href }
    if (this.#joinedUrl === undefined) await this.#join(signal)
    return { name: undefined, url: this.#joinedUrl?.href }
  }

  async terminate(signal: AbortSignal): Promise<void> {
    const urls = [...this.#parts.map(({ url }) => url), this.#joinedUrl]
    for (const url of urls) {
      if (url === undefined) continue
      const headers = { 'Tus-Resumable': TUS_VERSION }
      const answer = await this.#job.http.request({ method: 'DELETE', url, headers, signal })
      const error = statusError(`terminate ${url.label}`, answer)
      if (!isSuccess(answer) && !isGone(error)) throw error
    }
  }

  get #span(): Span {
    return { start: 0, end: this.#job.source.size ?? 0 }
  }

  get #metadata(): Record<string, string> {
    const { source, settings } = this.#job
    const { name, type } = source
    return {
      filename: name.toWellFormed(),
      ...(type === undefined ? {} : { filetype: type }),
      ...settings.metadata,
    }
  }

  #partAt({ start }: Span): TusPart {
    const found = this.#parts.findLast((part) => part.start <= start)
    return found as TusPart
  }

  async #discover(signal: AbortSignal): Promise<TusServer | undefined> {
    const { http, endpoint } = this.#job
    return readTusServer((await http.request({ method: 'OPTIONS', url: endpoint, signal })).headers)
  }

  #checkSize(): void {
    const { size, name } = this.#job.source
    const maxSize = this.#server?.maxSize
    if (size === undefined || maxSize === undefined || size <= maxSize) return
    throw new UploadError(
      'upload-too-large',
      `Cannot send ${JSON.stringify(name)}: it has ${size} bytes, and the server takes ${maxSize}`,
      { detail: { maxBytes: maxSize } },
    )
  }

  async #openPart(part: TusPart, signal: AbortSignal): Promise<void> {
    if (part.url === undefined) {
      if (!this.#createsWithContent) await this.#create(part, signal)
    } else if (part.sentTo === undefined) {
      // An earlier run has begun it.
      await this.#ask(part, signal)
    }
  }

  get #createsWithContent(): boolean {
    const { settings, source } = this.#job
    const isKnown = source.size !== undefined && source.size > 0
    const can = this.#server?.extensions.has('creation-with-upload') === true
    return settings.createWithContent && can && isKnown && this.#parts.length === 1
  }

  async #create(part: TusPart, signal: AbortSignal): Promise<void> {
    const { http, endpoint, source } = this.#job
    const headers = this.#creationFields(part, false)
    const request = { method: 'POST', url: endpoint, headers, content: NOTHING, signal }
    try {
      this.#noteCreated(part, await http.request(request))
    } catch (error) {
      // What has no bytes is a file as soon as it is created, and cannot be asked for.
      const isWhole = source.size === 0 && !this.#defersLength
      if (isWhole && !signal.aborted && leavesDoubt(error)) {
        settleDoubt(this.#job, this.#span, error)
      }
      throw error
    }
    await this.#keep()
  }

  /** What has no bytes would be complete before its URL is known: a lost answer would double it. */
  get #defersLength(): boolean {
    const can = this.#server?.extensions.has('creation-defer-length') === true
    return can && this.#job.source.size === 0
  }

  async #createWith(
    part: TusPart,
    piece: Piece,
    { signal, onSent }: SendPieceOptions,
  ): Promise<void> {
    const { http, endpoint, source } = this.#job
    const headers = this.#creationFields(part, true)
    const content = await source.content(piece, signal)
    try {
      const answer = await http.request({
        method: 'POST',
        url: endpoint,
        headers,
        content,
        signal,
        onSent,
      })
      part.sentTo = piece.end
      this.#noteOffset(part, this.#noteCreated(part, answer))
    } catch (error) {
      // Its URL was never told, so that nobody can ask.
      if (part.url === undefined && !signal.aborted && leavesDoubt(error)) {
        settleDoubt(this.#job, piece, error)
      }
      throw error
    }
    await this.#keep()
  }

  #creationFields({ start, end }: TusPart, hasContent: boolean): Record<string, string> {
    const isPart = this.#parts.length > 1
    const length = end === undefined ? this.#job.source.size : end - start
    return formatCreation({
      length: this.#defersLength ? undefined : length,
      metadata: isPart ? {} : this.#metadata,
      isPart,
      hasContent,
    })
  }

  /** @returns the offset at which it stands */
  #noteCreated(part: TusPart, answer: UploadAnswer): number {
    const { endpoint, source } = this.#job
    if (!isSuccess(answer)) throw statusError(`create an upload at ${endpoint.label}`, answer)
    const { location, offset, expiresAt } = readCreated(answer.headers)
    part.url = resolveUploadUrl(location, answer.url, endpoint)
    part.sentTo ??= part.start
    part.expiresAt = expiresAt
    const isLengthKnown = part.end !== undefined || source.size !== undefined
    part.isLengthTold = isLengthKnown && !this.#defersLength
    return offset
  }

  async #append(
    part: TusPart,
    piece: Piece,
    { signal, onSent, checksum }: SendPieceOptions & { readonly checksum: TusChecksum | undefined },
  ): Promise<void> {
    const { http, source } = this.#job
    const url = part.url as HttpUrl
    const length = part.isLengthTold || !piece.isLast ? undefined : piece.end
    const content = piece.end > piece.start ? await source.content(piece, signal) : NOTHING
    // Where nobody counts, all of it may have arrived.
    let sentTo = http.countsSent ? piece.start : piece.end
    if (part.sentTo !== undefined) part.sentTo = Math.max(part.sentTo, sentTo)
    const answer = await http.request({
      method: 'PATCH',
      url,
      headers: formatAppend(piece.start - part.start, { length, checksum }),
      content,
      signal,
      onSent: (bytes) => {
        if (http.countsSent) sentTo += bytes
        if (part.sentTo !== undefined) part.sentTo = Math.max(part.sentTo, sentTo)
        onSent(bytes)
      },
    })
    if (!isSuccess(answer)) throw this.#failureOf(`append to ${url.label}`, answer)
    if (length !== undefined) part.isLengthTold = true
    const stand = readStand(answer.headers)
    this.#noteStand(part, stand)
    if (part.offset > piece.start || piece.end === piece.start) return
    throw new StreamError(`Cannot go on: ${url.label} took nothing of what was sent`)
  }

  async #ask(part: TusPart, signal: AbortSignal): Promise<void> {
    const url = part.url as HttpUrl
    const headers = { 'Tus-Resumable': TUS_VERSION }
    const answer = await this.#job.http.request({ method: 'HEAD', url, headers, signal })
    if (!isSuccess(answer)) throw this.#failureOf(`ask for the offset of ${url.label}`, answer)
    const stand = readStand(answer.headers)
    if (stand.length !== undefined) part.isLengthTold = true
    this.#noteStand(part, stand)
  }

  #failureOf(attempt: string, answer: UploadAnswer): Error {
    const error = statusError(attempt, answer)
    return isGone(error) ? new UploadGone(error.message, { cause: error }) : error
  }

  #noteStand(part: TusPart, stand: UploadStand): void {
    const { start, end, sentTo } = part
    const size = end ?? this.#job.source.size
    checkStand(stand, {
      size: size === undefined ? undefined : size - start,
      sentTo: sentTo === undefined ? undefined : sentTo - start,
    })
    if (stand.expiresAt !== undefined) part.expiresAt = stand.expiresAt
    this.#noteOffset(part, stand.offset)
  }

  #noteOffset(part: TusPart, offset: number): void {
    const { start, offset: before } = part
    const now = start + offset
    if (now < before) {
      this.#job.tell({ type: 'rewound', from: before, to: now })
      this.held.remove({ start: now, end: before })
    }
    this.held.add({ start, end: now })
    part.offset = now
  }

  async #checksumOf(piece: Piece, signal: AbortSignal): Promise<TusChecksum | undefined> {
    const { settings, source, createHash } = this.#job
    const algorithm = settings.checksum ? this.#server?.checksum : undefined
    if (algorithm === undefined || piece.end === piece.start) return undefined
    const hex = await digestOf(source, algorithm, { span: piece, createHash, signal })
    return { algorithm, hex }
  }

  /** Whether parts that are put together again are the upload that they were put together to before. */
  get #joinsOnce(): boolean {
    return this.#server?.extensions.has(CONCATENATION_REPEATABLE) === true
  }

  /** Parts are put together when all of them are there. */
  #noteAllSent(): void {
    for (const part of this.#parts) {
      part.isLengthTold = true
      this.#noteOffset(part, (part.end ?? part.offset) - part.start)
    }
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { http, endpoint } = this.#job
    const urls = this.#parts.map(({ url }) => (url as HttpUrl).href)
    const isRepeated = this.#isJoining
    this.#isJoining = true
    if (!isRepeated) await this.#keep()
    const headers = formatConcatenation(urls, this.#metadata)
    const request = { method: 'POST', url: endpoint, headers, content: NOTHING, signal }
    try {
      const answer = await http.request(request)
      if (!isSuccess(answer)) throw statusError(`put parts together at ${endpoint.label}`, answer)
      const { location } = readCreated(answer.headers)
      this.#joinedUrl = resolveUploadUrl(location, answer.url, endpoint)
    } catch (error) {
      if (isRepeated || leavesDoubt(error)) {
        // What was put together long ago is forgotten with its parts.
        const isDecided = this.#joinsOnce && !isGone(error)
        if (!signal.aborted && !isDecided) settleDoubt(this.#job, this.#span, error)
      } else {
        this.#isJoining = false
        await this.#keep()
        if (isGone(error)) throw new UploadGone((error as Error).message, { cause: error })
      }
      throw error
    }
  }

  #keep(): Promise<void> {
    return this.#job.keep(writeTusNote(this.#parts, this.#isJoining))
  }
}

function isGone(error: unknown): boolean {
  return error instanceof HttpStatusError && (error.status === 404 || error.status === 410)
}

/** What a server says of a checksum that does not fit; those that have only 400 for it included. */
function toChecksumError(error: unknown, checksum: TusChecksum | undefined): unknown {
  const isMismatch =
    error instanceof HttpStatusError && checksum !== undefined && error.status === CHECKSUM_MISMATCH
  if (!isMismatch) return error
  return new TransferError(
    'checksum-mismatch',
    `${error.message}: what arrived has another ${checksum.algorithm} than what was sent`,
    { cause: error },
  )
}

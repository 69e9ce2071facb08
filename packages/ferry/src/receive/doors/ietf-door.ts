/**
 * The door of draft-ietf-httpbis-resumable-upload, resumable uploads for HTTP: interop versions 8 and
 * 9, older ones by option. Sections are those of the draft's version 12.
 *
 * An upload that began here is finished when its client says so, not when its bytes are there; one
 * that is finished answers the last request again as it did before.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isFerryError } from '../../errors.ts'
import { decodePercent } from '../../protocol/semantics/percent-encoding.ts'
import { formatDigest } from '../../protocol/upload/digest-field.ts'
import { formatComplete, PARTIAL_UPLOAD } from '../../protocol/upload/ietf-grammar.ts'
import type { Digest } from '../digest.ts'
import type { UploadCore } from '../upload-core.ts'
import type { UploadStatus } from '../upload-options.ts'
import { CappedContent } from './capped-content.ts'
import { contentLength, type DoorAnswer, mediaTypeOf, sendAnswer } from './door-answer.ts'
import { type Door, type DoorContext, type DoorOptions, findUpload, lastSegment } from './door.ts'
import {
  findDialect,
  formatLimit,
  type IetfDialect,
  parseBytes,
  parseComplete,
  parseDigests,
  parseMetadata,
  parseWantedDigest,
} from './ietf-fields.ts'
import { Interim } from './ietf-interim.ts'
import {
  completedUpload,
  formatProblem,
  inconsistentLength,
  mismatchingOffset,
} from './ietf-problem.ts'
import { Refusal, tellFailure } from './refusal.ts'
import { formatLocation, parseUploadPath } from './upload-location.ts'

/** What the door of the draft is made with. */
export interface IetfDoorOptions extends DoorOptions {
  /** Versions of clients that get 104; from 3 to 9. @defaultValue 8 and 9 */
  readonly interopVersions?: readonly number[]
  /** What the content of one request may have; for proxies that take no more. @defaultValue any */
  readonly maxAppendBytes?: number
  /** What the content of one request has to have, unless it is the last. @defaultValue any */
  readonly minAppendBytes?: number
}

const INTEROP_VERSIONS: readonly number[] = [8, 9]
const CREATION_METHODS: readonly (string | undefined)[] = ['POST', 'PUT', 'PATCH']
/** Notes of uploads whose client has asked for a digest. */
const WANTED = 'ietfWantsDigest'
const WANTS_DIGEST = { [WANTED]: 'yes' }

type IetfRequest = DoorContext & {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly dialect: IetfDialect
}

/** What comes with content. */
interface Piece {
  readonly isFinal: boolean
  readonly offset: number
  readonly contentLength: number | undefined
}

/** Makes the door of the draft. */
export function createIetfDoor(options: IetfDoorOptions = {}): Door {
  return new IetfDoor(options)
}

class IetfDoor implements Door {
  readonly name = 'ietf'
  readonly #options: IetfDoorOptions
  readonly #accepted: ReadonlySet<number>

  constructor(options: IetfDoorOptions) {
    this.#options = options
    this.#accepted = new Set(options.interopVersions ?? INTEROP_VERSIONS)
  }

  /** §4.1.4; Accept-Patch is for clients of interop versions up to 8. */
  discovery(core: UploadCore): Readonly<Record<string, string>> {
    return { 'Upload-Limit': this.#limit(core), 'Accept-Patch': PARTIAL_UPLOAD }
  }

  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    context: DoorContext,
  ): Promise<void> {
    const dialect = findDialect(request.headers, this.#accepted)
    const ietf = { ...context, request, response, dialect }
    try {
      await sendAnswer(request, response, await this.#answer(ietf))
    } catch (error) {
      await sendAnswer(request, response, formatProblem(error, this.#fieldsAfter(error, ietf)))
      if (tellFailure(error).isOurs) throw error
    }
  }

  #answer(ietf: IetfRequest): Promise<DoorAnswer> | DoorAnswer {
    const { path, request } = ietf
    const { method } = request
    const target = parseUploadPath(path)
    if (method === 'OPTIONS') return { status: 204, fields: this.discovery(ietf.core) }
    if (target?.type === 'upload') {
      if (method === 'HEAD' || method === 'GET') return this.#describe(ietf, target.id)
      if (method === 'PATCH') return this.#append(ietf, target.id)
      if (method === 'DELETE') return this.#cancel(ietf, target.id)
      // What a client puts there is not an upload's URL but the name of a file.
      if (method === 'PUT') return this.#create(ietf, decodePercent(target.id))
    }
    if (target?.type === 'collection' && CREATION_METHODS.includes(method)) {
      return this.#create(ietf, undefined)
    }
    const allowed =
      target?.type === 'upload'
        ? 'HEAD, GET, PATCH, DELETE, PUT, OPTIONS'
        : 'POST, PUT, PATCH, OPTIONS'
    throw new Refusal(405, 'Cannot do that here', { Allow: allowed })
  }

  /** §4.2. */
  async #create(ietf: IetfRequest, nameInPath: string | undefined): Promise<DoorAnswer> {
    const { core, owner, request, response, dialect } = ietf
    const piece = { ...this.#readPiece(ietf), offset: 0 }
    const length = lengthOf(piece, parseBytes(request.headers['upload-length']))
    const { content, whole } = parseDigests(request.headers)
    const wantDigest = parseWantedDigest(request.headers)
    const metadata = parseMetadata(request.headers)
    const { chooseName = lastSegment } = this.#options
    const wanted = { name: metadata['filename'] ?? nameInPath, metadata, owner, door: 'ietf' }
    const created = await core.create({
      length,
      name: await chooseName(wanted),
      metadata,
      owner,
      door: 'ietf',
      digest: whole,
      wantDigest,
      notes: wantDigest === undefined ? {} : WANTS_DIGEST,
      finish: 'when-told',
    })
    const { interopVersion } = dialect
    using interim = interopVersion === undefined ? undefined : new Interim(response, interopVersion)
    interim?.announce(this.#locationOf(ietf, created.id), this.#limit(core, created))
    interim?.follow(core, created.id)
    try {
      return await this.#receive(ietf, created, { ...piece, digest: content }, (filled) =>
        this.#created(ietf, filled),
      )
    } catch (error) {
      // Its URL was never told, so that nobody could go on with it.
      if (interim === undefined) await core.terminate(created.id).catch(() => {})
      throw error
    }
  }

  /** §4.3. */
  async #describe(ietf: IetfRequest, id: string): Promise<DoorAnswer> {
    findUpload(ietf, id)
    // §4.6: whoever asks is about to go on; an older request must not move the offset afterwards.
    const upload = await ietf.core.interrupt(id)
    const { length } = upload
    return {
      status: 204,
      fields: {
        ...this.#stateOf(ietf, upload),
        'Upload-Length': length === undefined ? undefined : String(length),
        'Cache-Control': 'no-store',
      },
    }
  }

  /** §4.4. */
  async #append(ietf: IetfRequest, id: string): Promise<DoorAnswer> {
    const { core, request, response, dialect } = ietf
    if (dialect.needsMediaType && mediaTypeOf(request) !== PARTIAL_UPLOAD) {
      throw new Refusal(415, `Cannot append content of this type: expected ${PARTIAL_UPLOAD}`)
    }
    const offset = parseBytes(request.headers['upload-offset'])
    if (offset === undefined) throw new Refusal(400, 'Cannot append: expected Upload-Offset')
    const piece = { ...this.#readPiece(ietf), offset }
    findUpload(ietf, id)
    const upload = await core.interrupt(id)
    if (upload.state === 'completed') return this.#repeat(ietf, upload, piece)
    if (upload.offset !== offset) throw mismatchingOffset(upload.offset, offset)
    const told = parseBytes(request.headers['upload-length'])
    const length = lengthOf(piece, told)
    if (length !== undefined && length !== (upload.length ?? length)) throw inconsistentLength()
    if (told !== undefined && upload.length === undefined) await core.setLength(id, told)
    const { interopVersion } = dialect
    using interim = interopVersion === undefined ? undefined : new Interim(response, interopVersion)
    interim?.follow(core, id)
    const { content } = parseDigests(request.headers)
    return await this.#receive(ietf, upload, { ...piece, digest: content }, (filled) => ({
      status: 204,
      fields: { ...this.#stateOf(ietf, filled), ...formatComplete(false, dialect) },
    }))
  }

  /** §4.5. */
  async #cancel(ietf: IetfRequest, id: string): Promise<DoorAnswer> {
    findUpload(ietf, id)
    await ietf.core.terminate(id)
    return { status: 204, fields: {} }
  }

  async #receive(
    ietf: IetfRequest,
    { id }: UploadStatus,
    piece: Piece & { readonly digest: Digest | undefined },
    answerTo: (upload: UploadStatus) => DoorAnswer,
  ): Promise<DoorAnswer> {
    const { core, request, dialect } = ietf
    const { isFinal, offset, contentLength: bytes, digest } = piece
    const { maxAppendBytes } = this.#options
    const capped =
      bytes !== undefined || maxAppendBytes === undefined
        ? undefined
        : new CappedContent(request, maxAppendBytes)
    try {
      const options = { contentLength: bytes, digest, final: isFinal }
      const filled = await core.append(id, offset, capped ?? request, options)
      return isFinal ? this.#finished(ietf, filled) : answerTo(filled)
    } catch (error) {
      if (capped?.isExceeded === true) throw tooMuchAtOnce(maxAppendBytes as number)
      // §4.1.3: nothing may go on with an upload that has been given more than it takes.
      if (isExcess(error)) await core.terminate(id)
      const isOpen = tellFailure(error).isOurs || isFerryError(error, 'upload-is-part')
      if (!isFinal || isOpen || !isWhole(core, id)) throw error
      // §4.4: everything has come, and the file cannot be used.
      if (isFerryError(error, 'digest-mismatch')) await core.terminate(id)
      return formatProblem(error, formatComplete(true, dialect))
    }
  }

  /** §4.4: the last request once more, because its answer was lost. */
  #repeat(ietf: IetfRequest, upload: UploadStatus, piece: Piece): DoorAnswer {
    const isLast = (lengthOf(piece, undefined) ?? upload.length) === upload.length
    if (!piece.isFinal || !isLast) {
      throw piece.contentLength === 0 ? completedUpload() : inconsistentLength()
    }
    return this.#finished(ietf, upload)
  }

  #created(ietf: IetfRequest, upload: UploadStatus): DoorAnswer {
    return {
      status: 201,
      fields: {
        ...this.#stateOf(ietf, upload),
        Location: this.#locationOf(ietf, upload.id),
      },
    }
  }

  /** The answer of the resource that takes the file; the same each time. */
  #finished(ietf: IetfRequest, upload: UploadStatus): DoorAnswer {
    const { id, name, length, digest, notes } = upload
    const isWanted = digest !== undefined && WANTED in notes
    return {
      status: 201,
      fields: {
        ...formatComplete(true, ietf.dialect),
        'Upload-Offset': String(length),
        'Repr-Digest': isWanted ? formatDigest(digest) : undefined,
        Location: this.#locationOf(ietf, id),
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ id, name, length }),
    }
  }

  #stateOf({ core, dialect }: IetfRequest, upload: UploadStatus): Record<string, string> {
    return {
      'Upload-Offset': String(upload.offset),
      ...formatComplete(upload.state === 'completed', dialect),
      'Upload-Limit': this.#limit(core, upload),
    }
  }

  #locationOf({ request }: IetfRequest, id: string): string {
    return formatLocation(this.#options.location ?? 'relative', request, id)
  }

  /** @throws {Refusal} without Upload-Complete, and for too much or too little content */
  #readPiece({ request, dialect }: IetfRequest): Omit<Piece, 'offset'> {
    const { maxAppendBytes = Number.POSITIVE_INFINITY, minAppendBytes = 0 } = this.#options
    const isFinal = parseComplete(request.headers, dialect)
    if (isFinal === undefined) {
      throw new Refusal(400, 'Cannot take the content: expected Upload-Complete, ?0 or ?1')
    }
    const bytes = contentLength(request)
    if (bytes === undefined) return { isFinal, contentLength: bytes }
    if (bytes > maxAppendBytes) throw tooMuchAtOnce(maxAppendBytes)
    // Without content, a request only creates, or tells the length.
    if (!isFinal && bytes > 0 && bytes < minAppendBytes) {
      throw new Refusal(400, `Cannot take ${bytes} bytes: at least ${minAppendBytes} are expected`)
    }
    return { isFinal, contentLength: bytes }
  }

  #limit({ maxUploadBytes }: UploadCore, upload?: UploadStatus): string {
    const { maxAppendBytes, minAppendBytes, now = Date.now } = this.#options
    const limits = { maxUploadBytes, maxAppendBytes, minAppendBytes }
    return formatLimit(limits, { expiresAt: upload?.expiresAt, now: now() })
  }

  /** What an answer has to say beside what went wrong. */
  #fieldsAfter(error: unknown, { core, dialect, request }: IetfRequest): Record<string, string> {
    return {
      ...(request.method === 'PATCH' ? formatComplete(false, dialect) : {}),
      // §4.1.4.
      ...(tellFailure(error).status === 413 ? { 'Upload-Limit': this.#limit(core) } : {}),
    }
  }
}

function tooMuchAtOnce(maxAppendBytes: number): Refusal {
  return new Refusal(413, `Cannot take so much at once: at most ${maxAppendBytes} bytes`)
}

/** §4.1.3: the length that follows from a request. @throws {Refusal} when it contradicts itself */
function lengthOf(piece: Piece, told: number | undefined): number | undefined {
  const { isFinal, offset, contentLength: bytes } = piece
  const end = isFinal && bytes !== undefined ? offset + bytes : undefined
  if (end !== undefined && end !== (told ?? end)) throw inconsistentLength()
  return end ?? told
}

function isExcess(error: unknown): boolean {
  if (!isFerryError(error, 'length-mismatch')) return false
  return Number(error.detail['providedLength']) > Number(error.detail['expectedLength'])
}

/** Whether every byte of an upload is there; false for one that is gone. */
function isWhole(core: UploadCore, id: string): boolean {
  try {
    const { offset, length } = core.status(id)
    return offset === length
  } catch {
    return false
  }
}

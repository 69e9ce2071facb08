/**
 * The door of tus 1.0.0 with its extensions creation, creation-with-upload, creation-defer-length,
 * expiration, checksum, checksum-trailer, termination and concatenation.
 *
 * A partial upload is never finished by itself, and has to have all its bytes before it is put together
 * with others: concatenation-unfinished is not offered. Every other upload is finished as soon as all
 * its bytes are there, also one that was begun at another door.
 *
 * Parts are put together once: whoever asks for it again, since an answer was lost, is told of the
 * upload that they are by then. An extension of our own tells clients so.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isFerryError } from '../../errors.ts'
import {
  CHECKSUM_MISMATCH,
  CONCATENATION_REPEATABLE,
  TUS_CONTENT_TYPE,
  TUS_VERSION,
} from '../../protocol/upload/tus-messages.ts'
import type { UploadContent } from '../byte-source.ts'
import type { Digest } from '../digest.ts'
import type { UploadCore } from '../upload-core.ts'
import type { CreateUpload, UploadStatus } from '../upload-options.ts'
import {
  contentLength,
  type DoorAnswer,
  hasContent,
  mediaTypeOf,
  sendAnswer,
} from './door-answer.ts'
import { type Door, type DoorContext, type DoorOptions, findUpload, lastSegment } from './door.ts'
import { Refusal, tellFailure } from './refusal.ts'
import {
  CHECKSUM_ALGORITHMS,
  formatExpires,
  formatMetadata,
  parseBytes,
  parseChecksum,
  parseConcat,
  parseLength,
  parseMetadata,
  type TusConcat,
} from './tus-fields.ts'
import { hasChecksumTrailer, TrailerContent } from './tus-trailer.ts'
import { formatLocation, parseUploadPath } from './upload-location.ts'
import { formatNotes, parseNotes } from './upload-notes.ts'

const EXTENSIONS = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'expiration',
  'checksum',
  'checksum-trailer',
  'termination',
  'concatenation',
  CONCATENATION_REPEATABLE,
].join(',')

type TusRequest = DoorContext & { readonly request: IncomingMessage }

/** Makes the door of tus. */
export function createTusDoor(options: DoorOptions = {}): Door {
  return new TusDoor(options)
}

class TusDoor implements Door {
  readonly name = 'tus'
  readonly #options: DoorOptions
  /** Parts that are being put together, by whom and to what. */
  readonly #joining = new Map<string, Promise<UploadStatus>>()

  constructor(options: DoorOptions) {
    this.#options = options
  }

  discovery({ maxUploadBytes }: UploadCore): Readonly<Record<string, string>> {
    return {
      'Tus-Resumable': TUS_VERSION,
      'Tus-Version': TUS_VERSION,
      'Tus-Extension': EXTENSIONS,
      'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS,
      ...(maxUploadBytes === undefined ? {} : { 'Tus-Max-Size': String(maxUploadBytes) }),
    }
  }

  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    context: DoorContext,
  ): Promise<void> {
    try {
      const answer = await this.#answer({ ...context, request })
      const fields = { 'Tus-Resumable': TUS_VERSION, ...answer.fields }
      await sendAnswer(request, response, { ...answer, fields })
    } catch (error) {
      await sendAnswer(request, response, answerTo(error))
      if (tellFailure(error).isOurs) throw error
    }
  }

  #answer(tus: TusRequest): Promise<DoorAnswer> | DoorAnswer {
    const { request, path } = tus
    const method = fieldOf(request, 'x-http-method-override')?.toUpperCase() ?? request.method
    if (method === 'OPTIONS') return { status: 204, fields: this.discovery(tus.core) }
    if (fieldOf(request, 'tus-resumable') !== TUS_VERSION) {
      throw new Refusal(412, `Cannot speak this version of tus: expected ${TUS_VERSION}`, {
        'Tus-Version': TUS_VERSION,
      })
    }
    const target = parseUploadPath(path)
    if (target?.type === 'collection' && method === 'POST') return this.#create(tus)
    if (target?.type === 'upload') {
      if (method === 'HEAD') return describe(tus, target.id)
      if (method === 'PATCH') return patch(tus, target.id)
      if (method === 'DELETE') return terminate(tus, target.id)
    }
    const allowed = target?.type === 'upload' ? 'HEAD, PATCH, DELETE, OPTIONS' : 'POST, OPTIONS'
    throw new Refusal(405, 'Cannot do that here by tus', { Allow: allowed })
  }

  async #create(tus: TusRequest): Promise<DoorAnswer> {
    const { core, request } = tus
    const concat = parseConcat(fieldOf(request, 'upload-concat'))
    const upload = await this.#toUpload(tus, concat)
    if (concat.type === 'final') {
      return this.#created(tus, await this.#concatenate(tus, concat.ids, upload))
    }
    const length = parseLength(
      fieldOf(request, 'upload-length'),
      fieldOf(request, 'upload-defer-length'),
    )
    // creation-with-upload: the content is the beginning of the file.
    const digest = hasContent(request) ? readContentFields(request) : undefined
    const whole = hasContent(request) ? 'when-told' : 'when-full'
    const finish = concat.type === 'partial' ? 'as-part' : whole
    const created = await core.create({ ...upload, length, finish })
    if (!hasContent(request)) return this.#created(tus, created)
    try {
      const filled = await finishWhenFull(core, await append(tus, created, { offset: 0, digest }))
      return this.#created(tus, filled, { 'Upload-Offset': String(filled.offset) })
    } catch (error) {
      // Its URL was never told, so that nobody could go on with it.
      await core.terminate(created.id).catch(() => {})
      throw error
    }
  }

  /** @returns the upload that the same parts were put together to before, where there is one */
  async #concatenate(
    tus: TusRequest,
    ids: readonly string[],
    upload: CreateUpload,
  ): Promise<UploadStatus> {
    const key = joinKey(upload)
    const underWay = this.#joining.get(key)
    if (underWay !== undefined) return await underWay
    const joined = findJoined(tus, upload)
    if (joined !== undefined) return await finishWhenFull(tus.core, joined)
    const joining = tus.core.concatenate(findParts(tus, ids), upload)
    this.#joining.set(key, joining)
    try {
      return await joining
    } finally {
      this.#joining.delete(key)
    }
  }

  #created(
    { request }: TusRequest,
    upload: UploadStatus,
    fields: Readonly<Record<string, string>> = {},
  ): DoorAnswer {
    const location = formatLocation(this.#options.location ?? 'relative', request, upload.id)
    return {
      status: 201,
      fields: { ...fields, Location: location, 'Upload-Expires': formatExpires(upload.expiresAt) },
    }
  }

  async #toUpload({ request, owner }: TusRequest, concat: TusConcat): Promise<CreateUpload> {
    const { metadata, notes } = parseMetadata(fieldOf(request, 'upload-metadata'))
    const { chooseName = lastSegment } = this.#options
    // What clients call it: tus-js-client leaves it to its user, Uppy sends both.
    const name = metadata['filename'] ?? metadata['name']
    const field = concat.type === 'final' ? concat.field : undefined
    return {
      name: await chooseName({ name, metadata, owner, door: 'tus' }),
      metadata,
      notes: formatNotes({ ...notes, concat: field }),
      owner,
      door: 'tus',
    }
  }
}

async function describe(tus: TusRequest, id: string): Promise<DoorAnswer> {
  const { core } = tus
  findUpload(tus, id)
  // Whoever asks is about to go on; an older request must not move the offset afterwards.
  const upload = await finishWhenFull(core, await core.interrupt(id))
  const { offset, length, finish, notes, expiresAt } = upload
  return {
    status: 200,
    fields: {
      'Upload-Offset': String(offset),
      'Upload-Length': length === undefined ? undefined : String(length),
      'Upload-Defer-Length': length === undefined ? '1' : undefined,
      'Upload-Metadata': formatMetadata(upload),
      'Upload-Concat': finish === 'as-part' ? 'partial' : parseNotes(notes).concat,
      'Upload-Expires': formatExpires(expiresAt),
      'Cache-Control': 'no-store',
    },
  }
}

async function patch(tus: TusRequest, id: string): Promise<DoorAnswer> {
  const { core, request } = tus
  const digest = readContentFields(request)
  const offset = parseBytes('Upload-Offset', fieldOf(request, 'upload-offset'))
  const told = fieldOf(request, 'upload-length')
  const length = told === undefined ? undefined : parseBytes('Upload-Length', told)
  const known = findUpload(tus, id)
  if (parseNotes(known.notes).concat !== undefined) {
    throw new Refusal(403, 'Cannot append to an upload that was put together from others')
  }
  const upload = length === undefined ? known : await learnLength(tus, known, { offset, length })
  const filled = await append(tus, upload, { offset, digest })
  const finished = await finishWhenFull(core, filled)
  return {
    status: 204,
    fields: {
      'Upload-Offset': String(finished.offset),
      'Upload-Expires': formatExpires(finished.expiresAt),
    },
  }
}

async function terminate(tus: TusRequest, id: string): Promise<DoorAnswer> {
  findUpload(tus, id)
  await tus.core.terminate(id)
  return { status: 204, fields: {} }
}

/** Takes the length that comes with a later piece, unless it cannot belong there. */
async function learnLength(
  { core, request }: TusRequest,
  { id }: UploadStatus,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<UploadStatus> {
  const upload = await core.interrupt(id)
  // The append itself will refuse, and tell the right offset.
  if (upload.offset !== offset) return upload
  if (offset + (contentLength(request) ?? 0) > length) {
    throw new Refusal(400, 'Cannot take the content: it would go beyond Upload-Length')
  }
  return core.setLength(id, length)
}

async function append(
  { core, request }: TusRequest,
  upload: UploadStatus,
  { offset, digest }: { readonly offset: number; readonly digest: Digest | undefined },
): Promise<UploadStatus> {
  // The last piece once more, or one that only tells the length.
  const isNothing = upload.offset === offset && !hasContent(request)
  if (upload.state === 'completed' && isNothing) return upload
  const content: UploadContent = digest instanceof TrailerContent ? digest : request
  return core.append(upload.id, offset, content, { contentLength: contentLength(request), digest })
}

async function finishWhenFull(
  core: DoorContext['core'],
  upload: UploadStatus,
): Promise<UploadStatus> {
  const { id, state, offset, length, finish } = upload
  if (state === 'completed' || offset !== length || finish === 'as-part') return upload
  return core.complete(id)
}

/** Who puts which parts together, and what it tells of the file. */
function joinKey({ owner, notes = {}, metadata }: CreateUpload): string {
  return JSON.stringify([owner, parseNotes(notes).concat, metadata])
}

function findJoined({ core }: TusRequest, upload: CreateUpload): UploadStatus | undefined {
  const { concat } = parseNotes(upload.notes ?? {})
  const key = joinKey(upload)
  return [...core.list()].find(
    (known) => parseNotes(known.notes).concat === concat && joinKey(known) === key,
  )
}

function findParts(tus: TusRequest, ids: readonly string[]): readonly string[] {
  for (const id of ids) {
    if (findUpload(tus, id).finish === 'as-part') continue
    throw new Refusal(400, 'Cannot put uploads together that are not partial ones')
  }
  return ids
}

/** Checks the media type, and gives the checksum of the content. */
function readContentFields(request: IncomingMessage): Digest | undefined {
  if (mediaTypeOf(request) !== TUS_CONTENT_TYPE) {
    throw new Refusal(415, `Cannot take content of this type: expected ${TUS_CONTENT_TYPE}`)
  }
  if (hasChecksumTrailer(request)) return new TrailerContent(request)
  const checksum = fieldOf(request, 'upload-checksum')
  return checksum === undefined ? undefined : parseChecksum(checksum)
}

function answerTo(error: unknown): DoorAnswer {
  const { status, message, fields } = tellFailure(error)
  const isChecksum = isFerryError(error, 'digest-mismatch')
  return {
    status: isChecksum ? CHECKSUM_MISMATCH : status,
    ...(isChecksum ? { reason: 'Checksum Mismatch' } : {}),
    fields: {
      'Tus-Resumable': TUS_VERSION,
      'Content-Type': 'text/plain; charset=utf-8',
      ...fields,
    },
    body: `${message}\n`,
  }
}

/** A field that may come once; Node joins those that come more often. */
function fieldOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

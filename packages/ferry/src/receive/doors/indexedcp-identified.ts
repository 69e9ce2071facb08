/**
 * Takes chunks of clients that use the extension: an upload has an id that its client chose, or one
 * that another door gave, and an end. Its file is published once, whole.
 */
import type { IncomingMessage } from 'node:http'
import { isFerryError } from '../../errors.ts'
import { formatDigest } from '../../protocol/upload/digest-field.ts'
import type { Digest } from '../digest.ts'
import type { UploadCore } from '../upload-core.ts'
import type { UploadStatus } from '../upload-options.ts'
import { type ChunkFields, type ExtensionFields, MAX_BYTES } from './indexedcp-fields.ts'
import { hasName } from './indexedcp-version.ts'
import { DOOR_NAME } from './indexedcp-versions.ts'
import { Refusal } from './refusal.ts'

/** A chunk as it comes. */
export interface IdentifiedChunk {
  readonly owner: string | undefined
  readonly uploadId: string
  readonly fields: ChunkFields
  readonly request: IncomingMessage
  /** Gives the name for a new file; asked once for each. */
  readonly chooseName: () => Promise<string>
}

/** What its client is told. */
export interface IdentifiedStatus {
  readonly upload: UploadStatus
  readonly alreadyReceived: boolean
}

const CLIENT_ID = 'indexedcpId'
/** So many ids are kept before it is looked whether the core still knows them. */
const MIN_PRUNE = 1000

/** Takes chunks into one core. */
export class IdentifiedUploads {
  readonly #core: UploadCore
  /** Owner and client's id → id in the core. */
  readonly #ids = new Map<string, Promise<string>>()
  /** Digests of the whole that came after the first chunk; until it is finished. */
  readonly #digests = new Map<string, Digest>()
  #pruneAt = MIN_PRUNE

  constructor(core: UploadCore) {
    this.#core = core
    for (const { id, owner, notes } of core.list()) {
      const clientId = notes[CLIENT_ID]
      if (clientId !== undefined) this.#ids.set(keyOf(owner, clientId), Promise.resolve(id))
    }
  }

  /**
   * Resolves when the chunk is as safe as the core promises, and when it was the last one, the file
   * has its name.
   * @throws {Refusal} 400, without enough to find its place; 411
   * @throws {UploadError} as the core does
   */
  async take(chunk: IdentifiedChunk): Promise<IdentifiedStatus> {
    const { uploadId, fields, request } = chunk
    const { contentLength, contentDigest: digest } = fields
    const offset = offsetOf(fields)
    const before = await this.#findOrCreate(chunk)
    if (before.state === 'completed') {
      if (isOther(before, fields.extension)) throw taken(uploadId)
      return { upload: before, alreadyReceived: true }
    }
    const { id } = before
    const isKnown =
      contentLength !== undefined &&
      contentLength > 0 &&
      before.spans.some(({ start, end }) => start <= offset && offset + contentLength <= end)
    this.#noteDigest(id, fields.extension.reprDigest)
    const length = lengthOf(fields, offset)
    if (length !== undefined) await this.#core.setLength(id, length)
    try {
      const upload = await this.#core.write(id, offset, request, { contentLength, digest })
      return { upload: await this.#finishIfWhole(upload), alreadyReceived: isKnown }
    } catch (error) {
      // It comes again, and another chunk has been the last meanwhile.
      const upload = isOvertaken(error) ? await this.#finished(id) : undefined
      if (upload === undefined) throw error
      return { upload, alreadyReceived: true }
    }
  }

  /**
   * Finishes an upload whose client says that it is done; again, it tells the same.
   * @throws {UploadError} upload-not-found, upload-incomplete, digest-mismatch, length-mismatch
   */
  async complete(owner: string | undefined, fields: ExtensionFields): Promise<UploadStatus> {
    const { uploadId, totalSize, reprDigest } = fields
    if (uploadId === undefined)
      throw new Refusal(400, 'Cannot finish an upload without X-Upload-Id')
    const found = await this.find(owner, uploadId)
    if (found === undefined) throw new Refusal(404, 'Cannot find the upload')
    if (found.state === 'completed') return found
    this.#noteDigest(found.id, reprDigest)
    await this.#core.setLength(found.id, totalSize ?? found.length ?? found.offset)
    return await this.#complete(found.id)
  }

  /** The upload of that id, the client's or the core's; those of others are as good as absent. */
  async find(owner: string | undefined, uploadId: string): Promise<UploadStatus | undefined> {
    const key = keyOf(owner, uploadId)
    const id = await this.#ids.get(key)?.catch(() => undefined)
    const found = this.#status(id ?? uploadId)
    if (found === undefined) this.#ids.delete(key)
    return found?.owner === owner ? found : undefined
  }

  /** The newest one that a status query by this name means. */
  findByName(owner: string | undefined, name: string): UploadStatus | undefined {
    return [...this.#core.list()]
      .filter(
        (upload) =>
          upload.owner === owner &&
          upload.notes[CLIENT_ID] !== undefined &&
          hasName({ storedName: upload.name, clientName: upload.metadata['filename'] ?? '' }, name),
      )
      .reduce<UploadStatus | undefined>(
        (newest, upload) =>
          newest === undefined || upload.createdAt >= newest.createdAt ? upload : newest,
        undefined,
      )
  }

  async #findOrCreate(chunk: IdentifiedChunk): Promise<UploadStatus> {
    const { owner, uploadId } = chunk
    const found = await this.find(owner, uploadId)
    if (found !== undefined) return found
    const key = keyOf(owner, uploadId)
    let creating = this.#ids.get(key)
    if (creating === undefined) {
      creating = this.#create(chunk)
      this.#ids.set(key, creating)
      creating.catch(() => this.#ids.delete(key))
    }
    return this.#core.status(await creating)
  }

  async #create({ owner, uploadId, fields, chooseName }: IdentifiedChunk): Promise<string> {
    if (this.#ids.size >= this.#pruneAt) await this.#prune()
    const { clientName, extension } = fields
    const { id } = await this.#core.create({
      name: await chooseName(),
      owner,
      door: DOOR_NAME,
      length: extension.totalSize,
      digest: extension.reprDigest,
      finish: 'when-told',
      metadata: { filename: clientName },
      notes: { [CLIENT_ID]: uploadId },
    })
    return id
  }

  /** Forgets what the core has forgotten. */
  async #prune(): Promise<void> {
    for (const [key, creating] of [...this.#ids]) {
      const id = await creating.catch(() => undefined)
      if (id === undefined || this.#status(id) !== undefined) continue
      this.#ids.delete(key)
      this.#digests.delete(id)
    }
    this.#pruneAt = Math.max(MIN_PRUNE, 2 * this.#ids.size)
  }

  #status(id: string): UploadStatus | undefined {
    try {
      return this.#core.status(id)
    } catch (error) {
      if (isFerryError(error, 'upload-not-found') || isFerryError(error, 'upload-expired')) {
        return undefined
      }
      throw error
    }
  }

  #noteDigest(id: string, digest: Digest | undefined): void {
    if (digest !== undefined) this.#digests.set(id, digest)
  }

  async #finishIfWhole(upload: UploadStatus): Promise<UploadStatus> {
    const { id, state, length, offset } = upload
    return state === 'completed' || offset !== length ? upload : await this.#complete(id)
  }

  /** The finished upload; undefined where something is missing. */
  async #finished(id: string): Promise<UploadStatus | undefined> {
    const upload = this.#status(id)
    if (
      upload === undefined ||
      (upload.state === 'unfinished' && upload.offset !== upload.length)
    ) {
      return undefined
    }
    return await this.#finishIfWhole(upload)
  }

  async #complete(id: string): Promise<UploadStatus> {
    const completed = await this.#core.complete(id, { digest: this.#digests.get(id) })
    this.#digests.delete(id)
    return completed
  }
}

/** Whether a write was refused, or ended, because the upload is being finished or is so. */
function isOvertaken(error: unknown): boolean {
  return isFerryError(error, 'upload-complete') || isFerryError(error, 'upload-interrupted')
}

/** What the extension adds to an answer. */
export function describeUpload({ id, offset, length, state, digest }: UploadStatus): object {
  const isComplete = state === 'completed'
  return {
    uploadId: id,
    offset,
    size: length ?? null,
    complete: isComplete,
    // Before the end nobody has compared it.
    ...(isComplete && digest !== undefined ? { digest: formatDigest(digest) } : {}),
  }
}

/** Whether a client means another file than the one that is finished under its id. */
function isOther(
  { length, digest }: UploadStatus,
  { totalSize, reprDigest }: ExtensionFields,
): boolean {
  if (totalSize !== undefined && totalSize !== length) return true
  return reprDigest?.algorithm === digest?.algorithm && reprDigest?.hex !== digest?.hex
}

function taken(uploadId: string): Refusal {
  return new Refusal(409, `Cannot take the chunk: another file is finished as upload ${uploadId}`)
}

function offsetOf({ index, extension }: ChunkFields): number {
  const { chunkOffset, chunkSize } = extension
  const offset = chunkOffset ?? (index === 0 ? 0 : index * (chunkSize ?? Number.NaN))
  if (offset <= MAX_BYTES) return offset
  throw new Refusal(400, 'Cannot place a chunk without X-Chunk-Offset or X-Chunk-Size')
}

/** The length of the whole, where this chunk tells. */
function lengthOf(fields: ChunkFields, offset: number): number | undefined {
  const { index, contentLength, extension } = fields
  const { totalSize, chunkCount } = extension
  if (totalSize !== undefined || chunkCount === undefined) return totalSize
  if (index >= chunkCount) throw new Refusal(400, `Cannot take chunk ${index} of ${chunkCount}`)
  if (index < chunkCount - 1) return undefined
  if (contentLength === undefined) {
    throw new Refusal(411, 'Cannot take the last chunk without its length')
  }
  return offset + contentLength
}

function keyOf(owner: string | undefined, uploadId: string): string {
  return JSON.stringify([owner ?? null, uploadId])
}

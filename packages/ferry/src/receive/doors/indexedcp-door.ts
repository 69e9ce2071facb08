/**
 * The door of IndexedCP: `POST /upload` with one chunk, `GET /upload/status`, `POST /upload/complete`
 * of the extension; where there are keys for it, the encrypted mode: `GET /public-key`,
 * `POST /upload-encrypted`, `POST /upload-encrypted-batch`, `POST /rotate-keys`. Answers are those of the programs that exist, so that their clients work as they
 * are; what these programs do wrong is not repeated.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, systemClock } from '../../clock.ts'
import { toFinalName } from '../final-name.ts'
import type { UploadCore } from '../upload-core.ts'
import { sendAnswer } from './door-answer.ts'
import type { Door, DoorContext } from './door.ts'
import type { EncryptionKeys } from '../encryption-keys.ts'
import { AnonymousUploads } from './indexedcp-anonymous.ts'
import { EncryptedUploads, type PacketRequest } from './indexedcp-encrypted.ts'
import { type ChunkFields, parseChunkFields, parseExtension } from './indexedcp-fields.ts'
import { describeUpload, IdentifiedUploads } from './indexedcp-identified.ts'
import { type PathMode, storedNameOf } from './indexedcp-names.ts'
import { toJsonFailure } from './indexedcp-refusal.ts'
import { looksWhole, receivedIndices, type Version } from './indexedcp-version.ts'
import { DOOR_NAME, Versions } from './indexedcp-versions.ts'

/**
 * Chooses the name of a new file; called once for each, not for each chunk. What it gives is made
 * safe: it cannot lead out of the folder.
 * @param chunkIndex in decimal, as in the first request of the file
 */
export type FilenameGenerator = (
  clientFilename: string,
  chunkIndex: string,
  request: IncomingMessage,
) => string | Promise<string>

/** What the door of IndexedCP is made with. */
export interface IndexedCpDoorOptions {
  /** @defaultValue ignore */
  readonly pathMode?: PathMode
  /** @defaultValue the name that the path mode gives */
  readonly filenameGenerator?: FilenameGenerator
  /** Where the files of an owner go, below the folder of all. @defaultValue not below any */
  readonly folderOf?: (owner: string | undefined) => string | undefined
  /**
   * Without chunks for so long, an upload whose client never says that it is done counts as done: the
   * same name again is another file. @defaultValue 600,000 ms
   */
  readonly finishAfterMs?: number
  /** Such uploads; of more, those without chunks for longest count as done. @defaultValue 1,000 */
  readonly maxOpen?: number
  /** What a chunk is answered with; `text` as by the simple server. @defaultValue json */
  readonly answers?: 'json' | 'text'
  /** Keys of the encrypted mode. @defaultValue none: there is no such mode */
  readonly encryptionKeys?: EncryptionKeys | undefined
  /** Of one encrypted packet, as JSON. @defaultValue 8 MiB: chunks of 6 MiB */
  readonly maxPacketBytes?: number
  /** How long a client may send nothing. @defaultValue the core's */
  readonly idleTimeoutMs?: number
  readonly clock?: Clock
}

interface CoreUploads {
  readonly versions: Versions
  readonly anonymous: AnonymousUploads
  readonly identified: IdentifiedUploads
  readonly encrypted: EncryptedUploads | undefined
}

type IndexedCpRequest = DoorContext & { readonly request: IncomingMessage }

interface JsonAnswer {
  readonly status: number
  readonly content: object
  /** In place of the content. */
  readonly text?: string
}

// Its status query is answered so that it never leaves out what may have changed; see below.
const PYTHON_CLIENT = /^python-requests\//

/** The door of IndexedCP. Whoever makes it closes it. */
export class IndexedCpDoor implements Door {
  readonly name: string = DOOR_NAME
  readonly #options: IndexedCpDoorOptions
  readonly #cores = new Map<UploadCore, CoreUploads>()
  readonly #closing = new AbortController()

  constructor(options: IndexedCpDoorOptions = {}) {
    this.#options = options
  }

  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    context: DoorContext,
  ): Promise<void> {
    try {
      const { status, content, text } = await this.#answer({ ...context, request })
      await sendAnswer(request, response, {
        status,
        fields: { 'Content-Type': text === undefined ? 'application/json' : 'text/plain' },
        body: text ?? JSON.stringify(content),
      })
    } catch (error) {
      const { status, fields, content, isOurs } = toJsonFailure(error)
      await sendAnswer(request, response, {
        status,
        fields: { ...fields, 'Content-Type': 'application/json' },
        body: JSON.stringify(content),
      })
      if (isOurs) throw error
    }
  }

  /** Indices of the chunks that are there of an owner's file, until it counts as done. */
  receivedChunks(core: UploadCore, owner: string | undefined, name: string): number[] {
    const version = this.#uploadsOf(core).versions.findByName(owner, name)
    return version === undefined ? [] : receivedIndices(version)
  }

  /** Counts an owner's file, or all of them, as done: the next chunk of that name begins another. */
  finish(core: UploadCore, owner: string | undefined, name?: string): Promise<void> {
    return this.#uploadsOf(core).versions.finishOf(owner, name)
  }

  /** Reads nothing more, and does nothing more by itself. The cores stay open. */
  close(): void {
    this.#closing.abort()
    for (const { versions } of this.#cores.values()) versions.close()
    this.#cores.clear()
  }

  #answer(asked: IndexedCpRequest): Promise<JsonAnswer> {
    const isPost = asked.request.method === 'POST'
    if (isPost && asked.path === '/upload') return this.#takeChunk(asked)
    if (isPost && asked.path === '/upload/complete') return this.#complete(asked)
    if (asked.path === '/upload/status') return this.#tellStatus(asked)
    return this.#answerEncrypted(asked)
  }

  async #takeChunk(asked: IndexedCpRequest): Promise<JsonAnswer> {
    const { core, owner, request } = asked
    const fields = parseChunkFields(request.headers)
    const { uploadId } = fields.extension
    const chooseName = (): Promise<string> => this.#chooseName(fields, asked)
    const { anonymous, identified } = this.#uploadsOf(core)
    if (uploadId !== undefined) {
      const taken = await identified.take({ owner, uploadId, fields, request, chooseName })
      const storedName = taken.upload.name
      const told = toldOf(fields, { storedName, alreadyReceived: taken.alreadyReceived })
      return { status: 200, content: { ...told, ...describeUpload(taken.upload) } }
    }
    const { index, clientName, contentLength, contentDigest } = fields
    const sender = { owner, clientName, index, peer: peerOf(request), channel: request.socket }
    const taken = await anonymous.take({
      sender,
      content: request,
      contentLength,
      contentDigest,
      chooseName,
    })
    const text = this.#options.answers === 'text' ? { text: 'Chunk received\n' } : {}
    return { status: 200, content: toldOf(fields, taken), ...text }
  }

  async #answerEncrypted(asked: IndexedCpRequest): Promise<JsonAnswer> {
    const { core, owner, path, request } = asked
    const { encryptionKeys: keys } = this.#options
    const { encrypted } = this.#uploadsOf(core)
    if (keys === undefined || encrypted === undefined) return NOT_FOUND
    if (path === '/public-key') {
      const { publicKey, kid, expiresAt } = await keys.current()
      return { status: 200, content: { publicKey, kid, expiresAt } }
    }
    if (path === '/rotate-keys') {
      const { kid } = await keys.rotate()
      return { status: 200, content: { message: 'Keys rotated successfully', newKeyId: kid } }
    }
    const packets: PacketRequest = {
      owner,
      request,
      peer: peerOf(request),
      chooseName: (clientName, index) => this.#chooseName({ clientName, index }, asked),
    }
    if (path === '/upload-encrypted') {
      const { storedName } = await encrypted.takeOne(packets)
      const message = 'Packet decrypted and saved'
      return { status: 200, content: { message, actualFilename: storedName } }
    }
    const { storedName, count } = await encrypted.takeBatch(packets)
    const message = 'Packets decrypted and saved'
    return { status: 200, content: { message, actualFilename: storedName, packetCount: count } }
  }

  async #complete({ core, owner, request }: IndexedCpRequest): Promise<JsonAnswer> {
    const fields = parseExtension(request.headers)
    const upload = await this.#uploadsOf(core).identified.complete(owner, fields)
    const content = { message: 'Upload complete', actualFilename: upload.name }
    return { status: 200, content: { ...content, ...describeUpload(upload) } }
  }

  async #tellStatus({ core, owner, query, request }: IndexedCpRequest): Promise<JsonAnswer> {
    const uploadId = query.get('uploadId')
    const name = query.get('filename')
    const { versions, identified } = this.#uploadsOf(core)
    if (uploadId !== null) {
      const upload = await identified.find(owner, uploadId)
      if (upload === undefined) return { status: 404, content: { error: 'Upload not found' } }
      const content = { filename: upload.name, receivedChunks: [], ...describeUpload(upload) }
      return { status: 200, content }
    }
    if (name === null || name === '') {
      return { status: 400, content: { error: 'Missing filename parameter' } }
    }
    const version = versions.findByName(owner, name)
    if (version !== undefined) {
      const receivedChunks = isOffered(version, request) ? receivedIndices(version) : []
      return { status: 200, content: { filename: name, receivedChunks } }
    }
    const upload = identified.findByName(owner, name)
    const more = upload === undefined ? {} : describeUpload(upload)
    return { status: 200, content: { filename: name, receivedChunks: [], ...more } }
  }

  async #chooseName(
    { clientName, index }: Pick<ChunkFields, 'clientName' | 'index'>,
    { owner, request }: Pick<IndexedCpRequest, 'owner' | 'request'>,
  ): Promise<string> {
    const { pathMode = 'ignore', filenameGenerator, folderOf } = this.#options
    const folder = folderOf?.(owner)
    const wanted = await filenameGenerator?.(clientName, String(index), request)
    const generated = wanted === undefined ? undefined : toFinalName(wanted)
    const mode = filenameGenerator === undefined ? pathMode : 'ignore'
    const name = generated ?? storedNameOf(mode, clientName)
    return folder === undefined ? name : `${folder}/${name}`
  }

  #uploadsOf(core: UploadCore): CoreUploads {
    const found = this.#cores.get(core)
    if (found !== undefined) return found
    const { clock = systemClock, idleTimeoutMs = core.idleTimeoutMs } = this.#options
    const { finishAfterMs = 600_000, maxOpen = 1000 } = this.#options
    const { encryptionKeys: keys, maxPacketBytes = 8_388_608 } = this.#options
    const pace = { clock, idleTimeoutMs, closing: this.#closing.signal }
    const versions = new Versions(core, { clock, finishAfterMs, maxOpen })
    const anonymous = new AnonymousUploads(core, versions, pace)
    const encrypted = keys && new EncryptedUploads({ anonymous, keys, pace, maxPacketBytes })
    const identified = new IdentifiedUploads(core)
    const uploads: CoreUploads = { versions, anonymous, identified, encrypted }
    this.#cores.set(core, uploads)
    return uploads
  }
}

const NOT_FOUND: JsonAnswer = { status: 404, content: {}, text: 'Not Found' }

/** Who sends: address and program. */
function peerOf({ socket, headers }: IncomingMessage): string {
  return JSON.stringify([socket.remoteAddress, headers['user-agent']])
}

/**
 * Whether a client is told what of a version is there. The Python client sends nothing of what it is
 * told, even of another file that has got the same name meanwhile: so it is told nothing of what may
 * be a whole file. It then sends everything, and what is there already costs no more than the way.
 */
function isOffered(version: Version, { headers }: IncomingMessage): boolean {
  if (!PYTHON_CLIENT.test(headers['user-agent'] ?? '')) return true
  return version.ends.length > 1 && !looksWhole(version)
}

/** The answer to a chunk; the order of the members is the protocol's. */
function toldOf(
  { index, clientName }: ChunkFields,
  taken: { readonly storedName: string; readonly alreadyReceived: boolean },
): object {
  const { storedName, alreadyReceived } = taken
  return {
    message: alreadyReceived ? 'Chunk already received (skipped)' : 'Chunk received',
    actualFilename: storedName,
    chunkIndex: index,
    clientFilename: clientName,
    ...(alreadyReceived ? { alreadyReceived: true } : {}),
  }
}

/**
 * The door of IndexedCP: `POST /upload` with one chunk, `GET /upload/status`, `POST /upload/complete`
 * of the extension. Answers are those of the programs that exist, so that their clients work as they
 * are; what these programs do wrong is not repeated.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, systemClock } from '../../clock.ts'
import { toFinalName } from '../final-name.ts'
import type { UploadCore } from '../upload-core.ts'
import { sendAnswer } from './door-answer.ts'
import type { Door, DoorContext } from './door.ts'
import { AnonymousUploads } from './indexedcp-anonymous.ts'
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
  /**
   * Without chunks for so long, an upload whose client never says that it is done counts as done: the
   * same name again is another file. @defaultValue 600,000 ms
   */
  readonly finishAfterMs?: number
  /** Such uploads; of more, those without chunks for longest count as done. @defaultValue 1,000 */
  readonly maxOpen?: number
  /** What a chunk is answered with; `text` as by the simple server. @defaultValue json */
  readonly answers?: 'json' | 'text'
  /** How long a client may send nothing. @defaultValue 30,000 ms */
  readonly idleTimeoutMs?: number
  readonly clock?: Clock
}

interface CoreUploads {
  readonly versions: Versions
  readonly anonymous: AnonymousUploads
  readonly identified: IdentifiedUploads
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

  /** Does nothing more by itself. The cores stay open. */
  close(): void {
    for (const { versions } of this.#cores.values()) versions.close()
    this.#cores.clear()
  }

  #answer(asked: IndexedCpRequest): Promise<JsonAnswer> {
    const isPost = asked.request.method === 'POST'
    if (isPost && asked.path === '/upload') return this.#takeChunk(asked)
    if (isPost && asked.path === '/upload/complete') return this.#complete(asked)
    return this.#tellStatus(asked)
  }

  async #takeChunk(asked: IndexedCpRequest): Promise<JsonAnswer> {
    const { core, owner, request } = asked
    const fields = parseChunkFields(request.headers)
    const { uploadId } = fields.extension
    const chooseName = (): Promise<string> => this.#chooseName(fields, request)
    const { anonymous, identified } = this.#uploadsOf(core)
    if (uploadId !== undefined) {
      const taken = await identified.take({ owner, uploadId, fields, request, chooseName })
      const storedName = taken.upload.name
      const told = toldOf(fields, { storedName, alreadyReceived: taken.alreadyReceived })
      return { status: 200, content: { ...told, ...describeUpload(taken.upload) } }
    }
    const { index, clientName, contentLength, contentDigest } = fields
    const { socket, headers } = request
    const peer = JSON.stringify([socket.remoteAddress, headers['user-agent']])
    const sender = { owner, clientName, index, peer, socket }
    const taken = await anonymous.take({
      sender,
      request,
      contentLength,
      contentDigest,
      chooseName,
    })
    const text = this.#options.answers === 'text' ? { text: 'Chunk received\n' } : {}
    return { status: 200, content: toldOf(fields, taken), ...text }
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

  async #chooseName({ clientName, index }: ChunkFields, request: IncomingMessage): Promise<string> {
    const { pathMode = 'ignore', filenameGenerator } = this.#options
    if (filenameGenerator === undefined) return storedNameOf(pathMode, clientName)
    const wanted = await filenameGenerator(clientName, String(index), request)
    return toFinalName(wanted) ?? storedNameOf('ignore', clientName)
  }

  #uploadsOf(core: UploadCore): CoreUploads {
    const found = this.#cores.get(core)
    if (found !== undefined) return found
    const { clock = systemClock, idleTimeoutMs = 30_000 } = this.#options
    const { finishAfterMs = 600_000, maxOpen = 1000 } = this.#options
    const versions = new Versions(core, { clock, finishAfterMs, maxOpen })
    const uploads = {
      versions,
      anonymous: new AnonymousUploads(core, versions, { clock, idleTimeoutMs }),
      identified: new IdentifiedUploads(core),
    }
    this.#cores.set(core, uploads)
    return uploads
  }
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

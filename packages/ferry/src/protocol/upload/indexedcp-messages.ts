/**
 * What a client of IndexedCP says and is told: fields, URLs and answers, of the servers that exist and
 * of those that know uploads by an id. Pure.
 */
import { formatDigest } from './digest-field.ts'
import { parseByteCount } from './upload-bytes.ts'

type Fields = Record<string, string>

/** A chunk as its fields tell it. */
export interface IndexedCpChunk {
  readonly index: number
  readonly name: string
  /** SHA-256 of the chunk in hex. */
  readonly sha256?: string | undefined
  /** For servers that know uploads by an id; undefined for others. */
  readonly upload?: IdentifiedUpload | undefined
}

/** What tells one upload from others, and where it ends. */
export interface IdentifiedUpload {
  readonly id: string
  /** Where the chunk begins. */
  readonly offset: number
  /** Undefined while it is not known. */
  readonly totalSize: number | undefined
  /** Of the whole, in hex. */
  readonly sha256: string | undefined
}

export function formatChunk({ index, name, sha256, upload }: IndexedCpChunk): Fields {
  return {
    'Content-Type': 'application/octet-stream',
    'X-Chunk-Index': String(index),
    'X-File-Name': toFieldText(name),
    ...(sha256 === undefined
      ? {}
      : { 'Content-Digest': formatDigest({ algorithm: 'sha256', hex: sha256 }) }),
    ...(upload === undefined
      ? {}
      : {
          'X-File-Name-Encoded': encodeURIComponent(name.toWellFormed()),
          'X-Chunk-Offset': String(upload.offset),
          ...formatUpload(upload),
        }),
  }
}

/** Fields that tell of an upload, for its chunks and for the request that completes it. */
export function formatUpload({ id, totalSize, sha256 }: Omit<IdentifiedUpload, 'offset'>): Fields {
  return {
    'X-Upload-Id': id,
    ...(totalSize === undefined ? {} : { 'X-Total-Size': String(totalSize) }),
    ...(sha256 === undefined
      ? {}
      : { 'Repr-Digest': formatDigest({ algorithm: 'sha256', hex: sha256 }) }),
  }
}

/**
 * The URL that tells what is there: everything from the last `/upload` of the endpoint on gives way
 * for `/upload/status`, as the Python client has it. The Python server, which alone goes by the name,
 * has stored the file by the last segment of it.
 */
export function statusUrl(endpoint: string, name: string, uploadId?: string): string {
  const id = uploadId === undefined ? '' : `&uploadId=${encodeURIComponent(uploadId)}`
  const base = name.slice(name.lastIndexOf('/') + 1)
  const query = `filename=${encodeURIComponent(base.toWellFormed())}${id}`
  return `${uploadRoot(endpoint)}/status?${query}`
}

/** The URL that completes an upload with an id. */
export function completeUrl(endpoint: string): string {
  return `${uploadRoot(endpoint)}/complete`
}

/** What a status query has told. */
export type IndexedCpStatus =
  /** The server knows uploads by id; `upload` is undefined when it does not have this one. */
  | { readonly type: 'identified'; readonly upload: UploadFacts | undefined }
  /** It tells the chunks of a name. */
  | { readonly type: 'by-name'; readonly received: ReadonlySet<number> }
  /** It has no status. */
  | { readonly type: 'none' }

/** How an upload with an id stands. */
export interface UploadFacts {
  /** The first byte that is missing. */
  readonly offset: number
  readonly size: number | undefined
  readonly isComplete: boolean
  /** Under which it is stored. */
  readonly name: string | undefined
}

/** Reads the answer to a status query that named both the file and the upload's id. */
export function readStatus(status: number, text: string): IndexedCpStatus {
  const json = parseObject(text)
  if (status === 404 && json?.['error'] === 'Upload not found') {
    return { type: 'identified', upload: undefined }
  }
  if (status !== 200 || json === undefined) return { type: 'none' }
  const upload = readFacts(json, json['filename'])
  if (upload !== undefined) return { type: 'identified', upload }
  const { receivedChunks } = json
  if (!Array.isArray(receivedChunks)) return { type: 'none' }
  return { type: 'by-name', received: new Set(receivedChunks.filter(isIndex)) }
}

/** What a server says of a chunk that it has taken. */
export interface ChunkAnswer {
  /** Under which the file is stored; undefined when it does not say. */
  readonly storedName: string | undefined
  /** It had the chunk before, and has not read this one. */
  readonly alreadyReceived: boolean
  /** Of servers that know uploads by id. */
  readonly upload: UploadFacts | undefined
}

/** Reads the answer to a chunk; servers that answer with text say nothing of the kind. */
export function readChunkAnswer(text: string): ChunkAnswer {
  const json = parseObject(text)
  const name = json?.['actualFilename']
  return {
    storedName: typeof name === 'string' ? name : undefined,
    alreadyReceived: json?.['alreadyReceived'] === true,
    upload: json && readFacts(json, name),
  }
}

/**
 * A name as the value of a field: Latin-1 where it has no other characters, as old clients send it,
 * else its UTF-8, one character a byte. What no field can carry becomes `_`.
 */
export function toFieldText(name: string): string {
  const text = name
    .toWellFormed()
    .replace(/[\0-\x1f\x7f]/g, '_')
    .trim()
  return /^[\x20-\xff]*$/.test(text) ? text : String.fromCharCode(...new TextEncoder().encode(text))
}

function uploadRoot(endpoint: string): string {
  const [path = ''] = endpoint.split(/[?#]/, 1)
  const at = path.lastIndexOf('/upload')
  return `${at === -1 ? path.replace(/\/+$/, '') : path.slice(0, at)}/upload`
}

function readFacts(json: Record<string, unknown>, name: unknown): UploadFacts | undefined {
  const { offset, size, complete, uploadId } = json
  if (typeof uploadId !== 'string' || typeof complete !== 'boolean') return undefined
  const bytes = parseByteCount(String(offset))
  if (bytes === undefined) return undefined
  return {
    offset: bytes,
    size: parseByteCount(String(size)),
    isComplete: complete,
    name: typeof name === 'string' ? name : undefined,
  }
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

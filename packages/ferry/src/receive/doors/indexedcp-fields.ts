/**
 * The fields of an IndexedCP request, read and checked. Pure.
 *
 * Every client sends X-Chunk-Index, and X-File-Name but for a few. The others are an extension: with
 * X-Upload-Id an upload has an identity, and with X-Total-Size or X-Chunk-Count an end.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { parseReprDigest } from '../../protocol/semantics/digest-fields.ts'
import { parseByteCount } from '../../protocol/upload/upload-bytes.ts'
import type { Digest } from '../digest.ts'
import { TitledRefusal } from './indexedcp-refusal.ts'
import { Refusal } from './refusal.ts'

/** What a request tells of its chunk. */
export interface ChunkFields {
  readonly index: number
  /** The name as the client has it, folders included. */
  readonly clientName: string
  /** Bytes of the chunk; undefined when they come with Transfer-Encoding. */
  readonly contentLength: number | undefined
  /** Of the chunk. */
  readonly contentDigest: Digest | undefined
  readonly extension: ExtensionFields
}

/** What the extension tells of the file. */
export interface ExtensionFields {
  readonly uploadId: string | undefined
  readonly totalSize: number | undefined
  readonly chunkCount: number | undefined
  /** Of every chunk but the last. */
  readonly chunkSize: number | undefined
  readonly chunkOffset: number | undefined
  /** Of the whole. */
  readonly reprDigest: Digest | undefined
}

/** All fields that a browser may send. */
export const REQUEST_FIELDS: readonly string[] = [
  'Content-Type',
  'Authorization',
  'X-Chunk-Index',
  'X-File-Name',
  'X-File-Name-Encoded',
  'X-Upload-Id',
  'X-Total-Size',
  'X-Chunk-Count',
  'X-Chunk-Size',
  'X-Chunk-Offset',
  'Content-Digest',
  'Repr-Digest',
]

const DEFAULT_NAME = 'uploaded_file.txt'
// 10 TB in chunks of 1 MiB.
export const MAX_INDEX = 9_999_999
// So that no two of them together are more than can be counted exactly.
export const MAX_BYTES: number = 2 ** 52 - 1
// The longest path that systems take.
export const MAX_NAME_LENGTH = 4096
const UPLOAD_ID = /^[\x21-\x7e]{1,128}$/

/** @throws {Refusal} for anything that cannot be read */
export function parseChunkFields(headers: IncomingHttpHeaders): ChunkFields {
  const coding = headers['content-encoding'] ?? 'identity'
  if (coding !== 'identity') throw new Refusal(415, 'Cannot take a chunk with a content coding')
  return {
    // Without one it is 0, as for the Python server.
    index: parseCount(headers, 'X-Chunk-Index', MAX_INDEX) ?? 0,
    clientName: parseClientName(headers),
    contentLength: parseCount(headers, 'Content-Length'),
    contentDigest: parseDigest(headers, 'Content-Digest'),
    extension: parseExtension(headers),
  }
}

/** @throws {Refusal} for anything that cannot be read */
export function parseExtension(headers: IncomingHttpHeaders): ExtensionFields {
  const uploadId = oneOf(headers, 'X-Upload-Id')
  if (uploadId !== undefined && !UPLOAD_ID.test(uploadId)) throw invalid('X-Upload-Id')
  return {
    uploadId,
    totalSize: parseCount(headers, 'X-Total-Size'),
    chunkCount: parseCount(headers, 'X-Chunk-Count', MAX_INDEX + 1),
    chunkSize: parseCount(headers, 'X-Chunk-Size'),
    chunkOffset: parseCount(headers, 'X-Chunk-Offset'),
    reprDigest: parseDigest(headers, 'Repr-Digest'),
  }
}

/**
 * Gives the name behind bytes that may be UTF-8, as curl sends it, or Latin-1, as the clients do.
 * @param text as node:http gives it: one character a byte
 */
export function decodeName(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return text
  }
}

function parseClientName(headers: IncomingHttpHeaders): string {
  const encoded = oneOf(headers, 'X-File-Name-Encoded')
  const plain = oneOf(headers, 'X-File-Name')
  const name = encoded === undefined ? decodeName(plain ?? '') : percentDecode(encoded)
  if (name.length > MAX_NAME_LENGTH) throw invalid('X-File-Name')
  return name === '' ? DEFAULT_NAME : name
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('X-File-Name-Encoded')
  }
}

function parseCount(
  headers: IncomingHttpHeaders,
  field: string,
  max: number = MAX_BYTES,
): number | undefined {
  const text = oneOf(headers, field)
  if (text === undefined) return undefined
  const count = parseByteCount(text)
  if (count !== undefined && count <= max) return count
  throw field === 'X-Chunk-Index'
    ? new TitledRefusal(
        400,
        'Invalid chunk index',
        `X-Chunk-Index has to be a whole number from 0 to ${MAX_INDEX}`,
      )
    : invalid(field)
}

/** The strongest of those that are given; one that cannot be read is as good as none. */
function parseDigest(headers: IncomingHttpHeaders, field: string): Digest | undefined {
  const text = oneOf(headers, field)
  return text === undefined ? undefined : parseReprDigest(text)[0]
}

function oneOf(headers: IncomingHttpHeaders, field: string): string | undefined {
  const value = headers[field.toLowerCase()]
  return Array.isArray(value) ? value.join(', ') : value
}

function invalid(field: string): Refusal {
  return new Refusal(400, `Cannot read ${field}`)
}

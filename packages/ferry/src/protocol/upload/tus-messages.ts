/**
 * What a client of tus 1.0.0 says and is told: fields written and read. Pure.
 * @see https://tus.io/protocols/resumable-upload version 1.0.0
 */
import { RemoteProtocolError } from '../../errors.ts'
import { parseTokenList, trimOws } from '../semantics/grammar.ts'
import type { HeaderFields } from '../semantics/header-fields.ts'
import { parseHttpDate } from '../semantics/http-date.ts'
import { hexToBase64, textToBase64 } from './base64.ts'
import { parseByteCount, requireByteCount, type UploadStand } from './upload-bytes.ts'

export const TUS_VERSION = '1.0.0'
/** The media type of content that is appended. */
export const TUS_CONTENT_TYPE = 'application/offset+octet-stream'
/** The status that tus has for content whose checksum does not fit. */
export const CHECKSUM_MISMATCH = 460

/** Digests that a client makes, best first. */
const CHECKSUM_ALGORITHMS = ['sha256', 'sha1'] as const
/**
 * What Ferry's own server tells among its extensions: parts that are put together once more, by the same
 * client under the same metadata, are the same upload again. tus itself leaves that open.
 */
export const CONCATENATION_REPEATABLE = 'concatenation-repeatable'
/** Keys have no space and no comma (Upload-Metadata). */
const METADATA_KEY = /^[!-+\--~]+$/

export type TusChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number]
type Fields = Record<string, string>

/** What a server of tus can do. */
export interface TusServer {
  readonly extensions: ReadonlySet<string>
  /** Undefined for no limit that it tells. */
  readonly maxSize: number | undefined
  /** The best that both sides know; undefined when it checks none. */
  readonly checksum: TusChecksumAlgorithm | undefined
}

/** Reads the answer to OPTIONS; undefined when it is none of a server of tus 1.0.0. */
export function readTusServer(headers: HeaderFields): TusServer | undefined {
  const versions = parseTokenList(headers.get('tus-version') ?? headers.get('tus-resumable') ?? '')
  if (!versions.includes(TUS_VERSION)) return undefined
  const extensions = new Set(parseTokenList(headers.get('tus-extension') ?? ''))
  const algorithms = parseTokenList(headers.get('tus-checksum-algorithm') ?? '')
  return {
    extensions,
    maxSize: parseByteCount(headers.get('tus-max-size')),
    checksum: extensions.has('checksum')
      ? CHECKSUM_ALGORITHMS.find((algorithm) => algorithms.includes(algorithm))
      : undefined,
  }
}

/** What an upload is created with. */
export interface TusCreation {
  /** Undefined when it is to be told later. */
  readonly length: number | undefined
  readonly metadata: Readonly<Record<string, string>>
  /** The upload becomes a part of another one. */
  readonly isPart: boolean
  /** Content goes with the creation. */
  readonly hasContent: boolean
}

export function formatCreation({ length, metadata, isPart, hasContent }: TusCreation): Fields {
  const pairs = formatMetadata(metadata)
  return {
    'Tus-Resumable': TUS_VERSION,
    ...(length === undefined
      ? { 'Upload-Defer-Length': '1' }
      : { 'Upload-Length': String(length) }),
    ...(pairs === '' ? {} : { 'Upload-Metadata': pairs }),
    ...(isPart ? { 'Upload-Concat': 'partial' } : {}),
    ...(hasContent ? { 'Content-Type': TUS_CONTENT_TYPE } : {}),
  }
}

/** Fields of the request that puts parts together; `urls` in the order of the parts. */
export function formatConcatenation(
  urls: readonly string[],
  metadata: Readonly<Record<string, string>>,
): Fields {
  const pairs = formatMetadata(metadata)
  return {
    'Tus-Resumable': TUS_VERSION,
    'Upload-Concat': `final;${urls.join(' ')}`,
    ...(pairs === '' ? {} : { 'Upload-Metadata': pairs }),
  }
}

/** A digest of one request's content. */
export interface TusChecksum {
  readonly algorithm: TusChecksumAlgorithm
  readonly hex: string
}

/** Fields of content that is appended; `length` of the whole, where it has not been told before. */
export function formatAppend(
  offset: number,
  {
    length,
    checksum,
  }: { readonly length?: number | undefined; readonly checksum?: TusChecksum | undefined } = {},
): Fields {
  return {
    'Tus-Resumable': TUS_VERSION,
    'Content-Type': TUS_CONTENT_TYPE,
    'Upload-Offset': String(offset),
    ...(length === undefined ? {} : { 'Upload-Length': String(length) }),
    ...(checksum === undefined ? {} : { 'Upload-Checksum': formatChecksum(checksum) }),
  }
}

function formatChecksum({ algorithm, hex }: TusChecksum): string {
  return `${algorithm} ${hexToBase64(hex)}`
}

/**
 * Reads how an upload stands from an answer to HEAD or PATCH.
 * @throws {RemoteProtocolError} without a readable Upload-Offset
 */
export function readStand(headers: HeaderFields): UploadStand {
  return {
    offset: requireByteCount(headers, 'Upload-Offset'),
    length: parseByteCount(headers.get('upload-length')),
    expiresAt: readExpires(headers),
  }
}

/** What the answer to a creation tells. */
export interface TusCreated {
  /** As it was sent: absolute, or relative to the URL of the request. */
  readonly location: string
  /** How much of the content that came with it was taken. */
  readonly offset: number
  readonly expiresAt: number | undefined
}

/** @throws {RemoteProtocolError} without Location */
export function readCreated(headers: HeaderFields): TusCreated {
  const location = trimOws(headers.get('location') ?? '')
  if (location === '') {
    throw new RemoteProtocolError('Cannot read Location of the answer: it is missing')
  }
  const offset = parseByteCount(headers.get('upload-offset')) ?? 0
  return { location, offset, expiresAt: readExpires(headers) }
}

function readExpires(headers: HeaderFields): number | undefined {
  const field = headers.get('upload-expires')
  return field === undefined ? undefined : parseHttpDate(field)
}

/** Upload-Metadata: `key base64,key base64`, of those keys that it can tell; empty for none. */
export function formatMetadata(metadata: Readonly<Record<string, string>>): string {
  return Object.entries(metadata)
    .filter(([key]) => METADATA_KEY.test(key))
    .map(([key, value]) => `${key} ${textToBase64(value)}`.trimEnd())
    .join(',')
}

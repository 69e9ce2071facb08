/**
 * What a client of draft-ietf-httpbis-resumable-upload says and is told: fields written and read, in
 * the dialect of an interop version. Pure. Sections are those of the draft's version 12.
 */
import { RemoteProtocolError } from '../../errors.ts'
import type { HeaderFields } from '../semantics/header-fields.ts'
import { parseItemDictionary } from '../semantics/structured-fields.ts'
import { formatDigest } from './digest-field.ts'
import {
  formatComplete,
  isInverted,
  needsMediaType,
  parseBytesField,
  parseCompleteField,
  parseIntegerField,
  PARTIAL_UPLOAD,
  UPLOAD_RESUMPTION_SUPPORTED,
} from './ietf-grammar.ts'
import type { UploadStand } from './upload-bytes.ts'

export const OLDEST_INTEROP_VERSION = 3
export const NEWEST_INTEROP_VERSION = 9

type Fields = Record<string, string>

/** What an upload is created with. */
export interface IetfCreation {
  readonly interopVersion: number
  readonly name: string
  readonly type: string | undefined
  /** Undefined when it is not known yet. */
  readonly length: number | undefined
  /** The content of the request is all there is. */
  readonly isComplete: boolean
  /** SHA-256 of the whole in hex. */
  readonly sha256: string | undefined
}

/** §4.2. */
export function formatCreation(creation: IetfCreation): Fields {
  const { interopVersion, name, type, length, isComplete, sha256 } = creation
  return {
    'Upload-Draft-Interop-Version': String(interopVersion),
    ...formatComplete(isComplete, { isInverted: isInverted(interopVersion) }),
    ...(length === undefined ? {} : { 'Upload-Length': String(length) }),
    'Content-Type': type ?? 'application/octet-stream',
    'Content-Disposition': formatDisposition(name),
    ...(sha256 === undefined
      ? {}
      : { 'Repr-Digest': formatDigest({ algorithm: 'sha256', hex: sha256 }) }),
  }
}

/** What content is appended with. */
export interface IetfAppend {
  readonly interopVersion: number
  readonly offset: number
  /** The whole ends with the content. */
  readonly isComplete: boolean
  /** Of the whole; undefined when it was told before, or is not known yet. */
  readonly length: number | undefined
  /** SHA-256 of the content in hex. */
  readonly sha256: string | undefined
}

/** §4.4. */
export function formatAppend(append: IetfAppend): Fields {
  const { interopVersion, offset, isComplete, length, sha256 } = append
  return {
    'Upload-Draft-Interop-Version': String(interopVersion),
    ...(needsMediaType(interopVersion) ? { 'Content-Type': PARTIAL_UPLOAD } : {}),
    'Upload-Offset': String(offset),
    ...formatComplete(isComplete, { isInverted: isInverted(interopVersion) }),
    ...(length === undefined ? {} : { 'Upload-Length': String(length) }),
    ...(sha256 === undefined
      ? {}
      : { 'Content-Digest': formatDigest({ algorithm: 'sha256', hex: sha256 }) }),
  }
}

/** Fields of requests without content: HEAD and DELETE. */
export function formatBare(interopVersion: number): Fields {
  return { 'Upload-Draft-Interop-Version': String(interopVersion) }
}

/** Whether an upload is complete; undefined when the answer does not say. Version 3 says the opposite. */
export function readComplete(headers: HeaderFields, interopVersion: number): boolean | undefined {
  const dialect = { isInverted: isInverted(interopVersion) }
  return parseCompleteField((name) => headers.get(name), dialect)
}

/** Upload-Offset or Upload-Length; undefined when it is missing or cannot be read. */
export function readBytes(headers: HeaderFields, field: string): number | undefined {
  return parseBytesField(headers.get(field))
}

/**
 * §4.3: the answer to HEAD.
 * @throws {RemoteProtocolError} without a readable Upload-Offset
 */
export function readStand(
  headers: HeaderFields,
  interopVersion: number,
): UploadStand & { readonly isComplete: boolean } {
  const offset = readBytes(headers, 'upload-offset')
  if (offset === undefined) {
    throw new RemoteProtocolError('Cannot read Upload-Offset of the answer: it is missing')
  }
  return {
    offset,
    length: readBytes(headers, 'upload-length'),
    expiresAt: undefined,
    isComplete: readComplete(headers, interopVersion) ?? false,
  }
}

/** Limits of a server; undefined for none that it tells. */
export interface UploadLimit {
  readonly maxSize: number | undefined
  readonly maxAppendSize: number | undefined
  readonly minAppendSize: number | undefined
}

/** §4.1.4: Upload-Limit; undefined when it is missing or cannot be read. */
export function readLimit(headers: HeaderFields): UploadLimit | undefined {
  const field = headers.get('upload-limit')
  const limits = field === undefined ? undefined : parseItemDictionary(field)
  if (limits === undefined) return undefined
  const read = (key: string): number | undefined => {
    const bare = limits.get(key)?.bare
    return bare?.type === 'integer' && bare.value >= 0 ? bare.value : undefined
  }
  return {
    maxSize: read('max-size'),
    maxAppendSize: read('max-append-size'),
    minAppendSize: read('min-append-size'),
  }
}

/** What a response 104 (Upload Resumption Supported) tells. */
export interface ResumptionNews {
  readonly location: string | undefined
  readonly offset: number | undefined
}

/** §4.2: undefined for other interim responses, and those of another interop version. */
export function readInterim(
  { status, headers }: { readonly status: number; readonly headers: HeaderFields },
  interopVersion: number,
): ResumptionNews | undefined {
  if (status !== UPLOAD_RESUMPTION_SUPPORTED) return undefined
  const told = headers.get('upload-draft-interop-version')
  if (told !== undefined && parseIntegerField(told) !== interopVersion) return undefined
  return { location: headers.get('location'), offset: readBytes(headers, 'upload-offset') }
}

/** RFC 6266 §4: the name for everybody, and as it is for whoever reads `filename*` (RFC 8187). */
export function formatDisposition(name: string): string {
  const wellFormed = name.toWellFormed()
  const plain = wellFormed.replace(/[^ -~]/g, '_').replace(/["\\]/g, '\\$&')
  const extended = encodeURIComponent(wellFormed).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const isPlain = /^[ -~]*$/.test(wellFormed) && !/["\\%]/.test(wellFormed)
  return `inline; filename="${plain}"${isPlain ? '' : `; filename*=UTF-8''${extended}`}`
}

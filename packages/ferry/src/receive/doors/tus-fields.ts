/** The fields of tus 1.0.0, read and written. Pure; refuses what breaks the protocol. */
import { hexFromBase64 } from '../../protocol/semantics/digest-fields.ts'
import { trimOws } from '../../protocol/semantics/grammar.ts'
import { formatMetadata as formatPairs } from '../../protocol/upload/tus-messages.ts'
import { parseByteCount } from '../../protocol/upload/upload-bytes.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'
import { idFromUrl } from './upload-location.ts'
import type { UploadStatus } from '../upload-options.ts'
import { parseNotes, type UploadNotes } from './upload-notes.ts'
import { Refusal } from './refusal.ts'

/** Algorithms of Upload-Checksum, under the same names as in the core. */
const ALGORITHMS: readonly DigestAlgorithm[] = ['sha1', 'sha256', 'sha512', 'md5']

/** What Tus-Checksum-Algorithm tells. */
export const CHECKSUM_ALGORITHMS: string = ALGORITHMS.join(',')

/** What Upload-Metadata says. */
export interface TusMetadata {
  readonly metadata: Readonly<Record<string, string>>
  readonly notes: UploadNotes
}

/** What Upload-Concat says. */
export type TusConcat =
  | { readonly type: 'whole' }
  | { readonly type: 'partial' }
  | { readonly type: 'final'; readonly ids: readonly string[]; readonly field: string }

/** Reads Upload-Offset or Upload-Length. @throws {Refusal} */
export function parseBytes(name: string, field: string | undefined): number {
  const bytes = parseByteCount(field)
  if (bytes !== undefined) return bytes
  throw new Refusal(400, `Cannot read ${name}: expected a number of bytes`)
}

/**
 * Reads the length that a creation tells; undefined when it is to come later (creation-defer-length).
 * @throws {Refusal}
 */
export function parseLength(
  length: string | undefined,
  deferred: string | undefined,
): number | undefined {
  if ((length === undefined) === (deferred === undefined)) {
    throw new Refusal(400, 'Cannot create an upload: expected Upload-Length or Upload-Defer-Length')
  }
  if (length !== undefined) return parseBytes('Upload-Length', length)
  if (deferred === '1') return undefined
  throw new Refusal(400, 'Cannot read Upload-Defer-Length: expected 1')
}

/** Reads Upload-Metadata: `key base64,key base64`; values may be left out. @throws {Refusal} */
export function parseMetadata(field: string | undefined): TusMetadata {
  const metadata = new Map<string, string>()
  for (const pair of (field ?? '') === '' ? [] : (field as string).split(',')) {
    const [, key, value = ''] =
      /^([!-+\--~]+)(?: ([A-Za-z0-9+/]*={0,2}))?$/.exec(trimOws(pair)) ?? []
    if (key === undefined)
      throw new Refusal(400, 'Cannot read Upload-Metadata: expected key base64')
    if (metadata.has(key)) throw new Refusal(400, 'Cannot read Upload-Metadata: a key comes twice')
    metadata.set(key, Buffer.from(value, 'base64').toString())
  }
  const read = Object.fromEntries(metadata)
  const isSame = field === undefined || formatPairs(read) === field
  return { metadata: read, notes: isSame ? {} : { metadata: field } }
}

/** The field Upload-Metadata of an upload, as it came; undefined when there is nothing to tell. */
export function formatMetadata(
  upload: Pick<UploadStatus, 'metadata' | 'notes'>,
): string | undefined {
  const field = parseNotes(upload.notes).metadata ?? formatPairs(upload.metadata)
  return field === '' ? undefined : field
}

/** Reads Upload-Checksum: `algorithm base64`. @throws {Refusal} */
export function parseChecksum(field: string): Digest {
  const [name = '', base64 = ''] = trimOws(field).split(' ')
  const algorithm = ALGORITHMS.find((known) => known === name)
  if (algorithm === undefined) {
    throw new Refusal(400, `Cannot check by this algorithm: expected ${CHECKSUM_ALGORITHMS}`)
  }
  const hex = hexFromBase64(base64)
  if (hex !== undefined) return { algorithm, hex }
  throw new Refusal(400, 'Cannot read Upload-Checksum: expected algorithm base64')
}

/** Reads Upload-Concat: `partial`, or `final;` and URLs. @throws {Refusal} */
export function parseConcat(field: string | undefined): TusConcat {
  if (field === undefined) return { type: 'whole' }
  if (field === 'partial') return { type: 'partial' }
  const [, urls] = /^final; *(.+)$/.exec(field) ?? []
  if (urls === undefined)
    throw new Refusal(400, 'Cannot read Upload-Concat: expected partial or final')
  const ids = urls.split(' ').flatMap((url) => (url === '' ? [] : [idFromUrl(url)]))
  return { type: 'final', ids, field }
}

/** An instant of Upload-Expires. */
export function formatExpires(expiresAt: number | undefined): string | undefined {
  return expiresAt === undefined ? undefined : new Date(expiresAt).toUTCString()
}

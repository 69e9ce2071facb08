/**
 * Digests that a server sends with a response: Repr-Digest and Content-Digest (RFC 9530), the older
 * Digest (RFC 3230) and Content-MD5 (RFC 1864), and the fields of object stores.
 *
 * What cannot be read, is of another length than its algorithm gives, or is of an unknown algorithm
 * counts as absent; it is never a reason to refuse a file, nor to accept one.
 */
import { parseTokenList, trimOws } from './grammar.ts'
import type { HeaderFields } from './header-fields.ts'
import { parseItemDictionary } from './structured-fields.ts'

/** A digest as a server gives it. */
export interface FieldDigest {
  readonly algorithm: 'sha512' | 'sha256' | 'sha1' | 'md5'
  /** In lower case. */
  readonly hex: string
}

/** The value of Want-Repr-Digest (RFC 9530 §4). Both are as good; SHA-256 is the cheaper one. */
export const WANT_REPR_DIGEST = 'sha-256=10, sha-512=5'

/** Strongest first. RFC 9530 §7.2 and RFC 3230 §4.1.1 name the first four alike but for the case. */
const STRENGTH = ['sha512', 'sha256', 'sha1', 'md5'] as const
const BYTES = { sha512: 64, sha256: 32, sha1: 20, md5: 16 } as const
const ALGORITHMS: ReadonlyMap<string, FieldDigest['algorithm']> = new Map([
  ['sha-512', 'sha512'],
  ['sha-256', 'sha256'],
  ['sha', 'sha1'],
  ['md5', 'md5'],
])

/** Reads Repr-Digest (RFC 9530 §3), the digests of the whole representation; strongest first. */
export function parseReprDigest(field: string): FieldDigest[] {
  const found: (FieldDigest | undefined)[] = []
  for (const [key, { bare }] of parseItemDictionary(field) ?? []) {
    if (bare.type === 'bytes') found.push(toDigest(ALGORITHMS.get(key), bare.value))
  }
  return strongestFirst(found)
}

/**
 * Reads Content-Digest (RFC 9530 §2), the digests of the content of this one message: of a part when
 * the response is partial. Strongest first.
 */
export function parseContentDigest(field: string): FieldDigest[] {
  return parseReprDigest(field)
}

/** Reads Digest (RFC 3230 §4.3.2): `SHA-256=BASE64,MD5=BASE64`. Strongest first. */
export function parseLegacyDigest(field: string): FieldDigest[] {
  return strongestFirst(readAssignments(field))
}

/**
 * Gathers the digests of the whole representation from the fields of a response (200 or 206),
 * strongest first, at most one of each algorithm; Repr-Digest goes before the others.
 *
 * None when a content coding was applied: the digests are of the coded bytes, or nobody knows of
 * which. With a partial response, fields that may speak of the part only are left out.
 */
export function representationDigests(status: number, fields: HeaderFields): FieldDigest[] {
  if (isCoded(fields.get('content-encoding'))) return []
  const found = [
    ...parseReprDigest(fields.get('repr-digest') ?? ''),
    ...parseLegacyDigest(fields.get('digest') ?? ''),
    ...parseGoogleHash(fields),
  ]
  if (status !== 206) found.push(...parseAmazonChecksums(fields), ...parseContentMd5(fields))
  return strongestFirst(found)
}

/** Base64, also in its URL form and without its padding, as hexadecimal; undefined when it is none. */
export function hexFromBase64(text: string): string | undefined {
  const digits = /^([A-Za-z0-9+/_-]+)(={0,2})$/.exec(text)
  if (digits === null || (digits[1] as string).length % 4 === 1) return undefined
  if (digits[2] !== '' && text.length % 4 !== 0) return undefined
  return Buffer.from(text, 'base64').toString('hex')
}

/** Google Cloud Storage: `crc32c=BASE64,md5=BASE64` of the object as it is stored. */
function parseGoogleHash(fields: HeaderFields): FieldDigest[] {
  // It unpacks stored gzip for clients that do not ask for it, and sends the packed object's hash.
  if (isCoded(fields.get('x-goog-stored-content-encoding'))) return []
  return strongestFirst(readAssignments(fields.get('x-goog-hash') ?? ''))
}

/**
 * Amazon S3. Of an object uploaded in parts there is only a digest of the parts' digests, written
 * `BASE64-7`; it is not base64 and so falls out by its form, and by the type that newer servers send.
 */
function parseAmazonChecksums(fields: HeaderFields): FieldDigest[] {
  if (fields.get('x-amz-checksum-type')?.toUpperCase() === 'COMPOSITE') return []
  return strongestFirst([
    toDigest('sha512', fields.get('x-amz-checksum-sha512')),
    toDigest('sha256', fields.get('x-amz-checksum-sha256')),
    toDigest('sha1', fields.get('x-amz-checksum-sha1')),
  ])
}

/** RFC 1864; RFC 9110 dropped it because servers disagreed on what it means for a partial response. */
function parseContentMd5(fields: HeaderFields): FieldDigest[] {
  return strongestFirst([toDigest('md5', fields.get('content-md5'))])
}

/** Reads `NAME=BASE64`, separated by commas; names of any case. */
function readAssignments(field: string): (FieldDigest | undefined)[] {
  return field.split(',').map((element) => {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(trimOws(element)) ?? []
    return toDigest(ALGORITHMS.get(name.toLowerCase()), value)
  })
}

function toDigest(
  algorithm: FieldDigest['algorithm'] | undefined,
  base64: string | undefined,
): FieldDigest | undefined {
  if (algorithm === undefined || base64 === undefined) return undefined
  const hex = hexFromBase64(base64)
  return hex?.length === BYTES[algorithm] * 2 ? { algorithm, hex } : undefined
}

/** The first of each algorithm, strongest first. */
function strongestFirst(digests: readonly (FieldDigest | undefined)[]): FieldDigest[] {
  return STRENGTH.flatMap(
    (algorithm) => digests.find((digest) => digest?.algorithm === algorithm) ?? [],
  )
}

function isCoded(contentCoding: string | undefined): boolean {
  return parseTokenList(contentCoding ?? '').some((coding) => coding !== 'identity')
}

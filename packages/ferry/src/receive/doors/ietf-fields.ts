/**
 * The fields of draft-ietf-httpbis-resumable-upload, read and written. Pure. A field that breaks the
 * grammar of structured fields (RFC 9651) counts as absent.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { fileNameFromDisposition } from '../../protocol/semantics/content-disposition.ts'
import { parseContentDigest, parseReprDigest } from '../../protocol/semantics/digest-fields.ts'
import { parseItemDictionary } from '../../protocol/semantics/structured-fields.ts'
import {
  isInverted,
  needsMediaType,
  parseBytesField,
  parseCompleteField,
  parseIntegerField,
  PARTIAL_UPLOAD,
} from '../../protocol/upload/ietf-grammar.ts'
import type { Digest, DigestAlgorithm } from '../digest.ts'

/** What differs from one interop version of the draft to the next, as far as it matters here. */
export interface IetfDialect {
  /** Undefined when the client tells none that is accepted: it gets no 104 then (draft §4.2). */
  readonly interopVersion: number | undefined
  /** Version 3 says the opposite, under another name. */
  readonly isInverted: boolean
  /** From version 6 on, appended content has a media type of its own. */
  readonly needsMediaType: boolean
}

/** What a server takes, in bytes; undefined for no limit. */
export interface IetfLimits {
  readonly maxUploadBytes?: number | undefined
  /** Of the content of one request. */
  readonly maxAppendBytes?: number | undefined
  /** Of the content of one request, unless it is the last or an empty creation. */
  readonly minAppendBytes?: number | undefined
}

/** Algorithms of Repr-Digest that a client may ask for (RFC 9530 §5): the others are broken. */
const REPR_ALGORITHMS: ReadonlyMap<string, DigestAlgorithm> = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
])

/** Finds how a client speaks; clients that tell no accepted version speak as the newest draft. */
export function findDialect(
  headers: IncomingHttpHeaders,
  accepted: ReadonlySet<number>,
): IetfDialect {
  const told = parseIntegerField(textOf(headers['upload-draft-interop-version']))
  if (told === undefined || !accepted.has(told)) {
    return { interopVersion: undefined, isInverted: false, needsMediaType: true }
  }
  return {
    interopVersion: told,
    isInverted: isInverted(told),
    needsMediaType: needsMediaType(told),
  }
}

/** Whether the whole ends with the content; undefined when the client does not say. */
export function parseComplete(
  headers: IncomingHttpHeaders,
  dialect: IetfDialect,
): boolean | undefined {
  return parseCompleteField((name) => textOf(headers[name]), dialect)
}

/** Upload-Offset or Upload-Length, in bytes. */
export function parseBytes(field: string | string[] | undefined): number | undefined {
  return parseBytesField(textOf(field))
}

/** The field Upload-Limit; `min-size=0` when there is no limit (draft §4.1.4). */
export function formatLimit(
  { maxUploadBytes, maxAppendBytes, minAppendBytes }: IetfLimits,
  /** For the lifetime of an upload; `now` in epoch ms. */
  upload: { readonly expiresAt?: number | undefined; readonly now: number },
): string {
  const { expiresAt, now } = upload
  const maxAge =
    expiresAt === undefined ? undefined : Math.max(0, Math.floor((expiresAt - now) / 1000))
  const limits = [
    ['max-size', maxUploadBytes],
    ['max-append-size', maxAppendBytes],
    ['min-append-size', minAppendBytes],
    ['max-age', maxAge],
  ].filter(([, value]) => value !== undefined)
  return limits.map(([key, value]) => `${key}=${value}`).join(', ') || 'min-size=0'
}

/** Digests that come with a request (RFC 9530): of its content, and of the whole file. */
export function parseDigests(headers: IncomingHttpHeaders): {
  readonly content: Digest | undefined
  readonly whole: Digest | undefined
} {
  return {
    content: parseContentDigest(textOf(headers['content-digest']))[0],
    whole: parseReprDigest(textOf(headers['repr-digest']))[0],
  }
}

/** The algorithm of Want-Repr-Digest that a client likes best (RFC 9530 §4); undefined for none. */
export function parseWantedDigest(headers: IncomingHttpHeaders): DigestAlgorithm | undefined {
  const wanted = [...(parseItemDictionary(textOf(headers['want-repr-digest'])) ?? [])]
    .flatMap(([key, { bare }]) => {
      const algorithm = REPR_ALGORITHMS.get(key)
      const weight = bare.type === 'integer' ? bare.value : 0
      return algorithm === undefined || weight <= 0 ? [] : [{ algorithm, weight }]
    })
    .toSorted((one, other) => other.weight - one.weight)
  return wanted[0]?.algorithm
}

/** What a creation tells of the file, in the words that clients of tus use for it. */
export function parseMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const filename = fileNameFromDisposition(headers['content-disposition'] ?? '')
  const filetype = headers['content-type']
  const coding = headers['content-encoding']
  return {
    ...(filename === undefined ? {} : { filename }),
    ...(filetype === undefined || filetype === PARTIAL_UPLOAD ? {} : { filetype }),
    ...(coding === undefined ? {} : { 'content-encoding': coding }),
  }
}

function textOf(field: string | string[] | undefined): string {
  return Array.isArray(field) ? field.join(', ') : (field ?? '')
}

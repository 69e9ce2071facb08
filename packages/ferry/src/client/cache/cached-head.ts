/** Heads on their way into a cache entry and out of it: which fields are kept, changed and added. */
import { createHash, randomUUID } from 'node:crypto'
import { parseTokenList } from '../../protocol/semantics/grammar.ts'
import { HeaderFields } from '../../protocol/semantics/header-fields.ts'
import { weaklyMatches } from '../../protocol/semantics/validator.ts'
import type { HttpRequest } from '../../transport/http-request.ts'
import type { HttpResponse } from '../../transport/http-response.ts'
import type { HttpUrl } from '../../transport/http-url.ts'
import { type StoredHead, currentAgeMs } from './cache-policy.ts'
import type { CacheEntry } from './cache-store.ts'

/** RFC 9111 §3.1: about the connection; and Set-Cookie, a secret that was acted upon when it came. */
const UNSTORED_FIELDS = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
/** RFC 9111 §3.2: what a 304 says of these is not about the content that is stored. */
const CONTENT_FIELDS = ['content-encoding', 'content-length', 'content-range', 'content-type']

/** When a response was asked for and when it came; epoch ms. */
export interface ResponseInstants {
  readonly requestedAt: number
  readonly receivedAt: number
}

/** The key of a URL. */
export function cacheKeyOf(url: HttpUrl): string {
  return digest(url.href)
}

/** Names that a response depends on, in lower case and in order. */
function varyOf(headers: HeaderFields): string[] {
  return [...new Set(parseTokenList(headers.get('vary') ?? ''))].sort()
}

/** What tells requests apart besides their fields. */
export interface VariantOptions {
  readonly shared: boolean
  /** Whether content is kept decoded; coded it is another one, whatever its fields say. */
  readonly decoded: boolean
}

/**
 * Tells requests apart by the fields that the response depends on. To these belong, whatever the
 * server says, Accept-Encoding, which a server may follow without saying so, and, unless they are
 * shared, Authorization and Cookie, since servers rarely name them. A digest: they are secrets.
 */
export function variantOf(
  vary: readonly string[],
  request: HttpRequest,
  { shared, decoded }: VariantOptions,
): string {
  const always = ['accept-encoding', ...(shared ? [] : ['authorization', 'cookie'])]
  const names = [...new Set([...always, ...vary])]
  const fields = names.map((name) => [name, ...request.headers.getAll(name)])
  return digest(JSON.stringify(decoded ? fields : [...fields, 'coded']))
}

/** Makes the entry of a response. */
export function createEntry(
  request: HttpRequest,
  { status, statusText, version, headers }: HttpResponse,
  instants: ResponseInstants,
  options: VariantOptions & { readonly bodyLength: number },
): CacheEntry {
  const vary = varyOf(headers)
  const { bodyLength } = options
  // That of the content as it came over the wire, if it was coded.
  const isLengthWrong = headers.get('content-length') !== String(bodyLength)
  return {
    id: randomUUID(),
    key: cacheKeyOf(request.url),
    variant: variantOf(vary, request, options),
    vary,
    status,
    statusText,
    version,
    headers: [...storedFields(headers).without(...(isLengthWrong ? ['content-length'] : []))],
    ...instants,
  }
}

/** The entry with what a 304 says of it (RFC 9111 §3.2, §4.3.4). */
export function freshenEntry(
  entry: CacheEntry,
  confirmation: HeaderFields,
  instants: ResponseInstants,
): CacheEntry {
  const fields = storedFields(confirmation).without(...CONTENT_FIELDS)
  // An Age that the server no longer sends must not count any more.
  const kept = HeaderFields.from(entry.headers).without(...fields.lowerNames, 'age')
  return { ...entry, headers: [...kept, ...fields], ...instants }
}

/** Whether a 304 is about an entry, and not about another version (RFC 9111 §4.3.4). */
export function confirmsEntry(entry: CacheEntry, confirmation: HeaderFields): boolean {
  const headers = HeaderFields.from(entry.headers)
  for (const name of ['etag', 'last-modified']) {
    const ours = headers.get(name)
    const theirs = confirmation.get(name)
    if (ours !== undefined && theirs !== undefined) return weaklyMatches(ours, theirs)
  }
  return true
}

/** The request, asking whether the entry is still right (RFC 9111 §4.3.1). */
export function addConditions(request: HttpRequest, entry: CacheEntry): HttpRequest {
  const headers = HeaderFields.from(entry.headers)
  const etag = headers.get('etag')
  const lastModified = headers.get('last-modified')
  let asking = request.headers
  if (etag !== undefined) asking = asking.append('If-None-Match', etag)
  if (lastModified !== undefined) asking = asking.append('If-Modified-Since', lastModified)
  return asking === request.headers ? request : request.withHeaders(asking)
}

/** What decisions are made from. */
export function headOf(entry: CacheEntry): StoredHead {
  const { status, requestedAt, receivedAt } = entry
  return { status, headers: HeaderFields.from(entry.headers), requestedAt, receivedAt }
}

/** The fields of an answer from the cache, with its Age (RFC 9111 §5.1). */
export function answerFields(entry: CacheEntry, now: number): HeaderFields {
  const head = headOf(entry)
  return head.headers.with('Age', String(Math.floor(currentAgeMs(head, now) / 1000)))
}

function storedFields(headers: HeaderFields): HeaderFields {
  const named = parseTokenList(headers.get('connection') ?? '')
  return headers.without(...UNSTORED_FIELDS, ...named)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

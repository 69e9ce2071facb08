/**
 * What the fault server answers: head and content, from a request, the settings and a fault.
 *
 * Decides only. It knows no socket, no clock and no other request; whatever takes time is named in
 * the fault and done by the server.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { gzipSync } from 'node:zlib'

/** How one answer goes wrong; counts are bytes of content of that answer. */
export type Fault =
  | {
      readonly type: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
    }
  /** The connection breaks before the head. */
  | { readonly type: 'drop' }
  /** The head is sent only after this long. */
  | { readonly type: 'late'; readonly delayMs: number }
  /** The content comes at a speed of its own. */
  | { readonly type: 'slow'; readonly bytesPerSecond: number }
  /** The connection is reset, is closed in order, or falls silent. */
  | { readonly type: 'reset' | 'end' | 'stall'; readonly afterBytes: number }
  /** A whole and chunked answer ends too early, though by the rules. */
  | { readonly type: 'short'; readonly afterBytes: number }
  /** A chunked answer goes on behind the end that Content-Range names. */
  | { readonly type: 'surplus'; readonly bytes: number }
  /** Content-Length names this many bytes more than come, or fewer; then the connection is closed. */
  | { readonly type: 'length'; readonly by: number }
  /** A 206 with another range than the one asked for; head and content agree. */
  | { readonly type: 'shift'; readonly by: number }
  /** The Content-Range of a 206, instead of the right one; undefined leaves the field out. */
  | { readonly type: 'content-range'; readonly value: string | undefined }
  /** Range is ignored. */
  | { readonly type: 'whole' }
  /** The bits of the byte at this offset of the file are turned over, if the answer has it. */
  | { readonly type: 'damage'; readonly offset: number }
  /** Fields beside or instead of the right ones. */
  | { readonly type: 'headers'; readonly headers: Readonly<Record<string, string>> }

/** A request as it came. */
export interface LoggedRequest {
  /** Counted from 0. */
  readonly index: number
  /** Of the connection that it came on, counted from 0 in the order of their first requests. */
  readonly connection: number
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** First and last byte asked for, both inclusive. */
  readonly range: readonly [first: number, last: number] | undefined
  /** 0 until it is answered. */
  status: number
  /** Bytes of content that were sent. */
  sentBytes: number
}

/** Settings; all may change between requests. */
export interface FaultServerOptions {
  content: Buffer
  /**
   * A function gives each request a tag of its own, as servers of a cluster do. The one of a request
   * is also what its If-Range is compared with. @defaultValue '"v1"'
   */
  etag?: string | undefined | ((request: LoggedRequest) => string | undefined)
  lastModified?: string | undefined
  /** Further fields of every 200 and 206. */
  headers?: Readonly<Record<string, string>> | undefined
  /** Adds the SHA-256 of the whole file to every 200 and 206 (RFC 9530 §3). @defaultValue false */
  reprDigest?: boolean | undefined
  /** @defaultValue 'honoured' */
  ranges?: 'honoured' | 'ignored' | undefined
  /** @defaultValue 'honoured'; 'refused' always answers with the whole */
  ifRange?: 'honoured' | 'refused' | 'unknown' | undefined
  /** Sends chunked, without a length. */
  chunked?: boolean | undefined
  /**
   * Sends the whole file coded, whatever was asked for: chunked, with a weak ETag, without ranges,
   * as servers do that code while they send.
   */
  contentCoding?: 'gzip' | undefined
  /** Of each answer. */
  bytesPerSecond?: number | undefined
  /** Of all answers together. */
  totalBytesPerSecond?: number | undefined
  /** Answers beyond this many at once are refused, as `busy` says. */
  maxConcurrent?: number | undefined
  /** @defaultValue 503 */
  busy?:
    | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
    | undefined
  /** Connections beyond this many at once are reset as they come. */
  maxConnections?: number | undefined
  /** Redirects to a signed URL, which is good for so long; then it is answered with 403. */
  signedUrls?: { readonly expireAfterMs: number } | undefined
  /** Asked before each piece of content: nothing is sent while it says so. */
  hold?: (() => boolean) | undefined
  /** How the answer to a request goes wrong; undefined for an honest one. */
  fault?: ((request: LoggedRequest) => Fault | undefined) | undefined
}

/** What one answer is to be. */
export interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly content: Buffer
}

/** An answer that is refused or leads elsewhere. */
export function plainAnswer(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const content = Buffer.from(`${status}\n`)
  return { status, headers: { ...headers, 'Content-Length': String(content.length) }, content }
}

/** Decides the answer to a request for the file, with the fault in it. */
export function decideAnswer(
  request: LoggedRequest,
  fault: Fault | undefined,
  options: FaultServerOptions,
): Answer {
  if (fault?.type === 'status') return plainAnswer(fault.status, fault.headers)
  if (options.contentCoding !== undefined) return codedAnswer(request, fault, options)
  const span = spanOf(request, fault, options)
  if (span === 'unsatisfiable') {
    return plainAnswer(416, { 'Content-Range': `bytes */${options.content.length}` })
  }
  const headers = fieldsOf(request, options)
  if (options.ranges !== 'ignored') headers['Accept-Ranges'] = 'bytes'
  if (span !== 'whole') headers['Content-Range'] = contentRangeOf(span, fault, options)
  const [first, last] = span === 'whole' ? [0, options.content.length - 1] : span
  const content = spoilContent(first, last, fault, options)
  if (fault?.type === 'content-range' && fault.value === undefined) delete headers['Content-Range']
  const isChunked = options.chunked === true || fault?.type === 'short' || fault?.type === 'surplus'
  if (!isChunked) {
    const surplus = fault?.type === 'length' ? fault.by : 0
    headers['Content-Length'] = String(content.length + surplus)
  }
  if (fault?.type === 'headers') Object.assign(headers, fault.headers)
  return { status: span === 'whole' ? 200 : 206, headers, content }
}

type Span = readonly [first: number, last: number]

/** What is to be sent of the file, both ends inclusive. */
function spanOf(
  request: LoggedRequest,
  fault: Fault | undefined,
  options: FaultServerOptions,
): Span | 'whole' | 'unsatisfiable' {
  const { range } = request
  const wantsWhole =
    range === undefined ||
    options.ranges === 'ignored' ||
    fault?.type === 'whole' ||
    !ifRangeHolds(request, options)
  if (wantsWhole) return 'whole'
  const end = options.content.length - 1
  const [first, last] = [range[0], Math.min(range[1], end)]
  if (first > last) return 'unsatisfiable'
  if (fault?.type !== 'shift') return [first, last]
  const shifted = Math.max(0, first + fault.by)
  return [shifted, Math.max(shifted, Math.min(last + fault.by, end))]
}

function ifRangeHolds(request: LoggedRequest, options: FaultServerOptions): boolean {
  const asked = request.headers['if-range']
  const { ifRange = 'honoured', lastModified } = options
  if (asked === undefined || ifRange === 'unknown') return true
  return ifRange === 'honoured' && (asked === etagOf(request, options) || asked === lastModified)
}

function etagOf(request: LoggedRequest, { etag }: FaultServerOptions): string | undefined {
  return typeof etag === 'function' ? etag(request) : etag
}

function fieldsOf(request: LoggedRequest, options: FaultServerOptions): Record<string, string> {
  const etag = etagOf(request, options)
  const { content, lastModified, reprDigest, headers } = options
  return {
    ...(etag === undefined ? {} : { ETag: etag }),
    ...(lastModified === undefined ? {} : { 'Last-Modified': lastModified }),
    ...(reprDigest === true ? { 'Repr-Digest': `sha-256=:${digestOf(content)}:` } : {}),
    ...headers,
  }
}

function contentRangeOf(
  [first, last]: Span,
  fault: Fault | undefined,
  { content }: FaultServerOptions,
): string {
  if (fault?.type === 'content-range' && fault.value !== undefined) return fault.value
  return `bytes ${first}-${last}/${content.length}`
}

function spoilContent(
  first: number,
  last: number,
  fault: Fault | undefined,
  options: FaultServerOptions,
): Buffer {
  const content = options.content.subarray(first, last + 1)
  if (fault?.type === 'surplus') {
    return Buffer.concat([content, Buffer.alloc(fault.bytes, 0xee)])
  }
  if (fault?.type !== 'damage' || fault.offset < first || fault.offset > last) return content
  const damaged = Buffer.from(content)
  const at = fault.offset - first
  damaged.writeUInt8(damaged.readUInt8(at) ^ 0xff, at)
  return damaged
}

function codedAnswer(
  request: LoggedRequest,
  fault: Fault | undefined,
  options: FaultServerOptions,
): Answer {
  const headers = fieldsOf(request, options)
  headers['Content-Encoding'] = 'gzip'
  if (headers['ETag']?.startsWith('"') === true) headers['ETag'] = `W/${headers['ETag']}`
  if (fault?.type === 'headers') Object.assign(headers, fault.headers)
  return { status: 200, headers, content: gzipOf(options.content) }
}

// Both take long for a large file, and each answer needs them anew.
const digests = new WeakMap<Buffer, string>()
const coded = new WeakMap<Buffer, Buffer>()

function digestOf(content: Buffer): string {
  const digest = digests.get(content) ?? createHash('sha256').update(content).digest('base64')
  digests.set(content, digest)
  return digest
}

function gzipOf(content: Buffer): Buffer {
  const bytes = coded.get(content) ?? gzipSync(content, { level: 1 })
  coded.set(content, bytes)
  return bytes
}

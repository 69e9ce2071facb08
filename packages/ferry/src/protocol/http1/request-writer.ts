/**
 * Turns a request into HTTP/1.1 bytes (RFC 9112 §3): values in, text out, no I/O.
 * Owns the framing of what we send; fields arrive checked (see HeaderFields).
 */
import { LocalProtocolError } from '../../errors.ts'
import { isToken } from '../semantics/grammar.ts'
import type { HeaderFields } from '../semantics/header-fields.ts'

/** What the head of a request is made from. */
export interface RequestHead {
  readonly method: string
  /** What the request line carries (RFC 9112 §3.2): `/path?query`, for instance. */
  readonly target: string
  /** Host and, where it is not the scheme's own, port: the value of Host. */
  readonly authority: string
  readonly headers: HeaderFields
  /** Length of the content in bytes; 'chunked' when it is unknown; undefined without content. */
  readonly contentLength: number | 'chunked' | undefined
}

const TARGET = /^[\x21-\x7e]+$/
/** Methods whose meaning expects content, so that its absence is said (RFC 9110 §8.6). */
export const METHODS_WITH_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/**
 * Formats a request head, empty line included, one character a byte (latin1).
 * Host stands first (RFC 9110 §7.2) unless the caller gave it; so do the framing fields.
 * @throws {LocalProtocolError} when method, target or length cannot stand on the wire, or when the
 * caller's own Host or framing field is given twice or contradicts the content
 */
export function formatRequestHead(head: RequestHead): string {
  const { method, target, authority, headers, contentLength } = head
  if (!isToken(method)) {
    throw new LocalProtocolError(`Cannot send method ${JSON.stringify(method)}: not a token`)
  }
  if (!TARGET.test(target)) {
    throw new LocalProtocolError(`Cannot send target ${JSON.stringify(target)}: space or control`)
  }
  if (typeof contentLength === 'number' && !isLength(contentLength)) {
    throw new LocalProtocolError(`Cannot send content of ${contentLength} bytes: not a length`)
  }
  let text = `${method} ${target} HTTP/1.1\r\n`
  if (!headers.has('host')) {
    text += `Host: ${authority}\r\n`
  } else if (headers.getAll('host').length > 1) {
    // RFC 9112 §3.2: more than one Host line is answered with 400.
    throw new LocalProtocolError('Cannot send the field Host twice')
  }
  text += headers.lines
  if (headers.framesContent) checkFraming(headers, contentLength)
  else text += framingField(method, contentLength)
  return `${text}\r\n`
}

/** The line before a chunk of content (RFC 9112 §7.1); CRLF follows the content. */
export function formatChunkSize(length: number): string {
  return `${length.toString(16)}\r\n`
}

/** The last chunk, the trailer section and the empty line (RFC 9112 §7.1.2). */
export function formatLastChunk(trailers: HeaderFields): string {
  return `0\r\n${trailers.lines}\r\n`
}

function isLength(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function framingField(method: string, contentLength: RequestHead['contentLength']): string {
  if (contentLength === 'chunked') return 'Transfer-Encoding: chunked\r\n'
  if (contentLength !== undefined) return `Content-Length: ${contentLength}\r\n`
  return METHODS_WITH_CONTENT.has(method) ? 'Content-Length: 0\r\n' : ''
}

/** RFC 9112 §6.1, §6.3: a second line would repeat the coding or the length. */
function checkFraming(headers: HeaderFields, contentLength: RequestHead['contentLength']): void {
  const lengths = headers.getAll('content-length')
  const codings = headers.getAll('transfer-encoding')
  if (lengths.length + codings.length > 1) {
    throw new LocalProtocolError('Cannot send a second framing field')
  }
  const [length] = lengths
  const [coding] = codings
  const agrees =
    length === undefined
      ? contentLength === 'chunked' && coding?.toLowerCase() === 'chunked'
      : contentLength !== 'chunked' && length === String(contentLength ?? 0)
  if (agrees) return
  const field = length === undefined ? 'Transfer-Encoding' : 'Content-Length'
  throw new LocalProtocolError(
    `Cannot send ${field} ${JSON.stringify(length ?? coding)}: the content disagrees`,
  )
}

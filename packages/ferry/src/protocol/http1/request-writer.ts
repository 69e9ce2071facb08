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
const METHODS_WITH_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

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
  let hasHost = false
  let hasFraming = false
  let fields = ''
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    if (lower === 'host') {
      // RFC 9112 §3.2: more than one Host line is answered with 400.
      if (hasHost) throw new LocalProtocolError('Cannot send the field Host twice')
      hasHost = true
    }
    if (lower === 'content-length' || lower === 'transfer-encoding') {
      // RFC 9112 §6.1, §6.3: a second line would repeat the coding or the length.
      if (hasFraming) throw new LocalProtocolError(`Cannot send a second framing field, ${lower}`)
      checkFraming(lower, value, contentLength)
      hasFraming = true
    }
    fields += `${name}: ${value}\r\n`
  }
  if (!hasHost) text += `Host: ${authority}\r\n`
  text += fields
  if (!hasFraming) text += framingField(method, contentLength)
  return `${text}\r\n`
}

/** The line before a chunk of content (RFC 9112 §7.1); CRLF follows the content. */
export function formatChunkSize(length: number): string {
  return `${length.toString(16)}\r\n`
}

/** The last chunk, the trailer section and the empty line (RFC 9112 §7.1.2). */
export function formatLastChunk(trailers: HeaderFields): string {
  let text = '0\r\n'
  for (const [name, value] of trailers) text += `${name}: ${value}\r\n`
  return `${text}\r\n`
}

function isLength(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function framingField(method: string, contentLength: RequestHead['contentLength']): string {
  if (contentLength === 'chunked') return 'Transfer-Encoding: chunked\r\n'
  if (contentLength !== undefined) return `Content-Length: ${contentLength}\r\n`
  return METHODS_WITH_CONTENT.has(method) ? 'Content-Length: 0\r\n' : ''
}

function checkFraming(
  name: string,
  value: string,
  contentLength: RequestHead['contentLength'],
): void {
  const agrees =
    name === 'content-length'
      ? contentLength !== 'chunked' && value === String(contentLength ?? 0)
      : contentLength === 'chunked' && value.toLowerCase() === 'chunked'
  if (!agrees) {
    throw new LocalProtocolError(
      `Cannot send ${name} ${JSON.stringify(value)}: the content disagrees`,
    )
  }
}

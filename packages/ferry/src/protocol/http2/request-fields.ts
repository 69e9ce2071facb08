/** Turns a request into a header list (RFC 9113 §8.3.1, RFC 8441 §4), encoded. */
import { parseTokenList } from '../semantics/grammar.ts'
import type { HeaderFields } from '../semantics/header-fields.ts'
import { METHODS_WITH_CONTENT } from '../http1/request-writer.ts'
import type { HpackEncoder } from './hpack-encoder.ts'
import { CONNECTION_FIELDS } from './response-fields.ts'

/** What the head of a request is made from. */
export interface Http2RequestHead {
  readonly method: string
  readonly scheme: string
  readonly authority: string
  /** What stands in `:path`; undefined for CONNECT to a host, which has neither path nor scheme. */
  readonly path: string | undefined
  /** The protocol that CONNECT asks for; undefined for every other request. */
  readonly protocol: string | undefined
  readonly headers: HeaderFields
  /** Length of the content in bytes; 'unknown' or undefined without content. */
  readonly contentLength: number | 'unknown' | undefined
}

/** Encodes a head; the bytes are valid until the encoder is used again. */
export function encodeRequestHead(encoder: HpackEncoder, head: Http2RequestHead): Buffer {
  const { method, scheme, authority, path, protocol, headers, contentLength } = head
  encoder.begin()
  encoder.add(':method', method)
  if (protocol !== undefined) encoder.add(':protocol', protocol)
  if (path !== undefined) encoder.add(':scheme', scheme)
  encoder.add(':authority', authority)
  if (path !== undefined) encoder.add(':path', path)
  const saysLength = addFields(encoder, headers)
  if (typeof contentLength === 'number') {
    if (!saysLength) encoder.add('content-length', String(contentLength))
  } else if (contentLength === undefined && !saysLength && METHODS_WITH_CONTENT.has(method)) {
    encoder.add('content-length', '0')
  }
  return encoder.end()
}

/** Encodes trailers; the bytes are valid until the encoder is used again. */
export function encodeTrailers(encoder: HpackEncoder, trailers: HeaderFields): Buffer {
  encoder.begin()
  addFields(encoder, trailers)
  return encoder.end()
}

/** @returns whether Content-Length was among them */
function addFields(encoder: HpackEncoder, headers: HeaderFields): boolean {
  const names = headers.lowerNames
  const values = headers.values
  // §8.2.2: what the field Connection names is of the connection too.
  const nominated = names.includes('connection')
    ? parseTokenList(headers.get('connection') as string)
    : undefined
  let saysLength = false
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string
    const value = values[index] as string
    if (CONNECTION_FIELDS.has(name) || nominated?.includes(name) === true) continue
    // `:authority` says it.
    if (name === 'host') continue
    if (name === 'te' && value.toLowerCase() !== 'trailers') continue
    if (name === 'content-length') saysLength = true
    encoder.add(name, value)
  }
  return saysLength
}

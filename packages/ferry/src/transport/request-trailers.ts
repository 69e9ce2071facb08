/**
 * The fields that a request sends after its content (RFC 9110 §6.5): given when the request is made,
 * or by a function that is called when the content has been sent, for a digest, say.
 */
import { LocalProtocolError } from '../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../protocol/semantics/header-fields.ts'

/** Trailer fields, or a function that gives them once the content has been sent. */
export type TrailersInit = HeaderFieldsInit | (() => HeaderFieldsInit)

/** Trailer fields as a request keeps them. */
export type RequestTrailers = HeaderFields | (() => HeaderFieldsInit)

// RFC 9110 §6.5.1: no field that is needed for framing, routing, authentication, request modifiers,
// response control or the content's format may come after the content.
const FORBIDDEN: ReadonlySet<string> = new Set(
  [
    'content-length transfer-encoding trailer te connection keep-alive proxy-connection upgrade',
    'host max-forwards expect via forwarded alt-svc',
    'authorization proxy-authorization www-authenticate proxy-authenticate',
    'authentication-info proxy-authentication-info cookie set-cookie',
    'cache-control pragma range accept accept-charset accept-encoding accept-language',
    'if-match if-none-match if-modified-since if-unmodified-since if-range',
    'age date expires location retry-after vary warning',
    'content-encoding content-type content-language content-location content-range',
  ].flatMap((names) => names.split(' ')),
)

/**
 * Copies and checks trailers; a function is kept as it is.
 * @throws {LocalProtocolError} when a field may not stand after the content
 */
export function toTrailers(init: TrailersInit): RequestTrailers {
  return typeof init === 'function' ? init : checkTrailers(HeaderFields.from(init))
}

/**
 * The trailers to send, now that the content has been: calls the function, where it is one.
 * @throws {LocalProtocolError} when a field may not stand after the content, and what the function
 * throws
 */
export function resolveTrailers(trailers: RequestTrailers | undefined): HeaderFields {
  if (typeof trailers !== 'function') return trailers ?? HeaderFields.empty
  const fields = trailers()
  if (typeof (fields as { readonly then?: unknown }).then === 'function') {
    throw new LocalProtocolError('Cannot send trailers: their function gives a promise')
  }
  return checkTrailers(HeaderFields.from(fields))
}

function checkTrailers(fields: HeaderFields): HeaderFields {
  for (const [name] of fields) {
    if (!FORBIDDEN.has(name.toLowerCase())) continue
    throw new LocalProtocolError(
      `Cannot send field ${name} as a trailer: it must be known before the content`,
    )
  }
  return fields
}

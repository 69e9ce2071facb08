/**
 * Requests and responses over HTTP/2, as Node's compatibility API gives them: they look like those of
 * HTTP/1.1, except for what is here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from 'node:http2'

/** A request by either version of HTTP. */
export type AnyRequest = IncomingMessage | Http2ServerRequest
/** A response by either version of HTTP. */
export type AnyResponse = ServerResponse | Http2ServerResponse

/** The stream of an exchange over HTTP/2; undefined over HTTP/1.1. */
export function http2StreamOf(
  message: IncomingMessage | ServerResponse,
): ServerHttp2Stream | undefined {
  return (message as { readonly stream?: ServerHttp2Stream }).stream
}

/** Whether a request came over TLS. */
export function isEncrypted(request: IncomingMessage): boolean {
  const stream = http2StreamOf(request)
  return stream === undefined ? 'encrypted' in request.socket : stream.session?.encrypted === true
}

/** Whom a request is for: Host, or what HTTP/2 has in its place (RFC 9113 §8.3.1). */
export function authorityOf({ headers }: IncomingMessage): string {
  return headers.host ?? String(headers[':authority'] ?? '')
}

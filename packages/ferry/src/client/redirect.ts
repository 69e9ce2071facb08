/**
 * Decides what to do about a redirection (RFC 9110 §15.4): a pure function of request and response.
 * Credentials never cross to another origin.
 */
import { HttpStatusError, RemoteProtocolError } from '../errors.ts'
import type { HeaderFields } from '../protocol/semantics/header-fields.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { HttpUrl } from '../transport/http-url.ts'
import { withoutSecrets } from './secret-fields.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const CONTENT_FIELDS = ['content-type', 'content-length', 'content-encoding', 'content-language']

/** What a redirection says. */
export interface RedirectingResponse {
  readonly status: number
  readonly statusText?: string
  readonly headers: HeaderFields
}

/**
 * The request to send next; undefined when the response is the final one. To another origin, and that
 * is also http instead of https, no secret is sent on: no credentials, no field that is named like
 * one, none of `secretHeaders`.
 * @throws {RemoteProtocolError} when Location cannot be used
 * @throws {HttpStatusError} when content would have to be sent again that can be sent only once: it has
 * not arrived where it should
 */
export function decideRedirect(
  request: HttpRequest,
  response: RedirectingResponse,
  secretHeaders: readonly string[] = [],
): HttpRequest | undefined {
  if (!REDIRECTS.has(response.status)) return undefined
  const location = response.headers.get('location')
  if (location === undefined) return undefined
  const url = parseLocation(location, request.url)
  const keepsMethod = keepsMethodOf(request.method, response.status)
  if (keepsMethod && !request.replayable) {
    throw redirectedOnce(request, response)
  }
  let headers = request.headers
  if (url.origin.key !== request.url.origin.key) {
    headers = withoutSecrets(headers, secretHeaders)
  }
  if (keepsMethod) return request.withUrl(url).withHeaders(headers)
  return new HttpRequest('GET', url, { headers: headers.without(...CONTENT_FIELDS) })
}

function redirectedOnce(
  { method, url }: HttpRequest,
  { status, statusText = '', headers }: RedirectingResponse,
): HttpStatusError {
  const words = `${status} ${statusText}`.trim()
  return new HttpStatusError(
    `Cannot ${method} ${url.label}: ${words}, and its content can be sent only once`,
    { status, statusText, headers },
  )
}

/** 301 and 302 turn POST into GET as clients always have done; 303 turns all but HEAD. */
function keepsMethodOf(method: string, status: number): boolean {
  if (status === 303) return method === 'HEAD' || method === 'GET'
  return status === 307 || status === 308 || method !== 'POST'
}

function parseLocation(location: string, base: HttpUrl): HttpUrl {
  try {
    // The wire carries bytes; those above ASCII are UTF-8 in practice.
    return HttpUrl.parse(Buffer.from(location, 'latin1').toString('utf8'), base)
  } catch (cause) {
    throw new RemoteProtocolError(
      `Cannot follow the redirection from ${base.label}: its Location is no http URL`,
      { cause },
    )
  }
}

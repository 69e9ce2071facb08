/** The requests of a subscription: the caller's, with the fields that event streams ask for. */
import { ConfigError } from '../../errors.ts'
import { HeaderFields, type HeaderFieldsInit } from '../../protocol/semantics/header-fields.ts'
import type { ContentInit } from '../content.ts'
import { HttpRequest } from '../http-request.ts'
import type { HttpUrl } from '../http-url.ts'

/** The parts of the request besides its URL; none of them beside a whole `HttpRequest`. */
export interface EventRequestInit {
  /** @defaultValue 'GET' */
  readonly method?: string | undefined
  readonly headers?: HeaderFieldsInit | undefined
  readonly content?: ContentInit | undefined
}

/** Fields that are sent unless the caller gives them (HTML §9.2.3). */
const DEFAULT_FIELDS: readonly (readonly [name: string, value: string])[] = [
  ['Accept', 'text/event-stream'],
  ['Cache-Control', 'no-store'],
  // Codings are not decoded at this layer, and a compressor may sit on an event.
  ['Accept-Encoding', 'identity'],
]

/**
 * Makes the request that every attempt is made from.
 * @throws {ConfigError} when a part is given beside an `HttpRequest`, or Last-Event-ID as a field
 * @throws as `new HttpRequest()` does
 */
export function createEventRequest(
  target: string | URL | HttpUrl | HttpRequest,
  { method, headers, content }: EventRequestInit,
): HttpRequest {
  const request =
    target instanceof HttpRequest
      ? target
      : new HttpRequest(method ?? 'GET', target, { headers, content })
  if (target instanceof HttpRequest) checkNoParts({ method, headers, content })
  if (request.headers.has('last-event-id')) {
    throw new ConfigError(
      'headers',
      'Cannot use Last-Event-ID among the fields: give it as lastEventId, since it changes',
    )
  }
  const missing = DEFAULT_FIELDS.filter(([name]) => !request.headers.has(name))
  return request.withHeaders(HeaderFields.from([...request.headers, ...missing]))
}

/**
 * The request with Last-Event-ID, unless that is empty (HTML §9.2.3).
 * @throws {LocalProtocolError} when the id holds a character that cannot stand in a field
 */
export function withLastEventId(request: HttpRequest, lastEventId: string): HttpRequest {
  if (lastEventId === '') return request
  // HTML §9.2.4: encoded as UTF-8. Fields are written one character a byte.
  const bytes = Buffer.from(lastEventId, 'utf8').toString('latin1')
  return request.withHeader('Last-Event-ID', bytes)
}

function checkNoParts(parts: EventRequestInit): void {
  for (const [name, value] of Object.entries(parts)) {
    if (value === undefined) continue
    throw new ConfigError(name, `Cannot use ${name} beside an HttpRequest: it has its own`)
  }
}

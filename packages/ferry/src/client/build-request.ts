/** Makes a request out of what a call is told and what its client adds. Pure, but for reading nothing. */
import { ConfigError } from '../errors.ts'
import { formatBasicCredentials } from '../protocol/semantics/basic-credentials.ts'
import { HeaderFields } from '../protocol/semantics/header-fields.ts'
import type { Content } from '../transport/content.ts'
import { HttpRequest } from '../transport/http-request.ts'
import { HttpUrl } from '../transport/http-url.ts'
import type { CallOptions } from './call-options.ts'
import { bodyContent, type RequestBodyInit } from './content/body-content.ts'
import { jsonContent } from './content/json-content.ts'
import { appendParams, formContent, type ParamsInit } from './content/params.ts'
import { withUploadProgress } from './content/upload-progress.ts'

/** What a client adds to every request. */
export interface RequestDefaults {
  readonly baseUrl: string | undefined
  readonly headers: HeaderFields
  readonly params: ParamsInit | undefined
}

// RFC 3986 §3.1
const HAS_SCHEME = /^[a-z][a-z0-9+.-]*:/i

/**
 * @throws {ConfigError} when options contradict one another or the URL cannot be used
 * @throws {LocalProtocolError} when a field or the content cannot be sent
 */
export function buildRequest(
  method: string,
  url: string | URL | HttpUrl,
  options: CallOptions,
  defaults: RequestDefaults,
): HttpRequest {
  const target = HttpUrl.parse(addParams(joinUrl(url, defaults.baseUrl), options, defaults))
  const body = bodyOf(options)
  let headers = mergeHeaders(defaults.headers, options.headers)
  // The body's own type (a form's has its boundary) before the client's, but not before the call's.
  if (body?.contentType !== undefined && !saysType(options.headers)) {
    headers = headers.with('Content-Type', body.contentType)
  }
  headers = withCredentials(headers, target)
  const content = body === undefined ? undefined : observe(body.content, options)
  return new HttpRequest(method, target, { headers, content, trailers: options.trailers })
}

/**
 * Puts a path behind a base URL, whose own path stays: `https://h/v1` and `users` give
 * `https://h/v1/users`. A URL with a scheme stands by itself.
 */
export function joinUrl(
  url: string | URL | HttpUrl,
  baseUrl: string | undefined,
): string | URL | HttpUrl {
  if (baseUrl === undefined || typeof url !== 'string' || HAS_SCHEME.test(url)) return url
  if (url === '' || url.startsWith('?')) return baseUrl + url
  const base = baseUrl.endsWith('/') ? baseUrl.slice(0, -1) : baseUrl
  return url.startsWith('/') ? base + url : `${base}/${url}`
}

/** Fields of a call win over those of the client; undefined takes one away. */
export function mergeHeaders(defaults: HeaderFields, given: CallOptions['headers']): HeaderFields {
  if (given === undefined) return defaults
  const removed: string[] = []
  let own: HeaderFields
  if (given instanceof HeaderFields || Symbol.iterator in given) {
    own = HeaderFields.from(given)
  } else {
    const kept: [string, string | readonly string[]][] = []
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) removed.push(name)
      else kept.push([name, value])
    }
    own = HeaderFields.from(Object.fromEntries(kept))
  }
  const others = defaults.without(...own.names, ...removed)
  return others.size === 0 ? own : HeaderFields.from([...others, ...own])
}

function saysType(given: CallOptions['headers']): boolean {
  return given !== undefined && mergeHeaders(HeaderFields.empty, given).has('content-type')
}

/** Adds the credentials of a URL, unless there are others. */
export function withCredentials(headers: HeaderFields, { credentials }: HttpUrl): HeaderFields {
  if (credentials === undefined || headers.has('authorization')) return headers
  return headers.append('Authorization', formatBasicCredentials(credentials))
}

function addParams(
  url: string | URL | HttpUrl,
  { params }: CallOptions,
  { params: defaults }: RequestDefaults,
): string | URL | HttpUrl {
  if (params === false || (params === undefined && defaults === undefined)) return url
  let text = url instanceof HttpUrl ? textOf(url) : String(url)
  if (defaults !== undefined) text = appendParams(text, defaults)
  if (params !== undefined) text = appendParams(text, params)
  return text
}

/** With its credentials, which `href` leaves out. */
function textOf({ href, credentials }: HttpUrl): string {
  if (credentials === undefined) return href
  const url = new URL(href)
  url.username = encodeURIComponent(credentials.username)
  url.password = encodeURIComponent(credentials.password)
  return url.href
}

interface Body {
  readonly content: Content
  readonly contentType: string | undefined
}

function bodyOf({ json, form, body }: CallOptions): Body | undefined {
  if (json === undefined && form === undefined && body === undefined) return undefined
  if ([json, form, body].filter((one) => one !== undefined).length > 1) {
    throw new ConfigError('body', 'Cannot send more than one of json, form and body')
  }
  if (json !== undefined) return jsonContent(json)
  return form === undefined ? bodyContent(body as RequestBodyInit) : formContent(form)
}

function observe(content: Content, { onUploadProgress }: CallOptions): Content {
  return onUploadProgress === undefined ? content : withUploadProgress(content, onUploadProgress)
}

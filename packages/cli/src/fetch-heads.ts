/**
 * Heads of requests and responses as text: whole, for whoever asked for them (`--include`), or with
 * every secret left out, for messages (`--verbose`). Pure.
 */
import { isSecretField } from 'ferry/client'
import type { HeaderFields, HttpRequest, HttpResponse } from 'ferry/transport'
import { headText, printable, printableHead } from './terminal-text.ts'

/** What may be said of a secret: the scheme of authentication, where it is a known one. */
const KNOWN_SCHEME = /^(?:Basic|Bearer|Digest|Negotiate|NTLM|DPoP|AWS4-HMAC-SHA256)(?= )/i
const HIDDEN = '…'

/** The part of a response that `--include` prints. */
type ResponseHead = Pick<HttpResponse, 'status' | 'statusText' | 'version' | 'headers'>

/** Status line and fields as they came, one line each, without the empty line. */
export function formatResponseHead({
  status,
  statusText,
  version,
  headers,
}: ResponseHead): string[] {
  const line = `HTTP/${version} ${status} ${statusText}`.trimEnd()
  return [line, ...[...headers].map(([name, value]) => `${name}: ${value}`)]
}

/** The request for people: without secrets, without the fields that the connection adds. */
export function describeRequest(request: HttpRequest, secretNames: readonly string[]): string[] {
  const { method, url, headers } = request
  const target = request.requestTarget.replace(/\?.*$/s, `?${HIDDEN}`)
  const host = headers.has('host') ? [] : [`Host: ${url.authority}`]
  return [`${method} ${target}`, ...host, ...describeFields(headers, secretNames)]
}

/** The response for people, without secrets. */
export function describeResponse(response: ResponseHead): string[] {
  const [line = ''] = formatResponseHead(response)
  return [printableHead(line), ...describeFields(response.headers, [])]
}

/** Fields without secrets, one line each. */
export function describeFields(headers: HeaderFields, secretNames: readonly string[]): string[] {
  return [...headers].map(([name, value]) =>
    printable(`${name}: ${redact(name, headText(value), secretNames)}`),
  )
}

function redact(name: string, value: string, secretNames: readonly string[]): string {
  const lower = name.toLowerCase()
  if (lower === 'cookie') return value.split(';').map(redactCookie).join(';')
  if (lower === 'set-cookie') {
    const [cookie = '', ...attributes] = value.split(';')
    return [redactCookie(cookie), ...attributes].join(';')
  }
  if (!secretNames.includes(lower) && !isSecretField(name)) return redactUrls(lower, value)
  const scheme = KNOWN_SCHEME.exec(value)?.[0]
  return scheme === undefined ? HIDDEN : `${scheme} ${HIDDEN}`
}

/** `name=…` */
function redactCookie(cookie: string): string {
  const equals = cookie.indexOf('=')
  return equals === -1 ? HIDDEN : `${cookie.slice(0, equals)}=${HIDDEN}`
}

const URL_FIELDS: ReadonlySet<string> = new Set([
  'location',
  'content-location',
  'referer',
  'refresh',
  'link',
])

/** A query or a fragment may hold a token, what stands before an @ a password. */
function redactUrls(lowerName: string, value: string): string {
  if (!URL_FIELDS.has(lowerName) && !value.includes('//')) return value
  return value
    .replaceAll(/\/\/[^/?#\s]*@/g, `//${HIDDEN}@`)
    .replaceAll(/([?#])[^\s>"]*/g, `$1${HIDDEN}`)
}

/** Which pages of other origins may use an upload server, and what they may send and see. Pure. */
import type { IncomingHttpHeaders } from 'node:http'
import { REQUEST_FIELDS } from './doors/indexedcp-fields.ts'

/** Pages of other origins. */
export interface CrossOriginOptions {
  /** Origins like `https://app.example`, or `*` for all of them. */
  readonly origins: readonly string[] | '*'
}

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
const SENT_FIELDS = [
  ...REQUEST_FIELDS,
  'Content-Disposition',
  'Idempotency-Key',
  'Tus-Resumable',
  'Upload-Checksum',
  'Upload-Complete',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Draft-Interop-Version',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'Want-Repr-Digest',
  'X-HTTP-Method-Override',
  'X-Requested-With',
].join(', ')
const SEEN_FIELDS = [
  'Accept-Patch',
  'Location',
  'Repr-Digest',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Complete',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Draft-Interop-Version',
  'Upload-Expires',
  'Upload-Length',
  'Upload-Limit',
  'Upload-Metadata',
  'Upload-Offset',
].join(', ')

const THIS_MACHINE = new Set(['localhost', '127.0.0.1', '[::1]'])

type Fields = Readonly<Record<string, string>>

/** Fields for any answer; empty where the page may not see it. */
export function crossOriginFields(
  options: CrossOriginOptions | undefined,
  headers: IncomingHttpHeaders,
): Fields {
  if (options === undefined) return {}
  const { origins } = options
  const { origin } = headers
  if (origins === '*') return exposed('*')
  // The answer depends on who asks, also where it is no.
  const vary = { Vary: 'Origin' }
  if (origin === undefined || !origins.includes(origin)) return vary
  return { ...vary, ...exposed(origin) }
}

/**
 * Whether a request comes from a page that has no business here. Browsers send simple requests of any
 * page to any server, also to one of this machine that asks nobody for a key; and a page can have its
 * own name lead to this machine, so that only names of this machine are believed to be the server's.
 */
export function isForeignPage(
  options: CrossOriginOptions | undefined,
  { origin, host }: IncomingHttpHeaders,
): boolean {
  if (origin === undefined || options?.origins === '*') return false
  if (options?.origins.includes(origin) === true) return false
  const page = URL.parse(origin)
  return page === null || page.host !== host || !THIS_MACHINE.has(page.hostname)
}

/** Fields for the answer to a preflight request, beside those for any. */
export function preflightFields(fields: Fields): Fields {
  if (fields['Access-Control-Allow-Origin'] === undefined) return {}
  return {
    'Access-Control-Allow-Methods': METHODS,
    'Access-Control-Allow-Headers': SENT_FIELDS,
    'Access-Control-Max-Age': '3600',
  }
}

function exposed(origin: string): Fields {
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Expose-Headers': SEEN_FIELDS,
  }
}

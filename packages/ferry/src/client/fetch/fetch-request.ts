/**
 * Reads what fetch is asked for: a URL or a Request, and what is to be different about it. Follows the
 * constructor of Request (WHATWG Fetch §5.4), without making one: that would lose where a body came from.
 *
 * Every mistake of the caller is a TypeError here, before anything is sent.
 */
import { isToken } from '../../protocol/semantics/grammar.ts'
import { HttpUrl } from '../../transport/http-url.ts'
import type { RequestBodyInit } from '../content/body-content.ts'
import { fetchBody, takeRequestBody } from './fetch-body.ts'
import { toFetchError } from './fetch-error.ts'

type RedirectMode = Request['redirect']
type CacheMode = Request['cache']

/** What is to be sent. */
export interface FetchRequest {
  readonly method: string
  /** Absolute, or for the client to put behind its base URL. */
  readonly url: string
  readonly headers: Headers
  readonly body: RequestBodyInit | undefined
  readonly redirect: RedirectMode
  readonly signal: AbortSignal | undefined
  /** Empty for none. */
  readonly integrity: string
  /** `GET http://h/x`, for messages; undefined for a URL that only the client can read. */
  readonly what: string | undefined
}

const NORMALISED: ReadonlySet<string> = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'])
const FORBIDDEN: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK'])
const REDIRECT_MODES: ReadonlySet<string> = new Set(['follow', 'error', 'manual'])
const NO_CACHE = [
  ['pragma', 'no-cache'],
  ['cache-control', 'no-cache'],
] as const
/** Fields that ask caches on the way for a fresh answer (WHATWG Fetch §4.6, steps 16 and 17). */
const CACHE_FIELDS: Readonly<Record<CacheMode, readonly (readonly [string, string])[]>> = {
  default: [],
  'force-cache': [],
  'only-if-cached': [],
  'no-cache': [['cache-control', 'max-age=0']],
  'no-store': NO_CACHE,
  reload: NO_CACHE,
}
const PRECONDITIONS: readonly string[] = [
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'if-match',
  'if-range',
]

/**
 * Reads the arguments of fetch; `local` for a URL that nobody is asked for: `data:` or `blob:`.
 *
 * Rejects with TypeError for what cannot be sent.
 */
export async function readFetchRequest(
  input: string | URL | Request,
  given?: RequestInit | null,
): Promise<FetchRequest | 'local'> {
  const init = given ?? {}
  const from = isRequest(input) ? input : undefined
  const url = isRequest(input) ? input.url : String(input).trim()
  if (/^(?:data|blob):/i.test(url)) return 'local'
  const label = readUrl(url)
  const method = normaliseMethod(init.method ?? from?.method ?? 'GET')
  const signal = signalOf(init.signal === undefined ? from?.signal : init.signal)
  const headers = new Headers(init.headers ?? from?.headers)
  addFields(headers, init.cache ?? from?.cache ?? 'default')
  const head = {
    method,
    url,
    headers,
    redirect: redirectOf(init.redirect ?? from?.redirect ?? 'follow'),
    signal,
    integrity: String(init.integrity ?? from?.integrity ?? ''),
    what: label === undefined ? undefined : `${method} ${label}`,
  }
  const own = init.body ?? undefined
  const body = own ?? from?.body ?? undefined
  if (body === undefined) return { ...head, body }
  // WHATWG Fetch §5.4, step 34
  if (method === 'GET' || method === 'HEAD') {
    throw new TypeError(`Cannot send a body with ${method}: use another method`)
  }
  // WHATWG Fetch §4.4, "abort a fetch() call", step 2
  if (signal?.aborted === true && body instanceof ReadableStream) {
    body.cancel(signal.reason).catch(() => {})
    return { ...head, body: undefined }
  }
  if (own !== undefined) return { ...head, body: fetchBody(own, headers, init.duplex) }
  return { ...head, body: await takeRequestBody(from as Request) }
}

/** Also one of another copy of undici. */
function isRequest(input: string | URL | Request): input is Request {
  return typeof input === 'object' && 'url' in input && 'method' in input
}

/**
 * Gives the URL for messages; undefined for one that only a client with a base URL can read.
 * WHATWG Fetch §5.4, step 5.3: credentials belong into a field.
 */
function readUrl(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined
  let parsed: HttpUrl
  try {
    parsed = HttpUrl.parse(url)
  } catch (error) {
    throw toFetchError(error, { what: undefined })
  }
  if (parsed.credentials === undefined) return parsed.label
  throw new TypeError(
    `Cannot fetch ${parsed.label} with credentials in the URL: use a field Authorization`,
  )
}

/** WHATWG Fetch §2.2.1: what is not in the list stays as it is, `patch` too. */
function normaliseMethod(method: string): string {
  const upper = String(method).toUpperCase()
  if (NORMALISED.has(upper)) return upper
  if (FORBIDDEN.has(upper)) throw new TypeError(`Cannot fetch with method ${upper}: not allowed`)
  if (isToken(method)) return method
  throw new TypeError(`Cannot fetch with method ${JSON.stringify(method)}: not a token`)
}

function redirectOf(redirect: RedirectMode): RedirectMode {
  if (REDIRECT_MODES.has(redirect)) return redirect
  throw new TypeError(
    `Cannot use redirect ${JSON.stringify(redirect)}: expected follow, error or manual`,
  )
}

function signalOf(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === null || signal === undefined) return undefined
  if (signal instanceof AbortSignal) return signal
  throw new TypeError('Cannot use signal: expected an AbortSignal')
}

function addFields(headers: Headers, cache: CacheMode): void {
  const fields = CACHE_FIELDS[cache] as (typeof CACHE_FIELDS)[CacheMode] | undefined
  if (fields === undefined) {
    throw new TypeError(
      `Cannot use cache ${JSON.stringify(cache)}: expected one of ${Object.keys(CACHE_FIELDS).join(', ')}`,
    )
  }
  // Step 15: the answer to a precondition is for the caller, who has the cache.
  const isOwnCache = cache === 'default' && PRECONDITIONS.some((name) => headers.has(name))
  for (const [name, value] of isOwnCache ? NO_CACHE : fields) {
    if (!headers.has(name)) headers.set(name, value)
  }
  // WHATWG Fetch §4.6, step 18: a range of coded content could not be decoded.
  if (headers.has('range') && !headers.has('accept-encoding')) {
    headers.set('accept-encoding', 'identity')
  }
}
